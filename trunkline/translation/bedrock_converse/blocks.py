"""Parts written as content blocks, for a provider."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.translation.bedrock_converse.media import Names, write_media
from trunkline.translation.bedrock_converse.vocabulary import PROTOCOL, REDACTED, cache_point, maker, mended
from trunkline.translation.exchange import (
    Lifetime,
    Media,
    Part,
    Reasoning,
    Refusal,
    Request,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.translation.losses import Losses
from trunkline.translation.target import Target
from trunkline.translation.tool_ids import fitted
from trunkline.wire import codec
from trunkline.wire.codec import Fields

MAX_CALL_ID = 64
CACHES = ("anthropic", "amazon", "")
"""Whose models keep prompts, and "" for names that do not tell:
https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html"""
MARKS_RESULTS = ("anthropic", "amazon", "")
"""Whose models take the status of a tool result:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolResultBlock.html"""
ERROR = "Error: "
_IDS = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_decode_object = msgspec.json.Decoder(Fields).decode

Block = dict[str, Any] | Raw


def call_id(given: str) -> str:
    return given if _IDS.fullmatch(given) else fitted(given, MAX_CALL_ID)


class Writing:
    """One request on its way out, and what its writers share. `own`: its caller speaks this protocol too."""

    def __init__(self, request: Request, target: Target, losses: Losses) -> None:
        self.request = request
        self.target = target
        self.losses = losses
        self.own = request.protocol == PROTOCOL
        self.maker = maker(target.upstream)
        self.names = Names(losses)
        self.points: list[dict[str, Any]] = []

    @property
    def like_claude(self) -> bool:
        return self.maker in ("anthropic", "")

    def mark(self, blocks: list[Any], cache: Lifetime | None) -> None:
        """A cache point after what is to be kept."""
        if cache is None:
            return
        if self.maker in CACHES:
            point = cache_point(cache)
            self.points.append(point)
            blocks.append(point)
        else:
            self.losses.dropped("cache_control")


def write_parts(turn: Turn, writing: Writing) -> list[Block]:
    """Blank text is left out: Bedrock refuses it, and it says nothing."""
    written: list[Block] = []
    for part in turn.parts:
        block = _write_part(part, turn, writing)
        if block is not None:
            written.append(block)
        if isinstance(part, Text | Media | ToolCall | ToolResult) and written:
            writing.mark(written, _cache_of(part))
    return written


def _cache_of(part: Text | Media | ToolCall | ToolResult) -> Lifetime | None:
    """A result's own, or that of something inside it, where no cache point may stand."""
    if isinstance(part, ToolResult) and part.cache is None:
        return next((inner.cache for inner in reversed(part.parts) if inner.cache), None)
    return part.cache


def _write_part(part: Part, turn: Turn, writing: Writing) -> Block | None:
    if isinstance(part, Text):
        return _write_text(part, writing)
    if isinstance(part, ToolCall):
        return _write_call(part, writing)
    if isinstance(part, ToolResult):
        return _write_result(part, writing)
    if isinstance(part, Media):
        if turn.role != "user":
            raise writing.losses.refused(f"media.{part.kind}", "can stand only in a turn of the user")
        return write_media(part, writing.names, writing.losses, own=writing.own)
    if isinstance(part, Reasoning):
        return _write_reasoning(part, writing)
    if isinstance(part, Refusal):
        return {"text": part.text} if part.text.strip() else None
    if part.protocol == PROTOCOL:
        return part.raw
    writing.losses.dropped(part.kind or "turns")
    return None


def _write_text(text: Text, writing: Writing) -> Block | None:
    if text.citations is not None:
        writing.losses.dropped("citations")
    return {"text": text.text} if text.text.strip() else None


def _write_call(call: ToolCall, writing: Writing) -> Block:
    given: Any = {"input": call.arguments} if call.custom else _arguments(call, writing)
    return {"toolUse": {"toolUseId": call_id(call.id), "name": call.name, "input": given}}


def _arguments(call: ToolCall, writing: Writing) -> Raw:
    """As the model wrote them, numbers digit for digit."""
    text = call.arguments
    if not text.strip():
        return Raw(b"{}")
    whole = mended(text)
    if whole != text:
        writing.losses.changed("tool_calls.arguments", "half a surrogate pair is sent as U+FFFD")
    raw = Raw(whole.encode("utf-8", "replace"))
    try:
        _decode_object(raw)
    except codec.UNREADABLE:
        raise writing.losses.refused(
            "tool_calls.arguments", f"must be a JSON object; those of '{call.name}' are not"
        ) from None
    return raw


def _write_result(result: ToolResult, writing: Writing) -> Block:
    content: list[Any] = []
    for part in result.parts:
        if isinstance(part, Media):
            if part.kind == "audio":
                raise writing.losses.refused("media.audio", "cannot stand in a tool's result")
            content.append(write_media(part, writing.names, writing.losses, own=writing.own))
        elif (text := _write_text(part, writing)) is not None:
            content.append(text)
    written: dict[str, Any] = {"toolUseId": call_id(result.call_id), "content": content}
    if result.is_error and writing.maker in MARKS_RESULTS:
        written["status"] = "error"
    elif result.is_error:
        writing.losses.changed("tool_result.is_error", f"the result's text begins with '{ERROR}'")
        content.insert(0, {"text": ERROR.strip()})
    return {"toolResult": written}


def _write_reasoning(part: Reasoning, writing: Writing) -> Block | None:
    """Only the provider's own goes back to it, byte for byte."""
    state = part.state
    if state is None or state.origin != writing.target.provider_id:
        if part.text or part.summaries:
            writing.losses.changed("reasoning", "reasoning goes back only to the provider that signed it")
        return None
    if state.data.startswith(REDACTED):
        return {"reasoningContent": {"redactedContent": state.data[len(REDACTED) :]}}
    return {"reasoningContent": {"reasoningText": {"text": part.text, "signature": state.data}}}
