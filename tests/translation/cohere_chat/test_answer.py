"""Whole answers that are none; the others are held to streams in test_translator."""

from __future__ import annotations

import msgspec
import pytest

from tests.translation.cohere_chat.exchanges import CORPUS, TARGET
from trunkline.errors import UpstreamFailed, UpstreamTimeout
from trunkline.translation.cohere_chat.answer import read_answer
from trunkline.translation.exchange import Text, ToolCall, Usage


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "not one of Cohere's chat"),
        (b'{"id":"x"}', "not one of Cohere's chat"),
        (b'{"message":"invalid api token"}', "invalid api token"),
        (b'{"message":{"content":"\xff"}}', "not one of Cohere's chat"),
    ],
)
def test_what_is_no_answer_fails(body: bytes, sentence: str) -> None:
    with pytest.raises(UpstreamFailed, match=sentence):
        read_answer(body, TARGET)


def test_an_answer_that_finished_with_an_error_fails() -> None:
    with pytest.raises(UpstreamFailed) as failed:
        read_answer(b'{"finish_reason":"ERROR","message":{}}', TARGET)
    assert (failed.value.status, failed.value.code) == (500, "ERROR")
    with pytest.raises(UpstreamTimeout):
        read_answer(b'{"finish_reason":"TIMEOUT","message":{"content":[]}}', TARGET)


def test_a_plan_is_said_before_its_calls() -> None:
    answer = read_answer((CORPUS / "tools.answer.json").read_bytes(), TARGET)
    (choice,) = answer.choices
    plan, weather, now = choice.parts
    assert plan == Text(text="I will look it up.")
    assert isinstance(weather, ToolCall)
    assert weather.arguments == '{\n    "location": "Köln"\n}'
    assert now == ToolCall(id="now_x1", name="now", arguments="{}")
    assert choice.stop == "tool"
    assert answer.usage == Usage(input_tokens=4, output_tokens=9, cached_input_tokens=2)


def test_probabilities_are_in_openais_form() -> None:
    (choice,) = read_answer((CORPUS / "logprobs.answer.json").read_bytes(), TARGET).choices
    assert choice.logprobs is not None
    assert [token["token"] for token in msgspec.json.decode(choice.logprobs)] == ["Hi", " thére"]
