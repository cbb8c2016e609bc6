"""What the tests of the ledger share: a ledger on a file, a budget, and entries of calls."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

from trunkline import clock
from trunkline.ids import ENTRY_ENDED, ENTRY_OPENED, AccountId, CallNumbers, KeyId, entry_id
from trunkline.money import Nanos
from trunkline.ports.budgets import Leased, Wanted
from trunkline.ports.ledger import OPEN, SETTLED, Draw, Entry
from trunkline.storage.entries import Late
from trunkline.storage.holders import HolderTimes
from trunkline.storage.ledger import LedgerHooks, SqlLedger

ROOT = AccountId("acct_root")
KEY = KeyId("key_1")
QUICK = HolderTimes(beat_s=0.05, life_s=0.5, margin_s=0.1)
CALM = HolderTimes(beat_s=60.0, life_s=300.0, margin_s=30.0)
"""For tests in which nobody beats or looks by itself."""
NO_CALL = (1 << 56) - 1
"""The largest number that a call can have."""


class Books:
    """A ledger, and the numbers of its process's calls."""

    def __init__(self, path: Path, times: HolderTimes = CALM, late: Late | None = None) -> None:
        self.path = path
        self.ledger = SqlLedger(path, late, times)
        self.numbers = CallNumbers()
        self.registered: list[tuple[int, int]] = []
        self.running: set[int] = set()

    async def start(self) -> None:
        await self.ledger.start(LedgerHooks(self.oldest_number, self._registered))

    def number(self) -> int:
        number = self.numbers.new(int(clock.now_s() * 1000))
        self.running.add(number)
        return number

    def oldest_number(self) -> int | None:
        if not self.registered:
            return None
        return min(self.running, default=self.numbers.new(int(clock.now_s() * 1000)))

    def _registered(self, slot: int, after: int) -> None:
        self.registered.append((slot, after))
        self.numbers = CallNumbers(slot, after)

    async def lease(self, source: str, at_least: int) -> Leased:
        [leased] = await self.ledger.lease([Wanted(source, at_least)])
        return leased


@asynccontextmanager
async def opened_books(path: Path, times: HolderTimes = CALM, late: Late | None = None) -> AsyncIterator[Books]:
    books = Books(path, times, late)
    await books.start()
    yield books
    await books.ledger.close()


def opened(number: int, *draws: Draw, attempt: int = 1, **changes: Any) -> Entry:
    """An opened entry that holds what it draws."""
    fields: dict[str, Any] = {
        "entry_id": entry_id(number, attempt, ENTRY_OPENED),
        "state": OPEN,
        "account_id": ROOT,
        "key_id": KEY,
        "model": "sandbox/echo",
        "provider": "sandbox",
        "protocol": "openai_chat",
        "endpoint": "chat",
        "held_nanos": Nanos(max((draw.nanos for draw in draws), default=0)),
        "opened_at_ms": 1_800_000_000_000,
        "pots": ",".join(str(draw.pot_id) for draw in draws) or None,
        "draws": draws,
    }
    return Entry(**fields | changes)


def ended(number: int, *draws: Draw, attempt: int = 1, **changes: Any) -> Entry:
    """A settled entry that costs what it draws."""
    fields: dict[str, Any] = {
        "entry_id": entry_id(number, attempt, ENTRY_ENDED),
        "state": SETTLED,
        "cost_nanos": Nanos(max((draw.nanos for draw in draws if draw.charged), default=0)),
        "status": 200,
        "settled_at_ms": 1_800_000_000_500,
    }
    return opened(number, *draws, attempt=attempt, **fields | changes)


def draw(leased: Leased, nanos: int, *, charged: bool = True) -> Draw:
    return Draw(leased.lease_id, leased.pot_id, leased.epoch, nanos, charged)


@contextmanager
def looking(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def query(path: Path, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with looking(path) as connection:
        return connection.execute(statement, values).fetchall()


def add_budget(path: Path, budget_id: str, limit_nanos: int, **changes: Any) -> str:
    fields = {
        "account_id": ROOT,
        "budget_id": budget_id,
        "kind": "key",
        "subject": budget_id,
        "period": "never",
        "zone": "UTC",
        "limit_nanos": limit_nanos,
        "alerts": "[]",
        "created_at": 0.0,
    } | changes
    query(
        path,
        f"INSERT INTO budgets ({', '.join(fields)}) VALUES ({', '.join('?' * len(fields))})",
        *fields.values(),
    )
    return budget_id


def add_credit(path: Path, credit_id: str, amount_nanos: int) -> str:
    """To the root account; returns the source."""
    query(
        path,
        "INSERT INTO credit_entries (account_id, credit_id, amount_nanos, note, actor, created_at)"
        " VALUES (?, ?, ?, '', 'test', 0.0)",
        ROOT,
        credit_id,
        amount_nanos,
    )
    return f"wallet:{ROOT}"


def pot(path: Path, source: str) -> tuple[int, int, int]:
    """limit, spent, leased of the newest."""
    [found] = query(
        path,
        "SELECT limit_nanos, spent_nanos, leased_nanos FROM pots WHERE source = ? ORDER BY period_start DESC LIMIT 1",
        source,
    )
    return found


def assert_balanced(path: Path) -> None:
    """The pots are the sums of the leases and of the ledger, to the nano-dollar."""
    with looking(path) as connection:
        leased = dict(
            connection.execute(
                "SELECT pot_id, sum(granted_nanos) FROM leases WHERE state IN ('live', 'fenced') GROUP BY pot_id"
            )
        )
        spent: dict[int, int] = {}
        rows = connection.execute("SELECT pots, cost_nanos FROM ledger WHERE state <> 'open' AND pots IS NOT NULL")
        for pots, cost in rows:
            for pot_id in map(int, pots.split(",")):
                spent[pot_id] = spent.get(pot_id, 0) + cost
        for pot_id, found_spent, found_leased in connection.execute(
            "SELECT pot_id, spent_nanos, leased_nanos FROM pots"
        ):
            assert (found_spent, found_leased) == (spent.get(pot_id, 0), leased.get(pot_id, 0)), f"pot {pot_id}"


def open_numbers(path: Path) -> list[int]:
    """Entry ids that were opened and have not ended."""
    return [
        one
        for (one,) in query(
            path,
            "SELECT entry_id FROM ledger AS o WHERE entry_id & 3 = 0"
            " AND NOT EXISTS (SELECT 1 FROM ledger WHERE entry_id = o.entry_id + 1)",
        )
    ]
