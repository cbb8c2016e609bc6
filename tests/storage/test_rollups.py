from __future__ import annotations

import asyncio
import sqlite3

import pytest

from tests.storage import summed
from tests.storage.conftest import HeldClock
from tests.storage.large import Shape, fill
from tests.storage.summed import BEGAN_MS, FIRST, added_up, advance, advance_all, entry, live, mark, write
from trunkline.errors import StoreUnavailable
from trunkline.ids import ENTRY_ADJUSTED, ENTRY_OPENED, first_number
from trunkline.ports.ledger import Entry
from trunkline.ports.reports import Sums
from trunkline.storage import entries, rollups
from trunkline.storage.database import Database
from trunkline.storage.rollups import PATIENCE_MS
from trunkline.storage.threads import StoreThreads
from trunkline.storage.usage_schema import CUTS, SUMS

LATER_MS = BEGAN_MS + 86_400_000


def sums(database: Database, table: str) -> Sums:
    columns = ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in SUMS)
    with database.reading() as connection:
        return Sums(**connection.exec_driver_sql(f"SELECT {columns} FROM {table}").mappings().one())


def assert_summed(database: Database, wanted: list[Entry]) -> None:
    expected = added_up(wanted)
    for cut in CUTS:
        assert sums(database, cut.table) == expected, cut.table


def calls(count: int) -> list[Entry]:
    return [entry(FIRST + (place << 16), cost_nanos=place, tag="t" if place % 2 else None) for place in range(count)]


def test_what_is_below_the_mark_is_in_every_table(database: Database) -> None:
    wanted = calls(5)
    write(database, [*wanted, entry(FIRST + (2 << 16), ENTRY_OPENED, "open", held_nanos=9, cost_nanos=99)])
    assert sums(database, "usage_hours") == Sums()
    advance_all(database, LATER_MS)
    assert mark(database) == FIRST + (4 << 16) + 1
    assert_summed(database, wanted)
    assert not advance(database, LATER_MS)
    assert_summed(database, wanted)


def test_an_empty_ledger_moves_nothing(database: Database) -> None:
    assert not advance(database, LATER_MS)
    assert mark(database) == 0


def test_a_step_is_bounded_and_ends_between_calls(database: Database) -> None:
    wanted = [entry(FIRST + call, attempt=attempt) for call in range(4) for attempt in (1, 2, 3)]
    write(database, wanted)
    marks = []
    while True:
        more = advance(database, LATER_MS, 4)
        marks.append(mark(database) - FIRST)
        assert_summed(database, wanted[: 3 * marks[-1]])
        if not more:
            break
    assert marks == [1, 2, 3, 4]


def test_a_call_of_more_entries_than_a_step_passes_whole(database: Database) -> None:
    wanted = [entry(FIRST, attempt=attempt) for attempt in range(1, 6)]
    write(database, [*wanted, entry(FIRST + 1)])
    assert advance(database, LATER_MS, 2)
    assert_summed(database, wanted)


def test_the_mark_waits_for_the_oldest_call_that_runs(database: Database) -> None:
    wanted = calls(5)
    write(database, wanted)
    live(database, FIRST + (3 << 16))
    advance_all(database, BEGAN_MS + 1000)
    assert mark(database) == FIRST + (3 << 16)
    assert_summed(database, wanted[:3])
    live(database, FIRST + (3 << 16), "dead")
    advance_all(database, BEGAN_MS + 1000)
    assert_summed(database, wanted)


def test_the_mark_does_not_wait_for_ever(database: Database) -> None:
    wanted = calls(5)
    write(database, wanted)
    live(database, FIRST)
    advance_all(database, BEGAN_MS + 2 + PATIENCE_MS)
    assert mark(database) == first_number(BEGAN_MS + 2)
    assert_summed(database, wanted[:2])


def test_entries_below_the_mark_are_added_as_they_come(database: Database) -> None:
    wanted = calls(5)
    write(database, wanted[2:])
    advance_all(database, LATER_MS)
    opened = entry(FIRST + (1 << 16), ENTRY_OPENED, "open", cost_nanos=77)
    adjusted = entry(
        FIRST + (3 << 16), ENTRY_ADJUSTED, "adjusted", cost_nanos=-2, input_tokens=0, upstream_cost_nanos=-5
    )
    beyond = entry(FIRST + (9 << 16))
    write(database, [wanted[0], opened, wanted[1], adjusted, beyond])
    assert_summed(database, [*wanted, adjusted])
    advance_all(database, LATER_MS)
    assert_summed(database, [*wanted, adjusted, beyond])


def test_an_attempt_that_was_released_in_absence_and_cost_something_is_a_request(database: Database) -> None:
    released = entry(FIRST, state="released", cost_nanos=0, input_tokens=0, output_tokens=0, estimated=True)
    write(database, [released])
    advance_all(database, LATER_MS)
    assert sums(database, "usage_hours") == Sums(errors=1, estimated=1, upstream_cost_nanos=900)
    write(database, [entry(FIRST, ENTRY_ADJUSTED, "adjusted", upstream_cost_nanos=-100)])
    expected = Sums(requests=1, cost_nanos=1000, upstream_cost_nanos=800, input_tokens=10, output_tokens=5)
    assert sums(database, "usage_hours") == expected


def test_what_is_rolled_back_is_in_no_sum(database: Database) -> None:
    wanted = calls(2)
    write(database, wanted)
    advance_all(database, LATER_MS)
    late = [entry(FIRST - 1)]

    with database.reading() as connection:
        rollups.add_late(summed.plain(connection), [entries.row_of(one) for one in late])
    assert_summed(database, wanted)
    write(database, late)
    assert_summed(database, [*wanted, *late])


async def test_sums_are_kept_until_told_to_stop(
    database: Database, threads: StoreThreads, held_clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "PACE_S", 0.0)
    monkeypatch.setattr(rollups, "ADVANCE_S", 0.01)
    held_clock.now_s = LATER_MS / 1000
    keeping = asyncio.create_task(rollups.keep_summed(threads))
    wanted = calls(6)
    write(database, wanted[:3])
    await asyncio.wait_for(_until_summed(database, 3), 10)
    write(database, wanted[3:])
    await asyncio.wait_for(_until_summed(database, 6), 10)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert_summed(database, wanted)


async def _until_summed(database: Database, requests: int) -> None:
    while sums(database, "usage_hours").requests < requests:
        await asyncio.sleep(0.005)


async def test_a_database_that_does_not_answer_is_asked_again(
    database: Database, threads: StoreThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "ADVANCE_S", 0.01)
    write(database, calls(3))
    real, failed = rollups.advance, asyncio.Event()
    loop = asyncio.get_running_loop()

    def fail_once(*arguments: object) -> bool:
        if failed.is_set():
            return real(*arguments)  # type: ignore[arg-type]
        loop.call_soon_threadsafe(failed.set)
        raise StoreUnavailable("gone")

    monkeypatch.setattr(rollups, "advance", fail_once)
    keeping = asyncio.create_task(rollups.keep_summed(threads))
    await asyncio.wait_for(_until_summed(database, 3), 10)
    assert failed.is_set()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


def test_late_rows_of_a_batch_are_told_by_a_plain_connection(database: Database) -> None:
    """As the ledger's thread has one, on which nothing was prepared."""
    wanted = calls(3)
    write(database, wanted[1:])
    advance_all(database, LATER_MS)
    connection = sqlite3.connect(database.path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    rows = [entries.row_of(wanted[0])]
    entries.insert(connection, rows)
    rollups.add_late(connection, rows)
    connection.execute("COMMIT")
    connection.close()
    assert_summed(database, wanted)


@pytest.mark.slow
def test_sums_of_a_large_ledger(database: Database) -> None:
    with database.writing() as connection:
        fill(connection, 200_000, Shape(first_ms=BEGAN_MS, days=3, keys=20_000, accounts=100))
    advance_all(database, LATER_MS + 10 * 86_400_000)
    with database.reading() as connection:
        counted = connection.exec_driver_sql("SELECT count(*), sum(cost_nanos), sum(input_tokens) FROM ledger").one()
    for cut in CUTS:
        found = sums(database, cut.table)
        assert (found.requests + found.errors, found.cost_nanos, found.input_tokens) == tuple(counted), cut.table
