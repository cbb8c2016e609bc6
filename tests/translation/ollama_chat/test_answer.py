"""Whole answers that are none, and those of servers without ids; the others are held to streams in test_translator."""

from __future__ import annotations

import pytest

from tests.translation.ollama_chat.exchanges import CORPUS, PROVIDER, TARGET, target
from trunkline.errors import UpstreamFailed
from trunkline.translation.exchange import Media, Reasoning, State, ToolCall, Usage
from trunkline.translation.ollama_chat.answer import picture, read_answer


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "not one of Ollama's chat"),
        (b"[]", "not one of Ollama's chat"),
        (b'{"done":true}', "has no message"),
        (b'{"error":"model not found"}', "model not found"),
        (b'{"message":{"content":"\xff"}}', "not one of Ollama's chat"),
    ],
)
def test_what_is_no_answer_fails(body: bytes, sentence: str) -> None:
    with pytest.raises(UpstreamFailed, match=sentence):
        read_answer(body, TARGET)


def test_calls_without_ids_get_some_and_keep_their_arguments() -> None:
    answer = read_answer((CORPUS / "tools_without_ids.answer.json").read_bytes(), TARGET)
    calls = [part for part in answer.choices[0].parts if isinstance(part, ToolCall)]
    assert [call.arguments for call in calls] == ['{"city":"Köln"}', '{"city":"Bonn"}']
    assert len({call.id for call in calls}) == 2
    assert all(call.id.startswith("call_") for call in calls)
    assert answer.choices[0].stop == "tool"


def test_who_when_and_how_much() -> None:
    answer = read_answer((CORPUS / "text.answer.json").read_bytes(), TARGET)
    assert (answer.id, answer.model, answer.created) == ("", "qwen3:8b", 1779922497)
    assert answer.usage == Usage(input_tokens=26, output_tokens=237)


def test_reasoning_is_kept_for_a_provider_that_wants_it_back() -> None:
    body = (CORPUS / "thinking.answer.json").read_bytes()
    told = "Rayleigh scattering."
    assert read_answer(body, TARGET).choices[0].parts[0] == Reasoning(text=told)
    kept = read_answer(body, target(returns_reasoning=True)).choices[0].parts[0]
    assert kept == Reasoning(text=told, state=State(PROVIDER, told))


def test_a_pictures_type_is_known_by_how_it_begins() -> None:
    assert picture("/9j/AAAA") == Media(kind="image", media_type="image/jpeg", data="/9j/AAAA")
    assert picture("AAAA").media_type == "image/png"
