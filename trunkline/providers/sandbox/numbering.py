"""Ids of answers, calls and requests: random for each process, then counted."""

from __future__ import annotations

from itertools import count

from trunkline import ids


class _Numbers:
    def __init__(self) -> None:
        self._prefix = ids.random_base62(12)
        self._next = count(1)

    def new(self, prefix: str) -> str:
        return f"{prefix}{self._prefix}{next(self._next):08x}"


new_id = _Numbers().new
