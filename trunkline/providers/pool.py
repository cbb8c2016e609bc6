"""Keep-alive connections to every provider origin, bounded and fair, and the transport that sends calls over them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable

import msgspec

from trunkline.cork import Cork
from trunkline.errors import Defect, Unavailable, UpstreamFailed
from trunkline.providers.connection import WRITE_PIECE_BYTES, Connection, HttpResponse, Unanswered
from trunkline.providers.dialing import dial, tls_context
from trunkline.providers.transport import (
    Headers,
    Origin,
    ProxySettings,
    Timers,
    Transport,
    TransportOptions,
    UpstreamRequest,
    UpstreamResponse,
)

SWEEP_S = 0.25


class PoolStats(msgspec.Struct, frozen=True):
    """Connections to one origin: serving a call, kept for the next, calls that wait for one, opened since the start."""

    in_use: int
    idle: int
    waiting: int
    opened: int


class OriginPool:
    """The connections to one origin. The one used last is used next, so that the others can grow old and close.

    A place is a connection, established or on its way; there are at most `connections_per_origin`. Calls beyond wait
    in the order they came: a connection that comes free, or the place of one that closed, is handed to the first of
    them, so that nobody overtakes. While anyone waits nothing is idle.
    """

    __slots__ = (
        "_acquire_s", "_cork", "_head", "_head_headers", "_head_method", "_head_target", "_limit", "_loop", "_opening",
        "_tls", "_waiters", "closed", "connections", "host", "idle", "label", "opened", "origin", "sockets",
    )  # fmt: skip

    def __init__(self, origin: Origin, options: TransportOptions, tls: ssl.SSLContext | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._cork = Cork(self._loop)
        self.origin = origin
        self.host = _host_header(origin)
        self.label = f"The provider at {origin.host}"
        self._tls = tls
        self._limit = options.connections_per_origin
        self._acquire_s = options.acquire_s
        self.connections: set[Connection] = set()
        self.idle: dict[Connection, None] = {}
        self._opening = 0
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self.opened = 0
        self.closed = False
        self.sockets: set[Connection] = set()
        self._head = b""
        self._head_method = b""
        self._head_target = b""
        self._head_headers: Headers = []

    def head(self, request: UpstreamRequest) -> bytes:
        """Request line and headers. All but the length is mostly that of the call before, which is remembered."""
        if not (
            request.headers == self._head_headers
            and request.target == self._head_target
            and request.method == self._head_method
        ):
            self._head = _head(request, self.host)
            self._head_headers = list(request.headers)
            self._head_target = request.target
            self._head_method = request.method
        if request.body or (request.method == b"POST" and request.stream_body is None):
            return b"%bcontent-length: %d\r\n\r\n" % (self._head, len(request.body))
        if request.stream_length is not None:
            return b"%bcontent-length: %d\r\n\r\n" % (self._head, request.stream_length)
        return self._head + (b"\r\n" if request.stream_body is None else b"transfer-encoding: chunked\r\n\r\n")

    def take(self) -> Connection | None:
        idle = self.idle
        while idle:
            connection, _ = idle.popitem()
            if not connection.transport.is_closing():
                return connection
            connection.discard()
        return None

    async def acquire(self, timers: Timers) -> Connection:
        """A kept connection or a new one. Raises Unavailable when none came free in time, and what `dial` raises."""
        while True:
            kept = self.take()
            if kept is not None:
                return kept
            if not self._full:
                self._opening += 1
                return await self._open(timers)
            handed = await self._wait()
            if handed is None:
                return await self._open(timers)
            if not handed.closed and not handed.transport.is_closing():
                return handed
            handed.discard()

    async def open_fresh(self, timers: Timers) -> Connection:
        """A connection that nobody has used; a kept one makes room for it when all places are taken."""
        if self._full and self.idle:
            next(iter(self.idle)).discard()
        if not self._full:
            self._opening += 1
        else:
            handed = await self._wait()
            if handed is not None:
                # Counted first, so that its place is not offered to the next who waits.
                self._opening += 1
                handed.discard()
        return await self._open(timers)

    def check(self, connection: Connection, before_sending: Callable[[], None]) -> None:
        """Raises what that raises; the connection, on which nothing was sent, serves another call then."""
        try:
            before_sending()
        except BaseException:
            self.release(connection)
            raise

    def release(self, connection: Connection) -> None:
        if self._waiters and (waiter := self._first_waiter()) is not None:
            waiter.set_result(connection)
        else:
            self.idle[connection] = None

    def forget(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.idle.pop(connection, None)
        self._offer_place()

    def lost(self, connection: Connection) -> None:
        self.sockets.discard(connection)

    def sweep(self, now: float, keep_alive_s: float) -> None:
        """Ends the calls whose timers have run out and closes what has been idle for too long."""
        for connection in [c for c in self.connections if c.due <= now]:
            connection.check(now)
        oldest = now - keep_alive_s
        for connection in [c for c in self.idle if c.heard <= oldest]:
            connection.discard()

    def close(self) -> None:
        self.closed = True
        error = UpstreamFailed("The gateway is shutting down.")
        while (waiter := self._first_waiter()) is not None:
            waiter.set_exception(error)
        for connection in list(self.connections):
            connection.fail(error)

    def stats(self) -> PoolStats:
        return PoolStats(
            in_use=len(self.connections) - len(self.idle),
            idle=len(self.idle),
            waiting=len(self._waiters),
            opened=self.opened,
        )

    @property
    def _full(self) -> bool:
        return len(self.connections) + self._opening >= self._limit

    async def _open(self, timers: Timers) -> Connection:
        """Fills a place that has been counted in `_opening`."""
        try:
            connection = await dial(self.origin, self._tls, timers.connect_s, self._make)
        except BaseException:
            self._opening -= 1
            self._offer_place()
            raise
        self._opening -= 1
        self.opened += 1
        if connection.closed:
            self._offer_place()
            raise UpstreamFailed(f"{self.label} closed the connection as soon as it was established.")
        self.connections.add(connection)
        self.sockets.add(connection)
        if self.closed:
            connection.discard()
            raise UpstreamFailed("The gateway is shutting down.")
        return connection

    def _make(self) -> Connection:
        return Connection(self, self._loop, self._cork)

    async def _wait(self) -> Connection | None:
        """A connection that came free, or None for a place in which to open one (counted in `_opening`)."""
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiters.append(waiter)
        timer = self._loop.call_later(self._acquire_s, self._refuse, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._give_back(waiter)
            raise
        finally:
            timer.cancel()

    def _refuse(self, waiter: asyncio.Future[Connection | None]) -> None:
        if not waiter.done():
            self._waiters.remove(waiter)
            waiter.set_exception(
                Unavailable(
                    f"All {self._limit} connections to {self.origin.host} are in use and none came free within "
                    f"{self._acquire_s:g} s.",
                    code="pool_exhausted",
                    retry_after_s=1,
                )
            )

    def _give_back(self, waiter: asyncio.Future[Connection | None]) -> None:
        """A call that was cancelled after it had been given something passes it on."""
        if waiter.cancelled():
            with contextlib.suppress(ValueError):  # `_first_waiter` may have passed over it
                self._waiters.remove(waiter)
        elif waiter.exception() is None:
            connection = waiter.result()
            if connection is None:
                self._opening -= 1
                self._offer_place()
            elif not connection.closed:
                self.release(connection)

    def _offer_place(self) -> None:
        if not self._full and (waiter := self._first_waiter()) is not None:
            self._opening += 1
            waiter.set_result(None)

    def _first_waiter(self) -> asyncio.Future[Connection | None] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None


class HttpTransport(Transport):
    """HTTP/1.1 to every origin: pooled connections of our own, and aiohttp for what goes through a proxy.

    Raises SettingsInvalid when `ca_file` cannot be read. It belongs to the event loop of its first call.
    """

    def __init__(self, options: TransportOptions, proxy: ProxySettings | None = None) -> None:
        self._options = options
        self._proxy = proxy
        self._tls = tls_context(options.ca_file)
        self._pools: dict[Origin, OriginPool] = {}
        self._proxied: Transport | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        if request.proxy and self._proxy is not None and self._proxy.covers(request.origin):
            return await self._through_proxy(request)
        pool = self._pools.get(request.origin) or self._add_pool(request.origin)
        head = pool.head(request)  # before anything is taken: it may refuse the request
        if request.stream_body is not None:
            return await _send_streamed(pool, request, head)
        connection = pool.take() or await pool.acquire(request.timers)
        if request.before_sending is not None:
            pool.check(connection, request.before_sending)
        reused = connection.reused
        response = connection.start(request, head)
        if len(request.body) > WRITE_PIECE_BYTES:
            await _upload(connection, response, request.body)
        # `_answered`, spelled out: one coroutine less for every call.
        while response.connection is not None and not response.status:
            response.waiter = connection.loop.create_future()
            try:
                await response.waiter
            except asyncio.CancelledError:
                response.close()
                raise
        if response.error is None or response.status:
            return response
        if reused and isinstance(response.error, Unanswered) and _met_its_close(request, response):
            return await _send_again(pool, request)
        raise response.error

    async def close(self) -> None:
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for pool in self._pools.values():
            pool.close()
        # Sockets are closed by the loop's next turns, not by the call that aborts them.
        while any(pool.sockets for pool in self._pools.values()):
            await asyncio.sleep(0)
        if self._proxied is not None:
            await self._proxied.close()

    def stats(self) -> dict[Origin, PoolStats]:
        """Gauges of the pooled connections, by origin."""
        return {origin: pool.stats() for origin, pool in self._pools.items()}

    def _add_pool(self, origin: Origin) -> OriginPool:
        self._refuse_when_closed()
        pool = OriginPool(origin, self._options, self._tls if origin.scheme == "https" else None)
        self._pools[origin] = pool
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        return pool

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise Unavailable("The gateway is shutting down.", retry_after_s=1)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._sweeper = loop.call_later(SWEEP_S, self._sweep)
        for pool in self._pools.values():
            pool.sweep(now, self._options.keep_alive_s)

    async def _through_proxy(self, request: UpstreamRequest) -> UpstreamResponse:
        if self._proxied is None:
            self._refuse_when_closed()
            # Here and not above: aiohttp takes 60 ms and 7 MB that most gateways never need.
            from trunkline.providers.proxied import ProxiedTransport  # noqa: PLC0415

            assert self._proxy is not None
            self._proxied = ProxiedTransport(self._options, self._proxy, self._tls)
        return await self._proxied.send(request)


async def _answered(response: HttpResponse) -> None:
    """Waits for the status, or for an error, which is left in the response."""
    while response.connection is not None and not response.status:
        response.waiter = response.connection.loop.create_future()
        try:
            await response.waiter
        except asyncio.CancelledError:
            response.close()
            raise


async def _send_streamed(pool: OriginPool, request: UpstreamRequest, head: bytes) -> HttpResponse:
    """Its body can be had only once, so it goes over a connection that cannot have been closed as idle."""
    connection = await pool.open_fresh(request.timers)
    if request.before_sending is not None:
        pool.check(connection, request.before_sending)
    response = connection.start(request, head)
    upload = connection.loop.create_task(connection.upload_stream(response, request))
    try:
        await _answered(response)
    finally:
        if not upload.done():
            upload.cancel()
            await asyncio.wait((upload,))
    if response.error is None or response.status:
        return response
    raise response.error


async def _upload(connection: Connection, response: HttpResponse, body: bytes) -> None:
    try:
        await connection.upload(response, body)
    except asyncio.CancelledError:
        response.close()
        raise


def _met_its_close(request: UpstreamRequest, response: HttpResponse) -> bool:
    """Whether a request over a kept connection, closed without a byte of answer, was not even read.

    A server may close an idle connection at the very moment we write to it. RFC 9110 section 9.2.2 lets a client
    repeat a method that is not idempotent when it can tell that the request was never applied. What tells this from
    a server that died over the request: the close arrives about a round trip after the write, for which the time
    allowed to connect is a generous bound. Later than that the request was being worked on, and whether to pay for it
    again is for the caller to decide.
    """
    return asyncio.get_running_loop().time() - response.started <= request.timers.connect_s


async def _send_again(pool: OriginPool, request: UpstreamRequest) -> HttpResponse:
    """Once, over a connection that has never been idle."""
    connection = await pool.open_fresh(request.timers)
    if request.before_sending is not None:
        pool.check(connection, request.before_sending)
    response = connection.start(request, pool.head(request))
    if len(request.body) > WRITE_PIECE_BYTES:
        await _upload(connection, response, request.body)
    await _answered(response)
    if response.error is None or response.status:
        return response
    raise response.error


def _host_header(origin: Origin) -> bytes:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    default = 443 if origin.scheme == "https" else 80
    return (host if origin.port == default else f"{host}:{origin.port}").encode("idna")


def _head(request: UpstreamRequest, host: bytes) -> bytes:
    """Without the length and the empty line at the end."""
    lines = [b"%b %b HTTP/1.1" % (request.method, request.target), b"host: " + host]
    lines += [b"%b: %b" % header for header in request.headers]
    head = b"\r\n".join(lines)
    # A name out of a caller's body can stand in the target; nothing in it may begin a line of its own.
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1 or b" " in request.target:
        raise Defect("A request to a provider had a line break or a space where none may be.")
    return head + b"\r\n"
