"""Messages answers: whole, or as the events of a stream that adds up to the same.

Source: the `anthropic` package's types/message.py, raw_*_event.py and usage.py; for the order of events
https://platform.claude.com/docs/en/build-with-claude/streaming; for an empty refusal the package's recorded streams.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from trunkline.providers.sandbox import pacing, sealed
from trunkline.providers.sandbox.messages_ask import REDACTED, THINKING, MessagesAsk
from trunkline.providers.sandbox.messages_cache import CacheUse
from trunkline.providers.sandbox.numbering import new_id
from trunkline.providers.sandbox.reply import Answer, CallPieces
from trunkline.providers.sandbox.response import Step
from trunkline.wire import codec, sse

EXPLANATION = "The sandbox refuses, as told."
GARBLED = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_del\xff\xfe\n\n'
)
OVERLOADED = sse.named_event(
    b"error", b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded, as the sandbox is told"}}'
)

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"]


class TextBlock(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class ThinkingBlock(msgspec.Struct, tag_field="type", tag="thinking"):
    thinking: str
    signature: str


class RedactedBlock(msgspec.Struct, tag_field="type", tag="redacted_thinking"):
    data: str


class ToolUseBlock(msgspec.Struct, tag_field="type", tag="tool_use"):
    id: str
    name: str
    input: msgspec.Raw


class CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: int
    ephemeral_1h_input_tokens: int


class OutputDetails(msgspec.Struct):
    thinking_tokens: int


class Usage(msgspec.Struct):
    """Of a message; the end of a stream tells it again without `cache_creation` and `service_tier`."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: OutputDetails | UnsetType = UNSET
    cache_creation: CacheCreation | UnsetType = UNSET
    service_tier: str | UnsetType = UNSET


class StopDetails(msgspec.Struct, tag_field="type", tag="refusal"):
    explanation: str
    category: None = None


class MessageBody(msgspec.Struct, tag_field="type", tag="message"):
    id: str
    role: str
    model: str
    content: list[TextBlock | ThinkingBlock | RedactedBlock | ToolUseBlock]
    stop_reason: StopReason | None
    stop_sequence: str | None
    stop_details: StopDetails | None
    usage: Usage | UnsetType


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, why it ends, and what of its prompt came from the cache."""

    answer: Answer
    stop_reason: StopReason
    stop_sequence: str | None = None
    cache: CacheUse = CacheUse()


def stop_of(answer: Answer, stops: list[str], text: str) -> tuple[StopReason, str | None]:
    """Why `answer` ends, which was cut from `text`, and the stop sequence that was reached."""
    if answer.finish == "length":
        return "max_tokens", None
    if answer.finish == "calls":
        return "tool_use", None
    found = [(at, stop) for stop in stops if (at := text.find(stop)) >= 0]
    return ("stop_sequence", min(found)[1]) if found else ("end_turn", None)


def usage_of(ask: MessagesAsk, said: Said, output_tokens: int) -> Usage:
    """Input that was read from the cache or written to it is not counted as input again."""
    fresh = ask.prompt.tokens - said.cache.read - said.cache.written
    told = min(ask.prompt.told.cached, fresh)
    return Usage(
        input_tokens=fresh - told,
        cache_creation_input_tokens=said.cache.written,
        cache_read_input_tokens=said.cache.read + told,
        output_tokens=output_tokens,
        cache_creation=CacheCreation(said.cache.written_5m, said.cache.written_1h),
        service_tier="standard",
    )


def whole(ask: MessagesAsk, said: Said) -> bytes:
    usage = usage_of(ask, said, said.answer.tokens)
    usage.output_tokens_details = OutputDetails(said.answer.reasoning_tokens)
    message = _message(ask, usage)
    message.content = [_block(ask, said.answer, part) for part in _parts(ask, said)]
    message.stop_reason, message.stop_sequence = said.stop_reason, said.stop_sequence
    message.stop_details = _details(said)
    return codec.encode(message)


def events(ask: MessagesAsk, said: Said) -> Iterator[Step]:
    """The stream, with the pace and the faults that were told."""
    broken = pacing.Broken(GARBLED, OVERLOADED)
    yield from pacing.paced(ask.prompt.told, _rounds(ask, said), broken)


Part = Literal["reasoning", "text"] | CallPieces


def _parts(ask: MessagesAsk, said: Said) -> list[Part]:
    """What the content is made of, in order. A refusal is a text without anything in it."""
    answer = said.answer
    found: list[Part] = ["reasoning"] if answer.reasoning else []
    if answer.text or said.stop_reason == "refusal":
        found.append("text")
    return [*found, *answer.calls]


def _block(ask: MessagesAsk, answer: Answer, part: Part) -> TextBlock | ThinkingBlock | RedactedBlock | ToolUseBlock:
    if part == "text":
        return TextBlock("".join(answer.text))
    if isinstance(part, CallPieces):
        return ToolUseBlock(new_id("toolu_"), part.name, msgspec.Raw(_input(part).encode()))
    reasoning = "".join(answer.reasoning)
    if ask.prompt.told.redacted:
        return RedactedBlock(sealed.seal(REDACTED, reasoning))
    return ThinkingBlock("" if ask.shows == "omitted" else reasoning, sealed.seal(THINKING, reasoning))


def _input(call: CallPieces) -> str:
    """The arguments; an object without members when they were cut, as Anthropic has it."""
    text = "".join(call.arguments)
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return "{}"
    return text


def _message(ask: MessagesAsk, usage: Usage) -> MessageBody:
    return MessageBody(
        id=new_id("msg_"),
        role="assistant",
        model=ask.name,
        content=[],
        stop_reason=None,
        stop_sequence=None,
        stop_details=None,
        usage=UNSET if ask.prompt.told.no_usage else usage,
    )


def _details(said: Said) -> StopDetails | None:
    return StopDetails(EXPLANATION) if said.stop_reason == "refusal" else None


def _rounds(ask: MessagesAsk, said: Said) -> Iterator[list[bytes]]:
    """The start, a round for each token with what opens and closes around it, and the end."""
    start = _message(ask, usage_of(ask, said, min(said.answer.tokens, 1)))
    yield [_event("message_start", {"message": start})]
    waiting: list[bytes] = []
    for index, part in enumerate(_parts(ask, said)):
        opened = [_opening(ask, said.answer, part, index)]
        if index == 0:
            opened.append(_event("ping", {}))
        waiting += opened
        for deltas in _deltas(ask, said.answer, part):
            yield waiting + [_event("content_block_delta", {"index": index, "delta": delta}) for delta in deltas]
            waiting = []
        if part == "reasoning" and not ask.prompt.told.redacted:
            signature = sealed.seal(THINKING, "".join(said.answer.reasoning))
            delta = {"type": "signature_delta", "signature": signature}
            waiting.append(_event("content_block_delta", {"index": index, "delta": delta}))
        waiting.append(_event("content_block_stop", {"index": index}))
    yield waiting + _ending(ask, said)


def _opening(ask: MessagesAsk, answer: Answer, part: Part, index: int) -> bytes:
    block = _block(ask, answer, part)
    if isinstance(block, TextBlock):
        block.text = ""
    elif isinstance(block, ThinkingBlock):
        block.thinking = block.signature = ""
    elif isinstance(block, ToolUseBlock):
        block.input = msgspec.Raw(b"{}")
    return _event("content_block_start", {"index": index, "content_block": block})


def _deltas(ask: MessagesAsk, answer: Answer, part: Part) -> Iterator[list[dict[str, str]]]:
    """The deltas of a block by token. Reasoning that is not shown passes in silence; a call's name is a token."""
    if isinstance(part, CallPieces):
        yield [{"type": "input_json_delta", "partial_json": ""}]
        for piece in part.arguments:
            yield [{"type": "input_json_delta", "partial_json": piece}]
    elif part == "text":
        for piece in answer.text:
            yield [{"type": "text_delta", "text": piece}]
    elif ask.prompt.told.redacted or ask.shows == "omitted":
        yield from ([] for _ in answer.reasoning)
    else:
        for piece in answer.reasoning:
            yield [{"type": "thinking_delta", "thinking": piece}]


def _ending(ask: MessagesAsk, said: Said) -> list[bytes]:
    usage = usage_of(ask, said, said.answer.tokens)
    usage.output_tokens_details = OutputDetails(said.answer.reasoning_tokens)
    usage.cache_creation = usage.service_tier = UNSET
    delta = {
        "stop_reason": said.stop_reason,
        "stop_sequence": said.stop_sequence,
        "stop_details": _details(said),
    }
    told = ask.prompt.told
    last = _event("message_delta", {"delta": delta} if told.no_usage else {"delta": delta, "usage": usage})
    return [last] if told.no_done else [last, _event("message_stop", {})]


def _event(kind: str, facts: dict[str, object]) -> bytes:
    return sse.named_event(kind.encode(), codec.encode({"type": kind, **facts}))
