"""One call, from key to record, in eight steps."""

from __future__ import annotations

from typing import Annotated, Protocol

import msgspec
from msgspec import Meta


class Client(Protocol):
    """The caller's side of one streaming answer, as the pipeline sees it."""

    async def start(self) -> None:
        """Status line and headers go out; the call's facts (model, provider, attempts) ride in them if known."""
        ...

    async def write(self, data: bytes) -> None:
        """Whole events only, in one write. Waits while the client reads slowly. Raises ClientGone."""
        ...


class CompatOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[compat]`: where habits of other gateways differ from ours."""

    restamp_model: Annotated[
        bool, Meta(description="Answer with the model name that was asked for, not the one the provider reported.")
    ] = False
