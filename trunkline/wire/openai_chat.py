"""OpenAI's Chat Completions: the request as far as the gateway reads it, the whole answer, and errors.

Types and ranges of the request's fields are those of OpenAI's published OpenAPI description (2.3.0). Fields that are
not read here cross untouched; so does everything below the top level.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw

from trunkline.errors import InvalidRequest, UpstreamFailed
from trunkline.wire import codec, sse
from trunkline.wire.codec import Fields, encode

T = TypeVar("T")

MAX_MODEL_NAME = 1024
MAX_COUNT = 10_000_000
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


class ChatRequest(msgspec.Struct, kw_only=True):
    """`fields` is the whole top level in the caller's order, each value as he wrote it. `max_tokens` is the larger of
    his two maximum fields, None when he gave none. `stream_options` are his, None when absent or null."""

    fields: Fields
    model: str
    stream: bool = False
    include_usage: bool = False
    n: int = 1
    max_tokens: int | None = None
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


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens as the provider counted them. `input_tokens` includes those read from and written to a cache,
    `output_tokens` those spent on reasoning."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


_Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None


class _CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: _Count | None = None


class _Usage(msgspec.Struct, gc=False):
    """`prompt_cache_hit_tokens` is DeepSeek's name, `cached_tokens` beside the counts is Moonshot's."""

    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: Annotated[int, Meta(ge=0, le=2 * MAX_COUNT)] | msgspec.UnsetType = msgspec.UNSET
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: _Count | None = None
    cached_tokens: _Count | None = None


_decode_usage = msgspec.json.Decoder(_Usage).decode
_NO_PROMPT_DETAILS = _PromptDetails()


def read_usage(raw: Raw) -> Usage | None:
    """None unless every count is a JSON integer from 0 to 10,000,000 and what was cached and written is no more than
    the prompt. A detail that is null was not counted."""
    try:
        return _usage(_decode_usage(raw))
    except codec.UNREADABLE:
        return None


def _usage(said: _Usage) -> Usage | None:
    prompt = said.prompt_tokens_details or _NO_PROMPT_DETAILS
    completion = said.completion_tokens_details
    cached = prompt.cached_tokens
    if cached is None:
        cached = said.prompt_cache_hit_tokens if said.prompt_cache_hit_tokens is not None else said.cached_tokens
    written = prompt.cache_write_tokens or 0
    if (cached or 0) + written > said.prompt_tokens:
        return None
    return Usage(
        input_tokens=said.prompt_tokens,
        output_tokens=said.completion_tokens,
        cached_input_tokens=cached or 0,
        cache_write_tokens=written,
        reasoning_tokens=(completion.reasoning_tokens or 0) if completion else 0,
    )


class _AnswerChoice(msgspec.Struct, gc=False):
    pass


class _PlainAnswer(msgspec.Struct, gc=False):
    """Decodes those answers that need no second look, in one pass."""

    choices: list[_AnswerChoice]
    usage: _Usage
    error: None = None


class _Answer(msgspec.Struct, gc=False):
    choices: list[_AnswerChoice] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()


class ErrorFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider said went wrong, as it said it: the message may hold anything and is at most 4,096 characters.
    `status` is an HTTP status that the body itself names."""

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    status: int | None = None


class Answer(msgspec.Struct, frozen=True):
    """A whole answer's facts. `error` is set when the provider hid a failure in an answer of status 200."""

    usage: Usage | None = None
    error: ErrorFacts | None = None


_decode_plain_answer = msgspec.json.Decoder(_PlainAnswer).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode


def read_answer(body: bytes) -> Answer:
    """Raises UpstreamFailed when it is no chat completion at all."""
    try:
        if not body.isascii():
            body.decode()
        return Answer(_usage(_decode_plain_answer(body).usage))
    except codec.UNREADABLE:
        return _read_odd_answer(body)


def _read_odd_answer(body: bytes) -> Answer:
    """An answer without usage or with one that makes no sense, an error, or nothing that can be read."""
    try:
        body.decode()
        said = _decode_answer(body)
    except codec.UNREADABLE:
        raise UpstreamFailed("The provider's answer is not a chat completion.") from None
    if said.choices is None or _is_error(said.error):
        facts = error_in(codec.answer_fields(body) or {})
        if facts is None:
            raise UpstreamFailed("The provider's answer is not a chat completion: it has no choices.")
        return Answer(None, facts)
    return Answer(read_usage(said.usage) if said.usage else None)


def with_model(body: bytes, model: str) -> bytes:
    """A whole answer that names `model`, every other value as it came."""
    fields = codec.answer_fields(body)
    if fields is None:
        return body
    fields["model"] = Raw(encode(model))
    return encode(fields)


_NO_ERROR = frozenset((b"", b"null", b"false", b"{}", b'""', b"[]", b"0"))
MAX_MESSAGE = 4096


def _is_error(raw: Raw) -> bool:
    return bool(raw) and bytes(raw) not in _NO_ERROR


def error_in(fields: Fields) -> ErrorFacts | None:
    """The failure that an answer or an event tells of, in any of the dialects seen; None when it tells of none."""
    error = fields.get("error")
    if error is not None and _is_error(error):
        return _facts(_loosely(error), fields)
    if fields.get("choices") is not None:
        return None
    if "detail" in fields:
        return _facts({"message": _detail(_loosely(fields["detail"]))}, fields)
    if "message" in fields and "id" not in fields:
        return _facts({name: _loosely(raw) for name, raw in fields.items()}, fields)
    return None


def read_error(body: bytes) -> ErrorFacts:
    """The body of any answer that is not a success, in whatever form it came:

    OpenAI's and Anthropic's envelopes; `{"error": "text"}` (mlx_lm, Ollama); `{"detail": text or list}` (FastAPI);
    `{"message": text}` (Mistral, older vLLM); `[{"error": {...}}]` (Gemini); plain text; an HTML page.
    """
    fields = codec.answer_fields(body)
    if fields is None:
        values = _loosely(body)
        if isinstance(values, list) and values and isinstance(values[0], dict):
            fields = codec.answer_fields(encode(values[0]))
    if fields is not None:
        return error_in(fields) or ErrorFacts(message="")
    return ErrorFacts(message=_plain_text(body))


def _loosely(raw: Raw | bytes) -> Any:
    """Any JSON, as Python's own types; None when it cannot be read."""
    try:
        return msgspec.json.decode(raw)
    except codec.UNREADABLE:
        return None


def _facts(said: Any, fields: Fields) -> ErrorFacts:
    if not isinstance(said, dict):
        said = {"message": said}
    code = said.get("code", _loosely(fields["code"]) if "code" in fields else None)
    status = said.get("status", _loosely(fields["status"]) if "status" in fields else None)
    number = next((n for n in (code, status) if isinstance(n, int) and 400 <= n <= 599), None)
    if number is None and isinstance(code, str) and re.fullmatch("[45][0-9][0-9]", code):
        number = int(code)
    message = said.get("message")
    if not isinstance(message, str):
        message = _detail(message) if message is not None else ""
    return ErrorFacts(
        message=message[:MAX_MESSAGE],
        type=_short(said.get("type")),
        code=_short(code),
        param=_short(said.get("param")),
        status=number,
    )


def _short(value: Any) -> str | None:
    if isinstance(value, str):
        return value[:256] or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _detail(value: Any) -> str:
    """FastAPI's `detail`: a sentence, or a list of what was wrong where."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        return "; ".join(f"{_place(part.get('loc'))}: {part.get('msg', '')}".lstrip(": ") for part in value)
    return encode(value).decode() if value is not None else ""


def _place(loc: Any) -> str:
    return ".".join(map(str, loc)) if isinstance(loc, list) else ""


_TITLE = re.compile(r"<(?:title|h1)[^>]*>(.*?)</", re.IGNORECASE | re.DOTALL)


def _plain_text(body: bytes) -> str:
    """Plain text as it is; of an HTML page its title."""
    text = body[: 4 * MAX_MESSAGE].decode("utf-8", "replace").strip()
    if text.startswith("<"):
        title = _TITLE.search(text)
        text = html.unescape(re.sub(r"<[^>]*>", " ", title[1])).strip() if title else ""
    return text[:MAX_MESSAGE]


class _Error(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class _ErrorBody(msgspec.Struct):
    error: _Error


def error_body(type: str, message: str, param: str | None, code: str | None) -> bytes:  # noqa: A002 - the field's name
    """OpenAI's envelope; all four keys are always there."""
    return encode(_ErrorBody(_Error(message, type, param, code)))


def error_event(type: str, message: str, param: str | None, code: str | None) -> bytes:  # noqa: A002
    """The last event of a stream that failed; no `[DONE]` follows it."""
    return sse.frame([error_body(type, message, param, code)])
