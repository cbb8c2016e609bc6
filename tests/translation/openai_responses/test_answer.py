"""Whole answers: what a provider says is read whole, what the caller gets is a complete Response object."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from msgspec import Raw

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.openai_responses.exchanges import SCOPE, TARGET, asked, plain, response_of
from trunkline.errors import UpstreamFailed
from trunkline.translation import envelope
from trunkline.translation.exchange import (
    Answer,
    Choice,
    Media,
    Opaque,
    Reasoning,
    Refusal,
    State,
    Text,
    ToolCall,
    Usage,
)
from trunkline.translation.openai_responses.answer import read_answer, write_answer, write_kept
from trunkline.translation.openai_responses.losses import LOSSES
from trunkline.translation.openai_responses.response import Identity
from trunkline.translation.openai_responses.state import visible
from trunkline.wire.codec import encode

IDENTITY = Identity(response_id="resp_kept", created_at=5)


def answer(*parts: Any, **fields: Any) -> Answer:
    return Answer(
        id="chatcmpl-1", model="m", created=7, choices=[Choice(parts=list(parts), **{"stop": "end", **fields})]
    )


def output(told: Answer, request: Any = None) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = response_of(write_answer(told, request or plain()))["output"]
    return items


@given(strategies.answers(SCOPE))
@settings(max_examples=examples(60))
def test_an_answer_that_went_out_reads_the_same(told: Answer) -> None:
    """But for state, which is wrapped, and what an item without a place of its own says."""
    back = read_answer(write_answer(told, plain()), TARGET)
    assert (back.model, back.created, back.usage) == (told.model, told.created, told.usage)
    (choice,) = back.choices
    expected: list[Any] = []
    for part in told.choices[0].parts:
        if isinstance(part, Reasoning):
            part.state = part.state and State("made-by", envelope.wrap(part.state))
        image = Opaque("openai_responses", Raw(b""), "image_generation_call")
        expected.append(image if isinstance(part, Media) else part)
        if isinstance(part, ToolCall) and part.state is not None:
            carried = envelope.wrap(State(part.state.origin, f"call:{part.id}:{part.state.data}"))
            expected.append(Reasoning(state=State("made-by", carried)))
            part.state = None
    for part in choice.parts:
        if isinstance(part, Opaque):
            part.raw = Raw(b"")
        if isinstance(part, Reasoning) and part.state is not None:
            part.state = State("made-by", part.state.data.partition(".")[2])
    assert msgspec.to_builtins([_plain(part) for part in choice.parts]) == msgspec.to_builtins(
        [_plain(part) for part in expected]
    )
    assert choice.stop == told.choices[0].stop or (choice.stop, told.choices[0].stop) in [
        ("tool", "end"),
        ("length", "length"),
    ]


def _plain(part: Any) -> Any:
    return (part.protocol, part.kind) if isinstance(part, Opaque) else part


@given(strategies.answers(SCOPE))
@settings(max_examples=examples(60))
def test_what_is_kept_holds_all_state_and_shows_what_was_shown(told: Answer) -> None:
    for request in (plain(shown=False, state_wanted=False), plain(state_wanted=False), plain()):
        kept = write_kept(told, request, IDENTITY)
        shown = msgspec.json.decode(write_answer(told, request, IDENTITY))
        assert msgspec.json.decode(visible(kept, state=request.reasoning.state_wanted)) == shown
        wrapped = {
            envelope.wrap(part.state)
            for part in told.choices[0].parts
            if isinstance(part, Reasoning) and part.state is not None
        }
        assert all(state.encode() in kept for state in wrapped)


def test_every_echo_is_there() -> None:
    whole = response_of(write_answer(answer(Text(text="Hi")), asked()))
    required = (
        "id object created_at error incomplete_details instructions model tools output parallel_tool_calls metadata "
        "tool_choice temperature top_p completed_at previous_response_id truncation text presence_penalty "
        "frequency_penalty top_logprobs reasoning usage max_output_tokens max_tool_calls store background service_tier "
        "safety_identifier prompt_cache_key status"
    )
    assert set(required.split()) == set(whole)


def test_what_was_asked_is_repeated_as_it_was() -> None:
    fields: dict[str, Any] = {
        "instructions": "Be brief.",
        "max_output_tokens": 100,
        "max_tool_calls": 2,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "service_tier": "flex",
        "store": False,
        "temperature": 0.25,
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "tool_choice": {"type": "function", "name": "add"},
        "tools": [
            {"type": "function", "name": "add", "parameters": {"type": "object"}, "strict": True, "description": "a"},
            {"type": "web_search"},
            {"type": "namespace", "name": "n", "description": "N.", "tools": [{"type": "function", "name": "f"}]},
        ],
        "top_logprobs": 3,
        "top_p": 0.5,
        "truncation": "auto",
        "user": "u",
    }
    whole = response_of(write_answer(answer(Text(text="Hi")), asked(**fields, reasoning={"effort": "high"})))
    assert {name: whole[name] for name in fields} == fields
    assert whole["reasoning"] == {"effort": "high", "summary": None}


def test_a_function_says_all_that_the_description_requires() -> None:
    whole = response_of(write_answer(answer(), asked(tools=[{"type": "function", "name": "a"}])))
    assert whole["tools"] == [
        {"type": "function", "name": "a", "description": None, "parameters": None, "strict": None}
    ]


def test_a_request_of_no_body_is_repeated_from_what_it_means() -> None:
    request = plain(summary="auto")
    request.temperature, request.max_tokens = 0.5, 20
    whole = response_of(write_answer(answer(Text(text="Hi")), request))
    assert (whole["temperature"], whole["max_output_tokens"], whole["tool_choice"]) == (0.5, 20, "auto")
    assert whole["reasoning"] == {"effort": None, "summary": "auto"}


def test_usage_is_there_even_when_nothing_is_known() -> None:
    assert response_of(write_answer(answer(), plain()))["usage"]["total_tokens"] == 0
    told = answer()
    told.usage = Usage(input_tokens=5, output_tokens=2, cached_input_tokens=3, cache_write_tokens=1, reasoning_tokens=1)
    assert response_of(write_answer(told, plain()))["usage"] == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 1},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 7,
    }


def test_texts_that_follow_each_other_are_one_message_and_reasoning_parts_them() -> None:
    parts = [Text(text="a"), Refusal("b"), Reasoning(text="hm"), Text(text="c")]
    assert [item["type"] for item in output(answer(*parts))] == ["message", "reasoning", "message"]
    assert [item["type"] for item in output(answer(*parts), plain(shown=False))] == ["message", "message"]


@pytest.mark.parametrize("stop", ["length", "filter"])
def test_the_last_item_of_a_cut_answer_is_incomplete(stop: Any) -> None:
    items = output(answer(Text(text="a"), ToolCall(id="c", name="f"), stop=stop))
    assert [item["status"] for item in items] == ["completed", "incomplete"]


def test_what_has_no_place_in_an_answer_is_left_out() -> None:
    """The lines of the table that are of answers."""
    parts = [
        Text(text="a", citations=Raw(b'[{"type":"char_location"}]'), state=State("g", "s")),
        Media(kind="audio", data="AA"),
        Opaque("anthropic_messages", Raw(b"{}"), "server_tool_use"),
    ]
    told = answer(*parts, stop="stop_sequence", stop_sequence="END")
    told.choices.append(Choice(parts=[Text(text="second")], stop="end"))
    whole = response_of(write_answer(told, plain()))
    (item,) = whole["output"]
    assert item["content"] == [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}]
    assert whole["status"] == "completed"
    assert response_of(write_answer(answer(stop="pause"), plain()))["status"] == "completed"
    assert {loss.name for loss in LOSSES if loss.direction == "answer"} == {
        "media.*",
        "citations",
        "text.state",
        "stop_sequence",
        "pause",
        "choices",
        "*",
    }


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"<html>", "not a response"),
        (b'{"id":"x"}', "no output"),
        (b'{"output":[{"id":"x"}]}', "without a type"),
        (b'{"output":[{"type":"message","content":5}]}', "message"),
        (b'{"output":[],"status":"failed","error":{"code":"server_error","message":"broken"}}', "broken"),
        (b'{"output":[],"status":"queued"}', "not a response"),
        (b'{"output":"\xff"}', "not a response"),
    ],
)
def test_what_is_no_answer_is_refused(body: bytes, sentence: str) -> None:
    with pytest.raises(UpstreamFailed, match=sentence):
        read_answer(body, TARGET)


def test_a_provider_that_says_little_is_understood() -> None:
    body = {"output": [{"type": "function_call", "id": "fc_1", "name": "f", "arguments": "{}"}], "created_at": 1.0}
    told = read_answer(encode(body), TARGET)
    assert told.choices == [Choice(parts=[ToolCall(id="fc_1", name="f", arguments="{}")], stop="tool")]
    assert (told.usage, told.created) == (None, 1)


def test_logprobs_are_one_list() -> None:
    token = {"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []}
    content = [{"type": "output_text", "text": "a", "annotations": [], "logprobs": [token]}] * 2
    (choice,) = read_answer(encode({"output": [{"type": "message", "content": content}]}), TARGET).choices
    assert choice.logprobs is not None
    assert msgspec.json.decode(choice.logprobs) == [token, token]
