from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from tests.http.raw import Client, Running, serving
from trunkline.http import lifecycle
from trunkline.http.protocol import PIPELINED_MAX, HardenedProtocol

HOST = b"Host: a\r\n"
END = b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
GET = b"GET /x HTTP/1.1\r\n"
POST = b"POST /x HTTP/1.1\r\n"


def long_headers(size: int) -> bytes:
    """Header lines of `size` bytes together."""
    line = b"x-%04d: " + b"v" * 990 + b"\r\n"
    lines = b"".join(line % number for number in range(size // 1_000))
    return lines + b"x-last: " + b"v" * (size % 1_000) + b"\r\n"


# What is served. RFC 9112 unless another is named.
SERVED = {
    "a plain GET": GET + HOST + END,
    "a body of known length": POST + HOST + b"Content-Length: 5\r\n\r\nhello",
    "a chunked body (7.1)": POST + HOST + CHUNKED + b"\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    "chunked in capitals": POST + HOST + b"Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "a chunk extension (7.1.1)": POST + HOST + CHUNKED + b"\r\n5;n=v\r\nhello\r\n0\r\n\r\n",
    "a trailer (7.1.2)": POST + HOST + CHUNKED + b"\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
    "an empty line before the request (2.2)": b"\r\n" + GET + HOST + END,
    "a header without a value": GET + HOST + b"x-empty:\r\n\r\n",
    "space around a value": GET + b"Host: \t a \t\r\n\r\n",
    "a header name in capitals": GET + b"HOST: a\r\n\r\n",
    "space behind a length": POST + HOST + b"Content-Length: 5 \r\n\r\nhello",
    "space behind a coding": POST + HOST + b"Transfer-Encoding: chunked \r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.0": b"GET /x HTTP/1.0\r\n" + HOST + END,
    "HTTP/1.0 with a body": b"POST /x HTTP/1.0\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    "the absolute form (3.2.2)": b"GET http://a/x HTTP/1.1\r\n" + HOST + END,
    "the absolute form, host in capitals": b"GET HTTP://A/x HTTP/1.1\r\n" + HOST + END,
    "the absolute form with a port": b"GET http://a:81/x HTTP/1.1\r\nHost: a:81\r\n\r\n",
    "the asterisk form (3.2.4)": b"OPTIONS * HTTP/1.1\r\n" + HOST + END,
    "a Host with a port": GET + b"Host: a:8080\r\n\r\n",
    "a Host with an empty port": GET + b"Host: a:\r\n\r\n",
    "a Host that is an IPv4 address": GET + b"Host: 127.0.0.1:8080\r\n\r\n",
    "a Host that is an IPv6 address": GET + b"Host: [::1]:8080\r\n\r\n",
    "an upgrade offer without a body (RFC 9110 7.8)": GET + HOST + H2C + END,
    "an upgrade offer with a body": POST + HOST + H2C + b"Content-Length: 5\r\n\r\nhello",
    "an upgrade offer with a chunked body": POST + HOST + H2C + CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r\n",
    "a WebSocket offer that has a body": POST
    + HOST
    + b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello",
    "headers just within the limit": GET + HOST + long_headers(65_000) + END,
    "a request line just within the limit": b"GET /" + b"x" * 8_100 + b" HTTP/1.1\r\n" + HOST + END,
}
HAVE_BODY = ("body", "chunk", "coding", "length", "trailer")

# What is refused, and how.
REFUSED = {
    "no Host (3.2)": (400, GET + b"\r\n"),
    "no Host in HTTP/1.0": (400, b"GET /x HTTP/1.0\r\n\r\n"),
    "two Hosts": (400, GET + HOST + b"Host: b\r\n\r\n"),
    "the same Host twice": (400, GET + HOST + HOST + END),
    "an empty Host": (400, GET + b"Host:\r\n\r\n"),
    "userinfo in Host (RFC 3986 3.2.1)": (400, GET + b"Host: x@a\r\n\r\n"),
    "a space in Host": (400, GET + b"Host: a b\r\n\r\n"),
    "a list of Hosts": (400, GET + b"Host: a,b\r\n\r\n"),
    "a path in Host": (400, GET + b"Host: a/healthz?x=\r\n\r\n"),
    "a port that is no number": (400, GET + b"Host: a:b\r\n\r\n"),
    "a port out of range": (400, GET + b"Host: a:65536\r\n\r\n"),
    "an open bracket in Host": (400, GET + b"Host: [::1\r\n\r\n"),
    "no address in brackets": (400, GET + b"Host: [1:2]\r\n\r\n"),
    "a broken escape in Host": (400, GET + b"Host: a%2\r\n\r\n"),
    "an absolute target of another host (3.2.2)": (400, b"GET http://b/x HTTP/1.1\r\n" + HOST + END),
    "an absolute target of another port": (400, b"GET http://a:81/x HTTP/1.1\r\n" + HOST + END),
    "an absolute target with userinfo": (400, b"GET http://x@a/x HTTP/1.1\r\n" + HOST + END),
    "an absolute target of another scheme": (400, b"GET ftp://a/x HTTP/1.1\r\n" + HOST + END),
    "the asterisk form of a GET": (400, b"GET * HTTP/1.1\r\n" + HOST + END),
    "CONNECT (RFC 9110 9.3.6)": (400, b"CONNECT a:80 HTTP/1.1\r\n" + HOST + END),
    "a relative target": (400, b"GET x HTTP/1.1\r\n" + HOST + END),
    "a fragment in the target": (400, b"GET /x#y HTTP/1.1\r\n" + HOST + END),
    "a target that is not ASCII": (400, b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + END),
    "an unknown method": (400, b"FETCH /x HTTP/1.1\r\n" + HOST + END),
    "HTTP/0.9 without a version": (505, b"GET /x\r\n\r\n"),
    "HTTP/0.9": (505, b"GET /x HTTP/0.9\r\n" + HOST + END),
    "HTTP/2.0": (505, b"GET /x HTTP/2.0\r\n" + HOST + END),
    "HTTP/1.2": (400, b"GET /x HTTP/1.2\r\n" + HOST + END),
    "HTTP/3.0": (400, b"GET /x HTTP/3.0\r\n" + HOST + END),
    "the preface of HTTP/2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "Transfer-Encoding in HTTP/1.0 (6.1)": (400, b"POST /x HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n0\r\n\r\n"),
    "length and chunks (6.3)": (400, POST + HOST + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n"),
    "chunks and length": (400, POST + HOST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n"),
    "Transfer-Encoding twice": (400, POST + HOST + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n"),
    "gzip, chunked": (501, POST + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "chunked, identity": (400, POST + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    "xchunked": (501, POST + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "two lengths": (400, POST + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    "the same length twice": (400, POST + HOST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    "a list of lengths": (400, POST + HOST + b"Content-Length: 5, 5\r\n\r\nhello"),
    "a signed length": (400, POST + HOST + b"Content-Length: +5\r\n\r\nhello"),
    "a negative length": (400, POST + HOST + b"Content-Length: -5\r\n\r\nhello"),
    "a length in hex": (400, POST + HOST + b"Content-Length: 0x5\r\n\r\nhello"),
    "a length beyond 64 bits": (400, POST + HOST + b"Content-Length: 18446744073709551617\r\n\r\nhello"),
    "an empty length": (400, POST + HOST + b"Content-Length:\r\n\r\nhello"),
    "a folded header (5.2)": (400, GET + HOST + b"x-a: b\r\n c\r\n\r\n"),
    "a fold before the first header (2.2)": (400, GET + b" Host: a\r\n\r\n"),
    "space before the colon (5.1)": (400, GET + b"Host : a\r\n\r\n"),
    "a header without a colon": (400, GET + HOST + b"x-a\r\n\r\n"),
    "a header without a name": (400, GET + HOST + b": b\r\n\r\n"),
    "NUL in a value": (400, GET + HOST + b"x-a: b\x00c\r\n\r\n"),
    "a bare CR in a value (2.2)": (400, GET + HOST + b"x-a: b\rc\r\n\r\n"),
    "bare LF (2.2)": (400, b"GET /x HTTP/1.1\nHost: a\n\n"),
    "a chunk size that is no number": (400, POST + HOST + CHUNKED + b"\r\nxyz\r\n"),
    "a chunk size in C's hex": (400, POST + HOST + CHUNKED + b"\r\n0x5\r\nhello\r\n0\r\n\r\n"),
    "a signed chunk size": (400, POST + HOST + CHUNKED + b"\r\n+5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size beyond 64 bits": (400, POST + HOST + CHUNKED + b"\r\n10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "a chunk longer than its size": (400, POST + HOST + CHUNKED + b"\r\n4\r\nhello\r\n0\r\n\r\n"),
    "bare LF behind a chunk size": (400, POST + HOST + CHUNKED + b"\r\n5\nhello\r\n0\r\n\r\n"),
    "LF in a chunk extension": (400, POST + HOST + CHUNKED + b"\r\n5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "an endless chunk extension": (400, POST + HOST + CHUNKED + b"\r\n5;" + b"x" * 200_000 + b"\r\nhello\r\n0\r\n\r\n"),
    "an endless trailer": (400, POST + HOST + CHUNKED + b"\r\n0\r\nx: " + b"y" * 200_000),
    "endless trailers": (400, POST + HOST + CHUNKED + b"\r\n0\r\n" + b"x: y\r\n" * 40_000),
    "an expectation that nobody knows (RFC 9110 10.1.1)": (417, GET + HOST + b"Expect: more\r\n\r\n"),
    "a long request line": (414, b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n" + HOST + END),
    "an endless request line": (414, b"GET /" + b"x" * 200_000),
    "large headers": (431, GET + HOST + long_headers(70_000) + END),
    "one large header": (431, GET + HOST + b"x-a: " + b"b" * 70_000 + b"\r\n\r\n"),
    "endless headers": (431, GET + HOST + long_headers(200_000)),
    "an endless header": (431, GET + HOST + b"x-a: " + b"b" * 200_000),
    "endless empty lines": (431, b"\r\n" * 100_000),
}
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


def connection_of(running: Running, client: Client) -> HardenedProtocol:
    """The server's side of the client's connection, once there is one."""
    while True:
        for connection in list(running.lifecycle.state.connections):
            if isinstance(connection, HardenedProtocol) and connection.client == client.socket.getsockname():
                return connection
        threading.Event().wait(0.01)


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


# Deadlines: each test waits for the connection to end.


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


def test_a_reset_is_no_error(running: Running) -> None:
    with Client(running.port) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.send(POST + HOST + b"Content-Length: 100\r\n\r\nhalf")
        client.reset()
    with Client(running.port) as client:
        client.get("/x")
        assert client.answer().status == 200


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
