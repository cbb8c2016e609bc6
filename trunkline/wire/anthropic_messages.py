"""Anthropic's Messages: the request as far as the gateway reads it, its headers, its errors.

Fields and ranges are those of the `anthropic` package's types/message_create_params.py; the sampling parameters, which
that package no longer has, those of https://platform.claude.com/docs/en/api/migration-2026-10-21. Sentences about a
field are in Anthropic's spelling: `messages.0.role: ...`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw

from trunkline.errors import InvalidRequest
from trunkline.wire import codec, sse
from trunkline.wire.codec import Fields, encode
from trunkline.wire.inbound import LONGEST_END_USER, Inbound

TARGET = b"/messages"
COUNT_TARGET = b"/messages/count_tokens"
VERSIONS = ("2023-06-01", "2026-10-21")

MAX_MODEL_NAME = 1024
# As for chat: beyond this size only the outline of the messages is checked here.
CHECKED_WHOLE_BYTES = 16 * 1024
MISSING = "missing_required_parameter"
INVALID_TYPE = "invalid_type"
INVALID_VALUE = "invalid_value"

Role = Literal["user", "assistant", "system"]


class _Message(msgspec.Struct, gc=False):
    """A system message in the conversation may hold no content but settings (types/beta/beta_system_message_param)."""

    role: Role
    content: str | list[Raw] | None = None


class MessagesRequest(Inbound, kw_only=True):
    """`max_tokens` is None only where tokens are counted."""


class _Request(msgspec.Struct):
    """What is read of a request, for one pass over a body that is right."""

    model: Annotated[str, Meta(min_length=1, max_length=MAX_MODEL_NAME)]
    messages: Annotated[list[_Message], Meta(min_length=1)]
    max_tokens: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    stream: bool | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    stop_sequences: list[str] | None = None


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_messages = msgspec.json.Decoder(Annotated[list[_Message], Meta(min_length=1)]).decode
_decode_model = msgspec.json.Decoder(str).decode
_OUTLINE = re.compile(rb"\[[ \t\r\n]*\{")


def _reader(kind: Any) -> Callable[[Raw], Any]:
    return msgspec.json.Decoder(kind).decode


_FRACTION = _reader(Annotated[float, Meta(ge=0, le=1)] | None)
# The field, how it is read, and what it must be.
_OPTIONAL: dict[str, tuple[Callable[[Raw], Any], str]] = {
    "max_tokens": (_reader(Annotated[int, Meta(ge=0, le=2**31 - 1)] | None), "a whole number of at least 0"),
    "stream": (_reader(bool | None), "true or false"),
    "temperature": (_FRACTION, "a number from 0 to 1"),
    "top_p": (_FRACTION, "a number from 0 to 1"),
    "top_k": (_reader(Annotated[int, Meta(ge=0)] | None), "a whole number of at least 0"),
    "stop_sequences": (_reader(list[str] | None), "an array of strings"),
}
READ = frozenset(("model", "messages", *_OPTIONAL))


def read_request(body: bytes) -> MessagesRequest:
    """Raises InvalidRequest, with `param` wherever one field is to blame."""
    fields = codec.fields(body, READ)
    request = _read(body, fields)
    if request.max_tokens is None:
        raise InvalidRequest("max_tokens: Field required", code=MISSING, param="max_tokens")
    return request


def read_count_request(body: bytes) -> MessagesRequest:
    """The same for a count of tokens, which has no `max_tokens` and no stream."""
    request = _read(body, codec.fields(body, READ))
    request.stream = False
    return request


def headers(version: str, betas: tuple[str, ...] = ()) -> list[tuple[bytes, bytes]]:
    """For a request of our own making; on pass-through the caller's own headers go with his body."""
    named = [(b"anthropic-version", version.encode("ascii"))]
    if betas:
        named.append((b"anthropic-beta", ",".join(betas).encode("ascii")))
    return named


def _read(body: bytes, fields: Fields) -> MessagesRequest:
    return (_read_whole(body, fields) if len(body) <= CHECKED_WHOLE_BYTES else None) or _read_each(fields)


def _read_whole(body: bytes, fields: Fields) -> MessagesRequest | None:
    """None when something is unusual or wrong: `_read_each` tells what."""
    try:
        said = _decode_request(body)
    except codec.UNREADABLE:
        return None
    return MessagesRequest(fields=fields, model=said.model, stream=said.stream or False, max_tokens=said.max_tokens)


def _read_each(fields: Fields) -> MessagesRequest:
    model = _read_model(fields)
    _check_messages(fields)
    given: dict[str, Any] = {}
    for name, (read, sentence) in _OPTIONAL.items():
        raw = fields.get(name)
        if raw is None:
            continue
        try:
            given[name] = read(raw)
        except codec.UNREADABLE as error:
            code = INVALID_TYPE if ", got `" in str(error) else INVALID_VALUE
            raise InvalidRequest(f"{name}: Input should be {sentence}", code=code, param=name) from None
    return MessagesRequest(
        fields=fields, model=model, stream=given.get("stream") or False, max_tokens=given.get("max_tokens")
    )


def _read_model(fields: Fields) -> str:
    raw = fields.get("model")
    if raw is None:
        raise InvalidRequest("model: Field required", code=MISSING, param="model")
    try:
        model = _decode_model(raw)
    except codec.UNREADABLE:
        raise InvalidRequest("model: Input should be a valid string", code=INVALID_TYPE, param="model") from None
    if not model or len(model) > MAX_MODEL_NAME:
        raise InvalidRequest(
            f"model: String should have 1 to {MAX_MODEL_NAME:,} characters", code=INVALID_VALUE, param="model"
        )
    return model


def _check_messages(fields: Fields) -> None:
    raw = fields.get("messages")
    if raw is None:
        raise InvalidRequest("messages: Field required", code=MISSING, param="messages")
    if len(raw) > CHECKED_WHOLE_BYTES:
        if _OUTLINE.match(memoryview(raw)) is None:
            raise InvalidRequest("messages: Input should be a list of messages", code=INVALID_TYPE, param="messages")
        return
    try:
        _decode_messages(raw)
    except codec.UNREADABLE as error:
        raise _wrong_messages(str(error)) from None


_PLACE = re.compile(r"`\$(?:\[(\d+)\])?(?:\.(\w+))?")


def _wrong_messages(said: str) -> InvalidRequest:
    """From the decoder's sentence, which ends in the place: "... - at `$[1].role`"."""
    place = _PLACE.search(said)
    number, field = (place[1], place[2]) if place else (None, None)
    where = "messages" if number is None else f"messages.{number}"
    if "missing required field `role`" in said:
        return InvalidRequest(f"{where}.role: Field required", code=MISSING, param=f"{where}.role")
    if field == "role":
        sentence = "Input should be 'user', 'assistant' or 'system'"
        return InvalidRequest(f"{where}.role: {sentence}", code=INVALID_VALUE, param=f"{where}.role")
    if field == "content":
        sentence = "Input should be a valid string or a list of content blocks"
        return InvalidRequest(f"{where}.content: {sentence}", code=INVALID_TYPE, param=f"{where}.content")
    if number is not None:
        return InvalidRequest(f"{where}: Input should be an object", code=INVALID_TYPE, param=where)
    if "length" in said:
        return InvalidRequest("messages: at least one message is required", code=INVALID_VALUE, param="messages")
    return InvalidRequest("messages: Input should be a list of messages", code=INVALID_TYPE, param="messages")


class _Error(msgspec.Struct):
    type: str
    message: str


class _ErrorBody(msgspec.Struct, tag="error"):
    error: _Error
    request_id: str | None


def error_body(type: str, message: str, request_id: str | None, details: Mapping[str, object] | None = None) -> bytes:  # noqa: A002 - the field's own name
    """`request_id` is also the answer's `request-id` header. `details` stand beside the message."""
    if details:
        error = {"type": type, "message": message, **details}
        return encode({"type": "error", "error": error, "request_id": request_id})
    return encode(_ErrorBody(_Error(type, message), request_id))


def error_event(type: str, message: str, request_id: str | None, details: Mapping[str, object] | None = None) -> bytes:  # noqa: A002
    """The last event of a stream that failed."""
    return sse.named_event(b"error", error_body(type, message, request_id, details))


class _Metadata(msgspec.Struct):
    user_id: str = ""


_decode_metadata = msgspec.json.Decoder(_Metadata).decode


def end_user(fields: Fields) -> str | None:
    """Whom the caller serves with the request: `metadata.user_id`
    (https://platform.claude.com/docs/en/api/messages/create). None when that is no text."""
    metadata = fields.get("metadata")
    if metadata is None:
        return None
    try:
        return _decode_metadata(metadata).user_id[:LONGEST_END_USER] or None
    except msgspec.MsgspecError:
        return None
