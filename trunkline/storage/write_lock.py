"""Writers queue: a lock file beside the database, held while a transaction writes.

SQLite's own way of waiting for another writer is to look again after 1 to 100 ms; with this lock the next one goes on
as soon as the one before it has ended. It only orders them: who cannot have it in time goes on without it, and SQLite
still lets one write at a time.
"""

from __future__ import annotations

import fcntl
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

from trunkline import clock


class Turn(Enum):
    """How much of the lock one writer has."""

    NONE = 0
    THREADS = 1
    """It is alone among the threads that share this object, but not among processes."""
    ALL = 2


class WriteLock:
    """For the threads of one process that share it, and for all processes. Not for two transactions of one thread."""

    def __init__(self, path: Path) -> None:
        """`path`: the lock file, made when first needed."""
        self._path = path
        self._file: int | None = None
        self._threads = threading.Lock()
        self._waiter: threading.Thread | None = None
        self._orders: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._grants: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._giving_up = threading.Lock()
        self._given_up = False

    @contextmanager
    def held(self, wait_s: float) -> Iterator[Turn]:
        """Ends its wait after `wait_s` at the latest, with what it has got by then."""
        turn = self.take(wait_s)
        try:
            yield turn
        finally:
            self.give(turn)

    def take(self, wait_s: float) -> Turn:
        """As `held`, for who gives it back with `give`. Takes 1 us when nobody else writes."""
        until = 0.0
        if not self._threads.acquire(blocking=False):
            until = clock.monotonic_s() + wait_s
            if not self._threads.acquire(timeout=wait_s):
                return Turn.NONE
        if self._given_up:  # one holder has kept everybody waiting, and still does
            return Turn.THREADS
        try:
            file = self._file
            if file is None:
                file = self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                left_s = until - clock.monotonic_s() if until else wait_s
                return Turn.ALL if self._wait(file, left_s) else Turn.THREADS
        except OSError:  # a folder that cannot be written: SQLite will say so, or does without
            return Turn.THREADS
        return Turn.ALL

    def give(self, turn: Turn) -> None:
        if turn is Turn.ALL and self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        if turn is not Turn.NONE:
            self._threads.release()

    def close(self) -> None:
        """When nobody uses it any more."""
        if self._waiter is not None:
            self._orders.put(None)
            self._waiter = None
        if self._file is not None and not self._given_up:
            os.close(self._file)
            self._file = None

    def _wait(self, file: int, wait_s: float) -> bool:
        """A lock of a file is waited for without an end, so a thread does that, which can be left behind."""
        if self._waiter is None:
            self._waiter = threading.Thread(target=self._wait_for_others, name="write-lock", daemon=True)
            self._waiter.start()
        self._orders.put(file)
        with suppress(queue.Empty):
            return self._grants.get(timeout=max(0.0, wait_s))
        with self._giving_up:
            with suppress(queue.Empty):
                return self._grants.get_nowait()
            self._given_up = True
        return False

    def _wait_for_others(self) -> None:
        while (file := self._orders.get()) is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                locked = True
            except OSError:
                locked = False
            with self._giving_up:
                if not self._given_up:
                    self._grants.put(locked)
                    continue
                if locked:
                    fcntl.flock(file, fcntl.LOCK_UN)
                self._given_up = False
