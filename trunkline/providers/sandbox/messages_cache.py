"""Prompt caching as Anthropic counts it: what was marked with `cache_control` is written once, then read.

Source: https://platform.claude.com/docs/en/build-with-claude/prompt-caching. Unlike there, no prefix is too short.
"""

from __future__ import annotations

import hashlib
from itertools import accumulate

import msgspec

from trunkline import clock

FIVE_MINUTES_S = 300.0
HOUR_S = 3_600.0
_LOOKED_BACK = 20
_MOST_PREFIXES = 2_000


class Segment(msgspec.Struct, frozen=True):
    """A tool, a block of the system prompt or of a message. `ttl` is that of the breakpoint behind it, if there is one.

    `content` is what must be the same again.
    """

    content: bytes
    tokens: int
    ttl: str | None = None


class CacheUse(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of the prompt that were read from the cache and written to it."""

    read: int = 0
    written_5m: int = 0
    written_1h: int = 0

    @property
    def written(self) -> int:
        return self.written_5m + self.written_1h


class PrefixCache:
    """Prefixes of prompts that were sent lately, for one worker. Reading one keeps it for as long again."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[bytes, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def use(self, owner: bytes, segments: list[Segment]) -> CacheUse:
        """Reads the longest prefix that is kept and ends at a breakpoint or up to 20 segments before one; writes the
        others up to the last breakpoint. `owner` tells apart who shares nothing."""
        breakpoints = [at for at, segment in enumerate(segments) if segment.ttl]
        if not breakpoints:
            return CacheUse()
        now = clock.monotonic_s()
        digests = _digests(owner, segments)
        sizes = list(accumulate(segment.tokens for segment in segments))
        hit = self._longest(breakpoints, digests, now)
        read = sizes[hit] if hit is not None else 0
        if hit is not None:
            self._keep(digests[hit], self._kept[digests[hit]][0], now)
        written = {"5m": 0, "1h": 0}
        before = read
        for at in breakpoints:
            if hit is None or at > hit:
                ttl = segments[at].ttl or "5m"
                written[ttl] += sizes[at] - before
                before = sizes[at]
                self._keep(digests[at], HOUR_S if ttl == "1h" else FIVE_MINUTES_S, now)
        return CacheUse(read=read, written_5m=written["5m"], written_1h=written["1h"])

    def _longest(self, breakpoints: list[int], digests: list[bytes], now: float) -> int | None:
        for end in reversed(breakpoints):
            for at in range(end, max(end - _LOOKED_BACK, 0) - 1, -1):
                if self._kept.get(digests[at], (0.0, 0.0))[1] > now:
                    return at
        return None

    def _keep(self, digest: bytes, seconds: float, now: float) -> None:
        """The table is in the order of last use, so what is to be forgotten stands at its head."""
        self._kept.pop(digest, None)
        self._kept[digest] = (seconds, now + seconds)
        while len(self._kept) > _MOST_PREFIXES:
            del self._kept[next(iter(self._kept))]


def _digests(owner: bytes, segments: list[Segment]) -> list[bytes]:
    """Of each segment with all before it."""
    running = hashlib.blake2b(hashlib.sha256(owner).digest(), digest_size=16)
    found = []
    for segment in segments:
        running.update(b"%d " % len(segment.content))
        running.update(segment.content)
        found.append(running.digest())
    return found
