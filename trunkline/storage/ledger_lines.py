"""The ledger as lines: one for each attempt of a call, with its corrections in it, read from one snapshot as they are
asked for, however many there are."""

# ruff: noqa: S608 - only names of ours are put into statements; values are bound

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, TypeVar, cast

import msgspec
from sqlalchemy import Connection

from trunkline.errors import StoreUnavailable
from trunkline.ids import ENTRY_ADJUSTED, ENTRY_ENDED, NUMBER_SHIFT, attempt_of, call_id, kind_of, number_of
from trunkline.ports.ledger import SETTLED, State
from trunkline.storage.rollups import READ_MARK
from trunkline.storage.usage_schema import HOUR_S

Kind = Literal["attempt", "adjustment", "credit"]

# In the order of AttemptLine's fields, between what is made of the key and the moments.
_AS_STORED: Final = (
    "state",
    "account_id",
    "key_id",
    "tag",
    "model",
    "provider",
    "protocol",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "held_nanos",
    "cost_nanos",
    "upstream_cost_nanos",
    "price_version",
    "estimated",
    "status",
)
_ADDED: Final = tuple(
    place
    for place, name in enumerate(_AS_STORED)
    if name.endswith("_tokens") or name in ("cost_nanos", "upstream_cost_nanos")
)
_STATE: Final = _AS_STORED.index("state")
_HELD: Final = _AS_STORED.index("held_nanos")
_ESTIMATED: Final = _AS_STORED.index("estimated")
_STATUS: Final = _AS_STORED.index("status")
_USE: Final = tuple(_AS_STORED.index(name) for name in ("cost_nanos", "input_tokens", "output_tokens"))

_ENTRIES: Final = (
    f"SELECT entry_id, images, opened_at_ms, settled_at_ms, {', '.join(_AS_STORED)} FROM ledger"
    " WHERE entry_id >= ? AND opened_at_ms >= ? ORDER BY entry_id"
)
_ADJUSTED: Final = _ENTRIES.replace(" ORDER BY", f" AND (entry_id & 3) = {ENTRY_ADJUSTED} ORDER BY")
_FIRST_SUMMED: Final = "SELECT min(first_entry) FROM usage_spans WHERE start_s >= ?"
_OLDEST_CALL: Final = "SELECT min(oldest_number) FROM holders WHERE state <> 'dead'"
_CREDIT: Final = (
    "SELECT credit_id, account_id, amount_nanos, note, actor, created_at FROM credit_entries"
    " WHERE created_at >= ? ORDER BY created_at, credit_id"
)


class AttemptLine(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt. Costs and tokens have later corrections in them. Times are Unix seconds to the millisecond."""

    call_id: str
    attempt: int
    state: State
    account_id: str
    key_id: str
    tag: str | None
    model: str
    provider: str
    protocol: str
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    held_nanos: int
    cost_nanos: int
    upstream_cost_nanos: int
    price_version: str
    estimated: bool
    status: int
    opened_at: float
    settled_at: float | None


class AdjustmentLine(AttemptLine, frozen=True, kw_only=True):
    """A correction by itself: costs and tokens are differences, which the line of its attempt has in it already."""

    kind: Kind = "adjustment"


Line = TypeVar("Line", bound=AttemptLine)


class CreditLine(msgspec.Struct, frozen=True, kw_only=True):
    """A top-up, or below 0 a debit, of an account's prepaid credit."""

    credit_id: str
    account_id: str
    amount_nanos: int
    note: str
    actor: str
    created_at: float
    kind: Kind = "credit"


def attempts(connection: Connection, since_s: float) -> Iterator[AttemptLine]:
    """Those that were opened at `since_s` (Unix seconds) or later, in the order of their calls. Raises
    StoreUnavailable."""
    with _plain(connection) as plain:
        group: list[tuple[Any, ...]] = []
        for row in plain.execute(_ENTRIES, (_first_entry(plain, since_s), int(since_s * 1000))):
            if group and group[0][0] >> 2 != row[0] >> 2:
                yield _attempt(group)
                group = []
            group.append(row)
        if group:
            yield _attempt(group)


def adjustments(connection: Connection, since_s: float) -> Iterator[AdjustmentLine]:
    """Those of the attempts that `attempts` gives. Raises StoreUnavailable."""
    with _plain(connection) as plain:
        for row in plain.execute(_ADJUSTED, (_first_entry(plain, since_s), int(since_s * 1000))):
            yield _line(AdjustmentLine, row, row[4:])


def credit(connection: Connection, since_s: float) -> Iterator[CreditLine]:
    """Raises StoreUnavailable."""
    with _plain(connection) as plain:
        for row in plain.execute(_CREDIT, (since_s,)):
            yield CreditLine(**dict(zip(CreditLine.__struct_fields__, row, strict=False)))


def _attempt(group: list[tuple[Any, ...]]) -> AttemptLine:
    """Of an attempt's entries: opened, ended, adjusted, as far as they are there."""
    ended = [row for row in group if kind_of(row[0]) == ENTRY_ENDED]
    base = ended[0] if ended else group[0]
    values = list(base[4:])
    values[_HELD] = max(row[4 + _HELD] for row in group)
    for row in group:
        if kind_of(row[0]) == ENTRY_ADJUSTED and row is not base:
            more = row[4:]
            if row[1] or any(more[place] for place in _USE):
                values[_STATE] = SETTLED
            for place in _ADDED:
                values[place] += more[place]
            values[_ESTIMATED], values[_STATUS] = more[_ESTIMATED], more[_STATUS]
    return _line(AttemptLine, base, values)


def _line(shape: type[Line], row: tuple[Any, ...], values: Sequence[Any]) -> Line:
    fields = dict(zip(_AS_STORED, values, strict=True))
    fields["estimated"] = bool(fields["estimated"])
    return shape(
        call_id=call_id(number_of(row[0])),
        attempt=attempt_of(row[0]),
        opened_at=row[2] / 1000,
        settled_at=None if row[3] is None else row[3] / 1000,
        **fields,
    )


def _first_entry(plain: sqlite3.Connection, since_s: float) -> int:
    """No entry of an attempt that was opened then or later has a smaller id. What has ended is known by the spans of
    hours or is above their mark, and what is open is its holder's."""
    if since_s <= 0:
        return 0
    ids: list[int] = [plain.execute(READ_MARK).fetchone()[0] << NUMBER_SHIFT]
    (first,) = plain.execute(_FIRST_SUMMED, (int(since_s) // HOUR_S * HOUR_S,)).fetchone()
    (oldest,) = plain.execute(_OLDEST_CALL).fetchone()
    ids += [number for number in (first, None if oldest is None else oldest << NUMBER_SHIFT) if number is not None]
    return min(ids) & ~3


@contextmanager
def _plain(connection: Connection) -> Iterator[sqlite3.Connection]:
    """Rows one by one, as SQLite finds them, on the snapshot of `connection`."""
    try:
        yield cast("sqlite3.Connection", connection.connection.driver_connection)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"The ledger cannot be read ({error}).") from error
