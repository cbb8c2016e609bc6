"""A ledger and its sums for tests: entries written as the ledger's thread writes them, and sums made by adding up."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

import msgspec
from sqlalchemy import Connection

from trunkline.ids import ENTRY_ADJUSTED, ENTRY_ENDED, AccountId, KeyId, entry_id, first_number
from trunkline.ports.ledger import Entry, State
from trunkline.ports.reports import Sums
from trunkline.storage import entries, rollups
from trunkline.storage.database import Database

BEGAN_MS: Final = 1_798_761_600_000
"""2027-01-01, 00:00 UTC, a Friday."""
FIRST: Final = first_number(BEGAN_MS)
TABLES: Final = (
    "ledger",
    "holders",
    "usage_total_days",
    "usage_totals",
    "usage_accounts",
    "usage_total_tags",
    "usage_tags",
    "usage_days",
    "usage_keys",
    "usage_hours",
    "usage_spans",
)


def entry(number: int, kind: int = ENTRY_ENDED, state: State = "settled", **changes: Any) -> Entry:
    made = Entry(
        entry_id=entry_id(number, changes.pop("attempt", 1), kind),
        state=state,
        account_id=AccountId("acct_a"),
        key_id=KeyId("key_a"),
        model="openai/gpt-4o",
        provider="openai",
        protocol="openai_chat",
        endpoint="chat",
        cost_nanos=cast("Any", 1000),
        upstream_cost_nanos=cast("Any", 900),
        input_tokens=10,
        output_tokens=5,
        opened_at_ms=BEGAN_MS,
        settled_at_ms=BEGAN_MS + 1000,
    )
    return msgspec.structs.replace(made, **changes)


def plain(connection: Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.driver_connection)


def empty(database: Database) -> None:
    with database.writing() as connection:
        for table in TABLES:
            connection.exec_driver_sql(f"DELETE FROM {table}")
        connection.exec_driver_sql("UPDATE usage_progress SET number = 0")


def write(database: Database, wanted: Iterable[Entry]) -> None:
    """In one transaction, as the ledger's thread does it."""
    rows = [entries.row_of(one) for one in wanted]
    with database.writing() as connection:
        entries.insert(plain(connection), rows)
        rollups.add_late(plain(connection), rows)


def advance(database: Database, now_ms: int, most: int = rollups.STEP) -> bool:
    with database.writing() as connection:
        return rollups.advance(connection, now_ms, most)


def advance_all(database: Database, now_ms: int) -> None:
    while advance(database, now_ms):
        pass


def mark(database: Database) -> int:
    with database.reading() as connection:
        number: int = connection.exec_driver_sql(rollups.READ_MARK).scalar_one()
        return number


def live(database: Database, oldest_number: int, state: str = "live") -> None:
    """The one holder there is."""
    with database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM holders")
        connection.exec_driver_sql(
            "INSERT INTO holders (slot, pid, state, started_at, expires_at, oldest_number) VALUES (0, 1, ?, 0, 0, ?)",
            (state, oldest_number),
        )


def added_up(wanted: Sequence[Entry]) -> Sums:
    """By hand, entry by entry."""
    sums = dict.fromkeys(Sums.__struct_fields__, 0)
    for one in wanted:
        kind = one.entry_id & 3
        if kind not in (ENTRY_ENDED, ENTRY_ADJUSTED):
            continue
        for name in sums.keys() & set(Entry.__struct_fields__) - {"estimated"}:
            sums[name] += getattr(one, name)
        used = kind == ENTRY_ADJUSTED and any((one.cost_nanos, one.input_tokens, one.output_tokens, one.images))
        sums["requests"] += (one.state == "settled") + used
        sums["errors"] += (one.state == "released") - used
        sums["estimated"] += one.estimated - (kind == ENTRY_ADJUSTED)
    return Sums(**sums)


def day_of(at_s: int) -> str:
    return f"{dt.datetime.fromtimestamp(at_s, dt.UTC):%Y-%m-%d}"
