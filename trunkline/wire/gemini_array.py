"""A stream for callers of `streamGenerateContent` without `alt=sse`: one JSON array, sent item by item.

What is written for such a caller are events first, like any other stream's; here they become the array's items. So
whatever writes events, errors and comments included, need not know of it.
https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

from __future__ import annotations

from typing import Final

CONTENT_TYPE: Final = b"application/json; charset=UTF-8"


class EventsAsArray:
    """One answer's. `write` takes whole events of one data line each, as everything here writes them."""

    __slots__ = ("_before",)

    def __init__(self) -> None:
        self._before = b"["

    def write(self, events: bytes) -> bytes:
        """The items; for a comment, which keeps a connection alive, a line end: JSON allows it between items."""
        pieces: list[bytes] = []
        for event in events.split(b"\n\n"):
            if event.startswith(b"data: "):
                pieces.append(self._before + event[6:])
                self._before = b",\r\n"
            elif event:
                pieces.append(b"\n")
        return b"".join(pieces)

    def end(self) -> bytes:
        """After the last event, or the one that told of an error."""
        return b"]" if self._before != b"[" else b"[]"
