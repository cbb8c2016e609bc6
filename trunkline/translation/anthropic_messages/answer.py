"""Whole answers, both ways."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import UpstreamFailed
from trunkline.translation import envelope
from trunkline.translation.anthropic_messages import state as states
from trunkline.translation.anthropic_messages.escapes import mended
from trunkline.translation.anthropic_messages.vocabulary import (
    PROTOCOL,
    STOP_OF,
    TIER_NAMED,
    calls_a_tool,
    message_id,
    said,
    stop_reason,
    tier_of,
)
from trunkline.translation.exchange import (
    Answer,
    Choice,
    Media,
    Opaque,
    Part,
    Reasoning,
    ReasoningAsked,
    Refusal,
    Request,
    State,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.anthropic_messages_answer import read_usage, usage_fields
from trunkline.wire.codec import Fields, encode

_CITATIONS = frozenset(
    (
        "char_location",
        "page_location",
        "content_block_location",
        "web_search_result_location",
        "search_result_location",
    )
)


class _StopDetails(msgspec.Struct):
    explanation: str | None = None


class _Message(msgspec.Struct):
    content: list[Raw]
    id: str = ""
    model: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: _StopDetails | None = None
    usage: Raw = Raw()


class _Block(msgspec.Struct):
    type: str
    text: str = ""
    citations: Raw = Raw()
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: Raw = Raw()


class _Citation(msgspec.Struct):
    type: str = ""


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_block = msgspec.json.Decoder(_Block).decode
_decode_citations = msgspec.json.Decoder(list[_Citation]).decode
_decode_object = msgspec.json.Decoder(Fields).decode


def read_answer(body: bytes, target: Target) -> Answer:
    """Raises UpstreamFailed when it is no message."""
    try:
        if not body.isascii():
            body.decode()
        message = _decode_message(body)
        parts = [_read_block(raw, target) for raw in message.content]
    except codec.UNREADABLE:
        raise UpstreamFailed("The provider's answer is not a message.") from None
    if message.stop_details is not None and message.stop_details.explanation:
        parts.append(Refusal(message.stop_details.explanation))
    return Answer(
        id=message.id,
        model=message.model,
        choices=[Choice(parts=parts, stop=read_stop(message.stop_reason), stop_sequence=message.stop_sequence)],
        usage=read_usage(message.usage) if message.usage else None,
        service_tier=tier_of(message.usage),
    )


def read_stop(reason: str | None) -> Any:
    return STOP_OF.get(reason or "", "end")


def _read_block(raw: Raw, target: Target) -> Part:
    block = _decode_block(raw)
    if block.type == "text":
        return Text(text=block.text, citations=cited(block.citations))
    if block.type == "tool_use":
        return ToolCall(id=block.id, name=block.name, arguments=bytes(block.input).decode() or "{}")
    if block.type == "thinking":
        state = State(target.provider_id, block.signature) if block.signature else None
        return Reasoning(text=block.thinking, state=state)
    if block.type == "redacted_thinking":
        return Reasoning(state=states.of_redacted(target.provider_id, block.data))
    return Opaque(PROTOCOL, raw, block.type)


def cited(citations: Raw) -> Raw | None:
    return citations if said(citations) and bytes(citations) != b"[]" else None


def write_answer(answer: Answer, request: Request) -> bytes:
    choice = answer.choices[0] if answer.choices else Choice(parts=[], stop="end")
    reason = stop_reason(choice.stop, choice.stop_sequence, called=calls_a_tool(choice.parts))
    model = answer.model or request.model
    message: dict[str, Any] = {
        "id": message_id(answer.id, model),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": write_content(choice.parts, request.reasoning),
        "stop_reason": reason,
        "stop_sequence": choice.stop_sequence if reason == "stop_sequence" else None,
    }
    details = stop_details(reason, [part.text for part in choice.parts if isinstance(part, Refusal)])
    if details is not None:
        message["stop_details"] = details
    message["usage"] = write_usage(answer.usage, answer.service_tier)
    return encode(message)


def stop_details(reason: str, refusals: list[str]) -> dict[str, Any] | None:
    if reason != "refusal" or not refusals:
        return None
    return {"type": "refusal", "category": None, "explanation": "\n".join(refusals)}


def write_usage(usage: Usage | None, tier: str | None = None) -> dict[str, Any]:
    """Zeros when the provider did not count: the field is required."""
    written: dict[str, Any] = {"input_tokens": 0, "output_tokens": 0}
    if tier in TIER_NAMED:
        written["service_tier"] = TIER_NAMED[tier]
    return written if usage is None else written | usage_fields(usage)


def write_content(parts: list[Part], asked: ReasoningAsked) -> list[Any]:
    content: list[Any] = []
    for part in parts:
        content += _write_part(part, asked)
    return content


def _write_part(part: Part, asked: ReasoningAsked) -> list[Any]:
    if isinstance(part, Text):
        return [_write_text(part), *_carried(part, asked)]
    if isinstance(part, ToolCall):
        block = {"type": "tool_use", "id": part.id, "name": part.name, "input": _input(part)}
        return [*_carried(part, asked), block]
    if isinstance(part, Reasoning):
        block_or_none = _write_reasoning(part, asked)
        return [] if block_or_none is None else [block_or_none]
    if isinstance(part, Refusal):
        return [{"type": "text", "text": part.text}]
    if isinstance(part, Media | ToolResult):
        return []
    return [part.raw] if part.protocol == PROTOCOL else []


def _carried(part: Text | ToolCall, asked: ReasoningAsked) -> list[Any]:
    """A part's own state, in a block of its own: before a call, after a text, as a stream brings it."""
    if part.state is None or not carries_state(asked):
        return []
    data = states.of_call(part, part.state) if isinstance(part, ToolCall) else states.of_text(part.state)
    return [{"type": "redacted_thinking", "data": data}]


def carries_state(asked: ReasoningAsked) -> bool:
    """A client that asked for thinking sends its blocks back; any other may not even know them."""
    return asked.shown or asked.state_wanted


def _write_text(part: Text) -> dict[str, Any]:
    written: dict[str, Any] = {"type": "text", "text": part.text}
    if part.citations is not None and own_citations(part.citations):
        written["citations"] = part.citations
    return written


def own_citations(raw: Raw) -> list[Raw] | None:
    """Each of them; None when they are another protocol's."""
    try:
        kinds = _decode_citations(raw)
        return msgspec.json.decode(raw, type=list[Raw]) if all(kind.type in _CITATIONS for kind in kinds) else None
    except codec.UNREADABLE:
        return None


def _input(call: ToolCall) -> Any:
    """Text that is no JSON object could not stand in this field."""
    text = call.arguments
    if not call.custom:
        if not text.strip():
            return Raw(b"{}")
        raw = Raw(mended(text).encode("utf-8", "replace"))
        try:
            _decode_object(raw)
        except codec.UNREADABLE:
            pass
        else:
            return raw
    return {"input": text}


def shown_text(part: Reasoning) -> str:
    return part.text or "\n\n".join(part.summaries)


def _write_reasoning(part: Reasoning, asked: ReasoningAsked) -> dict[str, Any] | None:
    if not carries_state(asked):
        return None
    text = shown_text(part)
    carried = "" if part.state is None else envelope.wrap(part.state)
    if not text:
        return {"type": "redacted_thinking", "data": carried} if carried else None
    if asked.shown:
        return {"type": "thinking", "thinking": text, "signature": carried}
    return {"type": "thinking", "thinking": "", "signature": carried} if carried else None
