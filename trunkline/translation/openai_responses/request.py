"""Requests: what a caller of this protocol asks, and what a provider of it is asked.

A crossing never leaves state with the provider: `store` is false, and its reasoning comes back encrypted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import Opaque, OutputFormat, Request, Text, Turn
from trunkline.translation.losses import Losses
from trunkline.translation.openai_responses.asked import PROTOCOL, Asked, refusal
from trunkline.translation.openai_responses.items import InputReader, InputWriter
from trunkline.translation.openai_responses.tools import read_choice, read_tools, write_choice, write_tools
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode
from trunkline.wire.inbound import Inbound

ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
LEAST_OUTPUT_TOKENS = 16
"""What OpenAI takes as the least (https://platform.openai.com/docs/api-reference/responses/create)."""

# How this protocol calls what has another name in the neutral form.
NAMES = {
    "cache": "prompt_cache_breakpoint",
    "cache_key": "prompt_cache_key",
    "end_user": "user",
    "logprobs": "include",
    "max_tokens": "max_output_tokens",
    "output_format": "text.format",
    "turns": "input",
    "verbosity": "text.verbosity",
}
# What is the gateway's own business, or is read elsewhere.
_KEPT_HERE = frozenset(
    (
        "model",
        "input",
        "instructions",
        "stream",
        "store",
        "background",
        "previous_response_id",
        "conversation",
        "tools",
        "tool_choice",
        "include",
        "text",
        "reasoning",
    )
)
_NULL = b"null"
# Tokens of reasoning that an effort stands for, where one side counts and the other does not.
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768}
_SERVICE_TIERS = frozenset(("auto", "default", "flex", "scale", "priority", "fast", "ultrafast"))
_STANDARD_TIERS = frozenset(("standard_only", "standard"))


def _reader(kind: Any) -> Callable[[Raw], Any]:
    return msgspec.json.Decoder(kind).decode


# Field -> its neutral name and how it is read. The ranges were checked when the body came in.
_PLAIN: dict[str, tuple[str, Callable[[Raw], Any]]] = {
    "max_output_tokens": ("max_tokens", lambda raw: None if bytes(raw) == _NULL else int(msgspec.json.decode(raw))),
    "temperature": ("temperature", _reader(float | None)),
    "top_p": ("top_p", _reader(float | None)),
    "presence_penalty": ("presence_penalty", _reader(float | None)),
    "frequency_penalty": ("frequency_penalty", _reader(float | None)),
    "parallel_tool_calls": ("parallel_tool_calls", _reader(bool | None)),
    "metadata": ("metadata", _reader(dict[str, str] | None)),
    "user": ("end_user", _reader(str | None)),
    "safety_identifier": ("safety_identifier", _reader(str | None)),
    "prompt_cache_key": ("cache_key", _reader(str | None)),
    "service_tier": ("service_tier", _reader(str | None)),
}
# These say what holds anyway.
_DEFAULTS = {"truncation": b'"disabled"', "stream_options": b'{"include_obfuscation":false}'}


class _Reasoning(msgspec.Struct, gc=False):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class _Format(msgspec.Struct, gc=False):
    type: str
    name: str | None = None
    description: str | None = None
    schema: Raw = Raw()
    strict: bool | None = None


class _TextOptions(msgspec.Struct, gc=False):
    format: _Format | None = None
    verbosity: str | None = None


_read_texts = _reader(list[str] | None)
_read_text = _reader(str | None)
_read_reasoning = _reader(_Reasoning | None)
_read_options = _reader(_TextOptions | None)
_read_count = _reader(float | None)


def read_request(inbound: Inbound) -> Asked:
    """Raises InvalidRequest naming the field."""
    fields = inbound.fields
    request = Asked(
        protocol=PROTOCOL,
        model=inbound.model,
        turns=[],
        stream=inbound.stream,
        usage_in_stream=True,
        extras={},
        names=NAMES,
        echo=fields,
        namespaces={},
        native={},
    )
    for name, raw in fields.items():
        if name in _PLAIN:
            neutral, read = _PLAIN[name]
            setattr(request, neutral, _read(read, raw, name))
        elif name not in _KEPT_HERE and bytes(raw) not in (_NULL, _DEFAULTS.get(name)):
            request.extras[name] = raw
    if "tools" in fields:
        read_tools(request, fields["tools"])
    _read_turns(request, fields)
    request.needs = _needs(request)
    if "tool_choice" in fields:
        read_choice(request, fields["tool_choice"])
    _read_include(request, fields)
    if "reasoning" in fields:
        _read_reasoning_asked(request, fields["reasoning"])
    if "text" in fields:
        _read_output(request, fields["text"])
    return request


def _read(read: Callable[[Raw], Any], raw: Raw, name: str) -> Any:
    try:
        return read(raw)
    except codec.UNREADABLE as error:
        raise refusal(error, name) from None


def _needs(request: Request) -> list[str]:
    """A template that the provider keeps, a conversation that it has made short in its own words."""
    needs = ["prompt"] if "prompt" in request.extras else []
    parts = (part for turn in request.turns for part in turn.parts)
    if any(isinstance(part, Opaque) and part.kind == "compaction" for part in parts):
        needs.append("compaction")
    return needs


def _read_turns(request: Asked, fields: Fields) -> None:
    if "instructions" in fields:
        instructions = _read(_read_text, fields["instructions"], "instructions")
        if instructions:
            request.turns.append(Turn(role="system", parts=[Text(text=instructions)]))
    said = fields.get("input")
    if said is None or bytes(said) == _NULL:
        return
    reader = InputReader()
    reader.read(said)
    request.turns += reader.turns
    for name, pair in reader.namespaces.items():
        request.namespaces.setdefault(name, pair)


def _read_include(request: Asked, fields: Fields) -> None:
    include: list[str] = _read(_read_texts, fields.get("include", Raw(_NULL)), "include") or []
    request.reasoning.state_wanted = ENCRYPTED in include
    request.reasoning.shown = request.reasoning.state_wanted
    rest = [name for name in include if name not in (ENCRYPTED, LOGPROBS)]
    if rest:
        request.extras["include"] = Raw(encode(rest))
    request.extras.pop("top_logprobs", None)
    if LOGPROBS in include:
        top = fields.get("top_logprobs")
        request.logprobs = True
        count = None if top is None else _read(_read_count, top, "top_logprobs")
        request.top_logprobs = None if count is None else int(count)


def _read_reasoning_asked(request: Asked, raw: Raw) -> None:
    said: _Reasoning | None = _read(_read_reasoning, raw, "reasoning")
    if said is None:
        return
    asked = request.reasoning
    asked.shown = True
    asked.effort = said.effort
    if said.effort == "none":
        asked.enabled = False
    asked.summary = said.summary or said.generate_summary
    _keep_rest(request, raw, "reasoning", _Reasoning)


def _read_output(request: Asked, raw: Raw) -> None:
    said: _TextOptions | None = _read(_read_options, raw, "text")
    if said is None:
        return
    request.verbosity = said.verbosity
    _keep_rest(request, raw, "text", _TextOptions)
    form = said.format
    if form is None:
        return
    if form.type == "json_schema":
        if not form.schema:
            raise InvalidRequest(
                "'text.format.schema' is required.", code="missing_required_parameter", param="text.format.schema"
            )
        request.output_format = OutputFormat(
            kind="json_schema",
            name=form.name,
            description=form.description,
            schema=form.schema,
            strict=form.strict,
        )
    elif form.type == "json_object":
        request.output_format = OutputFormat(kind="json_object")
    elif form.type == "text":
        request.output_format = OutputFormat(kind="text")
    else:
        raise InvalidRequest(
            "'text.format.type' must be text, json_object or json_schema.",
            code="invalid_value",
            param="text.format.type",
        )


def _keep_rest(request: Asked, raw: Raw, within: str, known: type[msgspec.Struct]) -> None:
    """Fields of an object that the neutral form lacks, under `within.name`."""
    for name, value in (codec.answer_fields(bytes(raw)) or {}).items():
        if name not in known.__struct_fields__ and bytes(value) != _NULL:
            request.extras[f"{within}.{name}"] = value


def write_request(request: Request, target: Target, losses: Losses) -> bytes:
    """Raises InvalidRequest for what cannot be asked."""
    if request.n != 1:
        raise losses.refused("n", "must be 1: this protocol gives one answer to a call.")
    own = request.protocol == PROTOCOL
    spoken = InputWriter(request, target, losses)
    spoken.write()
    body: dict[str, Any] = {"model": target.upstream}
    if spoken.instructions is not None:
        body["instructions"] = spoken.instructions
    body["input"] = spoken.items
    tools = write_tools(request, losses)
    if tools:
        body["tools"] = tools
        body["tool_choice"] = write_choice(request)
        body["parallel_tool_calls"] = request.parallel_tool_calls
    body["reasoning"] = _write_reasoning(request, target, losses)
    body["text"] = write_output(request)
    _write_sampling(request, body, losses)
    body["metadata"] = request.metadata
    body["user"] = request.end_user
    body["safety_identifier"] = request.safety_identifier
    body["prompt_cache_key"] = request.cache_key
    body["service_tier"] = _write_service_tier(request, losses)
    if request.cache is not None:
        losses.changed("cache", "providers of this protocol find what they can reuse by themselves")
    include = [] if target.thinking == "never" else [ENCRYPTED]
    if request.logprobs:
        include.append(LOGPROBS)
        body["top_logprobs"] = request.top_logprobs
    body["include"] = include
    _write_extras(request, body, losses, own=own)
    _drop(body, target, losses)
    body["stream"] = request.stream
    body["store"] = False
    return encode({name: value for name, value in body.items() if value is not None})


_NEUTRAL = {name: neutral for name, (neutral, _) in _PLAIN.items()}


def _drop(body: dict[str, Any], target: Target, losses: Losses) -> None:
    """What this model refuses, by its neutral name or by its name here."""
    if not target.drops:
        return
    text = body.get("text")
    if text is not None and "verbosity" in target.drops and text.pop("verbosity", None) is not None:
        losses.dropped("verbosity")
        body["text"] = text or None
    for name in list(body):
        neutral = _NEUTRAL.get(name, name)
        if name in target.drops or neutral in target.drops:
            if body[name] is not None:
                losses.dropped(neutral)
            del body[name]


def _write_sampling(request: Request, body: dict[str, Any], losses: Losses) -> None:
    body["max_output_tokens"] = request.max_tokens
    if request.max_tokens is not None and request.max_tokens < LEAST_OUTPUT_TOKENS:
        losses.changed("max_tokens", f"raised to {LEAST_OUTPUT_TOKENS}, the least that this protocol takes")
        body["max_output_tokens"] = LEAST_OUTPUT_TOKENS
    body["temperature"] = request.temperature
    body["top_p"] = request.top_p
    for name in ("top_k", "presence_penalty", "frequency_penalty", "logit_bias", "seed"):
        if getattr(request, name) is not None:
            losses.dropped(name)
    if request.stop:
        losses.dropped("stop")


def _write_reasoning(request: Request, target: Target, losses: Losses) -> dict[str, Any] | None:
    asked = request.reasoning
    effort = asked.effort
    if effort is None and asked.enabled is False:
        effort = "none"
    if effort is None and asked.budget_tokens is not None:
        effort = min(_BUDGETS, key=lambda name: abs(_BUDGETS[name] - (asked.budget_tokens or 0)))
        losses.changed("reasoning.budget_tokens", f"written as the effort '{effort}'")
    told = effort is not None or asked.enabled or asked.adaptive or asked.summary is not None
    if target.thinking == "never":
        if told and effort != "none":
            losses.dropped("reasoning.effort")
        return None
    if target.thinking == "always" and effort is not None:
        losses.dropped("reasoning.effort")
        effort = None
    written: dict[str, Any] = {} if effort is None else {"effort": effort}
    # A model of which nothing is known may not reason at all, and refuses to tell of it.
    if asked.shown and effort != "none" and (told or target.thinking is not None):
        written["summary"] = asked.summary or "auto"
    for name, value in request.extras.items():
        if request.protocol == PROTOCOL and name.startswith("reasoning."):
            written[name.removeprefix("reasoning.")] = value
    return written or None


def write_output(request: Request) -> dict[str, Any] | None:
    written: dict[str, Any] = {}
    form = request.output_format
    if form is not None:
        written["format"] = {"type": form.kind}
        if form.kind == "json_schema":
            said = {
                "name": form.name or "answer",
                "description": form.description,
                "schema": form.schema,
                "strict": form.strict,
            }
            written["format"].update({name: value for name, value in said.items() if value is not None})
    if request.verbosity is not None:
        written["verbosity"] = request.verbosity
    for name, value in request.extras.items():
        if request.protocol == PROTOCOL and name.startswith("text."):
            written[name.removeprefix("text.")] = value
    return written or None


def _write_service_tier(request: Request, losses: Losses) -> str | None:
    tier = request.service_tier
    if tier in _STANDARD_TIERS:
        return "default"
    if tier is not None and tier not in _SERVICE_TIERS:
        losses.dropped("service_tier")
        return None
    return tier


def _write_extras(request: Request, body: dict[str, Any], losses: Losses, *, own: bool) -> None:
    for name, raw in request.extras.items():
        if not own:
            losses.dropped(name)
        elif name == "include":
            body["include"] += msgspec.json.decode(raw, type=list[str])
        elif "." not in name:
            body[name] = raw
