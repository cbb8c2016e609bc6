"""A chat request for Cohere. Fields and ranges: https://docs.cohere.com/reference/chat"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from trunkline.translation.cohere_chat.messages import Messages
from trunkline.translation.exchange import Opaque, Request, Tool
from trunkline.translation.losses import Losses
from trunkline.translation.target import Target
from trunkline.wire.codec import encode

MAX_STOPS = 5
MAX_K = 500
LEAST_P, MOST_P = 0.01, 0.99
OWN_FIELDS = ("documents", "citation_options", "safety_mode", "priority")
"""Fields that no other protocol has a word for. They are sent on from callers of any."""
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768}
_ANSWER_ROOM = 1000
"""Tokens that reasoning leaves for the answer, as https://docs.cohere.com/docs/reasoning advises."""
_NO_PARAMETERS = Raw(b'{"type":"object","properties":{}}')
_AS_JSON = "Answer with one JSON value that fits this JSON schema, and with nothing else, no code fence:\n"


def write_request(request: Request, target: Target, losses: Losses) -> bytes:
    """What this protocol cannot say is told to `losses`, which may raise."""
    if request.n != 1:
        raise losses.refused("n", f"must be 1: {target.model_id} gives one answer a call")
    body: dict[str, Any] = {"model": target.upstream}
    tools = _write_tools(request, losses)
    if tools:
        body["tools"] = tools
        _write_strict(request, tools, body, losses)
    _write_choice(request, tools, body, losses)
    body["messages"] = Messages(request, target, losses).list
    _write_form(request, target, body, losses)
    _write_parameters(request, body, losses)
    if (thinking := _write_thinking(request, target, losses)) is not None:
        body["thinking"] = thinking
    if request.stream:
        body["stream"] = True
    for name, raw in request.extras.items():
        if name in OWN_FIELDS:
            body[name] = raw
        else:
            losses.dropped(name)
    _drop(body, target, losses)
    return encode(body)


def _write_tools(request: Request, losses: Losses) -> list[dict[str, Any]]:
    only = _allowed(request, losses)
    written: list[dict[str, Any]] = []
    for tool in request.tools:
        if isinstance(tool, Opaque):
            losses.dropped(f"tools.{tool.kind}")
        elif tool.custom:
            losses.dropped("tools.custom")
        elif only is None or tool.name in only:
            if tool.cache is not None:
                losses.dropped("cache")
            function: dict[str, Any] = {"name": tool.name}
            if tool.description is not None:
                function["description"] = tool.description
            said = tool.parameters is not None and bytes(tool.parameters) != b"null"
            function["parameters"] = tool.parameters if said else _NO_PARAMETERS
            written.append({"type": "function", "function": function})
    return written


def _allowed(request: Request, losses: Losses) -> tuple[str, ...] | None:
    """The names of the only tools to be sent; None for all. A choice by name is made by sending nothing else."""
    choice = request.tool_choice
    if choice is None or not choice.names or choice.mode == "none":
        return None
    if len(choice.names) < len(request.tools):
        losses.changed("tool_choice", "only the tools it allows are sent")
    return choice.names


def _write_strict(request: Request, tools: list[dict[str, Any]], body: dict[str, Any], losses: Losses) -> None:
    """One field for all of them."""
    sent = {tool["function"]["name"] for tool in tools}
    strict = [tool.strict for tool in request.tools if isinstance(tool, Tool) and tool.name in sent]
    if all(strict):
        body["strict_tools"] = True
    elif any(strict):
        losses.changed("tools.strict", "left out: it would hold for all tools, and was not asked for all")


def _write_choice(request: Request, tools: list[dict[str, Any]], body: dict[str, Any], losses: Losses) -> None:
    choice = request.tool_choice
    if not tools:
        if choice is not None and choice.mode == "required":
            raise losses.refused("tool_choice", "cannot be kept: none of the tools can be sent")
        return
    if choice is not None and choice.mode != "auto":
        body["tool_choice"] = choice.mode.upper()
    if request.parallel_tool_calls is False:
        losses.dropped("parallel_tool_calls")


def _write_form(request: Request, target: Target, body: dict[str, Any], losses: Losses) -> None:
    """Beside tools Cohere takes no form of the answer: there, and where the model does not keep to one, it is asked for
    in the system's words."""
    wish = request.output_format
    if wish is None or wish.kind == "text":
        return
    if wish.description is not None:
        losses.dropped("output_format.description")
    if "tools" not in body and not (wish.schema is not None and target.json_schema is False):
        form: dict[str, Any] = {"type": "json_object"}
        if wish.schema is not None:
            form["json_schema"] = wish.schema
        body["response_format"] = form
        return
    schema = bytes(wish.schema).decode() if wish.schema is not None else '{"type":"object"}'
    messages: list[dict[str, Any]] = body["messages"]
    first = next((at for at, message in enumerate(messages) if message["role"] != "system"), len(messages))
    messages.insert(first, {"role": "system", "content": _AS_JSON + schema})


def _write_parameters(request: Request, body: dict[str, Any], losses: Losses) -> None:
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    if request.temperature is not None:
        body["temperature"] = request.temperature
    for name, neutral, least, most in (
        ("p", "top_p", LEAST_P, MOST_P),
        ("k", "top_k", 0, MAX_K),
        ("frequency_penalty", "frequency_penalty", 0, 1),
        ("presence_penalty", "presence_penalty", 0, 1),
    ):
        value = getattr(request, neutral)
        if value is not None:
            body[name] = min(max(value, least), most)
            if body[name] != value:
                losses.clamped(neutral, f"{body[name]} is the nearest that can be sent")
    if request.seed is not None:
        body["seed"] = request.seed
    if request.stop:
        if len(request.stop) > MAX_STOPS:
            losses.clamped("stop", f"only the first {MAX_STOPS} are sent")
        body["stop_sequences"] = request.stop[:MAX_STOPS]
    if request.logprobs:
        body["logprobs"] = True
    if request.service_tier not in (None, "auto", "default", "standard_only"):
        losses.dropped("service_tier")
    for name in (
        "top_logprobs",
        "logit_bias",
        "verbosity",
        "metadata",
        "end_user",
        "safety_identifier",
        "cache_key",
        "cache",
    ):
        if getattr(request, name) is not None:
            losses.dropped(name)


def _write_thinking(request: Request, target: Target, losses: Losses) -> dict[str, Any] | None:
    asked = request.reasoning
    off = asked.enabled is False or asked.effort == "none"
    wanted = not off and (asked.enabled or asked.budget_tokens is not None or asked.effort is not None)
    if target.thinking in ("never", "always"):
        if (wanted and target.thinking == "never") or (off and target.thinking == "always"):
            losses.dropped("reasoning")
        return None
    if off:
        # Models that cannot reason have no such switch.
        return {"type": "disabled"} if target.thinking is not None or "reasoning" in target.upstream else None
    if not wanted:
        return None
    thinking: dict[str, Any] = {"type": "enabled"}
    budget = asked.budget_tokens
    if budget is None and asked.effort is not None:
        budget = _BUDGETS.get(asked.effort)
    if budget is not None:
        limit = request.max_tokens or target.max_output_tokens
        if limit is not None and budget >= limit:
            budget = max(1, limit - min(_ANSWER_ROOM, limit // 2))
            losses.clamped("reasoning", f"{budget} tokens of {limit} are for reasoning")
        thinking["token_budget"] = budget
    return thinking


_FIELD_NAMES = {
    "top_p": "p",
    "top_k": "k",
    "stop": "stop_sequences",
    "output_format": "response_format",
    "reasoning": "thinking",
}
_NEVER_DROPPED = frozenset(("model", "messages", "stream", "tools"))


def _drop(body: dict[str, Any], target: Target, losses: Losses) -> None:
    """What the model refuses, by the neutral names or this protocol's."""
    for name in target.drops:
        field = _FIELD_NAMES.get(name, name)
        if field in body and field not in _NEVER_DROPPED:
            del body[field]
            losses.dropped(name)
