"""What somebody is to be told of a pot, written into the outbox by the transaction that made it true."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

import msgspec

from trunkline import clock
from trunkline.ports.budgets import WALLET
from trunkline.wire import codec

THRESHOLD: Final = "budget.threshold"
EXHAUSTED: Final = "budget.exhausted"
LOW: Final = "balance.low"
WALLET_PERCENTS: Final = (80, 100)
"""A balance is low with a fifth of the credit left, and again with nothing."""


class PotNotice(msgspec.Struct, frozen=True, kw_only=True):
    """The content of an event: a pot of which `percent` percent of the limit are spent. Times are Unix seconds."""

    source: str
    percent: int
    limit_nanos: int
    spent_nanos: int
    period_start: float
    period_end: float | None


def write(connection: sqlite3.Connection, pot_id: int) -> None:
    """Tell of every percent that the pot has reached since the last time, once."""
    account_id, source, start, end, limit, spent, alerts, alerted = connection.execute(
        "SELECT account_id, source, period_start, period_end, limit_nanos, spent_nanos, alerts, alerted FROM pots"
        " WHERE pot_id = ?",
        (pot_id,),
    ).fetchone()
    reached = percent_of(spent, limit)
    percents = WALLET_PERCENTS if source.startswith(WALLET) else (*msgspec.json.decode(alerts, type=list[int]), 100)
    crossed = sorted({percent for percent in percents if alerted < percent <= reached})
    if not crossed:
        return
    now_s = clock.now_s()
    for percent in crossed:
        notice = PotNotice(
            source=source, percent=percent, limit_nanos=limit, spent_nanos=spent, period_start=start, period_end=end
        )
        connection.executemany(
            "INSERT INTO outbox (account_id, kind, content, created_at) VALUES (?, ?, ?, ?)",
            [(account_id, kind, codec.encode(notice).decode(), now_s) for kind in _kinds(source, percent, alerts)],
        )
    connection.execute("UPDATE pots SET alerted = ? WHERE pot_id = ?", (crossed[-1], pot_id))


def percent_of(spent: int, limit: int) -> int:
    """Whole percent; all of a limit of nothing is spent."""
    return spent * 100 // limit if limit > 0 else 100


def _kinds(source: str, percent: int, alerts: str) -> Iterator[str]:
    if source.startswith(WALLET):
        yield LOW
        return
    if percent in msgspec.json.decode(alerts, type=list[int]):
        yield THRESHOLD
    if percent == 100:
        yield EXHAUSTED
