"""The protocol against bytes in memory: any split of any answer means the same, and nothing bad is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.errors import ClientGone, StreamCut, UpstreamError, UpstreamFailed, UpstreamTimeout
from trunkline.providers.connection import (
    HEAD_LIMIT_BYTES,
    JOIN_LIMIT_BYTES,
    UNREAD_LIMIT_BYTES,
    WRITE_PIECE_BYTES,
    Connection,
    HttpResponse,
    Unanswered,
)
from trunkline.providers.transport import Origin, Timers, UpstreamRequest

ORIGIN = Origin("http", "up.test", 80)
JSON = b'{"ok":true}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + JSON
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Wire:
    """The transport and the owner of one connection, both as records of what was asked of them."""

    label = "The provider at up.test"

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.released = 0
        self.aborted = False
        self.forgotten = self.gone = 0
        self._reading = True
        self.unsent = 0

    def write(self, data: bytes) -> None:
        self.written.append(bytes(data))

    def writelines(self, data: Iterable[bytes]) -> None:
        self.written.append(b"".join(data))

    def abort(self) -> None:
        self.aborted = True

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        assert self._reading
        self._reading = False

    def resume_reading(self) -> None:
        assert not self._reading
        self._reading = True

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def release(self, connection: Connection) -> None:
        assert not self.aborted
        self.released += 1

    def forget(self, connection: Connection) -> None:
        self.forgotten += 1

    def lost(self, connection: Connection) -> None:
        self.gone += 1


def connected() -> tuple[Wire, Connection]:
    wire = Wire()
    connection = Connection(wire, asyncio.get_running_loop())
    connection.connection_made(cast("asyncio.Transport", wire))
    return wire, connection


def chat(method: bytes = b"POST", body: bytes = b"", streaming: bool = True) -> UpstreamRequest:
    timers = Timers(first_byte_s=10, idle_s=20, total_s=100)
    return UpstreamRequest(
        origin=ORIGIN, method=method, target=b"/", headers=[], body=body, timers=timers, streaming=streaming
    )


def feed(connection: Connection, pieces: Iterable[bytes]) -> None:
    for piece in filter(None, pieces):
        if connection.closed:
            return
        connection.data_received(piece)


async def outcome(response: HttpResponse) -> tuple[int, bytes, type[Exception] | None]:
    body = b""
    try:
        while piece := await response.chunk():
            body += piece
    except UpstreamError as error:
        return response.status, body, type(error)
    return response.status, body, None


def splits(data: bytes) -> Iterable[list[bytes]]:
    yield [data[i : i + 1] for i in range(len(data))]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]


WHOLE = {
    # name: (bytes, the server closes behind it, body, the connection is kept)
    "content-length": (OK, False, JSON, True),
    "empty": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", False, b"", True),
    "chunked": (CHUNKED + b"5;x=y\r\ndata:\r\nA\r\n 123456789\r\n0\r\n\r\n", False, b"data: 123456789", True),
    "trailers": (CHUNKED + b"2\r\nhi\r\n0\r\nX-Sum: 1\r\nX-Two: 2\r\n\r\n", False, b"hi", True),
    "until the end": (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it", True, b"all of it", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nold", True, b"old", False),
    "asks for the close": (OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1), False, JSON, False),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\n" + OK, False, JSON, True),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", False, b"", True),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n", False, b"", True),
    "identity": (OK.replace(b"\r\n", b"\r\nContent-Encoding: Identity\r\n", 1), False, JSON, True),
}


@pytest.mark.parametrize("name", WHOLE)
async def test_every_split_of_an_answer_is_the_same_answer(name: str) -> None:
    data, closes, body, kept = WHOLE[name]
    for pieces in splits(data):
        wire, connection = connected()
        response = connection.start(chat(), b"")
        feed(connection, pieces)
        if closes:
            connection.eof_received()
        assert await outcome(response) == (int(data.rsplit(b"HTTP/1.", 1)[1][2:5]), body, None), pieces
        assert (wire.released, wire.aborted, wire.forgotten) == ((1, False, 0) if kept else (0, True, 1)), pieces
        assert response.connection is None
        assert {name for name, _ in response.headers} <= {
            b"content-length", b"transfer-encoding", b"content-type", b"content-encoding", b"connection"
        }  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.data())
async def test_a_kept_connection_serves_one_answer_after_the_other(bodies: list[bytes], data: st.DataObject) -> None:
    wire, connection = connected()
    for body in bodies:
        chunked = data.draw(st.booleans())
        head = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
        rest = b"%x\r\n%b\r\n0\r\nTrailing: x\r\n\r\n" % (len(body), body) if chunked else body
        raw = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + rest
        cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=5)))
        response = connection.start(chat(), b"")
        feed(connection, [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)])
        assert await outcome(response) == (200, body, None)
        assert len(response.headers) == 1
    assert (wire.released, wire.aborted) == (len(bodies), False)


BROKEN = {
    # name: (bytes, what the caller gets of the body, the error); the server closes behind the bytes
    "nothing": (b"", b"", Unanswered),
    "half a status line": (b"HTTP/1.1 20", b"", UpstreamFailed),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-Le", b"", UpstreamFailed),
    "interim only": (b"HTTP/1.1 100 Continue\r\n\r\n", b"", UpstreamFailed),
    "head alone": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", b"", UpstreamFailed),
    "short": (b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n" + JSON, JSON, StreamCut),
    "half a chunk": (CHUNKED + b"9\r\nabc", b"abc", StreamCut),
    "no last chunk": (CHUNKED + b"3\r\nabc\r\n", b"abc", StreamCut),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n", b"", UpstreamFailed),
    "a bad chunk": (CHUNKED + b"3\r\nabc\r\nzz\r\n", b"abc", StreamCut),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", b"", UpstreamFailed),
    "length and chunks": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"",
        UpstreamFailed,
    ),
    "compressed": (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", b"", UpstreamFailed),
    "coded": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", b"", UpstreamFailed),
    "another protocol": (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", b"", UpstreamFailed),
    "an unknown interim": (b"HTTP/1.1 199 Odd\r\n\r\n", b"", UpstreamFailed),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_answer_is_an_error_however_it_is_split(name: str) -> None:
    data, body, error = BROKEN[name]
    for pieces in [[data], *splits(data)]:
        wire, connection = connected()
        response = connection.start(chat(), b"")
        feed(connection, pieces)
        if not connection.closed:
            connection.eof_received()
        assert (await outcome(response))[1:] == (body, error), pieces
        assert (wire.released, wire.aborted, wire.forgotten) == (0, True, 1), pieces


async def test_a_reset_ends_even_an_answer_without_a_length() -> None:
    _, connection = connected()
    response = connection.start(chat(), b"")
    feed(connection, [b"HTTP/1.1 200 OK\r\n\r\nsome"])
    connection.connection_lost(ConnectionResetError())
    assert await outcome(response) == (200, b"some", StreamCut)


@pytest.mark.parametrize("behind", [b"H", b"HTTP/1.1 200 OK\r\n", OK, b"garbage"])
async def test_bytes_behind_the_answer_cost_the_connection_and_not_the_answer(behind: bytes) -> None:
    wire, connection = connected()
    response = connection.start(chat(), b"")
    connection.data_received(OK + behind)
    assert await outcome(response) == (200, JSON, None)
    assert (wire.released, wire.aborted) == (0, True)


async def test_bytes_that_nobody_asked_for_close_an_idle_connection() -> None:
    wire, connection = connected()
    connection.start(chat(), b"")
    connection.data_received(OK)
    connection.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert (wire.aborted, wire.forgotten) == (True, 1)


async def test_the_answer_to_head_ends_with_its_headers() -> None:
    wire, connection = connected()
    response = connection.start(chat(method=b"HEAD"), b"")
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    assert await outcome(response) == (200, b"", None)
    assert wire.aborted


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 " + b"O" * (HEAD_LIMIT_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (HEAD_LIMIT_BYTES + 1),
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * HEAD_LIMIT_BYTES + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * HEAD_LIMIT_BYTES,
    ],
    ids=["status line", "one header", "many headers", "interim answers"],
)
@pytest.mark.parametrize("size", [1000, 1 << 30])
async def test_the_head_is_bounded(head: bytes, size: int) -> None:
    _, connection = connected()
    response = connection.start(chat(), b"")
    feed(connection, (head[i : i + size] for i in range(0, len(head), size)))
    assert await outcome(response) == (response.status, b"", UpstreamFailed)


async def test_a_large_first_read_is_not_taken_for_a_large_head() -> None:
    _, connection = connected()
    response = connection.start(chat(), b"")
    body = b"x" * (4 * HEAD_LIMIT_BYTES)
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert await outcome(response) == (200, body, None)


async def test_endless_framing_without_content_is_cut() -> None:
    _, connection = connected()
    response = connection.start(chat(streaming=False), b"")
    connection.data_received(CHUNKED + b"0\r\nX: ")
    feed(connection, (b"x" * 10_000 for _ in range(20)))
    assert connection.closed
    assert (await outcome(response))[2] is UpstreamFailed


async def test_reading_stops_while_too_much_is_unread_and_goes_on_when_it_is_taken() -> None:
    wire, connection = connected()
    response = connection.start(chat(), b"")
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    sent = 0
    while wire.is_reading():
        connection.data_received(b"x" * 10_000)
        sent += 10_000
    assert UNREAD_LIMIT_BYTES < sent <= UNREAD_LIMIT_BYTES + 10_000
    assert await response.chunk() == b"x" * sent
    assert wire.is_reading()
    response.close()
    assert wire.aborted


async def test_a_connection_that_was_paused_at_its_last_byte_reads_again_for_the_next_call() -> None:
    wire, connection = connected()
    connection.start(chat(), b"")
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100_000)
    assert not wire.is_reading()
    connection.data_received(b"x" * 100_000)  # TLS may have decrypted it already
    assert (wire.is_reading(), wire.released) == (True, 1)


@pytest.mark.parametrize("size", [0, JOIN_LIMIT_BYTES, JOIN_LIMIT_BYTES + 1, WRITE_PIECE_BYTES])
async def test_head_and_body_leave_in_one_write(size: int) -> None:
    wire, connection = connected()
    connection.start(chat(body=b"b" * size), b"HEAD")
    assert wire.written == [b"HEAD" + b"b" * size]


async def test_a_large_body_waits_for_the_socket() -> None:
    wire, connection = connected()
    body = bytes(range(256)) * (WRITE_PIECE_BYTES // 64)
    response = connection.start(chat(body=body), b"HEAD")
    connection.pause_writing()
    upload = asyncio.create_task(connection.upload(response, body))
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(wire.written) == 1
    connection.resume_writing()
    await upload
    assert b"".join(wire.written) == b"HEAD" + body
    assert max(map(len, wire.written)) <= WRITE_PIECE_BYTES + 4
    connection.data_received(OK)
    assert wire.released == 1


async def test_an_answer_before_the_whole_request_ends_the_upload_and_the_connection() -> None:
    wire, connection = connected()
    body = b"b" * (8 * WRITE_PIECE_BYTES)
    response = connection.start(chat(body=body), b"")
    connection.pause_writing()
    upload = asyncio.create_task(connection.upload(response, body))
    await asyncio.sleep(0)
    connection.data_received(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
    await upload
    assert await outcome(response) == (413, b"big", None)
    assert (wire.released, wire.aborted, len(wire.written)) == (0, True, 1)


async def test_a_request_still_in_the_buffer_costs_the_connection() -> None:
    wire, connection = connected()
    response = connection.start(chat(body=b"b" * 100_000), b"")
    wire.unsent = 50_000
    connection.data_received(OK)
    assert await outcome(response) == (200, JSON, None)
    assert (wire.released, wire.aborted) == (0, True)


async def test_a_streamed_piece_is_handed_over_at_once_and_those_that_wait_are_joined() -> None:
    _, connection = connected()
    response = connection.start(chat(), b"")
    connection.data_received(CHUNKED)
    waiting = asyncio.create_task(response.chunk())
    await asyncio.sleep(0)
    connection.data_received(b"3\r\nabc\r\n")
    assert await waiting == b"abc"
    feed(connection, [b"3\r\ndef\r\n", b"3\r\nghi\r\n", b"0\r\n\r\n"])
    assert await response.chunk() == b"defghi"
    assert await response.chunk() == b""
    assert await response.chunk() == b""


async def test_a_whole_answer_wakes_its_reader_once() -> None:
    _, connection = connected()
    response = connection.start(chat(streaming=False), b"")
    waiter = response.waiter = asyncio.get_running_loop().create_future()
    feed(connection, [OK[:20], OK[20:45]])
    assert not waiter.done()
    feed(connection, [OK[45:]])
    assert waiter.done()
    assert await response.read(100) == JSON


@pytest.mark.parametrize("arrived", [False, True])
async def test_a_body_over_the_limit_is_refused(arrived: bool) -> None:
    wire, connection = connected()
    response = connection.start(chat(), b"")
    connection.data_received(OK if arrived else OK[:-1])
    with pytest.raises(UpstreamFailed, match="larger than 9 bytes"):
        await response.read(9)
    assert wire.aborted is not arrived


async def test_cancel_wakes_the_reader_with_its_error() -> None:
    wire, connection = connected()
    response = connection.start(chat(), b"")
    connection.data_received(OK[:-8])
    assert await response.chunk() == JSON[:-8]
    waiting = asyncio.create_task(response.chunk())
    await asyncio.sleep(0)
    response.cancel(ClientGone("gone"))
    with pytest.raises(ClientGone):
        await waiting
    assert (wire.aborted, wire.forgotten) == (True, 1)
    with pytest.raises(ClientGone):
        await response.chunk()


async def test_cancelling_the_task_that_reads_closes_the_connection() -> None:
    wire, connection = connected()
    response = connection.start(chat(), b"")
    connection.data_received(OK[:-8])
    await response.chunk()
    waiting = asyncio.create_task(response.chunk())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert wire.aborted


async def test_close_is_harmless_after_the_end_and_twice() -> None:
    wire, connection = connected()
    response = connection.start(chat(), b"")
    connection.data_received(OK)
    assert await response.read(100) == JSON
    again = connection.start(chat(), b"")
    response.close()
    response.close()
    assert not wire.aborted  # it belongs to the second call by now
    again.close()
    again.close()
    assert wire.forgotten == 1
    with pytest.raises(StreamCut):
        await again.chunk()


async def test_close_with_bytes_unread_is_not_an_end() -> None:
    _, connection = connected()
    response = connection.start(chat(), b"")
    connection.data_received(OK)
    response.close()
    with pytest.raises(StreamCut):
        await response.chunk()


TIMERS = [
    # streaming, what arrives, the timer's name, seconds after the start (or after the last byte, where one arrived)
    (True, b"", "first_byte_s", 10.0),
    (False, b"", "total_s", 100.0),
    (True, b"HTTP/1.1 200 OK\r\n\r\n", "idle_s", 20.0),
    (True, b"HTTP/1.1 200 OK\r\n\r\n:\n", "idle_s", 20.0),
    (False, b"HTTP/1.1 200 OK\r\n\r\n", "total_s", 100.0),
    (False, b"HTTP/1.1 200 OK\r\n\r\n{", "idle_s", 20.0),
]


@pytest.mark.parametrize(("streaming", "arrives", "timer", "seconds"), TIMERS)
async def test_the_timer_that_runs_out_is_named(streaming: bool, arrives: bytes, timer: str, seconds: float) -> None:
    _, connection = connected()
    response = connection.start(chat(streaming=streaming), b"")
    if arrives:
        connection.data_received(arrives)
    start = connection.heard if timer == "idle_s" else response.started
    checks = [start + seconds * share for share in (0.0, 0.5, 0.9, 0.999)]
    for now in checks:
        if now >= connection.due:
            connection.check(now)
        assert not connection.closed
    assert connection.due <= start + seconds + 1e-6
    connection.check(start + seconds)
    assert connection.closed
    assert isinstance(response.error, UpstreamTimeout)
    assert f"{timer} = {seconds:g} s" in response.error.message


async def test_the_total_ends_an_answer_that_never_falls_silent() -> None:
    _, connection = connected()
    response = connection.start(chat(), b"")
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
    for second in range(0, 100, 5):
        connection.heard = response.started + second
        connection.check(response.started + second)
        assert not connection.closed
    connection.heard = response.started + 100
    connection.check(response.started + 100)
    assert isinstance(response.error, UpstreamTimeout)
    assert "total_s" in response.error.message


async def test_a_silence_of_our_own_making_is_not_the_providers() -> None:
    wire, connection = connected()
    response = connection.start(chat(), b"")
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (UNREAD_LIMIT_BYTES + 1))
    assert not wire.is_reading()
    connection.check(connection.heard + 50)
    assert not connection.closed
    await response.chunk()
    connection.check(connection.heard + 20)
    assert connection.closed


async def test_an_idle_connection_has_no_timer() -> None:
    _, connection = connected()
    connection.start(chat(), b"")
    connection.data_received(OK)
    assert connection.due == float("inf")
    connection.check(float("inf"))
    assert not connection.closed


async def test_no_secret_is_in_an_error() -> None:
    _, connection = connected()
    response = connection.start(chat(), b"authorization: Bearer sk-secret\r\n")
    connection.data_received(b"sk-secret-in-the-answer\r\n")
    assert isinstance(response.error, UpstreamFailed)
    assert "sk-secret" not in response.error.message
