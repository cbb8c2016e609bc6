"""The rest of a request for Ollama."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from msgspec import Raw

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.ollama_chat.exchanges import SAYABLE, TARGET, ToldLosses, request, target, written
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
)
from trunkline.translation.ollama_chat.vocabulary import mended
from trunkline.translation.target import Target

SCHEMA = Raw(b'{"type":"object"}')
WEATHER, NOW = Tool(name="weather", description="d", parameters=SCHEMA), Tool(name="now")
GPT_OSS = target(upstream="gpt-oss:20b")
ON = ReasoningAsked(enabled=True)


def test_it_streams_unless_it_is_told_not_to() -> None:
    assert written(request()) == {
        "model": "qwen3:8b",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": False,
    }
    assert written(request(stream=True))["stream"] is True


@pytest.mark.parametrize(
    ("choice", "names", "lost"),
    [
        (None, ["weather", "now"], set()),
        (ToolChoice(mode="auto"), ["weather", "now"], set()),
        (ToolChoice(mode="none"), None, {("tool_choice", "changed")}),
        (ToolChoice(mode="required"), ["weather", "now"], {("tool_choice", "changed")}),
        (ToolChoice(mode="auto", names=("now",)), ["now"], {("tool_choice", "changed")}),
    ],
)
def test_choices(choice: ToolChoice | None, names: list[str] | None, lost: set[tuple[str, str]]) -> None:
    losses = ToldLosses()
    body = written(request(tools=[WEATHER, NOW], tool_choice=choice), losses=losses)
    assert (None if names is None else [tool["function"]["name"] for tool in body["tools"]]) == names
    assert losses.told == lost


def test_tools() -> None:
    losses = ToldLosses()
    tools: list[Tool | Opaque] = [
        WEATHER,
        msgspec.structs.replace(NOW, strict=True, cache="5m"),
        Tool(name="c", custom=True),
        Opaque("x", Raw(b"{}"), "search"),
    ]
    assert written(request(tools=tools, parallel_tool_calls=False), losses=losses)["tools"] == [
        {"type": "function", "function": {"name": "weather", "description": "d", "parameters": {"type": "object"}}},
        {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
    ]
    assert losses.told == {
        ("tools.strict", "dropped"),
        ("cache", "dropped"),
        ("tools.custom", "dropped"),
        ("tools.search", "dropped"),
        ("parallel_tool_calls", "dropped"),
    }
    with pytest.raises(InvalidRequest, match="none of the tools can be sent"):
        written(request(tools=tools[2:], tool_choice=ToolChoice(mode="required")))


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        (OutputFormat(kind="text"), None),
        (OutputFormat(kind="json_object"), "json"),
        (OutputFormat(kind="json_schema", name="n", schema=SCHEMA), {"type": "object"}),
        (OutputFormat(kind="json_schema", name="n"), "json"),
    ],
)
def test_a_form_of_the_answer(form: OutputFormat, sent: Any) -> None:
    assert written(request(output_format=form)).get("format") == sent


def test_options() -> None:
    losses = ToldLosses()
    asked = request(
        max_tokens=9,
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        seed=1,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        stop=["x"],
        extras={"options": Raw(b'{"num_ctx":8192,"temperature":1}'), "keep_alive": Raw(b'"10m"')},
    )
    body = written(asked, losses=losses)
    assert body["options"] == {
        "num_ctx": 8192,
        "num_predict": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 3,
        "seed": 1,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "stop": ["x"],
    }
    assert body["keep_alive"] == "10m"
    assert not losses.told
    with pytest.raises(InvalidRequest, match="'options' must be a JSON object"):
        written(request(extras={"options": Raw(b"[]")}))


@pytest.mark.parametrize(
    ("asked", "to", "think", "lost"),
    [
        (ReasoningAsked(), TARGET, None, set()),
        (ON, TARGET, True, set()),
        (ReasoningAsked(enabled=False), TARGET, False, set()),
        (ReasoningAsked(effort="none"), TARGET, False, set()),
        (ReasoningAsked(effort="low"), TARGET, True, {("reasoning", "changed")}),
        (ReasoningAsked(budget_tokens=9), TARGET, True, {("reasoning", "changed")}),
        (ReasoningAsked(effort="low"), GPT_OSS, "low", set()),
        (ReasoningAsked(effort="minimal"), GPT_OSS, "low", {("reasoning.effort", "clamped")}),
        (ReasoningAsked(effort="max"), GPT_OSS, "high", {("reasoning.effort", "clamped")}),
        (ReasoningAsked(budget_tokens=9000), GPT_OSS, "medium", {("reasoning", "changed")}),
        (ON, GPT_OSS, True, set()),
        (ReasoningAsked(effort="high"), target(thinking="effort"), "high", set()),
        (ON, target(thinking="never"), None, {("reasoning", "dropped")}),
        (ReasoningAsked(enabled=False), target(thinking="always"), None, {("reasoning", "dropped")}),
        (ReasoningAsked(enabled=False), target(thinking="never"), None, set()),
    ],
)
def test_think(asked: ReasoningAsked, to: Target, think: Any, lost: set[tuple[str, str]]) -> None:
    losses = ToldLosses()
    assert written(request(reasoning=asked), to, losses).get("think") == think
    assert losses.told == lost


def test_probabilities() -> None:
    assert written(request(logprobs=True))["logprobs"] is True
    body = written(request(top_logprobs=3))
    assert (body["logprobs"], body["top_logprobs"]) == (True, 3)


def test_what_a_model_refuses_is_dropped_by_either_name() -> None:
    losses = ToldLosses()
    to = target(drops=("temperature", "num_ctx", "reasoning", "format", "messages"))
    extras = {"options": Raw(b'{"num_ctx":1}'), "prediction": Raw(b"1")}
    form = OutputFormat(kind="json_object")
    body = written(request(temperature=0.5, reasoning=ON, output_format=form, extras=extras), to, losses)
    assert body.keys() == {"model", "messages", "stream"}
    assert losses.told == {
        (name, "dropped") for name in ("temperature", "num_ctx", "reasoning", "format", "prediction")
    }


def test_one_answer_a_call() -> None:
    with pytest.raises(InvalidRequest, match="'n' must be 1"):
        written(request(n=2))


@settings(max_examples=examples(40))
@given(strategies.requests(SAYABLE, ()))
def test_every_word_call_and_result_arrives(asked: Request) -> None:
    body = written(asked)
    assert written(asked) == body, "equal requests are equal bodies"
    sent = msgspec.json.encode(body["messages"]).decode()
    given_to_calls: list[Any] = []
    for turn in asked.turns:
        for part in turn.parts:
            for one in part.parts if isinstance(part, ToolResult) else [part]:
                if isinstance(one, Text):
                    assert msgspec.json.encode(one.text).decode()[1:-1] in sent
                if isinstance(one, ToolCall):
                    given_to_calls.append(msgspec.json.decode(mended(one.arguments)))
    calls = [call for message in body["messages"] for call in message.get("tool_calls", ())]
    assert [call["function"]["arguments"] for call in calls] == given_to_calls
