"""What a call used, as chat answers tell it."""

from __future__ import annotations

import msgspec

from trunkline.wire.codec import encode
from trunkline.wire.usage import Usage


class _PromptDetails(msgspec.Struct, omit_defaults=True):
    cached_tokens: int
    audio_tokens: int
    cache_write_tokens: int = 0


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int
    audio_tokens: int


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: _PromptDetails
    completion_tokens_details: _CompletionDetails


def usage_json(usage: Usage) -> bytes:
    return encode(
        _Usage(
            prompt_tokens=usage.input_tokens,
            completion_tokens=usage.output_tokens,
            total_tokens=usage.total_tokens,
            prompt_tokens_details=_PromptDetails(
                cached_tokens=usage.cached_input_tokens,
                audio_tokens=usage.input_audio_tokens,
                cache_write_tokens=usage.cache_write_tokens,
            ),
            completion_tokens_details=_CompletionDetails(
                reasoning_tokens=usage.reasoning_tokens, audio_tokens=usage.output_audio_tokens
            ),
        )
    )
