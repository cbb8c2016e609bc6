"""Asking the other processes for what they have leased and do not need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

Asked = Callable[[str], Awaitable[None]]
"""Gives back this process's idle slices of a source; they are on disk when it ends."""


class Recall(Protocol):
    """Used on the loop only."""

    on_asked: Asked | None
    """Called when another process asks. None: nothing is leased here yet, so all is answered at once."""

    async def ask(self, slots: Sequence[int], source: str, timeout_s: float) -> frozenset[int]:
        """Ask the processes with those slots to give back what they do not need of `source` (a budget's id, or WALLET
        and an account's). Ends when all have done so or after `timeout_s`, whichever is first: the slots that did."""
        ...
