"""How much a model is to think, both ways.

Forms: the `anthropic` package's types/thinking_config_*_param.py and output_config_param.py. What may not stand beside
thinking: https://platform.claude.com/docs/en/build-with-claude/extended-thinking and, for adaptive thinking, which
asks for no thinking block in earlier turns, https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.anthropic_messages.blocks import Writing
from trunkline.translation.anthropic_messages.content import wrong
from trunkline.translation.exchange import ReasoningAsked
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode

LEAST_BUDGET = 1024
DEFAULT_MAX_TOKENS = 8192
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768}
_EFFORTS = frozenset(("low", "medium", "high", "xhigh", "max"))
_ANSWER_ROOM = 4096
"""Tokens that thinking leaves for the answer, where `max_tokens` is larger than twice that."""


class _Thinking(msgspec.Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None
    block_binding: Raw = Raw()


_decode = msgspec.json.Decoder(_Thinking).decode


def read_thinking(raw: Raw, asked: ReasoningAsked, extras: Fields, max_tokens: int | None) -> None:
    try:
        said = _decode(raw)
    except codec.UNREADABLE as error:
        raise wrong(error, "thinking") from None
    if said.type == "disabled":
        asked.enabled = False
        return
    if said.type not in ("adaptive", "enabled", "between_tools"):
        raise InvalidRequest(
            f"thinking: Input tag '{said.type[:60]}' found using 'type' does not match any of the expected tags: "
            "'adaptive', 'between_tools', 'disabled', 'enabled'",
            param="thinking.type",
        )
    asked.enabled = asked.state_wanted = True
    asked.adaptive = said.type == "adaptive"
    asked.shown = said.display != "omitted"
    if said.type == "enabled":
        asked.budget_tokens = _read_budget(said.budget_tokens, max_tokens)
    if said.type == "between_tools":
        extras["thinking.type"] = Raw(encode(said.type))
    if said.display not in (None, "summarized", "omitted"):
        extras["thinking.display"] = Raw(encode(said.display))
    if said.block_binding and bytes(said.block_binding) != b"null":
        extras["thinking.block_binding"] = said.block_binding


def _read_budget(budget: int | None, max_tokens: int | None) -> int:
    where = "thinking.enabled.budget_tokens"
    if budget is None:
        raise InvalidRequest(f"{where}: Field required", param="thinking.budget_tokens")
    if budget < LEAST_BUDGET:
        raise InvalidRequest(
            f"{where}: Input should be greater than or equal to {LEAST_BUDGET}", param="thinking.budget_tokens"
        )
    if max_tokens is not None and budget >= max_tokens:
        raise InvalidRequest("`max_tokens` must be greater than `thinking.budget_tokens`.", param="max_tokens")
    return budget


class Thinking(msgspec.Struct):
    """What is written of it. `max_tokens` is the request's, which thinking takes its share of."""

    max_tokens: int
    config: dict[str, Any] | None = None
    effort: str | None = None

    @property
    def on(self) -> bool:
        return self.config is not None and self.config["type"] != "disabled"


def write_thinking(writing: Writing, max_tokens: int | None) -> Thinking:
    """`max_tokens` None: the caller did not say."""
    target, asked = writing.target, writing.request.reasoning
    limit = max_tokens if max_tokens is not None else (target.max_output_tokens or DEFAULT_MAX_TOKENS)
    written = Thinking(limit)
    if asked.enabled is False or asked.effort == "none":
        if target.thinking == "always":
            writing.losses.changed("reasoning", f"{target.model_id} always thinks")
        elif target.thinking != "never":
            written.config = {"type": "disabled"}
        return written
    wanted = asked.enabled or asked.budget_tokens is not None or (asked.effort is not None and not writing.own)
    if not wanted:
        _write_effort_alone(writing, written)
    elif target.thinking in ("never", "always"):
        if target.thinking == "never" or asked.effort is not None or asked.budget_tokens is not None:
            writing.losses.dropped("reasoning")
    elif _by_effort(writing):
        written.effort = _effort(writing)
        if target.thinking != "effort":
            written.config = _with_display({"type": "adaptive"}, writing, adaptive=True)
    else:
        _write_budget(writing, written, counted=max_tokens is not None)
    return written


def _by_effort(writing: Writing) -> bool:
    """Whether the model is told by an effort. Of an unknown model the caller of this very protocol knows best; for all
    others a budget is the form that every server of it has."""
    if writing.target.thinking is None:
        return writing.own and writing.request.reasoning.budget_tokens is None
    return writing.target.thinking in ("adaptive", "effort")


def _write_effort_alone(writing: Writing, written: Thinking) -> None:
    """Effort also sets how much is said, so this protocol has it without thinking."""
    effort = writing.request.reasoning.effort
    if effort is None:
        return
    if writing.target.thinking in ("never", "always", "budget"):
        writing.losses.dropped("reasoning.effort")
    else:
        written.effort = _effort(writing)


def _effort(writing: Writing) -> str | None:
    asked = writing.request.reasoning
    if asked.effort in _EFFORTS:
        return asked.effort
    if asked.effort is not None:
        writing.losses.clamped("reasoning.effort", f"'{asked.effort}' is sent as 'low'")
        return "low"
    if asked.budget_tokens is None:
        return None
    budget = asked.budget_tokens
    nearest = min(_BUDGETS, key=lambda effort: abs(_BUDGETS[effort] - budget))
    effort = "low" if nearest == "minimal" else nearest
    writing.losses.changed("reasoning", f"a budget of {budget} tokens is sent as the effort '{effort}'")
    return effort


def _write_budget(writing: Writing, written: Thinking, *, counted: bool) -> None:
    asked = writing.request.reasoning
    most = written.max_tokens - min(_ANSWER_ROOM, written.max_tokens // 2)
    if asked.budget_tokens is not None:
        budget = asked.budget_tokens
        most = written.max_tokens - 1 if budget < written.max_tokens else most
    elif asked.effort == "max":
        budget = max(most, LEAST_BUDGET)
    else:
        budget = _BUDGETS.get(asked.effort or "medium", _BUDGETS["medium"])
    if budget > most and not counted and writing.target.max_output_tokens is None:
        written.max_tokens = budget + DEFAULT_MAX_TOKENS
        most = budget
    if most < LEAST_BUDGET:
        writing.losses.changed("reasoning", f"left out: max_tokens of {written.max_tokens} leaves no room for it")
        return
    if budget > most:
        writing.losses.clamped("reasoning", f"{most} tokens of {written.max_tokens} are for thinking")
        budget = most
    config: dict[str, Any] = {"type": "enabled", "budget_tokens": max(budget, LEAST_BUDGET)}
    written.config = _with_display(config, writing, adaptive=False)


def _with_display(config: dict[str, Any], writing: Writing, *, adaptive: bool) -> dict[str, Any]:
    """Models that think adaptively have defaults of their own, so there it is said either way."""
    own_type = writing.request.extras.get("thinking.type") if writing.own else None
    if own_type is not None:
        return {"type": own_type}
    if not writing.request.reasoning.shown:
        config["display"] = "omitted"
    elif adaptive:
        config["display"] = "summarized"
    if writing.own:
        for name in ("display", "block_binding"):
            raw = writing.request.extras.get(f"thinking.{name}")
            if raw is not None:
                config[name] = raw
    return config


def settle(writing: Writing, written: Thinking, messages: list[dict[str, Any]], *, forced: bool) -> None:
    """Takes thinking out where Anthropic would refuse it beside the rest of the request."""
    if not written.on:
        return
    if forced:
        written.config = None
        writing.losses.changed("reasoning", "left out: it cannot be combined with a tool choice that forces a call")
    elif written.config is not None and written.config["type"] == "enabled" and not _begins_with_thinking(messages):
        written.config = None
        writing.losses.changed(
            "reasoning", "left out: the last turn that uses tools came back without the thinking it began with"
        )


def _begins_with_thinking(messages: list[dict[str, Any]]) -> bool:
    """Manual thinking: the assistant's turn that began the tool loop now running begins with a thinking block, and so
    does a turn that the model is to go on with."""
    at = len(messages) - 1
    if at >= 0 and messages[at]["role"] == "assistant":
        return _thinks_first(messages[at])
    start: int | None = None
    while at >= 1 and messages[at]["role"] == "user" and _only_results(messages[at]):
        start = at - 1
        at -= 2
    return start is None or _thinks_first(messages[start])


def _thinks_first(message: dict[str, Any]) -> bool:
    blocks = message["content"]
    first = blocks[0] if blocks else None
    return isinstance(first, dict) and first["type"] in ("thinking", "redacted_thinking")


def _only_results(message: dict[str, Any]) -> bool:
    return all(isinstance(block, dict) and block["type"] == "tool_result" for block in message["content"])
