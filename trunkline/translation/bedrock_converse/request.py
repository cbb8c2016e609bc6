"""A Converse request, to and from the neutral form. Model and streaming stand in its path, not in its body."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.bedrock_converse import thinking, tools
from trunkline.translation.bedrock_converse.blocks import Block, Writing, write_parts
from trunkline.translation.bedrock_converse.content import read_turns
from trunkline.translation.bedrock_converse.vocabulary import PROTOCOL, STOP_SEQUENCE_PATH, said
from trunkline.translation.exchange import OutputFormat, ReasoningAsked, Request
from trunkline.translation.losses import Losses
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode
from trunkline.wire.inbound import Inbound

MOST_CACHE_POINTS = 4
"""https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html"""
FILLER = "."
"""What is said where Bedrock wants words: in the user's turn put before a conversation that the assistant begins, and
beside a document that came alone."""
_AS_JSON = "Answer with one JSON object and nothing else: no other text before or after it, and no code fence."
OWN_FIELDS = (
    "guardrailConfig",
    "performanceConfig",
    "promptVariables",
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
)
"""Fields that no other protocol has a word for. They are sent on from callers of any."""
_METADATA = re.compile(r"[A-Za-z0-9\s:_@$#=/+,.-]{0,256}")
MOST_METADATA = 16
_TIERS = {"priority": "priority", "default": "default", "standard_only": "default", "flex": "flex"}

NAMES = {
    "turns": "messages",
    "max_tokens": "inferenceConfig.maxTokens",
    "temperature": "inferenceConfig.temperature",
    "top_p": "inferenceConfig.topP",
    "stop": "inferenceConfig.stopSequences",
    "output_format": "outputConfig.textFormat",
    "tools": "toolConfig.tools",
    "tool_choice": "toolConfig.toolChoice",
    "metadata": "requestMetadata",
    "service_tier": "serviceTier",
}
"""What callers of this protocol call the neutral fields."""


class _InferenceConfig(msgspec.Struct, rename="camel"):
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: list[str] = []


class _JsonSchema(msgspec.Struct):
    schema: str
    name: str | None = None
    description: str | None = None


class _Structure(msgspec.Struct, rename="camel"):
    json_schema: _JsonSchema


class _TextFormat(msgspec.Struct):
    structure: _Structure


class _OutputConfig(msgspec.Struct, rename="camel"):
    text_format: _TextFormat | None = None
    effort: str | None = None


class _Tier(msgspec.Struct):
    type: str


class _Thinking(msgspec.Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _Asked(msgspec.Struct, rename="camel"):
    inference_config: _InferenceConfig | None = None
    output_config: _OutputConfig | None = None
    request_metadata: dict[str, str] | None = None
    service_tier: _Tier | None = None


_decode_asked = msgspec.json.Decoder(_Asked).decode
_decode_thinking = msgspec.json.Decoder(_Thinking).decode
_decode_fields = msgspec.json.Decoder(Fields).decode
_decode_top_k = msgspec.json.Decoder(int).decode
_READ = frozenset(
    ("messages", "system", "toolConfig", "inferenceConfig", "outputConfig", "requestMetadata", "serviceTier")
)


def read_request(inbound: Inbound) -> Request:
    """Raises InvalidRequest naming the field."""
    fields = {name: raw for name, raw in inbound.fields.items() if said(raw)}
    request = Request(
        protocol=PROTOCOL,
        model=inbound.model,
        turns=read_turns(fields.get("system"), fields["messages"]),
        stream=inbound.stream,
        usage_in_stream=True,
        reasoning=ReasoningAsked(shown=True, state_wanted=True),
        extras={name: raw for name, raw in fields.items() if name not in _READ},
        names=NAMES,
    )
    if "toolConfig" in fields:
        tools.read_tools(fields["toolConfig"], request)
    try:
        _read_asked(request, _decode_asked(encode({name: fields[name] for name in _READ & fields.keys()})))
        if "additionalModelRequestFields" in fields:
            _read_model_fields(request)
    except codec.UNREADABLE as error:
        raise InvalidRequest(f"The request makes no sense: {error}.") from None
    return request


def _read_asked(request: Request, asked: _Asked) -> None:
    if asked.inference_config is not None:
        config = asked.inference_config
        request.max_tokens, request.temperature, request.top_p = config.max_tokens, config.temperature, config.top_p
        request.stop = config.stop_sequences
    if asked.output_config is not None:
        request.reasoning.effort = asked.output_config.effort
        if asked.output_config.text_format is not None:
            form = asked.output_config.text_format.structure.json_schema
            request.output_format = OutputFormat(
                kind="json_schema", name=form.name, description=form.description, schema=Raw(form.schema.encode())
            )
    request.metadata = asked.request_metadata
    request.service_tier = asked.service_tier.type if asked.service_tier is not None else None


def _read_model_fields(request: Request) -> None:
    """What Claude is told of thinking; the rest stays as it is."""
    fields = _decode_fields(request.extras.pop("additionalModelRequestFields"))
    if "thinking" in fields:
        told = _decode_thinking(fields.pop("thinking"))
        request.reasoning.enabled = told.type != "disabled"
        request.reasoning.adaptive = told.type == "adaptive"
        request.reasoning.budget_tokens = told.budget_tokens
    if "top_k" in fields:
        request.top_k = _decode_top_k(fields.pop("top_k"))
    if fields:
        request.extras["additionalModelRequestFields"] = Raw(encode(fields))


def write_request(request: Request, target: Target, losses: Losses) -> bytes:
    """What this protocol cannot say is told to `losses`, which may raise."""
    writing = Writing(request, target, losses)
    if request.n != 1:
        raise losses.refused("n", f"must be 1: {target.model_id} gives one answer a call")
    offered = tools.write_tools(writing)
    system, messages = _write_turns(writing)
    think = thinking.write_thinking(writing, _max_tokens(writing))
    thinking.settle(writing, think, messages, forced=offered.forced)
    if offered.instruction is not None:
        system.append({"text": offered.instruction})
    body: dict[str, Any] = {}
    if offered.config is not None:
        body["toolConfig"] = offered.config
    output = _write_output(writing, think, system)
    if system:
        body["system"] = system
    body["messages"] = messages
    _trim_cache_points(writing, body)
    if config := _write_inference(writing, think):
        body["inferenceConfig"] = config
    if output:
        body["outputConfig"] = output
    _write_parameters(writing, body)
    _write_model_fields(writing, think, body)
    _drop(writing, body)
    return encode(body)


def _max_tokens(writing: Writing) -> int | None:
    asked, most = writing.request.max_tokens, writing.target.max_output_tokens
    if asked is not None and most is not None and asked > most:
        writing.losses.clamped("max_tokens", f"{most} is the most that {writing.target.model_id} gives")
        return most
    return asked


def _write_turns(writing: Writing) -> tuple[list[Block], list[dict[str, Any]]]:
    """The system's blocks, and messages in which roles take turns."""
    system: list[Block] = []
    messages: list[dict[str, Any]] = []
    for turn in writing.request.turns:
        blocks = write_parts(turn, writing)
        if turn.name is not None:
            writing.losses.dropped("turns.name")
        if not blocks:
            continue
        if turn.role in ("system", "developer"):
            if messages and writing.own:
                messages.append({"role": "system", "content": blocks})
                continue
            if messages:
                writing.losses.changed("turns", "instructions inside the conversation are sent in front of it")
            system += blocks
        elif messages and messages[-1]["role"] == turn.role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": turn.role, "content": blocks})
    _settle(writing, messages)
    return system, messages


def _settle(writing: Writing, messages: list[dict[str, Any]]) -> None:
    """What Bedrock refuses otherwise: the user speaks first, with results before all else, and says something beside a
    document; what the assistant is to go on with ends in no blank."""
    losses = writing.losses
    if not messages:
        raise InvalidRequest("The conversation holds nothing to answer: every message is empty.", param="messages")
    if messages[0]["role"] != "user":
        messages.insert(0, {"role": "user", "content": [{"text": FILLER}]})
        losses.changed("turns", f"a user's turn '{FILLER}' is put first: the user has to begin")
    for message in messages:
        content = message["content"]
        if message["role"] != "user":
            continue
        kinds = {kind for block in content if isinstance(block, dict) for kind in block}
        if "toolResult" in kinds:
            message["content"] = content = _results_first(content)
        if "document" in kinds and "text" not in kinds:
            content.append({"text": FILLER})
            losses.changed("media.document", f"'{FILLER}' is said beside it: Bedrock wants a text there")
    last = messages[-1]["content"][-1] if messages[-1]["role"] == "assistant" else None
    if isinstance(last, dict) and "text" in last and last["text"] != last["text"].rstrip():
        last["text"] = last["text"].rstrip()
        losses.changed("turns", "blanks at the end of the last assistant message are not sent")


def _results_first(content: list[Block]) -> list[Block]:
    """Each with the cache point behind it; the rest in its order."""
    results: list[Block] = []
    rest: list[Block] = []
    into = rest
    for block in content:
        if not (isinstance(block, dict) and "cachePoint" in block):
            into = results if isinstance(block, dict) and "toolResult" in block else rest
        into.append(block)
    return results + rest


def _trim_cache_points(writing: Writing, body: dict[str, Any]) -> None:
    """Of too many, the first (of tools or system, which change least) and the last ones stay."""
    if writing.request.cache is not None:
        writing.mark(body["messages"][-1]["content"], writing.request.cache)
    points = writing.points
    if len(points) <= MOST_CACHE_POINTS:
        return
    gone = {id(point) for point in points[1 : len(points) - MOST_CACHE_POINTS + 1]}
    places = [body.get("toolConfig", {}).get("tools", []), body.get("system", [])]
    places += [message["content"] for message in body["messages"]]
    for place in places:
        place[:] = [block for block in place if id(block) not in gone]
    writing.losses.dropped("cache_control")


def _write_output(writing: Writing, think: thinking.Thinking, system: list[Block]) -> dict[str, Any]:
    """`outputConfig`. A form that the model does not keep to by itself is asked for in the system's words."""
    output: dict[str, Any] = {} if think.effort is None else {"effort": think.effort}
    wish = writing.request.output_format
    if wish is None or wish.kind == "text":
        return output
    if wish.kind == "json_schema" and wish.schema is not None and writing.target.json_schema is not False:
        schema = {"schema": bytes(wish.schema).decode()}
        if wish.name:
            schema["name"] = wish.name
        if wish.description is not None:
            schema["description"] = wish.description
        output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
        return output
    words = _AS_JSON
    if wish.description is not None:
        words += f" It is: {wish.description}."
    if wish.schema is not None:
        words += f" It must be valid against this JSON schema:\n{bytes(wish.schema).decode()}"
    system.append({"text": words})
    return output


def _write_inference(writing: Writing, think: thinking.Thinking) -> dict[str, Any]:
    request, losses = writing.request, writing.losses
    config: dict[str, Any] = {}
    if think.max_tokens is not None:
        config["maxTokens"] = think.max_tokens
    sampling = {"temperature": request.temperature, "topP": request.top_p}
    neutral = {"temperature": "temperature", "topP": "top_p"}
    if request.temperature is not None and request.temperature > 1:
        losses.clamped("temperature", "1 is the largest that can be sent")
        sampling["temperature"] = 1
    for name, least in (("temperature", 1), ("topP", 0.95)):
        value = sampling[name]
        if value is not None and (think.unsampled or (think.on and value < least)):
            losses.changed(neutral[name], "left out: it cannot be combined with reasoning")
            sampling[name] = None
    # Claude refuses both together since Opus 4.1; a top_p of 1 changes nothing.
    both = sampling["temperature"] is not None and sampling["topP"] is not None
    if writing.maker == "anthropic" and both and not writing.own:
        if sampling["topP"] != 1:
            losses.changed("top_p", "left out: it cannot be combined with temperature")
        sampling["topP"] = None
    config |= {name: value for name, value in sampling.items() if value is not None}
    stop = [sequence for sequence in request.stop if sequence.strip()] if writing.like_claude else request.stop
    if len(stop) != len(request.stop):
        losses.changed("stop", "blank sequences are not sent: Claude refuses them")
    if stop:
        config["stopSequences"] = stop
    return config


def _write_parameters(writing: Writing, body: dict[str, Any]) -> None:
    request, losses = writing.request, writing.losses
    if request.metadata:
        kept = {
            name: value
            for name, value in list(request.metadata.items())[:MOST_METADATA]
            if name and _METADATA.fullmatch(name) and _METADATA.fullmatch(value)
        }
        if kept != request.metadata:
            losses.changed("metadata", "entries in other letters than Bedrock takes are not sent")
        if kept:
            body["requestMetadata"] = kept
    tier = request.service_tier if writing.own else _TIERS.get(request.service_tier or "")
    if tier is not None:
        body["serviceTier"] = {"type": tier}
    elif request.service_tier not in (None, "auto"):
        losses.dropped("service_tier")
    for name in ("presence_penalty", "frequency_penalty", "logprobs"):
        if getattr(request, name):
            losses.dropped(name)
    for name in ("logit_bias", "top_logprobs", "seed", "verbosity", "end_user", "safety_identifier", "cache_key"):
        if getattr(request, name) is not None:
            losses.dropped(name)


def _write_model_fields(writing: Writing, think: thinking.Thinking, body: dict[str, Any]) -> None:
    """`additionalModelRequestFields`, and the caller's own fields of this protocol."""
    fields: dict[str, Any] = {}
    for name, raw in writing.request.extras.items():
        if name == "additionalModelRequestFields":
            fields = dict(codec.answer_fields(bytes(raw)) or {})
        elif name in OWN_FIELDS or writing.own:
            body[name] = raw
        else:
            writing.losses.dropped(name)
    if writing.request.top_k is not None:
        _write_top_k(writing, think, fields)
    fields.update(think.fields)
    if fields:
        body["additionalModelRequestFields"] = fields
    if writing.maker == "anthropic" and writing.request.stop and not writing.own:
        # Which one was met is told only when it is asked for.
        body.setdefault("additionalModelResponseFieldPaths", [STOP_SEQUENCE_PATH])


def _write_top_k(writing: Writing, think: thinking.Thinking, fields: dict[str, Any]) -> None:
    """Each maker's own name for it: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html"""
    top_k = writing.request.top_k
    if think.on or think.unsampled:
        writing.losses.changed("top_k", "left out: it cannot be combined with reasoning")
    elif writing.maker in ("anthropic", "", "mistral"):
        fields["top_k"] = top_k
    elif writing.maker == "amazon":
        fields["inferenceConfig"] = {"topK": top_k}
    elif writing.maker == "cohere":
        fields["k"] = top_k
    else:
        writing.losses.dropped("top_k")


_PLACES = {
    "temperature": ("inferenceConfig", "temperature"),
    "top_p": ("inferenceConfig", "topP"),
    "stop": ("inferenceConfig", "stopSequences"),
    "max_tokens": ("inferenceConfig", "maxTokens"),
    "top_k": ("additionalModelRequestFields", "top_k"),
    "reasoning": ("additionalModelRequestFields", "thinking"),
    "output_format": ("outputConfig", "textFormat"),
    "metadata": ("requestMetadata", ""),
    "service_tier": ("serviceTier", ""),
}


def _drop(writing: Writing, body: dict[str, Any]) -> None:
    """What the model refuses, by the neutral names or this protocol's."""
    for name in writing.target.drops:
        within, inner = _PLACES.get(name, (name, ""))
        if within in ("messages", "system", "toolConfig") or within not in body:
            continue
        if not inner:
            del body[within]
        elif inner in body[within]:
            del body[within][inner]
            if not body[within]:
                del body[within]
        else:
            continue
        writing.losses.dropped(name)
