"""The server as a process: what it is given, the signals it hears, and its exit status.

uvicorn, uvloop and httptools are imported by `run`, so that commands which only read settings stay quick.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from trunkline import observe
from trunkline.http.listening import ServerOptions as ServerOptions
from trunkline.http.listening import check as check
from trunkline.http.listening import listen, tls_context
from trunkline.http.serving import AppFactory as AppFactory
from trunkline.http.serving import Readiness as Readiness
from trunkline.http.serving import Serving as Serving

if TYPE_CHECKING:
    from trunkline.http.lifecycle import Lifecycle

FAILED_TO_START = 3
ORPHAN_EXIT_S = 0.8

log = observe.logger("server")


@dataclass(frozen=True, slots=True)
class Hooks:
    """`on_ready` gets the URL once calls are served; `on_hup` is called for each SIGHUP, on the loop."""

    on_ready: Callable[[str], None] = lambda _url: None
    on_hup: Callable[[], None] = lambda: None


class Seat(msgspec.Struct, frozen=True):
    """What a worker inherits from the supervisor: file descriptors, written as one command-line argument.

    `listen_fds` are the bound sockets; `life_fd` reads EOF when the supervisor is gone; one byte to `ready_fd` says
    that calls are served.
    """

    life_fd: int
    ready_fd: int
    listen_fds: tuple[int, ...]

    def __str__(self) -> str:
        return ",".join(str(fd) for fd in (self.life_fd, self.ready_fd, *self.listen_fds))

    @classmethod
    def parse(cls, text: str) -> Seat:
        """Raises ValueError."""
        life_fd, ready_fd, *listen_fds = (int(part) for part in text.split(","))
        return cls(life_fd, ready_fd, tuple(listen_fds))


def raise_file_limit() -> None:
    """Every connection is a file: takes as many as the system lets this process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(app_factory: AppFactory, options: ServerOptions, hooks: Hooks, seat: Seat | None = None) -> int:
    """Serves until SIGTERM or SIGINT and returns the exit status. The second signal does not wait for calls.

    `app_factory` is called on the loop; its lifespan is started before and stopped after all calls. With a `seat`,
    this process is a worker of a supervisor. Raises SettingsInvalid.
    """
    import uvloop  # noqa: PLC0415 - see the module's docstring

    from trunkline.http.lifecycle import Lifecycle  # noqa: PLC0415 - see the module's docstring

    check(options)
    context = tls_context(options)
    raise_file_limit()
    sockets = listen(options) if seat is None else [socket.socket(fileno=fd) for fd in seat.listen_fds]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(Lifecycle(options, sockets, context), app_factory, hooks, seat))


async def _serve(lifecycle: Lifecycle, app_factory: AppFactory, hooks: Hooks, seat: Seat | None) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lifecycle.ask_to_stop)
    loop.add_signal_handler(signal.SIGHUP, hooks.on_hup)
    if seat is not None:
        threading.Thread(target=_watch_supervisor, args=(seat, loop, lifecycle), daemon=True, name="life").start()
    if not await lifecycle.start(app_factory):
        return FAILED_TO_START
    hooks.on_ready(lifecycle.url)
    if seat is not None:
        os.write(seat.ready_fd, b"1")
        os.close(seat.ready_fd)
    await lifecycle.stop_asked.wait()
    await lifecycle.stop()
    return 0


def _watch_supervisor(seat: Seat, loop: asyncio.AbstractEventLoop, lifecycle: Lifecycle) -> None:
    """A worker without a supervisor would keep the port and hear no signal: it ends, even if its loop is stuck."""
    try:
        while os.read(seat.life_fd, 1):
            pass
        loop.call_soon_threadsafe(lifecycle.hurry)
        log.error("supervisor_gone", detail="this worker ends now")
    finally:
        # Whatever fails: what logs go to is often gone with the supervisor.
        threading.Event().wait(ORPHAN_EXIT_S)
        os._exit(1)
