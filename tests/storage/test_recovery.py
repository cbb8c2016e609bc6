from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.storage import payer
from tests.storage.books import (
    NO_CALL,
    QUICK,
    Books,
    add_budget,
    assert_balanced,
    draw,
    ended,
    looking,
    open_numbers,
    opened,
    opened_books,
    pot,
    query,
)
from tests.storage.conftest import HeldClock
from trunkline import clock
from trunkline.ids import CallNumbers, entry_id
from trunkline.storage import entries, holders, recovery
from trunkline.storage.database import Database
from trunkline.storage.entries import Row
from trunkline.storage.holders import Holder, HolderTimes

NEVER_LOOKS = HolderTimes(beat_s=600.0, life_s=0.3, margin_s=0.1)


def settled(lines: Iterable[str]) -> dict[int, int]:
    """number -> cost, of what was acknowledged."""
    words = [line.split() for line in lines if line.startswith("settled")]
    return {int(number): int(cost) for _, number, cost in words}


def costs(path: Path) -> dict[int, int]:
    found = query(path, "SELECT entry_id, cost_nanos FROM ledger WHERE state = 'settled'")
    return {entry >> 7: cost for entry, cost in found}


async def leave_open(database: Database, hold: int) -> tuple[int, int]:
    """A process that dies with a call open: (its number, what it had leased)."""
    books = Books(database.path, NEVER_LOOKS)
    await books.start()
    leased = await books.lease("bdg_1", hold)
    number = books.number()
    await books.ledger.append([opened(number, draw(leased, hold))])
    await vanish(books)
    return number, leased.granted_nanos


async def vanish(books: Books) -> None:
    """As a process does that is killed: nothing is written, and its locks are gone."""
    for task in books.ledger._tasks:
        task.cancel()
    books.ledger._closed = True
    books.ledger._orders.put(None)
    await asyncio.to_thread(books.ledger._thread.join)
    books.ledger._slots.close()


async def test_what_a_dead_process_left_is_ended_and_returned(database: Database) -> None:
    add_budget(database.path, "bdg_1", 1_000_000)
    number, granted = await leave_open(database, 600)
    assert pot(database.path, "bdg_1")[2] == granted
    async with opened_books(database.path) as books:
        assert books.ledger.slot == 1, "the slot of a process that has not been recovered is not given again"
        assert await books.ledger.recover() == 1
        assert await books.ledger.recover() == 0
        with looking(database.path) as connection:
            [row] = entries.read(connection, [entry_id(number, 1, 1)])
        entry = entries.from_row(row)
        assert (entry.state, entry.cost_nanos, entry.upstream_cost_nanos) == ("released", 0, 600)
        assert (entry.estimated, entry.status, entry.held_nanos) == (True, 0, 600)
        assert (entry.account_id, entry.key_id, entry.model) == ("acct_root", "key_1", "sandbox/echo")
        assert pot(database.path, "bdg_1") == (1_000_000, 0, 0)
        assert query(database.path, "SELECT state, granted_nanos FROM leases") == [("dead", 0)]
        assert (await books.lease("bdg_1", 1_000_000)).granted_nanos == 1_000_000
        assert_balanced(database.path)
    async with opened_books(database.path) as books:
        assert books.ledger.slot == 0


async def test_processes_that_start_at_once_share_the_work(database: Database) -> None:
    add_budget(database.path, "bdg_1", 1_000_000)
    number, _ = await leave_open(database, 600)
    async with opened_books(database.path) as one, opened_books(database.path) as two:
        await asyncio.gather(one.ledger.recover(), two.ledger.recover())
        for books in (one, two):
            assert open_numbers(books.path) == []
        found = query(database.path, "SELECT count(*) FROM ledger WHERE entry_id = ?", entry_id(number, 1, 1))
        assert found == [(1,)]
        assert_balanced(database.path)


async def test_a_recovery_that_was_broken_off_is_finished(database: Database) -> None:
    add_budget(database.path, "bdg_1", 1_000_000)
    await leave_open(database, 600)
    with looking(database.path) as connection:
        recovery.fence_holder(connection, 1)
    async with opened_books(database.path) as books:
        assert await books.ledger.recover() == 1
        assert open_numbers(database.path) == []


async def test_a_live_process_is_left_alone(database: Database) -> None:
    add_budget(database.path, "bdg_1", 1_000_000)
    async with opened_books(database.path, QUICK) as one, opened_books(database.path, QUICK) as two:
        leased = await one.lease("bdg_1", 100)
        await one.ledger.append([opened(one.number(), draw(leased, 100))])
        for _ in range(13):  # longer than one that does not beat would live
            await asyncio.sleep(QUICK.beat_s)
            assert await two.ledger.recover() == 0
        assert len(one.registered) == 1
        assert len(open_numbers(database.path)) == 1


async def test_a_clock_that_is_set_forward_kills_nobody(
    database: Database, held_clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monotonic = [1000.0]
    monkeypatch.setattr(clock, "monotonic_s", lambda: monotonic[0])
    async with opened_books(database.path) as one, opened_books(database.path) as two:
        assert one.ledger.slot == 0
        held_clock.now_s += 1e6
        assert await two.ledger.recover() == 0
        monotonic[0] += 299.0
        assert await two.ledger.recover() == 0
        await one.ledger._beat()
        monotonic[0] += 299.0
        assert await two.ledger.recover() == 0
        monotonic[0] += 300.0
        assert await two.ledger.recover() == 1


@pytest.fixture
def full(database: Database) -> tuple[Path, list[int]]:
    """Two slots' entries: slot 3 has some that are open, among them second attempts."""
    left: list[int] = []
    rows: list[Row] = []
    chance = random.Random(7)
    numbers = {slot: CallNumbers(slot) for slot in (3, 4)}
    for at in range(400):
        for slot, its in numbers.items():
            number = its.new(1_800_000_000_000 + at)
            for attempt in (1, 2):
                opens = opened(number, attempt=attempt)
                rows.append(entries.row_of(opens))
                if chance.random() < 0.9:
                    rows.append(entries.row_of(ended(number, attempt=attempt)))
                elif slot == 3:
                    left.append(opens.entry_id)
            rows.append(entries.row_of(ended(its.new(1_800_000_000_000 + at))))
    with looking(database.path) as connection:
        connection.execute("BEGIN")
        entries.insert(connection, rows)
        connection.execute("COMMIT")
    return database.path, left


def test_open_entries_are_found_by_slot_alone(full: tuple[Path, list[int]]) -> None:
    path, left = full
    assert len(left) > 20
    assert recovery.open_entries(path, Holder(1, 3, "fenced", 0.0, 0)) == left
    middle = left[len(left) // 2] >> 7
    after = recovery.open_entries(path, Holder(1, 3, "fenced", 0.0, middle))
    assert after == [one for one in left if one >> 7 >= middle]
    assert recovery.open_entries(path, Holder(1, 3, "fenced", 0.0, NO_CALL)) == []
    assert recovery.open_entries(path, Holder(1, 5, "fenced", 0.0, 0)) == []


def test_dead_holders_are_forgotten_after_a_day(database: Database, held_clock: HeldClock) -> None:
    with looking(database.path) as connection:
        for state, expires_at in (("dead", 0.0), ("dead", held_clock.now_s), ("fenced", 0.0)):
            connection.execute(
                "INSERT INTO holders (slot, pid, state, started_at, expires_at, oldest_number)"
                " VALUES (1, 1, ?, 0, ?, 0)",
                (state, expires_at),
            )
        assert recovery.end_holder(connection, 3, [], None) == 0
        assert recovery.end_holder(connection, 3, [], None) is None
        connection.execute("UPDATE holders SET expires_at = ? WHERE holder_id = 3", (held_clock.now_s,))
        left = connection.execute("SELECT holder_id, state FROM holders").fetchall()
    assert left == [(2, "dead")]


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
async def test_a_process_that_is_killed_loses_nothing_and_leaves_nothing(database: Database, seed: int) -> None:
    path = database.path
    add_budget(path, "bdg_1", 10_000_000_000)
    await asyncio.to_thread(_kill_one_of_two, path, random.Random(seed))
    async with opened_books(path) as books:
        await books.ledger.recover()
        assert open_numbers(path) == []
        assert pot(path, "bdg_1")[2] == 0
        assert_balanced(path)


def _kill_one_of_two(path: Path, chance: random.Random) -> None:
    killed, other = payer.start(path, "bdg_1", 1000, 100_000), payer.start(path, "bdg_1", 1000, 100)
    lines = []
    for _ in range(chance.randint(50, 300)):
        lines.append(payer.heard(killed))
    killed.kill()
    assert killed.stdout is not None
    lines += killed.stdout.read().splitlines()
    finished = payer.heard_until(other, "done")
    killed.communicate()
    other.communicate()
    assert finished[-1] == "done"
    written = costs(path)
    acknowledged = settled(lines) | settled(finished)
    assert acknowledged.items() <= written.items()
    assert len(written) - len(acknowledged) <= payer.CALLERS, "what was on disk and not yet said"
    assert not {"fenced", "refused", "unavailable"} & set(lines + finished)


async def test_a_process_that_was_stopped_for_too_long_spends_nothing_more(database: Database) -> None:
    path, limit = database.path, 10_000
    add_budget(path, "bdg_1", limit)
    stopped = await asyncio.to_thread(payer.start, path, "bdg_1", 10, 1_000_000)
    try:
        await asyncio.to_thread(_stop_between_transactions, stopped, path)
        async with opened_books(path, QUICK) as books:
            until = clock.monotonic_s() + 20
            while query(path, "SELECT state FROM holders ORDER BY holder_id")[0] != ("dead",):
                assert clock.monotonic_s() < until
                await asyncio.sleep(0.05)
            rest = limit - pot(path, "bdg_1")[1]
            leased = await books.lease("bdg_1", rest)
            assert leased.granted_nanos == rest
            os.kill(stopped.pid, signal.SIGCONT)
            lines = await asyncio.to_thread(payer.heard_until, stopped, "fenced")
            assert lines[-1] == "fenced"
            await asyncio.to_thread(payer.heard_until, stopped, "refused")
            number = books.number()
            await books.ledger.append([opened(number, draw(leased, rest)), ended(number, draw(leased, rest))])
            assert_balanced(path)
            _, spent, held = pot(path, "bdg_1")
            adjusted = query(path, "SELECT coalesce(sum(cost_nanos), 0) FROM ledger WHERE state = 'adjusted'")
            assert held == 0
            assert spent == limit + adjusted[0][0], "only what was under way when it was stopped came on top"
            assert adjusted[0][0] <= 10 * payer.CALLERS
    finally:
        stopped.kill()
        stopped.communicate()


def _stop_between_transactions(stopped: subprocess.Popen[str], path: Path) -> None:
    """One that stands still within a transaction keeps SQLite's lock, and nobody can write."""
    for _ in range(20):
        payer.heard(stopped)
    while True:
        os.kill(stopped.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, stopped.pid, os.WSTOPPED)  # all its threads stand still
        try:
            with looking(path) as connection:
                connection.execute("PRAGMA busy_timeout = 50")
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
            return
        except sqlite3.OperationalError:
            os.kill(stopped.pid, signal.SIGCONT)
            payer.heard(stopped)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_million_rows_are_looked_through_in_seconds(database: Database) -> None:
    numbers = CallNumbers(5)
    opens = entries.row_of(opened(0, tag="a tag", pots="1,2"))[1:]
    ends = entries.row_of(ended(0, tag="a tag", pots="1,2"))[1:]
    left: list[int] = []
    with looking(database.path) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for block in range(100):
            connection.execute("BEGIN")
            first = [
                entry_id(numbers.new(1_800_000_000_000 + (block * 50_000 + at) // 2), 1, 0) for at in range(50_000)
            ]
            left.append(first[7])
            pairs = [((one, *opens), (one + 1, *ends)) for one in first]
            entries.insert(connection, [row for pair in pairs for row in pair if row[0] != first[7] + 1])
            connection.execute("COMMIT")
    began = clock.monotonic_s()
    assert recovery.open_entries(database.path, Holder(1, 5, "fenced", 0.0, 0)) == left
    took_s = clock.monotonic_s() - began
    assert took_s < 5.0


def test_who_is_not_dead_is_listed(database: Database) -> None:
    with looking(database.path) as connection:
        assert holders.not_dead(connection) == []
