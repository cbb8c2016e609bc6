"""Calls that must go through an HTTP proxy (HTTPS_PROXY): a CONNECT tunnel by aiohttp, behind the transport's method.

It costs three times what the direct way costs, which is why it is only for the origins that need it. Same timers,
same errors, same bounds as `providers/pool.py`, with one difference: a kept connection that turns out to be closed
is an UpstreamFailed for POST, since aiohttp does not tell whether the request was read.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from types import SimpleNamespace

import aiohttp
from yarl import URL

from trunkline.errors import Defect, StreamCut, Unavailable, UpstreamError, UpstreamFailed, UpstreamTimeout
from trunkline.providers.connection import HEAD_LIMIT_BYTES, UNREAD_LIMIT_BYTES, WRITE_PIECE_BYTES
from trunkline.providers.dialing import refusal_sentence
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

AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
# aiohttp only repeats requests that are idempotent, so a kept connection is kept for less than servers usually do.
KEEP_ALIVE_S = 15.0


class _Departure:
    """When the request of a call left, which is when its timers start: after the tunnel is there."""

    __slots__ = ("_timer", "_within_s", "at")

    def __init__(self, timer: asyncio.Timeout, within_s: float) -> None:
        self.at = asyncio.get_running_loop().time()
        self._timer = timer
        self._within_s = within_s

    def left(self) -> None:
        self.at = asyncio.get_running_loop().time()
        self._timer.reschedule(self.at + self._within_s)

    def wait_for_provider(self, within_s: float | None) -> None:
        """While a streamed body leaves: so long may the provider take nothing; None: it is not the provider's turn."""
        now = asyncio.get_running_loop().time()
        self._timer.reschedule(None if within_s is None else now + within_s)


class _StreamedBody:
    """A request's streamed body on its way through aiohttp, which tells neither when a piece has left nor, as itself,
    what the iterator raised, and which goes on asking for pieces after the answer has come."""

    def __init__(self, source: AsyncIterator[bytes], request: UpstreamRequest, departure: _Departure) -> None:
        self.error: Exception | None = None
        self.left = False
        self._source = source
        self._length = request.stream_length
        self._idle_s = request.timers.idle_s
        self._departure = departure
        self._step: asyncio.Future[bytes | None] | None = None
        self._stopped = False

    async def pieces(self) -> AsyncIterator[bytes]:
        sent = 0
        try:
            while (piece := await self._next()) is not None:
                sent += len(piece)
                for start in range(0, len(piece), WRITE_PIECE_BYTES):
                    self._departure.wait_for_provider(self._idle_s)
                    yield piece[start : start + WRITE_PIECE_BYTES]
            if self._length not in (None, sent):
                raise Defect(f"A request body of {self._length} bytes had {sent}.")
        except Exception as error:
            self.error = error
            raise
        finally:
            await self._close()
        self.left = True
        self._departure.left()

    async def stop(self) -> None:
        """The answer is here, or none will be. What is missing of the body is not asked for, nor is its end pretended:
        the connection goes with the answer."""
        if not self.left:
            self._stopped = True
            if self._step is not None and not self._step.done():
                self._step.cancel()
                await asyncio.wait((self._step,))
            await self._close()

    async def _next(self) -> bytes | None:
        if not self._stopped:
            self._departure.wait_for_provider(None)
            self._step = asyncio.ensure_future(_step(self._source))
            try:
                return await self._step
            except asyncio.CancelledError:
                if not self._stopped:
                    raise
        await asyncio.get_running_loop().create_future()  # until aiohttp gives up the connection
        return None

    async def _close(self) -> None:
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()


async def _step(source: AsyncIterator[bytes]) -> bytes | None:
    return await anext(source, None)


class ProxiedTransport(Transport):
    """Made inside the event loop that it serves."""

    def __init__(self, options: TransportOptions, proxy: ProxySettings, tls: ssl.SSLContext) -> None:
        self._options = options
        self._proxy = URL(proxy.url)
        self._places: dict[Origin, asyncio.Semaphore] = {}
        connected = aiohttp.TraceConfig()
        connected.on_connection_create_end.append(_connected)
        connected.on_connection_reuseconn.append(_connected)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, ssl=tls, keepalive_timeout=min(KEEP_ALIVE_S, options.keep_alive_s), happy_eyeballs_delay=0.25
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=AUTO_HEADERS,
            trust_env=False,
            read_bufsize=UNREAD_LIMIT_BYTES,
            max_line_size=HEAD_LIMIT_BYTES,
            max_field_size=HEAD_LIMIT_BYTES,
            trace_configs=[connected],
        )

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        places = self._places.get(request.origin)
        if places is None:
            places = self._places[request.origin] = asyncio.Semaphore(self._options.connections_per_origin)
        try:
            async with asyncio.timeout(self._options.acquire_s):
                await places.acquire()
        except TimeoutError as error:
            raise Unavailable(
                f"All {self._options.connections_per_origin} connections to {request.origin.host} are in use and none "
                f"came free within {self._options.acquire_s:g} s.",
                code="pool_exhausted",
                retry_after_s=1,
            ) from error
        try:
            return await self._exchange(request, places)
        except BaseException:
            places.release()
            raise

    async def close(self) -> None:
        await self._session.close()

    async def _exchange(self, request: UpstreamRequest, places: asyncio.Semaphore) -> UpstreamResponse:
        timers = request.timers
        label = f"The provider at {request.origin.host}"
        first = request.streaming and timers.first_byte_s < timers.total_s
        timer = asyncio.timeout(None)
        departure = _Departure(timer, timers.first_byte_s if first else timers.total_s)
        body = request.stream_body
        streamed = _StreamedBody(body, request, departure) if body is not None else None
        if request.before_sending is not None:
            request.before_sending()
        try:
            async with timer:
                answer = await self._session.request(
                    request.method.decode(),
                    _url(request),
                    data=_body(request, streamed),
                    headers=_headers(request),
                    proxy=self._proxy,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, connect=timers.connect_s),
                    trace_request_ctx=departure,
                )
        except aiohttp.ConnectionTimeoutError as error:
            place = f"{request.origin.host}:{request.origin.port}"
            raise UpstreamTimeout(f"No connection to {place} within connect_s = {timers.connect_s:g} s.") from error
        except TimeoutError as error:
            what = (
                f"took nothing of the request for idle_s = {timers.idle_s:g} s"
                if streamed is not None and not streamed.left
                else f"sent no byte within first_byte_s = {timers.first_byte_s:g} s"
                if first
                else f"did not finish its answer within total_s = {timers.total_s:g} s"
            )
            raise UpstreamTimeout(f"{label} {what}.") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if streamed is not None and streamed.error is not None:
                raise streamed.error from None
            raise UpstreamFailed(_sentence(request.origin, error)) from error
        finally:
            if streamed is not None:
                await streamed.stop()
        response = ProxiedResponse(answer, request, departure.at, places)
        try:
            _check_head(label, response.headers)
        except UpstreamError:
            answer.close()
            raise
        return response


class ProxiedResponse:
    """Fulfils UpstreamResponse; holds one of the origin's places until its end."""

    __slots__ = ("_answer", "_began", "_error", "_label", "_last", "_open", "_places", "_streaming", "_timers",
                 "headers", "status")  # fmt: skip

    def __init__(
        self, answer: aiohttp.ClientResponse, request: UpstreamRequest, started: float, places: asyncio.Semaphore
    ) -> None:
        self.status = answer.status
        self.headers: Headers = [(name.lower(), value) for name, value in answer.raw_headers]
        self._answer = answer
        self._label = f"The provider at {request.origin.host}"
        self._timers: Timers = request.timers
        self._streaming = request.streaming
        self._last = started + request.timers.total_s
        self._places = places
        self._open = True
        self._began = False
        self._error: Exception | None = None

    async def chunk(self) -> bytes:
        if self._error is not None:
            raise self._error
        if not self._open:
            return b""
        idle = self._streaming or self._began
        now = asyncio.get_running_loop().time()
        until = min(self._last, now + self._timers.idle_s) if idle else self._last
        try:
            async with asyncio.timeout_at(until):
                data = await self._answer.content.readany()
        except asyncio.CancelledError:
            self.close()
            raise
        except TimeoutError as error:
            raise self._failed(UpstreamTimeout(f"{self._label} {self._timed_out(until)}.")) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            kind = StreamCut if self._began else UpstreamFailed
            raise self._failed(kind(f"{self._label} broke the connection in the middle of its answer.")) from error
        if data:
            self._began = True
        else:
            self._end()
        return data

    async def read(self, limit: int) -> bytes:
        pieces = bytearray()
        while len(pieces) <= limit and (piece := await self.chunk()):
            pieces += piece
        if len(pieces) > limit:
            self.close()
            raise UpstreamFailed(f"The provider's answer is larger than {limit} bytes.")
        return bytes(pieces)

    def close(self) -> None:
        if self._open:
            self.cancel(StreamCut("The answer was given up before its end."))

    def cancel(self, error: Exception) -> None:
        if self._open:
            self._failed(error)  # closing the answer wakes a read that waits

    def _failed(self, error: Exception) -> Exception:
        """The first error is the one that stays."""
        if self._error is None:
            self._error = error
        self._end()
        return self._error

    def _end(self) -> None:
        if self._open:
            self._open = False
            # Harmless after the last byte: the connection has gone back by then.
            self._answer.close()
            self._places.release()

    def _timed_out(self, until: float) -> str:
        if until >= self._last:
            return f"did not finish its answer within total_s = {self._timers.total_s:g} s"
        return f"fell silent for idle_s = {self._timers.idle_s:g} s in its answer"


async def _connected(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.left()


def _headers(request: UpstreamRequest) -> list[tuple[str, str]]:
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
    if len(request.body) > WRITE_PIECE_BYTES:
        headers.append(("content-length", str(len(request.body))))  # or pieces would go out chunked
    elif request.stream_length is not None:
        headers.append(("content-length", str(request.stream_length)))
    return headers


def _body(request: UpstreamRequest, streamed: _StreamedBody | None) -> AsyncIterator[bytes] | bytes | None:
    if streamed is not None:
        return streamed.pieces()
    return _pieces(request.body) if len(request.body) > WRITE_PIECE_BYTES else request.body or None


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """So that aiohttp waits for the socket in between."""
    for start in range(0, len(body), WRITE_PIECE_BYTES):
        yield body[start : start + WRITE_PIECE_BYTES]


def _url(request: UpstreamRequest) -> URL:
    host = f"[{request.origin.host}]" if ":" in request.origin.host else request.origin.host
    authority = f"{request.origin.scheme}://{host}:{request.origin.port}"
    return URL(authority + request.target.decode("ascii"), encoded=True)


def _check_head(label: str, headers: Headers) -> None:
    if sum(len(name) + len(value) for name, value in headers) > HEAD_LIMIT_BYTES:
        raise UpstreamFailed(f"{label} sent more than {HEAD_LIMIT_BYTES} bytes of headers.")
    for name, value in headers:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            coding = value[:64].decode("latin-1")
            raise UpstreamFailed(
                f"{label} encoded its answer (content-encoding: {coding}) though identity was asked for."
            )


def _sentence(origin: Origin, error: Exception) -> str:
    """Never with the proxy's address, which may hold its credential."""
    place = f"{origin.host}:{origin.port}"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"The proxy refused the way to {place} ({error.status})."
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"The proxy on the way to {place} cannot be reached: {error.os_error.strerror or 'no connection'}."
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return refusal_sentence(place, origin.host, error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return refusal_sentence(place, origin.host, error.os_error)
    if isinstance(error, aiohttp.ClientResponseError | ValueError):
        return f"The provider at {origin.host} sent bytes that are not HTTP."
    return f"The provider at {origin.host} closed the connection without an answer."
