"""The request log, written behind the calls: a thread takes what has gathered and writes it in one transaction."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from trunkline import clock, observe
from trunkline.errors import StoreUnavailable
from trunkline.ports.requests import RequestRow
from trunkline.storage import request_file
from trunkline.storage.database import FileConnection, identity

GATHER_S: Final = 0.25
GATHER_ROWS: Final = 500
MOST_TOGETHER: Final = 2000
MOST_WAITING: Final = 10_000
"""Rows in memory, of about 1 KB each; when the disk is gone, later ones are dropped."""
RETRY_S: Final = 1.0
INDEX_ROWS: Final = 50_000
INDEX_S: Final = 60.0

log = observe.logger("storage")


class RequestsOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[requests]`"""

    retention_days: Annotated[
        int, Meta(ge=1, le=3650, description="For how many days the log of calls is kept. It has no bodies.")
    ] = 30


class SqlRequestLog:
    """Fulfils ports.requests.RequestLog. The thread starts with the first row."""

    def __init__(self, path: Path) -> None:
        self.dropped = 0
        """Rows that were not written, because the disk was gone for longer than memory lasts."""
        self._path = path
        self._rows: deque[RequestRow] = deque()
        self._batch: list[RequestRow] = []
        self._some = threading.Event()
        self._many = threading.Event()
        self._closing = threading.Event()
        self._asleep = False
        self._thread: threading.Thread | None = None
        self._connection: FileConnection | None = None
        self._failing = False
        self._not_indexed = 0
        self._index_at_s = 0.0

    def add(self, row: RequestRow) -> None:
        """Takes 0.2 us."""
        rows = self._rows
        waiting = len(rows)
        if waiting >= MOST_WAITING:
            self.dropped += 1
            return
        rows.append(row)
        # The thread says that it sleeps and then looks once more, so that one of both sees the other.
        if self._asleep:
            self._asleep = False
            self._some.set()
        elif waiting == GATHER_ROWS - 1:
            self._many.set()
        elif self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="request-log", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Writes what is waiting; what cannot be written now never is."""
        self._closing.set()
        self._some.set()
        self._many.set()
        if self._thread is not None:
            self._thread.join()

    def _write_all(self) -> None:
        self._index_at_s = clock.monotonic_s() + INDEX_S
        while self._rows or self._batch or not self._closing.is_set():
            if not self._rows and not self._batch:
                self._sleep()
                continue
            if not self._closing.is_set():
                self._many.wait(GATHER_S)
                self._many.clear()
            self._write()
        if self._connection is not None:
            self._connection.close()

    def _sleep(self) -> None:
        """Until there is a row, but not beyond the moment when what was written is to be indexed."""
        left_s = max(0.0, self._index_at_s - clock.monotonic_s()) if self._not_indexed else None
        self._asleep = True
        if not self._rows and not self._closing.is_set():
            self._some.wait(left_s)
        self._asleep = False
        self._some.clear()
        if self._not_indexed and clock.monotonic_s() >= self._index_at_s:
            self._write()

    def _write(self) -> None:
        rows, batch = self._rows, self._batch
        while rows and len(batch) < MOST_TOGETHER:
            batch.append(rows.popleft())
        try:
            connection = self._current()
            if batch:
                request_file.insert(connection, batch)
                self._not_indexed += len(batch)
                batch.clear()
            if self._not_indexed >= INDEX_ROWS or clock.monotonic_s() >= self._index_at_s:
                request_file.index(connection)
                self._not_indexed, self._index_at_s = 0, clock.monotonic_s() + INDEX_S
        except (sqlite3.Error, OSError, StoreUnavailable) as error:
            self._fail(error)
        else:
            self._recover()

    def _fail(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            log.warning("request_log_failed", reason=str(error), detail="calls go on; later rows are dropped")
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._index_at_s = clock.monotonic_s() + INDEX_S
        if self._closing.is_set():
            self.dropped += len(self._rows) + len(self._batch)
            log.warning("request_log_lost", rows=self.dropped)
            self._rows.clear()
            self._batch.clear()
        self._closing.wait(RETRY_S)

    def _recover(self) -> None:
        if self._failing:
            self._failing = False
            log.warning("request_log_writes_again", dropped=self.dropped)

    def _current(self) -> FileConnection:
        """A file that was moved away or replaced is noticed, and made anew when it is missing."""
        if self._connection is not None and self._connection.file != identity(self._path):
            self._connection.close()
            self._connection = None
        if self._connection is None:
            self._connection = request_file.open_file(self._path)
        return self._connection
