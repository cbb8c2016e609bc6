"""Ollama's own chat: where it is, the lines of its stream, its usage.

Shapes: https://docs.ollama.com/api/chat and ChatRequest, ChatResponse and Metrics in
https://github.com/ollama/ollama/blob/main/api/types.go
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from trunkline.errors import UpstreamFailed
from trunkline.wire import codec
from trunkline.wire.usage import Count, Usage, believed

TARGET: Final = b"/api/chat"
MAX_LINE_BYTES = 16 * 1024 * 1024


class Lines:
    """Newline-delimited JSON: gives each line as soon as its end is there. Holds at most one unfinished line.

    Raises UpstreamFailed when a line is longer than `max_line_bytes`.
    """

    __slots__ = ("_max_line_bytes", "_waiting", "_waiting_bytes")

    def __init__(self, *, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_line_bytes = max_line_bytes
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Every line that `data` completes, blank ones left out."""
        complete, end, rest = data.rpartition(b"\n")
        if not end:
            self._wait(data)
            return []
        if self._waiting:
            complete = b"".join((*self._waiting, complete))
            self._waiting = []
            self._waiting_bytes = 0
        lines = complete.split(b"\n")
        if len(complete) > self._max_line_bytes and max(map(len, lines)) > self._max_line_bytes:
            raise self._too_long()
        if rest:
            self._wait(rest)
        return [line for line in lines if line and not line.isspace()]

    def end(self) -> bytes:
        """A last line that nothing ended; b"" when there is none."""
        rest = b"".join(self._waiting).strip()
        self._waiting = []
        self._waiting_bytes = 0
        return rest

    def _wait(self, piece: bytes) -> None:
        if not piece:
            return
        self._waiting.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes > self._max_line_bytes:
            raise self._too_long()

    def _too_long(self) -> UpstreamFailed:
        return UpstreamFailed(f"The provider sent a line of more than {self._max_line_bytes:,} bytes.")


_decode_count = msgspec.json.Decoder(Count).decode


def usage(prompt_eval_count: Raw, eval_count: Raw, cached: Raw) -> Usage | None:
    """Ollama leaves out a count of 0. `prompt_eval_count` includes what came from its cache. None when neither count is
    there, or one cannot be believed."""
    if not prompt_eval_count and not eval_count:
        return None
    try:
        counts = [_decode_count(raw) if raw else 0 for raw in (prompt_eval_count, eval_count, cached)]
    except codec.UNREADABLE:
        return None
    return believed(counts[0], counts[1], cached=counts[2])
