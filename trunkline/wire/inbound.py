"""A caller's request as far as it is read whoever is to answer it."""

from __future__ import annotations

from typing import Final

import msgspec

from trunkline.wire.codec import Fields, Raw

LONGEST_END_USER: Final = 256


class Inbound(msgspec.Struct, kw_only=True):
    """`fields` is the whole top level in the caller's order, each value as he wrote it. `max_tokens` is the most he
    wants back, None when he did not say."""

    fields: Fields
    model: str
    stream: bool = False
    max_tokens: int | None = None


def end_user(fields: Fields) -> str | None:
    """Whom the caller serves with the request, as OpenAI's protocols say it: `safety_identifier`, or `user` before it
    (https://platform.openai.com/docs/guides/safety-best-practices). None when that is no text."""
    said = fields.get("safety_identifier") or fields.get("user")
    return None if said is None else read_end_user(said)


def read_end_user(said: Raw) -> str | None:
    """As much of it as is kept; a longer one is cut, so that it still is the same one every time."""
    try:
        return _text(said)[:LONGEST_END_USER] or None
    except msgspec.MsgspecError:
        return None


_text = msgspec.json.Decoder(str).decode
