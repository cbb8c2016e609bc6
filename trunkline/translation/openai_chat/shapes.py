"""The shapes of a chat request and answer, as callers and providers write them.

They follow OpenAI's API description, with what its speakers have added: `reasoning_content` (DeepSeek, vLLM),
`reasoning` and `reasoning_details` (https://openrouter.ai/docs/use-cases/reasoning-tokens), `cache_control` on parts
and messages (https://openrouter.ai/docs/features/prompt-caching), `video_url`, images in answers.
"""

from __future__ import annotations

import re
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import Lifetime
from trunkline.wire import codec
from trunkline.wire.codec import encode

T = TypeVar("T")
NULL = b"null"


class CacheControl(msgspec.Struct, gc=False):
    ttl: str | None = None


class Breakpoint(msgspec.Struct, gc=False):
    """OpenAI's own: `ttl` is 30m or 12h."""

    ttl: str | None = None


class Url(msgspec.Struct, gc=False):
    url: str
    detail: str | None = None


class File(msgspec.Struct, gc=False):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class InputAudio(msgspec.Struct, gc=False):
    data: str
    format: str


class ContentPart(msgspec.Struct):
    """Any kind of part: `type` says which of the fields are meant. `thinking` is Mistral's."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: Url | str | None = None
    video_url: Url | str | None = None
    file: File | None = None
    input_audio: InputAudio | None = None
    thinking: str | list[Any] | None = None
    cache_control: CacheControl | None = None
    prompt_cache_breakpoint: Breakpoint | None = None


class Function(msgspec.Struct, gc=False):
    name: str
    arguments: str = ""


class Custom(msgspec.Struct, gc=False):
    name: str
    input: str = ""


class Call(msgspec.Struct):
    """A tool call in a conversation; in an answer it is read the same way."""

    id: str = ""
    type: str = "function"
    function: Function | None = None
    custom: Custom | None = None


class Audio(msgspec.Struct, gc=False):
    """`data` is missing where an earlier answer is only referred to."""

    id: str = ""
    data: str | None = None
    transcript: str | None = None


class Detail(msgspec.Struct, omit_defaults=True):
    """One of `reasoning_details`. `type` is reasoning.text, reasoning.summary, reasoning.encrypted or another."""

    type: str
    text: str | None = None
    summary: str | None = None
    data: str | None = None
    signature: str | None = None
    id: str | None = None
    format: str | None = None
    index: int | None = None


class Message(msgspec.Struct):
    """Of the caller."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    function_call: Function | None = None
    refusal: str | None = None
    audio: Audio | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[Detail] | None = None
    images: list[ContentPart] | None = None
    cache_control: CacheControl | None = None


def lifetime(control: CacheControl | None, marked: Breakpoint | None = None) -> Lifetime | None:
    """None: no hint. What OpenAI keeps for half a day is closest to the longer of the two."""
    if control is not None:
        return "1h" if control.ttl == "1h" else "5m"
    if marked is not None:
        return "1h" if marked.ttl == "12h" else "5m"
    return None


# How msgspec's sentences end: "... - at `$[1].content[0].text`".
_PLACE = re.compile(r" - at `\$(.*)`$", re.DOTALL)


def decoded(decoder: msgspec.json.Decoder[T], raw: Raw, name: str) -> T:
    """The value of the caller's field `name`. Raises InvalidRequest naming the place inside it."""
    try:
        return decoder.decode(raw)
    except codec.UNREADABLE as error:
        said = str(error)
        place = _PLACE.search(said)
        where = name + place[1].replace("[...]", "[]") if place else name
        what = said[: place.start()] if place else said
        raise InvalidRequest(f"'{where}' is wrong: {what}.", code="invalid_type", param=where) from None


class SaidFunction(msgspec.Struct, gc=False):
    """Of an answer. Some providers send the arguments as an object."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None

    def text(self) -> str:
        said = self.arguments
        return said if isinstance(said, str) else encode(said).decode() if said else ""


class SaidCustom(msgspec.Struct, gc=False):
    name: str | None = None
    input: str | None = None


class SaidCall(msgspec.Struct, gc=False):
    """A tool call of an answer, or a piece of one."""

    index: int | None = None
    id: str | None = None
    function: SaidFunction | None = None
    custom: SaidCustom | None = None


class Logprobs(msgspec.Struct, gc=False):
    content: Raw = Raw()


class Said(msgspec.Struct):
    """The message of an answer, or one delta of it."""

    content: str | list[ContentPart] | None = None
    tool_calls: list[SaidCall] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[Detail] | None = None
    refusal: str | None = None
    function_call: SaidFunction | None = None
    audio: Audio | None = None
    images: list[ContentPart] | None = None
    annotations: Raw = Raw()
