"""Tokens as chat tells them: what was cached is part of the prompt."""

from __future__ import annotations

import msgspec
from hypothesis import given
from openai.types.completion_usage import CompletionUsage

from tests.translation import strategies
from trunkline.translation.openai_chat.usage import usage_json
from trunkline.wire.openai_chat_answer import read_usage
from trunkline.wire.usage import Usage


@given(strategies.usages())
def test_usage_reads_as_it_was_written(usage: Usage) -> None:
    written = usage_json(usage)
    CompletionUsage.model_validate(msgspec.json.decode(written))
    assert read_usage(msgspec.Raw(written)) == usage


def test_sound_is_counted_too() -> None:
    usage = Usage(input_tokens=9, output_tokens=8, input_audio_tokens=4, output_audio_tokens=3)
    assert read_usage(msgspec.Raw(usage_json(usage))) == usage


def test_what_was_kept_for_an_hour_is_not_told_apart() -> None:
    usage = Usage(input_tokens=9, output_tokens=1, cache_write_tokens=5, cache_write_1h_tokens=5)
    told = msgspec.json.decode(usage_json(usage))
    assert told["prompt_tokens_details"]["cache_write_tokens"] == 5
    assert (
        "cache_write_tokens"
        not in msgspec.json.decode(usage_json(Usage(input_tokens=1, output_tokens=1)))["prompt_tokens_details"]
    )
