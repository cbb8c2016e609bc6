from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from tests.http.cases import CHUNKED, END, GET, H2C, HAVE_BODY, HOST, POST, REFUSED, SERVED
from tests.http.raw import Client, Running, connection_of, serving
from trunkline.http.protocol import PIPELINED_MAX

assert len(SERVED) + len(REFUSED) > 57


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with serving() as server:
        yield server


@pytest.mark.parametrize("name", SERVED)
@pytest.mark.parametrize("pieces", ["whole", "bytes"])
def test_served(running: Running, name: str, pieces: str) -> None:
    request = SERVED[name]
    with Client(running.port) as client:
        client.send(*split(request, pieces))
        answer = client.answer()
        assert answer.status == 200
        expected = 5 if any(word in name for word in HAVE_BODY) and "without a body" not in name else 0
        assert answer.facts()["length"] == expected
        # The body was read to its end and no further: the next request on the connection is the next request.
        if "HTTP/1.0" not in name:
            client.get("/next")
            assert client.answer().facts()["path"] == "/next"


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("pieces", ["whole", "bytes"])
def test_refused(running: Running, name: str, pieces: str) -> None:
    status, request = REFUSED[name]
    with Client(running.port) as client:
        client.send(*split(request, pieces))
        answer = client.answer()
        assert answer.status == status
        error = answer.facts()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["type"] == "invalid_request_error"
        assert answer.headers["x-request-id"]
        assert answer.headers["connection"] == "close"
        assert client.rest() == b""


def split(request: bytes, pieces: str) -> list[bytes]:
    """Byte by byte the parser sees every boundary; what is long is cut at odd places."""
    size = len(request) if pieces == "whole" else 1 if len(request) < 1_000 else 9_973
    return [request[at : at + size] for at in range(0, len(request), size)]


def test_a_header_over_many_segments_is_one_header(running: Running) -> None:
    with Client(running.port) as client:
        client.send(*split(GET + HOST + b"x-a: value \t\r\n\r\n", "bytes"))
        assert ["x-a", "value"] in client.answer().facts()["headers"]


def test_what_the_absolute_form_and_an_offer_become(running: Running) -> None:
    with Client(running.port) as client:
        client.send(b"GET http://a?q=1 HTTP/1.1\r\n" + HOST + END)
        facts = client.answer().facts()
        assert (facts["path"], facts["query"]) == ("/", "q=1")
        client.send(POST + HOST + b"x-kept: 1\r\n" + H2C + b"Content-Length: 5\r\n\r\nhello")
        facts = client.answer().facts()
        assert facts["body"] == "hello"
        names = [name for name, _ in facts["headers"]]
        assert "x-kept" in names
        assert not {"upgrade", "http2-settings"} & set(names)


def test_trailers_never_reach_the_request(running: Running) -> None:
    with Client(running.port) as client:
        head = POST + HOST + CHUNKED + b"\r\n"
        trailers = b"Authorization: Bearer x\r\nHost: b\r\nConnection: upgrade\r\nUpgrade: websocket\r\nExpect: y\r\n"
        client.send(head + b"5\r\nhello\r\n0\r\n" + trailers + END)
        facts = client.answer().facts()
        assert [name for name, _ in facts["headers"]] == ["host", "transfer-encoding"]
        client.send(GET + HOST + END)
        assert client.answer().facts()["headers"] == [["host", "a"]]


def test_many_small_chunks_are_no_overhead(running: Running) -> None:
    with Client(running.port) as client:
        client.send(POST + HOST + CHUNKED + END, b"1\r\nx\r\n" * 50_000, b"0\r\n\r\n")
        assert client.answer().facts()["length"] == 50_000


def test_pipelined_requests_are_answered_in_order(running: Running) -> None:
    with Client(running.port) as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\n" % number + HOST + END for number in range(20)))
        assert [client.answer().facts()["path"] for _ in range(20)] == [f"/{number}" for number in range(20)]


def test_a_pipelined_body_behind_a_chunked_one(running: Running) -> None:
    with Client(running.port) as client:
        body = b"z" * 200_000
        client.send(
            POST + HOST + CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r\n",
            POST + HOST + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        )
        assert [client.answer().facts()["length"] for _ in range(2)] == [5, len(body)]


def test_too_many_pipelined_requests(running: Running) -> None:
    """Those that fit are answered, then the connection ends."""
    with Client(running.port) as client:
        client.get("/many/hold")
        running.application.await_entered()
        client.send((GET + HOST + END) * 10 * PIPELINED_MAX)
        running.application.release("/many/hold")
        answers = client.rest().count(b"HTTP/1.1 200")
        assert 1 < answers <= PIPELINED_MAX + 1


def test_expect_100_continue(running: Running) -> None:
    with Client(running.port) as client:
        client.send(POST + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert client.answer().status == 100
        client.send(b"hello")
        assert client.answer().facts()["body"] == "hello"


def test_an_unread_body_is_passed_over(running: Running) -> None:
    with Client(running.port) as client:
        client.send(b"POST /unread/hold HTTP/1.1\r\n" + HOST + b"Content-Length: 300000\r\n\r\n")
        running.application.await_entered()
        running.application.release("/unread/hold")
        client.send(b"x" * 300_000)
        assert client.answer().body == b"held"
        client.get("/next")
        assert client.answer().facts()["path"] == "/next"


def test_the_refusal_reaches_a_client_that_is_still_sending(running: Running) -> None:
    with Client(running.port) as client:
        client.send(GET + b"Host: a b\r\n\r\n" + b"x" * 4_000_000)
        assert client.answer().status == 400
        assert client.rest() == b""


def test_a_refused_client_is_not_reset_at_once(running: Running) -> None:
    """A reset makes a client throw away the refusal that it has not read yet."""
    with Client(running.port) as client:
        client.send(GET + b"Host: a b\r\n\r\n")
        client.answer()
        assert client.rest() == b""
        for _ in range(10):
            client.socket.sendall(b"still sending")
            threading.Event().wait(0.01)


# A framing error is never answered in the place of another request.


def test_garbage_behind_a_request_that_is_owed_its_answer(running: Running) -> None:
    with Client(running.port) as client:
        client.send(b"GET /owed/hold HTTP/1.1\r\n" + HOST + END + b"\x00garbage\r\n\r\n")
        running.application.await_entered()
        running.application.release("/owed/hold")
        answer = client.answer()
        assert (answer.status, answer.body, answer.headers["connection"]) == (200, b"held", "close")
        assert client.rest() == b""


def test_garbage_behind_a_request_whose_answer_has_begun(running: Running) -> None:
    with Client(running.port) as client:
        client.get("/begun/stream")
        running.application.await_entered()
        client.send(b"\x00garbage\r\n\r\n", GET + HOST + END)
        running.application.release("/begun/stream")
        answer = client.answer()
        assert (answer.status, answer.body) == (200, b"begun ended")
        assert client.rest() == b""


def test_garbage_behind_a_request_that_is_answered(running: Running) -> None:
    with Client(running.port) as client:
        client.get("/x")
        assert client.answer().status == 200
        client.send(b"\x00garbage\r\n\r\n")
        assert client.answer().status == 400
        assert client.rest() == b""


def test_a_body_that_breaks_before_its_answer(running: Running) -> None:
    application = running.application
    application.gone.clear()
    with Client(running.port) as client:
        client.send(b"POST /gone HTTP/1.1\r\n" + HOST + CHUNKED + END)
        application.await_entered()
        client.send(b"zz\r\n")
        assert client.answer().status == 400
        assert application.gone.wait(1)
        assert client.rest() == b""


def test_a_body_that_breaks_after_its_answer_has_begun(running: Running) -> None:
    """No end is made up for it: the client sees that the answer is cut."""
    with Client(running.port) as client:
        client.send(b"POST /cut/stream HTTP/1.1\r\n" + HOST + CHUNKED + END)
        running.application.await_entered()
        client.send(b"zz\r\n")
        assert client.rest().endswith(b"6\r\nbegun \r\n")
        running.application.release("/cut/stream")


def test_a_body_that_breaks_after_its_answer(running: Running) -> None:
    with Client(running.port) as client:
        client.send(b"POST /early/hold HTTP/1.1\r\n" + HOST + CHUNKED + END)
        running.application.await_entered()
        running.application.release("/early/hold")
        assert client.answer().body == b"held"
        client.send(b"zz\r\n")
        assert client.rest() == b""


def test_a_pipelined_body_that_breaks(running: Running) -> None:
    """The requests before it are answered; it is not, and neither is what follows it."""
    with Client(running.port) as client:
        client.send(
            b"GET /first/hold HTTP/1.1\r\n"
            + HOST
            + END
            + b"GET /second HTTP/1.1\r\n"
            + HOST
            + END
            + POST
            + HOST
            + CHUNKED
            + b"\r\nzz\r\n"
            + GET
            + HOST
            + END
        )
        running.application.await_entered()
        running.application.release("/first/hold")
        assert client.answer().body == b"held"
        last = client.answer()
        assert (last.facts()["path"], last.headers["connection"]) == ("/second", "close")
        assert client.rest() == b""


# WebSockets.

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)


def test_a_websocket_is_handed_over_without_compression(running: Running) -> None:
    with Client(running.port) as client:
        client.send(HANDSHAKE)
        head = client._until(rb"\r\n\r\n").lower()
        assert head.startswith(b"http/1.1 101")
        assert b"permessage-deflate" not in head


def test_bytes_behind_a_handshake(running: Running) -> None:
    with Client(running.port) as client:
        client.send(HANDSHAKE + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.answer().status == 400
        assert client.rest() == b""


def test_a_handshake_behind_a_request_that_is_owed_its_answer(running: Running) -> None:
    with Client(running.port) as client:
        client.send(b"GET /before/hold HTTP/1.1\r\n" + HOST + END + HANDSHAKE)
        running.application.await_entered()
        running.application.release("/before/hold")
        assert client.answer().body == b"held"
        assert client.rest() == b""


def test_a_handshake_with_a_bad_host(running: Running) -> None:
    with Client(running.port) as client:
        client.send(HANDSHAKE.replace(HOST, b"Host: a b\r\n"))
        assert client.answer().status == 400


# Who is told when a client leaves.


def test_on_gone_is_called_once_the_client_is_lost(running: Running) -> None:
    application = running.application
    application.gone.clear()
    application.disconnected.clear()
    with Client(running.port) as client:
        client.get("/gone")
        application.await_entered()
        assert not application.gone.is_set()
        client.reset()
        assert application.gone.wait(5)
        assert application.disconnected.wait(5)


def test_on_gone_of_a_request_with_others_behind_it(running: Running) -> None:
    application = running.application
    application.gone.clear()
    application.disconnected.clear()
    with Client(running.port) as client:
        client.send(b"GET /gone HTTP/1.1\r\n" + HOST + END + GET + HOST + END)
        application.await_entered()
        client.reset()
        assert application.gone.wait(5)
        assert application.disconnected.wait(5)


def test_the_second_in_line_is_told_too(running: Running) -> None:
    application = running.application
    application.gone.clear()
    application.disconnected.clear()
    with Client(running.port) as client:
        client.send(
            b"GET /ahead/hold HTTP/1.1\r\n" + HOST + END + b"GET /gone HTTP/1.1\r\n" + HOST + END + GET + HOST + END
        )
        application.await_entered()
        application.release("/ahead/hold")
        assert client.answer().body == b"held"
        application.await_entered()
        client.reset()
        assert application.gone.wait(5)
        assert application.disconnected.wait(5)


def test_on_gone_is_forgotten_with_the_answer(running: Running) -> None:
    """The connection outlives its requests: the next one must not find the last one's listener."""
    with Client(running.port) as client:
        client.get("/x")
        client.answer()
        assert connection_of(running, client).on_gone is None


def test_a_reset_is_no_error(running: Running) -> None:
    with Client(running.port) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.send(POST + HOST + b"Content-Length: 100\r\n\r\nhalf")
        client.reset()
    with Client(running.port) as client:
        client.get("/x")
        assert client.answer().status == 200


# Overload.


def test_one_call_too_many_is_told_so_and_probes_are_not() -> None:
    with serving(max_in_flight=1) as running, Client(running.port) as busy, Client(running.port) as other:
        busy.get("/hold")
        running.application.await_entered()
        assert running.application.serving.in_flight == 1
        other.get("/v1/models")
        refused = other.answer()
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert refused.facts()["error"]["type"] == "server_error"
        assert refused.headers["x-request-id"]
        other.get("/readyz")
        assert other.answer().status == 200
        other.send(HANDSHAKE)
        assert other.answer().status == 503
        running.application.release("/hold")
        assert busy.answer().body == b"held"
        while running.application.serving.in_flight:
            threading.Event().wait(0.01)
        busy.get("/x")
        assert busy.answer().status == 200


# Behind a proxy.


def test_forwarded_headers_count_from_a_trusted_proxy_alone(running: Running) -> None:
    request = GET + HOST + b"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n\r\n"
    with Client(running.port) as client:
        client.send(request)
        facts = client.answer().facts()
        assert (facts["client"], facts["scheme"]) == ("127.0.0.1", "http")
    with serving(trusted_proxies=("127.0.0.0/8",)) as trusting, Client(trusting.port) as client:
        client.send(request)
        facts = client.answer().facts()
        assert (facts["client"], facts["scheme"]) == ("203.0.113.7", "https")
        client.send(GET + HOST + END)
        assert client.answer().facts()["client"] == "127.0.0.1"
