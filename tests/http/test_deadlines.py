"""Each test waits for what the server does: it ends the connection."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.http.cases import END, GET, HOST, POST
from tests.http.raw import Client, Running, connection_of, serving
from trunkline.http import lifecycle


@pytest.fixture(scope="module")
def hasty() -> Iterator[Running]:
    short = dict.fromkeys(("header_timeout_s", "keep_alive_s", "write_timeout_s", "body_grace_s"), 0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lifecycle, "SWEEP_S", 0.05)
        with serving(**short, body_rate_bytes_s=1_000) as server:
            yield server


def outlast_deadlines(hasty: Running) -> None:
    """Until a connection that began now has been ended by its deadline, so those that began before are over."""
    with Client(hasty.port) as witness:
        assert witness.rest() == b""


def test_a_connection_that_never_sends(hasty: Running) -> None:
    with Client(hasty.port) as client:
        assert client.rest() == b""


@pytest.mark.parametrize("begun", [b"G", b"GET /x HTTP/1.1\r\nHos", GET + HOST + b"x-a: b\r\n"])
def test_a_head_that_never_ends(hasty: Running, begun: bytes) -> None:
    with Client(hasty.port) as client:
        client.send(begun)
        assert client.answer().status == 408
        assert client.rest() == b""


def test_a_head_that_trickles(hasty: Running) -> None:
    """Bytes do not buy time: the deadline is for the whole head."""
    with Client(hasty.port) as client:
        ended = threading.Event()

        def trickle() -> None:
            while not ended.wait(0.05):
                client.send(b"x")

        client.send(GET + HOST + b"x-a: ")
        trickling = threading.Thread(target=trickle)
        trickling.start()
        try:
            assert client.answer().status == 408
        finally:
            ended.set()
            trickling.join()


def test_a_partial_head_after_an_answer(hasty: Running) -> None:
    with Client(hasty.port) as client:
        client.send(GET + HOST + END + b"GET /par")
        assert client.answer().status == 200
        assert client.answer().status == 408
        assert client.rest() == b""


def test_a_partial_head_behind_a_request_that_is_owed_its_answer(hasty: Running) -> None:
    with Client(hasty.port) as client:
        client.send(b"GET /late/hold HTTP/1.1\r\n" + HOST + END + b"GET /par")
        hasty.application.await_entered()
        outlast_deadlines(hasty)
        hasty.application.release("/late/hold")
        assert client.answer().body == b"held"
        assert client.rest() == b""


def test_a_partial_head_while_the_server_does_not_read(hasty: Running) -> None:
    with Client(hasty.port) as client:
        client.send(b"GET /full/hold HTTP/1.1\r\n" + HOST + END + GET + HOST + END + b"GET /par")
        hasty.application.await_entered()
        outlast_deadlines(hasty)
        hasty.application.release("/full/hold")
        assert client.answer().body == b"held"
        assert client.answer().facts()["path"] == "/x"
        client.send(b"tial HTTP/1.1\r\n" + HOST + END)
        assert client.answer().facts()["path"] == "/partial"


def test_a_body_that_stops(hasty: Running) -> None:
    with Client(hasty.port) as client:
        client.send(POST + HOST + b"Content-Length: 1000\r\n\r\nhalf")
        assert client.answer().status == 408
        assert client.rest() == b""


def test_a_body_that_came_fast_and_then_stops(hasty: Running) -> None:
    """What came early does not count for later: a window is a window."""
    with Client(hasty.port) as client:
        client.send(POST + HOST + b"Content-Length: 30000\r\n\r\n")
        connection = connection_of(hasty, client)
        while connection.window_since_s is None:
            threading.Event().wait(0.01)
        client.send(b"x" * 29_000)
        assert client.answer().status == 408


def test_a_body_in_no_hurry_while_the_server_does_not_read(hasty: Running) -> None:
    """Reading is paused behind a pipelined request, so the client cannot send, and is not blamed."""
    with Client(hasty.port) as client:
        client.send(
            b"GET /paused/hold HTTP/1.1\r\n" + HOST + END + POST + HOST + b"Content-Length: 5\r\n\r\n",
        )
        hasty.application.await_entered()
        outlast_deadlines(hasty)
        hasty.application.release("/paused/hold")
        assert client.answer().body == b"held"
        client.send(b"hello")
        assert client.answer().facts()["body"] == "hello"


def test_an_idle_connection(hasty: Running) -> None:
    with Client(hasty.port) as client:
        client.get("/x")
        assert client.answer().status == 200
        assert client.rest() == b""


def test_a_call_that_takes_long_is_not_idle(hasty: Running) -> None:
    with Client(hasty.port) as client:
        client.get("/long/hold")
        hasty.application.await_entered()
        outlast_deadlines(hasty)
        hasty.application.release("/long/hold")
        assert client.answer().body == b"held"


@pytest.mark.parametrize("path", ["/flood", "/lump"])
def test_a_client_that_never_reads(hasty: Running, path: str) -> None:
    """/flood waits for the client to read, /lump has left its whole answer to the transport."""
    with Client(hasty.port) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.get(path)
        deadline = time.monotonic() + 5
        while hasty.lifecycle.state.connections:
            assert time.monotonic() < deadline
            threading.Event().wait(0.02)


def test_a_client_that_reads_slowly_is_waited_for(hasty: Running) -> None:
    with Client(hasty.port) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.get("/lump")
        for _ in range(60):
            assert len(client.read(100_000)) == 100_000
            threading.Event().wait(0.01)
