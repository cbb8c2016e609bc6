"""The thread's side of the ledger: a batch of what the loop handed over becomes one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from trunkline import clock, observe
from trunkline.errors import Defect, StoreUnavailable, TrunklineError
from trunkline.ids import NUMBER_SHIFT, first_number
from trunkline.ports.ledger import Fenced
from trunkline.storage import entries
from trunkline.storage.database import FileConnection, connect, identity, write_lock_file
from trunkline.storage.entries import Appending, Holding, Late
from trunkline.storage.write_lock import WriteLock

LOCK_WAIT_S: Final = 1.4
BUSY_S: Final = 0.4
"""Both together: after that long another writer means that the ledger cannot be written. Calls wait for 2 s at most."""
LATE_MS: Final = 240_000
"""Sums wait five minutes for a call to end; the rows of one that took nearly that long are looked at more closely."""
CHECKPOINT_EVERY: Final = 256
"""Transactions. What they wrote goes from the log into the database then, after whoever waits has been told."""

_REFUSED: Final = (
    sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError, OverflowError,
    TrunklineError, Fenced,
)  # fmt: skip
"""One item cannot be written, and the others can."""

Work = Callable[[sqlite3.Connection], Any]
log = observe.logger("storage")


class Doing:
    """Work on the connection, which may be run twice, the first time rolled back; its result or its error.

    `lasting`: it is tried until it is done, though the one who waits is told of the first failure. `undo` is work that
    makes up for it, given its result, when it was done after the one who waited had been told that it was not.
    """

    __slots__ = ("error", "future", "lasting", "result", "undo", "work")

    def __init__(self, work: Work, future: Any) -> None:
        self.work = work
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None
        self.lasting = False
        self.undo: Callable[[Any], Work] | None = None


class Batch:
    """What goes in one transaction, in order. `failed`: nothing of it was written. `alone`: no other process is known
    that writes too. `live_until_s`: until then (clock.monotonic_s) nobody takes this process for dead."""

    __slots__ = ("alone", "failed", "handed_over_s", "holding", "items", "live_until_s", "told")

    def __init__(self, items: Sequence[Appending | Doing], holding: Holding, handed_over_s: float) -> None:
        self.items = items
        self.holding = holding
        self.alone = False
        self.live_until_s = 0.0
        self.handed_over_s = handed_over_s
        self.failed: StoreUnavailable | None = None
        self.told = False


class LedgerWriter:
    """One connection, used by one thread."""

    def __init__(self, path: Path, late: Late | None) -> None:
        self._path = path
        self._late = late
        self._lock = WriteLock(write_lock_file(path))
        self._connection: FileConnection | None = None
        self._quick: FileConnection | None = None
        self._since_checkpoint = 0

    def write(self, batch: Batch) -> None:
        """Sets the result or error of each item, or `failed` when the database could not do it. Raises nothing."""
        if self._write_plain(batch):
            return
        turn = self._lock.take(LOCK_WAIT_S)
        try:
            self._commit(self._current(), batch)
            self._since_checkpoint += 1
        except sqlite3.Error as error:
            self._renew()
            batch.failed = StoreUnavailable(f"The ledger cannot be written ({error}).", retry_after_s=1.0)
        except Exception as error:  # whatever it was, the thread goes on, and who waits is told
            self._renew()
            log.exception("ledger_defect", exc_info=error)
            batch.failed = StoreUnavailable("The ledger cannot be written (a defect).", retry_after_s=1.0)
        finally:
            self._lock.give(turn)

    def _write_plain(self, batch: Batch) -> bool:
        """Ends that change no balance are one statement, which is a transaction by itself: after each statement the
        thread has to ask for the interpreter, which the loop has. False: nothing was written, and it is no such batch,
        or something stands in its way.

        Nobody need be told of such rows: while this holder lives, sums end before its oldest call, and wait for that.
        Nor is there a queue for one statement: where another writes, the longer way waits for its turn.
        """
        now_ms = int(clock.now_s() * 1000)
        if not batch.alone or clock.monotonic_s() >= batch.live_until_s:
            return False
        rows = entries.plain_rows(batch.items, first_number(now_ms - LATE_MS) << NUMBER_SHIFT)
        if rows is None:
            return False
        try:
            entries.insert(self._impatient(), rows)
        except Exception:  # the longer way meets it again, and says what it was
            return False
        self._since_checkpoint += 1
        return True

    def checkpoint(self) -> None:
        """When it is due. Others wait meanwhile: only a log that was copied to its end begins anew."""
        if self._since_checkpoint < CHECKPOINT_EVERY or self._connection is None:
            return
        self._since_checkpoint = 0
        turn = self._lock.take(LOCK_WAIT_S)
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            log.warning("checkpoint_failed", reason=str(error))
        finally:
            self._lock.give(turn)

    def close(self) -> None:
        if self._quick is not None:
            self._quick.close()
            self._quick = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.close()

    def _commit(self, connection: sqlite3.Connection, batch: Batch) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._write_together(connection, batch)
        except _REFUSED:
            # One of them is there already, or must not be. Which one shows when each has a savepoint of its own.
            connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
            for item in batch.items:
                item.error = None
                self._write_apart(connection, item, batch.holding)
        connection.execute("COMMIT")

    def _write_together(self, connection: sqlite3.Connection, batch: Batch) -> None:
        row: list[Appending] = []
        for item in batch.items:
            if isinstance(item, Appending):
                row.append(item)
                continue
            if row:
                entries.append(connection, row, batch.holding, self._late)
                row = []
            self._write_apart(connection, item, batch.holding)
        if row:
            entries.append(connection, row, batch.holding, self._late)

    def _write_apart(self, connection: sqlite3.Connection, item: Appending | Doing, holding: Holding) -> None:
        connection.execute("SAVEPOINT item")
        try:
            if isinstance(item, Appending):
                entries.append_apart(connection, item, holding, self._late)
            else:
                item.result = item.work(connection)
        except _REFUSED as error:
            connection.execute("ROLLBACK TO item")
            ours = isinstance(error, TrunklineError | Fenced)
            item.error = error if ours else Defect(f"The ledger refuses it: {error}.")
        connection.execute("RELEASE item")

    def _current(self) -> FileConnection:
        """A file that was moved away or replaced is noticed, as the rest of the store does."""
        if self._connection is None or self._connection.file != identity(self._path):
            self._renew()
        if self._connection is None:
            self._connection = _open(self._path)
        return self._connection

    def _impatient(self) -> FileConnection:
        """A second connection, which does not wait for other writers."""
        file = self._current().file
        if self._quick is None or self._quick.file != file:
            if self._quick is not None:
                self._quick.close()
            self._quick = _open(self._path, 0.0)
        return self._quick

    def _renew(self) -> None:
        """A connection that has failed is left; opened before the other is closed, a new one keeps what SQLite knows of
        the log: a transaction whose commit failed is not found in it again."""
        before, self._connection = self._connection, None
        if self._quick is not None:
            self._quick.close()
            self._quick = None
        try:
            self._connection = _open(self._path)
        except sqlite3.Error:
            self._connection = None  # it is tried again for the next batch
        if before is not None:
            before.close()


def _open(path: Path, busy_s: float = BUSY_S) -> FileConnection:
    connection = connect(path, busy_s)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    # Opens the log, which a connection does with its first statement that reads.
    connection.execute("SELECT 1 FROM holders LIMIT 1").fetchall()
    return connection
