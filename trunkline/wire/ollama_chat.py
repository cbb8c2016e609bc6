"""Ollama's own chat: where it is, the lines of its stream, its usage.

Shapes: https://docs.ollama.com/api/chat and ChatRequest, ChatResponse and Metrics in
https://github.com/ollama/ollama/blob/main/api/types.go
"""

from __future__ import annotations

from typing import Final

from trunkline.errors import UpstreamFailed
from trunkline.wire.usage import MAX_COUNT, Usage

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


def usage(prompt_eval_count: int | None, eval_count: int | None, cached: int | None) -> Usage | None:
    """Ollama leaves out a count of 0. `prompt_eval_count` includes what came from its cache. None when neither count is
    there, or one cannot be believed."""
    if prompt_eval_count is None and eval_count is None:
        return None
    whole_input, output = prompt_eval_count or 0, eval_count or 0
    if not (0 <= whole_input <= MAX_COUNT and 0 <= output <= MAX_COUNT):
        return None
    return Usage(
        input_tokens=whole_input,
        output_tokens=output,
        cached_input_tokens=min(max(cached or 0, 0), whole_input),
    )
