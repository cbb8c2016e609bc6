"""A caller's request as far as it is read whoever is to answer it."""

from __future__ import annotations

import msgspec

from trunkline.wire.codec import Fields


class Inbound(msgspec.Struct, kw_only=True):
    """`fields` is the whole top level in the caller's order, each value as he wrote it. `max_tokens` is the most he
    wants back, None when he did not say."""

    fields: Fields
    model: str
    stream: bool = False
    max_tokens: int | None = None
