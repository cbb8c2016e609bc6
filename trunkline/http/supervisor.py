"""Several workers on one port: this process binds it, starts them, replaces those that die, and stops them all.

A worker is a program of its own, started afresh: nothing but the sockets and two pipes is shared, so nothing has to
survive a fork. It serves through `server.run` with the `Seat` that stands as the last argument of its command line.
The supervisor imports no server: it stays small beside its workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio import subprocess  # the one place that starts a program, and only the command it was given
from collections.abc import Sequence

from trunkline import clock, observe
from trunkline.http import listening, server
from trunkline.http.server import Hooks, Seat, ServerOptions

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 10.0
STEADY_S = 10.0
STOP_MARGIN_S = 12.0

log = observe.logger("supervisor")


def supervise(options: ServerOptions, command: Sequence[str], hooks: Hooks, settings: bytes = b"") -> int:
    """Runs `options.workers` workers until SIGTERM or SIGINT and returns the exit status.

    `command` starts a worker; its Seat is appended, and `settings` waits on its standard input, then EOF. `on_ready`
    is called once every worker serves, `on_hup` for each SIGHUP, which reaches this process only. A worker that dies
    is replaced, ever later if it keeps dying; one that ends before all have been ready ends everything, with its exit
    status: what is wrong with it would be wrong with the next. Raises SettingsInvalid.
    """
    listening.check(options)
    listening.tls_context(options)
    server.raise_file_limit()
    return asyncio.run(Supervisor(options, command, hooks, settings).run())


class Supervisor:
    """The workers of one port. `run` once."""

    def __init__(self, options: ServerOptions, command: Sequence[str], hooks: Hooks, settings: bytes) -> None:
        self._options = options
        self._command = command
        self._hooks = hooks
        self._settings = settings
        self._sockets = listening.listen(options)
        self._url = listening.url_of(options, self._sockets)
        # Never written to: that this process is gone is told by its end being closed.
        self._life_fd, self._life_end_fd = os.pipe()
        self._workers: dict[int, subprocess.Process] = {}
        self._ready: set[int] = set()
        self._announced = False
        self._stopping = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._hooks.on_hup)
        keepers = [asyncio.create_task(self._keep(number)) for number in range(self._options.workers)]
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([stopping, *keepers], return_when=asyncio.FIRST_COMPLETED)
        if not self._stopping.is_set():
            self._stop()  # A keeper has failed.
        patience_s = self._options.drain_notice_s + self._options.drain_s + STOP_MARGIN_S
        _, overdue = await asyncio.wait(keepers, timeout=patience_s)
        if overdue:
            log.error("workers_overdue", waited_s=patience_s, workers=len(self._workers))
            self._signal(signal.SIGKILL)
            await asyncio.wait(overdue)
        for keeper in keepers:
            keeper.result()
        os.close(self._life_fd)
        os.close(self._life_end_fd)
        return self._status

    def _stop(self) -> None:
        """Each call is passed on: a worker that hears it twice stops waiting for its calls."""
        self._stopping.set()
        for bound in self._sockets:
            bound.close()
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for worker in self._workers.values():
            with contextlib.suppress(ProcessLookupError):
                worker.send_signal(number)

    async def _keep(self, number: int) -> None:
        """Sees to it that worker `number` runs, until all stop."""
        delay_s = FIRST_DELAY_S
        while not self._stopping.is_set():
            began_s = clock.monotonic_s()
            status = await self._one_life(number)
            if self._stopping.is_set():
                return
            if not self._announced:
                log.error("worker_failed_to_start", worker=number, status=status)
                self._status = status if status > 0 else server.FAILED_TO_START
                self._stop()
                return
            if clock.monotonic_s() - began_s >= STEADY_S:
                delay_s = FIRST_DELAY_S
            log.warning("worker_died", worker=number, status=status, replaced_in_s=delay_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)

    async def _one_life(self, number: int) -> int:
        """Starts a worker and waits for its end. Returns its exit status, negative for the signal that ended it."""
        ready_fd, ready_end_fd = os.pipe()
        listen_fds = tuple(bound.fileno() for bound in self._sockets)
        seat = Seat(self._life_fd, ready_end_fd, listen_fds)
        try:
            # A session of its own: Ctrl-C reaches this process alone, which passes it on once.
            worker = await subprocess.create_subprocess_exec(
                *self._command,
                str(seat),
                stdin=subprocess.PIPE,
                pass_fds=(self._life_fd, ready_end_fd, *listen_fds),
                start_new_session=True,
            )
        finally:
            os.close(ready_end_fd)
        self._workers[number] = worker
        loop = asyncio.get_running_loop()
        loop.add_reader(ready_fd, self._hear, number, ready_fd)
        try:
            if self._stopping.is_set():
                worker.terminate()
            await worker.communicate(self._settings)
            return await worker.wait()
        finally:
            del self._workers[number]
            loop.remove_reader(ready_fd)
            os.close(ready_fd)

    def _hear(self, number: int, ready_fd: int) -> None:
        """A worker says that it serves, or has closed its end without a word."""
        asyncio.get_running_loop().remove_reader(ready_fd)
        if os.read(ready_fd, 1) != b"1":
            return
        log.info("worker_ready", worker=number)
        self._ready.add(number)
        if len(self._ready) == self._options.workers and not self._announced:
            self._announced = True
            self._hooks.on_ready(self._url)
