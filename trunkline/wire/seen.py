"""How many tokens of an answer have come, where its provider has not said so: an estimate from its text.

Providers send a token an event, or several together, and next to nobody splits one. A token is 4 bytes of English, 3
of code, 3 to 4 where letters take 3 bytes, and seldom more than 7. So an event is a token, and one more for every 4
bytes beyond 7:

a token an event     counted exactly, as good as always, whatever the script
two or three         a fifth too low
many, or the whole   one too low for each event; else as any text of its length

What stands around the text (ids, names of fields, padding against eavesdroppers, logprobs, signatures) does not count.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.wire import codec
from trunkline.wire.codec import encode

BYTES_PER_TOKEN = 4
LONGEST_TOKEN = 7
"""In bytes, as good as always."""


def tokens_of(size: int) -> int:
    """Of a text of so many bytes: at least 1 when there is any."""
    return -(-size // BYTES_PER_TOKEN)


def size_of(text: str) -> int:
    """In bytes of UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


# Where an answer's own words stand, in every protocol.
_TEXTS = frozenset(("content", "text", "thinking", "refusal", "transcript", "name", "code"))
# A call's arguments: a text, or an object.
_ARGUMENTS = frozenset(("arguments", "input", "args"))
# Chat tells of reasoning in up to three places, all the same.
_REASONING = ("reasoning_content", "reasoning")
_AGAIN = frozenset(("reasoning_details", *_REASONING))

_decode_any = msgspec.json.Decoder().decode


def whole_answer(body: bytes, field: str) -> int:
    """Tokens of a whole answer whose words stand below `field`; 0 where there are none."""
    try:
        said = _decode_any(body)
        return tokens_of(_said_size(said.get(field)) if isinstance(said, dict) else 0)
    except codec.UNREADABLE:
        return tokens_of(len(body))


def _said_size(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_said_size, value))
    if not isinstance(value, dict):
        return 0
    size = max((size_of(value[name]) for name in _REASONING if isinstance(value.get(name), str)), default=0)
    for name, inner in value.items():
        if name in _ARGUMENTS and inner:
            size += size_of(inner) if isinstance(inner, str) else len(encode(inner))
        elif name in _TEXTS and isinstance(inner, str):
            size += size_of(inner)
        elif name not in _AGAIN:
            size += _said_size(inner)
    return size


class Seen:
    """What has come of one answer. `texts` are the events that brought some, `beyond` are their bytes beyond those of
    the longest token, `other` are tokens of which nothing else tells."""

    __slots__ = ("beyond", "other", "texts")

    def __init__(self) -> None:
        self.texts = 0
        self.beyond = 0
        self.other = 0

    def add(self, text: str) -> None:
        """An event's text; "" is none."""
        self.add_bytes(size_of(text))

    def add_bytes(self, size: int) -> None:
        if size > 0:
            self.texts += 1
            if size > LONGEST_TOKEN:
                self.beyond += size - LONGEST_TOKEN

    def at_least(self, tokens: int) -> None:
        """Something else tells that so many have come."""
        self.other += max(0, tokens - self.tokens)

    @property
    def tokens(self) -> int:
        return self.texts + self.beyond // BYTES_PER_TOKEN + self.other
