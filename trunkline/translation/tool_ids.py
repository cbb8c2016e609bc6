"""Ids of tool calls, made to fit where another protocol is stricter about them."""

from __future__ import annotations

import hashlib
import re

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


def fitted(call_id: str, most: int) -> str:
    """The same id where it has at most `most` (32 or more) letters, digits, `_` and `-`; else one made of its digest.

    A call and its result stand in the same request, so both get the same.
    """
    if len(call_id) <= most and _PLAIN.fullmatch(call_id):
        return call_id
    return "call_" + hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:24]
