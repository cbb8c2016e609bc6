"""OpenAI's Chat Completions: the whole answer, as far as the gateway reads it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from trunkline.errors import UpstreamFailed
from trunkline.wire import codec
from trunkline.wire.codec import encode
from trunkline.wire.provider_errors import ErrorFacts, error_in, is_error
from trunkline.wire.usage import MAX_COUNT, Count, Usage


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
        input_audio_tokens=prompt.audio_tokens or 0,
        output_audio_tokens=(completion.audio_tokens or 0) if completion else 0,
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
    if said.choices is None or is_error(said.error):
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
