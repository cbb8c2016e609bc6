"""OpenAI's Responses: the request as far as the gateway reads it, and the event of a stream that failed.

Types and ranges are those of the `openai` package's types/responses/response_create_params.py. Fields that are not read
here cross untouched; so does everything below the top level.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from trunkline.errors import InvalidRequest
from trunkline.wire import codec, sse
from trunkline.wire.codec import Fields, encode
from trunkline.wire.inbound import Inbound

TARGET = b"/responses"
COMPACT_TARGET = b"/responses/compact"
INPUT_TOKENS_TARGET = b"/responses/input_tokens"

MAX_MODEL_NAME = 1024
# A second pass over the input costs as much as the first: 17 us for 100 KB. Beyond this size only its outline is
# checked here, and a wrong item is left for whoever reads it next to refuse.
CHECKED_WHOLE_BYTES = 16 * 1024
MOST_METADATA = 16
MISSING = "missing_required_parameter"
INVALID_TYPE = "invalid_type"
INVALID_VALUE = "invalid_value"
_NULL = b"null"
_NOTHING = frozenset((_NULL, b"[]", b'""'))
_ROLES = frozenset(("user", "assistant", "system", "developer"))


class _Item(msgspec.Struct, gc=False):
    type: str | None = None
    role: str | None = None
    id: str | None = None


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


class _Conversation(msgspec.Struct):
    id: Annotated[str, Meta(min_length=1)]


def _conversation_id(value: str | _Conversation) -> str:
    return value.id if isinstance(value, _Conversation) else value


_Name = Annotated[str, Meta(min_length=1)]
_Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=MOST_METADATA)
]
_SWITCH = (_reader(bool | None), "true or false")
_COUNT = (_reader(Annotated[float, Meta(ge=1, le=2**31 - 1)] | None, _whole), "a whole number of at least 1")
_TEXT = (_reader(str | None), "a string")
# The field, how it is read, and what it must be.
_OPTIONAL: dict[str, tuple[Callable[[Raw], Any], str]] = {
    "stream": _SWITCH,
    "store": _SWITCH,
    "background": _SWITCH,
    "parallel_tool_calls": _SWITCH,
    "instructions": _TEXT,
    "previous_response_id": (_reader(_Name | None), "the id of a response"),
    "conversation": (
        _reader(_Name | _Conversation | None, _conversation_id),
        "the id of a conversation, or its object",
    ),
    "include": (_reader(list[str] | None), "an array of strings"),
    "metadata": (
        _reader(_Metadata | None),
        f"an object of at most {MOST_METADATA} strings of at most 512 characters, under names of at most 64",
    ),
    "max_output_tokens": _COUNT,
    "max_tool_calls": _COUNT,
    "temperature": (_reader(Annotated[float, Meta(ge=0, le=2)] | None), "a number from 0 to 2"),
    "top_p": (_reader(Annotated[float, Meta(ge=0, le=1)] | None), "a number from 0 to 1"),
    "top_logprobs": (
        _reader(Annotated[float, Meta(ge=0, le=20)] | None, _whole),
        "a whole number from 0 to 20",
    ),
}
READ = frozenset(("model", "input", "prompt", *_OPTIONAL))
_read_text = msgspec.json.Decoder(str).decode
_read_items = msgspec.json.Decoder(list[_Item]).decode
_OUTLINE = re.compile(rb"\[[ \t\r\n]*(?:\{|\])")


class ResponsesRequest(Inbound, kw_only=True):
    """`store` None: the caller did not say. `conversation_id` whether he sent the id or its object."""

    store: bool | None = None
    background: bool = False
    previous_response_id: str | None = None
    conversation_id: str | None = None
    include: tuple[str, ...] = ()

    @property
    def is_stateless(self) -> bool:
        """All that the answer depends on is in the body, and nothing is to be kept: the body may go as it is to a
        provider of this protocol."""
        return (
            self.store is False
            and not self.background
            and self.previous_response_id is None
            and self.conversation_id is None
            and not self.references
        )

    @property
    def references(self) -> list[str]:
        """The ids of items that the input names instead of giving them. Costs a pass over the input."""
        raw = self.fields.get("input")
        if raw is None or _start(raw)[:1] != b"[":
            return []
        try:
            return [item.id for item in _read_items(raw) if is_reference(item.type, item.role, item.id) and item.id]
        except codec.UNREADABLE:
            return []  # the input's reader says what is wrong with it


def _start(raw: Raw) -> bytes:
    """Enough to tell what kind of value it is, and whether it is an empty one."""
    return bytes(memoryview(raw)[:4])


def is_reference(kind: str | None, role: str | None, item_id: str | None) -> bool:
    """An item that only names another one. Its `type` may be left out."""
    return kind == "item_reference" or (kind is None and role is None and item_id is not None)


def read_request(body: bytes) -> ResponsesRequest:
    """Raises InvalidRequest, with `param` wherever one field is to blame."""
    fields = codec.fields(body, READ)
    given = _given(fields)
    request = ResponsesRequest(
        fields=fields,
        model=_read_model(fields),
        stream=given.get("stream") or False,
        max_tokens=given.get("max_output_tokens"),
        store=given.get("store"),
        background=given.get("background") or False,
        previous_response_id=given.get("previous_response_id"),
        conversation_id=given.get("conversation"),
        include=tuple(given.get("include") or ()),
    )
    _check_input(fields, request)
    if request.previous_response_id is not None and request.conversation_id is not None:
        raise InvalidRequest(
            "'previous_response_id' and 'conversation' exclude each other: send one of them.",
            code="mutually_exclusive_parameters",
            param="previous_response_id",
        )
    if request.background and request.store is False:
        raise InvalidRequest(
            "'background' needs 'store': what runs without you is fetched later.",
            code=INVALID_VALUE,
            param="background",
        )
    return request


class CompactRequest(Inbound, kw_only=True):
    """`POST /responses/compact`: a conversation to be made shorter. It is never streamed."""

    previous_response_id: str | None = None


def read_compact(body: bytes) -> CompactRequest:
    """Raises InvalidRequest, with `param` wherever one field is to blame."""
    fields = codec.fields(body, READ)
    previous = _given(fields).get("previous_response_id")
    if previous is None and _start(fields.get("input", Raw(_NULL))) in _NOTHING:
        raise InvalidRequest("One of 'input' and 'previous_response_id' is required.", code=MISSING, param="input")
    return CompactRequest(fields=fields, model=_read_model(fields), previous_response_id=previous)


class InputTokensRequest(Inbound, kw_only=True):
    """`POST /responses/input_tokens`: what a request's input would count."""

    previous_response_id: str | None = None
    conversation_id: str | None = None


def read_input_tokens(body: bytes) -> InputTokensRequest:
    """Raises InvalidRequest, with `param` wherever one field is to blame."""
    fields = codec.fields(body, READ)
    given = _given(fields)
    return InputTokensRequest(
        fields=fields,
        model=_read_model(fields),
        previous_response_id=given.get("previous_response_id"),
        conversation_id=given.get("conversation"),
    )


def _given(fields: Fields) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, raw in fields.items():
        if name in _OPTIONAL:
            read, sentence = _OPTIONAL[name]
            try:
                given[name] = read(raw)
            except codec.UNREADABLE as error:
                code = INVALID_TYPE if ", got `" in str(error) else INVALID_VALUE
                raise InvalidRequest(f"'{name}' must be {sentence}.", code=code, param=name) from None
    return given


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


def _check_input(fields: Fields, request: ResponsesRequest) -> None:
    raw = fields.get("input")
    if raw is None or _start(raw) in _NOTHING:
        goes_on = (
            request.previous_response_id or request.conversation_id or _start(fields.get("prompt", Raw(_NULL))) != _NULL
        )
        if not goes_on:
            raise InvalidRequest(
                "'input' is required: send a text or items, or go on from 'previous_response_id', 'conversation' or "
                "'prompt'.",
                code=MISSING,
                param="input",
            )
        return
    kind = _start(raw)[:1]
    if kind == b'"':
        return
    if kind != b"[" or (len(raw) > CHECKED_WHOLE_BYTES and _OUTLINE.match(memoryview(raw)) is None):
        raise InvalidRequest("'input' must be a string or an array of items.", code=INVALID_TYPE, param="input")
    if len(raw) <= CHECKED_WHOLE_BYTES:
        _check_items(raw)


_PLACE = re.compile(r"`\$(\[\d+\])?(?:\.(\w+))?")


def _check_items(raw: Raw) -> None:
    try:
        items = _read_items(raw)
    except (msgspec.ValidationError, RecursionError) as error:
        place = _PLACE.search(str(error))
        where = f"input{(place and place[1]) or ''}"
        if place and place[2]:
            where = f"{where}.{place[2]}"
            raise InvalidRequest(f"'{where}' must be a string.", code=INVALID_TYPE, param=where) from None
        raise InvalidRequest(f"'{where}' must be an object.", code=INVALID_TYPE, param=where) from None
    for index, item in enumerate(items):
        if item.type in (None, "message") and not is_reference(item.type, item.role, item.id):
            where = f"input[{index}].role"
            if item.role is None:
                raise InvalidRequest(f"'input[{index}]' needs a 'type' or a 'role'.", code=MISSING, param=where)
            if item.role not in _ROLES:
                raise InvalidRequest(
                    f"'{where}' must be user, assistant, system or developer.", code=INVALID_VALUE, param=where
                )


class _Error(msgspec.Struct):
    type: str
    message: str
    param: str | None
    code: str | None


class _ErrorEvent(msgspec.Struct, tag="error", tag_field="type"):
    """Both forms at once: the fields beside each other are the documented ones, the object is what OpenAI sends and
    what its SDKs raise (https://github.com/openai/openai-dotnet/issues/881)."""

    message: str
    param: str | None
    code: str | None
    sequence_number: int
    error: _Error


def error_event(type: str, message: str, param: str | None, code: str | None, sequence_number: int = 0) -> bytes:  # noqa: A002
    """The last event of a stream that failed."""
    error = _Error(type, message, param, code)
    return sse.named_event(b"error", encode(_ErrorEvent(message, param, code, sequence_number, error)))
