"""How much a model is to think, both ways; and where Anthropic would refuse it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.translation.anthropic_messages import sdk
from tests.translation.anthropic_messages.sdk import ToldLosses
from tests.translation.anthropic_messages.targets import PROVIDER, read, request, target, written
from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import (
    Reasoning,
    ReasoningAsked,
    State,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)

ON = ReasoningAsked(enabled=True, shown=True, state_wanted=True)


def asked(**more: Any) -> ReasoningAsked:
    return msgspec.structs.replace(ON, **more)


@pytest.mark.parametrize(
    ("thinking", "reasoning"),
    [
        ({"type": "adaptive"}, asked(adaptive=True)),
        ({"type": "adaptive", "display": "omitted"}, asked(adaptive=True, shown=False)),
        ({"type": "enabled", "budget_tokens": 2000}, asked(budget_tokens=2000)),
        ({"type": "enabled", "budget_tokens": 2000, "display": "omitted"}, asked(budget_tokens=2000, shown=False)),
        ({"type": "between_tools"}, asked()),
        ({"type": "disabled"}, ReasoningAsked(enabled=False)),
    ],
)
def test_every_form_is_read_and_goes_back(thinking: dict[str, Any], reasoning: ReasoningAsked) -> None:
    body = read({"thinking": thinking})
    assert body.reasoning == reasoning
    back = written(body)
    expected = {**thinking, "display": "summarized"} if thinking == {"type": "adaptive"} else thinking
    assert back["thinking"] == expected
    sdk.asked(msgspec.json.encode(back))


def test_newer_settings_go_back() -> None:
    thinking = {"type": "adaptive", "display": "updates", "block_binding": {"on_mismatch": "drop"}}
    assert written(read({"thinking": thinking}))["thinking"] == thinking


def test_effort_alone_is_not_thinking() -> None:
    body = written(read({"output_config": {"effort": "low"}}))
    assert body["output_config"] == {"effort": "low"}
    assert "thinking" not in body


@pytest.mark.parametrize(
    ("thinking", "param"),
    [
        ({"type": "enabled"}, "thinking.budget_tokens"),
        ({"type": "enabled", "budget_tokens": 1023}, "thinking.budget_tokens"),
        ({"type": "enabled", "budget_tokens": 50_000}, "max_tokens"),
        ({"type": "often"}, "thinking.type"),
        ({}, "thinking.type"),
        ("on", "thinking"),
    ],
)
def test_what_is_wrong_is_named(thinking: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read({"thinking": thinking})
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("reasoning", "takes", "sent", "told"),
    [
        (ReasoningAsked(), "adaptive", (None, None), None),
        (ReasoningAsked(effort="high", shown=True), "adaptive", ("adaptive", "high"), None),
        (ReasoningAsked(effort="minimal"), "adaptive", ("adaptive", "low"), "clamped"),
        (ReasoningAsked(effort="xhigh"), "effort", (None, "xhigh"), None),
        (asked(budget_tokens=15_000), "adaptive", ("adaptive", "high"), "changed"),
        (asked(adaptive=True), "adaptive", ("adaptive", None), None),
        (ReasoningAsked(effort="minimal"), "budget", (1024, None), None),
        (ReasoningAsked(effort="low"), "budget", (2048, None), None),
        (ReasoningAsked(effort="medium"), None, (8192, None), None),
        (ReasoningAsked(effort="high"), "budget", (16384, None), None),
        (ReasoningAsked(effort="xhigh"), "budget", (32768, None), None),
        (ReasoningAsked(effort="max"), "budget", (45_904, None), None),
        (asked(adaptive=True), "budget", (8192, None), None),
        (asked(budget_tokens=49_999), None, (49_999, None), None),
        (asked(budget_tokens=60_000), None, (45_904, None), "clamped"),
        (asked(budget_tokens=100), "budget", (1024, None), None),
        (ReasoningAsked(effort="none"), "adaptive", ("disabled", None), None),
        (ReasoningAsked(enabled=False), None, ("disabled", None), None),
        (ReasoningAsked(enabled=False), "never", (None, None), None),
        (ReasoningAsked(enabled=False), "always", (None, None), "changed"),
        (ReasoningAsked(effort="low"), "never", (None, None), "dropped"),
        (ReasoningAsked(effort="low"), "always", (None, None), "dropped"),
        (ON, "always", (None, None), None),
    ],
)
def test_what_another_protocol_asks(
    reasoning: ReasoningAsked, takes: Any, sent: tuple[Any, str | None], told: str | None
) -> None:
    losses = ToldLosses()
    body = written(request(reasoning=reasoning), target(thinking=takes), losses)
    config = body.get("thinking", {})
    form = config.get("budget_tokens", config.get("type"))
    assert (form, body.get("output_config", {}).get("effort")) == sent
    assert {how for _, how in losses.told} == ({told} if told else set())
    assert all(name in ("reasoning", "reasoning.effort") for name, _ in losses.told)
    if config.get("type") in ("adaptive", "enabled"):
        shown = {"adaptive": "summarized", "enabled": None}[config["type"]]
        assert config.get("display") == (shown if reasoning.shown else "omitted")
    sdk.asked(msgspec.json.encode(body))


@pytest.mark.parametrize("takes", ["budget", "always", "never"])
def test_effort_of_a_model_that_takes_none_is_named(takes: Any) -> None:
    losses = ToldLosses()
    body = written(read({"output_config": {"effort": "low"}}), target(thinking=takes), losses)
    assert losses.told == {("reasoning.effort", "dropped")}
    assert "output_config" not in body


@pytest.mark.parametrize(
    ("max_tokens", "most", "effort", "sent"),
    [
        (None, None, "high", (16384, 16384 + 8192)),
        (None, None, "low", (2048, 8192)),
        (None, 64_000, "max", (64_000 - 4096, 64_000)),
        (3000, None, "high", (1500, 3000)),
        (2048, None, "high", (1024, 2048)),
    ],
)
def test_a_budget_leaves_room_for_the_answer(
    max_tokens: int | None, most: int | None, effort: str, sent: tuple[int, int]
) -> None:
    body = written(
        request(max_tokens=max_tokens, reasoning=ReasoningAsked(effort=effort)),
        target(thinking="budget", max_output_tokens=most),
    )
    assert (body["thinking"]["budget_tokens"], body["max_tokens"]) == sent


def test_no_room_is_no_thinking() -> None:
    losses = ToldLosses()
    body = written(request(max_tokens=1500, reasoning=ReasoningAsked(effort="low")), target(thinking="budget"), losses)
    assert "thinking" not in body
    assert losses.told == {("reasoning", "changed")}


@pytest.mark.parametrize("takes", ["budget", "adaptive"])
def test_what_cannot_stand_beside_thinking(takes: Any) -> None:
    losses = ToldLosses()
    body = written(
        request(reasoning=ReasoningAsked(effort="low"), temperature=0.5, top_p=0.5, top_k=3),
        target(thinking=takes),
        losses,
    )
    assert not {"temperature", "top_p", "top_k"} & body.keys()
    assert losses.told == {("temperature", "changed"), ("top_p", "changed"), ("top_k", "changed")}
    sdk.asked(msgspec.json.encode(body))
    fine = written(request(reasoning=ReasoningAsked(effort="low"), top_p=0.95), target(thinking=takes))
    assert fine["top_p"] == 0.95


@pytest.mark.parametrize("takes", ["budget", "adaptive"])
def test_a_forced_call_leaves_thinking_out(takes: Any) -> None:
    losses = ToldLosses()
    body = written(
        request(
            reasoning=ReasoningAsked(effort="low"), tools=[Tool(name="n")], tool_choice=ToolChoice(mode="required")
        ),
        target(thinking=takes),
        losses,
    )
    assert "thinking" not in body
    assert losses.told == {("reasoning", "changed")}
    sdk.asked(msgspec.json.encode(body))


def loop(*reasoning: Reasoning, rounds: int = 1) -> list[Turn]:
    turns = [Turn(role="user", parts=[Text(text="Hi")])]
    for number in range(rounds):
        call = ToolCall(id=f"c{number}", name="n", arguments="{}")
        turns.append(Turn(role="assistant", parts=[*(reasoning if number == 0 else ()), call]))
        turns.append(Turn(role="user", parts=[ToolResult(call_id=call.id, parts=[Text(text="out")])]))
    return turns


@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize(
    ("reasoning", "takes", "thinks"),
    [
        ([Reasoning(text="hm", state=State(PROVIDER, "sig"))], "budget", True),
        ([Reasoning(state=State(PROVIDER, "redacted:x"))], "budget", True),
        ([Reasoning(state=State("openai", "x"))], "budget", False),
        ([], "budget", False),
        ([], "adaptive", True),
    ],
)
def test_a_tool_loop_goes_on_as_it_began(reasoning: list[Reasoning], takes: Any, thinks: bool, rounds: int) -> None:
    losses = ToldLosses()
    asking = request(*loop(*reasoning, rounds=rounds), reasoning=ReasoningAsked(effort="low"), tools=[Tool(name="n")])
    body = written(asking, target(thinking=takes), losses)
    assert ("thinking" in body) == thinks
    assert losses.told == (set() if thinks else {("reasoning", "changed")})
    said = sdk.refusal(msgspec.json.encode(body))
    assert said == "" or "Invalid `signature`" in said or "Invalid `data`" in said


def test_a_loop_that_is_over_asks_for_nothing() -> None:
    turns = [*loop(), Turn(role="assistant", parts=[Text(text="Done.")]), Turn(role="user", parts=[Text(text="And?")])]
    body = written(
        request(*turns, reasoning=ReasoningAsked(effort="low"), tools=[Tool(name="n")]), target(thinking="budget")
    )
    assert "thinking" in body
    sdk.asked(msgspec.json.encode(body))


def test_a_turn_to_go_on_with_leaves_thinking_out() -> None:
    turns = [Turn(role="user", parts=[Text(text="Hi")]), Turn(role="assistant", parts=[Text(text="So")])]
    losses = ToldLosses()
    body = written(request(*turns, reasoning=ReasoningAsked(effort="low")), target(thinking="budget"), losses)
    assert "thinking" not in body
    assert losses.told == {("reasoning", "changed")}
