"""Takes connections from a listening socket, several in a turn of the loop.

uvloop's own server takes one in a turn (libuv since 1.45), so when a turn is long, as it is with a thousand streams
running, a burst of connects waits for as many turns: `docs/decisions/0002-connect-burst.md`.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any

from trunkline import observe
from trunkline.http.listening import ServerOptions

BACKLOG = 4_096
"""Connections that may wait to be taken; the system caps it at net.core.somaxconn."""
PER_TURN = 32
"""Few enough that workers which share the socket share a burst, and that streams go on meanwhile."""
RETRY_S = 1.0
TLS_SHUTDOWN_S = 5.0
EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

log = observe.logger("server")


class Acceptor:
    """One listening socket. Each connection gets a protocol of its own from `protocol_factory`."""

    def __init__(
        self,
        bound: socket.socket,
        protocol_factory: Callable[[], asyncio.Protocol],
        options: ServerOptions,
        context: ssl.SSLContext | None,
    ) -> None:
        self._socket = bound
        self._protocol_factory = protocol_factory
        self._tls: dict[str, Any] = {}
        if context is not None:
            self._tls = {
                "ssl": context,
                "ssl_handshake_timeout": options.header_timeout_s,
                "ssl_shutdown_timeout": TLS_SHUTDOWN_S,
            }
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None

    @property
    def is_opening(self) -> bool:
        """Connections have been taken that have no protocol yet: a TLS handshake takes its time."""
        return bool(self._opening)

    def start(self) -> None:
        self._socket.listen(BACKLOG)
        self._socket.setblocking(False)
        self._watch()

    def close(self) -> None:
        """Takes what has connected so far, then no more: closing over a waiting connection would reset it."""
        while self._accept():
            pass
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _watch(self) -> None:
        self._retry = None
        self._loop.add_reader(self._socket, self._turn)

    def _turn(self) -> None:
        for _ in range(PER_TURN):
            if not self._accept():
                return

    def _accept(self) -> bool:
        """Takes one connection. False when none waits, or no file is left for it."""
        try:
            accepted, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            # The socket stays readable, so the loop would spin until somebody leaves.
            log.exception("no_file_for_connection", retry_in_s=RETRY_S)
            self._loop.remove_reader(self._socket)
            self._retry = self._loop.call_later(RETRY_S, self._watch)
            return False
        accepted.setblocking(False)
        task = self._loop.create_task(self._open(accepted))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return True

    async def _open(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol_factory, accepted, **self._tls)
        except (OSError, ssl.SSLError) as error:
            # A client that left, or whose TLS is not ours: nothing that anybody here can mend.
            log.debug("connection_not_opened", error=type(error).__name__)
            accepted.close()
