"""The stream of a message on pass-through: checked event by event, relayed byte for byte.

An event goes on as it came, its `event:` line included; line ends become LF. What is done to it beyond that:

no `event:` line     it gets one, of its data's type: Anthropic's SDKs skip an event without
message_start        names another model where the caller is to see another name
message_delta        with a price, the last one tells the usage, cost included, and waits until it must be the last
before message_start pings and comments are not sent, so that another provider can still answer
end                  `message_stop` is written where the provider left it out after a stop reason

Pure and synchronous: pipeline/relay.py keeps the time.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw

from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed
from trunkline.wire import billing, codec, sse
from trunkline.wire.anthropic_messages_answer import StreamedUsage, delta_fields
from trunkline.wire.codec import encode
from trunkline.wire.provider_errors import ErrorFacts, error_in, read_error
from trunkline.wire.seen import Seen
from trunkline.wire.usage import Price, Usage

_STOP = sse.named_event(b"message_stop", b'{"type":"message_stop"}')
_DELTA = b'{"type":"message_delta","delta":{"stop_reason":null,"stop_sequence":null}}'
_MARK = b"\xef\xbb\xbf"


class _Delta(msgspec.Struct, gc=False):
    """What a block or the message gets; the arguments of a call are `partial_json`."""

    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    stop_reason: str | None = None

    @property
    def said(self) -> str:
        return self.text or self.thinking or self.partial_json


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    message: Raw = Raw()
    delta: _Delta | None = None
    usage: Raw = Raw()
    error: Raw = Raw()


class _OddEvent(msgspec.Struct, gc=False):
    """One whose delta is not as this protocol has it."""

    type: str = ""
    message: Raw = Raw()
    usage: Raw = Raw()
    error: Raw = Raw()


class _Message(msgspec.Struct, gc=False):
    id: Raw = Raw()
    usage: Raw = Raw()


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_odd_event = msgspec.json.Decoder(_OddEvent).decode
_decode_message = msgspec.json.Decoder(_Message).decode


def _reported(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed("The provider reported an error in the middle of its answer.", status=facts.status)


class Blocks:
    """Bytes in any pieces to whole events, each with all its lines, LF between them and no blank line at its end.

    `sse.Splitter` for where names matter. Holds at most one unfinished event. Raises UpstreamFailed when one is longer
    than `max_event_bytes`.
    """

    __slots__ = ("_at_start", "_max_event_bytes", "_skip_line_feed", "_waiting", "_waiting_bytes")

    def __init__(self, *, max_event_bytes: int = sse.MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._at_start = True
        self._skip_line_feed = False

    def feed(self, data: bytes) -> list[bytes]:
        """Every event that `data` completes."""
        if self._skip_line_feed or b"\r" in data:
            data = self._line_feeds_only(data)
        if self._at_start and data:
            data = self._without_mark(data)
        if self._waiting:
            if b"\n\n" not in self._waiting[-1][-1:] + data:
                self._wait(data)
                return []
            data = b"".join((*self._waiting, data))
            self._waiting.clear()
            self._waiting_bytes = 0
        complete, blank_line, rest = data.rpartition(b"\n\n")
        if rest:
            self._wait(rest)
        if not blank_line:
            return []
        blocks = [block.strip(b"\n") for block in complete.split(b"\n\n")]
        if max(map(len, blocks)) > self._max_event_bytes:
            raise self._too_long()
        return [block for block in blocks if block]

    def rest(self) -> bytes:
        """What has come of an event that no blank line has ended."""
        return b"".join(self._waiting)

    def _without_mark(self, data: bytes) -> bytes:
        """A byte order mark may come in pieces; until it has come or cannot come any more, everything waits."""
        whole = b"".join((*self._waiting, data))
        if _MARK.startswith(whole):
            self._waiting = [whole]
            return b""
        self._waiting.clear()
        self._at_start = False
        return whole.removeprefix(_MARK)

    def _wait(self, piece: bytes) -> None:
        self._waiting_bytes += len(piece)
        if self._waiting_bytes > self._max_event_bytes:
            raise self._too_long()
        if piece:
            self._waiting.append(piece)

    def _too_long(self) -> UpstreamFailed:
        return UpstreamFailed(f"The provider sent an event of more than {self._max_event_bytes:,} bytes.")

    def _line_feeds_only(self, data: bytes) -> bytes:
        """CR and CRLF become LF. A CR at the end ends its line now; an LF that follows it belongs to it."""
        if self._skip_line_feed and data:
            data = data.removeprefix(b"\n")
            self._skip_line_feed = False
        if data.endswith(b"\r"):
            self._skip_line_feed = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


class MessagesStream:
    """One answer's editor: `feed` what arrives, write what it returns, then `end`.

    model   the name to show instead of the provider's
    error   makes the error for what the provider says went wrong
    price   makes the usage to show

    `feed` and `end` raise StreamCut, UpstreamFailed or what `error` made; `unsent` is then what may still be written.
    Only with a price something is held back: when `holds` has risen, `release` is due later. `seen_tokens` is an
    estimate of what has come of the answer (see Seen).
    """

    __slots__ = (
        "_blocks",
        "_error",
        "_holding",
        "_last_delta",
        "_model",
        "_out",
        "_price",
        "_settled",
        "_stopped",
        "_text",
        "_usage",
        "began",
        "done",
        "finish_reason",
        "holds",
        "response_id",
        "unsent",
    )

    def __init__(
        self,
        *,
        model: str | None = None,
        error: Callable[[ErrorFacts], UpstreamError] = _reported,
        price: Price | None = None,
    ) -> None:
        self._model = model
        self._error = error
        self._price = price
        self._blocks = Blocks()
        self._usage = StreamedUsage()
        self._text = Seen()
        self._last_delta: tuple[bytes, bytes, Raw] = (b"", _DELTA, Raw())
        self._holding = False
        self._settled = False
        self._out: list[bytes] = []
        self._stopped = False
        self.response_id: str | None = None
        self.finish_reason: str | None = None
        self.began = False
        self.done = False
        self.holds = 0
        self.unsent = b""

    @property
    def usage(self) -> Usage | None:
        """What the provider has counted so far; when the answer has stopped, what it counted in all."""
        return self._usage.final if self._stopped else self._usage.total

    @property
    def seen_tokens(self) -> int:
        return self._text.tokens

    @property
    def finished(self) -> bool:
        """The stop reason has come: an end now is a good end."""
        return self._stopped

    def feed(self, data: bytes) -> bytes:
        """The events to write now, in one write; b"" when there are none. After `message_stop` everything is
        ignored."""
        if self.done:
            return b""
        return self._checked(self._relay, data)

    def end(self) -> bytes:
        """The upstream's body has ended: the last of what is to be written."""
        if self.done:
            return b""
        return self._checked(self._relay_end)

    def release(self) -> bytes:
        """The end of the message, if it is still held: what shows that it is the end has not come in time."""
        if self._holding and self._stopped and self._usage.final is not None:
            self._settle()
        self._send_held()
        return self._take_out()

    def _checked(self, step: Callable[..., None], *given: bytes) -> bytes:
        try:
            step(*given)
        except UpstreamError:
            self._send_held()
            self.unsent = self._take_out()
            raise
        return self._take_out()

    def _relay(self, data: bytes) -> None:
        for block in self._blocks.feed(data):
            self._block(block)
            if self.done:
                return

    def _relay_end(self) -> None:
        self._last(self._blocks.rest().strip(b"\n"))
        if not self.done:
            self._close()

    def _take_out(self) -> bytes:
        out = self._out
        if not out:
            return b""
        self.began = True
        self._out = []
        return b"".join(out)

    def _last(self, rest: bytes) -> None:
        """An event that no blank line ended; one that was cut in the middle is not an event."""
        if not self.began and not self._out and rest.lstrip().startswith(b"{"):
            facts = read_error(rest)
            raise self._error(facts) if facts.message else UpstreamFailed("The provider sent JSON, not a stream.")
        data, _ = _parts(rest)
        if data is not None and codec.answer_fields(data) is not None:
            self._block(rest)

    def _close(self) -> None:
        if not self._stopped:
            raise StreamCut("The provider's answer broke off before it was finished.")
        self._settle()
        self._out.append(_STOP)
        self.done = True

    def _block(self, block: bytes) -> None:
        data, named = _parts(block)
        if data is None or not data.strip():
            return
        try:
            if not data.isascii():
                data.decode()
            event = _decoded(data)
        except codec.UNREADABLE:
            raise self._unreadable(data) from None
        kind = event.type
        if not named:
            if "\n" in kind or "\r" in kind:
                raise UpstreamFailed("The provider sent an event whose type is no name.")
            block = b"event: " + kind.encode() + b"\n" + block
        if kind == "content_block_delta":
            if event.delta is not None:
                self._text.add(event.delta.said)
        else:
            block = self._other(kind, event, data, block)
            if not block:
                return
        self._out.append(block + b"\n\n")

    def _unreadable(self, data: bytes) -> UpstreamError:
        facts = error_in(codec.answer_fields(data) or {})
        return (
            self._error(facts)
            if facts is not None
            else UpstreamFailed("The provider sent an event that is not a JSON object in UTF-8.")
        )

    def _other(self, kind: str, event: _Event, data: bytes, block: bytes) -> bytes:
        """Everything but a delta: what is to be written of it, b"" for nothing."""
        if kind == "message_start":
            return self._start(event, data, block)
        if kind == "message_delta":
            return self._end_of_message(event, data, block)
        if kind == "message_stop":
            self._stopped = self.done = True
            self._settle()
        elif kind == "error" or event.error or not kind:
            raise self._unreadable(data)
        elif kind == "ping" and not (self.began or self._out):
            return b""
        return block

    def _start(self, event: _Event, data: bytes, block: bytes) -> bytes:
        try:
            message = _decode_message(event.message)
        except codec.UNREADABLE:
            raise UpstreamFailed("The provider sent a message_start without a message.") from None
        self.response_id = codec.text_of(message.id)
        if message.usage:
            self._usage.start(message.usage)
        if self._model is None:
            return block
        whole, inner = codec.answer_fields(data), codec.answer_fields(bytes(event.message))
        assert whole is not None, "both were decoded before"
        assert inner is not None, "both were decoded before"
        inner["model"] = Raw(encode(self._model))
        whole["message"] = Raw(encode(inner))
        return b"event: message_start\ndata: " + encode(whole)

    def _end_of_message(self, event: _Event, data: bytes, block: bytes) -> bytes:
        """There may be several; the last tells what holds."""
        if event.usage and not self._settled:
            self._usage.delta(event.usage)
        if event.delta is not None and event.delta.stop_reason:
            self._stopped = True
            self.finish_reason = event.delta.stop_reason
        if self._price is None or self._settled:
            return block
        self._send_held()
        self._last_delta = block, data.strip(), event.usage
        self._holding = True
        self.holds += 1
        return b""

    def _send_held(self) -> None:
        if self._holding:
            self._holding = False
            self._out.append(self._last_delta[0] + b"\n\n")

    def _settle(self) -> None:
        """Nothing more will be told of the usage: the end of the message goes out with what it cost."""
        if self._price is None or self._settled:
            return
        self._settled = True
        told = self._usage.final
        usage = self._price(told)
        _, data, said = self._last_delta
        ours = None if said and usage.same_counts(told) else encode(delta_fields(usage))
        self._holding = False
        self._out.append(sse.named_event(b"message_delta", billing.with_usage(data, b"usage", said, usage, ours)))


def _decoded(data: bytes) -> _Event:
    try:
        return _decode_event(data)
    except codec.UNREADABLE:
        odd = _decode_odd_event(data)
        return _Event(odd.type, odd.message, None, odd.usage, odd.error)


def _parts(block: bytes) -> tuple[bytes | None, bool]:
    """An event's data and whether it has a name. Data in several lines is one JSON text with blanks between them."""
    first, line_end, rest = block.partition(b"\n")
    if first.startswith(b"event:") and rest.startswith(b"data:") and b"\n" not in rest:
        return rest[5:], True
    lines = block.split(b"\n") if line_end else [block]
    data = [line[5:] for line in lines if line.startswith(b"data:")]
    named = any(line.startswith(b"event:") and line[6:].strip() for line in lines)
    return (b" ".join(data) if data else None), named
