"""From listening to the last answer: the order in which a server starts, drains and stops."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from email.utils import formatdate

from uvicorn.config import Config
from uvicorn.lifespan.on import LifespanOn

from trunkline import clock, observe
from trunkline.cork import Cork
from trunkline.http.acceptor import Acceptor
from trunkline.http.asgi import Application
from trunkline.http.deadlines import SWEEP_S
from trunkline.http.draining_socket import DrainingSocket
from trunkline.http.listening import ServerOptions, url_of
from trunkline.http.protocol import HardenedProtocol, HardenedState
from trunkline.http.serving import AppFactory, Serving

IDLE_NOTICE_S = 1.0
LIFESPAN_STOP_S = 10.0
POLL_S = 0.02

log = observe.logger("server")


class Lifecycle:
    """One server on sockets that are bound. `start`, wait for `stop_asked`, `stop`."""

    def __init__(self, options: ServerOptions, sockets: list[socket.socket], context: ssl.SSLContext | None) -> None:
        self.options = options
        self.url = url_of(options, sockets)
        self.serving = Serving()
        self.state = HardenedState(options)
        self.serving.calls = self.state.tasks
        self.serving.connections = self.state.connections
        self.stop_asked = asyncio.Event()
        self._hurried = asyncio.Event()
        self._sockets = sockets
        self._context = context
        self._acceptors: list[Acceptor] = []
        self._lifespan: LifespanOn | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def start(self, app_factory: AppFactory) -> bool:
        """Starts the application, then serves it. False when the application says that it cannot start."""
        loop = asyncio.get_running_loop()
        self.state.cork = Cork(loop)
        config = configured(app_factory(self.serving))
        self._lifespan = lifespan = LifespanOn(config)
        await lifespan.startup()
        if lifespan.should_exit:
            return False
        self.sweep()

        def protocol_factory() -> HardenedProtocol:
            return HardenedProtocol(config, self.state, lifespan.state, loop)

        for bound in self._sockets:
            acceptor = Acceptor(bound, protocol_factory, self.options, self._context)
            acceptor.start()
            self._acceptors.append(acceptor)
        self.serving.readiness.ready = not self.stop_asked.is_set()
        return True

    def sweep(self) -> None:
        """Holds all deadlines and renews the Date header, twice a second."""
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(SWEEP_S, self.sweep)
        self.state.default_headers = [(b"date", formatdate(clock.now_s(), usegmt=True).encode())]
        self.state.sweep(loop.time())

    def ask_to_stop(self) -> None:
        """The first call begins a graceful stop, the second cuts it short."""
        if self.stop_asked.is_set():
            self.hurry()
        self.serving.readiness.ready = False
        self.serving.readiness.draining = True
        self.stop_asked.set()

    def hurry(self) -> None:
        """Stops without waiting for calls."""
        self._hurried.set()
        if not self.stop_asked.is_set():
            self.ask_to_stop()

    async def stop(self) -> None:
        """Readiness is off already. Stops accepting, lets calls end with `connection: close`, ends what is left."""
        options = self.options
        if options.drain_notice_s:
            await self._pause(options.drain_notice_s)
        self.state.draining = True
        for acceptor in self._acceptors:
            acceptor.close()
        for connection in list(self.state.connections):
            connection.shutdown()
        await self._drain()
        await self._end_the_rest()
        if self._sweep is not None:
            self._sweep.cancel()
        if self._lifespan is not None:
            done, _ = await asyncio.wait([asyncio.create_task(self._lifespan.shutdown())], timeout=LIFESPAN_STOP_S)
            if not done:
                log.error("shutdown_overdue", waited_s=LIFESPAN_STOP_S)

    async def _drain(self) -> None:
        """An idle connection stays for a moment: a request that is on its way finds someone to answer it."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        close_idle_s = began_s + min(IDLE_NOTICE_S, self.options.drain_s)
        state = self.state
        while self._is_busy() and not self._hurried.is_set():
            now_s = loop.time()
            if now_s >= began_s + self.options.drain_s:
                log.warning("drain_overdue", calls=state.in_flight, connections=len(state.connections))
                return
            if now_s >= close_idle_s:
                for connection in list(state.connections):
                    if isinstance(connection, HardenedProtocol):
                        connection.close_if_idle()
            await self._pause(POLL_S)

    def _is_busy(self) -> bool:
        state = self.state
        return bool(state.connections or state.tasks) or any(acceptor.is_opening for acceptor in self._acceptors)

    async def _end_the_rest(self) -> None:
        tasks = list(self.state.tasks)
        for connection in list(self.state.connections):
            if isinstance(connection, HardenedProtocol):
                connection.cut()
            else:
                connection.transport.abort()
        for task in tasks:
            task.cancel("the server is stopping")
        if tasks:
            await asyncio.wait(tasks, timeout=IDLE_NOTICE_S)

    async def _pause(self, seconds: float) -> None:
        """Sleeps, unless hurried."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurried.wait(), seconds)


def configured(application: Application) -> Config:
    """uvicorn's Config for our protocol. What it would take from the environment or write to logs is turned off."""
    config = Config(
        lambda: application,
        factory=True,
        interface="asgi3",
        lifespan="on",
        http=HardenedProtocol,
        ws=DrainingSocket,
        ws_per_message_deflate=False,
        workers=1,
        proxy_headers=False,
        forwarded_allow_ips="",
        server_header=False,
        access_log=False,
        log_config=None,
    )
    config.load()
    return config
