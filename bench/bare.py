"""The yardstick: the least that can stand between a caller and a provider in Python, on the same server.

uvicorn, a table of keys, one parse of the whole body, a keep-alive client without timers or faults. How long it takes
says how fast the machine is today; bench/report.py divides by that. Started as `uvicorn bench.bare:app`.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import httptools
import orjson

from trunkline.http.asgi import Receive, Scope, Send

PORT = int(os.environ.get("BENCH_UPSTREAM", "9100"))
KEYS = {b"Bearer sk-bench-%04d" % number: number for number in range(1000)}
HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer sk-upstream\r\n"
    b"Content-Type: application/json\r\nContent-Length: "
)
JSON = (b"content-type", b"application/json")


class Link(asyncio.Protocol):
    """One connection to the mock, one answer at a time."""

    free: list[Link] = []  # noqa: RUF012 - shared on purpose

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.parts: list[bytes] = []
        self.waiter: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self.free:
            self.free.remove(self)

    def on_body(self, data: bytes) -> None:
        self.parts.append(data)

    def on_message_complete(self) -> None:
        waiter, parts = self.waiter, self.parts
        self.waiter, self.parts = None, []
        self.free.append(self)
        if waiter is not None and not waiter.done():
            waiter.set_result(parts[0] if len(parts) == 1 else b"".join(parts))


async def post(body: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    if Link.free:
        link = Link.free.pop()
    else:
        _, link = await loop.create_connection(Link, "127.0.0.1", PORT)
    link.waiter = loop.create_future()
    link.transport.write(b"".join((HEAD, str(len(body)).encode(), b"\r\n\r\n", body)))
    return await link.waiter


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    key = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    status, answer = 401, b"{}"
    if key in KEYS and orjson.loads(body).get("model"):
        status, answer = 200, await post(body)
    length = (b"content-length", b"%d" % len(answer))
    await send({"type": "http.response.start", "status": status, "headers": [JSON, length]})
    await send({"type": "http.response.body", "body": answer})
