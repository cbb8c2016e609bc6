from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.storage.books import (
    ROOT,
    Books,
    add_budget,
    add_credit,
    assert_balanced,
    draw,
    ended,
    opened,
    opened_books,
    query,
)
from tests.storage.books import pot as figures_of
from tests.storage.conftest import HeldClock
from trunkline.ports.budgets import Wanted
from trunkline.storage import leases
from trunkline.storage.database import Database

NOON = 1_800_014_400.0
"""2027-01-15T12:00:00Z"""
DAY = 86_400.0


@pytest.fixture
async def books(database: Database) -> AsyncIterator[Books]:
    async with opened_books(database.path) as made:
        yield made


@pytest.fixture
async def other(database: Database, books: Books) -> AsyncIterator[Books]:
    assert books.ledger.slot == 0
    async with opened_books(database.path) as made:
        assert made.ledger.slot == 1
        yield made


async def test_what_is_leased_never_passes_the_limit(books: Books, other: Books) -> None:
    add_budget(books.path, "bdg_1", 1000)
    granted = []
    for _ in range(200):
        for one in (books, other):
            leased = await one.lease("bdg_1", 10)
            granted.append(leased.granted_nanos)
            assert leased.granted_nanos in (0, *range(10, 1000))
            assert leased.leased_nanos == sum(granted) <= 1000
    assert sum(granted) > 990, "all of it can be used, to the last one that fits"
    assert_balanced(books.path)


async def test_slices_of_all_or_of_none(books: Books) -> None:
    for name, limit in (("bdg_1", 1000), ("bdg_2", 50), ("bdg_3", 1000)):
        add_budget(books.path, name, limit)
    answers = await books.ledger.lease([Wanted("bdg_3", 10), Wanted("bdg_2", 60), Wanted("bdg_1", 10)])
    assert [(answer.source, answer.granted_nanos, answer.lease_id) for answer in answers] == [
        ("bdg_3", 0, 0), ("bdg_2", 0, 0), ("bdg_1", 0, 0),
    ]  # fmt: skip
    assert [answer.limit_nanos for answer in answers] == [1000, 50, 1000]
    answers = await books.ledger.lease([Wanted("bdg_3", 10), Wanted("bdg_2", 50), Wanted("bdg_1", 10)])
    assert [answer.source for answer in answers] == ["bdg_3", "bdg_2", "bdg_1"]
    assert all(answer.granted_nanos >= want for answer, want in zip(answers, (10, 50, 10), strict=True))
    assert_balanced(books.path)


async def test_a_refusal_writes_nothing(books: Books, other: Books) -> None:
    """Calls that are refused one after the other cost the disk nothing."""
    add_budget(books.path, "bdg_1", 10)
    assert (await books.lease("bdg_1", 10)).granted_nanos == 10
    log = books.path.with_name(f"{books.path.name}-wal")
    before = log.stat().st_size
    for _ in range(20):
        refused = await other.lease("bdg_1", 1)
        assert (refused.granted_nanos, refused.leased_nanos, refused.spent_nanos) == (0, 10, 0)
    assert log.stat().st_size == before


async def test_exactly_what_is_needed_when_somebody_else_asks(books: Books) -> None:
    add_budget(books.path, "bdg_1", 1_000_000)
    [leased] = await books.ledger.lease([Wanted("bdg_1", 10, exact=True)])
    assert leased.granted_nanos == 10


async def test_a_call_that_costs_nothing_fits_as_long_as_the_limit_is_kept(books: Books) -> None:
    add_budget(books.path, "bdg_1", 100)
    leased = await books.lease("bdg_1", 0)
    assert leased.lease_id
    await books.ledger.append([opened(books.number(), draw(leased, 0))])


async def test_a_lease_grows_and_an_answer_names_the_others(books: Books, other: Books) -> None:
    add_budget(books.path, "bdg_1", 1_000_000)
    first, second = await books.lease("bdg_1", 10), await books.lease("bdg_1", 10)
    assert (first.lease_id, first.epoch) == (second.lease_id, second.epoch)
    assert first.others == ()
    theirs = await other.lease("bdg_1", 10)
    assert theirs.lease_id != first.lease_id
    assert theirs.others == (0,)
    assert theirs.pot_id == first.pot_id
    await books.ledger.give_back([(first.lease_id, first.granted_nanos + second.granted_nanos)])
    assert (await other.lease("bdg_1", 10)).others == ()


async def test_what_is_given_back_is_there_for_the_others(books: Books, other: Books) -> None:
    add_budget(books.path, "bdg_1", 100)
    leased = await books.lease("bdg_1", 100)
    assert (await other.lease("bdg_1", 1)).granted_nanos == 0
    await books.ledger.give_back([(leased.lease_id, 30)])
    assert (await other.lease("bdg_1", 30)).granted_nanos == 30
    assert query(books.path, "SELECT state, granted_nanos FROM leases ORDER BY lease_id") == [
        ("live", 70), ("live", 30),
    ]  # fmt: skip
    await books.ledger.give_back([(leased.lease_id, 1000), (leased.lease_id, 5), (999, 5)])
    assert query(books.path, "SELECT state, granted_nanos FROM leases ORDER BY lease_id") == [
        ("closed", 0), ("live", 30),
    ]  # fmt: skip
    assert_balanced(books.path)


async def test_credit_is_a_pot_that_follows_what_is_paid_in(books: Books, database: Database) -> None:
    source = add_credit(books.path, "cred_1", 100)
    assert (await books.lease(source, 101)).granted_nanos == 0
    leased = await books.lease(source, 100)
    assert (leased.granted_nanos, leased.period_start, leased.period_end) == (100, 0.0, None)
    add_credit(books.path, "cred_2", 50)
    with database.writing() as connection:
        leases.set_limit(connection, source, 150)
    assert (await books.lease(source, 50)).granted_nanos == 50
    unknown = await books.lease("wallet:acct_poor", 1)
    assert (unknown.granted_nanos, unknown.limit_nanos) == (0, 0)


async def test_each_day_has_a_pot_of_its_own(books: Books, held_clock: HeldClock) -> None:
    add_budget(books.path, "bdg_1", 100, period="day")
    held_clock.now_s = NOON
    today = await books.lease("bdg_1", 100)
    assert (today.period_start, today.period_end) == (NOON - DAY / 2, NOON + DAY / 2)
    number = books.number()
    await books.ledger.append([opened(number, draw(today, 100))])
    held_clock.now_s = NOON + DAY / 2 - 0.001
    assert (await books.lease("bdg_1", 1)).granted_nanos == 0
    held_clock.now_s = NOON + DAY / 2
    tomorrow = await books.lease("bdg_1", 60)
    assert (tomorrow.pot_id != today.pot_id, tomorrow.granted_nanos) == (True, 60)
    await books.ledger.append([ended(number, draw(today, 100))])
    assert query(books.path, "SELECT spent_nanos, leased_nanos FROM pots ORDER BY pot_id") == [(100, 0), (0, 60)]


async def test_a_clock_that_is_set_back_begins_no_period(books: Books, held_clock: HeldClock) -> None:
    add_budget(books.path, "bdg_1", 100, period="day")
    held_clock.now_s = NOON
    first = await books.lease("bdg_1", 60)
    for now_s in (NOON - DAY, NOON - 40 * DAY, NOON):
        held_clock.now_s = now_s
        assert (await books.lease("bdg_1", 1)).pot_id == first.pot_id
    assert query(books.path, "SELECT count(*) FROM pots") == [(1,)]


async def test_a_period_that_was_lengthened_begins_when_the_last_one_ends(books: Books, held_clock: HeldClock) -> None:
    add_budget(books.path, "bdg_1", 100, period="day")
    held_clock.now_s = NOON
    day = await books.lease("bdg_1", 1)
    query(books.path, "UPDATE budgets SET period = 'month'")
    assert (await books.lease("bdg_1", 1)).pot_id == day.pot_id
    held_clock.now_s = NOON + DAY
    month = await books.lease("bdg_1", 1)
    assert month.period_start == day.period_end
    assert month.period_end == 1_801_440_000.0, "1 February 2027"


async def test_a_lower_limit_ends_the_leases_and_a_higher_one_does_not(books: Books, database: Database) -> None:
    add_budget(books.path, "bdg_1", 1000)
    leased = await books.lease("bdg_1", 800)
    for limit, state in ((2000, "live"), (500, "fenced")):
        with database.writing() as connection:
            leases.set_limit(connection, "bdg_1", limit)
        assert query(books.path, "SELECT state, epoch FROM leases") == [(state, 1 + (state == "fenced"))]
        assert figures_of(books.path, "bdg_1") == (limit, 0, leased.granted_nanos)
    assert (await books.lease("bdg_1", 1)).granted_nanos == 0
    await books.ledger.give_back([(leased.lease_id, 500)])
    again = await books.lease("bdg_1", 1)
    assert again.granted_nanos
    assert again.lease_id != leased.lease_id
    with database.writing() as connection:
        leases.set_limit(connection, "bdg_unused", 5)
    assert_balanced(books.path)


async def test_only_the_newest_period_follows_the_limit(
    books: Books, database: Database, held_clock: HeldClock
) -> None:
    add_budget(books.path, "bdg_1", 100, period="day")
    for now_s in (NOON, NOON + DAY):
        held_clock.now_s = now_s
        await books.lease("bdg_1", 10)
    with database.writing() as connection:
        leases.set_limit(connection, "bdg_1", 70)
    assert query(books.path, "SELECT limit_nanos FROM pots ORDER BY period_start") == [(100,), (70,)]


async def test_figures_are_those_of_the_period_that_is_now(
    books: Books, database: Database, held_clock: HeldClock
) -> None:
    held_clock.now_s = NOON
    for name, period in (("bdg_1", "day"), ("bdg_2", "never"), ("bdg_3", "day")):
        add_budget(books.path, name, 100, period=period)
    for name in ("bdg_1", "bdg_2"):
        leased = await books.lease(name, 60)
        number = books.number()
        await books.ledger.append([opened(number, draw(leased, 60)), ended(number, draw(leased, 25))])
    sources = ["bdg_1", "bdg_2", "bdg_3"]
    with database.reading() as connection:
        now = leases.figures(connection, sources, NOON)
        later = leases.figures(connection, sources, NOON + DAY)
        assert leases.figures(connection, [], NOON) == {}
    assert set(now) == {"bdg_1", "bdg_2"}
    found = now["bdg_1"]
    assert (found.limit_nanos, found.spent_nanos, found.leased_nanos, found.left_nanos) == (100, 25, 35, 40)
    assert (found.period_start, found.period_end) == (NOON - DAY / 2, NOON + DAY / 2)
    assert set(later) == {"bdg_2"}


async def test_two_processes_that_lease_at_once_share_the_limit(books: Books, other: Books) -> None:
    add_budget(books.path, "bdg_1", 10_000)
    answers = await asyncio.gather(*(one.lease("bdg_1", 100) for _ in range(60) for one in (books, other)))
    assert 9900 < sum(answer.granted_nanos for answer in answers) <= 10_000
    assert_balanced(books.path)
    assert query(books.path, "SELECT DISTINCT account_id FROM pots") == [(ROOT,)]
