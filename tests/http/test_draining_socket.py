"""What is changed of uvicorn's WebSocket protocol, and that nothing else is."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from trunkline.http.draining_socket import SOCKET, DrainingSocket
from trunkline.http.lifecycle import configured

HANDSHAKE = (
    b"GET /v1/responses HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
)
CLOSE_1012 = b"\x88\x02\x03\xf4"


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def connected(*, heeds: bool) -> tuple[DrainingSocket, Transport, list[str]]:
    """After the upgrade; `heeds`: the application wants to hear of the end."""
    calls: list[str] = []
    accepted = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if heeds:
            scope[SOCKET].on_shutdown = lambda: calls.append("shutdown")
        await receive()
        await send({"type": "websocket.accept"})
        accepted.set()
        while (await receive())["type"] != "websocket.disconnect":
            pass

    config = Config(application, ws=DrainingSocket, log_config=None)
    config.load()
    socket = DrainingSocket(config, ServerState(), {})
    transport = Transport()
    socket.connection_made(transport)
    socket.data_received(HANDSHAKE)
    await accepted.wait()
    transport.written = b""
    return socket, transport, calls


async def end(socket: DrainingSocket) -> None:
    tasks = list(socket.tasks)
    socket.connection_lost(None)
    await asyncio.gather(*tasks)


async def test_an_application_that_heeds_closes_in_its_own_time() -> None:
    socket, transport, calls = await connected(heeds=True)
    socket.shutdown()
    assert (calls, transport.written, transport.closed) == (["shutdown"], b"", False)
    await end(socket)


async def test_any_other_is_closed_at_once() -> None:
    socket, transport, _ = await connected(heeds=False)
    socket.shutdown()
    assert (transport.written, transport.closed) == (CLOSE_1012, True)
    await end(socket)


async def test_one_that_has_closed_already_is_not_asked_again() -> None:
    socket, transport, calls = await connected(heeds=True)
    await socket.send({"type": "websocket.close", "code": 1000, "reason": ""})
    socket.shutdown()
    assert (calls, transport.closed) == ([], True)
    await end(socket)


def test_the_server_uses_it() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    assert configured(application).ws_protocol_class is DrainingSocket
