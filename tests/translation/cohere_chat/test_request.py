"""The rest of a request for Cohere."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from msgspec import Raw

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.cohere_chat.exchanges import SAYABLE, TARGET, ToldLosses, request, target, written
from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import (
    Opaque,
    OutputFormat,
    ReasoningAsked,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from trunkline.translation.target import Target

SCHEMA = Raw(b'{"type":"object"}')
FORM = OutputFormat(kind="json_schema", name="n", schema=SCHEMA, strict=True)
WEATHER, NOW = Tool(name="weather", description="d", parameters=SCHEMA, strict=True), Tool(name="now")


def test_a_question_is_all_that_is_sent() -> None:
    assert written(request(stream=True)) == {
        "model": "command-a-03-2025",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }


def test_tools() -> None:
    losses = ToldLosses()
    body = written(request(tools=[WEATHER, NOW]), losses=losses)
    assert body["tools"] == [
        {"type": "function", "function": {"name": "weather", "description": "d", "parameters": {"type": "object"}}},
        {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
    ]
    assert "strict_tools" not in body
    assert losses.told == {("tools.strict", "changed")}
    assert written(request(tools=[WEATHER]))["strict_tools"] is True


@pytest.mark.parametrize(
    ("choice", "names", "said", "lost"),
    [
        (ToolChoice(mode="auto"), ["weather", "now"], None, set()),
        (ToolChoice(mode="none"), ["weather", "now"], "NONE", set()),
        (ToolChoice(mode="required"), ["weather", "now"], "REQUIRED", set()),
        (ToolChoice(mode="required", names=("now",)), ["now"], "REQUIRED", {("tool_choice", "changed")}),
        (ToolChoice(mode="auto", names=("now", "weather")), ["weather", "now"], None, set()),
    ],
)
def test_choices(choice: ToolChoice, names: list[str], said: str | None, lost: set[tuple[str, str]]) -> None:
    losses = ToldLosses()
    body = written(
        request(tools=[msgspec.structs.replace(WEATHER, strict=None), NOW], tool_choice=choice), TARGET, losses
    )
    assert [tool["function"]["name"] for tool in body["tools"]] == names
    assert body.get("tool_choice") == said
    assert losses.told == lost


def test_a_forced_choice_that_cannot_be_kept_is_refused() -> None:
    hosted: list[Tool | Opaque] = [Opaque("x", Raw(b"{}"), "search"), Tool(name="c", custom=True)]
    with pytest.raises(InvalidRequest, match="none of the tools can be sent"):
        written(request(tools=hosted, tool_choice=ToolChoice(mode="required")))
    losses = ToldLosses()
    assert "tool_choice" not in written(request(tools=hosted, tool_choice=ToolChoice(mode="auto")), losses=losses)
    assert losses.told == {("tools.search", "dropped"), ("tools.custom", "dropped")}


@pytest.mark.parametrize(
    ("more", "sent", "lost"),
    [
        ({"temperature": 0.5, "seed": 3, "max_tokens": 9}, {"temperature": 0.5, "seed": 3, "max_tokens": 9}, set()),
        ({"top_p": 1}, {"p": 0.99}, {("top_p", "clamped")}),
        ({"top_p": 0.5, "top_k": 600}, {"p": 0.5, "k": 500}, {("top_k", "clamped")}),
        ({"frequency_penalty": -1.0}, {"frequency_penalty": 0}, {("frequency_penalty", "clamped")}),
        ({"presence_penalty": 2.0}, {"presence_penalty": 1}, {("presence_penalty", "clamped")}),
        ({"stop": list("abcdef")}, {"stop_sequences": list("abcde")}, {("stop", "clamped")}),
        ({"logprobs": True, "top_logprobs": 3}, {"logprobs": True}, {("top_logprobs", "dropped")}),
        ({"service_tier": "default"}, {}, set()),
        ({"service_tier": "flex"}, {}, {("service_tier", "dropped")}),
    ],
)
def test_parameters(more: dict[str, Any], sent: dict[str, Any], lost: set[tuple[str, str]]) -> None:
    losses = ToldLosses()
    body = written(request(**more), losses=losses)
    del body["model"], body["messages"]
    assert body == sent
    assert losses.told == lost


def test_a_form_of_the_answer() -> None:
    told = {"type": "json_object", "json_schema": {"type": "object"}}
    assert written(request(output_format=FORM))["response_format"] == told
    assert written(request(output_format=OutputFormat(kind="json_object")))["response_format"] == {
        "type": "json_object"
    }
    assert "response_format" not in written(request(output_format=OutputFormat(kind="text")))


@pytest.mark.parametrize(
    ("more", "to"), [({"tools": [NOW]}, TARGET), ({}, target(json_schema=False))], ids=["tools", "cannot"]
)
def test_a_form_that_cannot_be_sent_is_asked_for_in_words(more: dict[str, Any], to: Target) -> None:
    turns = [Turn(role="system", parts=[Text(text="Be kind")]), Turn(role="user", parts=[Text(text="Hi")])]
    body = written(request(*turns, output_format=FORM, **more), to)
    assert "response_format" not in body
    assert [message["role"] for message in body["messages"]] == ["system", "system", "user"]
    assert body["messages"][1]["content"].endswith('{"type":"object"}')


@pytest.mark.parametrize(
    ("asked", "to", "more", "thinking", "lost"),
    [
        (ReasoningAsked(), TARGET, {}, None, set()),
        (ReasoningAsked(effort="low"), TARGET, {}, {"type": "enabled", "token_budget": 2048}, set()),
        (ReasoningAsked(enabled=True), TARGET, {}, {"type": "enabled"}, set()),
        (ReasoningAsked(effort="max"), TARGET, {}, {"type": "enabled"}, set()),
        (ReasoningAsked(budget_tokens=50), TARGET, {"max_tokens": 51}, {"type": "enabled", "token_budget": 50}, set()),
        (
            ReasoningAsked(effort="high"), TARGET, {"max_tokens": 4000},
            {"type": "enabled", "token_budget": 3000}, {("reasoning", "clamped")},
        ),
        (ReasoningAsked(enabled=False), TARGET, {}, None, set()),
        (ReasoningAsked(enabled=False), target(upstream="command-a-reasoning"), {}, {"type": "disabled"}, set()),
        (ReasoningAsked(effort="none"), target(thinking="budget"), {}, {"type": "disabled"}, set()),
        (ReasoningAsked(effort="low"), target(thinking="never"), {}, None, {("reasoning", "dropped")}),
        (ReasoningAsked(enabled=False), target(thinking="always"), {}, None, {("reasoning", "dropped")}),
        (ReasoningAsked(enabled=False), target(thinking="never"), {}, None, set()),
    ],
)  # fmt: skip
def test_thinking(
    asked: ReasoningAsked,
    to: Target,
    more: dict[str, Any],
    thinking: dict[str, Any] | None,
    lost: set[tuple[str, str]],
) -> None:
    losses = ToldLosses()
    assert written(request(reasoning=asked, **more), to, losses).get("thinking") == thinking
    assert losses.told == lost


def test_fields_of_cohere_are_sent_on_from_any_caller_and_others_are_named() -> None:
    losses = ToldLosses()
    extras = {"safety_mode": Raw(b'"STRICT"'), "documents": Raw(b'["a"]'), "prediction": Raw(b"{}")}
    body = written(request(extras=extras), losses=losses)
    assert (body["safety_mode"], body["documents"]) == ("STRICT", ["a"])
    assert losses.told == {("prediction", "dropped")}


def test_what_a_model_refuses_is_dropped_by_either_name() -> None:
    losses = ToldLosses()
    to = target(drops=("top_p", "stop_sequences", "output_format", "messages"))
    body = written(request(top_p=0.5, stop=["a"], output_format=FORM), to, losses)
    assert body.keys() == {"model", "messages"}
    assert losses.told == {("top_p", "dropped"), ("stop_sequences", "dropped"), ("output_format", "dropped")}


def test_one_answer_a_call() -> None:
    with pytest.raises(InvalidRequest, match="'n' must be 1"):
        written(request(n=2))


@settings(max_examples=examples(40))
@given(strategies.requests(SAYABLE, ()))
def test_every_word_call_and_result_arrives(asked: Request) -> None:
    body = written(asked)
    assert written(asked) == body, "equal requests are equal bodies"
    sent = msgspec.json.encode(body["messages"]).decode()
    answers: list[str] = []
    for turn in asked.turns:
        for part in turn.parts:
            inner = part.parts if isinstance(part, ToolResult) else [part]
            for one in inner:
                if isinstance(one, Text):
                    assert msgspec.json.encode(one.text).decode()[1:-1] in sent
                if isinstance(one, ToolCall):
                    answers.append(one.arguments)
    calls = [call for message in body["messages"] for call in message.get("tool_calls", ())]
    assert [call["function"]["arguments"] for call in calls] == answers
