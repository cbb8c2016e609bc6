"""A gateway on loopback that answers as a script says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

Answers = Callable[..., str]


@pytest.fixture
def gateway_url() -> Iterator[Answers]:
    """`gateway_url(status, body)` starts one in a thread of its own and gives its URL. `heads` gets what was sent."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers: list[asyncio.Server] = []

    def start(status: int, body: bytes, heads: list[bytes] | None = None, headers: bytes = b"") -> str:
        async def program(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            if heads is not None:
                heads.append(head + await reader.readexactly(length))
            writer.write(b"HTTP/1.1 %d X\r\nconnection: close\r\n%b\r\n" % (status, headers))
            for piece in range(0, len(body), 7):
                writer.write(body[piece : piece + 7])
            await writer.drain()
            writer.close()

        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(program, "127.0.0.1", 0), loop).result()
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield start
    for server in servers:
        loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
