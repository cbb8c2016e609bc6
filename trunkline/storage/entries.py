"""Rows of the ledger and the balances they change, within a transaction that somebody else begins and ends.

Written for speed: all rows of a batch go in one statement, and each lease and each pot is changed once. `append` takes
it that no entry is there yet and lets the key of the table object; `append_apart` then looks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from trunkline.errors import Defect, StoreUnavailable
from trunkline.ids import ENTRY_ADJUSTED, ENTRY_ENDED, ENTRY_OPENED, SLOTS, kind_of
from trunkline.money import Nanos
from trunkline.ports.ledger import ADJUSTED, RELEASED, Entry, Fenced
from trunkline.storage import notices

Row = tuple[Any, ...]
Late = Callable[[sqlite3.Connection, Sequence[Row]], None]
"""Told of rows that were just inserted, in the columns' order, within their transaction."""

FIELDS: Final = Entry.__struct_fields__
COLUMNS: Final = (*FIELDS[:-1], "leases")
_SETTLED_AT: Final = FIELDS.index("settled_at_ms")
_SLOT_SHIFT: Final = 15
# Statements of more rows are no faster (SQLite allows 32,766 variables, 1,000 rows).
MOST_ROWS: Final = 64
_NULLABLE: Final = {"tag": "", "end_user": "", "service_tier": "", "settled_at_ms": 0, "pots": "", "leases": ""}
_PLAIN: Final = tuple(
    (COLUMNS.index(name), empty) for name, empty in (_NULLABLE | {"estimated": 0, "batch": 0}).items()
)
"""(place, what stands for None or False)."""
# What counts something; a difference of two entries is that of these.
_COUNTS: Final = tuple(
    name for name in FIELDS if name.endswith("_tokens") or name in ("images", "cost_nanos", "upstream_cost_nanos")
)


class Holding(msgspec.Struct, frozen=True):
    """Under which name this process writes: the id of its row in `holders`, and its slot."""

    holder_id: int
    slot: int


class Appending:
    """Entries that belong together, and the error that came of them."""

    __slots__ = ("entries", "error", "future")

    def __init__(self, entries: Sequence[Entry], future: Any) -> None:
        self.entries = entries
        self.future = future
        self.error: BaseException | None = None


def append(
    connection: sqlite3.Connection, appendings: Sequence[Appending], holding: Holding, late: Late | None
) -> None:
    """Writes them all but for those whose leases have ended: these get Fenced as their error, and StoreUnavailable
    those of calls that began before this process was taken for dead.

    Raises sqlite3.IntegrityError when an entry is there already.
    """
    appendings = _not_fenced(connection, appendings, holding)
    rows: list[Row] = []
    costs: dict[tuple[int, int], int] = {}
    for appending in appendings:
        for entry in appending.entries:
            draws = entry.draws
            if draws and not entry.entry_id & 3:
                rows.append((*astuple(entry)[:-1], ",".join([f"{draw.lease_id}:{draw.nanos}" for draw in draws])))
            else:
                rows.append((*astuple(entry)[:-1], None))
                for draw in draws:
                    if draw.charged and draw.nanos:
                        key = draw.lease_id, draw.pot_id
                        costs[key] = costs.get(key, 0) + draw.nanos
    if rows:
        insert(connection, rows)
        if costs:
            _pay(connection, costs)
        if late is not None:
            late(connection, rows)


def plain_rows(items: Sequence[object], oldest_entry: int) -> list[Row] | None:
    """The rows of these, when they are ends that change no balance, of calls that are not older than that entry, and
    few enough for one statement; else None."""
    rows: list[Row] = []
    for item in items:
        if not isinstance(item, Appending):
            return None
        for entry in item.entries:
            if entry.draws or not entry.entry_id & 3 or entry.entry_id < oldest_entry:
                return None
            rows.append((*astuple(entry)[:-1], None))
    return rows if 0 < len(rows) <= MOST_ROWS else None


def append_apart(connection: sqlite3.Connection, appending: Appending, holding: Holding, late: Late | None) -> None:
    """One of them, with a look at what is there: the same content counts as written, and the end of an attempt that
    was released in its absence becomes an adjustment. Raises Defect for any other content, and as `append` does."""
    missing = [entry for entry in (_still_to_write(connection, entry) for entry in appending.entries) if entry]
    left = Appending(missing, None)
    append(connection, [left], holding, late)
    appending.error = left.error


def insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """One statement for all of them. `sqlite3` takes 0.3 us for a None or a bool and 0.1 us for anything else, so these
    go as empty texts and whole numbers, and the statement says what they are."""
    for at in range(0, len(rows), MOST_ROWS):
        values: list[Any] = []
        for row in rows[at : at + MOST_ROWS]:
            plain = list(row)
            for place, empty in _PLAIN:
                plain[place] = plain[place] or empty
            values += plain
        connection.execute(_insert_statement(min(MOST_ROWS, len(rows) - at)), values)


def read(connection: sqlite3.Connection, entry_ids: Iterable[int]) -> list[Row]:
    """The rows that are there, in the columns' order."""
    found: list[Row] = []
    query = f"SELECT {', '.join(COLUMNS)} FROM ledger WHERE entry_id = ?"  # noqa: S608 - our own columns
    for entry_id in entry_ids:
        found += connection.execute(query, (entry_id,))
    return found


@cache
def _insert_statement(rows: int) -> str:
    empties = dict(_PLAIN)
    columns = (f"nullif(?, {empties[place]!r})" if name in _NULLABLE else "?" for place, name in enumerate(COLUMNS))
    one = f"({', '.join(columns)})"
    return f"INSERT INTO ledger ({', '.join(COLUMNS)}) VALUES {', '.join([one] * rows)}"  # noqa: S608 - as above


@cache
def _live_leases_statement(count: int) -> str:
    its = ", ".join("?" * count)
    return f"SELECT lease_id, epoch FROM leases WHERE state = 'live' AND lease_id IN ({its})"  # noqa: S608 - as above


def _not_fenced(
    connection: sqlite3.Connection, appendings: Sequence[Appending], holding: Holding
) -> Sequence[Appending]:
    """Those that may be written. A lease that is live has a live holder; without one, the holder's row is looked at."""
    drawn: set[tuple[int, int]] = set()
    without_lease = False
    stranger = False
    for appending in appendings:
        for entry in appending.entries:
            if not entry.entry_id & 3:
                if entry.draws:
                    for draw in entry.draws:
                        drawn.add((draw.lease_id, draw.epoch))
                else:
                    without_lease = True
                # A holder's open entries are looked for under its slot, should it die.
                if (entry.entry_id >> _SLOT_SHIFT) % SLOTS != holding.slot:
                    stranger = True
    if not drawn and not without_lease:
        return appendings
    live: set[tuple[int, int]] = set()
    if drawn:
        ids = {lease_id for lease_id, _ in drawn}
        live.update(connection.execute(_live_leases_statement(len(ids)), tuple(ids)))
    alive = not without_lease or _is_live(connection, holding.holder_id)
    if alive and not stranger and drawn <= live:
        return appendings
    passed = []
    for appending in appendings:
        appending.error = _objection(appending.entries, live, holding, alive=alive)
        if appending.error is None:
            passed.append(appending)
    return passed


def _is_live(connection: sqlite3.Connection, holder_id: int) -> bool:
    query = "SELECT 1 FROM holders WHERE holder_id = ? AND state = 'live'"
    return connection.execute(query, (holder_id,)).fetchone() is not None


def _objection(
    entries: Sequence[Entry], live: set[tuple[int, int]], holding: Holding, *, alive: bool
) -> Fenced | StoreUnavailable | None:
    ended: set[int] = set()
    for entry in entries:
        if kind_of(entry.entry_id) != ENTRY_OPENED:
            continue
        if not alive and not entry.draws:
            return Fenced()
        if (entry.entry_id >> _SLOT_SHIFT) % SLOTS != holding.slot:
            return StoreUnavailable("This process stood still for too long while the call ran.", retry_after_s=1.0)
        ended.update(draw.lease_id for draw in entry.draws if (draw.lease_id, draw.epoch) not in live)
    return Fenced(tuple(sorted(ended))) if ended else None


def _pay(connection: sqlite3.Connection, costs: dict[tuple[int, int], int]) -> None:
    """What was spent goes from leases over to their pots; what a lease has not enough for only counts as spent."""
    changes: dict[int, list[int]] = {}
    for (lease_id, pot_id), nanos in costs.items():
        change = changes.setdefault(pot_id, [0, 0])
        change[0] += nanos
        change[1] += take(connection, lease_id, nanos)
    for pot_id, (spent, freed) in changes.items():
        found = connection.execute(
            "UPDATE pots SET spent_nanos = spent_nanos + ?, leased_nanos = leased_nanos - ? WHERE pot_id = ?"
            " RETURNING spent_nanos, limit_nanos, alerted",
            (spent, freed, pot_id),
        ).fetchall()
        if not found:
            raise Defect(f"There is no pot {pot_id}.")
        total, limit, alerted = found[0]
        if alerted < 100 and notices.percent_of(total, limit) > alerted:
            notices.write(connection, pot_id)


def take(connection: sqlite3.Connection, lease_id: int, nanos: int) -> int:
    """Take it out of a lease that is not over; returns how much of it was there."""
    if nanos <= 0:
        return 0
    done = connection.execute(
        "UPDATE leases SET granted_nanos = granted_nanos - ? WHERE lease_id = ? AND granted_nanos >= ?"
        " AND state IN ('live', 'fenced')",
        (nanos, lease_id, nanos),
    )
    if done.rowcount:
        return nanos
    found = connection.execute(
        "SELECT granted_nanos FROM leases WHERE lease_id = ? AND state IN ('live', 'fenced')", (lease_id,)
    ).fetchone()
    if found is None:
        return 0
    connection.execute("UPDATE leases SET granted_nanos = 0 WHERE lease_id = ?", (lease_id,))
    granted: int = found[0]
    return granted


def _still_to_write(connection: sqlite3.Connection, entry: Entry) -> Entry | None:
    """`entry`, what is to be written in its place, or None when it is there."""
    there = _entry(connection, entry.entry_id)
    if there is None:
        return entry
    if _content(there) == _content(entry):
        return None
    if kind_of(entry.entry_id) != ENTRY_ENDED or not _released_in_absence(there):
        raise Defect(f"The ledger has another entry {entry.entry_id} than the one that is to be written.")
    adjusted = adjustment(entry, there)
    there = _entry(connection, adjusted.entry_id)
    if there is None:
        return adjusted
    if _content(there) != _content(adjusted):
        raise Defect(f"The entry {entry.entry_id} has been adjusted already, to something else.")
    return None


def adjustment(truth: Entry, there: Entry) -> Entry:
    """What makes `there` and itself, taken together, the truth."""
    return msgspec.structs.replace(
        truth,
        entry_id=truth.entry_id - ENTRY_ENDED + ENTRY_ADJUSTED,
        state=ADJUSTED,
        held_nanos=Nanos(0),
        **{name: getattr(truth, name) - getattr(there, name) for name in _COUNTS},
    )


def release(opened: Entry, now_ms: int) -> Entry:
    """The end of an attempt of which nobody knows what became: nobody pays, and it may have cost us what was held."""
    return msgspec.structs.replace(
        opened,
        entry_id=opened.entry_id - ENTRY_OPENED + ENTRY_ENDED,
        state=RELEASED,
        upstream_cost_nanos=opened.held_nanos,
        estimated=True,
        status=0,
        settled_at_ms=now_ms,
        draws=(),
    )


def cancel(opened: Entry, now_ms: int) -> Entry:
    """The end of an attempt that was never sent."""
    return msgspec.structs.replace(
        opened, entry_id=opened.entry_id - ENTRY_OPENED + ENTRY_ENDED, state=RELEASED, settled_at_ms=now_ms, draws=()
    )


def _released_in_absence(entry: Entry) -> bool:
    return entry.state == RELEASED and entry.estimated and entry.status == 0


def _entry(connection: sqlite3.Connection, entry_id: int) -> Entry | None:
    for row in read(connection, [entry_id]):
        return from_row(row)
    return None


def from_row(row: Row) -> Entry:
    """Without its draws."""
    fields = dict(zip(COLUMNS[:-1], row[:-1], strict=True))
    fields.update({name: bool(fields[name]) for name in ("estimated", "batch")})
    return msgspec.convert(fields, Entry)


def row_of(entry: Entry) -> Row:
    """The row of an entry that draws on no lease."""
    return (*astuple(entry)[:-1], None)


def _content(entry: Entry) -> Row:
    """All that is stored but for the moment of writing, which another try changes."""
    fields = [field or None for field in astuple(entry)[:-1]]
    fields[_SETTLED_AT] = None
    return tuple(fields)
