"""OpenAI's Chat Completions: the whole answer, as far as the gateway reads it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from trunkline.errors import UpstreamFailed
from trunkline.wire import billing, codec, seen
from trunkline.wire.codec import encode
from trunkline.wire.provider_errors import ErrorFacts, error_in, is_error
from trunkline.wire.usage import MAX_COUNT, Count, Usage, believed, tier_of


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    audio_tokens: Count | None = None


class _CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: Count | None = None
    audio_tokens: Count | None = None


class _Usage(msgspec.Struct, gc=False):
    """`prompt_cache_hit_tokens` is DeepSeek's name, `cached_tokens` beside the counts is Moonshot's."""

    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Annotated[int, Meta(ge=0, le=2 * MAX_COUNT)] | msgspec.UnsetType = msgspec.UNSET
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: Count | None = None
    cached_tokens: Count | None = None


_decode_usage = msgspec.json.Decoder(_Usage).decode
_NO_PROMPT_DETAILS = _PromptDetails()


def read_usage(raw: Raw) -> Usage | None:
    """None unless every count is a JSON integer from 0 to 10,000,000 and they agree. A detail that is null was not
    counted."""
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
    return believed(
        said.prompt_tokens,
        said.completion_tokens,
        cached=cached,
        written=prompt.cache_write_tokens,
        reasoning=completion.reasoning_tokens if completion else None,
        input_audio=prompt.audio_tokens,
        output_audio=completion.audio_tokens if completion else None,
    )


class _WrittenPromptDetails(msgspec.Struct, omit_defaults=True):
    cached_tokens: int
    audio_tokens: int
    cache_write_tokens: int = 0


class _WrittenCompletionDetails(msgspec.Struct):
    reasoning_tokens: int
    audio_tokens: int


class _WrittenUsage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: _WrittenPromptDetails
    completion_tokens_details: _WrittenCompletionDetails
    cost: Raw | msgspec.UnsetType = msgspec.UNSET


def write_usage(usage: Usage) -> bytes:
    """All that this protocol tells of it, and what it cost once that is known."""
    return encode(
        _WrittenUsage(
            prompt_tokens=usage.input_tokens,
            completion_tokens=usage.output_tokens,
            total_tokens=usage.total_tokens,
            prompt_tokens_details=_WrittenPromptDetails(
                cached_tokens=usage.cached_input_tokens,
                audio_tokens=usage.input_audio_tokens,
                cache_write_tokens=usage.cache_write_tokens,
            ),
            completion_tokens_details=_WrittenCompletionDetails(
                reasoning_tokens=usage.reasoning_tokens, audio_tokens=usage.output_audio_tokens
            ),
            cost=usage.cost,
        )
    )


class _AnswerChoice(msgspec.Struct, gc=False):
    finish_reason: codec.Label | None = None


class _OddChoice(msgspec.Struct, gc=False):
    finish_reason: Raw = Raw()


class _PlainAnswer(msgspec.Struct, gc=False):
    """Decodes those answers that need no second look, in one pass."""

    choices: list[_AnswerChoice]
    usage: _Usage
    id: codec.Label | None = None
    service_tier: codec.Label | None = None
    error: None = None


class _Answer(msgspec.Struct, gc=False):
    choices: list[_OddChoice] | None = None
    usage: Raw = Raw()
    id: Raw = Raw()
    service_tier: Raw = Raw()
    error: Raw = Raw()


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A whole answer's facts. `error` is set when the provider hid a failure in an answer of status 200.
    `finish_reason` is that of the first choice."""

    usage: Usage | None = None
    error: ErrorFacts | None = None
    response_id: str | None = None
    finish_reason: str | None = None


_decode_plain_answer = msgspec.json.Decoder(_PlainAnswer).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode


def read_answer(body: bytes) -> Answer:
    """Raises UpstreamFailed when it is no chat completion at all."""
    try:
        if not body.isascii():
            body.decode()
        said = _decode_plain_answer(body)
    except codec.UNREADABLE:
        return _read_odd_answer(body)
    usage = _usage(said.usage)
    if usage is not None and said.service_tier is not None:
        usage.service_tier = tier_of(said.service_tier)
    return Answer(usage, None, said.id, said.choices[0].finish_reason if said.choices else None)


def _read_odd_answer(body: bytes) -> Answer:
    """An answer without usage or with one that makes no sense, an error, or nothing that can be read."""
    try:
        body.decode()
        said = _decode_answer(body)
    except codec.UNREADABLE:
        raise UpstreamFailed("The provider's answer is not a chat completion.") from None
    if said.choices is None or is_error(said.error):
        facts = error_in(codec.answer_fields(body) or {})
        if facts is None:
            raise UpstreamFailed("The provider's answer is not a chat completion: it has no choices.")
        return Answer(None, facts)
    usage = read_usage(said.usage) if said.usage else None
    if usage is not None:
        usage.service_tier = tier_of(codec.text_of(said.service_tier))
    finish = said.choices[0].finish_reason if said.choices else Raw()
    return Answer(usage, None, codec.text_of(said.id), codec.text_of(finish))


class _Counted(msgspec.Struct, gc=False):
    usage: Raw = Raw()


_decode_counted = msgspec.json.Decoder(_Counted).decode


def billed(body: bytes, usage: Usage, *, replaced: bool) -> bytes:
    """A whole answer that `read_answer` took, with what it cost. `replaced`: the provider gave no usage that counts;
    `usage` is shown in its place."""
    said = _decode_counted(body).usage
    return billing.with_usage(body, b"usage", said, usage, write_usage(usage) if replaced or not said else None)


def estimated_output(body: bytes) -> int:
    """A whole answer's tokens, about, where the provider did not count them."""
    return seen.whole_answer(body, "choices")


def with_model(body: bytes, model: str) -> bytes:
    """A whole answer that names `model`, every other value as it came."""
    fields = codec.answer_fields(body)
    if fields is None:
        return body
    fields["model"] = Raw(encode(model))
    return encode(fields)
