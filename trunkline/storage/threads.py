"""The database off the event loop: a few threads that read, and one that writes what has gathered in one transaction.

SQLite has one writer at a time, and a second one waits in steps of up to 100 ms: so writes queue here instead. A commit
costs about 0.2 ms however much is in it, so what came while the last one ran goes into the next together.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from trunkline.errors import StoreUnavailable
from trunkline.storage.database import Database

READERS = 4
MOST_TOGETHER = 64

Result = TypeVar("Result")
Work = Callable[[Connection], Result]


class _Change(Generic[Result]):
    """A piece of work for the writer, and who waits for it."""

    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Work[Result], future: asyncio.Future[Result]) -> None:
        self.work = work
        self.future = future
        self.result: Result
        self.error: BaseException | None = None


class StoreThreads:
    """Threads start with the first work for them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._readers = ThreadPoolExecutor(READERS, "store-reader")
        self._changes: queue.SimpleQueue[_Change[Any] | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._closed = False

    async def read(self, query: Work[Result]) -> Result:
        """`query` on one snapshot. Raises StoreUnavailable."""
        if self._closed:
            raise _closed()
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, query)

    async def write(self, work: Work[Result]) -> Result:
        """`work` in a transaction, on disk before this returns. It may be run twice, the first time rolled back.

        Raises StoreUnavailable, and what `work` raises. Whoever stops waiting does not stop the write.
        """
        if self._closed:
            raise _closed()
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._changes.put(_Change(work, future))
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_all, name="store-writer", daemon=True)
            self._writer.start()
        return await future

    def close(self) -> None:
        """Waits for what was handed over."""
        self._closed = True
        self._readers.shutdown()
        if self._writer is not None:
            self._changes.put(None)
            self._writer.join()

    def _read(self, query: Work[Result]) -> Result:
        with self._database.reading() as connection:
            return query(connection)

    def _write_all(self) -> None:
        ended = False
        while not ended:
            changes = [self._changes.get()]
            with suppress(queue.Empty):
                while len(changes) < MOST_TOGETHER:
                    changes.append(self._changes.get_nowait())
            batch = [change for change in changes if change is not None]
            ended = len(batch) < len(changes)
            self._write(batch)
            _tell(batch)

    def _write(self, batch: Sequence[_Change[Any]]) -> None:
        if len(batch) > 1 and self._write_together(batch):
            return
        for change in batch:
            try:
                with self._database.writing() as connection:
                    change.result = change.work(connection)
            except BaseException as error:  # it belongs to whoever waits, and the thread must go on
                change.error = error

    def _write_together(self, batch: Sequence[_Change[Any]]) -> bool:
        """False when one of them failed, which rolls all of them back; each is then tried alone."""
        try:
            with self._database.writing() as connection:
                for change in batch:
                    change.result = change.work(connection)
        except StoreUnavailable as error:
            for change in batch:
                change.error = error
        except BaseException:  # whose it is shows when each is tried alone
            return False
        return True


def _tell(batch: Sequence[_Change[Any]]) -> None:
    """One wake-up for each loop, not for each change."""
    for loop in {change.future.get_loop() for change in batch}:
        mine = [change for change in batch if change.future.get_loop() is loop]
        with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, mine)


def _settle(batch: Sequence[_Change[Any]]) -> None:
    for change in batch:
        if change.future.done():
            continue
        if change.error is None:
            change.future.set_result(change.result)
        else:
            change.future.set_exception(change.error)


def _closed() -> StoreUnavailable:
    return StoreUnavailable("The database has been closed; the process is stopping.")
