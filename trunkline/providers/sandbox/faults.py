"""The faults that `faulty` has before it answers: an error status, as often as it is told."""

from __future__ import annotations

import hashlib

from trunkline import clock
from trunkline.providers.sandbox.directives import Directives

REMEMBERED_S = 60.0
_MOST_COUNTS = 10_000


class FaultCounts:
    """How often each message has failed, in this process; forgotten 60 s after it was last sent."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[bytes, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def fails(self, told: Directives, account: bytes, message: str) -> bool:
        """Whether this message of this account fails now, which counts it."""
        if told.status is None:
            return False
        if told.times is None:
            return True
        name = hashlib.blake2b(message.encode(), key=hashlib.sha256(account).digest(), digest_size=16).digest()
        now = clock.monotonic_s()
        count, last = self._counts.pop(name, (0, now))
        if now - last >= REMEMBERED_S:
            count = 0
        count = min(count + 1, told.times + 1)
        self._counts[name] = (count, now)
        self._forget(now)
        return count <= told.times

    def _forget(self, now: float) -> None:
        """The table is in the order of last use, so what is to be forgotten stands at its head."""
        while self._counts:
            oldest = next(iter(self._counts))
            if len(self._counts) <= _MOST_COUNTS and now - self._counts[oldest][1] < REMEMBERED_S:
                return
            del self._counts[oldest]
