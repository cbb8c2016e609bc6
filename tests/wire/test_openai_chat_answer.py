"""Whole answers: what is read of them, and what makes no sense."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.completion_usage import CompletionUsage

from tests.translation import strategies
from trunkline.errors import UpstreamFailed
from trunkline.wire import openai_chat_answer
from trunkline.wire.openai_chat_answer import read_answer
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.usage import Usage

counts = st.integers(0, 10_000_000)


@given(counts, counts, counts, counts, counts)
def test_valid_usage_is_read_as_reported(prompt: int, output: int, cached: int, written: int, thought: int) -> None:
    raw = msgspec.json.encode(
        {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": thought},
        }
    )
    usage = openai_chat_answer.read_usage(msgspec.Raw(raw))
    if cached + written <= prompt:
        assert usage == Usage(
            input_tokens=prompt,
            output_tokens=output,
            cached_input_tokens=cached,
            cache_write_tokens=written,
            reasoning_tokens=min(thought, output),
        )
    else:
        assert usage is None


BASE_USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


@pytest.mark.parametrize("wrong", ["9", 9.0, 9.5, True, None, -1, 10_000_001, [9]])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens", "total_tokens"])
def test_one_count_that_is_no_count_makes_usage_absent(name: str, wrong: Any) -> None:
    if name == "total_tokens" and wrong == 10_000_001:
        wrong = 20_000_001
    assert openai_chat_answer.read_usage(msgspec.Raw(msgspec.json.encode(BASE_USAGE | {name: wrong}))) is None


@pytest.mark.parametrize(
    ("more", "cached"),
    [
        ({"prompt_tokens_details": None, "completion_tokens_details": None}, 0),
        ({"prompt_tokens_details": {"cached_tokens": None}}, 0),
        ({"prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5}, 4),
        ({"cached_tokens": 3}, 3),
        ({"prompt_tokens_details": {"cached_tokens": 2}, "prompt_cache_hit_tokens": 4}, 2),
    ],
)
def test_cached_tokens_in_every_dialect(more: dict[str, Any], cached: int) -> None:
    usage = openai_chat_answer.read_usage(msgspec.Raw(msgspec.json.encode(BASE_USAGE | more)))
    assert usage == Usage(input_tokens=9, output_tokens=2, cached_input_tokens=cached)


def answer(**more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "héllo"}, "finish_reason": "stop"}
    return msgspec.json.encode({"id": "chatcmpl-1", "model": "m-1", "choices": [choice], "usage": BASE_USAGE} | more)


def test_a_whole_answers_facts() -> None:
    said = read_answer(answer())
    assert said == openai_chat_answer.Answer(Usage(input_tokens=9, output_tokens=2), None, "chatcmpl-1", "stop")
    assert read_answer(answer(usage=None)).usage is None
    assert read_answer(answer(usage={"prompt_tokens": "9"})).usage is None
    hollow: list[Any] = [None, "", {}, False]
    for nothing in hollow:
        assert read_answer(answer(error=nothing)).error is None


def test_a_failure_inside_an_answer_of_status_200() -> None:
    said = read_answer(b'{"error":{"message":"no luck","code":503,"type":"server_error"}}')
    assert said.error == ErrorFacts(message="no luck", type="server_error", code="503", status=503)
    assert read_answer(answer(error="boom")).error == ErrorFacts(message="boom")


@pytest.mark.parametrize("data", [b"", b"[]", b"<html>", b"{}", b'{"choices":3}', b'{"choices":[3]}', b'{"a":"\xff"}'])
def test_what_is_no_answer_is_the_providers_failure(data: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        read_answer(data)


def test_an_answer_can_show_another_name() -> None:
    renamed = openai_chat_answer.with_model(answer(), "fast")
    assert renamed == answer().replace(b'"model":"m-1"', b'"model":"fast"')


@given(strategies.usages())
def test_usage_reads_as_it_was_written(usage: Usage) -> None:
    written = openai_chat_answer.write_usage(usage)
    CompletionUsage.model_validate(msgspec.json.decode(written))
    assert openai_chat_answer.read_usage(msgspec.Raw(written)) == usage


def test_what_was_kept_for_an_hour_is_not_told_apart_and_no_write_is_not_told() -> None:
    usage = Usage(input_tokens=9, output_tokens=8, cache_write_tokens=5, cache_write_1h_tokens=5, input_audio_tokens=4)
    told = msgspec.json.decode(openai_chat_answer.write_usage(usage))["prompt_tokens_details"]
    assert told == {"cached_tokens": 0, "audio_tokens": 4, "cache_write_tokens": 5}
    plain = openai_chat_answer.write_usage(Usage(input_tokens=1, output_tokens=1))
    assert "cache_write_tokens" not in msgspec.json.decode(plain)["prompt_tokens_details"]


def test_a_cost_is_told_last_and_only_once_it_is_known() -> None:
    usage = Usage(input_tokens=1, output_tokens=1)
    assert b"cost" not in openai_chat_answer.write_usage(usage)
    known = msgspec.structs.replace(usage, cost_nanos=1_500_000_000)
    assert openai_chat_answer.write_usage(known).endswith(b',"cost":1.5}')
    assert openai_chat_answer.read_usage(msgspec.Raw(openai_chat_answer.write_usage(known))) == usage


def test_an_answer_without_usage_can_be_weighed() -> None:
    assert openai_chat_answer.estimated_output(answer()) == 2
