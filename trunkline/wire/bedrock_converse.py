"""Amazon Bedrock's Converse and ConverseStream: the request as far as it is read first, usage, events and failures.

Shapes: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
API_runtime_ConverseStream.html there, and the service model that AWS's own SDKs are made from:
https://github.com/boto/botocore/tree/develop/botocore/data/bedrock-runtime
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Raw

from trunkline.errors import InvalidRequest
from trunkline.wire import codec, eventstream
from trunkline.wire.codec import encode
from trunkline.wire.eventstream import Message
from trunkline.wire.inbound import Inbound
from trunkline.wire.provider_errors import MAX_MESSAGE, ErrorFacts
from trunkline.wire.usage import MAX_COUNT, Count, Usage, believed

Role = Literal["user", "assistant", "system"]
READ: Final = frozenset(("messages", "system", "inferenceConfig", "toolConfig"))


class _Message(msgspec.Struct, gc=False):
    role: Role
    content: list[Raw]


class _InferenceConfig(msgspec.Struct, gc=False):
    maxTokens: Annotated[int, Meta(ge=1)] | None = None  # noqa: N815 - the field's own name


_decode_messages = msgspec.json.Decoder(list[_Message]).decode
_decode_config = msgspec.json.Decoder(_InferenceConfig | None).decode


def read_request(body: bytes, model: str, *, stream: bool) -> Inbound:
    """Model and form of the answer stand in the path. Raises InvalidRequest naming the field."""
    fields = codec.fields(body, READ)
    if "messages" not in fields:
        raise InvalidRequest("'messages' is required.", code="missing_required_parameter", param="messages")
    try:
        _decode_messages(fields["messages"])
    except codec.UNREADABLE as error:
        raise InvalidRequest(f"'messages' is not a conversation: {error}.", param="messages") from None
    try:
        config = _decode_config(fields.get("inferenceConfig", Raw(b"null")))
    except codec.UNREADABLE as error:
        raise InvalidRequest(f"'inferenceConfig' makes no sense: {error}.", param="inferenceConfig") from None
    return Inbound(fields=fields, model=model, stream=stream, max_tokens=config.maxTokens if config else None)


class _CacheDetail(msgspec.Struct, gc=False):
    ttl: str
    inputTokens: Count  # noqa: N815 - the field's own name


class TokenUsage(msgspec.Struct, gc=False, rename="camel", omit_defaults=True):
    """`input_tokens` is what was neither read from a cache nor written to one:
    https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html"""

    input_tokens: Count
    output_tokens: Count
    total_tokens: Annotated[int, Meta(ge=0, le=2 * MAX_COUNT)] | None = None
    cache_read_input_tokens: Count | None = None
    cache_write_input_tokens: Count | None = None
    cache_details: list[_CacheDetail] | None = None


_decode_usage = msgspec.json.Decoder(TokenUsage).decode


def read_usage(raw: Raw) -> Usage | None:
    """None unless every count is a JSON integer from 0 to 10,000,000, and so is the whole input."""
    try:
        said = _decode_usage(raw)
    except codec.UNREADABLE:
        return None
    read, written = said.cache_read_input_tokens or 0, said.cache_write_input_tokens or 0
    return believed(
        said.input_tokens + read + written,
        said.output_tokens,
        cached=read,
        written=written,
        written_1h=sum(detail.inputTokens for detail in said.cache_details or () if detail.ttl == "1h"),
    )


def write_usage(usage: Usage | None) -> TokenUsage:
    """Zeros when the provider did not count: the field is required."""
    if usage is None:
        return TokenUsage(0, 0, 0)
    kept = usage.cache_write_1h_tokens
    details = [("1h", kept), ("5m", usage.cache_write_tokens - kept)]
    return TokenUsage(
        usage.fresh_input_tokens,
        usage.output_tokens,
        usage.total_tokens,
        usage.cached_input_tokens or None,
        usage.cache_write_tokens or None,
        [_CacheDetail(ttl, count) for ttl, count in details if count] or None,
    )


EXCEPTIONS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "accessdeniedexception": 403,
        "throttlingexception": 429,
        "resourcenotfoundexception": 404,
        "modeltimeoutexception": 408,
        "internalserverexception": 500,
        "serviceunavailableexception": 503,
        "validationexception": 400,
        "modelnotreadyexception": 429,
        "modelerrorexception": 424,
        "modelstreamerrorexception": 424,
    }
)
"""The documented status of each. A stream spells the names with a small first letter, other answers with a capital."""


class _Said(msgspec.Struct, gc=False):
    message: str = ""
    Message: str = ""


_decode_said = msgspec.json.Decoder(_Said).decode


def failure(message: Message) -> ErrorFacts | None:
    """What went wrong, when a message of the stream is no event but tells of a failure."""
    kind = message.text(":message-type")
    if kind in ("event", ""):
        return None
    name = message.text(":exception-type") or message.text(":error-code") or kind
    said = message.text(":error-message")
    try:
        told = _decode_said(message.payload)
        said = told.message or told.Message or said
    except codec.UNREADABLE:
        pass
    return ErrorFacts(message=said[:MAX_MESSAGE], type=name, code=name, status=EXCEPTIONS.get(name.lower()))


def event(name: str, payload: bytes) -> bytes:
    """One message of a stream."""
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return eventstream.write(headers, payload)


def exception(name: str, message: str) -> bytes:
    """The message that ends a stream which failed; `name` as in throttlingException."""
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return eventstream.write(headers, encode({"message": message}))
