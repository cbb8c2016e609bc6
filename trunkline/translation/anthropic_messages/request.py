"""Requests, both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import Raw

from trunkline.translation.anthropic_messages import breakpoints, schemas, thinking, tools
from trunkline.translation.anthropic_messages.blocks import Block, Writing, plain, write_parts
from trunkline.translation.anthropic_messages.content import Kept, read_messages, read_parts, wrong
from trunkline.translation.anthropic_messages.vocabulary import PROTOCOL, cache_control, is_narrower, lifetime, said
from trunkline.translation.exchange import OutputFormat, Request, Turn
from trunkline.translation.losses import Losses
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode
from trunkline.wire.inbound import Inbound

NO_QUESTION = "."
"""What a turn of the user says that holds nothing, or that is put before a conversation which the assistant begins."""
_AS_JSON = "Answer with one JSON object and nothing else: no other text before or after it, and no code fence."

NAMES = {
    "turns": "messages",
    "reasoning": "thinking",
    "reasoning.effort": "output_config.effort",
    "output_format": "output_config.format",
    "stop": "stop_sequences",
    "end_user": "metadata.user_id",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "cache": "cache_control",
}
"""What callers of this protocol call the neutral fields."""


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class _Format(msgspec.Struct):
    type: Literal["json_schema"]
    schema: Raw


class _OutputConfig(msgspec.Struct):
    effort: str | None = None
    format: _Format | None = None


_decode_number = msgspec.json.Decoder(float | None).decode
_decode_count = msgspec.json.Decoder(int | None).decode
_decode_strings = msgspec.json.Decoder(list[str] | None).decode
_decode_text = msgspec.json.Decoder(str | None).decode
_decode_metadata = msgspec.json.Decoder(_Metadata).decode
_decode_output = msgspec.json.Decoder(_OutputConfig).decode
_decode_format = msgspec.json.Decoder(_Format).decode
_decode_fields = msgspec.json.Decoder(Fields).decode

_PLAIN: dict[str, tuple[str, Callable[[Raw], Any]]] = {
    "temperature": ("temperature", _decode_number),
    "top_p": ("top_p", _decode_number),
    "top_k": ("top_k", _decode_count),
    "stop_sequences": ("stop", _decode_strings),
    "service_tier": ("service_tier", _decode_text),
}
_READ = frozenset(
    ("model", "messages", "max_tokens", "stream", "system", "tools", "tool_choice", "thinking", "metadata")
) | {"output_config", "output_format", "cache_control", *_PLAIN}


def read_request(inbound: Inbound) -> Request:
    """Raises InvalidRequest naming the field, `messages.0.content.1.text` as Anthropic spells it."""
    fields = inbound.fields
    kept = Kept()
    request = Request(
        protocol=PROTOCOL,
        model=inbound.model,
        turns=[],
        stream=inbound.stream,
        usage_in_stream=True,
        max_tokens=inbound.max_tokens,
        names=NAMES,
    )
    extras: Fields = {name: raw for name, raw in fields.items() if name not in _READ and said(raw)}
    _read_turns(request, fields, kept)
    if (raw := _field(fields, "tools")) is not None:
        request.tools = tools.read_tools(raw, kept)
    if (raw := _field(fields, "tool_choice")) is not None:
        tools.read_tool_choice(raw, request)
    if (raw := _field(fields, "thinking")) is not None:
        thinking.read_thinking(raw, request.reasoning, extras, inbound.max_tokens)
    for name, (neutral, decode) in _PLAIN.items():
        if (raw := _field(fields, name)) is not None:
            setattr(request, neutral, _decoded(decode, raw, name))
    _read_output(request, fields, extras)
    if (raw := _field(fields, "metadata")) is not None:
        request.end_user = _decoded(_decode_metadata, raw, "metadata").user_id
        extras |= _others(raw, "metadata", ("user_id",))
    request.cache = lifetime(fields.get("cache_control", Raw()))
    request.extras = extras | kept.extras()
    return request


def _field(fields: Fields, name: str) -> Raw | None:
    raw = fields.get(name)
    return raw if raw is not None and said(raw) else None


def _decoded(decode: Callable[[Raw], Any], raw: Raw, where: str) -> Any:
    try:
        return decode(raw)
    except codec.UNREADABLE as error:
        raise wrong(error, where) from None


def _others(raw: Raw, within: str, known: tuple[str, ...]) -> Fields:
    return {f"{within}.{name}": value for name, value in _decode_fields(raw).items() if name not in known}


def _read_turns(request: Request, fields: Fields, kept: Kept) -> None:
    if (raw := _field(fields, "system")) is not None:
        parts = read_parts(raw, "system", kept)
        request.turns.append(Turn(role="system", parts=parts))
    request.turns += read_messages(fields["messages"], kept, len(request.turns))


def _read_output(request: Request, fields: Fields, extras: Fields) -> None:
    wish: _Format | None = None
    if (raw := _field(fields, "output_format")) is not None:
        wish = _decoded(_decode_format, raw, "output_format")
    if (raw := _field(fields, "output_config")) is not None:
        config = _decoded(_decode_output, raw, "output_config")
        request.reasoning.effort = config.effort
        wish = config.format or wish
        extras |= _others(raw, "output_config", ("effort", "format"))
    if wish is not None:
        request.output_format = OutputFormat(kind="json_schema", schema=wish.schema, strict=True)


def write_request(request: Request, target: Target, losses: Losses) -> bytes:
    """What this protocol cannot say is told to `losses`, which may raise."""
    writing = Writing(request, target, losses)
    if request.n != 1:
        raise losses.refused("n", f"must be 1: {target.model_id} gives one answer a call")
    body: dict[str, Any] = {"model": target.upstream, "max_tokens": 0}
    offered = tools.write_tools(writing)
    choice = tools.write_tool_choice(writing, offered)
    system, messages = _write_turns(writing)
    think = thinking.write_thinking(writing, _max_tokens(writing))
    thinking.settle(writing, think, messages, forced=tools.forces(choice))
    body["max_tokens"] = think.max_tokens
    if offered:
        body["tools"] = offered
    if choice is not None:
        body["tool_choice"] = choice
    output = _write_output(writing, think.effort, system)
    breakpoints.settle(writing, offered, system, messages)
    if system:
        body["system"] = plain(system)
    for message in messages:
        if message["content"]:
            message["content"] = plain(message["content"])
        else:
            del message["content"]  # a system message of settings only
    body["messages"] = messages
    if think.config is not None:
        body["thinking"] = think.config
    if output:
        body["output_config"] = output
    if request.stream:
        body["stream"] = True
    _write_parameters(writing, body, thinks=think.on)
    _write_extras(writing, body)
    _drop(writing, body)
    return encode(body)


def _max_tokens(writing: Writing) -> int | None:
    said_most, most = writing.request.max_tokens, writing.target.max_output_tokens
    if said_most is not None and most is not None and said_most > most:
        writing.losses.clamped("max_tokens", f"{most} is the most that {writing.target.model_id} gives")
        return most
    return said_most


def _write_turns(writing: Writing) -> tuple[list[Block], list[dict[str, Any]]]:
    """The system's blocks, and messages in which roles take turns."""
    system: list[Block] = []
    messages: list[dict[str, Any]] = []
    number = 0
    for turn in writing.request.turns:
        blocks = write_parts(turn, writing)
        if turn.name is not None:
            writing.losses.dropped("turns.name")
        if turn.role in ("system", "developer"):
            if messages and writing.own:
                messages.append(_system_message(blocks, number, writing))
            else:
                if messages and blocks:
                    writing.losses.changed("turns", "instructions inside the conversation are sent in front of it")
                system += blocks
            number += 1
        else:
            _add(writing, messages, turn, blocks)
    _settle_ends(writing, messages)
    for message in messages:
        if message["role"] == "user":
            # A stable sort: results first, the rest in its order.
            message["content"].sort(key=_is_no_result)
    return system, messages


def _add(writing: Writing, messages: list[dict[str, Any]], turn: Turn, blocks: list[Block]) -> None:
    if not blocks:
        if turn.role == "assistant":
            return
        writing.losses.changed("turns", f"an empty turn of the user is sent as '{NO_QUESTION}'")
        blocks = [{"type": "text", "text": NO_QUESTION}]
    if messages and messages[-1]["role"] == turn.role:
        messages[-1]["content"] += blocks
    else:
        messages.append({"role": turn.role, "content": blocks})


def _is_no_result(block: Block) -> bool:
    return not (isinstance(block, dict) and block["type"] == "tool_result")


def _system_message(blocks: list[Block], number: int, writing: Writing) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "system", "content": blocks}
    for name in ("clear_at", "output_config"):
        raw = writing.kept(f"messages.{name}", number)
        if raw is not None:
            message[name] = raw
    return message


def _settle_ends(writing: Writing, messages: list[dict[str, Any]]) -> None:
    """The user speaks first, and what the assistant is to go on with ends in no blank."""
    if not messages or messages[0]["role"] != "user":
        messages.insert(0, {"role": "user", "content": [{"type": "text", "text": NO_QUESTION}]})
        writing.losses.changed("turns", f"a user's turn '{NO_QUESTION}' is put first: the user has to begin")
    last = messages[-1]["content"][-1] if messages[-1]["role"] == "assistant" else None
    if isinstance(last, dict) and last["type"] == "text" and last["text"] != last["text"].rstrip():
        last["text"] = last["text"].rstrip()
        writing.losses.changed("turns", "blanks at the end of the last assistant message are not sent")


def _write_output(writing: Writing, effort: str | None, system: list[Block]) -> dict[str, Any]:
    """`output_config`. A format that the provider does not keep to by itself is asked for in the system's words."""
    output: dict[str, Any] = {} if effort is None else {"effort": effort}
    wish = writing.request.output_format
    if wish is None or wish.kind == "text":
        return output
    schema = None
    if wish.kind == "json_schema" and wish.schema is not None and writing.target.json_schema is not False:
        schema = wish.schema if writing.own else schemas.native(wish.schema)
    if schema is not None:
        output["format"] = {"type": "json_schema", "schema": schema}
        if wish.description is not None:
            writing.losses.dropped("output_format.description")
        return output
    words = _AS_JSON
    if wish.description is not None:
        words += f" It is: {wish.description}."
    if wish.schema is not None:
        words += f" It must be valid against this JSON schema:\n{bytes(wish.schema).decode()}"
    system.append({"type": "text", "text": words})
    return output


def _write_parameters(writing: Writing, body: dict[str, Any], *, thinks: bool) -> None:
    request, losses = writing.request, writing.losses
    _write_sampling(writing, body, thinks=thinks)
    stop = [sequence for sequence in request.stop if sequence.strip()]
    if len(stop) != len(request.stop):
        losses.changed("stop", "blank sequences are not sent: Anthropic refuses them")
    if stop:
        body["stop_sequences"] = stop
    _write_identity(writing, body)
    tier = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}.get(
        request.service_tier or ""
    )
    if tier is not None:
        body["service_tier"] = tier
    elif request.service_tier is not None:
        losses.dropped("service_tier")
    if request.cache is not None:
        body["cache_control"] = cache_control(request.cache)
    for name in ("presence_penalty", "frequency_penalty", "logprobs"):
        if getattr(request, name):
            losses.dropped(name)
    for name in ("logit_bias", "top_logprobs", "seed", "verbosity", "metadata", "cache_key"):
        if getattr(request, name) is not None:
            losses.dropped(name)


def _write_sampling(writing: Writing, body: dict[str, Any], *, thinks: bool) -> None:
    request, losses = writing.request, writing.losses
    given = {name: getattr(request, name) for name in ("temperature", "top_p", "top_k")}
    given = {name: value for name, value in given.items() if value is not None}
    if is_narrower(writing.target.version):
        for name in given:
            losses.dropped(name)
        return
    if given.get("temperature", 0) > 1:
        losses.clamped("temperature", "1 is the largest that can be sent")
        given["temperature"] = 1
    if thinks:
        for name in [name for name, value in given.items() if not _beside_thinking(name, value)]:
            losses.changed(name, "left out: it cannot be combined with thinking")
            del given[name]
    # Refused together since Claude Opus 4.1; a top_p of 1 changes nothing.
    if "temperature" in given and "top_p" in given and not writing.own and given.pop("top_p") != 1:
        losses.changed("top_p", "left out: it cannot be combined with temperature")
    body.update(given)


def _beside_thinking(name: str, value: float) -> bool:
    """https://platform.claude.com/docs/en/build-with-claude/extended-thinking"""
    return (name == "temperature" and value == 1) or (name == "top_p" and value >= 0.95)


def _write_identity(writing: Writing, body: dict[str, Any]) -> None:
    request = writing.request
    user = request.end_user if request.end_user is not None else request.safety_identifier
    if request.end_user is not None and request.safety_identifier is not None:
        writing.losses.dropped("safety_identifier")
    if user is not None:
        body["metadata"] = {"user_id": user}


def _write_extras(writing: Writing, body: dict[str, Any]) -> None:
    """Fields of this protocol go back where they stood; those of another are named as lost."""
    for name, raw in writing.request.extras.items():
        if not writing.own:
            writing.losses.dropped(name)
            continue
        within, _, inner = name.partition(".")
        if not inner:
            body[name] = raw
        elif within in ("output_config", "metadata"):
            body.setdefault(within, {})[inner] = raw


def _drop(writing: Writing, body: dict[str, Any]) -> None:
    """What the model refuses, by this protocol's names or the neutral ones."""
    neutral_of = {"stop_sequences": "stop", "thinking": "reasoning"}
    for name in [name for name in body if name not in ("model", "messages", "max_tokens")]:
        neutral = neutral_of.get(name, name)
        if name in writing.target.drops or neutral in writing.target.drops:
            del body[name]
            writing.losses.dropped(neutral)
