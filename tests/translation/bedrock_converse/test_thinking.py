"""How much a model is to reason, in each maker's words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translation.bedrock_converse.exchanges import (
    CLAUDE,
    NOVA,
    PROVIDER,
    ToldLosses,
    read,
    request,
    target,
    written,
)
from trunkline.translation.bedrock_converse.thinking import nearest_effort
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
from trunkline.translation.target import Target

BUDGET, ADAPTIVE = target(thinking="budget"), target(thinking="adaptive")
THINKS = {"thinking": {"type": "adaptive"}}
HIGH = ReasoningAsked(effort="high", enabled=True, shown=True)


def model(upstream: str, **more: Any) -> Target:
    return target(upstream=upstream, **more)


def said(asked: ReasoningAsked, to: Target, losses: ToldLosses | None = None, **more: Any) -> tuple[Any, Any]:
    """The model's own fields and the effort."""
    body = written(request(reasoning=asked, **more), to, losses)
    return body.get("additionalModelRequestFields"), body.get("outputConfig", {}).get("effort")


def nova(effort: str) -> dict[str, Any]:
    return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}


def enabled(budget: int) -> dict[str, Any]:
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


@pytest.mark.parametrize(
    ("asked", "to", "expected"),
    [
        (ReasoningAsked(), CLAUDE, (None, None)),
        (HIGH, BUDGET, (enabled(16384), None)),
        (HIGH, CLAUDE, (enabled(16384), None)),
        (ReasoningAsked(effort="max", enabled=True), BUDGET, (enabled(32768), None)),
        (ReasoningAsked(enabled=True, budget_tokens=2000), BUDGET, (enabled(2000), None)),
        (ReasoningAsked(enabled=True, adaptive=True), CLAUDE, ({"thinking": {"type": "adaptive"}}, None)),
        (HIGH, ADAPTIVE, ({"thinking": {"type": "adaptive", "display": "summarized"}}, "high")),
        (ReasoningAsked(effort="low", enabled=True), ADAPTIVE, ({"thinking": {"type": "adaptive"}}, "low")),
        (ReasoningAsked(enabled=False), ADAPTIVE, ({"thinking": {"type": "disabled"}}, None)),
        (ReasoningAsked(effort="none"), BUDGET, (None, None)),
        (HIGH, NOVA, (nova("high"), None)),
        (ReasoningAsked(enabled=True), NOVA, (nova("medium"), None)),
        (ReasoningAsked(enabled=False), NOVA, ({"reasoningConfig": {"type": "disabled"}}, None)),
        (HIGH, model("openai.gpt-oss-120b-1:0"), ({"reasoning_effort": "high"}, None)),
        (HIGH, model("openai.gpt-6-luna"), ({"reasoning": {"effort": "high"}}, None)),
        (ReasoningAsked(enabled=False), model("openai.gpt-6-luna"), ({"reasoning": {"effort": "none"}}, None)),
        (HIGH, model("us.deepseek.v3-v1:0"), ({"reasoning_effort": "high"}, None)),
        (HIGH, model("moonshotai.kimi-k2.5"), ({"reasoning_effort": "high"}, None)),
    ],
)  # fmt: skip
def test_each_makers_words(asked: ReasoningAsked, to: Target, expected: tuple[Any, Any]) -> None:
    losses = ToldLosses()
    assert said(asked, to, losses) == expected
    assert not losses.told


@pytest.mark.parametrize(
    ("asked", "to", "expected", "lost"),
    [
        (ReasoningAsked(effort="minimal", enabled=True), ADAPTIVE, (THINKS, "low"), ("reasoning.effort", "clamped")),
        (ReasoningAsked(enabled=True, budget_tokens=9000), ADAPTIVE, (THINKS, "medium"), ("reasoning", "changed")),
        (ReasoningAsked(effort="xhigh"), NOVA, (nova("high"), None), ("reasoning.effort", "clamped")),
        (ReasoningAsked(enabled=True, budget_tokens=90_000), NOVA, (nova("high"), None), ("reasoning", "changed")),
        (HIGH, model("meta.llama4"), (None, None), ("reasoning", "dropped")),
        (HIGH, model("us.amazon.nova-pro-v1:0"), (None, None), ("reasoning", "dropped")),
        (ReasoningAsked(enabled=False), model("openai.gpt-oss-20b"), (None, None), ("reasoning", "dropped")),
        (HIGH, target(thinking="never"), (None, None), ("reasoning", "dropped")),
        (HIGH, model("us.deepseek.r1-v1:0", thinking="always"), (None, None), ("reasoning", "dropped")),
        (ReasoningAsked(enabled=False), target(thinking="always"), (None, None), ("reasoning", "changed")),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_told(
    asked: ReasoningAsked, to: Target, expected: tuple[Any, Any], lost: tuple[str, str]
) -> None:
    losses = ToldLosses()
    assert said(asked, to, losses) == expected
    assert losses.told == {lost}


@pytest.mark.parametrize(
    ("max_tokens", "asked", "budget", "lost"),
    [
        (100_000, HIGH, 16384, set()),
        (10_000, HIGH, 5904, {("reasoning", "clamped")}),
        (3000, HIGH, 1500, {("reasoning", "clamped")}),
        (1500, HIGH, None, {("reasoning", "changed")}),
        (3000, ReasoningAsked(enabled=True, budget_tokens=2900), 2900, set()),
        (3000, ReasoningAsked(enabled=True, budget_tokens=5000), 1500, {("reasoning", "clamped")}),
        (20_000, ReasoningAsked(enabled=True, effort="max"), 15904, set()),
    ],
)
def test_a_budget_leaves_room_for_the_answer(
    max_tokens: int, asked: ReasoningAsked, budget: int | None, lost: set[tuple[str, str]]
) -> None:
    losses = ToldLosses()
    fields, _ = said(asked, BUDGET, losses, max_tokens=max_tokens)
    assert fields == (None if budget is None else enabled(budget))
    assert losses.told == lost


def test_novas_high_effort_stands_alone() -> None:
    losses = ToldLosses()
    body = written(request(reasoning=HIGH, temperature=1, top_p=0.99, top_k=5), NOVA, losses)
    assert body.keys() == {"messages", "additionalModelRequestFields"}
    assert body["additionalModelRequestFields"] == nova("high")
    assert losses.told == {("temperature", "changed"), ("top_p", "changed"), ("top_k", "changed")}
    counted = ToldLosses()
    body = written(request(reasoning=HIGH, max_tokens=50), NOVA, counted)
    assert (body["additionalModelRequestFields"], body["inferenceConfig"]) == (nova("medium"), {"maxTokens": 50})
    assert counted.told == {("reasoning.effort", "clamped")}


def test_an_effort_alone_is_no_thinking_to_a_caller_of_messages() -> None:
    alone = ReasoningAsked(effort="low")
    assert said(alone, ADAPTIVE, protocol="anthropic_messages") == (None, "low")
    assert said(alone, ADAPTIVE) == ({"thinking": {"type": "adaptive"}}, "low")
    losses = ToldLosses()
    assert said(alone, BUDGET, losses, protocol="anthropic_messages") == (None, None)
    assert losses.told == {("reasoning.effort", "dropped")}


def loop(*before: Any) -> tuple[Turn, ...]:
    return (
        Turn(role="user", parts=[Text(text="Hi")]),
        Turn(role="assistant", parts=[*before, ToolCall(id="t", name="f")]),
        Turn(role="user", parts=[ToolResult(call_id="t", parts=[Text(text="x")], cache="5m")]),
    )


def test_manual_thinking_needs_the_reasoning_of_the_tool_loop() -> None:
    tools, signed = [Tool(name="f")], Reasoning(text="hm", state=State(PROVIDER, "sig"))
    losses = ToldLosses()
    body = written(request(*loop(), tools=tools, reasoning=HIGH), BUDGET, losses)
    assert "additionalModelRequestFields" not in body
    assert losses.told == {("reasoning", "changed")}
    assert (
        "thinking"
        in written(request(*loop(signed), tools=tools, reasoning=HIGH), BUDGET)["additionalModelRequestFields"]
    )
    assert (
        "thinking" in written(request(*loop(), tools=tools, reasoning=HIGH), ADAPTIVE)["additionalModelRequestFields"]
    )
    prefill = (Turn(role="user", parts=[Text(text="Hi")]), Turn(role="assistant", parts=[Text(text="So")]))
    assert "additionalModelRequestFields" not in written(request(*prefill, reasoning=HIGH), BUDGET)


def test_a_forced_call_leaves_thinking_out() -> None:
    losses = ToldLosses()
    forced = ToolChoice(mode="required")
    body = written(request(tools=[Tool(name="f")], tool_choice=forced, reasoning=HIGH), ADAPTIVE, losses)
    assert "additionalModelRequestFields" not in body
    assert losses.told == {("reasoning", "changed")}


def test_the_nearest_effort() -> None:
    assert [nearest_effort(budget) for budget in (1, 1600, 9000, 14_000, 10**6)] == [
        "minimal", "low", "medium", "high", "xhigh",
    ]  # fmt: skip


def test_what_a_caller_of_converse_asks_of_claude() -> None:
    asked = read(
        additionalModelRequestFields={"thinking": {"type": "enabled", "budget_tokens": 2048}, "top_k": 5, "x": 1},
        outputConfig={"effort": "low"},
    )
    assert asked.reasoning == ReasoningAsked(
        enabled=True, budget_tokens=2048, effort="low", shown=True, state_wanted=True
    )
    assert asked.top_k == 5
    assert written(asked, BUDGET)["additionalModelRequestFields"]["x"] == 1
