"""OpenAI's Chat Completions: the request as far as the gateway reads it.

Types and ranges of the request's fields are those of OpenAI's published OpenAPI description (2.3.0). Fields that are
not read here cross untouched; so does everything below the top level.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw

from trunkline.errors import InvalidRequest
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode
from trunkline.wire.inbound import Inbound

T = TypeVar("T")

TARGET = b"/chat/completions"
MAX_MODEL_NAME = 1024
# A second pass over the messages costs as much as the first: 17 us for 100 KB. Beyond this size only their outline is
# checked here, and a wrong role is left for the provider to refuse.
CHECKED_WHOLE_BYTES = 16 * 1024
MISSING = "missing_required_parameter"
INVALID_TYPE = "invalid_type"
INVALID_VALUE = "invalid_value"

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]


class _Message(msgspec.Struct, gc=False):
    role: Role
    content: str | list[Raw] | None = None


def _reader(kind: Any, convert: Callable[[Any], Any] | None = None) -> Callable[[Raw], Any]:
    decode = msgspec.json.Decoder(kind).decode
    if convert is None:
        return decode
    return lambda raw: None if (value := decode(raw)) is None else convert(value)


def _whole(value: float) -> int:
    """1.0 is 1: JSON has one kind of number, and some clients write every number with a point."""
    if not value.is_integer():
        raise msgspec.ValidationError("not a whole number")
    return int(value)


_read_messages = msgspec.json.Decoder(Annotated[list[_Message], Meta(min_length=1)]).decode
_read_choices = msgspec.json.Decoder(list[Any]).decode
_OUTLINE = re.compile(rb"\[[ \t\r\n]*\{")

_PENALTY = _reader(Annotated[float, Meta(ge=-2, le=2)] | None)
_TOKENS = _reader(Annotated[float, Meta(ge=1, le=2**31 - 1)] | None, _whole)
# The field, how it is read, and what it must be.
_OPTIONAL: dict[str, tuple[Callable[[Raw], Any], str]] = {
    "stream": (_reader(bool | None), "true or false"),
    "temperature": (_reader(Annotated[float, Meta(ge=0, le=2)] | None), "a number from 0 to 2"),
    "top_p": (_reader(Annotated[float, Meta(ge=0, le=1)] | None), "a number from 0 to 1"),
    "presence_penalty": (_PENALTY, "a number from -2 to 2"),
    "frequency_penalty": (_PENALTY, "a number from -2 to 2"),
    "stop": (_reader(str | list[str] | None), "a string or an array of strings"),
    "n": (_reader(Annotated[float, Meta(ge=1, le=128)] | None, _whole), "a whole number from 1 to 128"),
    "max_tokens": (_TOKENS, "a whole number of at least 1"),
    "max_completion_tokens": (_TOKENS, "a whole number of at least 1"),
}
READ = frozenset(("model", "messages", "stream_options", *_OPTIONAL))
_READ_OPTIONS = frozenset(("include_usage",))
_read_text = msgspec.json.Decoder(str).decode
_read_switch = _reader(bool | None)
_TRUE = Raw(b"true")


class ChatRequest(Inbound, kw_only=True):
    """`max_tokens` is the larger of the caller's two maximum fields. `stream_options` are his, None when absent or
    null."""

    include_usage: bool = False
    n: int = 1
    stream_options: Fields | None = None

    def stream_options_with_usage(self) -> Raw:
        """The caller's stream options with `include_usage: true`."""
        return Raw(encode({**(self.stream_options or {}), "include_usage": _TRUE}))


class _Request(msgspec.Struct):
    """What is read of a request, for one pass over a body that is right: twice as fast as field by field."""

    model: Annotated[str, Meta(min_length=1, max_length=MAX_MODEL_NAME)]
    messages: Annotated[list[_Message], Meta(min_length=1)]
    stream: bool | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    stop: str | list[str] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


_decode_request = msgspec.json.Decoder(_Request).decode


def read_request(body: bytes) -> ChatRequest:
    """Raises InvalidRequest, with `param` wherever one field is to blame."""
    fields = codec.fields(body, READ)
    request = (_read_whole(body, fields) if len(body) <= CHECKED_WHOLE_BYTES else None) or _read_each(fields)
    if "stream_options" in fields:
        _read_stream_options(request, fields["stream_options"])
    return request


def _read_whole(body: bytes, fields: Fields) -> ChatRequest | None:
    """None when something is unusual or wrong: `_read_each` tells what."""
    try:
        said = _decode_request(body)
    except codec.UNREADABLE:
        return None
    request = ChatRequest(fields=fields, model=said.model)
    if said.stream:
        request.stream = True
    if said.n:
        request.n = said.n
    request.max_tokens = said.max_tokens
    if said.max_completion_tokens is not None:
        request.max_tokens = max(said.max_tokens or 0, said.max_completion_tokens)
    return request


def _read_each(fields: Fields) -> ChatRequest:
    model = _read_model(fields)
    _check_messages(fields)
    given: dict[str, Any] = {}
    for name, raw in fields.items():
        if name in _OPTIONAL:
            read, sentence = _OPTIONAL[name]
            try:
                given[name] = read(raw)
            except codec.UNREADABLE as error:
                code = INVALID_TYPE if ", got `" in str(error) else INVALID_VALUE
                raise InvalidRequest(f"'{name}' must be {sentence}.", code=code, param=name) from None
    limits = [limit for name in ("max_tokens", "max_completion_tokens") if (limit := given.get(name))]
    return ChatRequest(
        fields=fields,
        model=model,
        stream=given.get("stream") or False,
        n=given.get("n") or 1,
        max_tokens=max(limits, default=None),
    )


def _read_model(fields: Fields) -> str:
    raw = fields.get("model")
    if raw is None:
        raise InvalidRequest("'model' is required: name the model that is to answer.", code=MISSING, param="model")
    try:
        model = _read_text(raw)
    except codec.UNREADABLE:
        raise InvalidRequest("'model' must be a string.", code=INVALID_TYPE, param="model") from None
    if not model or len(model) > MAX_MODEL_NAME:
        raise InvalidRequest(
            f"'model' must be a name of 1 to {MAX_MODEL_NAME:,} characters.", code=INVALID_VALUE, param="model"
        )
    return model


def _check_messages(fields: Fields) -> None:
    raw = fields.get("messages")
    if raw is None:
        raise InvalidRequest("'messages' is required: send at least one.", code=MISSING, param="messages")
    if len(raw) > CHECKED_WHOLE_BYTES:
        if _OUTLINE.match(memoryview(raw)) is None:
            raise InvalidRequest("'messages' must be an array of objects.", code=INVALID_TYPE, param="messages")
        return
    try:
        _read_messages(raw)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _wrong_messages(str(error)) from None


_PLACE = re.compile(r"`\$(\[\d+\])?(?:\.(\w+))?")
_ROLES = "system, developer, user, assistant, tool or function"


def _wrong_messages(said: str) -> InvalidRequest:
    """From the decoder's sentence, which ends in the place: "... - at `$[1].role`"."""
    place = _PLACE.search(said)
    message, field = (place[1] or "", place[2]) if place else ("", None)
    where = f"messages{message}"
    if "missing required field `role`" in said:
        return InvalidRequest(f"'{where}' needs a 'role': {_ROLES}.", code=MISSING, param=f"{where}.role")
    if field == "role":
        return InvalidRequest(f"'{where}.role' must be {_ROLES}.", code=INVALID_VALUE, param=f"{where}.role")
    if field == "content":
        return InvalidRequest(
            f"'{where}.content' must be a string, an array of parts, or null.",
            code=INVALID_TYPE,
            param=f"{where}.content",
        )
    if message:
        return InvalidRequest(f"'{where}' must be an object.", code=INVALID_TYPE, param=where)
    if "length" in said:
        return InvalidRequest("'messages' is empty: send at least one.", code=INVALID_VALUE, param="messages")
    return InvalidRequest("'messages' must be an array of objects.", code=INVALID_TYPE, param="messages")


def _read_stream_options(request: ChatRequest, raw: Raw) -> None:
    text = bytes(raw)
    if text == b"null":
        return
    options = codec.fields(text, _READ_OPTIONS, within="stream_options")
    request.stream_options = options
    if "include_usage" in options:
        try:
            request.include_usage = _read_switch(options["include_usage"]) or False
        except codec.UNREADABLE:
            raise InvalidRequest(
                "'stream_options.include_usage' must be true or false.",
                code=INVALID_TYPE,
                param="stream_options.include_usage",
            ) from None
