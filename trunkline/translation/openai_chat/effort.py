"""How much a model is to reason, as chat callers say it and chat providers take it."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.translation.exchange import ReasoningAsked, Request
from trunkline.translation.losses import Losses
from trunkline.translation.openai_chat.shapes import decoded
from trunkline.translation.openai_chat.turns import PROTOCOL
from trunkline.translation.target import Target
from trunkline.wire.codec import Fields


class _Reasoning(msgspec.Struct):
    """OpenRouter's (https://openrouter.ai/docs/use-cases/reasoning-tokens)."""

    effort: str | None = None
    max_tokens: int | None = None
    enabled: bool | None = None
    exclude: bool | None = None
    summary: str | None = None


class _Thinking(msgspec.Struct):
    """As in Anthropic's protocol; DeepSeek and LiteLLM's callers write it here."""

    type: str = ""
    budget_tokens: int | None = None


_effort = msgspec.json.Decoder(str | None)
_reasoning = msgspec.json.Decoder(_Reasoning | None)
_thinking = msgspec.json.Decoder(_Thinking | None)
_switch = msgspec.json.Decoder(bool | None)
FIELDS = ("reasoning_effort", "reasoning", "thinking", "include_reasoning")

# An effort in tokens, where the one must stand for the other.
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768}


def nearest_effort(budget_tokens: int) -> str:
    return min(BUDGETS, key=lambda effort: abs(BUDGETS[effort] - budget_tokens))


def read_asked(fields: Fields) -> tuple[ReasoningAsked, str]:
    """And the field that said it. Chat callers are always shown what there is, unless they say that they are not to
    be."""
    asked = ReasoningAsked(shown=True, state_wanted=True)
    named = "reasoning_effort"
    if (raw := fields.get("thinking")) is not None and (thinking := decoded(_thinking, raw, "thinking")):
        named = "thinking"
        asked.enabled = thinking.type != "disabled"
        asked.adaptive = thinking.type == "adaptive"
        asked.budget_tokens = thinking.budget_tokens
    if (raw := fields.get("reasoning")) is not None and (said := decoded(_reasoning, raw, "reasoning")):
        named = "reasoning"
        asked.effort = said.effort
        asked.budget_tokens = said.max_tokens
        asked.enabled = said.enabled
        asked.summary = said.summary
        asked.shown = not said.exclude
    if (raw := fields.get("reasoning_effort")) is not None and (effort := decoded(_effort, raw, "reasoning_effort")):
        named = "reasoning_effort"
        asked.effort = effort
    if (raw := fields.get("include_reasoning")) is not None and decoded(_switch, raw, "include_reasoning") is False:
        asked.shown = False
    if asked.effort is not None and asked.enabled is None:
        asked.enabled = asked.effort != "none"
    return asked, named


def write_asked(request: Request, target: Target, losses: Losses) -> dict[str, Any]:
    """The fields that ask for it."""
    asked = request.reasoning
    if target.thinking in ("always", "never"):
        return _untold(asked, target, losses)
    if asked.effort is not None:
        return {"reasoning_effort": asked.effort}
    if asked.budget_tokens is not None and asked.enabled is not False:
        if request.protocol == PROTOCOL and request.names.get("reasoning") == "reasoning":
            return {"reasoning": {"max_tokens": asked.budget_tokens}}
        effort = nearest_effort(asked.budget_tokens)
        losses.changed("reasoning", f"{asked.budget_tokens:,} tokens become the effort '{effort}'")
        return {"reasoning_effort": effort}
    if asked.enabled is False and target.thinking is not None:
        return {"reasoning_effort": "none"}
    return {}


def _untold(asked: ReasoningAsked, target: Target, losses: Losses) -> dict[str, Any]:
    """The model cannot be told. That is a loss where it does other than was asked."""
    off = asked.enabled is False or asked.effort == "none"
    on = not off and (asked.effort is not None or asked.budget_tokens is not None)
    if on or (off and target.thinking == "always"):
        losses.dropped("reasoning")
    return {}
