"""OpenAI's Responses: the whole answer, as far as the gateway reads it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from trunkline.errors import UpstreamFailed
from trunkline.wire import billing, codec, seen
from trunkline.wire.codec import encode
from trunkline.wire.provider_errors import ErrorFacts, error_in, is_error
from trunkline.wire.usage import MAX_COUNT, Count, Usage, believed, tier_of


class _InputDetails(msgspec.Struct, gc=False):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None


class _OutputDetails(msgspec.Struct, gc=False):
    reasoning_tokens: Count | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: Count
    output_tokens: Count
    total_tokens: Annotated[int, Meta(ge=0, le=2 * MAX_COUNT)] | msgspec.UnsetType = msgspec.UNSET
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


_decode_usage = msgspec.json.Decoder(_Usage).decode
_NO_INPUT_DETAILS = _InputDetails()


def read_usage(raw: Raw) -> Usage | None:
    """None unless every count is a JSON integer from 0 to 10,000,000 and they agree. A detail that is null was not
    counted."""
    try:
        return _usage(_decode_usage(raw))
    except codec.UNREADABLE:
        return None


def _usage(said: _Usage) -> Usage | None:
    details = said.input_tokens_details or _NO_INPUT_DETAILS
    output = said.output_tokens_details
    return believed(
        said.input_tokens,
        said.output_tokens,
        cached=details.cached_tokens,
        written=details.cache_write_tokens,
        reasoning=output.reasoning_tokens if output else None,
    )


def write_usage(usage: Usage) -> bytes:
    """All that this protocol tells of it, and what it cost once that is known."""
    fields: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }
    if usage.cost_nanos is not None:
        fields["cost"] = usage.cost
    return encode(fields)


class _OutputItem(msgspec.Struct, gc=False):
    type: str


class _PlainAnswer(msgspec.Struct, gc=False):
    """Decodes those answers that need no second look, in one pass."""

    output: list[_OutputItem]
    usage: _Usage
    id: codec.Label | None = None
    service_tier: codec.Label | None = None
    status: str | None = None
    error: None = None


class _Answer(msgspec.Struct, gc=False):
    output: list[_OutputItem] | None = None
    usage: Raw = Raw()
    id: Raw = Raw()
    service_tier: Raw = Raw()
    status: str | None = None
    error: Raw = Raw()


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A whole answer's facts. `error` is set when the provider tells of a failure in an answer of status 200.
    `finish_reason` is the response's status."""

    usage: Usage | None = None
    error: ErrorFacts | None = None
    response_id: str | None = None
    finish_reason: str | None = None


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
    if said.status in _FAILED:
        return _read_odd_answer(body)
    usage = _usage(said.usage)
    if usage is not None:
        usage.service_tier = tier_of(said.service_tier)
    return Answer(usage, None, said.id, said.status)


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
    if usage is not None:
        usage.service_tier = tier_of(codec.text_of(said.service_tier))
    return Answer(usage, None, codec.text_of(said.id), said.status)


class _Counted(msgspec.Struct, gc=False):
    usage: Raw = Raw()


_decode_counted = msgspec.json.Decoder(_Counted).decode


def billed(body: bytes, usage: Usage, *, replaced: bool) -> bytes:
    """A whole response, alone or as an event carries it, with what it cost. `replaced`: the provider gave no usage that
    counts, and `usage` is shown in its place."""
    said = _decode_counted(body).usage
    return billing.with_usage(body, b"usage", said, usage, write_usage(usage) if replaced or not said else None)


def estimated_output(body: bytes) -> int:
    """A whole response's tokens, about, where the provider did not count them."""
    return seen.whole_answer(body, "output")


def with_model(body: bytes, model: str) -> bytes:
    """A whole answer that names `model`, every other value as it came."""
    fields = codec.answer_fields(body)
    if fields is None:
        return body
    fields["model"] = Raw(encode(model))
    return encode(fields)
