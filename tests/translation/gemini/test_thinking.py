"""How much a model is to think, both ways."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.translation.gemini.exchanges import GEMINI_3, GEMINI_25
from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import ReasoningAsked, Request
from trunkline.translation.gemini.thinking import read_thinking, write_thinking
from trunkline.translation.losses import Losses
from trunkline.translation.target import Target

PRO_25 = msgspec.structs.replace(GEMINI_25, upstream="gemini-2.5-pro")
LITE_25 = msgspec.structs.replace(GEMINI_25, upstream="gemini-2.5-flash-lite")
PRO_3 = msgspec.structs.replace(GEMINI_3, upstream="gemini-3.1-pro-preview")
NEVER = msgspec.structs.replace(GEMINI_25, thinking="never", upstream="gemini-2.0-flash")
ALWAYS = msgspec.structs.replace(GEMINI_3, thinking="always")
UNKNOWN = Target(provider_id="mine", model_id="mine/m", upstream="m")


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ({}, ReasoningAsked()),
        ({"includeThoughts": False}, ReasoningAsked()),
        ({"includeThoughts": True}, ReasoningAsked(enabled=True, adaptive=True, shown=True, state_wanted=True)),
        ({"thinkingBudget": 0}, ReasoningAsked(enabled=False)),
        ({"thinkingBudget": -1}, ReasoningAsked(enabled=True, adaptive=True)),
        ({"thinkingBudget": "512"}, ReasoningAsked(enabled=True, budget_tokens=512)),
        ({"thinkingBudget": 512, "includeThoughts": True},
         ReasoningAsked(enabled=True, budget_tokens=512, shown=True, state_wanted=True)),
        ({"thinkingLevel": "HIGH"}, ReasoningAsked(enabled=True, effort="high")),
        ({"thinkingLevel": "low", "includeThoughts": True},
         ReasoningAsked(enabled=True, effort="low", shown=True, state_wanted=True)),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, ReasoningAsked()),
    ],
)  # fmt: skip
def test_what_is_read(said: dict[str, Any], asked: ReasoningAsked) -> None:
    found = ReasoningAsked()
    read_thinking(Raw(msgspec.json.encode(said)), found)
    assert found == asked


def test_what_makes_no_sense() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_thinking(Raw(b'{"thinkingBudget":"x"}'), ReasoningAsked())
    assert caught.value.param == "generationConfig.thinkingConfig.thinkingBudget"


def written(target: Target, asked: ReasoningAsked, protocol: str = "openai_chat") -> tuple[Any, list[str]]:
    losses = Losses("m", {})
    request = Request(protocol=protocol, model="m", turns=[], reasoning=asked)
    return write_thinking(request, target, losses), losses.warnings


EFFORT = [("minimal", 1024), ("low", 2048), ("medium", 8192), ("high", 16384), ("xhigh", 24576), ("max", 24576)]


@pytest.mark.parametrize(("effort", "budget"), EFFORT)
def test_efforts_for_models_that_are_told_tokens(effort: str, budget: int) -> None:
    assert written(GEMINI_25, ReasoningAsked(effort=effort, enabled=True)) == ({"thinkingBudget": budget}, [])


@pytest.mark.parametrize(
    ("target", "asked", "config", "warned"),
    [
        (GEMINI_25, ReasoningAsked(), None, ""),
        (GEMINI_25, ReasoningAsked(shown=True), {"includeThoughts": True}, ""),
        (GEMINI_25, ReasoningAsked(adaptive=True, enabled=True), {"thinkingBudget": -1}, ""),
        (GEMINI_25, ReasoningAsked(enabled=True), {"thinkingBudget": -1}, ""),
        (GEMINI_25, ReasoningAsked(enabled=False, shown=True), {"thinkingBudget": 0}, ""),
        (GEMINI_25, ReasoningAsked(effort="none"), {"thinkingBudget": 0}, ""),
        (GEMINI_25, ReasoningAsked(budget_tokens=30_000), {"thinkingBudget": 24576}, "clamped"),
        (PRO_25, ReasoningAsked(budget_tokens=30_000), {"thinkingBudget": 30_000}, ""),
        (PRO_25, ReasoningAsked(budget_tokens=1), {"thinkingBudget": 128}, "clamped"),
        (PRO_25, ReasoningAsked(effort="max"), {"thinkingBudget": 32768}, ""),
        (PRO_25, ReasoningAsked(enabled=False), {"thinkingBudget": 128}, "changed"),
        (LITE_25, ReasoningAsked(budget_tokens=100), {"thinkingBudget": 512}, "clamped"),
        (GEMINI_3, ReasoningAsked(), None, ""),
        (GEMINI_3, ReasoningAsked(shown=True), {"includeThoughts": True}, ""),
        (GEMINI_3, ReasoningAsked(effort="low", shown=True), {"thinkingLevel": "LOW", "includeThoughts": True}, ""),
        (GEMINI_3, ReasoningAsked(effort="minimal"), {"thinkingLevel": "MINIMAL"}, ""),
        (GEMINI_3, ReasoningAsked(effort="xhigh"), {"thinkingLevel": "HIGH"}, "clamped"),
        (GEMINI_3, ReasoningAsked(effort="max"), {"thinkingLevel": "HIGH"}, "clamped"),
        (GEMINI_3, ReasoningAsked(adaptive=True, effort="high"), {"thinkingLevel": "HIGH"}, ""),
        (GEMINI_3, ReasoningAsked(adaptive=True, enabled=True), None, ""),
        (GEMINI_3, ReasoningAsked(budget_tokens=7000), {"thinkingLevel": "MEDIUM"}, "changed"),
        (GEMINI_3, ReasoningAsked(enabled=False, shown=True), {"thinkingLevel": "MINIMAL"}, "changed"),
        (PRO_3, ReasoningAsked(enabled=False), {"thinkingLevel": "LOW"}, "changed"),
        (PRO_3, ReasoningAsked(effort="minimal"), {"thinkingLevel": "LOW"}, "clamped"),
        (PRO_3, ReasoningAsked(effort="medium"), {"thinkingLevel": "MEDIUM"}, ""),
        (NEVER, ReasoningAsked(effort="low", shown=True), None, "dropped"),
        (NEVER, ReasoningAsked(enabled=False), None, ""),
        (NEVER, ReasoningAsked(shown=True), None, ""),
        (ALWAYS, ReasoningAsked(enabled=False), None, "dropped"),
        (ALWAYS, ReasoningAsked(shown=True), {"includeThoughts": True}, ""),
        (UNKNOWN, ReasoningAsked(shown=True), None, ""),
        (UNKNOWN, ReasoningAsked(enabled=False), {"thinkingBudget": 0}, ""),
        (UNKNOWN, ReasoningAsked(effort="low", shown=True), {"thinkingLevel": "LOW", "includeThoughts": True}, ""),
        (UNKNOWN, ReasoningAsked(budget_tokens=600), {"thinkingBudget": 600}, ""),
    ],
)
def test_what_is_written(target: Target, asked: ReasoningAsked, config: Any, warned: str) -> None:
    found, warnings = written(target, asked)
    assert found == config
    assert [warning.partition(" ")[0] for warning in warnings] == ([warned] if warned else [])


def test_a_caller_of_this_protocol_may_name_levels_of_tomorrow() -> None:
    assert written(GEMINI_3, ReasoningAsked(effort="xhigh", enabled=True), "gemini") == ({"thinkingLevel": "XHIGH"}, [])
    assert written(UNKNOWN, ReasoningAsked(shown=True), "gemini") == ({"includeThoughts": True}, [])
