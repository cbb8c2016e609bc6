from __future__ import annotations

import sqlite3
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from tests.storage import summed
from tests.storage.summed import BEGAN_MS, FIRST, advance_all, entry, live, write
from trunkline.errors import StoreUnavailable
from trunkline.ids import ENTRY_ADJUSTED, ENTRY_OPENED, call_id
from trunkline.ports.ledger import Entry
from trunkline.storage import ledger_lines
from trunkline.storage.database import Database
from trunkline.storage.ledger_lines import AdjustmentLine, AttemptLine, CreditLine
from trunkline.storage.money_schema import credit_entries
from trunkline.storage.schema import accounts

BEGAN_S = BEGAN_MS / 1000


def attempts(database: Database, since_s: float = 0.0) -> list[AttemptLine]:
    with database.reading() as connection:
        return list(ledger_lines.attempts(connection, since_s))


def test_lines_have_the_names_that_scripts_rely_on() -> None:
    assert ", ".join(AttemptLine.__struct_fields__) == (
        "call_id, attempt, state, account_id, key_id, tag, model, provider, protocol, input_tokens,"
        " cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, held_nanos, cost_nanos,"
        " upstream_cost_nanos, price_version, estimated, status, opened_at, settled_at"
    )


def test_one_line_for_each_attempt(database: Database) -> None:
    opened = entry(FIRST, ENTRY_OPENED, "open", held_nanos=50, cost_nanos=0, settled_at_ms=None)
    released = entry(FIRST, state="released", cost_nanos=0, status=502, held_nanos=0)
    second = entry(FIRST, attempt=2, tag="t", status=200, estimated=True, price_version="7", cached_input_tokens=3)
    running = entry(FIRST + 1, ENTRY_OPENED, "open", held_nanos=9, cost_nanos=0, settled_at_ms=None)
    write(database, [opened, released, second, running])
    assert [(line.call_id, line.attempt, line.state) for line in attempts(database)] == [
        (call_id(FIRST), 1, "released"),
        (call_id(FIRST), 2, "settled"),
        (call_id(FIRST + 1), 1, "open"),
    ]
    first, other, third = attempts(database)
    assert (first.held_nanos, first.status, first.opened_at, first.settled_at) == (50, 502, BEGAN_S, BEGAN_S + 1)
    assert (other.tag, other.estimated, other.price_version, other.cached_input_tokens) == ("t", True, "7", 3)
    assert (third.held_nanos, third.cost_nanos, third.settled_at) == (9, 0, None)


def test_a_correction_is_in_its_attempt_and_by_itself(database: Database) -> None:
    released = entry(
        FIRST, state="released", cost_nanos=0, upstream_cost_nanos=50, input_tokens=0, output_tokens=0, estimated=True
    )
    adjusted = entry(FIRST, ENTRY_ADJUSTED, "adjusted", cost_nanos=30, upstream_cost_nanos=-20, status=200)
    write(database, [released, adjusted])
    [line] = attempts(database)
    assert (line.state, line.cost_nanos, line.upstream_cost_nanos) == ("settled", 30, 30)
    assert (line.input_tokens, line.estimated, line.status) == (10, False, 200)
    with database.reading() as connection:
        [alone] = ledger_lines.adjustments(connection, 0.0)
    assert (alone.kind, alone.state, alone.cost_nanos, alone.upstream_cost_nanos) == ("adjustment", "adjusted", 30, -20)
    assert isinstance(alone, AdjustmentLine)


def test_a_correction_without_use_leaves_the_attempt_released(database: Database) -> None:
    unused: dict[str, Any] = {"cost_nanos": 0, "input_tokens": 0, "output_tokens": 0}
    released = entry(FIRST, state="released", estimated=True, **unused)
    adjusted = entry(FIRST, ENTRY_ADJUSTED, "adjusted", upstream_cost_nanos=-900, **unused)
    write(database, [released, adjusted])
    [line] = attempts(database)
    assert (line.state, line.upstream_cost_nanos, line.estimated) == ("released", 0, False)


def test_credit(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(
            insert(accounts).values(account_id="acct_a", parent_id="acct_root", name="n", created_at=0.0)
        )
        for place, nanos in enumerate((10, -3)):
            connection.execute(
                insert(credit_entries).values(
                    account_id="acct_a",
                    credit_id=f"credit_{place}",
                    amount_nanos=nanos,
                    note="paid",
                    actor="cli",
                    created_at=100.0 + place,
                )
            )
    with database.reading() as connection:
        assert [line.amount_nanos for line in ledger_lines.credit(connection, 0.0)] == [10, -3]
        assert list(ledger_lines.credit(connection, 101.0)) == [
            CreditLine(
                credit_id="credit_1", account_id="acct_a", amount_nanos=-3, note="paid", actor="cli", created_at=101.0
            )
        ]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    calls=st.lists(st.tuples(st.integers(-50, 50), st.sampled_from(["open", "ended", "both"])), max_size=8),
    summed_to=st.integers(0, 8),
    since_hour=st.integers(-52, 52),
)
def test_since_is_when_an_attempt_was_opened(
    calls: list[tuple[int, str]], summed_to: int, since_hour: int, database: Database
) -> None:
    """Wherever sums reach to, and whatever the clock was when calls got their numbers."""
    summed.empty(database)
    ledger: list[Entry] = []
    for place, (hour, which) in enumerate(calls):
        at_ms = BEGAN_MS + hour * 3_600_000
        if which in ("open", "both"):
            ledger.append(entry(FIRST + place, ENTRY_OPENED, "open", opened_at_ms=at_ms))
        if which in ("ended", "both"):
            ledger.append(entry(FIRST + place, opened_at_ms=at_ms))
    write(database, ledger)
    running = [place for place, (_, which) in enumerate(calls) if which == "open"]
    live(database, FIRST + min([summed_to, *running]))
    advance_all(database, BEGAN_MS)
    since_s = BEGAN_S + since_hour * 3600
    expected = [call_id(FIRST + place) for place, (hour, _) in enumerate(calls) if hour >= since_hour]
    assert [line.call_id for line in attempts(database, since_s)] == expected


def test_lines_come_as_they_are_asked_for(database: Database) -> None:
    """Constant memory: nothing is read before it is wanted."""
    write(database, [entry(FIRST + place) for place in range(1000)])
    with database.reading() as connection:
        lines = ledger_lines.attempts(connection, 0.0)
        next(lines)
        plain = summed.plain(connection)
        plain.set_progress_handler(lambda: 1, 1)
        with pytest.raises(StoreUnavailable, match="ledger"):
            list(lines)
        plain.set_progress_handler(None, 1)


def test_lines_are_of_one_moment(database: Database) -> None:
    write(database, [entry(FIRST), entry(FIRST + 2)])
    with database.reading() as connection:
        lines = ledger_lines.attempts(connection, 0.0)
        first = next(lines)
        other = sqlite3.connect(database.path, isolation_level=None)
        other.execute("DELETE FROM ledger")
        other.close()
        assert [first.attempt, *(line.attempt for line in lines)] == [1, 1]
    assert attempts(database) == []
    assert msgspec.json.encode(first).startswith(b'{"call_id":"call_')
