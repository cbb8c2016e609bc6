"""One HTTP/1.1 connection to a provider: an asyncio protocol on httptools, one request and one answer at a time.

A call costs one write, one future and the parser's callbacks; it has no task and no timer of its own. Deadlines are
kept as numbers that the pool's sweep compares (`Connection.due`, `Connection.check`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol, cast

import httptools

from trunkline.cork import Cork, corked
from trunkline.errors import Defect, StreamCut, UpstreamError, UpstreamFailed, UpstreamTimeout
from trunkline.providers.transport import Headers, Timers, UpstreamRequest

NEVER = float("inf")
HEAD_LIMIT_BYTES = 64 * 1024
UNREAD_LIMIT_BYTES = 64 * 1024
# A body up to this size goes to the socket in one call; a larger one in pieces of it, each when the last has drained.
WRITE_PIECE_BYTES = 256 * 1024
# Up to this size a copy behind the head is cheaper than a second part in the write.
JOIN_LIMIT_BYTES = 16 * 1024
INTERIM = frozenset((100, 102, 103))

_HEAD, _BODY, _DONE = 0, 1, 2
_ENCODINGS = {b"content-encoding": (b"", b"identity"), b"transfer-encoding": (b"chunked",)}


class Owner(Protocol):
    """What a connection tells its pool. `label` names the provider in error messages."""

    label: str

    def release(self, connection: Connection) -> None:
        """It may serve another call."""

    def forget(self, connection: Connection) -> None:
        """It is being closed and counts no longer."""

    def lost(self, connection: Connection) -> None:
        """Its socket is closed."""


class Unanswered(UpstreamFailed):
    """The connection was closed before one byte of the answer had come."""


class HttpResponse:
    """The answer to one request; fulfils UpstreamResponse.

    It outlives its hold on the connection: after the last byte has arrived the connection serves other calls, while
    the bytes wait here. What is neither a method nor `status` or `headers` belongs to the connection.
    """

    __slots__ = (
        "began", "connection", "error", "headers", "parts", "started", "status", "streaming", "timers", "unread",
        "waiter",
    )  # fmt: skip

    def __init__(self, connection: Connection, request: UpstreamRequest, started: float) -> None:
        self.connection: Connection | None = connection
        self.timers: Timers = request.timers
        self.streaming = request.streaming
        self.started = started
        self.status = 0
        self.headers: Headers = []
        self.parts: list[bytes] = []
        self.unread = 0
        self.began = False
        self.error: Exception | None = None
        self.waiter: asyncio.Future[None] | None = None

    async def chunk(self) -> bytes:
        parts = self.parts
        while not parts:
            if self.error is not None:
                raise self.error
            connection = self.connection
            if connection is None:
                return b""
            self.waiter = connection.loop.create_future()
            try:
                await self.waiter
            except asyncio.CancelledError:
                self.close()
                raise
        return self._take()

    async def read(self, limit: int) -> bytes:
        if self.connection is None and self.error is None:
            whole = self._take()
        else:
            pieces = bytearray()
            while len(pieces) <= limit and (piece := await self.chunk()):
                pieces += piece
            whole = bytes(pieces)
        if len(whole) > limit:
            self.close()
            raise UpstreamFailed(f"The provider's answer is larger than {limit} bytes.")
        return whole

    def close(self) -> None:
        if self.connection is not None or self.parts:
            self.cancel(StreamCut("The answer was given up before its end."))

    def cancel(self, error: Exception) -> None:
        connection = self.connection
        if connection is None and not self.parts:
            return
        self.parts.clear()
        self.fail(error)
        if connection is not None:
            connection.discard()

    def fail(self, error: Exception) -> None:
        """The first error stays; what has arrived before it can still be taken."""
        self.connection = None
        if self.error is None:
            self.error = error
        self.wake()

    def wake(self) -> None:
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _take(self) -> bytes:
        parts = self.parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self.unread = 0
        connection = self.connection
        if connection is not None and connection.paused:
            connection.resume()
        return data


class Connection(asyncio.Protocol):
    """`due` is a time before which no timer can run out; `heard` the time of the last byte, 0 before the first one of
    this answer. `reused` says that it has served a call before. `stalled` is 0 unless a streamed body is on its way:
    then the time since which the provider has taken nothing of it, NEVER while it takes what there is.
    """

    __slots__ = (
        "_cork", "_drained", "_dry_bytes", "_feed", "_head_bytes", "_headers", "_keep", "_no_body", "_now", "_owner",
        "_parser", "_parts", "_refusal", "_response", "_sent", "_state", "_write_paused", "closed", "due", "heard",
        "loop", "paused", "reused", "stalled", "transport",
    )  # fmt: skip

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop, cork: Cork | None = None) -> None:
        self._owner = owner
        self._cork = cork
        self.loop = loop
        self._now = loop.time
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)  # until connection_made
        self._parser: Any = httptools.HttpResponseParser(self)
        self._feed: Callable[[bytes], None] = self._parser.feed_data
        self._response: HttpResponse | None = None
        self._headers: Headers = []
        self._parts: list[bytes] = []
        self._refusal: UpstreamError | None = None
        self._state = _HEAD
        self._head_bytes = 0
        self._dry_bytes = 0
        self._keep = self._sent = True
        self._no_body = self._write_paused = False
        self._drained: asyncio.Future[None] | None = None
        self.stalled = 0.0
        self.closed = self.paused = self.reused = False
        self.heard = 0.0
        self.due = NEVER

    # The call's side

    def start(self, request: UpstreamRequest, head: bytes) -> HttpResponse:
        """Writes head and body; of a body larger than WRITE_PIECE_BYTES the first piece, the rest is `upload`."""
        now = self._now()
        response = HttpResponse(self, request, now)
        self._response = response
        self._headers = response.headers
        self._parts = response.parts
        self._state = _HEAD
        self._head_bytes = self._dry_bytes = 0
        self.heard = 0.0
        self._no_body = request.method == b"HEAD"
        timers = request.timers
        soonest = timers.idle_s if timers.idle_s < timers.total_s else timers.total_s
        if request.streaming and timers.first_byte_s < soonest:
            soonest = timers.first_byte_s
        self.due = now + soonest
        body = request.body
        if len(body) <= WRITE_PIECE_BYTES:
            # One write, or one of two parts: a head that goes ahead of its body wakes the provider twice.
            if len(body) <= JOIN_LIMIT_BYTES:
                self.transport.write(head + body)
            else:
                self.transport.writelines((head, body))
        else:
            self._sent = False
            self.transport.writelines((head, memoryview(body)[:WRITE_PIECE_BYTES]))
        return response

    async def upload(self, response: HttpResponse, body: bytes) -> None:
        """The rest of a large body, piece by piece as the socket takes them.

        An answer that begins before the end stops it: providers do that only to refuse. The connection then cannot
        be used again.
        """
        rest = memoryview(body)[WRITE_PIECE_BYTES:]
        while rest and response.connection is self and not response.status:
            if self._write_paused:
                response.waiter = self.loop.create_future()
                await response.waiter
            else:
                self.transport.write(rest[:WRITE_PIECE_BYTES])
                rest = rest[WRITE_PIECE_BYTES:]
                self._sent = not rest
                # A fast socket never says stop; the other calls have their turn all the same.
                await asyncio.sleep(0)

    async def upload_stream(self, response: HttpResponse, request: UpstreamRequest) -> None:
        """A body that is not whole yet, each piece when the one before has left, in a task of its own: the answer may
        come while the next piece is still awaited. Raises nothing: what goes wrong ends the answer with its error."""
        pieces = request.stream_body
        assert pieces is not None
        self._sent = False
        self.stalled = NEVER
        try:
            sent = await self._send_pieces(response, pieces, chunked=request.stream_length is None)
            if request.stream_length not in (None, sent):
                raise Defect(f"A request body of {request.stream_length} bytes had {sent}.")
        except Exception as error:  # Whatever it is, `send` raises it, but for an answer that was there before.
            if not response.status:
                response.cancel(error)
        else:
            if response.connection is self and not response.status:
                if request.stream_length is None:
                    self.transport.write(b"0\r\n\r\n")
                self._sent = True
                # Only now is the answer due.
                self.due = response.started = self._now()
        finally:
            self.stalled = 0.0
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()

    async def _send_pieces(self, response: HttpResponse, pieces: AsyncIterator[bytes], *, chunked: bool) -> int:
        sent = 0
        async for piece in pieces:
            if response.connection is not self or response.status:
                break
            if not piece:
                continue
            sent += len(piece)
            self.transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n") if chunked else (piece,))
            # A fast socket never says stop; the other calls have their turn all the same.
            await asyncio.sleep(0)
            if self._write_paused:
                self.stalled = self._now()
                self._drained = self.loop.create_future()
                await self._drained
                self.stalled = NEVER
        return sent

    def resume(self) -> None:
        """Reads on after the reader has caught up. The silence it caused does not count against the provider."""
        self.paused = False
        self.heard = self._now()
        self.transport.resume_reading()

    def discard(self) -> None:
        """Closes at once, without a word to the answer under way."""
        if not self.closed:
            self.closed = True
            self.due = NEVER
            self._response = None
            self.transport.abort()
            self._owner.forget(self)

    def fail(self, error: Exception) -> None:
        """Closes at once; the answer under way ends with `error`."""
        response = self._response
        self.discard()
        if response is not None:
            response.fail(error)

    def check(self, now: float) -> None:
        """Ends a call whose timer has run out, or moves `due` on.

        A silence counts from the last byte. Before any byte, a streamed answer has the first-byte timer and a whole
        answer none but the total; between head and body a whole answer is still being made. While we do not read,
        the silence is ours.
        """
        response = self._response
        if response is None:
            self.due = NEVER
            return
        timers = response.timers
        if self.stalled:
            if now >= self.stalled + timers.idle_s:
                self._time_out(f"took nothing of the request for idle_s = {timers.idle_s:g} s")
            else:
                self.due = min(now, self.stalled) + timers.idle_s
            return
        last = response.started + timers.total_s
        # The earliest moment at which a silence that begins now could end the call.
        silent_until = now + timers.idle_s
        if now >= last:
            self._time_out(f"did not finish its answer within total_s = {timers.total_s:g} s")
            return
        if not self.heard:
            if response.streaming:
                silent_until = min(silent_until, response.started + timers.first_byte_s)
                if now >= response.started + timers.first_byte_s:
                    self._time_out(f"sent no byte within first_byte_s = {timers.first_byte_s:g} s")
                    return
        elif not self.paused and (response.streaming or response.began):
            silent_until = self.heard + timers.idle_s
            if now >= silent_until:
                self._time_out(f"fell silent for idle_s = {timers.idle_s:g} s in its answer")
                return
        self.due = min(last, silent_until)

    def _time_out(self, what: str) -> None:
        self.fail(UpstreamTimeout(f"{self._owner.label} {what}."))

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = corked(cast("asyncio.Transport", transport), self._cork)

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:
            # Bytes nobody asked for: what follows could be taken for the next call's answer.
            self.discard()
            return
        self.heard = self._now()
        if self._state == _HEAD:
            self._head_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            if self._state != _DONE:
                self._garbled(response, error)
                return
            self._keep = False  # the answer is whole, but bytes follow that belong to none
        if self._head_bytes > HEAD_LIMIT_BYTES and not self._head_fits(response):
            return
        if self._state == _DONE:
            self._finish(response)
        elif self._state == _BODY:
            self._advance(response, len(data))

    def eof_received(self) -> None:
        self._peer_gone(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._peer_gone(exc)
        self._parser = self._feed = cast("Any", None)  # parser and protocol hold each other
        self._owner.lost(self)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None
        elif self._response is not None and not self._sent:
            self._response.wake()

    # httptools' side

    def on_message_begin(self) -> None:
        if self._state == _DONE:
            raise ValueError("bytes behind the answer")  # reaches data_received as an error of the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._state != _HEAD:
            return  # a trailer
        name = name.lower()
        if name in _ENCODINGS and value.strip().lower() not in _ENCODINGS[name]:
            coding = value[:64].decode("latin-1")
            self._refusal = UpstreamFailed(
                f"{self._owner.label} encoded its answer ({name.decode()}: {coding}) though identity was asked for."
            )
            raise self._refusal
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            if status not in INTERIM:
                self._refusal = UpstreamFailed(f"{self._owner.label} answered with the unexpected status {status}.")
                raise self._refusal
            return
        self._state = _BODY
        if self._response is not None:
            self._response.status = status
        if self._no_body:
            # The parser cannot be told that no body follows, so it cannot be used again either.
            self._state = _DONE
            self._keep = False

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)

    def on_message_complete(self) -> None:
        if self._state == _BODY:
            self._state = _DONE
            self._keep = self._parser.should_keep_alive()
        elif self._state == _HEAD:
            self._headers.clear()  # an interim answer; the real one follows

    # What follows from them

    def _finish(self, response: HttpResponse) -> None:
        """The answer is whole: the connection goes back, before anyone has read the bytes."""
        self._response = None
        self.due = NEVER
        response.connection = None
        if self._no_body:
            response.parts.clear()
        # A request that is not wholly sent would run into the next one.
        if self._keep and self._sent and not self.transport.get_write_buffer_size():
            if self.paused:
                self.resume()
            self.reused = True
            self._owner.release(self)
        else:
            self.discard()
        response.wake()

    def _advance(self, response: HttpResponse, received: int) -> None:
        if response.parts:
            response.began = True
            self._dry_bytes = 0
            response.unread += received
            if response.unread > UNREAD_LIMIT_BYTES:
                if not self.paused:
                    self.paused = True
                    self.transport.pause_reading()
            elif not response.streaming:
                return  # a whole answer is handed over whole, or from the limit on
        else:
            # Chunk extensions and trailers are dropped by the parser, but an endless one is not an answer.
            self._dry_bytes += received
            if self._dry_bytes > HEAD_LIMIT_BYTES + UNREAD_LIMIT_BYTES:
                self._break(response, "sent framing without content")
                return
            if not response.streaming:
                return
        response.wake()

    def _head_fits(self, response: HttpResponse) -> bool:
        # The bytes of the head come with the first ones of the body: only the headers themselves can be counted.
        if self._state == _HEAD or sum(len(n) + len(v) for n, v in response.headers) > HEAD_LIMIT_BYTES:
            self.fail(UpstreamFailed(f"{self._owner.label} sent more than {HEAD_LIMIT_BYTES} bytes of headers."))
            return False
        self._head_bytes = 0
        return True

    def _garbled(self, response: HttpResponse, error: Exception) -> None:
        if self._refusal is not None:
            self.fail(self._refusal)
        else:
            self._break(response, f"sent bytes that are not HTTP ({error})")

    def _peer_gone(self, exc: Exception | None) -> None:
        response = self._response
        if response is None:
            self.discard()
            return
        if self._state == _BODY and exc is None and _ends_with_the_connection(response.headers):
            self._keep = False
            self._finish(response)
        elif not self.heard:
            self.fail(Unanswered(f"{self._owner.label} closed the connection without an answer."))
        else:
            self._break(response, "broke the connection in the middle of its answer")

    def _break(self, response: HttpResponse, what: str) -> None:
        kind = StreamCut if response.began or response.parts else UpstreamFailed
        self.fail(kind(f"{self._owner.label} {what}."))


def _ends_with_the_connection(headers: Headers) -> bool:
    return not any(name in (b"content-length", b"transfer-encoding") for name, _ in headers)
