"""Processes that may lease: their rows, their slots, their signs of life.

A slot is a number of 0 to 255 in the ids of a process's calls. Who has one keeps its file locked, so that on one
machine the end of a process shows at once: the kernel takes the lock away. A process that stands still keeps the lock,
but its row stops changing.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from trunkline import clock
from trunkline.errors import StoreUnavailable
from trunkline.ids import SLOTS, first_number, number_of
from trunkline.storage.entries import Holding


class HolderTimes(msgspec.Struct, frozen=True, kw_only=True):
    """A holder beats every `beat_s`. One whose row has not changed for `life_s` is dead to the others, and takes itself
    for dead `margin_s` before that."""

    beat_s: float = 2.0
    life_s: float = 10.0
    margin_s: float = 1.0


class Registration(msgspec.Struct, frozen=True):
    """`after`: no call of this slot has had a number larger than that."""

    holding: Holding
    after: int


class Holder(msgspec.Struct, frozen=True, array_like=True):
    """A holder that is not dead. `state`: live; fenced (it may open nothing any more and is being recovered)."""

    holder_id: int
    slot: int
    state: str
    expires_at: float
    oldest_number: int


def slot_folder(database: Path) -> Path:
    """Beside the database, since whoever uses it must meet the others there."""
    return Path(f"{database.resolve()}.holders")


class SlotFiles:
    """A folder with a file for each slot, which the process of that slot keeps locked for as long as it lives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mine: dict[int, int] = {}

    def take(self, taken: Collection[int]) -> int:
        """The smallest slot that is neither `taken` nor another process's. Raises StoreUnavailable."""
        for slot in range(SLOTS):
            if slot in taken:
                continue
            if slot in self._mine:
                return slot
            file = self._open(slot)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                continue
            self._mine[slot] = file
            return slot
        raise StoreUnavailable(f"{SLOTS} processes use this database already, and there are no more numbers for them.")

    @contextmanager
    def seized(self, slot: int) -> Iterator[bool]:
        """Whether the process that had that slot is gone. If so nobody takes the slot within the block, though several
        may look at once."""
        file = self._open(slot)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(file)

    def close(self) -> None:
        while self._mine:
            os.close(self._mine.popitem()[1])

    def _open(self, slot: int) -> int:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self._folder / str(slot), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"{self._folder} cannot be used: {error.strerror}.") from error


def register(
    connection: sqlite3.Connection, slots: SlotFiles, life_s: float, oldest_number: int | None
) -> Registration:
    """A row for this process, within a transaction. `oldest_number`: of its calls that run already, if any do."""
    now_s = clock.now_s()
    beginning = first_number(int(now_s * 1000))
    taken = {slot for (slot,) in connection.execute("SELECT slot FROM holders WHERE state <> 'dead'")}
    slot = slots.take(taken)
    made = connection.execute(
        "INSERT INTO holders (slot, pid, state, started_at, expires_at, oldest_number) VALUES (?, ?, 'live', ?, ?, ?)"
        " RETURNING holder_id",
        (slot, os.getpid(), now_s, now_s + life_s, beginning if oldest_number is None else oldest_number),
    )
    holder_id: int = made.fetchall()[0][0]
    largest_entry = connection.execute("SELECT coalesce(max(entry_id), 0) FROM ledger").fetchone()[0]
    oldest = connection.execute("SELECT max(oldest_number) FROM holders").fetchone()[0]
    # The calls of this very process, which may have had the slot before, are older than this moment.
    return Registration(Holding(holder_id, slot), max(number_of(largest_entry), oldest, beginning))


def beat(connection: sqlite3.Connection, holder_id: int, expires_at: float, oldest_number: int | None) -> bool:
    """A sign of life; False when the others have taken this holder for dead."""
    done = connection.execute(
        "UPDATE holders SET expires_at = ?, oldest_number = coalesce(?, oldest_number)"
        " WHERE holder_id = ? AND state = 'live'",
        (expires_at, oldest_number, holder_id),
    )
    return done.rowcount == 1


def is_alone(connection: sqlite3.Connection, holder_id: int) -> bool:
    """No other process is known that is not dead."""
    query = "SELECT 1 FROM holders WHERE state IN ('live', 'fenced') AND holder_id <> ? LIMIT 1"
    return not connection.execute(query, (holder_id,)).fetchall()


def not_dead(connection: sqlite3.Connection) -> list[Holder]:
    columns = ", ".join(Holder.__struct_fields__)
    query = f"SELECT {columns} FROM holders WHERE state IN ('live', 'fenced')"  # noqa: S608 - our own columns
    return [Holder(*row) for row in connection.execute(query)]
