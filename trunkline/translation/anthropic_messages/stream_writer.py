"""A stream, written for a caller: neutral events to the blocks of a message, one after the other.

Blocks of this protocol never overlap, parts of an answer may. What is open closes when another part begins, but for a
tool call whose arguments are not whole yet: then the others wait for it. Text that comes late opens a new block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from trunkline.translation import envelope
from trunkline.translation.anthropic_messages import state as states
from trunkline.translation.anthropic_messages.answer import carries_state, own_citations, stop_details, write_usage
from trunkline.translation.anthropic_messages.escapes import Mender
from trunkline.translation.anthropic_messages.vocabulary import PROTOCOL, message_id, stop_reason
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
    RefusalDelta,
    Request,
    State,
    StateCame,
    Text,
    TextDelta,
    ToolCall,
    Usage,
    Used,
)
from trunkline.wire import codec, sse
from trunkline.wire.anthropic_messages_answer import delta_fields
from trunkline.wire.codec import Fields, encode

_MESSAGE_STOP = sse.named_event(b"message_stop", b'{"type":"message_stop"}')
_DELTA_HEAD = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":%s:'
_DELTA_END = b"}}\n\n"
_TEXT = b'"text_delta","text"'
_THINKING = b'"thinking_delta","thinking"'
_SIGNATURE = b'"signature_delta","signature"'
_JSON = b'"input_json_delta","partial_json"'
_CITATION = b'"citations_delta","citation"'

Kind = Literal["", "text", "tool", "thinking", "hidden"]
PartEvent = TextDelta | RefusalDelta | ReasoningDelta | CallBegan | ArgumentsDelta | StateCame | PartCame | PartEnded

_decode_object = msgspec.json.Decoder(Fields).decode


class _Open:
    """The block that is open, and the part it belongs to. `hidden`: reasoning of which nothing has been written yet."""

    __slots__ = ("after", "custom", "ended", "head", "json", "kind", "length", "mender", "part", "state", "tested")

    def __init__(self, kind: Kind, part: int) -> None:
        self.kind = kind
        self.part = part
        self.head = b""
        self.state: State | None = None
        self.custom = self.ended = False
        self.json: list[str] = []
        self.mender = Mender()
        self.length = self.tested = 0
        self.after: list[bytes] = []

    def is_whole(self) -> bool:
        """Whether another block may begin. Of a tool call that nobody has ended the arguments tell."""
        if self.kind != "tool" or self.ended:
            return True
        # Looked at again only when they have grown by an eighth, or a long text would be read over and over.
        if self.custom or not self.json or self.length < self.tested or not self.json[-1].rstrip().endswith("}"):
            return False
        self.tested = self.length + self.length // 8 + 1
        try:
            _decode_object("".join(self.json))
        except codec.UNREADABLE:
            return False
        self.ended = True
        return True


class Writer:
    """One answer (translation/streams.py). Of several choices only the first has a place in this protocol."""

    def __init__(self, request: Request) -> None:
        self._model = request.model
        self._shown = request.reasoning.shown
        self._carries = carries_state(request.reasoning)
        self._out: list[bytes] = []
        self._next = 0
        self._open = _Open("", -1)
        self._pending: CallBegan | None = None
        self._waiting: dict[int, list[PartEvent]] = {}
        self._calls: dict[int, CallBegan] = {}
        self._texts: set[int] = set()
        self._withheld: set[int] = set()
        self._summaries: dict[int, int | None] = {}
        self._refusal: list[str] = []
        self._finished: Finished | None = None
        self._usage: Usage | None = None
        self._told: Usage | None = None
        self.holding = False
        self._write_part: dict[type[Any], Callable[[Any], None]] = {
            TextDelta: self._text,
            RefusalDelta: self._refused,
            ReasoningDelta: self._reasoning,
            CallBegan: self._call,
            ArgumentsDelta: self._arguments,
            StateCame: self._state,
            PartCame: self._whole,
            PartEnded: self._part_ended,
        }

    def write(self, events: Iterable[Event]) -> bytes:
        for event in events:
            if type(event) is TextDelta and event.part == self._open.part and self._open.kind == "text":
                if event.text and event.choice == 0:
                    self._out.append(self._open.head + encode(event.text) + _DELTA_END)
            elif isinstance(event, PartEvent):
                if event.choice == 0:
                    self._part(event)
            else:
                self._of_message(event)
        self._begin_pending()
        out, self._out = self._out, []
        return b"".join(out)

    def release(self) -> bytes:
        if not self.holding:
            return b""
        self._end_message()
        out, self._out = self._out, []
        return b"".join(out)

    def _of_message(self, event: Began | Finished | Used | Ended) -> None:
        if isinstance(event, Began):
            self._begin(event)
        elif isinstance(event, Used):
            self._usage = event.usage
            if self.holding:
                self._end_message()
        elif isinstance(event, Finished):
            if event.choice == 0 and self._finished is None:
                self._drain()
                self._finished = event
                self.holding = True
        else:
            if self.holding or (self._finished is not None and self._usage != self._told):
                self._end_message()
            self._out.append(_MESSAGE_STOP)

    def _begin(self, event: Began) -> None:
        self._usage = event.usage
        message: dict[str, Any] = {
            "id": message_id(event.id, event.model or self._model),
            "type": "message",
            "role": "assistant",
            "model": event.model or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(event.usage, event.service_tier),
        }
        self._send(b"message_start", {"type": "message_start", "message": message})

    def _end_message(self) -> None:
        finished = self._finished
        assert finished is not None, "nothing is held before"
        reason = stop_reason(finished.stop, finished.stop_sequence, called=bool(self._calls))
        delta: dict[str, Any] = {
            "stop_reason": reason,
            "stop_sequence": finished.stop_sequence if reason == "stop_sequence" else None,
        }
        details = stop_details(reason, ["".join(self._refusal)] if self._refusal else [])
        if details is not None:
            delta["stop_details"] = details
        usage = write_usage(None) if self._usage is None else delta_fields(self._usage)
        self._send(b"message_delta", {"type": "message_delta", "delta": delta, "usage": usage})
        self._told = self._usage
        self.holding = False

    def _send(self, name: bytes, event: dict[str, Any]) -> None:
        self._out.append(sse.named_event(name, encode(event)))

    def _part(self, event: PartEvent) -> None:
        """To its block, or to those that wait."""
        if self._pending is not None and not (type(event) is StateCame and event.part == self._pending.part):
            self._begin_pending()
        if event.part != self._open.part and not self._free():
            self._waiting.setdefault(event.part, []).append(event)
            return
        self._write_part[type(event)](event)
        if self._waiting:
            self._free()

    def _free(self) -> bool:
        """Those that wait are written as far as they can be. False when what is open must stay so."""
        while self._open.is_whole():
            if not self._waiting:
                return True
            self._close()
            self._replay()
        return False

    def _replay(self) -> None:
        """The part that has waited longest."""
        part = next(iter(self._waiting))
        for event in self._waiting.pop(part):
            if self._pending is not None and type(event) is not StateCame:
                self._begin_pending()
            self._write_part[type(event)](event)
        self._begin_pending()

    def _drain(self) -> None:
        self._begin_pending()
        self._close()
        while self._waiting:
            self._replay()
            self._close()

    def _start(self, kind: Kind, part: int, block: bytes, delta: bytes) -> None:
        """Opens a block; the one before has been closed."""
        self._open = _Open(kind, part)
        self._open.head = _DELTA_HEAD % (self._next, delta)
        self._out.append(self._block_start(block))

    def _block_start(self, block: bytes) -> bytes:
        head = b'{"type":"content_block_start","index":%d,"content_block":' % self._next
        return sse.named_event(b"content_block_start", head + block + b"}")

    def _block_stop(self) -> bytes:
        self._next += 1
        return sse.named_event(b"content_block_stop", b'{"type":"content_block_stop","index":%d}' % (self._next - 1))

    def _alone(self, block: bytes) -> None:
        """A block that is whole at its start."""
        self._out.append(self._block_start(block))
        self._out.append(self._block_stop())

    def _close(self) -> None:
        block, self._open = self._open, _Open("", -1)
        if block.kind == "hidden":
            self._close_hidden(block)
        elif block.kind:
            if block.kind == "thinking" and block.state is not None:
                self._signature(block.state)
            rest = '"}' if block.custom else block.mender.end()
            if rest:
                self._out.append(block.head + encode(rest) + _DELTA_END)
            self._out.append(self._block_stop())
        for after in block.after:
            self._alone(after)

    def _close_hidden(self, block: _Open) -> None:
        if block.state is None or not self._carries:
            return
        if block.part in self._withheld:
            self._out.append(self._block_start(b'{"type":"thinking","thinking":"","signature":""}'))
            self._signature(block.state)
            self._out.append(self._block_stop())
        else:
            self._alone(_redacted(envelope.wrap(block.state)))

    def _signature(self, state: State) -> None:
        self._out.append(_DELTA_HEAD % (self._next, _SIGNATURE) + encode(envelope.wrap(state)) + _DELTA_END)

    def _text(self, event: TextDelta | RefusalDelta) -> None:
        block = self._open
        if block.part != event.part or block.kind != "text":
            self._close()
            self._texts.add(event.part)
            self._start("text", event.part, b'{"type":"text","text":""}', _TEXT)
            block = self._open
        if event.text:
            self._out.append(block.head + encode(event.text) + _DELTA_END)

    def _refused(self, event: RefusalDelta) -> None:
        self._refusal.append(event.text)
        self._text(event)

    def _reasoning(self, event: ReasoningDelta) -> None:
        if not self._carries:
            return
        part = event.part
        if not self._shown:
            self._hide(part)
            self._withheld.add(part)
            return
        before = self._summaries.setdefault(part, event.summary)
        if (before is None) != (event.summary is None):
            return  # told twice, in full and in short
        if self._open.part != part or self._open.kind != "thinking":
            state = self._open.state if self._open.part == part else None
            if self._open.part == part:
                self._open.state = None
            self._close()
            self._start("thinking", part, b'{"type":"thinking","thinking":"","signature":""}', _THINKING)
            self._open.state = state
        text = event.text if before == event.summary else "\n\n" + event.text
        self._summaries[part] = event.summary
        if text:
            self._out.append(self._open.head + encode(text) + _DELTA_END)

    def _hide(self, part: int) -> None:
        if self._open.part != part:
            self._close()
            self._open = _Open("hidden", part)

    def _call(self, event: CallBegan) -> None:
        self._close()
        self._calls[event.part] = event
        self._pending = event

    def _begin_pending(self) -> None:
        """A call is begun only when its state had a chance to come: that stands before it."""
        event = self._pending
        if event is None:
            return
        self._pending = None
        start = b'{"type":"tool_use","id":%b,"name":%b,"input":{}}' % (encode(event.id), encode(event.name))
        self._start("tool", event.part, start, _JSON)
        self._open.custom = event.custom
        if event.custom:
            self._out.append(self._open.head + encode('{"input":"') + _DELTA_END)

    def _arguments(self, event: ArgumentsDelta) -> None:
        """What comes after the arguments are whole and another block has begun can only be blanks."""
        block = self._open
        if block.part != event.part or block.kind != "tool" or not event.text:
            return
        if block.custom:
            self._out.append(block.head + encode(encode(event.text)[1:-1].decode()) + _DELTA_END)
            return
        text = block.mender.feed(event.text)
        if text:
            block.json.append(text)
            block.length += len(text)
            self._out.append(block.head + encode(text) + _DELTA_END)

    def _state(self, event: StateCame) -> None:
        if not self._carries:
            return
        part, state = event.part, event.state
        call = self._calls.get(part)
        if call is not None:
            self._aside(_redacted(states.of_call(ToolCall(id=call.id, name=call.name), state)))
        elif part in self._texts:
            self._aside(_redacted(states.of_text(state)))
        elif part in self._summaries and self._open.part != part:
            self._aside(_redacted(envelope.wrap(state)))
        else:
            self._hide(part)
            self._open.state = state

    def _aside(self, block: bytes) -> None:
        """Now where nothing is open, else after what is."""
        if self._open.kind:
            self._open.after.append(block)
        else:
            self._alone(block)

    def _whole(self, event: PartCame) -> None:
        self._close()
        whole = event.whole
        if isinstance(whole, Text):
            citations = None if whole.citations is None else own_citations(whole.citations)
            cited = b',"citations":[]' if citations else b""
            self._start("text", event.part, b'{"type":"text","text":""' + cited + b"}", _TEXT)
            self._texts.add(event.part)
            for citation in citations or ():
                self._out.append(_DELTA_HEAD % (self._next, _CITATION) + bytes(citation) + _DELTA_END)
            if whole.text:
                self._out.append(self._open.head + encode(whole.text) + _DELTA_END)
        elif not isinstance(whole, Media) and whole.protocol == PROTOCOL:
            self._alone(bytes(whole.raw))

    def _part_ended(self, event: PartEnded) -> None:
        if self._open.part == event.part:
            self._open.ended = True
            if self._open.kind in ("tool", "thinking", "hidden"):
                self._close()


def _redacted(data: str) -> bytes:
    return encode({"type": "redacted_thinking", "data": data})
