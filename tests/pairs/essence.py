"""What a request asks, field by field under neutral names, so that two can be told apart by the names that differ."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from tests.pairs.crossing import arguments
from trunkline.translation.exchange import (
    Media,
    Opaque,
    Part,
    Refusal,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)

PLAIN = (
    "max_tokens",
    "temperature",
    "top_k",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "n",
    "verbosity",
    "metadata",
    "safety_identifier",
    "service_tier",
    "cache_key",
    "top_logprobs",
    "stream",
    "model",
)
ORDERED = ("call", "result")
TIERS = ("standard_only", "standard", "default", "auto")
NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}


def essence(request: Request) -> dict[str, Any]:
    """Without the seams that no model sees: turns of one role are one, texts that follow each other too."""
    found: dict[str, Any] = {name: getattr(request, name) for name in PLAIN}
    found["logprobs"] = bool(request.logprobs)
    found["logit_bias"] = _value(request.logit_bias)
    found["parallel_tool_calls"] = request.parallel_tool_calls is not False or not request.tools
    choice = request.tool_choice
    every = {tool.name for tool in request.tools if isinstance(tool, Tool)}
    if choice is None:
        found["tool_choice"] = ("auto", ())
    else:
        # To be allowed all is to be allowed any.
        names = () if set(choice.names) >= every else tuple(sorted(choice.names))
        found["tool_choice"] = (choice.mode, names)
    found["tools"] = [
        tool.kind if isinstance(tool, Opaque) else (tool.name, tool.description or "", _schema(tool.parameters))
        for tool in request.tools
    ]
    own = [tool for tool in request.tools if isinstance(tool, Tool)]
    # One of them is enough to know a user by, and some protocols have one field.
    found["end_user"] = request.end_user or request.safety_identifier
    found["tools.custom"] = {tool.name: tool.custom for tool in own}
    found["tools.strict"] = {tool.name: bool(tool.strict) for tool in own}
    form = request.output_format
    found["output_format"] = None if form is None or form.kind == "text" else (form.kind, _value(form.schema))
    found["output_format.description"] = (form.description or "") if form is not None else ""
    found["top_p"] = None if request.top_p == 1 else request.top_p
    found["service_tier"] = None if request.service_tier in TIERS else request.service_tier
    asked = request.reasoning
    told = asked.effort not in (None, "none") or bool(asked.budget_tokens)
    # Where the model decides itself how much, a protocol without a word for that says the same with none.
    found["reasoning"] = told or (None if asked.adaptive or asked.enabled else False)
    found["cache"] = _marks(request)
    found["turns.name"] = [turn.name for turn in request.turns if turn.name is not None]
    return found | _said(request)


def _said(request: Request) -> dict[str, Any]:
    instructions: list[str] = []
    turns: list[tuple[Any, ...]] = []
    media: list[Media] = []
    for turn in request.turns:
        if turn.role in ("system", "developer"):
            instructions += [part.text for part in turn.parts if isinstance(part, Text)]
            continue
        for part in turn.parts:
            said = _part(part)
            if said is not None and (said[0] != "text" or said[1].strip()):
                media += _media_in(part)
                turns.append((turn.role, *said))
    return {
        "turns": _merged(sorted_parts(turns)),
        "turns.parts": _merged(turns),
        "turns.instructions": re.sub(r"\s+", "", "".join(instructions)),
        "tool_result.is_error": [
            part.is_error for turn in request.turns for part in turn.parts if isinstance(part, ToolResult)
        ],
        "media.detail": [one.detail for one in media if one.kind == "image"],
        "media.name": {
            at: one.name.partition(".")[0] for at, one in enumerate(media) if one.kind == "document" and one.name
        },
    }


def sorted_parts(turns: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Of what one side says between two answers: its texts before its media."""
    runs = [list(run) for _, run in itertools.groupby(turns, key=lambda one: (one[0], one[1] in ("call", "result")))]
    return [one for run in runs for one in sorted(run, key=lambda one: one[1] != "text" and run[0][1] not in ORDERED)]


def _part(part: Part) -> tuple[Any, ...] | None:
    match part:
        case Text() | Refusal():
            return ("text", part.text)
        case ToolCall():
            return ("call", short(part.id), part.name, arguments(part))
        case ToolResult():
            inside = sorted(map(_inside, part.parts), key=lambda one: one[0] != "text")
            return ("result", short(part.call_id), *_merged(inside))
        case Media():
            return _inside(part)
        case Opaque():
            return ("opaque", part.kind)
        case _:
            return None


def _inside(part: Text | Media) -> tuple[Any, ...]:
    if isinstance(part, Text):
        return ("text", part.text)
    return (part.kind, part.data or part.url or part.file_id or part.text)


def _media_in(part: Part) -> Iterable[Media]:
    if isinstance(part, Media):
        yield part
    elif isinstance(part, ToolResult):
        yield from (one for one in part.parts if isinstance(one, Media))


def _merged(said: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Texts that follow each other are one, and blanks between them say nothing."""
    merged: list[tuple[Any, ...]] = []
    for one in said:
        text = one[-1] if one[-2] == "text" else None
        if text is not None:
            text = re.sub(r"\s+", "", text)
            if not text:
                continue
            if merged and merged[-1][:-1] == one[:-1]:
                merged[-1] = (*one[:-1], merged[-1][-1] + text)
                continue
            merged.append((*one[:-1], text))
            continue
        merged.append(one)
    return merged


def short(call_id: str) -> str:
    """The id as protocols with the narrowest rule have it."""
    if len(call_id) <= 40 and re.fullmatch(r"[A-Za-z0-9_-]+", call_id):
        return call_id
    return "call_" + hashlib.sha256(call_id.encode()).hexdigest()[:24]


def _marks(request: Request) -> int:
    """How many hints for the cache there are; one on a blank text goes with it."""
    parts: list[Any] = [part for turn in request.turns for part in turn.parts]
    parts = [part for part in parts if not isinstance(part, Text) or part.text.strip()]
    return sum(_is_marked(part) for part in [*parts, *request.tools, request])


def _is_marked(part: Any) -> bool:
    """Of a result and what is in it the end is the same place."""
    inside = part.parts if isinstance(part, ToolResult) else []
    return any(getattr(one, "cache", None) is not None for one in (part, *inside))


def _value(raw: Raw | None) -> Any:
    return None if raw is None else msgspec.json.decode(raw)


def _schema(raw: Raw | None) -> Any:
    return NO_PARAMETERS if raw is None else msgspec.json.decode(raw)


def differing(first: Request, second: Request) -> dict[str, tuple[Any, Any]]:
    """What of the first the second does not have. Of a thing that is gone its qualities are not asked."""
    one, other = essence(first), essence(second)
    for name, value in one.items():
        if isinstance(value, dict) and isinstance(other[name], dict):
            one[name] = {key: said for key, said in value.items() if key in other[name]}
            other[name] = {key: said for key, said in other[name].items() if key in value}
    # A hint on a blank text, which is not sent, may have moved to the text before it.
    other["cache"] = min(one["cache"], other["cache"])
    if other["end_user"] == one["safety_identifier"]:
        other["safety_identifier"] = one["safety_identifier"]
    for asks in (one, other):
        if one["reasoning"] is None or other["reasoning"] is None:
            asks["reasoning"] = None
    if not second.tools and one["tool_choice"] == ("none", ()):
        other["tool_choice"] = one["tool_choice"]
    if not second.tools or (second.tool_choice is not None and second.tool_choice.mode == "none"):
        other["parallel_tool_calls"] = one["parallel_tool_calls"]
    return {name: (one[name], other[name]) for name in one if one[name] != other[name]}
