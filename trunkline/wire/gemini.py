"""Google's Gemini: the request as far as the gateway reads it, its paths, its errors.

Fields and ranges are those of https://ai.google.dev/api/generate-content. As Google does with any JSON, names are read
in camelCase and in snake_case, numbers may be strings, and one object may stand where a list of them is meant
(https://protobuf.dev/programming-guides/json/, and the examples of the reference). Sentences about a field are in
Google's spelling: `contents[0].parts`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote, unquote

import msgspec
from msgspec import Meta, Raw

from trunkline.errors import InvalidRequest
from trunkline.wire import codec, sse
from trunkline.wire.codec import Fields, encode
from trunkline.wire.inbound import Inbound

Method = Literal["generateContent", "streamGenerateContent", "countTokens"]

MAX_MODEL_NAME: Final = 1024
# As for chat: beyond this size only the outline of the contents is checked here.
CHECKED_WHOLE_BYTES: Final = 16 * 1024
MOST_CANDIDATES: Final = 8
MISSING: Final = "missing_required_parameter"
INVALID_TYPE: Final = "invalid_type"
INVALID_VALUE: Final = "invalid_value"
# All of them in lower case: other letters are another name here.
READ: Final = frozenset(("contents",))

# google-genai asks for v1 since its 3.0, for v1beta before, and for v1alpha when told to. What OpenAI's clients ask for
# under /v1/models has no method behind a colon.
_PATH = re.compile(r"/v1(?:beta|alpha)?/models/(.+):(generateContent|streamGenerateContent|countTokens)")
_OUTLINE = re.compile(rb"\[[ \t\r\n]*\{|\{")

STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
"""https://cloud.google.com/apis/design/errors, and for what is not there the nearest."""


class GeminiRequest(Inbound, kw_only=True):
    """`fields` is the body, which names no model. `n` is the number of candidates asked for. `sse`: a stream is to be
    events; else it is one JSON array (gemini_array.py)."""

    sse: bool = True
    n: int = 1


class _Content(msgspec.Struct, gc=False):
    role: Literal["user", "model", "function", ""] | None = None
    parts: list[Raw] | dict[str, Raw] | None = None


_Tokens = Annotated[float, Meta(ge=1, le=2**31 - 1)] | None
_Candidates = Annotated[float, Meta(ge=1, le=MOST_CANDIDATES)] | None


class _Config(msgspec.Struct, gc=False, rename="camel"):
    """What limits what a call may cost, and what every provider would refuse."""

    max_output_tokens: _Tokens = None
    snake_max_output_tokens: _Tokens = msgspec.field(default=None, name="max_output_tokens")
    candidate_count: _Candidates = None
    snake_candidate_count: _Candidates = msgspec.field(default=None, name="candidate_count")
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None


_decode_contents = msgspec.json.Decoder(list[_Content] | _Content).decode
_decode_config = msgspec.json.Decoder(_Config | None, strict=False).decode
_decode_request_of_count = msgspec.json.Decoder(dict[str, Raw]).decode


def read_request(body: bytes, model: str, *, stream: bool = False, sse: bool = True) -> GeminiRequest:
    """`model` and `stream` are the path's, `sse` is its `alt=sse`. Raises InvalidRequest, with `param` wherever one
    field is to blame."""
    return _read(codec.fields(body, READ), model, GeminiRequest(fields={}, model=model, stream=stream, sse=sse))


def read_count_request(body: bytes, model: str) -> GeminiRequest:
    """The same for a count of tokens. What is counted is in `contents`, or a whole request in `generateContentRequest`:
    https://ai.google.dev/api/tokens"""
    fields = codec.fields(body, READ)
    whole = fields.get("generateContentRequest") or fields.get("generate_content_request")
    if whole is not None:
        if "contents" in fields:
            raise InvalidRequest(
                "* CountTokensRequest: only one of contents and generate_content_request may be set.",
                code=INVALID_VALUE,
                param="generateContentRequest",
            )
        fields = codec.fields(bytes(whole), READ, within="generateContentRequest")
        fields.pop("model", None)
    return _read(fields, model, GeminiRequest(fields={}, model=model))


def _read(fields: Fields, model: str, request: GeminiRequest) -> GeminiRequest:
    if not model or len(model) > MAX_MODEL_NAME:
        raise InvalidRequest(
            f"The model in the path must be a name of 1 to {MAX_MODEL_NAME:,} characters.",
            code=INVALID_VALUE,
            param="model",
        )
    _check_contents(fields)
    for name in ("generationConfig", "generation_config"):
        if (raw := fields.get(name)) is not None:
            _read_config(raw, name, request)
    request.fields = fields
    return request


def _check_contents(fields: Fields) -> None:
    raw = fields.get("contents")
    if raw is None or bytes(memoryview(raw)[:4]) == b"null":
        sentence = "* GenerateContentRequest.contents: contents is not specified"
        raise InvalidRequest(sentence, code=MISSING, param="contents")
    if len(raw) > CHECKED_WHOLE_BYTES:
        if _OUTLINE.match(memoryview(raw)) is None:
            raise InvalidRequest(
                "Invalid value at 'contents': must be a list of contents.", code=INVALID_TYPE, param="contents"
            )
        return
    try:
        contents = _decode_contents(raw)
    except codec.UNREADABLE as error:
        raise wrong(error, "contents") from None
    if contents == []:
        sentence = "* GenerateContentRequest.contents: contents is not specified"
        raise InvalidRequest(sentence, code=INVALID_VALUE, param="contents")


def _read_config(raw: Raw, name: str, request: GeminiRequest) -> None:
    try:
        config = _decode_config(raw)
    except codec.UNREADABLE as error:
        raise wrong(error, name) from None
    if config is None:
        return
    limits = {
        "maxOutputTokens": config.max_output_tokens or config.snake_max_output_tokens,
        "candidateCount": config.candidate_count or config.snake_candidate_count,
    }
    for field, value in limits.items():
        if value is not None and not value.is_integer():
            raise InvalidRequest(
                f"Invalid value at '{name}.{field}': not a whole number.", code=INVALID_TYPE, param=f"{name}.{field}"
            )
    tokens, candidates = limits.values()
    request.max_tokens = int(tokens) if tokens is not None else None
    request.n = int(candidates or 1)


# How msgspec's sentences end: "... - at `$[1].parts[0].text`".
_PLACE = re.compile(r"(?s)(.*) - at `(?:key in )?\$([^`]*)`")


def wrong(error: Exception, within: str) -> InvalidRequest:
    """The decoder's sentence with the place in front, as Google spells places."""
    place = _PLACE.match(str(error))
    sentence, path = (place[1], place[2]) if place else (str(error), "")
    param = within + path.replace("[...]", "[]")
    code = INVALID_TYPE if ", got `" in sentence else INVALID_VALUE
    return InvalidRequest(f"Invalid value at '{param}': {sentence[:300]}", code=code, param=param)


def path(model: str, *, stream: bool) -> bytes:
    """Of a call under the base URL. Providers are always asked for events, which is what `alt=sse` does.

    Raises InvalidRequest for a name that would mean another path.
    """
    return _segment(model) + (b":streamGenerateContent?alt=sse" if stream else b":generateContent")


def count_path(model: str) -> bytes:
    return _segment(model) + b":countTokens"


def _segment(model: str) -> bytes:
    if model in ("", ".", ".."):
        raise InvalidRequest(f"'{model}' cannot be a model's name.", param="model")
    return b"/models/" + quote(model, safe="").encode("ascii")


def read_path(path: str) -> tuple[str, Method] | None:
    """(model, method) of a caller's path; None for any other path. A model may hold slashes, plain or as %2F."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    method: Any = found[2]
    return unquote(found[1]), method


class _ErrorInfo(msgspec.Struct, rename={"type": "@type"}):
    reason: str
    metadata: dict[str, str]
    type: str = "type.googleapis.com/google.rpc.ErrorInfo"
    domain: str = "trunkline"


class _Error(msgspec.Struct, omit_defaults=True):
    code: int
    message: str
    status: str
    details: list[_ErrorInfo] = []


class _ErrorBody(msgspec.Struct):
    error: _Error


def error_body(status: int, message: str, reason: str | None = None, said: Mapping[str, object] | None = None) -> bytes:
    """Google's envelope. `status` is that of the answer. What is `said` beside the message goes into an ErrorInfo:
    https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto"""
    name = STATUSES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    error = _Error(status, message, name)
    if said is not None:
        error.details = [_ErrorInfo(reason or name, {key: _text(value) for key, value in said.items()})]
    return encode(_ErrorBody(error))


def _text(value: object) -> str:
    return bytes(value).decode() if isinstance(value, Raw) else "" if value is None else str(value)


def error_event(
    status: int, message: str, reason: str | None = None, said: Mapping[str, object] | None = None
) -> bytes:
    """The last event of a stream that failed."""
    return sse.frame([error_body(status, message, reason, said)])
