from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.storage.books import ROOT, Books, add_budget, add_credit, draw, ended, opened, opened_books, query
from trunkline.ports.budgets import Wanted
from trunkline.storage import leases, notices
from trunkline.storage.database import Database


@pytest.fixture
async def books(database: Database) -> AsyncIterator[Books]:
    async with opened_books(database.path) as made:
        yield made


async def spend(books: Books, source: str, nanos: int) -> None:
    [leased] = await books.ledger.lease([Wanted(source, nanos, exact=True)])
    assert leased.granted_nanos == nanos
    number = books.number()
    await books.ledger.append([opened(number, draw(leased, nanos)), ended(number, draw(leased, nanos))])


def told(books: Books) -> list[tuple[str, int, int]]:
    """kind, percent, spent."""
    found = query(books.path, "SELECT kind, content, account_id, delivered_at FROM outbox ORDER BY event_id")
    assert all((account_id, delivered_at) == (ROOT, None) for _, _, account_id, delivered_at in found)
    read = [(kind, msgspec.json.decode(content, type=notices.PotNotice)) for kind, content, _, _ in found]
    return [(kind, notice.percent, notice.spent_nanos) for kind, notice in read]


async def test_each_percent_is_told_of_once(books: Books) -> None:
    add_budget(books.path, "bdg_1", 1000, alerts="[50, 80]")
    for nanos in (499, 1, 100, 1, 199):
        await spend(books, "bdg_1", nanos)
    assert told(books) == [("budget.threshold", 50, 500), ("budget.threshold", 80, 800)]
    await spend(books, "bdg_1", 200)
    assert told(books)[2:] == [("budget.exhausted", 100, 1000)]


async def test_a_leap_tells_of_all_that_it_passed(books: Books) -> None:
    add_budget(books.path, "bdg_1", 1000, alerts="[100, 50, 80]")
    await spend(books, "bdg_1", 1000)
    assert told(books) == [
        ("budget.threshold", 50, 1000),
        ("budget.threshold", 80, 1000),
        ("budget.threshold", 100, 1000),
        ("budget.exhausted", 100, 1000),
    ]


async def test_what_was_told_is_told_again_once_a_new_limit_is_used_as_far(books: Books, database: Database) -> None:
    add_budget(books.path, "bdg_1", 1000, alerts="[80]")
    await spend(books, "bdg_1", 900)
    with database.writing() as connection:
        leases.set_limit(connection, "bdg_1", 2000)
    await spend(books, "bdg_1", 100)
    assert told(books) == [("budget.threshold", 80, 900)]
    await spend(books, "bdg_1", 700)
    assert told(books)[1:] == [("budget.threshold", 80, 1700)]


async def test_a_balance_is_low_with_a_fifth_left_and_again_with_nothing(books: Books) -> None:
    source = add_credit(books.path, "cred_1", 1000)
    for nanos in (799, 1, 100, 100):
        await spend(books, source, nanos)
    assert told(books) == [("balance.low", 80, 800), ("balance.low", 100, 1000)]


async def test_an_entry_that_is_not_written_tells_nothing(books: Books) -> None:
    add_budget(books.path, "bdg_1", 1000, alerts="[50]")
    leased = await books.lease("bdg_1", 1000)
    number = books.number()
    for _ in range(2):
        await books.ledger.append([opened(number, draw(leased, 600)), ended(number, draw(leased, 600))])
    assert told(books) == [("budget.threshold", 50, 600)]


@pytest.mark.parametrize(("spent", "limit", "percent"), [(0, 100, 0), (499, 1000, 49), (1, 0, 100), (300, 200, 150)])
def test_percents_are_whole(spent: int, limit: int, percent: int) -> None:
    assert notices.percent_of(spent, limit) == percent
