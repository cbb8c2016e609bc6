"""What is changed of uvicorn's WebSocket protocol, and that nothing else is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from trunkline.http.draining_socket import SOCKET, DrainingSocket
from trunkline.http.forwarded import TrustedProxies
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

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 8080)}.get(name, default)


async def connected(
    *, heeds: bool, proxies: TrustedProxies | None = None, head: bytes = HANDSHAKE
) -> tuple[DrainingSocket, Transport, list[str]]:
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

    config = Config(application, ws=DrainingSocket, log_config=None, proxy_headers=False)
    config.load()
    state: Any = ServerState()
    if proxies is not None:
        state.trusted = proxies
    socket = DrainingSocket(config, state, {})
    transport = Transport()
    socket.connection_made(transport)
    socket.data_received(head)
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


@pytest.mark.parametrize(
    ("networks", "client"),
    [(("127.0.0.0/8",), "203.0.113.5"), (("10.0.0.0/8",), "127.0.0.1"), ((), "127.0.0.1"), (None, "127.0.0.1")],
)
async def test_the_client_is_whom_a_trusted_proxy_names(networks: tuple[str, ...] | None, client: str) -> None:
    proxies = None if networks is None else TrustedProxies(networks)
    head = HANDSHAKE.removesuffix(b"\r\n") + b"x-forwarded-for: 198.51.100.9, 203.0.113.5\r\n\r\n"
    socket, _, _ = await connected(heeds=False, proxies=proxies, head=head)
    assert socket.scope["client"] is not None
    assert socket.scope["client"][0] == client
    await end(socket)


def test_the_server_uses_it() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    assert configured(application).ws_protocol_class is DrainingSocket
