"""Where reasoning state is kept for clients whose protocol cannot carry it: opaque bytes that go back to the provider
with the next turn, found by the id of a tool call or of a response."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from trunkline.ids import AccountId

MOST_ENTRY_BYTES = 256 * 1024


class SidecarStore(Protocol):
    """Each raises StoreUnavailable when the database does not answer. What belongs to another account is unknown."""

    async def put(self, account_id: AccountId, entries: Mapping[str, bytes], expires_at: float) -> tuple[str, ...]:
        """Keep each until `expires_at` (Unix seconds), in place of what its key had; on disk before this returns.
        Returns the keys of those above MOST_ENTRY_BYTES, which are not kept."""
        ...

    async def find(self, account_id: AccountId, keys: Iterable[str]) -> dict[str, bytes]:
        """Those that are there, by key."""
        ...

    async def sweep(self, now_s: float) -> int:
        """Delete one batch of what has expired. Returns how many; none means that no more is due."""
        ...
