"""How much a model is to reason.

The protocol has a field for an effort (`outputConfig.effort`); whether to reason, and with how many tokens, is said to
the model itself in `additionalModelRequestFields`, each maker's in his own words:

Claude           thinking: https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html
                 and claude-messages-adaptive-thinking.html there
Nova 2           reasoningConfig: https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html,
                 whose high effort takes no maximum: https://github.com/UKGovernmentBEIS/inspect_ai/issues/3767
gpt-oss, Kimi,   reasoning_effort: https://github.com/langchain-ai/docs/pull/5239 and
DeepSeek V3      https://github.com/langchain-ai/langchain-aws/pull/1261
GPT              reasoning.effort: https://github.com/stdapi-ai/stdapi.ai/issues/283
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.translation.bedrock_converse.blocks import Writing
from trunkline.translation.exchange import ReasoningAsked

LEAST_BUDGET = 1024
DEFAULT_MAX_TOKENS = 8192
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768}
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_NOVA_EFFORTS = ("low", "medium", "high")
_ANSWER_ROOM = 4096
"""Tokens that reasoning leaves for the answer, where `max_tokens` is larger than twice that."""


class Thinking(msgspec.Struct):
    """`fields` go to the model itself, `effort` has a field of its own. `max_tokens` is the request's, which reasoning
    takes its share of. `on`: Claude thinks, which some parameters may not stand beside; `manual`: by a budget.
    `unsampled`: no sampling parameter may stand beside it."""

    max_tokens: int | None
    fields: dict[str, Any] = {}
    effort: str | None = None
    on: bool = False
    manual: bool = False
    unsampled: bool = False


def nearest_effort(budget_tokens: int) -> str:
    return min(_BUDGETS, key=lambda effort: abs(_BUDGETS[effort] - budget_tokens))


def write_thinking(writing: Writing, max_tokens: int | None) -> Thinking:
    """`max_tokens` None: the caller did not say."""
    asked, target = writing.request.reasoning, writing.target
    written = Thinking(max_tokens)
    off = asked.enabled is False or asked.effort == "none"
    wanted = not off and (asked.enabled or asked.budget_tokens is not None or asked.effort is not None)
    if target.thinking in ("never", "always"):
        if off and target.thinking == "always":
            writing.losses.changed("reasoning", f"{target.model_id} always reasons")
        elif wanted and (target.thinking == "never" or asked.effort is not None or asked.budget_tokens is not None):
            writing.losses.dropped("reasoning")
    elif writing.like_claude:
        _claude(writing, written, off=off, wanted=bool(wanted))
    elif off or wanted:
        _other(writing, written, off=off)
    return written


def _claude(writing: Writing, written: Thinking, *, off: bool, wanted: bool) -> None:
    asked, thinking = writing.request.reasoning, writing.target.thinking
    if off:
        # Only a model that might think by itself has to be told.
        if thinking in ("adaptive", "effort"):
            written.fields["thinking"] = {"type": "disabled"}
        return
    if not wanted:
        return
    # In Messages an effort alone sets how much is said, thinking or not.
    alone = asked.enabled is None and asked.budget_tokens is None and writing.request.protocol == "anthropic_messages"
    if alone and thinking == "budget":
        writing.losses.dropped("reasoning.effort")
    elif alone or thinking in ("adaptive", "effort"):
        written.effort = _effort(writing, _EFFORTS)
        if not alone:
            # The newest models show nothing of it unless they are asked to.
            shown = {"display": "summarized"} if asked.shown else {}
            written.fields["thinking"] = {"type": "adaptive", **shown}
            written.on = True
    elif thinking is None and asked.adaptive:
        written.fields["thinking"] = {"type": "adaptive"}
        written.effort = _effort(writing, _EFFORTS)
        written.on = True
    else:
        _write_budget(writing, written)


def _effort(writing: Writing, known: tuple[str, ...]) -> str | None:
    """The nearest that is known."""
    asked = writing.request.reasoning
    if asked.effort is not None:
        if asked.effort in known:
            return asked.effort
        nearest = known[0] if asked.effort in ("minimal", "none") else known[-1]
        writing.losses.clamped("reasoning.effort", f"'{asked.effort}' is sent as '{nearest}'")
        return nearest
    if asked.budget_tokens is None:
        return None
    effort = _within(nearest_effort(asked.budget_tokens), known)
    writing.losses.changed("reasoning", f"a budget of {asked.budget_tokens} tokens is sent as the effort '{effort}'")
    return effort


def _within(effort: str, known: tuple[str, ...]) -> str:
    if effort in known:
        return effort
    return known[0] if effort == "minimal" else known[-1]


def _write_budget(writing: Writing, written: Thinking) -> None:
    asked, limit = writing.request.reasoning, written.max_tokens or writing.target.max_output_tokens
    budget = _wished(asked, limit)
    if limit is not None:
        # The answer has room by default; a caller who counts has counted it himself.
        counted = asked.budget_tokens is not None and asked.budget_tokens < limit
        most = limit - 1 if counted else limit - min(_ANSWER_ROOM, limit // 2)
        if most < LEAST_BUDGET:
            writing.losses.changed("reasoning", f"left out: max_tokens of {limit} leaves no room for it")
            return
        if budget > most:
            writing.losses.clamped("reasoning", f"{most} tokens of {limit} are for reasoning")
            budget = most
    written.fields["thinking"] = {"type": "enabled", "budget_tokens": max(budget, LEAST_BUDGET)}
    written.on = written.manual = True


def _wished(asked: ReasoningAsked, limit: int | None) -> int:
    if asked.budget_tokens is not None:
        return asked.budget_tokens
    if asked.effort == "max":
        return limit - min(_ANSWER_ROOM, limit // 2) if limit is not None else _BUDGETS["xhigh"]
    return _BUDGETS.get(asked.effort or "medium", _BUDGETS["medium"])


def _other(writing: Writing, written: Thinking, *, off: bool) -> None:
    """Models of other makers."""
    name, losses = writing.target.upstream.lower(), writing.losses
    if writing.maker == "amazon" and "nova-2" in name:
        _nova(writing, written, off=off)
    elif (told := _effort_field(writing.maker, name)) is None:
        if not off:
            losses.dropped("reasoning")
    elif off and told == "reasoning_effort":
        losses.dropped("reasoning")
    else:
        effort = "none" if off else _effort(writing, _EFFORTS)
        if effort is not None:
            written.fields |= {"reasoning": {"effort": effort}} if told == "reasoning" else {told: effort}


def _nova(writing: Writing, written: Thinking, *, off: bool) -> None:
    if off:
        written.fields["reasoningConfig"] = {"type": "disabled"}
        return
    effort = _effort(writing, _NOVA_EFFORTS) or "medium"
    if effort == "high" and written.max_tokens is not None:
        effort = "medium"
        writing.losses.clamped("reasoning.effort", "'high' is sent as 'medium': it takes no maximum beside it")
    written.fields["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": effort}
    written.unsampled = effort == "high"


def _effort_field(maker: str, name: str) -> str | None:
    if maker == "openai":
        return "reasoning_effort" if "gpt-oss" in name else "reasoning"
    if maker in ("moonshot", "moonshotai") or (maker == "deepseek" and "deepseek.v3" in name):
        return "reasoning_effort"
    return None


def settle(writing: Writing, written: Thinking, messages: list[dict[str, Any]], *, forced: bool) -> None:
    """Takes thinking out where Claude would refuse it beside the rest of the request."""
    if not written.on:
        return
    why = None
    if forced:
        why = "it cannot be combined with a tool choice that forces a call"
    elif written.manual and not _begins_with_thinking(messages):
        why = "the last turn that uses tools came back without the reasoning it began with"
    if why is not None:
        del written.fields["thinking"]
        written.on = written.manual = False
        writing.losses.changed("reasoning", f"left out: {why}")


def _begins_with_thinking(messages: list[dict[str, Any]]) -> bool:
    """The assistant's turn that began the tool loop now running begins with reasoning, and so does a turn that the
    model is to go on with."""
    at = len(messages) - 1
    if at >= 0 and messages[at]["role"] == "assistant":
        return _thinks_first(messages[at])
    start: int | None = None
    while at >= 1 and messages[at]["role"] == "user" and _only_results(messages[at]):
        start = at - 1
        at -= 2
    return start is None or _thinks_first(messages[start])


def _thinks_first(message: dict[str, Any]) -> bool:
    first = message["content"][0] if message["content"] else None
    return isinstance(first, dict) and "reasoningContent" in first


def _only_results(message: dict[str, Any]) -> bool:
    return all(
        isinstance(block, dict) and ("toolResult" in block or "cachePoint" in block) for block in message["content"]
    )
