from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.storage.books import (
    Books, add_budget, assert_balanced, draw, ended, open_numbers, opened, opened_books, pot, query,
)  # fmt: skip
from trunkline.errors import Defect, StoreUnavailable
from trunkline.ports.budgets import Wanted
from trunkline.ports.ledger import RELEASED, Fenced
from trunkline.storage.database import Database


async def test_a_call_that_is_opened_and_settled_moves_its_cost_into_the_pot(database: Database, tmp_path: Path) -> None:
    add_budget(database.path, "bdg_1", 1_000_000)
    async with opened_books(tmp_path) as books:
        leased = await books.lease("bdg_1", 1000)
        assert leased.granted_nanos >= 1000
        number = books.number()
        await books.ledger.append([opened(number, draw(leased, 1000))])
        assert pot(database.path, "bdg_1") == (1_000_000, 0, leased.granted_nanos)
        await books.ledger.append([ended(number, draw(leased, 400))])
        assert pot(database.path, "bdg_1") == (1_000_000, 400, leased.granted_nanos - 400)
        assert_balanced(database.path)
    assert pot(database.path, "bdg_1") == (1_000_000, 400, 0)
    assert_balanced(database.path)
