"""The whole answer of Gemini: its usage, the failures it hides, counts of tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from trunkline.errors import UpstreamFailed
from trunkline.wire.gemini_answer import (
    billed,
    count_body,
    estimated_output,
    read_answer,
    read_count,
    read_usage,
    with_model,
)
from trunkline.wire.usage import Usage

CORPUS = Path(__file__).parent.parent / "corpus" / "gemini"


def usage(**said: Any) -> Usage | None:
    return read_usage(Raw(msgspec.json.encode(said)))


def test_thoughts_are_output_and_what_tools_put_in_is_input() -> None:
    sound = [{"modality": "TEXT", "tokenCount": 1}, {"modality": "AUDIO", "tokenCount": 4}]
    assert usage(
        promptTokenCount=20,
        cachedContentTokenCount=8,
        toolUsePromptTokenCount=5,
        candidatesTokenCount=6,
        thoughtsTokenCount=40,
        totalTokenCount=71,
        promptTokensDetails=sound,
        candidatesTokensDetails=sound,
        trafficType="ON_DEMAND",
    ) == Usage(
        input_tokens=25,
        output_tokens=46,
        cached_input_tokens=8,
        reasoning_tokens=40,
        input_audio_tokens=4,
        output_audio_tokens=4,
    )
    assert usage(promptTokenCount=3) == Usage(input_tokens=3, output_tokens=0)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"promptTokenCount": -1},
        {"promptTokenCount": "3"},
        {"promptTokenCount": 3, "cachedContentTokenCount": 4},
        {"promptTokenCount": 10_000_000, "toolUsePromptTokenCount": 1},
        {"promptTokenCount": 1, "candidatesTokenCount": 9_999_999, "thoughtsTokenCount": 2},
    ],
)
def test_counts_that_cannot_be_are_none(said: dict[str, Any]) -> None:
    assert usage(**said) is None


def test_every_whole_answer_of_the_corpus_is_one() -> None:
    answers = {path.name.split(".")[0]: read_answer(path.read_bytes()) for path in CORPUS.glob("*.answer.json")}
    assert len(answers) > 15
    assert all(answer.error is None for answer in answers.values())
    assert {name for name, answer in answers.items() if answer.usage is None} == {
        "no_usage",
        "bad_usage",
        "without_ids",
    }
    assert answers["thoughts"].usage == Usage(
        input_tokens=20, output_tokens=46, cached_input_tokens=8, reasoning_tokens=40
    )


def test_a_hidden_failure() -> None:
    answer = read_answer(b'{"error":{"code":503,"message":"Busy","status":"UNAVAILABLE"}}')
    assert answer.error is not None
    assert (answer.error.message, answer.error.status) == ("Busy", 503)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"candidates":[]}', b'{"usageMetadata":{}}', b'{"candidates":1}', b"\xff"]
)
def test_what_is_no_answer(data: bytes) -> None:
    with pytest.raises(UpstreamFailed, match="not one of generateContent"):
        read_answer(data)


def test_the_model_may_have_another_name() -> None:
    data = b'{"candidates": [1.0], "modelVersion": "a", "responseId": "r"}'
    assert with_model(data, "b") == b'{"candidates":[1.0],"modelVersion":"b","responseId":"r"}'
    assert with_model(b"[]", "b") == b"[]"


def test_counts_of_tokens() -> None:
    assert count_body(7) == b'{"totalTokens":7}'
    assert read_count(b'{"totalTokens": 7, "promptTokensDetails": []}') == 7
    for data in (b"", b"{}", b'{"totalTokens":-1}', b'{"totalTokens":"x"}'):
        with pytest.raises(UpstreamFailed, match="not a count"):
            read_count(data)


def test_pictures_are_counted_apart() -> None:
    told = usage(
        promptTokenCount=300,
        candidatesTokenCount=1300,
        promptTokensDetails=[{"modality": "IMAGE", "tokenCount": 258}],
        candidatesTokensDetails=[{"modality": "IMAGE", "tokenCount": 1290}],
    )
    assert told == Usage(input_tokens=300, output_tokens=1300, input_image_tokens=258, output_image_tokens=1290)


def test_usage_of_ours_takes_the_place_of_what_does_not_count_and_tells_no_cost() -> None:
    ours = Usage(input_tokens=9, output_tokens=8, reasoning_tokens=3, input_audio_tokens=2, cost_nanos=5)
    body = b'{"candidates":[{}],"usageMetadata":{"promptTokenCount":"9"}}'
    written = billed(body, ours, replaced=True)
    assert read_answer(written).usage == msgspec.structs.replace(ours, cost_nanos=None)
    assert b"cost" not in written
    assert billed(body, ours, replaced=False) == body


def test_an_answer_without_usage_can_be_weighed() -> None:
    said = [{"content": {"parts": [{"text": "12345678"}, {"functionCall": {"name": "f", "args": {"a": 1}}}]}}]
    assert estimated_output(msgspec.json.encode({"candidates": said})) == 4
