"""A provider's stream, read: the messages of ConverseStream to neutral events.

A text or reasoning block has no start of its own: its first delta begins it. After `messageStop` comes `metadata` with
the usage: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw

from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed
from trunkline.translation.bedrock_converse.answer import malformed, read_stop
from trunkline.translation.bedrock_converse.media import joined
from trunkline.translation.bedrock_converse.vocabulary import REDACTED
from trunkline.translation.exchange import (
    ArgumentsDelta,
    Began,
    CallBegan,
    Ended,
    Event,
    Finished,
    Media,
    PartCame,
    PartEnded,
    ReasoningDelta,
    State,
    StateCame,
    TextDelta,
    Used,
)
from trunkline.translation.streams import MakeError
from trunkline.translation.target import Target
from trunkline.wire import codec, eventstream
from trunkline.wire.bedrock_converse import failure, read_usage

MAX_GATHERED = 64 * 1024 * 1024
"""Characters of one block that is passed on only when it is whole."""


class _Input(msgspec.Struct, gc=False):
    input: str = ""


class _Reasoning(msgspec.Struct, gc=False, rename="camel"):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _Source(msgspec.Struct, gc=False):
    bytes: str | None = None


class _Image(msgspec.Struct, gc=False):
    source: _Source | None = None


class _Delta(msgspec.Struct, gc=False, rename="camel"):
    text: str | None = None
    tool_use: _Input | None = None
    reasoning_content: _Reasoning | None = None
    image: _Image | None = None


class _DeltaEvent(msgspec.Struct, gc=False, rename="camel"):
    content_block_index: int
    delta: _Delta


class _ToolUse(msgspec.Struct, gc=False, rename="camel"):
    tool_use_id: str
    name: str
    type: str | None = None


class _ImageStart(msgspec.Struct, gc=False):
    format: str


class _Start(msgspec.Struct, gc=False, rename="camel"):
    tool_use: _ToolUse | None = None
    image: _ImageStart | None = None
    tool_result: Raw = Raw()


class _StartEvent(msgspec.Struct, gc=False, rename="camel"):
    content_block_index: int
    start: _Start


class _StopEvent(msgspec.Struct, gc=False, rename="camel"):
    content_block_index: int


class _MessageStop(msgspec.Struct, gc=False, rename="camel"):
    stop_reason: str | None = None
    additional_model_response_fields: Raw = Raw()


class _Metadata(msgspec.Struct, gc=False):
    usage: Raw = Raw()


_decode_delta = msgspec.json.Decoder(_DeltaEvent).decode
_decode_start = msgspec.json.Decoder(_StartEvent).decode
_decode_stop = msgspec.json.Decoder(_StopEvent).decode
_decode_message_stop = msgspec.json.Decoder(_MessageStop).decode
_decode_metadata = msgspec.json.Decoder(_Metadata).decode


class _Open:
    """A block that is under way. `part` None: it has none yet, or never, as what Bedrock's own tools do."""

    __slots__ = ("form", "kind", "part", "pieces", "said", "size")

    def __init__(self, kind: str, part: int | None, form: str = "") -> None:
        self.kind = kind
        self.part = part
        self.form = form
        self.said = False
        self.pieces: list[str] = []
        self.size = 0


class Reader:
    """One answer: `feed`, then `end` (translation/streams.py)."""

    def __init__(self, target: Target, error: MakeError) -> None:
        self._origin = target.provider_id
        self._error = error
        self._messages = eventstream.Reader()
        self._blocks: dict[int, _Open] = {}
        self._parts = 0
        self._events: list[Event] = []
        self._began = self._stopped = self._measured = self._done = False
        self.unsent: list[Event] = []
        self._steps: dict[str, Callable[[bytes], None]] = {
            "contentBlockDelta": self._delta,
            "contentBlockStart": self._start,
            "contentBlockStop": self._stop,
            "messageStart": self._begin,
            "messageStop": self._message_stop,
            "metadata": self._metadata,
        }

    @property
    def finished(self) -> bool:
        return self._stopped

    def feed(self, data: bytes) -> list[Event]:
        return [] if self._done else self._checked(lambda: self._read(data))

    def end(self) -> list[Event]:
        return [] if self._done else self._checked(self._read_end)

    def _checked(self, step: Callable[[], None]) -> list[Event]:
        try:
            step()
        except UpstreamError:
            self.unsent = self._take()
            raise
        return self._take()

    def _take(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _read(self, data: bytes) -> None:
        for message in self._messages.feed(data):
            step = self._steps.get(message.text(":event-type"))
            if step is None:
                facts = failure(message)
                if facts is not None:
                    raise self._error(facts)
                continue  # an event of a kind that is not known
            try:
                step(message.payload)
            except codec.UNREADABLE:
                raise UpstreamFailed("The provider sent an event that is not one of Converse.") from None
            if self._done:
                return

    def _read_end(self) -> None:
        if not self._stopped:
            self._messages.end()
            raise StreamCut("The provider's answer broke off before it was finished.")
        self._finish()

    def _finish(self) -> None:
        self._events.append(Ended())
        self._done = True

    def _begin(self, payload: bytes) -> None:
        if not self._began:
            self._began = True
            self._events.append(Began("", ""))

    def _open(self, index: int, kind: str) -> _Open:
        """A part begins; hidden reasoning before it, of which nothing has been told, is told now."""
        for before in self._blocks.values():
            self._tell_hidden(before)
        block = self._blocks[index] = _Open(kind, self._parts)
        self._parts += 1
        return block

    def _start(self, payload: bytes) -> None:
        event = _decode_start(payload)
        index, start = event.content_block_index, event.start
        call = start.tool_use
        if call is not None and call.type is None:
            block = self._open(index, "tool")
            assert block.part is not None, "it has been opened"
            self._events.append(CallBegan(0, block.part, call.tool_use_id, call.name))
        elif start.image is not None:
            self._blocks[index] = _Open("image", None, start.image.format)
        elif call is not None or start.tool_result:
            self._blocks[index] = _Open("", None)

    def _delta(self, payload: bytes) -> None:
        event = _decode_delta(payload)
        delta = event.delta
        block = self._blocks.get(event.content_block_index)
        text = delta.text
        if text:
            if block is None:
                block = self._open(event.content_block_index, "text")
            if block.part is not None:
                self._events.append(TextDelta(0, block.part, text))
        elif delta.reasoning_content is not None:
            self._reasoning(event.content_block_index, delta.reasoning_content)
        elif block is None:
            pass  # a citation, or what is not known
        elif delta.tool_use is not None and block.part is not None:
            if delta.tool_use.input:
                block.said = True
                self._events.append(ArgumentsDelta(0, block.part, delta.tool_use.input))
        elif delta.image is not None and delta.image.source is not None and delta.image.source.bytes:
            self._gather(block, delta.image.source.bytes)

    def _reasoning(self, index: int, told: _Reasoning) -> None:
        if not (told.text or told.signature or told.redacted_content):
            return
        block = self._blocks.get(index) or self._open(index, "reasoning")
        part = block.part
        if part is None:
            return
        if told.text:
            self._events.append(ReasoningDelta(0, part, told.text))
        if told.signature:
            self._events.append(StateCame(0, part, State(self._origin, told.signature)))
        if told.redacted_content:
            self._gather(block, told.redacted_content)

    def _gather(self, block: _Open, piece: str) -> None:
        block.size += len(piece)
        if block.size > MAX_GATHERED:
            raise UpstreamFailed(f"The provider sent a block of more than {MAX_GATHERED:,} characters.")
        block.pieces.append(piece)

    def _stop(self, payload: bytes) -> None:
        self._close(_decode_stop(payload).content_block_index)

    def _close(self, index: int) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        self._tell_hidden(block)
        if block.kind == "image" and block.pieces:
            image = Media(kind="image", media_type=f"image/{block.form}", data=self._joined(block.pieces))
            self._events.append(PartCame(0, self._parts, image))
            self._parts += 1
        if block.kind == "tool" and not block.said and block.part is not None:
            self._events.append(ArgumentsDelta(0, block.part, "{}"))
        if block.part is not None:
            self._events.append(PartEnded(0, block.part))

    def _tell_hidden(self, block: _Open) -> None:
        if block.kind == "reasoning" and block.part is not None and block.pieces:
            state = State(self._origin, REDACTED + self._joined(block.pieces))
            block.pieces = []
            self._events.append(StateCame(0, block.part, state))

    def _joined(self, pieces: list[str]) -> str:
        try:
            return joined(pieces)
        except ValueError:
            raise UpstreamFailed("The provider sent bytes that are not base64.") from None

    def _message_stop(self, payload: bytes) -> None:
        stop = _decode_message_stop(payload)
        facts = malformed(stop.stop_reason)
        if facts is not None:
            raise self._error(facts)
        if self._stopped:
            return
        for index in list(self._blocks):
            self._close(index)
        self._stopped = True
        reason, sequence = read_stop(stop.stop_reason, stop.additional_model_response_fields)
        self._events.append(Finished(0, reason, sequence))
        if self._measured:
            self._finish()

    def _metadata(self, payload: bytes) -> None:
        told = _decode_metadata(payload)
        usage = read_usage(told.usage) if told.usage else None
        if usage is not None:
            self._events.append(Used(usage))
        self._measured = True
        if self._stopped:
            self._finish()
