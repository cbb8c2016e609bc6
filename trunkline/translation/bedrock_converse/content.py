"""Messages and content blocks, read: a caller's conversation, and what a provider answers."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation import envelope
from trunkline.translation.bedrock_converse.media import Kind, MediaBlock, read_media
from trunkline.translation.bedrock_converse.vocabulary import PROTOCOL, REDACTED, CachePoint, lifetime
from trunkline.translation.exchange import (
    Media,
    Opaque,
    Part,
    Reasoning,
    Role,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.wire import codec
from trunkline.wire.codec import Fields


class _ToolUse(msgspec.Struct, rename="camel"):
    tool_use_id: str
    name: str
    input: Raw
    type: str | None = None


class _ResultBlock(msgspec.Struct):
    text: str | None = None
    json: Raw = Raw()
    image: MediaBlock | None = None
    document: MediaBlock | None = None
    video: MediaBlock | None = None


class _ToolResult(msgspec.Struct, rename="camel"):
    tool_use_id: str
    content: list[_ResultBlock]
    status: str | None = None


class _ReasoningText(msgspec.Struct):
    text: str
    signature: str | None = None


class _ReasoningContent(msgspec.Struct, rename="camel"):
    reasoning_text: _ReasoningText | None = None
    redacted_content: str | None = None


class _Cited(msgspec.Struct):
    text: str = ""


class _Citations(msgspec.Struct):
    content: list[_Cited] = []


class Block(msgspec.Struct, rename="camel"):
    """One of these is there, or something that is not known here."""

    text: str | None = None
    image: MediaBlock | None = None
    document: MediaBlock | None = None
    video: MediaBlock | None = None
    audio: MediaBlock | None = None
    tool_use: _ToolUse | None = None
    tool_result: _ToolResult | None = None
    reasoning_content: _ReasoningContent | None = None
    citations_content: _Citations | None = None
    cache_point: CachePoint | None = None


class _Message(msgspec.Struct):
    role: Role
    content: list[Raw]


_decode_messages = msgspec.json.Decoder(list[_Message]).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
decode_block = msgspec.json.Decoder(Block).decode
_decode_fields = msgspec.json.Decoder(Fields).decode


def read_turns(system: Raw | None, messages: Raw) -> list[Turn]:
    """Raises InvalidRequest naming the block."""
    turns: list[Turn] = []
    try:
        if system is not None:
            turns.append(Turn(role="system", parts=_caller_parts(_decode_list(system), "system")))
        for number, message in enumerate(_decode_messages(messages)):
            parts = _caller_parts(message.content, f"messages.{number}.content")
            turns.append(Turn(role=message.role, parts=parts))
    except codec.UNREADABLE as error:
        raise InvalidRequest(f"'messages' is not a conversation: {error}.", param="messages") from None
    return turns


def _caller_parts(content: Sequence[Raw], where: str) -> list[Part]:
    parts: list[Part] = []
    for number, raw in enumerate(content):
        try:
            block = decode_block(raw)
        except codec.UNREADABLE as error:
            place = f"{where}.{number}"
            raise InvalidRequest(f"'{place}' makes no sense: {error}.", param=place) from None
        if block.cache_point is not None:
            if parts and isinstance(last := parts[-1], Text | Media | ToolCall | ToolResult):
                last.cache = lifetime(block.cache_point)
        else:
            parts.append(read_block(block) or _opaque(raw))
    for part in parts:
        if isinstance(part, Reasoning) and part.state is not None:
            part.state = _returned(part.state)
    return parts


def _returned(state: State) -> State:
    """What a caller brings back: wrapped by the gateway, or of unknown origin."""
    if not state.data.startswith(REDACTED):
        return envelope.unwrap(state.data)
    try:
        known = envelope.unwrap(b64decode(state.data[len(REDACTED) :], validate=True).decode())
    except ValueError:
        return state
    return known if known.origin else state


def as_bytes(text: str) -> str:
    """For a field that holds bytes."""
    return b64encode(text.encode()).decode()


def _opaque(raw: Raw) -> Opaque:
    return Opaque(PROTOCOL, raw, next(iter(_decode_fields(raw)), ""))


def read_block(block: Block, origin: str = "") -> Part | None:
    """None for a block of no known kind. `origin` is that of the state it may hold."""
    if block.text is not None:
        return Text(text=block.text)
    if block.tool_use is not None and block.tool_use.type is None:
        call = block.tool_use
        return ToolCall(id=call.tool_use_id, name=call.name, arguments=bytes(call.input).decode())
    if block.reasoning_content is not None:
        return _read_reasoning(block.reasoning_content, origin)
    if block.citations_content is not None:
        return Text(text="".join(piece.text for piece in block.citations_content.content))
    if block.tool_result is not None:
        return _read_result(block.tool_result)
    return _read_media(block)


def _read_reasoning(content: _ReasoningContent, origin: str) -> Reasoning | None:
    if content.redacted_content is not None:
        return Reasoning(state=State(origin, REDACTED + content.redacted_content))
    if content.reasoning_text is None:
        return None
    told = content.reasoning_text
    return Reasoning(text=told.text, state=State(origin, told.signature) if told.signature else None)


def _read_media(block: Block | _ResultBlock) -> Media | None:
    kinds: tuple[Kind, ...] = ("image", "document", "video", "audio")
    for kind in kinds:
        media: MediaBlock | None = getattr(block, kind, None)
        if media is not None:
            return read_media(kind, media)
    return None


def _read_result(result: _ToolResult) -> ToolResult:
    parts: list[Text | Media] = []
    for block in result.content:
        media = _read_media(block)
        if media is not None:
            parts.append(media)
        else:
            parts.append(Text(text=block.text if block.text is not None else bytes(block.json).decode()))
    return ToolResult(call_id=result.tool_use_id, parts=parts, is_error=result.status == "error")
