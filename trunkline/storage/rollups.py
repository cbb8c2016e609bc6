"""Sums of the ledger, kept behind a mark so that reports need not read every entry.

The *mark* is a call's number: entries of calls below it are in the sums, others are not. `advance` moves it and adds
what it passes in one transaction; an entry that is written below it, late, is added in the transaction that writes it.
So sums and the entries above the mark, read in one snapshot, are always the whole ledger.
"""

# ruff: noqa: S608 - only names of ours are put into statements; values are bound

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection

from trunkline import clock, observe
from trunkline.errors import StoreUnavailable
from trunkline.ids import NUMBER_SHIFT, first_number, number_of
from trunkline.storage.entries import COLUMNS, Row
from trunkline.storage.threads import StoreThreads
from trunkline.storage.usage_schema import COUNTS, CUTS, DIMENSIONS, HOUR_S, SUMS, Cut, ledger_value

STEP: Final = 1000
"""Entries of one transaction, which keeps others from writing: for 5 ms where few accounts, keys and models are busy,
for 40 ms where each entry is of another of 100,000 keys."""
PACE_S: Final = 0.5
"""Between two steps: at most 2,000 entries a second are summed up, and calls come first. What is left is summed up when
there are fewer; reports are exact anyway, and somewhat slower until then."""
ADVANCE_S: Final = 5.0
"""Between two looks when there is nothing left."""
PATIENCE_MS: Final = 300_000
"""How long the mark waits for a call to end."""

log = observe.logger("storage")

READ_MARK: Final = "SELECT number FROM usage_progress"
_MOVE_MARK: Final = "UPDATE usage_progress SET number = ?"
_LAST_ENTRY: Final = "SELECT max(entry_id) FROM ledger"
_FIRST_ENTRY: Final = "SELECT min(entry_id) FROM ledger WHERE entry_id >= ?"
_OLDEST_CALL: Final = "SELECT min(oldest_number) FROM holders WHERE state <> 'dead'"
_STEP_END: Final = "SELECT entry_id FROM ledger WHERE entry_id >= ? AND entry_id < ? ORDER BY entry_id LIMIT 1 OFFSET ?"

_KEY: Final = ("start_s", *DIMENSIONS.values())
_SPAN: Final = ("first_entry", "last_entry", "first_ms", "last_ms")
# What a step passes, in the finest grain, before it goes to each of the tables: so the ledger is read once.
_MAKE_STEP: Final = f"CREATE TEMP TABLE IF NOT EXISTS usage_step ({', '.join([*_KEY, *SUMS, *_SPAN])})"
_EMPTY_STEP: Final = "DELETE FROM usage_step"
_SUMMED: Final = ", ".join(
    [
        f"opened_at_ms / {HOUR_S * 1000} * {HOUR_S}",
        *map(ledger_value, DIMENSIONS),
        *(f"sum({value})" for value in SUMS.values()),
        "min(entry_id), max(entry_id), min(opened_at_ms), max(opened_at_ms)",
    ]
)
_GROUPED: Final = f"GROUP BY {', '.join(str(place + 1) for place in range(len(_KEY)))}"
_FILL_STEP: Final = (
    f"INSERT INTO usage_step SELECT {_SUMMED} FROM ledger WHERE entry_id >= ? AND entry_id < ? AND {COUNTS} {_GROUPED}"
)
_FILL_LATE: Final = (
    f"INSERT INTO usage_step WITH given ({', '.join(COLUMNS)}) AS (VALUES ({', '.join('?' * len(COLUMNS))}))"
    f" SELECT {_SUMMED} FROM given WHERE {COUNTS} {_GROUPED}"
)


def _spread(cut: Cut) -> str:
    key = ("start_s", *cut.columns)
    start = f"start_s / {cut.unit_s} * {cut.unit_s}" if cut.unit_s != HOUR_S else "start_s"
    sums = [f"sum({name})" for name in SUMS]
    more = [f"{name} = {name} + excluded.{name}" for name in SUMS]
    return (
        f"INSERT INTO {cut.table} ({', '.join([*key, *SUMS])})"
        f" SELECT {', '.join([start, *cut.columns, *sums])} FROM usage_step"
        f" WHERE true GROUP BY {', '.join(str(place + 1) for place in range(len(key)))}"
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join(more)}"
    )


_WIDEN: Final = (
    "INSERT INTO usage_spans (start_s, first_entry, last_entry, first_ms, last_ms)"
    " SELECT start_s, min(first_entry), max(last_entry), min(first_ms), max(last_ms) FROM usage_step"
    " WHERE true GROUP BY 1 ON CONFLICT (start_s) DO UPDATE SET"
    " first_entry = min(first_entry, excluded.first_entry), last_entry = max(last_entry, excluded.last_entry),"
    " first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms)"
)
_SPREAD: Final = (*map(_spread, CUTS), _WIDEN, _EMPTY_STEP)


def add_late(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Add those of `rows` that are below the mark; they have just been written to the ledger, in this transaction."""
    mark: int = connection.execute(READ_MARK).fetchone()[0]
    late = [row for row in rows if row[0] < mark << NUMBER_SHIFT and row[0] & 3]
    if not late:
        return
    connection.execute(_MAKE_STEP)
    connection.executemany(_FILL_LATE, late)
    for statement in _SPREAD:
        connection.execute(statement)


def advance(connection: Connection, now_ms: int, most: int = STEP) -> bool:
    """Move the mark, by about `most` entries, in a transaction that holds the write lock. Is there more to do?"""
    mark = _number(connection, READ_MARK)
    goal = _goal(connection, now_ms)
    if goal <= mark:
        return False
    beyond = _number(connection, _STEP_END, mark << NUMBER_SHIFT, goal << NUMBER_SHIFT, most)
    # The call that the step would end in is left to the next, unless it is all of this one.
    first = _number(connection, _FIRST_ENTRY, mark << NUMBER_SHIFT)
    reached = goal if not beyond else max(number_of(beyond), number_of(first) + 1)
    connection.exec_driver_sql(_MAKE_STEP)
    connection.exec_driver_sql(_FILL_STEP, (mark << NUMBER_SHIFT, reached << NUMBER_SHIFT))
    for statement in _SPREAD:
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(_MOVE_MARK, (reached,))
    return reached < goal


async def keep_summed(threads: StoreThreads) -> None:
    """Runs until it is cancelled. Several processes may; each finds what the others have left."""
    while True:
        try:
            while await threads.write(lambda connection: advance(connection, int(clock.now_s() * 1000))):
                await asyncio.sleep(PACE_S)
        except StoreUnavailable as error:
            log.warning("sums_failed", reason=error.message)
        await asyncio.sleep(ADVANCE_S)


def _goal(connection: Connection, now_ms: int) -> int:
    """Behind every call that runs, but for those that run for too long: their entries are added as they come."""
    last = _number(connection, _LAST_ENTRY)
    if not last:
        return 0
    behind_all = number_of(last) + 1
    oldest = _number(connection, _OLDEST_CALL) or behind_all
    return min(behind_all, max(oldest, first_number(now_ms - PATIENCE_MS)))


def _number(connection: Connection, statement: str, *values: Any) -> int:
    """0 for none."""
    return connection.exec_driver_sql(statement, values).scalar() or 0
