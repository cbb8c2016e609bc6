"""Responses that run without their caller: a task of this process each, with a client of its own.

A run's events are kept in batches, so that any process can tell them; here they can be followed as they come. The last
one goes out when the response is kept, so whoever reads it finds the response. A process that stops fails what it still
runs; one that dies leaves it to the store, which fails what has been silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

import msgspec

from trunkline.errors import ClientGone, Defect, StoreUnavailable, TrunklineError, Unavailable
from trunkline.ids import AccountId
from trunkline.observe import logger
from trunkline.pipeline.call import Call, Client, Pipeline
from trunkline.pipeline.protocols import RESPONSES, Named
from trunkline.pipeline.responses import ResponseKeeper, ResponsePen
from trunkline.pipeline.ways import Asked
from trunkline.ports.responses import RUNNING, ResponseStatus
from trunkline.providers.transport import Headers
from trunkline.wire.openai_responses_stream import TERMINAL
from trunkline.wire.sse import KEEP_ALIVE

FLUSH_S: Final = 1.0
"""How often new events are kept."""
LOOK_S: Final = 5.0
"""How often a silent run looks whether it was cancelled by another process."""
SIGN_OF_LIFE_S: Final = 45.0
KEEP_ALIVE_S: Final = 14.5
LAST_TRIES: Final = 10
STOP_S: Final = 5.0
STOPPED: Final = "The gateway stopped before the response was complete."
_ENDS: Final = tuple(b"event: " + name.encode() + b"\n" for name in TERMINAL)

log = logger("background")


class Detached(msgspec.Struct):
    """Fulfils call.Client for a caller who does not wait: what he sent is kept, and who he was. `gone`: somebody
    cancelled the response."""

    asked_with: str
    sent: bytes
    protocol_headers: Headers
    tag: str | None
    address: str
    user_agent: str | None
    take: Callable[[bytes], None]
    path: Named | None = None
    gone: bool = False

    def credential(self) -> str:
        return self.asked_with

    async def body(self) -> bytes:
        return self.sent

    async def start(self) -> None:
        """Nobody waits for headers."""

    async def write(self, data: bytes) -> None:
        self.take(data)


class Run:
    """One response. Fulfils ways.Keeper for its call. `queued` is done when it is stored, or could not be."""

    def __init__(self, pipeline: Pipeline, keeper: ResponseKeeper, call: Call) -> None:
        self.queued: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.call = call
        self._pipeline = pipeline
        self._keeper = keeper
        self._made: ResponsePen | None = None
        self._pen: ResponsePen | None = None
        self._client: Detached | None = None
        self._task: asyncio.Task[None] | None = None
        self._calling = False
        self._ended = asyncio.Event()
        self._events: list[bytes] = []
        self._flushed = 0
        self._published = 0
        self._marked = False
        self._flushing = asyncio.Lock()
        self._followers: set[asyncio.Event] = set()

    @property
    def key(self) -> tuple[AccountId, str]:
        assert self._pen is not None, "it is queued"
        return self._pen.account_id, self._pen.identity.response_id

    def begin(self, client: Client, body: bytes) -> asyncio.Task[None]:
        self._client = Detached(
            asked_with=client.credential(),
            sent=body,
            protocol_headers=client.protocol_headers,
            tag=client.tag,
            address=client.address,
            user_agent=client.user_agent,
            take=self._take,
        )
        self.call.keeper = self
        self._task = asyncio.create_task(self._work(self._client))
        return self._task

    async def over(self) -> None:
        """Returns when it has ended."""
        await self._ended.wait()

    async def pen(self, asked: Asked) -> ResponsePen:
        self._made = await self._keeper.pen(asked)
        return self._made

    async def admitted(self) -> None:
        assert self._made is not None, "its pen is made first"
        response = self._made.queued()
        await self._made.put(response)
        self._pen = self._made
        self.queued.set_result(response)

    def cancel(self) -> None:
        """It was cancelled in the store: nobody wants the answer any more."""
        if self._client is not None:
            self._client.gone = True
        self.stop()

    def stop(self) -> None:
        """Ends the call. Unless it was cancelled, the response fails."""
        if self._calling and self._task is not None:
            self._calling = False
            self._task.cancel()

    async def follow(self, after: int) -> AsyncGenerator[bytes, None]:
        """Events with numbers above `after`, as they come, until the response has ended."""
        news = asyncio.Event()
        self._followers.add(news)
        try:
            place = after + 1
            while True:
                news.clear()
                if place < self._published:
                    found, place = self._events[place : self._published], self._published
                    yield b"".join(found)
                elif self._ended.is_set():
                    return
                else:
                    try:
                        async with asyncio.timeout(KEEP_ALIVE_S):
                            await news.wait()
                    except TimeoutError:
                        yield KEEP_ALIVE
        finally:
            self._followers.discard(news)

    def _take(self, data: bytes) -> None:
        """A stream's bytes: whole events, numbered from 0 without gaps, and comments."""
        self._events += [event + b"\n\n" for event in data.split(b"\n\n") if event.startswith(b"event: ")]
        self._publish(len(self._events) - self._is_complete)

    @property
    def _is_complete(self) -> bool:
        return bool(self._events) and self._events[-1].startswith(_ENDS)

    def _publish(self, count: int) -> None:
        if count > self._published:
            self._published = count
            self._tell()

    def _tell(self) -> None:
        for news in self._followers:
            news.set()

    async def _work(self, client: Detached) -> None:
        watch: asyncio.Task[None] | None = None
        try:
            self._calling = True
            watch = asyncio.create_task(self._watch())
            await self._call(client)
        finally:
            self._calling = False
            self._ended.set()
            self._tell()
            if watch is not None:
                watch.cancel()

    async def _call(self, client: Detached) -> None:
        try:
            try:
                await self._pipeline.run(self.call, client, RESPONSES)
            finally:
                self._calling = False
        except ClientGone:
            return
        except TrunklineError as error:
            if self._pen is None:
                self.queued.set_exception(error)
                return
            if isinstance(error, Defect):
                log.error("defect", call_id=self.call.id, exc_info=error.__cause__)  # noqa: TRY400 - the cause's trace
            await self._fail(self._pen, error.message, error.code)
        except asyncio.CancelledError:
            if self._pen is None:
                self.queued.cancel()
                raise
            await self._fail(self._pen, STOPPED, None)
        if self._pen is not None:
            await self._finish(self._pen)

    async def _fail(self, pen: ResponsePen, message: str, code: str | None) -> None:
        if not self._is_complete:
            self._take(await pen.failed("server_error", message, code))

    async def _finish(self, pen: ResponsePen) -> None:
        """The events first: where the status says that it has ended, all of them are there."""
        for _ in range(LAST_TRIES):
            try:
                await self._flush()
                if await pen.store():
                    self._publish(len(self._events))
                return
            except StoreUnavailable as error:
                log.warning("response_not_kept", response_id=self.key[1], reason=error.message)
                await asyncio.sleep(FLUSH_S)

    async def _watch(self) -> None:
        """Keeps what has come, and hears of a cancel elsewhere, as long as the call lasts."""
        loop = asyncio.get_running_loop()
        await asyncio.wait([self.queued])
        if self.queued.cancelled() or self.queued.exception() is not None:
            return
        looked_at = spoke_at = loop.time()
        while self._calling:
            await asyncio.sleep(FLUSH_S)
            now = loop.time()
            try:
                if not self._marked or self._flushed < len(self._events) or now - spoke_at >= SIGN_OF_LIFE_S:
                    await self._flush()
                    spoke_at = looked_at = now
                elif now - looked_at >= LOOK_S:
                    looked_at = now
                    self._heed(await self._keeper.responses.status(*self.key))
            except StoreUnavailable as error:
                log.warning("events_not_kept", response_id=self.key[1], reason=error.message)

    async def _flush(self) -> None:
        async with self._flushing:
            store = self._keeper.responses
            if not self._marked:
                await store.set_status(*self.key, "in_progress")
                self._marked = True
            first, events = self._flushed, self._events[self._flushed :]
            datas = [event.partition(b"\ndata: ")[2].rstrip(b"\n") for event in events]
            status = await store.append_events(*self.key, first, datas)
            self._flushed += len(events)
            self._heed(status)

    def _heed(self, status: ResponseStatus | None) -> None:
        """Whoever ended it, or deleted it, does not want it to go on."""
        if status not in RUNNING:
            self.cancel()


class Runs:
    """Those of this process. Keys, routes and settings are the pipeline's."""

    def __init__(self, pipeline: Pipeline, keeper: ResponseKeeper) -> None:
        self._pipeline = pipeline
        self._keeper = keeper
        self._tasks: dict[asyncio.Task[None], Run] = {}
        self._queued: dict[tuple[AccountId, str], Run] = {}

    async def begin(self, call: Call, client: Client, body: bytes) -> Run:
        """Returns when the response is queued; the client is not asked for anything later. Raises what refuses it."""
        most = self._keeper.options().background_at_once
        if len(self._tasks) >= most:
            raise Unavailable(
                f"This process runs {most:,} responses in the background already.",
                code="too_many_in_background",
                retry_after_s=5.0,
            )
        run = Run(self._pipeline, self._keeper, call)
        task = run.begin(client, body)
        self._tasks[task] = run
        task.add_done_callback(self._over)
        try:
            await asyncio.shield(run.queued)
        except asyncio.CancelledError:
            run.cancel()
            raise
        if not task.done():
            self._queued[run.key] = run
        return run

    def find(self, account_id: AccountId, response_id: str) -> Run | None:
        return self._queued.get((account_id, response_id))

    async def stop(self) -> None:
        """Fails what still runs; waits until that is kept."""
        for run in self._tasks.values():
            run.stop()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=STOP_S)

    def _over(self, task: asyncio.Task[None]) -> None:
        run = self._tasks.pop(task)
        if run.queued.done() and not run.queued.cancelled() and run.queued.exception() is None:
            self._queued.pop(run.key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("run_failed", call_id=run.call.id, exc_info=error)
