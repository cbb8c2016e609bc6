"""A chat request, to and from the neutral form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.translation.exchange import Request
from trunkline.translation.losses import Losses
from trunkline.translation.openai_chat import effort, tools
from trunkline.translation.openai_chat.messages import Messages
from trunkline.translation.openai_chat.shapes import NULL, CacheControl, decoded, lifetime
from trunkline.translation.openai_chat.turns import PROTOCOL, Turns
from trunkline.translation.target import Target
from trunkline.wire.codec import encode
from trunkline.wire.inbound import Inbound
from trunkline.wire.openai_chat import ChatRequest

_NUMBER = msgspec.json.Decoder(float | None)
_WHOLE = msgspec.json.Decoder(int | None)
_SWITCH = msgspec.json.Decoder(bool | None)
_TEXT = msgspec.json.Decoder(str | None)
# Field -> its neutral name and how it is read.
_PLAIN: dict[str, tuple[str, msgspec.json.Decoder[Any]]] = {
    "temperature": ("temperature", _NUMBER),
    "top_p": ("top_p", _NUMBER),
    "top_k": ("top_k", _WHOLE),
    "presence_penalty": ("presence_penalty", _NUMBER),
    "frequency_penalty": ("frequency_penalty", _NUMBER),
    "logprobs": ("logprobs", _SWITCH),
    "top_logprobs": ("top_logprobs", _WHOLE),
    "seed": ("seed", _WHOLE),
    "parallel_tool_calls": ("parallel_tool_calls", _SWITCH),
    "verbosity": ("verbosity", _TEXT),
    "metadata": ("metadata", msgspec.json.Decoder(dict[str, str] | None)),
    "user": ("end_user", _TEXT),
    "safety_identifier": ("safety_identifier", _TEXT),
    "service_tier": ("service_tier", _TEXT),
    "prompt_cache_key": ("cache_key", _TEXT),
}
_STOP = msgspec.json.Decoder(str | list[str] | None)
_CACHE = msgspec.json.Decoder(CacheControl | None)
_ELSEWHERE = frozenset(("model", "messages", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens"))
NAMES: Mapping[str, str] = {
    "turns": "messages",
    "output_format": "response_format",
    "reasoning": "reasoning_effort",
    "max_tokens": "max_completion_tokens",
    "end_user": "user",
    "cache_key": "prompt_cache_key",
    "cache": "cache_control",
    "media.image": "image_url",
    "media.document": "file",
    "media.audio": "input_audio",
    "media.video": "video_url",
}
MAX_STOPS = 4


def read_request(inbound: Inbound) -> Request:
    """Raises InvalidRequest naming the field. Fields that are null are as if they were not there."""
    fields = inbound.fields
    request = Request(
        protocol=PROTOCOL,
        model=inbound.model,
        turns=Turns(fields["messages"]).list,
        stream=inbound.stream,
        max_tokens=inbound.max_tokens,
        extras={},
    )
    if isinstance(inbound, ChatRequest):
        request.n = inbound.n
        request.usage_in_stream = inbound.include_usage
    request.reasoning, asked_by = effort.read_asked(fields)
    names: dict[str, str] = {}
    if asked_by != NAMES["reasoning"]:
        names["reasoning"] = asked_by
    if "max_completion_tokens" not in fields and "max_tokens" in fields:
        names["max_tokens"] = "max_tokens"
    for name, raw in fields.items():
        if name in _ELSEWHERE or name in effort.FIELDS or bytes(raw) == NULL:
            continue
        plain = _PLAIN.get(name)
        if plain is not None:
            setattr(request, plain[0], decoded(plain[1], raw, name))
        elif not _read_shaped(request, name, raw):
            request.extras[name] = raw
    if request.legacy_functions:
        # This form has room for one call.
        request.parallel_tool_calls = False
        names.update(tools="functions", tool_choice="function_call", parallel_tool_calls="functions")
    request.names = {**NAMES, **names} if names else NAMES
    return request


def _read_shaped(request: Request, name: str, raw: Raw) -> bool:
    match name:
        case "tools":
            request.tools = tools.read_tools(raw)
        case "tool_choice":
            request.tool_choice = tools.read_choice(raw)
        case "functions":
            request.tools = tools.read_functions(raw)
            request.legacy_functions = bool(request.tools)
        case "function_call":
            request.tool_choice = tools.read_legacy_choice(raw)
        case "response_format":
            request.output_format = tools.read_format(raw)
        case "stop":
            stop = decoded(_STOP, raw, name)
            request.stop = [stop] if isinstance(stop, str) else stop or []
        case "logit_bias":
            request.logit_bias = raw
        case "cache_control":
            request.cache = lifetime(decoded(_CACHE, raw, name))
        case _:
            return False
    return True


def write_request(request: Request, target: Target, losses: Losses) -> bytes:
    """The body for a provider. The order of its fields does not depend on the request, so equal beginnings of
    conversations are equal bytes."""
    body: dict[str, Any] = {"model": target.upstream}
    body.update(tools.write_tools(request, target, losses))
    body["messages"] = Messages(request, target, losses).list
    if request.output_format is not None:
        body["response_format"] = tools.write_format(request.output_format)
    body.update(effort.write_asked(request, target, losses))
    _write_max_tokens(body, request, target)
    _write_plain(body, request, losses)
    if request.cache is not None:
        if target.takes_cache_control:
            body["cache_control"] = tools.cache_control(request.cache)
        else:
            losses.dropped("cache")
    if request.stream:
        body["stream"] = True
        if not target.refuses_stream_options:
            body["stream_options"] = {"include_usage": True}
    _write_extras(body, request, losses)
    _drop(body, target, losses)
    return encode(body)


def _write_max_tokens(body: dict[str, Any], request: Request, target: Target) -> None:
    if request.max_tokens is None:
        return
    newer = "max_completion_tokens"
    asked_older = request.protocol == PROTOCOL and request.names.get("max_tokens") == "max_tokens"
    refuses_older = target.max_tokens_renamed or "max_tokens" in target.drops
    older = target.max_tokens_only or newer in target.drops or (asked_older and not refuses_older)
    body["max_tokens" if older else newer] = request.max_tokens


def _write_plain(body: dict[str, Any], request: Request, losses: Losses) -> None:
    own = request.protocol == PROTOCOL
    for name, (neutral, _) in _PLAIN.items():
        value = getattr(request, neutral)
        if value is None or neutral == "parallel_tool_calls":
            continue
        if neutral in ("top_k", "metadata") and not own:
            # `top_k` is no field of OpenAI's; `metadata` it takes only of calls that it is to store.
            losses.dropped(neutral)
            continue
        if neutral == "service_tier" and not own:
            if value not in _TIERS:
                losses.dropped(neutral)
                continue
            value = _TIERS[value]
        body[name] = value
    if request.logit_bias is not None:
        body["logit_bias"] = request.logit_bias
    if request.n != 1:
        body["n"] = request.n
    if request.stop:
        if len(request.stop) > MAX_STOPS and not own:
            losses.clamped("stop", f"only the first {MAX_STOPS} are sent")
        body["stop"] = request.stop if own else request.stop[:MAX_STOPS]
    if request.top_logprobs is not None and request.logprobs is None:
        body["logprobs"] = True


# Other protocols' words for the same.
_TIERS = {"standard_only": "default"} | {name: name for name in ("auto", "default", "flex", "priority", "scale")}


def _write_extras(body: dict[str, Any], request: Request, losses: Losses) -> None:
    for name, raw in request.extras.items():
        if request.protocol == PROTOCOL:
            body[name] = raw
        else:
            losses.dropped(name)


# What a target drops may be said by neutral name.
_FIELD_NAMES = {neutral: name for name, (neutral, _) in _PLAIN.items()} | {
    "output_format": "response_format",
    "reasoning": "reasoning_effort",
}
_NEVER_DROPPED = frozenset(("model", "messages", "stream", "tools"))


def _drop(body: dict[str, Any], target: Target, losses: Losses) -> None:
    for name in target.drops:
        field = _FIELD_NAMES.get(name, name)
        if field in body and field not in _NEVER_DROPPED:
            del body[field]
            losses.dropped(next((neutral for neutral, own in _FIELD_NAMES.items() if own == field), field))
