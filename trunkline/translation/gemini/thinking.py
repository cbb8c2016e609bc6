"""How much a model is to think, both ways.

Gemini 2.5 is told a number of tokens, Gemini 3 a level, and both at once are refused:
https://ai.google.dev/gemini-api/docs/thinking
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.translation.exchange import ReasoningAsked, Request
from trunkline.translation.gemini.vocabulary import PROTOCOL, is_late
from trunkline.translation.losses import Losses
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.gemini import wrong

AUTOMATIC = -1
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768}
_LEVELS = ("minimal", "low", "medium", "high")


class _Thinking(msgspec.Struct, rename="camel"):
    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


_decode = msgspec.json.Decoder(_Thinking, strict=False).decode


def read_thinking(raw: Raw, asked: ReasoningAsked) -> None:
    """A budget of 0 is none, one of -1 leaves it to the model."""
    try:
        said = _decode(raw)
    except codec.UNREADABLE as error:
        raise wrong(error, "generationConfig.thinkingConfig") from None
    asked.shown = asked.state_wanted = said.include_thoughts is True
    if asked.shown:
        # Gemini thinks unless it is told not to; who wants to see it counts on that.
        asked.enabled = asked.adaptive = True
    if said.thinking_budget is not None:
        asked.enabled = said.thinking_budget != 0
        asked.adaptive = said.thinking_budget < 0
        asked.budget_tokens = said.thinking_budget if said.thinking_budget > 0 else None
    level = (said.thinking_level or "").lower()
    if level and level != "thinking_level_unspecified":
        asked.enabled, asked.adaptive = True, False
        asked.effort = level


def write_thinking(request: Request, target: Target, losses: Losses) -> dict[str, Any] | None:
    """`thinkingConfig`, None for none."""
    asked = request.reasoning
    off = asked.enabled is False or asked.effort == "none"
    told = asked.effort not in (None, "none") or asked.budget_tokens is not None
    if target.thinking in ("never", "always"):
        if (told and not off) or (off and target.thinking == "always"):
            losses.dropped("reasoning")
        return {"includeThoughts": True} if target.thinking == "always" and asked.shown else None
    if off:
        return _off(request, target, losses)
    config: dict[str, Any] = {}
    if is_late(target) or (target.thinking is None and asked.budget_tokens is None):
        level = _level(request, target, losses)
        if level is not None:
            config["thinkingLevel"] = level.upper()
    else:
        budget = _budget(request, target, losses)
        if budget is not None:
            config["thinkingBudget"] = budget
    # A model that does not think refuses to be asked for its thoughts, so an unknown one is asked only with the rest.
    if asked.shown and (config or asked.enabled or target.thinking is not None or request.protocol == PROTOCOL):
        config["includeThoughts"] = True
    return config or None


def _is_pro(target: Target) -> bool:
    return re.search(r"gemini-[\d.]+-pro", target.upstream) is not None


def _off(request: Request, target: Target, losses: Losses) -> dict[str, Any] | None:
    """Not every model can be told not to think; it is told to think as little as it can."""
    if target.thinking is None and not is_late(target):
        return {"thinkingBudget": 0}
    if is_late(target):
        least = "low" if _is_pro(target) else "minimal"
        losses.changed("reasoning", f"{target.model_id} always thinks: it is told '{least}'")
        return {"thinkingLevel": least.upper()}
    if _is_pro(target):
        least_tokens = _range(target)[0]
        losses.changed("reasoning", f"{target.model_id} always thinks: it is told {least_tokens} tokens")
        return {"thinkingBudget": least_tokens}
    return {"thinkingBudget": 0}


def _level(request: Request, target: Target, losses: Losses) -> str | None:
    asked = request.reasoning
    level = asked.effort
    if level is None and asked.budget_tokens is not None:
        budget = asked.budget_tokens
        level = min(_LEVELS, key=lambda name: abs(BUDGETS[name] - budget))
        losses.changed("reasoning", f"a budget of {budget:,} tokens is sent as the level '{level}'")
    if level is None:
        return None
    if request.protocol != PROTOCOL and level not in _LEVELS:
        losses.clamped("reasoning.effort", f"'{level}' is sent as 'high', the most that there is")
        return "high"
    if level == "minimal" and _is_pro(target):
        losses.clamped("reasoning.effort", f"'minimal' is sent as 'low', the least that {target.model_id} takes")
        return "low"
    return level


def _budget(request: Request, target: Target, losses: Losses) -> int | None:
    asked = request.reasoning
    least, most = _range(target)
    if asked.effort is not None and asked.budget_tokens is None:
        # An effort is anything up to what the model has.
        return max(least, min(BUDGETS.get(asked.effort, most), most))
    if asked.budget_tokens is None:
        return AUTOMATIC if asked.adaptive or asked.enabled else None
    budget = max(least, min(asked.budget_tokens, most))
    if budget != asked.budget_tokens:
        losses.clamped("reasoning", f"a budget of {budget:,} tokens is sent: {target.model_id} takes {least} to {most}")
    return budget


def _range(target: Target) -> tuple[int, int]:
    """The least and the most tokens: https://ai.google.dev/gemini-api/docs/thinking#set-budget"""
    if _is_pro(target):
        return 128, 32768
    return (512, 24576) if "flash-lite" in target.upstream else (1, 24576)
