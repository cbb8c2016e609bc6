"""What a request is refused with before the application sees it: status, code and a body in OpenAI's envelope.

Here the protocol the caller speaks is not known yet, so there is one envelope for all.
"""

from __future__ import annotations

from http import HTTPStatus

from trunkline.http.asgi import Headers
from trunkline.wire import codec


class Refusal(Exception):
    """`status` and the headers and body that go with it. Raised in a parser callback, or answered as it is."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        kind = "server_error" if status == 503 else "invalid_request_error"
        self.status = status
        self.code = code
        self.body = codec.encode({"error": {"message": message, "type": kind, "param": None, "code": code}})
        self.headers: Headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(self.body)).encode()),
        ]
        if status == 503:
            self.headers.append((b"retry-after", b"1"))

    def response(self, further: Headers) -> bytes:
        """The whole HTTP/1.1 response. The connection closes behind it: what follows cannot be trusted."""
        head = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n".encode()]
        for name, value in (*further, *self.headers, (b"connection", b"close")):
            head += [name, b": ", value, b"\r\n"]
        return b"".join((*head, b"\r\n", self.body))


MALFORMED = Refusal(400, "malformed_request", "The bytes on this connection are not an HTTP/1.1 request.")
HOST = Refusal(400, "invalid_host", "Send exactly one Host header: a name or an address, with a port if need be.")
HOST_DIFFERS = Refusal(400, "invalid_host", "The request target names another host than the Host header.")
TARGET = Refusal(400, "invalid_target", "The request target must be a path such as /v1/models.")
CODING_IN_1_0 = Refusal(400, "malformed_request", "HTTP/1.0 has no Transfer-Encoding: send a Content-Length.")
CODING = Refusal(501, "unsupported_transfer_encoding", "The only Transfer-Encoding served is chunked.")
CHUNK_OVERHEAD = Refusal(400, "malformed_request", "Chunk extensions and trailers are longer than the server allows.")
BEHIND_UPGRADE = Refusal(400, "malformed_request", "Wait for the answer to the WebSocket handshake before sending.")
PIPELINED = Refusal(400, "too_many_pipelined", "Too many requests are waiting on this connection.")
HEAD_LATE = Refusal(408, "request_timeout", "The request head took too long to arrive.")
BODY_LATE = Refusal(408, "request_timeout", "The request body arrives too slowly.")
TARGET_LONG = Refusal(414, "url_too_long", "The request line is longer than the server allows.")
EXPECTATION = Refusal(417, "unsupported_expectation", "The only expectation served is 100-continue.")
HEAD_LONG = Refusal(431, "headers_too_large", "The request headers are larger than the server allows.")
OVERLOADED = Refusal(503, "overloaded", "The server has as many calls in flight as it may have. Try again shortly.")
VERSION = Refusal(505, "unsupported_http_version", "Only HTTP/1.1 and HTTP/1.0 are served.")
