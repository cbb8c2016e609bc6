"""How much a model is to reason, in all the ways it is said."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import ReasoningAsked, Request
from trunkline.translation.losses import Losses
from trunkline.translation.openai_chat.effort import nearest_effort, read_asked, write_asked
from trunkline.translation.target import Target, Thinking


def read(**fields: Any) -> tuple[ReasoningAsked, str]:
    return read_asked({name: Raw(msgspec.json.encode(value)) for name, value in fields.items()})


def asked(**more: Any) -> ReasoningAsked:
    return ReasoningAsked(**{"shown": True, "state_wanted": True, **more})


def write(
    said: ReasoningAsked, thinking: Thinking | None = None, protocol: str = "anthropic_messages", named: str = ""
) -> tuple[dict[str, Any], list[str]]:
    request = Request(protocol=protocol, model="m", turns=[], reasoning=said, names={"reasoning": named or "reasoning"})
    losses = Losses("p/m", {})
    target = Target(provider_id="p", model_id="p/m", upstream="m", thinking=thinking)
    return write_asked(request, target, losses), losses.warnings


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (asked(), "reasoning_effort")),
        ({"reasoning_effort": None}, (asked(), "reasoning_effort")),
        ({"reasoning_effort": "high"}, (asked(effort="high", enabled=True), "reasoning_effort")),
        ({"reasoning_effort": "none"}, (asked(effort="none", enabled=False), "reasoning_effort")),
        ({"reasoning": {"effort": "low"}}, (asked(effort="low", enabled=True), "reasoning")),
        ({"reasoning": {"max_tokens": 2000}}, (asked(budget_tokens=2000), "reasoning")),
        ({"reasoning": {"enabled": True, "summary": "auto"}}, (asked(enabled=True, summary="auto"), "reasoning")),
        ({"reasoning": {"exclude": True}}, (asked(shown=False), "reasoning")),
        ({"include_reasoning": False}, (asked(shown=False), "reasoning_effort")),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, (asked(enabled=True, budget_tokens=9), "thinking")),
        ({"thinking": {"type": "adaptive"}}, (asked(enabled=True, adaptive=True), "thinking")),
        ({"thinking": {"type": "disabled"}}, (asked(enabled=False), "thinking")),
    ],
)
def test_every_way_of_saying_it(fields: dict[str, Any], expected: tuple[ReasoningAsked, str]) -> None:
    assert read(**fields) == expected


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(reasoning={"max_tokens": "many"})
    assert refused.value.param == "reasoning.max_tokens"


@pytest.mark.parametrize(
    ("said", "thinking", "written"),
    [
        (asked(effort="high"), None, {"reasoning_effort": "high"}),
        (asked(effort="high"), "budget", {"reasoning_effort": "high"}),
        (asked(effort="none", enabled=False), None, {"reasoning_effort": "none"}),
        (asked(enabled=False), "effort", {"reasoning_effort": "none"}),
        (asked(enabled=False), None, {}),
        (asked(enabled=True, adaptive=True), "adaptive", {}),
        (asked(), "always", {}),
        (asked(enabled=True), "always", {}),
        (asked(enabled=False), "never", {}),
    ],
)
def test_what_crosses_whole(said: ReasoningAsked, thinking: Thinking | None, written: dict[str, Any]) -> None:
    assert write(said, thinking) == (written, [])


@pytest.mark.parametrize(
    ("said", "thinking"),
    [
        (asked(effort="low"), "always"),
        (asked(enabled=False), "always"),
        (asked(budget_tokens=5000), "never"),
        (asked(effort="high"), "never"),
    ],
)
def test_what_the_model_cannot_be_told_is_dropped(said: ReasoningAsked, thinking: Thinking) -> None:
    assert write(said, thinking) == ({}, ["dropped reasoning: not supported by p/m"])


def test_a_budget_becomes_the_nearest_effort() -> None:
    assert write(asked(enabled=True, budget_tokens=10_000)) == (
        {"reasoning_effort": "medium"},
        ["changed reasoning: 10,000 tokens become the effort 'medium'"],
    )
    assert write(asked(budget_tokens=10_000), None, "openai_chat") == ({"reasoning": {"max_tokens": 10_000}}, [])
    efforts = [nearest_effort(tokens) for tokens in (1, 1024, 2048, 6000, 16_000, 31_999, 1_000_000)]
    assert efforts == ["minimal", "minimal", "low", "medium", "high", "xhigh", "xhigh"]
