"""`generationConfig`, both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import OutputFormat, Request, Tool
from trunkline.translation.gemini.schema import json_schema
from trunkline.translation.gemini.thinking import read_thinking, write_thinking
from trunkline.translation.gemini.vocabulary import is_late, said
from trunkline.translation.losses import Losses
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.codec import Fields
from trunkline.wire.gemini import MOST_CANDIDATES, wrong

MOST_STOPS: Final = 5
MOST_LOGPROBS: Final = 20
_INT32: Final = 2**31

_decode_config = msgspec.json.Decoder(Fields | None).decode
_number = msgspec.json.Decoder(float, strict=False).decode
_switch = msgspec.json.Decoder(bool).decode
_text = msgspec.json.Decoder(str).decode
_texts = msgspec.json.Decoder(list[str] | str).decode


def _whole(raw: Raw) -> int:
    """1.0 and "1" are 1: https://protobuf.dev/programming-guides/json/"""
    number = _number(raw)
    if not number.is_integer():
        raise msgspec.ValidationError("not a whole number")
    return int(number)


def _stops(raw: Raw) -> list[str]:
    value = _texts(raw)
    return [value] if isinstance(value, str) else value


# Field -> its neutral name and how it is read.
_PLAIN: Final[dict[str, tuple[str, Callable[[Raw], Any]]]] = {
    "maxOutputTokens": ("max_tokens", _whole),
    "temperature": ("temperature", _number),
    "topP": ("top_p", _number),
    "topK": ("top_k", _whole),
    "presencePenalty": ("presence_penalty", _number),
    "frequencyPenalty": ("frequency_penalty", _number),
    "seed": ("seed", _whole),
    "responseLogprobs": ("logprobs", _switch),
    "logprobs": ("top_logprobs", _whole),
    "candidateCount": ("n", _whole),
    "stopSequences": ("stop", _stops),
}
FIELD_OF: Final = {neutral: name for name, (neutral, _) in _PLAIN.items()}
_OF_FORMAT = ("responseMimeType", "responseSchema", "responseJsonSchema")
_AS_JSON = "Answer with one JSON object and nothing else: no other text before or after it, and no code fence."


def read_config(raw: Raw, request: Request, extras: Fields) -> None:
    """`raw` in camelCase. Fields that only this protocol has go into `extras`, under a dotted name."""
    try:
        fields = _decode_config(raw) or {}
    except codec.UNREADABLE as error:
        raise wrong(error, "generationConfig") from None
    fields = {name: value for name, value in fields.items() if said(value)}
    for name, value in fields.items():
        plain = _PLAIN.get(name)
        if plain is not None:
            try:
                setattr(request, plain[0], plain[1](value))
            except codec.UNREADABLE as error:
                raise wrong(error, f"generationConfig.{name}") from None
        elif name == "thinkingConfig":
            read_thinking(value, request.reasoning)
        elif name not in _OF_FORMAT:
            extras[f"generationConfig.{name}"] = value
    _read_format(fields, request, extras)


def _read_format(fields: Fields, request: Request, extras: Fields) -> None:
    """An answer that is one bare word of a list (text/x.enum) is known to this protocol alone."""
    try:
        media_type = _text(fields["responseMimeType"]) if "responseMimeType" in fields else ""
    except codec.UNREADABLE as error:
        raise wrong(error, "generationConfig.responseMimeType") from None
    if media_type not in ("", "text/plain", "application/json"):
        extras.update((f"generationConfig.{name}", fields[name]) for name in _OF_FORMAT if name in fields)
        return
    given = [name for name in _OF_FORMAT[1:] if name in fields]
    if len(given) > 1:
        raise InvalidRequest(
            "* GenerateContentRequest.generation_config: only one of response_schema and response_json_schema may be "
            "set.",
            param="generationConfig.responseJsonSchema",
        )
    if given:
        where, raw = f"generationConfig.{given[0]}", fields[given[0]]
        schema = json_schema(raw, where) if given[0] == "responseSchema" else raw
        request.output_format = OutputFormat(kind="json_schema", schema=schema)
    elif media_type:
        request.output_format = OutputFormat(kind="json_object" if media_type == "application/json" else "text")


def write_config(request: Request, target: Target, losses: Losses, own: Fields) -> tuple[dict[str, Any], str | None]:
    """And what is to be added to the instruction, where a format can only be asked for in words."""
    config: dict[str, Any] = {}
    for neutral, name in FIELD_OF.items():
        value = getattr(request, neutral)
        if value is None or value == [] or (neutral == "n" and value == 1):
            continue
        value = _fitted(neutral, value, target, losses)
        if neutral == "top_logprobs" and not request.logprobs:
            continue
        config[name] = value
    words = _write_format(request, target, losses, config)
    thinking = write_thinking(request, target, losses)
    if thinking is not None:
        config["thinkingConfig"] = thinking
    for name, raw in own.items():
        if name.startswith("generationConfig."):
            config[name.removeprefix("generationConfig.")] = raw
    for name in target.drops:
        field = FIELD_OF.get(name, "thinkingConfig" if name == "reasoning" else name)
        if field in config:
            del config[field]
            losses.dropped(name)
    return config, words


def _fitted(neutral: str, value: Any, target: Target, losses: Losses) -> Any:
    most = target.max_output_tokens
    if neutral == "max_tokens" and most is not None and value > most:
        losses.clamped("max_tokens", f"{most} is the most that {target.model_id} gives")
        return most
    if neutral == "stop" and len(value) > MOST_STOPS:
        losses.clamped("stop", f"only the first {MOST_STOPS} are sent")
        return value[:MOST_STOPS]
    if neutral == "n" and value > MOST_CANDIDATES:
        raise losses.refused("n", f"must be at most {MOST_CANDIDATES}: {target.model_id} gives no more answers a call")
    if neutral == "top_logprobs" and value > MOST_LOGPROBS:
        losses.clamped("top_logprobs", f"{MOST_LOGPROBS} is the most")
        return MOST_LOGPROBS
    if neutral == "seed" and not -_INT32 <= value < _INT32:
        losses.changed("seed", "its last 31 bits are sent: Google's seeds are small")
        return value % _INT32
    return value


def _write_format(request: Request, target: Target, losses: Losses, config: dict[str, Any]) -> str | None:
    """Models before Gemini 3 refuse a form of the answer beside functions
    (https://ai.google.dev/gemini-api/docs/gemini-3)."""
    wish = request.output_format
    if wish is None:
        return None
    if wish.kind == "text":
        config["responseMimeType"] = "text/plain"
        return None
    beside_functions = any(isinstance(tool, Tool) for tool in request.tools) and not is_late(target)
    if beside_functions:
        losses.changed("output_format", f"asked for in words: {target.model_id} takes no form of the answer with tools")
    if beside_functions or (wish.kind == "json_schema" and target.json_schema is False):
        return _in_words(wish)
    config["responseMimeType"] = "application/json"
    if wish.schema is not None:
        config["responseJsonSchema"] = wish.schema
    if wish.description is not None:
        losses.dropped("output_format.description")
    return None


def _in_words(wish: OutputFormat) -> str:
    words = _AS_JSON
    if wish.description is not None:
        words += f" It is: {wish.description}."
    if wish.schema is not None:
        words += f" It must be valid against this JSON schema:\n{bytes(wish.schema).decode()}"
    return words
