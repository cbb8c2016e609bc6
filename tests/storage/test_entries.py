from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.storage.books import add_budget, ended, opened
from trunkline.ids import kind_of
from trunkline.ports.budgets import Wanted
from trunkline.ports.ledger import ADJUSTED, RELEASED, Entry
from trunkline.storage import entries, leases
from trunkline.storage.database import Database
from trunkline.storage.entries import COLUMNS
from trunkline.storage.money_schema import ledger

MOST = 2**62


@pytest.fixture
def connection(database: Database) -> Iterator[sqlite3.Connection]:
    add_budget(database.path, "bdg_1", 1000)
    with closing(sqlite3.connect(database.path, isolation_level=None)) as opened_one:
        yield opened_one


def test_the_columns_are_those_of_the_table_in_its_order() -> None:
    assert tuple(column.name for column in ledger.columns) == COLUMNS
    nullable = {column.name for column in ledger.columns if column.nullable}
    assert set(entries._NULLABLE) == nullable


texts = st.none() | st.text(min_size=1, max_size=20).filter(lambda text: "\0" not in text and text.isprintable())


@given(
    st.builds(
        dict,
        tag=texts,
        end_user=texts,
        service_tier=texts,
        estimated=st.booleans(),
        batch=st.booleans(),
        settled_at_ms=st.none() | st.integers(1, MOST),
        input_tokens=st.integers(0, MOST),
        upstream_cost_nanos=st.integers(-MOST, MOST),
        images=st.integers(0, 1000),
        status=st.integers(0, 599),
    )
)
@settings(max_examples=60)
def test_what_is_written_is_what_is_read(fields: dict[str, Any]) -> None:
    entry = ended(1, attempt=1, **fields)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(f"CREATE TABLE ledger ({', '.join(COLUMNS)})")
        entries.insert(connection, [entries.row_of(entry)])
        [row] = entries.read(connection, [entry.entry_id])
    assert row == entries.row_of(entry)
    assert entries.from_row(row) == entry


@pytest.mark.parametrize("count", [0, 1, entries.MOST_ROWS, entries.MOST_ROWS + 1, entries.MOST_ROWS * 3])
def test_any_number_of_rows_can_be_written(connection: sqlite3.Connection, count: int) -> None:
    entries.insert(connection, [entries.row_of(ended(number)) for number in range(count)])
    assert connection.execute("SELECT count(*) FROM ledger").fetchone() == (count,)


def test_a_lease_gives_what_it_has_and_none_gives_nothing(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO holders VALUES (1, 0, 1, 'live', 0, 0, 0)")
    [answer] = leases.lease(connection, [Wanted("bdg_1", 100, exact=True)], 1, 0.0)
    taken = [entries.take(connection, answer.lease_id, nanos) for nanos in (30, 0, -5, 80, 1)]
    assert taken == [30, 0, 0, 70, 0]
    assert entries.take(connection, 999, 10) == 0
    connection.execute("UPDATE leases SET granted_nanos = 50, state = 'dead'")
    assert entries.take(connection, answer.lease_id, 10) == 0


def test_an_adjustment_and_what_was_there_make_the_truth() -> None:
    there = entries.release(opened(7, held_nanos=100), 5)
    truth = ended(7, cost_nanos=30, upstream_cost_nanos=20, input_tokens=11, output_tokens=3, images=1, held_nanos=100)
    adjusted = entries.adjustment(truth, there)
    assert (kind_of(adjusted.entry_id), adjusted.state, adjusted.held_nanos) == (2, ADJUSTED, 0)
    for name in (*entries._COUNTS, "held_nanos"):
        assert getattr(there, name) + getattr(adjusted, name) == getattr(truth, name), name


def test_what_counts_is_all_that_counts_something() -> None:
    numbers = {field.name for field in msgspec.structs.fields(Entry) if field.type is int or "Nanos" in str(field.type)}
    others = {"entry_id", "status", "opened_at_ms", "held_nanos", "overshoot_nanos"}
    assert set(entries._COUNTS) == numbers - others


def test_a_call_that_was_never_sent_costs_nobody_anything() -> None:
    entry = entries.cancel(opened(7, held_nanos=100), 5)
    assert (kind_of(entry.entry_id), entry.state, entry.cost_nanos, entry.upstream_cost_nanos) == (1, RELEASED, 0, 0)
    assert (entry.draws, entry.settled_at_ms, entry.estimated) == ((), 5, False)
