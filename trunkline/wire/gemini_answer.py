"""Google's Gemini: the whole answer and its usage, as far as the gateway reads them.

Shapes: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse and the `google-genai` package's
types.py (GenerateContentResponseUsageMetadata).
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from trunkline.errors import UpstreamFailed
from trunkline.wire import codec
from trunkline.wire.codec import encode
from trunkline.wire.provider_errors import ErrorFacts, error_in
from trunkline.wire.usage import MAX_COUNT, Count, Usage


class _Modality(msgspec.Struct, gc=False, rename="camel"):
    modality: str = ""
    token_count: Count = 0


class _Usage(msgspec.Struct, gc=False, rename="camel"):
    """A count of nothing is left out. `candidates_token_count` is without thoughts, `prompt_token_count` with what was
    cached and without what the provider's own tools put in (`tool_use_prompt_token_count`)."""

    prompt_token_count: Count
    candidates_token_count: Count | None = None
    thoughts_token_count: Count | None = None
    cached_content_token_count: Count | None = None
    tool_use_prompt_token_count: Count | None = None
    prompt_tokens_details: list[_Modality] | None = None
    candidates_tokens_details: list[_Modality] | None = None


_decode_usage = msgspec.json.Decoder(_Usage).decode


def read_usage(raw: Raw) -> Usage | None:
    """None unless every count is a JSON integer from 0 to 10,000,000 and no more was cached than the prompt has."""
    try:
        said = _decode_usage(raw)
    except codec.UNREADABLE:
        return None
    cached = said.cached_content_token_count or 0
    thought = said.thoughts_token_count or 0
    whole_input = said.prompt_token_count + (said.tool_use_prompt_token_count or 0)
    whole_output = (said.candidates_token_count or 0) + thought
    if cached > whole_input or max(whole_input, whole_output) > MAX_COUNT:
        return None
    return Usage(
        input_tokens=whole_input,
        output_tokens=whole_output,
        cached_input_tokens=cached,
        reasoning_tokens=thought,
        input_audio_tokens=_sound(said.prompt_tokens_details, whole_input),
        output_audio_tokens=_sound(said.candidates_tokens_details, whole_output),
    )


def _sound(details: list[_Modality] | None, most: int) -> int:
    return min(sum(one.token_count for one in details or () if one.modality == "AUDIO"), most)


class _Feedback(msgspec.Struct, gc=False, rename="camel"):
    block_reason: str | None = None


class _Answer(msgspec.Struct, gc=False, rename="camel"):
    candidates: list[Raw] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: Raw = Raw()
    error: None = None


class Answer(msgspec.Struct, frozen=True):
    """A whole answer's facts. `error` is set when the provider hid a failure in an answer of status 200."""

    usage: Usage | None = None
    error: ErrorFacts | None = None


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
    return Answer(read_usage(said.usage_metadata) if said.usage_metadata else None)


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
