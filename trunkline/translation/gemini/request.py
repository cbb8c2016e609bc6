"""Requests, both ways."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import Request
from trunkline.translation.gemini import tools
from trunkline.translation.gemini.config import read_config, write_config
from trunkline.translation.gemini.contents import Contents, Kept, read_instruction
from trunkline.translation.gemini.parts import Contents as WrittenContents
from trunkline.translation.gemini.spelling import camel_fields
from trunkline.translation.gemini.vocabulary import NAMES, PROTOCOL, said
from trunkline.translation.losses import Losses
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode
from trunkline.wire.gemini import wrong
from trunkline.wire.inbound import Inbound

_READ = frozenset(("contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier", "model"))
_DOTTED = ("parts", "functionResponse", "functionDeclarations", "generationConfig", "toolConfig")
_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}
_SENT_TIERS = {"default": "standard", "standard": "standard", "standard_only": "standard", "flex": "flex",
               "priority": "priority"}  # fmt: skip
_KEPT_BY_GOOGLE = ("cachedContent", "continuationToken")
"""A part of the conversation, and the half of an answer."""
_NOT_HERE = ("logit_bias", "verbosity", "metadata", "end_user", "safety_identifier", "cache_key")

_decode_tier = msgspec.json.Decoder(str).decode


def read_request(inbound: Inbound) -> Request:
    """Raises InvalidRequest naming the field, `contents[0].parts[1].functionCall.name` as Google spells it."""
    fields = camel_fields(inbound.fields)
    fields = {name: raw for name, raw in fields.items() if said(raw)}
    kept = Kept()
    extras: Fields = {name: raw for name, raw in fields.items() if name not in _READ}
    request = Request(
        protocol=PROTOCOL,
        model=inbound.model,
        turns=[],
        stream=inbound.stream,
        usage_in_stream=True,
        names=NAMES,
    )
    if (raw := fields.get("systemInstruction")) is not None:
        request.turns.append(read_instruction(raw))
    request.turns += Contents(fields["contents"], kept).turns
    if (raw := fields.get("tools")) is not None:
        request.tools = tools.read_tools(raw, kept)
    if (raw := fields.get("toolConfig")) is not None:
        request.tool_choice = tools.read_tool_config(raw, extras)
    if (raw := fields.get("generationConfig")) is not None:
        read_config(raw, request, extras)
    if (raw := fields.get("serviceTier")) is not None:
        request.service_tier = _read_tier(raw)
    request.extras = extras | kept.extras()
    request.needs = [name for name in _KEPT_BY_GOOGLE if name in extras]
    return request


def _read_tier(raw: Raw) -> str | None:
    try:
        tier = _decode_tier(raw).lower()
    except codec.UNREADABLE as error:
        raise wrong(error, "serviceTier") from None
    return _TIERS.get(tier, None if tier == "unspecified" else tier)


def write_request(request: Request, target: Target, losses: Losses) -> bytes:
    """The body for a provider; the model's name is in the path. What this protocol cannot say is told to `losses`,
    which may raise. Equal beginnings of conversations are equal bytes."""
    own = request.extras if request.protocol == PROTOCOL else {}
    contents = WrittenContents(request, target, losses, own)
    if not contents.list:
        raise InvalidRequest("The conversation holds nothing to answer: every message is empty.", param="contents")
    config, words = write_config(request, target, losses, own)
    body: dict[str, Any] = {}
    if words is not None:
        contents.system.append({"text": words})
    if contents.system:
        body["systemInstruction"] = {"parts": contents.system}
    body.update(tools.write_tools(request, losses, own))
    body["contents"] = contents.list
    if config:
        body["generationConfig"] = config
    _write_rest(body, request, losses)
    _write_extras(body, request, losses)
    for name in target.drops:
        if name in body and name not in ("contents", "tools", "systemInstruction"):
            del body[name]
            losses.dropped(name)
    return encode(body)


def _write_rest(body: dict[str, Any], request: Request, losses: Losses) -> None:
    tier = request.service_tier
    if tier in _SENT_TIERS:
        body["serviceTier"] = _SENT_TIERS[tier]
    elif tier not in (None, "auto"):
        losses.dropped("service_tier")
    if request.cache is not None:
        losses.dropped("cache")
    for name in _NOT_HERE:
        if getattr(request, name) is not None:
            losses.dropped(name)


def _write_extras(body: dict[str, Any], request: Request, losses: Losses) -> None:
    """Fields of this protocol go back where they stood, those with a dotted name by whoever writes what is around
    them; those of another protocol are named as lost."""
    for name, raw in request.extras.items():
        if request.protocol != PROTOCOL:
            losses.dropped(name)
        elif "." not in name:
            body[name] = raw
        elif name == "parts.partMetadata":
            losses.dropped(name)
