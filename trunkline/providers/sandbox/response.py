"""An answer as it comes off a connection: bytes, silences, an end that may come too early."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import msgspec

from trunkline.errors import StreamCut, UpstreamFailed, UpstreamTimeout
from trunkline.providers.transport import Headers, Timers

EARLY_S = 0.001
"""A loop counts in milliseconds, so its timers may fire so much before their time."""
_JOINED_BYTES = 8_192


class Wait(msgspec.Struct, frozen=True):
    """Nothing comes for `seconds`."""

    seconds: float


class Cut(msgspec.Struct, frozen=True):
    """The connection ends here."""


Step = bytes | Wait | Cut


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All of an answer. `first_s` passes before status and headers; `steps` are made as they are read."""

    status: int = 200
    headers: Headers
    first_s: float = 0.0
    steps: Iterator[Step]


class SandboxResponse:
    """Fulfils UpstreamResponse. It holds no task: what is not read is not made, and `close` leaves nothing behind.

    Silences are counted from when the answer began, as a provider does that goes on writing while nobody reads.
    """

    __slots__ = ("_began", "_deadline", "_due", "_ended", "_failure", "_on_end", "_plan", "_timers", "_waiter")

    def __init__(self, plan: Plan, timers: Timers, on_end: Callable[[], None]) -> None:
        self._plan = plan
        self._timers = timers
        self._on_end = on_end
        self._due = asyncio.get_running_loop().time()
        self._deadline = self._due + timers.total_s
        self._began = False
        self._ended = False
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def status(self) -> int:
        return self._plan.status

    @property
    def headers(self) -> Headers:
        return self._plan.headers

    async def begin(self, limit_s: float | None) -> None:
        """Waits for status and headers, at most `limit_s`."""
        if self._plan.first_s:
            self._due += self._plan.first_s
            await self._wait(limit_s)

    async def chunk(self) -> bytes:
        if self._failure is not None:
            raise self._failure
        joined: list[bytes] = []
        size = 0
        while not self._ended and size < _JOINED_BYTES:
            if not self._is_due():
                if joined:
                    break
                await self._wait(self._timers.idle_s)
            step = next(self._plan.steps, None)
            if isinstance(step, bytes):
                joined.append(step)
                size += len(step)
            elif isinstance(step, Wait):
                self._due += step.seconds
            elif step is None:
                self._end()
            else:
                self._began = self._began or size > 0
                cut = self._fail(self._cut())
                if not joined:
                    raise cut
        self._began = self._began or size > 0
        return joined[0] if len(joined) == 1 else b"".join(joined)

    async def read(self, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while part := await self.chunk():
            parts.append(part)
            size += len(part)
            if size > limit:
                raise self._fail(UpstreamFailed(f"the answer of the sandbox is over {limit} bytes"))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        if not self._ended:
            self.cancel(StreamCut("the answer of the sandbox was given up"))

    def cancel(self, error: Exception) -> None:
        if self._ended:
            return
        self._fail(error)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def _is_due(self) -> bool:
        """Also where the total timer is looked at: an answer without silences has no other place for it."""
        now = asyncio.get_running_loop().time()
        if now >= self._deadline:
            raise self._fail(UpstreamTimeout(f"the sandbox did not end its answer in {self._timers.total_s:g} s"))
        return now + EARLY_S >= self._due

    async def _wait(self, limit_s: float | None) -> None:
        """Until the next step is due; UpstreamTimeout when a timer runs out first."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        silent_until = self._deadline if limit_s is None else min(now + limit_s, self._deadline)
        self._waiter = waiter = loop.create_future()
        timer = loop.call_at(min(self._due, silent_until), _wake, waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            timer.cancel()
            self._waiter = None
            if waiter.done() and not waiter.cancelled():
                waiter.exception()  # seen, even when this task was cancelled at the same moment
        if self._due > silent_until:
            silent = self._timers.total_s if silent_until == self._deadline else limit_s
            raise self._fail(UpstreamTimeout(f"the sandbox sent nothing in {silent:g} s"))

    def _cut(self) -> UpstreamFailed | StreamCut:
        if self._began:
            return StreamCut("the sandbox ended its connection inside the answer, as told")
        return UpstreamFailed("the sandbox ended its connection before the answer, as told")

    def _fail(self, error: Exception) -> Exception:
        self._failure = error
        self._end()
        return error

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._on_end()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
