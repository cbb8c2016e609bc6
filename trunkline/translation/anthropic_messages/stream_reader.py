"""A provider's stream, read: its events to neutral ones.

Blocks come one after the other, each a part; usage is cumulative, so what comes later overwrites. For the order of
events see https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed
from trunkline.translation.anthropic_messages import state as states
from trunkline.translation.anthropic_messages.answer import cited, read_stop
from trunkline.translation.anthropic_messages.vocabulary import PROTOCOL, said, tier_of
from trunkline.translation.exchange import (
    ArgumentsDelta,
    Began,
    CallBegan,
    Ended,
    Event,
    Finished,
    Opaque,
    PartCame,
    PartEnded,
    ReasoningDelta,
    RefusalDelta,
    State,
    StateCame,
    Text,
    TextDelta,
    Used,
)
from trunkline.translation.streams import MakeError
from trunkline.translation.target import Target
from trunkline.wire import codec, sse
from trunkline.wire.anthropic_messages_answer import StreamedUsage
from trunkline.wire.codec import Fields, encode
from trunkline.wire.provider_errors import error_in, read_error

MAX_GATHERED_BYTES = 16 * 1024 * 1024
"""Of one block that is passed on only when it is whole."""


class _Delta(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    citation: Raw = Raw()


class _DeltaEvent(msgspec.Struct, tag="content_block_delta", gc=False):
    """Decodes deltas alone: nearly every event is one."""

    index: int
    delta: _Delta


class _StopDetails(msgspec.Struct, gc=False):
    explanation: str | None = None


class _MessageDelta(msgspec.Struct, gc=False):
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: _StopDetails | None = None


class _Message(msgspec.Struct, gc=False):
    id: str = ""
    model: str = ""
    usage: Raw = Raw()


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    index: int = 0
    message: Raw = Raw()
    content_block: Raw = Raw()
    delta: Raw = Raw()
    usage: Raw = Raw()


class _Block(msgspec.Struct, gc=False):
    type: str
    text: str = ""
    citations: Raw = Raw()
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: Raw = Raw()


_decode_delta = msgspec.json.Decoder(_DeltaEvent).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_message_delta = msgspec.json.Decoder(_MessageDelta).decode
_decode_block = msgspec.json.Decoder(_Block).decode
_decode_fields = msgspec.json.Decoder(Fields).decode


class _Open:
    """The block that is under way. `gathered`: it is passed on whole, at its end."""

    __slots__ = ("citations", "fields", "gathered", "json", "kind", "part", "said", "size", "text")

    def __init__(self, kind: str, part: int, fields: Fields) -> None:
        self.kind = kind
        self.part = part
        self.fields = fields
        self.gathered = False
        self.said = False
        self.size = 0
        self.text: list[str] = []
        self.json: list[str] = []
        self.citations: list[Raw] = []


class Reader:
    """One answer: `feed`, then `end` (translation/streams.py)."""

    def __init__(self, target: Target, error: MakeError) -> None:
        self._origin = target.provider_id
        self._error = error
        self._splitter = sse.Splitter(joint=b" ")
        self._blocks: dict[int, _Open] = {}
        self._parts = 0
        self._usage = StreamedUsage()
        self._out: list[Event] = []
        self._began = self._stopped = self._done = False
        self.unsent: list[Event] = []

    @property
    def finished(self) -> bool:
        return self._stopped

    def feed(self, data: bytes) -> list[Event]:
        return self._checked(self._read, data)

    def end(self) -> list[Event]:
        return self._checked(self._read_end)

    def _checked(self, step: Callable[..., None], *given: bytes) -> list[Event]:
        try:
            step(*given)
        except UpstreamError:
            self.unsent = self._take_out()
            raise
        return self._take_out()

    def _take_out(self) -> list[Event]:
        out, self._out = self._out, []
        return out

    def _read(self, data: bytes) -> None:
        for payload in self._splitter.feed(data):
            if self._done:
                return
            try:
                event = _decode_delta(payload)
                if not payload.isascii():
                    payload.decode()
            except codec.UNREADABLE:
                self._event(payload)
            else:
                self._delta(event.index, event.delta, payload)

    def _read_end(self) -> None:
        rest = self._splitter.rest().lstrip()
        if not self._began and rest.startswith(b"{"):
            facts = read_error(rest)
            raise self._error(facts) if facts.message else UpstreamFailed("The provider sent JSON, not a stream.")
        for payload in self._splitter.end():
            if not self._done and codec.answer_fields(payload) is not None:
                self._event(payload)
        if not self._done:
            self._finish()

    def _event(self, payload: bytes) -> None:
        if not payload.strip():
            return
        try:
            if not payload.isascii():
                payload.decode()
            event = _decode_event(payload)
            if event.type == "content_block_delta":
                delta = _decode_delta(payload)
                self._delta(delta.index, delta.delta, payload)
            else:
                self._other(event, payload)
        except codec.UNREADABLE:
            raise self._senseless(payload) from None

    def _senseless(self, payload: bytes) -> UpstreamError:
        facts = error_in(codec.answer_fields(payload) or {})
        if facts is not None:
            return self._error(facts)
        return UpstreamFailed("The provider sent an event that is not one of a message.")

    def _other(self, event: _Event, payload: bytes) -> None:
        kind = event.type
        if kind == "content_block_start":
            self._start(event)
        elif kind == "content_block_stop":
            self._stop(event.index)
        elif kind == "message_start":
            self._begin(event)
        elif kind == "message_delta":
            self._message_delta(event)
        elif kind == "message_stop":
            self._finish_well()
        elif kind in ("", "error"):
            raise self._senseless(payload)

    def _begin(self, event: _Event) -> None:
        message = _decode_message(event.message)
        if message.usage:
            self._usage.start(message.usage)
        if not self._began:
            self._began = True
            self._out.append(Began(message.id, message.model, 0, self._usage.total, tier_of(message.usage)))

    def _start(self, event: _Event) -> None:
        if event.index in self._blocks:
            self._stop(event.index)
        block = _decode_block(event.content_block)
        part, self._parts = self._parts, self._parts + 1
        open_block = _Open(block.type, part, {})
        self._blocks[event.index] = open_block
        out = self._out
        if block.type == "text":
            open_block.gathered = said(block.citations)
            self._text(open_block, block.text)
        elif block.type == "tool_use":
            out.append(CallBegan(0, part, block.id, block.name))
            if block.input and bytes(block.input) not in (b"{}", b"null"):
                self._arguments(open_block, bytes(block.input).decode())
        elif block.type == "thinking":
            self._thinking(open_block, block.thinking)
            self._signature(open_block, block.signature)
        elif block.type == "redacted_thinking":
            out.append(StateCame(0, part, states.of_redacted(self._origin, block.data)))
        else:
            open_block.fields = _decode_fields(event.content_block)

    def _text(self, block: _Open, text: str) -> None:
        if not text:
            return
        if block.gathered:
            self._gather(block, block.text, text)
        else:
            block.said = True
            self._out.append(TextDelta(0, block.part, text))

    def _thinking(self, block: _Open, text: str) -> None:
        if text:
            block.said = True
            self._out.append(ReasoningDelta(0, block.part, text))

    def _signature(self, block: _Open, signature: str) -> None:
        if signature:
            block.said = True
            self._out.append(StateCame(0, block.part, State(self._origin, signature)))

    def _arguments(self, block: _Open, text: str) -> None:
        if text:
            block.said = True
            self._out.append(ArgumentsDelta(0, block.part, text))

    def _gather(self, block: _Open, pieces: list[Any], piece: Any) -> None:
        block.size += len(piece)
        if block.size > MAX_GATHERED_BYTES:
            raise UpstreamFailed(f"The provider sent a block of more than {MAX_GATHERED_BYTES:,} bytes.")
        pieces.append(piece)

    def _delta(self, index: int, delta: _Delta, payload: bytes) -> None:
        block = self._blocks.get(index)
        if block is None:
            raise UpstreamFailed("The provider sent a delta of a block that has not begun.")
        kind = block.kind
        if kind == "text":
            if delta.citation:
                # They come before or after the words; a text that has begun to go out goes on without them.
                block.gathered = block.gathered or not block.said
                self._gather(block, block.citations, delta.citation)
            else:
                self._text(block, delta.text)
        elif kind == "tool_use":
            self._arguments(block, delta.partial_json)
        elif kind == "thinking":
            self._thinking(block, delta.thinking)
            self._signature(block, delta.signature)
        elif delta.type == "input_json_delta":
            self._gather(block, block.json, delta.partial_json)
        else:
            self._merge(block, payload)

    def _merge(self, block: _Open, payload: bytes) -> None:
        """A delta of a kind that is not known: its fields are the block's own, text grows."""
        fields = _decode_fields(_decode_event(payload).delta)
        for name, raw in fields.items():
            before = block.fields.get(name, Raw())
            if name == "type":
                continue
            block.size += len(raw)
            if block.size > MAX_GATHERED_BYTES:
                raise UpstreamFailed(f"The provider sent a block of more than {MAX_GATHERED_BYTES:,} bytes.")
            if bytes(raw).startswith(b'"') and bytes(before).startswith(b'"'):
                raw = Raw(bytes(before)[:-1] + bytes(raw)[1:])  # noqa: PLW2901
            block.fields[name] = raw

    def _stop(self, index: int) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        part, out = block.part, self._out
        if block.kind == "text":
            if block.gathered and (block.text or block.citations):
                citations = cited(Raw(encode(block.citations)))
                out.append(PartCame(0, part, Text(text="".join(block.text), citations=citations)))
            elif not block.said:
                out.append(TextDelta(0, part, ""))
        elif block.kind == "tool_use":
            if not block.said:
                out.append(ArgumentsDelta(0, part, "{}"))
        elif block.kind == "thinking":
            if not block.said:
                out.append(ReasoningDelta(0, part, ""))
        elif block.kind != "redacted_thinking":
            if block.json:
                said_input = "".join(block.json).encode()
                if codec.answer_fields(said_input) is not None:
                    block.fields["input"] = Raw(said_input)
            out.append(PartCame(0, part, Opaque(PROTOCOL, Raw(encode(block.fields)), block.kind)))
        out.append(PartEnded(0, part))

    def _message_delta(self, event: _Event) -> None:
        if event.usage:
            self._usage.delta(event.usage)
            usage = self._usage.final
            if usage is not None:
                self._out.append(Used(usage))
        delta = _decode_message_delta(event.delta) if event.delta else _MessageDelta()
        if delta.stop_reason is None or self._stopped:
            return
        for index in list(self._blocks):
            self._stop(index)
        if delta.stop_details is not None and delta.stop_details.explanation:
            self._out.append(RefusalDelta(0, self._parts, delta.stop_details.explanation))
            self._parts += 1
        self._out.append(Finished(0, read_stop(delta.stop_reason), delta.stop_sequence))
        self._stopped = True

    def _finish_well(self) -> None:
        """`message_stop`: an end even where no reason was told."""
        if not self._began:
            raise UpstreamFailed("The provider ended a message that it had not begun.")
        if not self._stopped:
            for index in list(self._blocks):
                self._stop(index)
            self._out.append(Finished(0, "end"))
            self._stopped = True
        self._finish()

    def _finish(self) -> None:
        if not self._stopped:
            raise StreamCut("The provider's answer broke off before it was finished.")
        self._out.append(Ended())
        self._done = True
