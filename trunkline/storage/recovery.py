"""What dead processes held goes back, and what they left open is ended.

First the holder and its leases are fenced, which is for good: from then on it opens nothing. Its open entries can
then be looked for without keeping anybody from writing, and one transaction ends them, returns what was leased and
declares the holder dead. Any process may do any of it, several at once too.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from trunkline import clock, observe
from trunkline.errors import StoreUnavailable
from trunkline.ids import ENTRY_ENDED, entry_id
from trunkline.storage import entries, holders
from trunkline.storage.database import connect
from trunkline.storage.entries import Late
from trunkline.storage.holders import Holder, SlotFiles

log = observe.logger("storage")
Result = TypeVar("Result")
FORGET_S = 86_400.0


class Run(Protocol):
    """Work in a transaction of the ledger. Raises StoreUnavailable."""

    def __call__(self, work: Callable[[sqlite3.Connection], Result]) -> Awaitable[Result]: ...


class Recovery:
    """Of one process, on its loop. A holder is dead when the lock of its slot is free, or when its row has not changed
    for `life_s` under our eyes: no clock that is set can make it seem so."""

    def __init__(self, path: Path, slots: SlotFiles, life_s: float, late: Late | None) -> None:
        self._path = path
        self._slots = slots
        self._life_s = life_s
        self._late = late
        self._seen: dict[int, tuple[float, float]] = {}

    async def recover(self, run: Run, own_holder_id: int) -> int:
        """Returns how many were dead. Raises StoreUnavailable."""
        others = [holder for holder in await run(holders.not_dead) if holder.holder_id != own_holder_id]
        self._seen = {holder.holder_id: self._look_at(holder) for holder in others}
        recovered = 0
        for holder in others:
            with self._slots.seized(holder.slot) as gone:
                if gone or holder.state == "fenced" or self._has_stood_still(holder):
                    await self._bury(run, holder)
                    recovered += 1
        return recovered

    async def leave(self, run: Run, own_holder_id: int) -> None:
        """Recover this very process, which ends. Raises StoreUnavailable."""
        for holder in await run(holders.not_dead):
            if holder.holder_id == own_holder_id:
                await self._bury(run, holder)

    async def _bury(self, run: Run, holder: Holder) -> None:
        """End what it left open and return what it held."""
        if holder.state != "fenced":
            await run(partial(fence_holder, holder_id=holder.holder_id))
        began_s = clock.monotonic_s()
        left_open = await asyncio.to_thread(open_entries, self._path, holder)
        ended = await run(partial(end_holder, holder_id=holder.holder_id, left_open=left_open, late=self._late))
        if ended is not None:
            took_ms = round((clock.monotonic_s() - began_s) * 1000)
            log.info("holder_recovered", slot=holder.slot, released=ended, took_ms=took_ms)

    def _look_at(self, holder: Holder) -> tuple[float, float]:
        """Its sign of life, and since when it has been that one."""
        seen = self._seen.get(holder.holder_id)
        return seen if seen and seen[0] == holder.expires_at else (holder.expires_at, clock.monotonic_s())

    def _has_stood_still(self, holder: Holder) -> bool:
        return clock.monotonic_s() - self._seen[holder.holder_id][1] >= self._life_s


def fence_holder(connection: sqlite3.Connection, holder_id: int) -> None:
    """From here on it opens nothing; what it holds can still be settled."""
    connection.execute("UPDATE holders SET state = 'fenced' WHERE holder_id = ? AND state = 'live'", (holder_id,))
    connection.execute(
        "UPDATE leases SET state = 'fenced', epoch = epoch + 1 WHERE holder_id = ? AND state = 'live'", (holder_id,)
    )


def open_entries(path: Path, holder: Holder) -> list[int]:
    """The attempts of a fenced holder that were opened and have not ended. Reads 10 million rows in seconds, without
    an index: the key has slot and kind in it, and an attempt's end stands next to its opening."""
    try:
        with closing(connect(path)) as connection:
            # What is in the cache or maps cheaply is read without copying.
            connection.execute("PRAGMA mmap_size = 8589934592")
            found = connection.execute(
                "SELECT entry_id FROM ledger AS opened WHERE entry_id >= ? AND (entry_id & ?) = ?"
                " AND NOT EXISTS (SELECT 1 FROM ledger WHERE entry_id = opened.entry_id + 1)",
                (entry_id(holder.oldest_number, 1, 0), 0xFF << 15 | 3, holder.slot << 15),
            )
            return [one for (one,) in found]
    except sqlite3.Error as error:
        raise StoreUnavailable(f"The ledger cannot be read ({error}).", retry_after_s=1.0) from error


def end_holder(
    connection: sqlite3.Connection, holder_id: int, left_open: Sequence[int], late: Late | None
) -> int | None:
    """All of it in one transaction: how many entries were released; None when somebody else has done it."""
    done = connection.execute(
        "UPDATE holders SET state = 'dead' WHERE holder_id = ? AND state = 'fenced'", (holder_id,)
    )
    if not done.rowcount:
        return None
    connection.execute(
        "UPDATE pots SET leased_nanos = leased_nanos - granted FROM ("
        "SELECT pot_id AS held, sum(granted_nanos) AS granted FROM leases"
        " WHERE holder_id = ? AND state IN ('live', 'fenced') GROUP BY pot_id) WHERE pot_id = held",
        (holder_id,),
    )
    connection.execute("UPDATE leases SET state = 'dead', granted_nanos = 0 WHERE holder_id = ?", (holder_id,))
    now_ms = int(clock.now_s() * 1000)
    opened = [entries.from_row(row) for row in entries.read(connection, left_open)]
    ended = {row[0] for row in entries.read(connection, [one + ENTRY_ENDED for one in left_open])}
    rows = [
        entries.row_of(entries.release(entry, now_ms)) for entry in opened if entry.entry_id + ENTRY_ENDED not in ended
    ]
    entries.insert(connection, rows)
    if late is not None and rows:
        late(connection, rows)
    _forget(connection)
    return len(rows)


def _forget(connection: sqlite3.Connection) -> None:
    """Rows of holders that died long ago. What of theirs is still to be settled knows its pots by itself."""
    before = clock.now_s() - FORGET_S
    connection.execute(
        "DELETE FROM leases WHERE holder_id IN (SELECT holder_id FROM holders WHERE state = 'dead' AND expires_at < ?)",
        (before,),
    )
    connection.execute("DELETE FROM holders WHERE state = 'dead' AND expires_at < ?", (before,))
