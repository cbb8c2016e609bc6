"""Requests as raw bytes: what a server must serve, and what it must refuse and how. From RFC 9112 and RFC 9110."""

from __future__ import annotations

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
