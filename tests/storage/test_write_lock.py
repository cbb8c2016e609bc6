from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from trunkline import clock
from trunkline.storage.write_lock import Turn, WriteLock

HOLD = """
import pathlib, sys
from trunkline.storage.write_lock import WriteLock
with WriteLock(pathlib.Path(sys.argv[1])).held(5.0) as turn:
    print(turn.name, flush=True)
    sys.stdin.readline()
print("given", flush=True)
sys.stdin.readline()
"""
# Each turn reads a number, yields to the others, and writes the next one: without the lock, turns are lost.
COUNT = """
import pathlib, sys, threading
from trunkline.storage.write_lock import WriteLock
file, lock = pathlib.Path(sys.argv[2]), WriteLock(pathlib.Path(sys.argv[1]))
for _ in range(100):
    with lock.held(10.0) as turn:
        assert turn.name == "ALL"
        number = int(file.read_text())
        threading.Event().wait(0.0001)
        file.write_text(str(number + 1))
"""


def child(program: str, *arguments: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(holder: subprocess.Popen[str]) -> str:
    assert holder.stdout is not None
    return holder.stdout.readline().strip()


def tell(holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    holder.stdin.write("\n")
    holder.stdin.flush()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db.write"


def test_one_writer_has_all_of_it_and_the_next_one_too(path: Path) -> None:
    lock = WriteLock(path)
    for _ in range(2):
        with lock.held(0.0) as turn:
            assert turn is Turn.ALL
    assert path.stat().st_mode & 0o777 == 0o600
    lock.close()


def test_threads_that_share_it_and_objects_that_do_not_take_turns(path: Path) -> None:
    shared, other = WriteLock(path), WriteLock(path)
    inside, most = 0, 0

    def write(lock: WriteLock) -> None:
        nonlocal inside, most
        for _ in range(50):
            with lock.held(10.0) as turn:
                assert turn is Turn.ALL
                inside += 1
                most = max(most, inside)
                threading.Event().wait(0.0001)
                inside -= 1

    threads = [threading.Thread(target=write, args=(lock,)) for lock in (shared, shared, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    shared.close()
    other.close()


def test_processes_take_turns(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "count"
    file.write_text("0")
    children = [child(COUNT, path, file) for _ in range(2)]
    assert [one.wait(60) for one in children] == [0, 0]
    for one in children:
        one.communicate()
    assert file.read_text() == "200"


def test_a_holder_that_stands_still_keeps_nobody_waiting_for_long(path: Path) -> None:
    lock = WriteLock(path)
    with child(HOLD, path) as holder:
        assert said(holder) == "ALL"
        os.kill(holder.pid, signal.SIGSTOP)
        try:
            for longest_s in (0.4, 0.1, 0.1):  # whoever comes after the first does not wait again
                began = clock.monotonic_s()
                with lock.held(0.2) as turn:
                    assert turn is Turn.THREADS
                assert clock.monotonic_s() - began < longest_s
        finally:
            os.kill(holder.pid, signal.SIGCONT)
        tell(holder)
        assert said(holder) == "given"
        until = clock.monotonic_s() + 10
        while lock._given_up and clock.monotonic_s() < until:
            threading.Event().wait(0.001)
        with lock.held(1.0) as turn:
            assert turn is Turn.ALL
        tell(holder)
    lock.close()


def test_a_holder_that_dies_gives_it_up(path: Path) -> None:
    lock = WriteLock(path)
    with child(HOLD, path) as holder:
        assert said(holder) == "ALL"
        threading.Timer(0.05, holder.kill).start()
        with lock.held(10.0) as turn:
            assert turn is Turn.ALL
    lock.close()


def test_a_thread_that_waits_for_another_goes_on_after_its_time(path: Path) -> None:
    lock = WriteLock(path)
    turns: list[Turn] = []

    def write() -> None:
        with lock.held(0.01) as turn:
            turns.append(turn)

    with lock.held(0.0):
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert turns == [Turn.NONE]
    with lock.held(0.0) as turn:
        assert turn is Turn.ALL
    lock.close()


def test_a_place_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    lock = WriteLock(tmp_path / "missing" / "db.write")
    with lock.held(1.0) as turn:
        assert turn is Turn.THREADS


def test_it_can_be_used_again_after_it_was_closed(path: Path) -> None:
    lock, other = WriteLock(path), WriteLock(path)
    for _ in range(2):
        with other.held(0.0), lock.held(0.01) as turn:
            assert turn is Turn.THREADS
        until = clock.monotonic_s() + 10
        while lock._given_up and clock.monotonic_s() < until:
            threading.Event().wait(0.001)
        lock.close()
    other.close()
