"""Token endpoints and metadata servers on loopback: real HTTP, answers by path, and everything that was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec

from trunkline.providers.transport import Origin

if TYPE_CHECKING:
    from tests.providers.conftest import Loopback

Answer = tuple[int, bytes] | tuple[int, bytes, bytes]
"""Status, body, further header lines."""


class Asked(msgspec.Struct):
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), strict_parsing=True))


class TokenServer:
    """`answers` by target without its query; a function makes each anew. `hold` keeps every answer back until set."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: dict[str, Answer | Callable[[Asked], Answer]] = {}
        self.hold: asyncio.Event | None = None
        self.origin = Origin("http", "127.0.0.1", 0)

    async def start(self, loopback: Loopback) -> TokenServer:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head = await loopback.receive(reader)
                asked = _read(head, loopback.bodies[-1])
                self.asked.append(asked)
                if self.hold is not None:
                    await self.hold.wait()
                writer.write(self._answer(asked))
                await writer.drain()

        self.origin = await loopback.serve(script)
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.origin.port}"

    def _answer(self, asked: Asked) -> bytes:
        found = self.answers.get(asked.target.partition("?")[0], (404, b"not here"))
        status, body, *more = found(asked) if callable(found) else found
        head = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n" % (status, len(body))
        return head + b"".join(more) + b"\r\n" + body


def _read(head: bytes, body: bytes) -> Asked:
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, target, _ = first.split(" ")
    return Asked(
        method, target, {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}, body
    )


def token(value: str, expires_in: object = 3600) -> Answer:
    return 200, json.dumps({"access_token": value, "expires_in": expires_in, "token_type": "Bearer"}).encode()
