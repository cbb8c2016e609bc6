from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from tests.http.raw import PATIENCE_S, Client
from tests.http.worker import PROGRAM
from trunkline.errors import SettingsInvalid
from trunkline.http.server import Hooks, ServerOptions
from trunkline.http.supervisor import supervise


class Program:
    """`tests.http.worker` in a process of its own."""

    def __init__(self, mode: str, options: ServerOptions) -> None:
        text = msgspec.json.encode(options).decode()
        self.process = subprocess.Popen([*PROGRAM, mode, text], stdout=subprocess.PIPE, text=True)
        self.port = 0

    def await_ready(self) -> None:
        self.port = int(self.await_line("ready").rpartition(":")[2])

    def await_line(self, word: str) -> str:
        """The next line that begins with `word`; log lines stand between."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(word):
                return line.strip()
        raise AssertionError(f"the program ended without a line {word!r}")

    def ask(self, path: str) -> bytes:
        """On a connection of its own, so any worker may get it."""
        with Client(self.port) as client:
            client.get(path)
            return client.answer().body

    def workers(self) -> set[int]:
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            return {int(pid) for pid in children.read().split()}

    def is_answered_by(self, pid: int) -> bool:
        """Whoever is first takes a connection, so it may need several."""
        return any(self.ask("/pid") == str(pid).encode() for _ in range(20))

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


@contextmanager
def program(mode: str, **settings: Any) -> Iterator[Program]:
    started = Program(mode, ServerOptions(**{"port": 0, "drain_s": 5.0, **settings}))
    try:
        started.await_ready()
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
        started.process.wait(PATIENCE_S)
        assert started.process.stdout is not None
        started.process.stdout.close()


def until(holds: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def is_gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as status:
            return status.read().rpartition(") ")[2][0] in "ZX"
    except FileNotFoundError:
        return True


def test_settings_that_do_not_go_together_start_nothing() -> None:
    with pytest.raises(SettingsInvalid) as caught:
        supervise(ServerOptions(host="0.0.0.0", workers=2), ["/nonexistent"], Hooks())
    assert caught.value.param == "server.host"


@pytest.mark.slow
def test_workers_share_the_port_and_a_dead_one_is_replaced() -> None:
    with program("parent", workers=2) as parent:
        killed, kept = parent.workers()
        until(lambda: parent.is_answered_by(killed) and parent.is_answered_by(kept), PATIENCE_S)
        os.kill(killed, signal.SIGKILL)
        until(lambda: len(parent.workers() - {killed}) == 2, PATIENCE_S)
        (fresh,) = parent.workers() - {killed, kept}
        until(lambda: parent.is_answered_by(fresh), PATIENCE_S)
        until(lambda: parent.is_answered_by(kept), PATIENCE_S)
        assert parent.stop() == 0


@pytest.mark.slow
def test_workers_end_within_a_second_of_the_supervisors_death() -> None:
    with program("parent", workers=2) as parent:
        workers = parent.workers()
        assert len(workers) == 2
        with Client(parent.port) as busy:
            busy.get("/hold")  # A call in flight does not keep an orphan alive, nor does a log that nobody reads.
            assert parent.process.stdout is not None
            parent.process.stdout.close()
            parent.process.kill()
            until(lambda: all(is_gone(pid) for pid in workers), 1.5)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", parent.port))


@pytest.mark.slow
def test_stopping_lets_calls_end() -> None:
    with program("parent", workers=2) as parent, Client(parent.port) as busy:
        busy.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert busy.answer().status == 100
        parent.process.send_signal(signal.SIGTERM)
        until(lambda: refuses(parent.port), 5)
        busy.send(b"hello")
        answer = busy.answer()
        assert (answer.facts()["body"], answer.headers["connection"]) == ("hello", "close")
        assert parent.process.wait(PATIENCE_S) == 0


@pytest.mark.slow
def test_the_second_signal_does_not_wait() -> None:
    with program("parent", workers=2, drain_s=60.0) as parent, Client(parent.port) as busy:
        busy.get("/hold")
        parent.process.send_signal(signal.SIGINT)
        until(lambda: refuses(parent.port), 5)
        assert parent.process.poll() is None
        assert parent.stop() == 0


@pytest.mark.slow
def test_hup_reaches_the_supervisor_alone() -> None:
    with program("parent", workers=2) as parent:
        before = parent.workers()
        parent.process.send_signal(signal.SIGHUP)
        assert parent.await_line("hup")
        assert parent.ask("/pid")
        assert parent.workers() == before


@pytest.mark.slow
def test_a_worker_that_cannot_start_ends_everything() -> None:
    text = msgspec.json.encode(ServerOptions(port=0, workers=2)).decode()
    done = subprocess.run([*PROGRAM, "broken", text], timeout=PATIENCE_S, check=False, capture_output=True)
    assert done.returncode == 7
    assert b"ready" not in done.stdout.split()


def refuses(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port)):
            return False
    except (ConnectionRefusedError, ConnectionResetError):  # A reset, when it is closed at this very moment.
        return True
