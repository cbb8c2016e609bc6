"""Parts written as content blocks, for a provider."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.translation.anthropic_messages import state as states
from trunkline.translation.anthropic_messages.escapes import mended
from trunkline.translation.anthropic_messages.vocabulary import PROTOCOL, begins, cache_control, is_narrower
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
# types/base64_image_source_param.py
_IMAGE_TYPES = frozenset(("image/jpeg", "image/png", "image/gif", "image/webp"))
_FIRST_LETTERS = {"iVBOR": "image/png", "/9j/": "image/jpeg", "R0lG": "image/gif", "UklG": "image/webp"}
_PDF_LETTERS = "JVBERi"
_decode_object = msgspec.json.Decoder(Fields).decode

Block = dict[str, Any] | Raw


class Writing:
    """One request on its way out, and what its writers share. `own`: its caller speaks this protocol too."""

    def __init__(self, request: Request, target: Target, losses: Losses) -> None:
        self.request = request
        self.target = target
        self.losses = losses
        self.own = request.protocol == PROTOCOL
        self.marks = 0
        self.media = 0
        self._kept: dict[str, Fields] = {}

    def mark(self, block: dict[str, Any], cache: Lifetime | None) -> None:
        if cache is not None:
            block["cache_control"] = cache_control(cache)
            self.marks += 1

    def kept(self, name: str, key: object) -> Raw | None:
        """What the reader of this protocol's requests kept (content.Kept)."""
        if not self.own or name not in self.request.extras:
            return None
        if name not in self._kept:
            self._kept[name] = _decode_object(self.request.extras[name])
        return self._kept[name].get(str(key))


def write_parts(turn: Turn, writing: Writing) -> list[Block]:
    """Empty text is left out: Anthropic refuses it, and it says nothing."""
    written: list[Block] = []
    for part in turn.parts:
        block = _write_part(part, turn, writing)
        if block is not None:
            written.append(block)
    return written


def _write_part(part: Part, turn: Turn, writing: Writing) -> Block | None:
    if isinstance(part, Text):
        return _write_text(part, turn, writing)
    if isinstance(part, ToolCall):
        return _write_call(part, writing)
    if isinstance(part, ToolResult):
        return _write_result(part, turn, writing)
    if isinstance(part, Media):
        return _write_media(part, turn, writing)
    if isinstance(part, Reasoning):
        return _write_reasoning(part, writing)
    if isinstance(part, Refusal):
        return {"type": "text", "text": part.text} if part.text.strip() else None
    if part.protocol == PROTOCOL:
        return part.raw
    writing.losses.dropped(part.kind or "turns")
    return None


def _write_text(text: Text, turn: Turn, writing: Writing) -> Block | None:
    citations = text.citations
    if citations is not None and writing.own and begins(citations, b"{"):
        return citations  # a block that stands here as text (content.py)
    if not text.text.strip():
        return None
    block: dict[str, Any] = {"type": "text", "text": text.text}
    if citations is not None:
        refused = turn.role == "user" and is_narrower(writing.target.version)
        if writing.own and not refused:
            block["citations"] = citations
        else:
            writing.losses.dropped("citations")
    writing.mark(block, text.cache)
    return block


def _write_call(call: ToolCall, writing: Writing) -> Block:
    block: dict[str, Any] = {
        "type": "tool_use",
        "id": fitted(call.id, MAX_CALL_ID),
        "name": call.name,
        "input": {"input": call.arguments} if call.custom else _arguments(call, writing),
    }
    for name in ("caller", "toolset_name"):
        raw = writing.kept(f"tool_use.{name}", call.id)
        if raw is not None:
            block[name] = raw
    writing.mark(block, call.cache)
    return block


def _arguments(call: ToolCall, writing: Writing) -> Raw:
    """As the model wrote them, numbers digit for digit."""
    text = call.arguments
    if not text.strip():
        return Raw(b"{}")
    whole = mended(text)
    if whole != text:
        writing.losses.changed("tool_calls.arguments", "half a surrogate pair is sent as U+FFFD")
        text = whole
    raw = Raw(text.encode("utf-8", "replace"))
    try:
        _decode_object(raw)
    except codec.UNREADABLE:
        raise writing.losses.refused(
            "tool_calls.arguments", f"must be a JSON object; those of '{call.name}' are not"
        ) from None
    return raw


def _write_result(result: ToolResult, turn: Turn, writing: Writing) -> Block:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": fitted(result.call_id, MAX_CALL_ID)}
    inner = [one for part in result.parts if (one := _write_part(part, turn, writing)) is not None]
    if inner:
        block["content"] = plain(inner)
    if result.is_error:
        block["is_error"] = True
    toolset = writing.kept("tool_result.toolset_name", result.call_id)
    if toolset is not None:
        block["toolset_name"] = toolset
    writing.mark(block, result.cache)
    return block


def plain(blocks: list[Block]) -> list[Block] | str:
    """One text without marks is written as a string."""
    if len(blocks) == 1 and isinstance(blocks[0], dict) and blocks[0].keys() == {"type", "text"}:
        return str(blocks[0]["text"])
    return blocks


def _write_reasoning(part: Reasoning, writing: Writing) -> Block | None:
    """Only the provider's own goes back to it, byte for byte."""
    state = part.state
    if state is None or state.origin != writing.target.provider_id:
        if part.text or part.summaries:
            writing.losses.changed("reasoning", "the thinking of another provider is not sent")
        return None
    if state.data.startswith(states.REDACTED):
        return {"type": "redacted_thinking", "data": state.data[len(states.REDACTED) :]}
    return {"type": "thinking", "thinking": part.text, "signature": state.data}


def _write_media(media: Media, turn: Turn, writing: Writing) -> Block:
    number = writing.media
    writing.media += 1
    kind = media.kind
    if kind not in ("image", "document"):
        raise writing.losses.refused(f"media.{kind}", f"cannot be sent to {writing.target.model_id}")
    if turn.role == "assistant" and (kind == "image" or is_narrower(writing.target.version)):
        raise writing.losses.refused(f"media.{kind}", "cannot stand in a turn of the assistant")
    source = writing.kept(f"{kind}.source", number) or _source(media, writing)
    block: dict[str, Any] = {"type": kind, "source": source}
    if kind == "document" and media.name is not None:
        block["title"] = media.name
    if media.detail not in (None, "auto"):
        writing.losses.dropped("media.detail")
    for name in ("transformations", "context", "citations"):
        raw = writing.kept(f"{kind}.{name}", number)
        if raw is not None:
            block[name] = raw
    writing.mark(block, media.cache)
    return block


def _source(media: Media, writing: Writing) -> dict[str, str]:
    if media.url is not None:
        return {"type": "url", "url": media.url}
    if media.file_id is not None:
        if not writing.own:
            raise writing.losses.refused("media.file_id", "names a file that another provider keeps")
        return {"type": "file", "file_id": media.file_id}
    if media.text is not None:
        return {"type": "text", "media_type": "text/plain", "data": media.text}
    return _data_source(media, media.data or "", writing)


def _data_source(media: Media, data: str, writing: Writing) -> dict[str, str]:
    media_type = media.media_type
    if media.kind == "image":
        if media_type is None:
            media_type = next((known for start, known in _FIRST_LETTERS.items() if data.startswith(start)), None)
        media_type = "image/jpeg" if media_type == "image/jpg" else media_type
        if media_type not in _IMAGE_TYPES:
            raise writing.losses.refused("media.image", f"must be JPEG, PNG, GIF or WebP, not {media_type}")
        return {"type": "base64", "media_type": media_type, "data": data}
    if media_type == "application/pdf" or (media_type is None and data.startswith(_PDF_LETTERS)):
        return {"type": "base64", "media_type": "application/pdf", "data": data}
    if media_type is not None and media_type.startswith(("text/", "application/json")):
        try:
            return {"type": "text", "media_type": "text/plain", "data": b64decode(data, validate=True).decode()}
        except ValueError:
            raise writing.losses.refused("media.document", "is not base64 of text in UTF-8") from None
    raise writing.losses.refused("media.document", f"must be a PDF or text, not {media_type}")
