"""Google's Gemini: the whole answer and its usage, as far as the gateway reads them.

Shapes: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse and the `google-genai` package's
types.py (GenerateContentResponseUsageMetadata).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from trunkline.errors import UpstreamFailed
from trunkline.wire import billing, codec, seen
from trunkline.wire.codec import encode
from trunkline.wire.provider_errors import ErrorFacts, error_in
from trunkline.wire.usage import MAX_COUNT, Count, Usage, believed, tier_of


class _Modality(msgspec.Struct, gc=False, rename="camel"):
    modality: str = ""
    token_count: Count = 0


class UsageMetadata(msgspec.Struct, gc=False, rename="camel"):
    """A count of nothing is left out. `candidates_token_count` is without thoughts, `prompt_token_count` with what was
    cached and without what the provider's own tools put in (`tool_use_prompt_token_count`)."""

    prompt_token_count: Count
    candidates_token_count: Count | None = None
    thoughts_token_count: Count | None = None
    cached_content_token_count: Count | None = None
    tool_use_prompt_token_count: Count | None = None
    total_token_count: Annotated[int, Meta(ge=0, le=2 * MAX_COUNT)] | None = None
    prompt_tokens_details: list[_Modality] | None = None
    candidates_tokens_details: list[_Modality] | None = None
    service_tier: str | None = None


_decode_usage = msgspec.json.Decoder(UsageMetadata).decode


def read_usage(raw: Raw) -> Usage | None:
    """None unless every count is a JSON integer from 0 to 10,000,000 and they agree."""
    try:
        return usage_of(_decode_usage(raw))
    except codec.UNREADABLE:
        return None


def usage_of(said: UsageMetadata) -> Usage | None:
    """None unless the counts agree."""
    thought = said.thoughts_token_count or 0
    whole_input = said.prompt_token_count + (said.tool_use_prompt_token_count or 0)
    whole_output = (said.candidates_token_count or 0) + thought
    usage = believed(
        whole_input,
        whole_output,
        cached=said.cached_content_token_count,
        reasoning=thought,
        input_audio=_of_kind(said.prompt_tokens_details, "AUDIO"),
        output_audio=_of_kind(said.candidates_tokens_details, "AUDIO"),
        input_image=_of_kind(said.prompt_tokens_details, "IMAGE"),
        output_image=_of_kind(said.candidates_tokens_details, "IMAGE"),
    )
    if usage is not None and said.service_tier is not None:
        usage.service_tier = tier_of(said.service_tier.lower())
    return usage


def _of_kind(details: list[_Modality] | None, modality: str) -> int:
    return sum([one.token_count for one in details if one.modality == modality]) if details else 0


class _WrittenModality(msgspec.Struct, rename="camel"):
    modality: str
    token_count: int


class _WrittenUsage(msgspec.Struct, rename="camel", omit_defaults=True):
    """A count of nothing is left out, as Google does."""

    prompt_token_count: int
    total_token_count: int
    candidates_token_count: int = 0
    thoughts_token_count: int = 0
    cached_content_token_count: int = 0
    prompt_tokens_details: list[_WrittenModality] = []
    candidates_tokens_details: list[_WrittenModality] = []


def write_usage(usage: Usage) -> bytes:
    """All that this protocol tells of it; its cost is no part of that."""
    thought = min(usage.reasoning_tokens, usage.output_tokens)
    written = _WrittenUsage(
        prompt_token_count=usage.input_tokens,
        candidates_token_count=usage.output_tokens - thought,
        thoughts_token_count=thought,
        cached_content_token_count=usage.cached_input_tokens,
        total_token_count=usage.total_tokens,
    )
    written.prompt_tokens_details = _by_modality(usage.input_tokens, usage.input_audio_tokens)
    if usage.output_audio_tokens:
        written.candidates_tokens_details = _by_modality(usage.output_tokens - thought, usage.output_audio_tokens)
    return encode(written)


def _by_modality(whole: int, sound: int) -> list[_WrittenModality]:
    counts = [_WrittenModality("TEXT", max(0, whole - sound)), _WrittenModality("AUDIO", sound)]
    return [one for one in counts if one.token_count]


class _Feedback(msgspec.Struct, gc=False, rename="camel"):
    block_reason: str | None = None


class _Candidate(msgspec.Struct, gc=False, rename="camel"):
    finish_reason: Raw = Raw()


class _Answer(msgspec.Struct, gc=False, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: Raw = Raw()
    response_id: Raw = Raw()
    error: None = None


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A whole answer's facts. `error` is set when the provider hid a failure in an answer of status 200.
    `finish_reason` is that of the first candidate."""

    usage: Usage | None = None
    error: ErrorFacts | None = None
    response_id: str | None = None
    finish_reason: str | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode


def read_answer(body: bytes) -> Answer:
    """A prompt that was blocked has no candidates, and is an answer. Raises UpstreamFailed when it is none at all."""
    try:
        if not body.isascii():
            body.decode()
        said = _decode_answer(body)
    except codec.UNREADABLE:
        said = _Answer()
    if not said.candidates and said.prompt_feedback is None:
        facts = error_in(codec.answer_fields(body) or {})
        if facts is None:
            raise UpstreamFailed("The provider's answer is not one of generateContent.")
        return Answer(None, facts)
    usage = read_usage(said.usage_metadata) if said.usage_metadata else None
    finish = said.candidates[0].finish_reason if said.candidates else Raw()
    return Answer(usage, None, codec.text_of(said.response_id), codec.text_of(finish))


class _Counted(msgspec.Struct, gc=False, rename="camel"):
    usage_metadata: Raw = Raw()


_decode_counted = msgspec.json.Decoder(_Counted).decode


def billed(body: bytes, usage: Usage, *, replaced: bool) -> bytes:
    """A whole answer that `read_answer` took; what it cost is not told in it. `replaced`: the provider gave no usage
    that counts; `usage` is shown in its place."""
    said = _decode_counted(body).usage_metadata
    return billing.with_field(body, b"usageMetadata", said, write_usage(usage)) if replaced or not said else body


def estimated_output(body: bytes) -> int:
    """A whole answer's tokens, about, where the provider did not count them."""
    return seen.whole_answer(body, "candidates")


def with_model(body: bytes, model: str) -> bytes:
    """An answer or a chunk that names `model`, every other value as it came."""
    fields = codec.answer_fields(body)
    if fields is None:
        return body
    fields["modelVersion"] = Raw(encode(model))
    return encode(fields)


class _TokenCount(msgspec.Struct, gc=False, rename="camel"):
    total_tokens: Count = 0


_decode_token_count = msgspec.json.Decoder(_TokenCount).decode


def read_count(body: bytes) -> int:
    """The answer to a count of tokens. Raises UpstreamFailed when it is none."""
    try:
        if b'"totalTokens"' in body:
            return _decode_token_count(body).total_tokens
    except codec.UNREADABLE:
        pass
    raise UpstreamFailed("The provider's answer is not a count of tokens.")


def count_body(tokens: int) -> bytes:
    return encode(_TokenCount(tokens))
