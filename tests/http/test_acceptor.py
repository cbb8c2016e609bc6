from __future__ import annotations

import asyncio
import errno
import os
import socket

import pytest

from trunkline.http import acceptor, listening
from trunkline.http.acceptor import Acceptor
from trunkline.http.listening import ServerOptions


class Counted(asyncio.Protocol):
    """Counts connections made, by class."""

    def __init__(self, made: list[asyncio.BaseTransport]) -> None:
        self.made = made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made.append(transport)


class Door:
    """An acceptor on a port of its own, and what came through it."""

    async def __aenter__(self) -> Door:
        (self.bound,) = listening.listen(ServerOptions(port=0))
        self.made: list[asyncio.BaseTransport] = []
        self.acceptor = Acceptor(self.bound, lambda: Counted(self.made), ServerOptions(), None)
        self.acceptor.start()
        self.port = self.bound.getsockname()[1]
        self.clients: list[socket.socket] = []
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.bound.fileno() >= 0:
            self.acceptor.close()
        await turns(10)
        for transport in self.made:
            transport.close()
        for client in self.clients:
            client.close()
        await turns(10)

    def connect(self, count: int) -> None:
        self.clients += [socket.create_connection(("127.0.0.1", self.port)) for _ in range(count)]


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_burst_takes_few_turns() -> None:
    async with Door() as door:
        door.connect(100)
        # A turn to hear of them, one for the task that opens each, one for its connection_made; then the next lot.
        await turns(4 * (100 // acceptor.PER_TURN + 1))
        assert len(door.made) == 100


async def test_a_turn_takes_no_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "PER_TURN", 2)
    async with Door() as door:
        door.connect(6)
        await turns(3)
        assert 0 < len(door.made) < 6
        await turns(20)
        assert len(door.made) == 6


async def test_closing_takes_those_that_wait() -> None:
    """They connected to a server that listened: a reset would be a call refused for nothing."""
    async with Door() as door:
        door.connect(50)
        door.acceptor.close()
        assert bool(door.acceptor.is_opening)
        await turns(5)
        assert len(door.made) == 50
        assert door.acceptor.is_opening is False
        with pytest.raises(ConnectionRefusedError):
            door.connect(1)


async def test_without_files_it_waits_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "RETRY_S", 0.05)
    async with Door() as door:
        real = socket.socket.accept
        asked = 0

        def exhausted(_self: socket.socket) -> tuple[socket.socket, object]:
            nonlocal asked
            asked += 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        monkeypatch.setattr(socket.socket, "accept", exhausted)
        door.connect(1)
        await turns(50)
        assert asked == 1  # The socket is readable all the while; nobody spins on it.
        monkeypatch.setattr(socket.socket, "accept", real)
        async with asyncio.timeout(5):
            while not door.made:
                await asyncio.sleep(0.01)
