"""The relay of one streamed answer: read what has come, write it at once, fill the silences.

A `Delivery` is the caller's side and lives as long as the call: over every attempt, from before the first request to a
provider. It holds the headers back until the first event, so that a failure can still become a status or another
attempt, but never so long that the caller sees 15 s of nothing. `relay` is one attempt's answer into it.

A stream has one timer, armed anew only when it fires, and no task but the rare one that writes into a silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Annotated, Protocol, Self

import msgspec
from msgspec import Meta

from trunkline import clock
from trunkline.errors import StreamCut, UpstreamError
from trunkline.providers.transport import UpstreamResponse
from trunkline.wire import sse
from trunkline.wire.usage import Usage

MAX_DRAIN_BYTES = 65_536


class RelayOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the relay waits for what."""

    keep_alive_s: Annotated[
        float, Meta(gt=0, description="A comment goes out after this much silence, so that no gap reaches 15 s.")
    ] = 14.5
    held_finish_s: Annotated[
        float, Meta(gt=0, description="The longest a finish chunk waits for the usage it is to carry.")
    ] = 2.0
    drain_s: Annotated[
        float,
        Meta(gt=0, description="For a provider to end its answer after its last event; then the connection goes."),
    ] = 0.25


class Caller(Protocol):
    """Where a stream goes."""

    async def start(self) -> None:
        """Status line and headers go out."""
        ...

    async def write(self, data: bytes) -> None:
        """Whole events, in one write. Waits while the client reads slowly. Raises ClientGone."""
        ...


class EventStream(Protocol):
    """The protocol's part, pure: `wire.openai_chat_stream.ChatStream` and its like."""

    done: bool
    holds: int
    unsent: bytes

    @property
    def seen_tokens(self) -> int:
        """What has come of the answer, about."""
        ...

    @property
    def usage(self) -> Usage | None: ...
    @property
    def finished(self) -> bool: ...
    def feed(self, data: bytes) -> bytes: ...
    def end(self) -> bytes: ...
    def release(self) -> bytes: ...


class Bound(Protocol):
    """How long an answer may get: `most_tokens`, until more is granted."""

    most_tokens: int

    async def extend(self) -> None:
        """More of it is granted, or this raises what ends the answer."""
        ...


class Delivery:
    """One streamed answer on its way to the caller. A context manager: the silence is counted from its entry.

    `before_start` is awaited before the headers go out; what it raises ends the call.
    `event_out`: the first event has gone, so there is no other attempt any more. Headers and comments do not count.
    `first_event_at` is clock.monotonic_s, 0.0 before.
    """

    __slots__ = (
        "_aside",
        "_busy",
        "_caller",
        "_failure",
        "_held",
        "_held_until",
        "_loop",
        "_options",
        "_quiet_since",
        "_response",
        "_timer",
        "before_start",
        "event_out",
        "first_event_at",
        "started",
    )

    def __init__(self, caller: Caller, options: RelayOptions | None = None) -> None:
        self._caller = caller
        self._options = options or RelayOptions()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._quiet_since = 0.0
        self._held: EventStream | None = None
        self._held_until = 0.0
        self._busy = False
        self._aside: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._response: UpstreamResponse | None = None
        self.before_start: Callable[[], Awaitable[None]] | None = None
        self.started = False
        self.event_out = False
        self.first_event_at = 0.0

    def __enter__(self) -> Self:
        self._quiet_since = self._loop.time()
        self._arm()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._aside is not None:
            self._aside.cancel()

    @property
    def options(self) -> RelayOptions:
        return self._options

    def listen(self, response: UpstreamResponse | None) -> None:
        """From now on a caller who turns out to be gone ends the wait for this answer."""
        self._response = response
        self._held = None

    async def send(self, events: bytes) -> None:
        """Whole events, in one write, after the headers. Raises what a write into the silence before met."""
        if self._aside is not None:
            await self._aside
        if self._failure is not None:
            raise self._failure
        self._busy = True
        try:
            await self._begin()
            await self._caller.write(events)
        finally:
            self._busy = False
        self._quiet_since = self._loop.time()

    def hold(self, stream: EventStream) -> None:
        """The stream holds a finish chunk back: release it when its time has come."""
        self._held = stream
        self._held_until = self._loop.time() + self._options.held_finish_s
        self._arm()

    async def _begin(self) -> None:
        if not self.event_out:
            # Before the headers, which tell who answers once there can be no other attempt.
            self.event_out = True
            self.first_event_at = clock.monotonic_s()
        await self._start()

    async def _start(self) -> None:
        if not self.started:
            self.started = True
            if self.before_start is not None:
                await self.before_start()
            await self._caller.start()

    def _arm(self) -> None:
        due = self._quiet_since + self._options.keep_alive_s
        if self._held is not None:
            due = min(due, self._held_until)
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        if self._busy or self._aside is not None:
            # The client is slow to take what it was given. Nothing is lost by looking again later.
            self._timer = self._loop.call_at(now + self._options.held_finish_s, self._tick)
            return
        data = b""
        if self._held is not None and now >= self._held_until:
            held, self._held = self._held, None
            data = held.release()
        if not data and now >= self._quiet_since + self._options.keep_alive_s:
            data = sse.KEEP_ALIVE
        if data:
            self._aside = self._loop.create_task(self._write_aside(data))
        else:
            self._arm()

    async def _write_aside(self, data: bytes) -> None:
        """Fills a silence. The relay meanwhile waits for the provider; a failure is brought to it there."""
        try:
            await (self._start() if data is sse.KEEP_ALIVE else self._begin())
            await self._caller.write(data)
        except Exception as error:  # Whatever it is, it ends the call, and the relay raises it.
            self._failure = error
            if self._response is not None:
                self._response.cancel(error)
        self._quiet_since = self._loop.time()
        self._aside = None
        self._arm()


async def relay(
    response: UpstreamResponse,
    stream: EventStream,
    caller: Caller | Delivery,
    before_end: Callable[[], Awaitable[None]] | None = None,
    bound: Bound | None = None,
) -> None:
    """The whole of a streamed answer. Returns when its end, `[DONE]` included, has been written; `before_end` has been
    awaited then, with nothing of the end out. What is longer than its `bound` ends with what that raises.

    Raises UpstreamError when the provider failed: with nothing sent while `Delivery.event_out` is false; else whatever
    could still be sent has been, and the protocol's error event is to follow. Raises ClientGone. In every case the
    response is closed, which cancels the provider when it had not ended.
    """
    if not isinstance(caller, Delivery):
        with Delivery(caller) as delivery:
            await relay(response, stream, delivery, before_end, bound)
        return
    caller.listen(response)
    try:
        await _relay(response, stream, caller, before_end, bound)
    except UpstreamError:
        if caller.event_out and stream.unsent:
            await caller.send(stream.unsent)
        raise
    finally:
        caller.listen(None)
        response.close()


async def _relay(
    response: UpstreamResponse,
    stream: EventStream,
    delivery: Delivery,
    before_end: Callable[[], Awaitable[None]] | None,
    bound: Bound | None,
) -> None:
    holds = 0
    while not stream.done:
        try:
            data = await response.chunk()
        except UpstreamError:
            if not stream.finished:
                raise
            # All that mattered has come; only the provider's goodbye is missing.
            data = b""
        ended = not data
        events = stream.end() if ended else stream.feed(data)
        if bound is not None and stream.seen_tokens > bound.most_tokens and not ended:
            await bound.extend()
        data = b""  # while a slow client keeps us waiting, what it is to get is held once, not twice
        if before_end is not None and (ended or stream.done):
            await before_end()
        if events:
            await delivery.send(events)
        if stream.holds != holds and not stream.done:
            holds = stream.holds
            delivery.hold(stream)
        if ended:
            return
    await _drain(response, delivery.options.drain_s)


async def _drain(response: UpstreamResponse, limit_s: float) -> None:
    """Reads to the end of a body that has said all it had to, so that its connection can be used again."""
    timer = asyncio.get_running_loop().call_later(limit_s, response.cancel, StreamCut("no end after the last event"))
    drained = 0
    try:
        while (data := await response.chunk()) and drained < MAX_DRAIN_BYTES:
            drained += len(data)
    except UpstreamError:
        pass  # the caller has the whole answer
    finally:
        timer.cancel()
