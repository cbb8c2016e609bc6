"""Server-sent events: bytes in any pieces to the data of events, and back.

The grammar is the HTML standard's (section 9.2.6): lines end in LF, CR or CRLF, a blank line ends an event, a colon
begins a comment. Event names are not kept: every protocol that uses them repeats the name inside the data.
"""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.errors import UpstreamFailed

MAX_EVENT_BYTES = 4 * 1024 * 1024
KEEP_ALIVE = b": keep-alive\n\n"
_MARK = b"\xef\xbb\xbf"


def frame(payloads: Iterable[bytes]) -> bytes:
    """Events of one data line each, to be written at once. A payload is JSON; there is at least one."""
    return b"data: " + b"\n\ndata: ".join(map(on_one_line, payloads)) + b"\n\n"


def named_event(name: bytes, payload: bytes) -> bytes:
    return b"event: " + name + b"\ndata: " + on_one_line(payload) + b"\n\n"


def on_one_line(payload: bytes) -> bytes:
    """The same JSON. What a caller or a provider wrote may be part of it as it stands, over several lines; JSON has
    line breaks only where it may have blanks."""
    if b"\n" in payload or b"\r" in payload:
        return payload.replace(b"\r", b" ").replace(b"\n", b" ")
    return payload


class Splitter:
    """Gives each event's data as soon as its blank line is there. Holds at most one unfinished event.

    `joint` stands between the data lines of one event. The standard says LF; a reader of JSON may want a blank.
    Raises UpstreamFailed when one event is longer than `max_event_bytes`.
    """

    __slots__ = ("_at_start", "_joint", "_max_event_bytes", "_skip_line_feed", "_waiting", "_waiting_bytes")

    def __init__(self, *, joint: bytes = b"\n", max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._joint = joint
        self._max_event_bytes = max_event_bytes
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._at_start = True
        self._skip_line_feed = False

    def feed(self, data: bytes) -> list[bytes]:
        """The data of every event that `data` completes."""
        if self._skip_line_feed or b"\r" in data:
            data = self._line_feeds_only(data)
        if self._waiting:
            data = self._with_waiting(data)
        # The usual case: whole events of one line each.
        if data.startswith(b"data: ") and data.endswith(b"\n\n"):
            payloads = data[6:-2].split(b"\n\ndata: ")
            if data.count(b"\n") == 2 * len(payloads) and len(data) <= self._max_event_bytes:
                self._at_start = False
                return payloads
        complete, blank_line, rest = data.rpartition(b"\n\n")
        if rest:
            self._wait(rest)
        return self._events(complete) if blank_line else []

    def end(self) -> list[bytes]:
        """The data of a last event that no blank line ended."""
        rest = b"".join(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        return self._events(rest)

    def rest(self) -> bytes:
        """What has come of the unfinished event, with LF for every line end."""
        return b"".join(self._waiting)

    def _with_waiting(self, data: bytes) -> bytes:
        """The unfinished event with what follows; nothing while it stays unfinished, so that no byte is copied twice
        however small the pieces are."""
        last = self._waiting[-1]
        if b"\n\n" not in last[-1:] + data:
            self._wait(data)
            return b""
        whole = b"".join((*self._waiting, data))
        self._waiting.clear()
        self._waiting_bytes = 0
        return whole

    def _wait(self, piece: bytes) -> None:
        if not piece:
            return
        self._waiting_bytes += len(piece)
        if self._waiting_bytes > self._max_event_bytes:
            raise UpstreamFailed(f"The provider sent an event of more than {self._max_event_bytes:,} bytes.")
        self._waiting.append(piece)

    def _line_feeds_only(self, data: bytes) -> bytes:
        """CR and CRLF become LF. A CR at the end ends its line now; an LF that follows it belongs to it."""
        if self._skip_line_feed and data.startswith(b"\n"):
            data = data[1:]
            self._skip_line_feed = False
        elif data:
            self._skip_line_feed = False
        if data.endswith(b"\r"):
            self._skip_line_feed = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _events(self, text: bytes) -> list[bytes]:
        if self._at_start:
            self._at_start = False
            text = text.removeprefix(_MARK)
        found: list[bytes] = []
        for block in text.split(b"\n\n"):
            if len(block) > self._max_event_bytes:
                raise UpstreamFailed(f"The provider sent an event of more than {self._max_event_bytes:,} bytes.")
            lines = [
                line[5:].removeprefix(b" ")
                for line in block.split(b"\n")
                if line.startswith(b"data:") or line == b"data"
            ]
            if lines:
                found.append(self._joint.join(lines))
        return found
