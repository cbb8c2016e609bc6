from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import msgspec
import pytest

from tests.storage.books import (
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
from trunkline import clock
from trunkline.errors import Defect, StoreUnavailable
from trunkline.ids import entry_id, number_of
from trunkline.policy.keys import KeysOptions
from trunkline.ports.budgets import Leased, Wanted
from trunkline.ports.ledger import ADJUSTED, RELEASED, Fenced, Ledger
from trunkline.storage import entries, holders, leases, recovery
from trunkline.storage import ledger as module
from trunkline.storage.database import Database, DatabaseOptions
from trunkline.storage.ledger_writer import Batch
from trunkline.storage.store import Store

LIMIT = 1_000_000


@pytest.fixture
async def books(database: Database) -> AsyncIterator[Books]:
    add_budget(database.path, "bdg_1", LIMIT)
    async with opened_books(database.path) as made:
        yield made


def rows(path: Path) -> list[tuple[int, str, int]]:
    return query(path, "SELECT entry_id, state, cost_nanos FROM ledger ORDER BY entry_id")


def transactions(books: Books, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that are written from now on."""
    sizes: list[int] = []
    write = books.ledger._writer.write

    def counted(batch: Batch) -> None:
        sizes.append(len(batch.items))
        write(batch)

    monkeypatch.setattr(books.ledger._writer, "write", counted)
    return sizes


async def test_a_call_that_is_opened_and_settled_moves_its_cost_into_the_pot(books: Books) -> None:
    leased = await books.lease("bdg_1", 1000)
    assert leased.granted_nanos >= 1000
    number = books.number()
    await books.ledger.append([opened(number, draw(leased, 1000))])
    assert pot(books.path, "bdg_1") == (LIMIT, 0, leased.granted_nanos)
    await books.ledger.append([ended(number, draw(leased, 400))])
    assert pot(books.path, "bdg_1") == (LIMIT, 400, leased.granted_nanos - 400)
    assert_balanced(books.path)
    await books.ledger.close()
    assert pot(books.path, "bdg_1") == (LIMIT, 400, 0)
    assert_balanced(books.path)


async def test_every_column_is_kept_as_it_was(books: Books) -> None:
    entry = ended(
        books.number(),
        tag="t",
        end_user="u",
        cost_nanos=7,
        images=2,
        estimated=True,
        service_tier="flex",
        cached_input_tokens=3,
    )
    bare = ended(books.number())
    await books.ledger.append([entry, bare])
    with looking(books.path) as connection:
        found = connection.execute("SELECT * FROM ledger ORDER BY entry_id").fetchall()
    assert [entries.from_row(row) for row in found] == [entry, bare]
    assert [row[-1] for row in found] == [None, None]


async def test_an_opened_entry_says_what_it_drew(books: Books) -> None:
    leased = await books.lease("bdg_1", 1000)
    await books.ledger.append([opened(books.number(), draw(leased, 1000))])
    assert query(books.path, "SELECT leases, pots, settled_at_ms FROM ledger") == [
        (f"{leased.lease_id}:1000", str(leased.pot_id), None)
    ]


async def test_what_comes_in_one_turn_or_while_the_thread_works_goes_in_together(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = transactions(books, monkeypatch)
    waiting = [books.ledger.append([ended(books.number())]) for _ in range(20)]
    await asyncio.sleep(0)
    waiting += [books.ledger.append([ended(books.number())]) for _ in range(30)]
    await asyncio.gather(*waiting)
    assert sizes == [20, 30]
    assert len(rows(books.path)) == 50


async def test_a_pot_that_does_not_pay_is_not_charged(books: Books) -> None:
    leased = await books.lease("bdg_1", 1000)
    number = books.number()
    await books.ledger.append([opened(number, draw(leased, 1000))])
    await books.ledger.append([ended(number, draw(leased, 400, charged=False), pots=None, cost_nanos=400)])
    assert pot(books.path, "bdg_1") == (LIMIT, 0, leased.granted_nanos)


async def test_more_than_was_leased_is_spent_all_the_same(books: Books) -> None:
    leased = await books.lease("bdg_1", LIMIT)
    number = books.number()
    await books.ledger.append([opened(number, draw(leased, LIMIT))])
    await books.ledger.append([ended(number, draw(leased, LIMIT + 5), overshoot_nanos=5)])
    assert pot(books.path, "bdg_1") == (LIMIT, LIMIT + 5, 0)
    assert_balanced(books.path)
    assert (await books.lease("bdg_1", 1)).granted_nanos == 0


async def fence(database: Database) -> None:
    with database.writing() as connection:
        leases.fence(connection, "bdg_1")


async def test_a_fenced_lease_opens_nothing_and_can_still_be_settled(books: Books, database: Database) -> None:
    add_budget(books.path, "bdg_2", LIMIT)
    leased, other = await books.lease("bdg_1", 1000), await books.lease("bdg_2", 1000)
    before, after, whole = books.number(), books.number(), books.number()
    await books.ledger.append([opened(before, draw(leased, 600))])
    await fence(database)
    refused = books.ledger.append([ended(whole), opened(after, draw(other, 10), draw(leased, 10))])
    allowed = books.ledger.append([ended(before, draw(leased, 500))])
    fine = books.ledger.append([opened(books.number(), draw(other, 10))])
    with pytest.raises(Fenced) as fenced:
        await refused
    assert fenced.value.lease_ids == (leased.lease_id,)
    await asyncio.gather(allowed, fine)
    assert {number_of(row[0]) for row in rows(books.path)} >= {before}
    assert not {number_of(row[0]) for row in rows(books.path)} & {after, whole}
    assert_balanced(books.path)
    anew = await books.lease("bdg_1", 1000)
    assert (anew.lease_id, anew.granted_nanos > 0) != (leased.lease_id, False)
    await books.ledger.append([opened(after, draw(anew, 10))])


async def test_an_old_epoch_of_a_lease_that_was_closed_and_opened_again_is_fenced(books: Books) -> None:
    leased = await books.lease("bdg_1", 1000)
    await books.ledger.give_back([(leased.lease_id, leased.granted_nanos)])
    again = await books.lease("bdg_1", 1000)
    assert (again.lease_id, again.epoch) == (leased.lease_id, leased.epoch + 1)
    with pytest.raises(Fenced):
        await books.ledger.append([opened(books.number(), draw(leased, 1))])
    await books.ledger.append([opened(books.number(), draw(again, 1))])


async def test_the_same_entry_again_counts_as_written(books: Books) -> None:
    leased = await books.lease("bdg_1", 1000)
    number = books.number()
    await books.ledger.append([opened(number, draw(leased, 1000))])
    for settled_at_ms in (1, 2):
        await books.ledger.append([opened(number, draw(leased, 1000))])
        await books.ledger.append([ended(number, draw(leased, 400), settled_at_ms=settled_at_ms)])
    assert pot(books.path, "bdg_1")[1] == 400
    assert_balanced(books.path)


async def test_nothing_is_settled_twice_and_the_others_of_the_batch_are_written(books: Books) -> None:
    leased = await books.lease("bdg_1", 1000)
    number, other = books.number(), books.number()
    await books.ledger.append([opened(number, draw(leased, 1000))])
    await books.ledger.append([ended(number, draw(leased, 400))])
    first = books.ledger.append([opened(other, draw(leased, 100))])
    twice = books.ledger.append([ended(number, draw(leased, 401))])
    last = books.ledger.append([ended(other, draw(leased, 50))])
    with pytest.raises(Defect, match="another entry"):
        await twice
    await asyncio.gather(first, last)
    assert pot(books.path, "bdg_1")[1] == 450
    assert_balanced(books.path)


async def test_what_a_table_refuses_harms_nobody_else(books: Books) -> None:
    bad = books.ledger.append([ended(books.number(), input_tokens=1 << 70)])
    unknown = books.ledger.lease([Wanted("bdg_unknown", 1)])
    fine = books.ledger.append([ended(books.number())])
    with pytest.raises(Defect):
        await bad
    with pytest.raises(Defect, match="no budget bdg_unknown"):
        await unknown
    await fine
    assert len(rows(books.path)) == 1


async def test_one_that_fails_half_way_leaves_nothing(books: Books) -> None:
    leased, number = await books.lease("bdg_1", 1000), books.number()
    nowhere = msgspec.structs.replace(draw(leased, 5), pot_id=999)
    fine = books.ledger.append([opened(number, draw(leased, 10))])
    bad = books.ledger.append([ended(number, draw(leased, 10), nowhere)])
    with pytest.raises(Defect, match="no pot 999"):
        await bad
    await fine
    assert open_numbers(books.path) == [entry_id(number, 1, 0)]
    assert pot(books.path, "bdg_1") == (LIMIT, 0, leased.granted_nanos)
    assert_balanced(books.path)


async def test_the_truth_that_comes_after_a_recovery_is_one_adjustment(books: Books, database: Database) -> None:
    leased = await books.lease("bdg_1", 1000)
    number = books.number()
    await books.ledger.append([opened(number, draw(leased, 1000), held_nanos=1000)])
    await asyncio.to_thread(_bury, books)
    assert pot(books.path, "bdg_1") == (LIMIT, 0, 0)
    truth = ended(number, draw(leased, 400), upstream_cost_nanos=300, output_tokens=9)
    for _ in range(2):
        await books.ledger.append([truth])
    ended_id = entry_id(number, 1, 1)
    assert rows(books.path)[1:] == [(ended_id, RELEASED, 0), (ended_id + 1, ADJUSTED, 400)]
    sums = query(books.path, "SELECT sum(cost_nanos), sum(upstream_cost_nanos), sum(output_tokens) FROM ledger")
    assert sums == [(400, 300, 9)]
    assert pot(books.path, "bdg_1") == (LIMIT, 400, 0)
    assert_balanced(books.path)
    with pytest.raises(Defect, match="adjusted already"):
        await books.ledger.append([ended(number, draw(leased, 401))])


def _bury(books: Books) -> None:
    """As another process would that takes this one for dead."""
    holder_id = books.ledger._holding.holder_id
    with looking(books.path) as connection:
        [holder] = [one for one in holders.not_dead(connection) if one.holder_id == holder_id]
        connection.execute("BEGIN IMMEDIATE")
        recovery.fence_holder(connection, holder_id)
        connection.execute("COMMIT")
        left_open = recovery.open_entries(books.path, holder)
        connection.execute("BEGIN IMMEDIATE")
        assert recovery.end_holder(connection, holder_id, left_open, None) is not None
        connection.execute("COMMIT")


async def test_who_was_taken_for_dead_spends_nothing_more_and_begins_anew(database: Database) -> None:
    add_budget(database.path, "bdg_1", LIMIT)
    async with opened_books(database.path, QUICK) as books:
        leased = await books.lease("bdg_1", 1000)
        await asyncio.to_thread(_bury, books)
        number = books.number()
        with pytest.raises(Fenced):
            await books.ledger.append([opened(number, draw(leased, 10))])
        while len(books.registered) < 2:
            await asyncio.sleep(0.01)
        assert books.registered[1][1] >= number
        assert books.ledger.live_until_s() > clock.monotonic_s()
        again = await books.lease("bdg_1", 10)
        await books.ledger.append([opened(books.number(), draw(again, 10))])


async def test_an_opening_without_a_lease_needs_a_live_process(books: Books) -> None:
    await books.ledger.append([opened(books.number())])
    await asyncio.to_thread(_bury, books)
    with pytest.raises(Fenced) as fenced:
        await books.ledger.append([opened(books.number())])
    assert fenced.value.lease_ids == ()
    assert books.ledger.live_until_s() == 0.0
    with pytest.raises(Fenced):
        await books.lease("bdg_1", 1)


async def test_an_opening_under_a_slot_that_is_not_ours_is_refused(books: Books) -> None:
    with pytest.raises(StoreUnavailable, match="stood still"):
        await books.ledger.append([opened(books.number() ^ 1 << 8)])


async def test_a_process_lives_for_as_long_as_it_beats(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened_books(database.path, QUICK) as books:
        first = books.ledger.live_until_s()
        assert first <= clock.monotonic_s() + QUICK.life_s - QUICK.margin_s
        running = books.number()
        while books.ledger.live_until_s() == first:
            await asyncio.sleep(0.01)
        [(oldest, state)] = query(database.path, "SELECT oldest_number, state FROM holders")
        assert (oldest, state) == (running, "live")
    assert query(database.path, "SELECT state FROM holders") == [("dead",)]


async def refused_in_time(awaitable: Awaitable[object]) -> None:
    began = clock.monotonic_s()
    with pytest.raises(StoreUnavailable) as refused:
        await awaitable
    assert clock.monotonic_s() - began < 2.0
    assert refused.value.retry_after_s


async def test_a_ledger_that_cannot_be_written_refuses_in_time_and_comes_back(books: Books) -> None:
    leased = await books.lease("bdg_1", 1000)
    number = books.number()
    with looking(books.path) as other:
        other.execute("BEGIN IMMEDIATE")
        at_work = books.ledger.append([opened(number, draw(leased, 1000))])
        await asyncio.sleep(0)
        queued = books.ledger.append([ended(books.number())])
        await asyncio.gather(refused_in_time(at_work), refused_in_time(queued))
        other.execute("ROLLBACK")
    assert rows(books.path) == []
    await books.ledger.append([opened(number, draw(leased, 1000))])
    assert_balanced(books.path)


async def test_what_is_given_back_is_written_as_soon_as_it_can_be(books: Books) -> None:
    leased = await books.lease("bdg_1", 1000)
    with looking(books.path) as other:
        other.execute("BEGIN IMMEDIATE")
        await refused_in_time(books.ledger.give_back([(leased.lease_id, 100)]))
        await refused_in_time(books.ledger.append([ended(books.number())]))
        other.execute("ROLLBACK")
    await books.ledger.append([ended(books.number())])
    assert pot(books.path, "bdg_1")[2] == leased.granted_nanos - 100
    assert_balanced(books.path)


async def test_a_file_that_was_moved_away_is_noticed_and_its_return_too(books: Books) -> None:
    aside = books.path.with_name("aside.db")
    books.path.rename(aside)
    await refused_in_time(books.ledger.append([ended(books.number())]))
    aside.rename(books.path)
    await books.ledger.append([ended(books.number())])
    assert len(rows(books.path)) == 1


class Stuck:
    """A disk that holds one transaction back until it is let go."""

    def __init__(self, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on = threading.Event()
        self.began = threading.Event()
        commit = books.ledger._writer._commit

        def slow(*arguments: object) -> None:
            self.began.set()
            assert self.go_on.wait(10)
            commit(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(books.ledger._writer, "_commit", slow)
        monkeypatch.setattr(module, "GIVEN_UP_S", 0.05)


async def test_a_disk_that_does_not_answer_keeps_nobody_waiting_and_its_late_yes_is_made_up_for(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await books.lease("bdg_1", 1000)
    stuck = Stuck(books, monkeypatch)
    number, settled = books.number(), books.number()
    at_work: list[Awaitable[object]] = [
        books.ledger.append([ended(settled, draw(kept, 7))]),
        books.ledger.append([opened(number, draw(kept, 10))]),
        books.ledger.lease([Wanted("bdg_1", 2000)]),
        books.ledger.give_back([(kept.lease_id, 5)]),
    ]
    await asyncio.to_thread(stuck.began.wait, 10)
    queued = books.ledger.append([ended(books.number())])
    await asyncio.gather(*map(refused_in_time, [*at_work, queued]))
    await refused_in_time(books.ledger.append([ended(books.number())]))
    await refused_in_time(books.ledger.give_back([(kept.lease_id, 1)]))
    stuck.go_on.set()
    while books.ledger._at_work is not None:
        await asyncio.sleep(0.01)
    await books.ledger.drain()
    assert open_numbers(books.path) == []
    assert [row[1:] for row in rows(books.path)] == [("open", 0), ("released", 0), ("settled", 7)]
    assert pot(books.path, "bdg_1") == (LIMIT, 7, kept.granted_nanos - 13)
    assert_balanced(books.path)


async def test_whoever_stops_waiting_does_not_stop_the_write(books: Books) -> None:
    future = books.ledger.append([ended(books.number())])
    assert isinstance(future, asyncio.Future)
    future.cancel()
    await books.ledger.drain()
    assert len(rows(books.path)) == 1


async def test_closing_writes_what_was_handed_over_and_then_refuses(books: Books) -> None:
    waiting = [books.ledger.append([ended(books.number())]) for _ in range(5)]
    await books.ledger.close()
    await asyncio.gather(*waiting)
    assert len(rows(books.path)) == 5
    with pytest.raises(StoreUnavailable):
        await books.ledger.append([ended(books.number())])
    await books.ledger.close()


async def test_closing_without_a_database_ends(books: Books) -> None:
    books.path.unlink()
    await books.ledger.close()


async def test_rows_are_told_of_in_their_transaction(database: Database) -> None:
    told: list[int] = []

    def late(connection: sqlite3.Connection, rows: object) -> None:
        assert isinstance(rows, list)
        told.extend(row[0] for row in rows)
        assert connection.in_transaction
        assert len(told) == connection.execute("SELECT count(*) FROM ledger").fetchone()[0]

    async with opened_books(database.path, late=late) as books:
        await books.ledger.append([ended(books.number()), ended(books.number())])
        await books.ledger.append([opened(books.number())])
    assert len(told) == 4, "the end of the one that was left open too"


async def test_a_number_is_never_given_twice(database: Database) -> None:
    async with opened_books(database.path) as books:
        future = max(books.number(), (books.registered[0][1] >> 16) + 3_600_000 << 16)
        await books.ledger.append([ended(future)])
    async with opened_books(database.path) as books:
        assert books.registered[0][1] >= future
        assert books.number() > future


async def test_the_store_opens_it(tmp_path: Path) -> None:
    store = Store(DatabaseOptions(), KeysOptions(), tmp_path)
    made: Ledger = store.open_ledger()
    assert isinstance(made, module.SqlLedger)
    await made.start(module.LedgerHooks(lambda: None, lambda slot, after: None))
    await made.append([ended(1)])
    await made.close()
    store.close()


@pytest.mark.parametrize("seed", range(4))
async def test_the_pots_are_the_sums_of_leases_and_entries_whatever_happens(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    for name in ("bdg_1", "bdg_2"):
        add_budget(database.path, name, 50_000)
    async with opened_books(database.path) as books:
        await _live(books, database, chance)
        assert_balanced(database.path)
    for name in ("bdg_1", "bdg_2"):
        limit, spent, leased = pot(database.path, name)
        assert spent <= limit
        assert leased == 0
    assert_balanced(database.path)


async def _live(books: Books, database: Database, chance: random.Random) -> None:
    """Keeps to what a process may do: holds come out of its leases, costs stay within their holds."""
    free: dict[str, tuple[Leased, int]] = {}
    calls: list[tuple[int, str, Leased, int]] = []
    for _ in range(150):
        name = chance.choice(["bdg_1", "bdg_2"])
        step = chance.random()
        leased, left = free.get(name, (None, 0))
        if step < 0.25:
            got = await books.lease(name, chance.randint(1, 3000))
            if got.granted_nanos:
                same = leased is not None and (leased.lease_id, leased.epoch) == (got.lease_id, got.epoch)
                free[name] = got, got.granted_nanos + (left if same else 0)
        elif step < 0.6 and leased is not None and left:
            hold, number = chance.randint(1, left), books.number()
            try:
                await books.ledger.append([opened(number, draw(leased, hold))])
            except Fenced:
                del free[name]
                continue
            free[name] = leased, left - hold
            calls.append((number, name, leased, hold))
        elif step < 0.85 and calls:
            number, name, leased, hold = calls.pop(chance.randrange(len(calls)))
            cost = chance.randint(0, hold)
            await books.ledger.append([ended(number, draw(leased, cost))])
            current, left = free.get(name, (None, 0))
            if current is not None and (current.lease_id, current.epoch) == (leased.lease_id, leased.epoch):
                free[name] = current, left + hold - cost
        elif step < 0.95 and leased is not None and left:
            back = chance.randint(1, left)
            free[name] = leased, left - back
            await books.ledger.give_back([(leased.lease_id, back)])
        elif step > 0.98:
            with database.writing() as connection:
                leases.fence(connection, name)
        for limit, spent, held in query(database.path, "SELECT limit_nanos, spent_nanos, leased_nanos FROM pots"):
            assert spent + held <= limit
