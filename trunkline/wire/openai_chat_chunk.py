"""One event of a streamed chat completion: its choices, and the chunks that it becomes."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from trunkline.errors import UpstreamFailed
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode
from trunkline.wire.seen import size_of

NULL = Raw(b"null")
NOTHING = frozenset((b"null", b'""', b"[]", b"{}"))

Choice = dict[str, Raw]
Index = Annotated[int, Meta(ge=0, le=1023)]

# A piece of a call's arguments stands in a frame of this length.
_CALL_FRAME = len(b'[{"index":0,"function":{"arguments":""}}]')

_decode_choices = msgspec.json.Decoder(list[Choice]).decode
_decode_delta = msgspec.json.Decoder(Choice | None).decode
_decode_index = msgspec.json.Decoder(Index).decode


class Delta(msgspec.Struct, gc=False):
    """What a chunk says, as most say it."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: Raw = Raw()

    def other_size(self) -> int:
        """Bytes of what it says without content."""
        said = self.reasoning_content or self.reasoning or self.refusal
        return size_of(said) if said else max(0, len(self.tool_calls) - _CALL_FRAME)


def said_size(delta: Choice) -> int:
    """Bytes of what any delta says; what is told of reasoning in two places counts once."""
    thought = max(_text_size(delta, name) for name in ("reasoning_content", "reasoning"))
    called = sum(max(0, len(delta[name]) - _CALL_FRAME) for name in ("tool_calls", "function_call") if name in delta)
    return thought + called + sum(_text_size(delta, name) for name in ("content", "refusal"))


def _text_size(delta: Choice, name: str) -> int:
    raw = delta.get(name, NULL)
    return 0 if bytes(raw) in NOTHING else len(raw) - 2


class Edit:
    """The chunks that one event becomes, in this order, by their choices."""

    __slots__ = ("edited", "finishes", "indices", "roles", "texts")

    def __init__(self) -> None:
        self.roles: list[Choice] = []
        self.texts: list[Choice] = []
        self.finishes: list[Choice] = []
        self.indices: list[int] = []
        self.edited = False

    def is_empty(self) -> bool:
        return not (self.texts or self.finishes)

    def has_text(self) -> bool:
        """False when every choice is a hull, as where OpenRouter wraps usage in one."""
        return bool(self.finishes) or any(
            bytes(value) not in NOTHING
            for choice in self.texts
            for name, value in delta_of(choice).items()
            if name != "role"
        )


def choices_of(fields: Fields) -> list[Choice]:
    raw = fields.get("choices")
    if raw is None or bytes(raw) == b"null":
        return []
    try:
        return _decode_choices(raw)
    except codec.UNREADABLE:
        raise UpstreamFailed("The provider sent an event whose choices are not an array of objects.") from None


def index_of(choice: Choice) -> int:
    raw = choice.get("index")
    try:
        return 0 if raw is None else _decode_index(raw)
    except codec.UNREADABLE:
        raise UpstreamFailed("The provider sent a choice whose index is not a small whole number.") from None


def delta_of(choice: Choice) -> Choice:
    raw = choice.get("delta")
    try:
        return (raw is not None and _decode_delta(raw)) or {}
    except codec.UNREADABLE:
        raise UpstreamFailed("The provider sent a choice whose delta is not an object.") from None


def is_finish(choice: Choice) -> bool:
    raw = choice.get("finish_reason")
    return raw is not None and bytes(raw) not in NOTHING


def partial(choice: Choice, delta: Choice) -> Choice:
    """The same choice, unfinished."""
    return {"index": choice.get("index", Raw(b"0")), "delta": Raw(encode(delta)), "finish_reason": NULL}
