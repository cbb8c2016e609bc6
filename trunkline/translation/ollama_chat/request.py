"""A chat request for Ollama. Fields: https://docs.ollama.com/api/chat, options:
https://docs.ollama.com/modelfile#valid-parameters-and-values"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import Opaque, Request
from trunkline.translation.losses import Losses
from trunkline.translation.ollama_chat.messages import Messages
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode

OWN_FIELDS = ("keep_alive", "truncate", "shift", "think")
"""Fields that no other protocol has a word for, beside `options`. They are sent on from callers of any."""
_LEVELS = ("low", "medium", "high")
_BUDGETS = {"low": 2048, "medium": 8192, "high": 16384}
_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_tokens": "num_predict",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
_NO_PARAMETERS = Raw(b'{"type":"object","properties":{}}')


def write_request(request: Request, target: Target, losses: Losses) -> bytes:
    """What this protocol cannot say is told to `losses`, which may raise."""
    if request.n != 1:
        raise losses.refused("n", f"must be 1: {target.model_id} gives one answer a call")
    body: dict[str, Any] = {"model": target.upstream}
    if tools := _write_tools(request, losses):
        body["tools"] = tools
    body["messages"] = Messages(request, target, losses).list
    body["stream"] = request.stream  # it streams unless told not to
    form = request.output_format
    if form is not None and form.kind != "text":
        if form.description is not None:
            losses.dropped("output_format.description")
        body["format"] = form.schema if form.schema is not None else "json"
    if (think := _write_think(request, target, losses)) is not None:
        body["think"] = think
    if request.logprobs or request.top_logprobs is not None:
        body["logprobs"] = True
        if request.top_logprobs is not None:
            body["top_logprobs"] = request.top_logprobs
    if options := _write_options(request, target, losses):
        body["options"] = options
    _write_rest(request, body, losses)
    for name in target.drops:
        field = {"output_format": "format", "reasoning": "think"}.get(name, name)
        if field in body and field not in ("model", "messages", "stream", "tools", "options"):
            del body[field]
            losses.dropped(name)
    return encode(body)


def _write_tools(request: Request, losses: Losses) -> list[dict[str, Any]]:
    """The protocol has no choice among them, so what is not allowed is not sent."""
    choice = request.tool_choice
    only = choice.names if choice is not None and choice.names else None
    if choice is not None and choice.mode == "none":
        if request.tools:
            losses.changed("tool_choice", "'none' cannot be said: the tools are not sent")
        return []
    if only is not None and len(only) < len(request.tools):
        losses.changed("tool_choice", "only the tools it allows are sent")
    written: list[dict[str, Any]] = []
    for tool in request.tools:
        if isinstance(tool, Opaque):
            losses.dropped(f"tools.{tool.kind}")
        elif tool.custom:
            losses.dropped("tools.custom")
        elif only is None or tool.name in only:
            if tool.strict:
                losses.dropped("tools.strict")
            if tool.cache is not None:
                losses.dropped("cache")
            function: dict[str, Any] = {"name": tool.name}
            if tool.description is not None:
                function["description"] = tool.description
            said = tool.parameters is not None and bytes(tool.parameters) != b"null"
            function["parameters"] = tool.parameters if said else _NO_PARAMETERS
            written.append({"type": "function", "function": function})
    if choice is not None and choice.mode == "required":
        if not written:
            raise losses.refused("tool_choice", "cannot be kept: none of the tools can be sent")
        losses.changed("tool_choice", "a call cannot be forced: the model may answer without one")
    if written and request.parallel_tool_calls is False:
        losses.dropped("parallel_tool_calls")
    return written


def _write_think(request: Request, target: Target, losses: Losses) -> bool | str | None:
    """A level for those models that have levels (gpt-oss), else yes or no: https://docs.ollama.com/capabilities/thinking"""
    asked = request.reasoning
    off = asked.enabled is False or asked.effort == "none"
    wanted = not off and (asked.enabled or asked.budget_tokens is not None or asked.effort is not None)
    if target.thinking in ("never", "always"):
        if (wanted and target.thinking == "never") or (off and target.thinking == "always"):
            losses.dropped("reasoning")
        return None
    if off:
        return False
    if not wanted:
        return None
    if target.thinking == "effort" or target.upstream.rpartition("/")[2].startswith("gpt-oss"):
        return _level(request, losses)
    if asked.effort is not None or asked.budget_tokens is not None:
        losses.changed("reasoning", "it can only be switched on: how much is left to the model")
    return True


def _level(request: Request, losses: Losses) -> bool | str:
    asked = request.reasoning
    if asked.effort is not None:
        if asked.effort in _LEVELS:
            return asked.effort
        level = "low" if asked.effort == "minimal" else "high"
        losses.clamped("reasoning.effort", f"'{asked.effort}' is sent as '{level}'")
        return level
    if asked.budget_tokens is None:
        return True
    budget = asked.budget_tokens
    level = min(_LEVELS, key=lambda one: abs(_BUDGETS[one] - budget))
    losses.changed("reasoning", f"a budget of {budget} tokens is sent as the level '{level}'")
    return level


def _write_options(request: Request, target: Target, losses: Losses) -> dict[str, Any]:
    """With the caller's own `options`, such as num_ctx; what he said in his protocol's words counts."""
    options: dict[str, Any] = {}
    if "options" in request.extras:
        given: Fields | None = codec.answer_fields(bytes(request.extras["options"]))
        if given is None:
            raise InvalidRequest("'options' must be a JSON object.", code="invalid_type", param="options")
        options.update(given)
    for neutral, name in _OPTIONS.items():
        value = getattr(request, neutral)
        if value is not None:
            options[name] = value
    if request.stop:
        options["stop"] = request.stop
    for name in target.drops:
        if options.pop(_OPTIONS.get(name, name), None) is not None:
            losses.dropped(name)
    return options


def _write_rest(request: Request, body: dict[str, Any], losses: Losses) -> None:
    if request.service_tier not in (None, "auto", "default", "standard_only"):
        losses.dropped("service_tier")
    for name in ("logit_bias", "verbosity", "metadata", "end_user", "safety_identifier", "cache_key", "cache"):
        if getattr(request, name) is not None:
            losses.dropped(name)
    for name, raw in request.extras.items():
        if name in OWN_FIELDS:
            body[name] = raw
        elif name != "options":
            losses.dropped(name)
