"""OpenAI's Responses: the whole answer, as far as the gateway reads it."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from trunkline.errors import UpstreamFailed
from trunkline.wire import codec
from trunkline.wire.codec import encode
from trunkline.wire.provider_errors import ErrorFacts, error_in, is_error
from trunkline.wire.usage import Count, Usage


class _InputDetails(msgspec.Struct, gc=False):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None


class _OutputDetails(msgspec.Struct, gc=False):
    reasoning_tokens: Count | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: Count
    output_tokens: Count
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


_decode_usage = msgspec.json.Decoder(_Usage).decode
_NO_INPUT_DETAILS = _InputDetails()


def read_usage(raw: Raw) -> Usage | None:
    """None unless every count is a JSON integer from 0 to 10,000,000 and what was cached and written is no more than
    the input. A detail that is null was not counted."""
    try:
        return _usage(_decode_usage(raw))
    except codec.UNREADABLE:
        return None


def _usage(said: _Usage) -> Usage | None:
    details = said.input_tokens_details or _NO_INPUT_DETAILS
    cached, written = details.cached_tokens or 0, details.cache_write_tokens or 0
    if cached + written > said.input_tokens:
        return None
    output = said.output_tokens_details
    return Usage(
        input_tokens=said.input_tokens,
        output_tokens=said.output_tokens,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=(output.reasoning_tokens or 0) if output else 0,
    )


class _OutputItem(msgspec.Struct, gc=False):
    type: str


class _PlainAnswer(msgspec.Struct, gc=False):
    """Decodes those answers that need no second look, in one pass."""

    output: list[_OutputItem]
    usage: _Usage
    status: str | None = None
    error: None = None


class _Answer(msgspec.Struct, gc=False):
    output: list[_OutputItem] | None = None
    usage: Raw = Raw()
    status: str | None = None
    error: Raw = Raw()


class Answer(msgspec.Struct, frozen=True):
    """A whole answer's facts. `error` is set when the provider tells of a failure in an answer of status 200."""

    usage: Usage | None = None
    error: ErrorFacts | None = None


_decode_plain_answer = msgspec.json.Decoder(_PlainAnswer).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode
_FAILED = frozenset(("failed", "cancelled"))


def read_answer(body: bytes) -> Answer:
    """Raises UpstreamFailed when it is no response at all."""
    try:
        if not body.isascii():
            body.decode()
        said = _decode_plain_answer(body)
    except codec.UNREADABLE:
        return _read_odd_answer(body)
    return _read_odd_answer(body) if said.status in _FAILED else Answer(_usage(said.usage))


def _read_odd_answer(body: bytes) -> Answer:
    """An answer without usage or with one that makes no sense, an error, or nothing that can be read."""
    try:
        body.decode()
        said = _decode_answer(body)
    except codec.UNREADABLE:
        raise UpstreamFailed("The provider's answer is not a response.") from None
    usage = read_usage(said.usage) if said.usage else None
    if said.output is None or is_error(said.error) or said.status in _FAILED:
        facts = error_in(codec.answer_fields(body) or {})
        if facts is None and said.output is None:
            raise UpstreamFailed("The provider's answer is not a response: it has no output.")
        return Answer(usage, facts or ErrorFacts(message=f"The response has the status {said.status}."))
    return Answer(usage)


def with_model(body: bytes, model: str) -> bytes:
    """A whole answer that names `model`, every other value as it came."""
    fields = codec.answer_fields(body)
    if fields is None:
        return body
    fields["model"] = Raw(encode(model))
    return encode(fields)
