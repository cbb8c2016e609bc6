"""Pots and leases in SQL: what a process takes out of a budget or of credit, and what it gives back.

`lease` and `give_back` run in a transaction of the ledger; `set_limit`, `fence` and `figures` in one of whoever changes
or shows a budget. In each, spent + leased stays within the limit, unless more was used than held or the limit was
lowered.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, case, func, or_, select, update

from trunkline.errors import Defect
from trunkline.policy.budgets import slice_size
from trunkline.policy.periods import period_bounds
from trunkline.ports.budgets import WALLET, Leased, Wanted
from trunkline.ports.ledger import Fenced
from trunkline.storage import entries
from trunkline.storage.money_schema import leases, pots


class Pot(msgspec.Struct, frozen=True, array_like=True):
    """The figures of one period. Times are Unix seconds; `period_end` is None for a pot that never ends."""

    pot_id: int
    source: str
    period_start: float
    period_end: float | None
    limit_nanos: int
    spent_nanos: int
    leased_nanos: int

    @property
    def left_nanos(self) -> int:
        return self.limit_nanos - self.spent_nanos - self.leased_nanos


_POT = ", ".join(Pot.__struct_fields__)
_LATEST = f"SELECT {_POT} FROM pots WHERE source = ? ORDER BY period_start DESC LIMIT 1"  # noqa: S608 - our own columns
_MAKE = (
    "INSERT INTO pots (account_id, source, period_start, period_end, limit_nanos, alerts, spent_nanos, leased_nanos,"  # noqa: S608
    f" alerted) VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0) RETURNING {_POT}"
)


def lease(connection: sqlite3.Connection, wanted: Sequence[Wanted], holder_id: int, now_s: float) -> tuple[Leased, ...]:
    """As ports.ledger.Ledger.lease. Raises Fenced when the holder is not live any more."""
    alive = connection.execute("SELECT 1 FROM holders WHERE holder_id = ? AND state = 'live'", (holder_id,)).fetchone()
    if alive is None:
        raise Fenced
    asked = [(current_pot(connection, want.source, now_s), want) for want in wanted]
    fits = all(0 <= want.at_least <= pot.left_nanos for pot, want in asked)
    answers: dict[int, Leased] = {}
    for at in sorted(range(len(asked)), key=lambda index: asked[index][0].pot_id):
        pot, want = asked[at]
        nanos = want.at_least if want.exact else slice_size(pot.left_nanos, want.at_least)
        lease_id, epoch = _lease_of(connection, pot.pot_id, holder_id, nanos) if fits else (0, 0)
        answers[at] = _answer(connection, pot, (lease_id, epoch, nanos if fits else 0), holder_id)
    return tuple(answers[at] for at in range(len(asked)))


def give_back(connection: sqlite3.Connection, parts: Iterable[tuple[int, int]]) -> None:
    """As ports.ledger.Ledger.give_back. Of a lease that is over, or has less, there is nothing or less to give."""
    for lease_id, nanos in sorted(parts):
        taken = entries.take(connection, lease_id, nanos)
        connection.execute(
            "UPDATE pots SET leased_nanos = leased_nanos - ?"
            " WHERE pot_id = (SELECT pot_id FROM leases WHERE lease_id = ?)",
            (taken, lease_id),
        )
        connection.execute(
            "UPDATE leases SET state = 'closed'"
            " WHERE lease_id = ? AND granted_nanos = 0 AND state IN ('live', 'fenced')",
            (lease_id,),
        )


def current_pot(connection: sqlite3.Connection, source: str, now_s: float) -> Pot:
    """The pot of the period that is now, made if it is the first to need it. Periods never move back: as long as the
    newest one has not ended, or has not begun, it is the current one."""
    latest = _latest_pot(connection, source)
    if latest is not None and (latest.period_end is None or now_s < latest.period_end):
        return latest
    if source.startswith(WALLET):
        return _make_wallet(connection, source)
    found = connection.execute(
        "SELECT account_id, period, zone, limit_nanos, alerts FROM budgets WHERE budget_id = ?", (source,)
    ).fetchone()
    if found is None:
        raise Defect(f"There is no budget {source}.")
    account_id, period, zone, limit_nanos, alerts = found
    start, end = period_bounds(period, zone, now_s)
    if latest is not None and latest.period_end is not None:
        start = max(start, latest.period_end)
    return _make_pot(connection, (account_id, source, start, end, limit_nanos, alerts))


def set_limit(connection: Connection, source: str, limit_nanos: int) -> None:
    """Let the newest pot of a budget or wallet follow its limit. A lower one ends the leases, so that each process asks
    anew. Does nothing where nothing was ever counted."""
    newest = select(func.max(pots.c.period_start)).where(pots.c.source == source).scalar_subquery()
    its = and_(pots.c.source == source, pots.c.period_start == newest)
    before = connection.execute(select(pots.c.limit_nanos).where(its)).scalar_one_or_none()
    if before is None:
        return
    # What was told under the old limit is told again once the new one is used up as far.
    reached = case((pots.c.spent_nanos <= 0, 0), else_=pots.c.spent_nanos * 100 // max(limit_nanos, 1))
    told = case((pots.c.alerted < reached, pots.c.alerted), else_=reached)
    connection.execute(update(pots).where(its).values(limit_nanos=limit_nanos, alerted=told))
    if limit_nanos < before:
        fence(connection, source)


def fence(connection: Connection, source: str) -> None:
    """End the leases on a budget or wallet: no process holds anything new from them; what is held can be settled."""
    its = select(pots.c.pot_id).where(pots.c.source == source)
    connection.execute(
        update(leases)
        .where(leases.c.state == "live", leases.c.pot_id.in_(its))
        .values(state="fenced", epoch=leases.c.epoch + 1)
    )


def figures(connection: Connection, sources: Sequence[str], now_s: float) -> dict[str, Pot]:
    """The current pot of each source that has one: source -> figures. One whose period is over, or of which nothing
    was ever used, has none: nothing of it is spent."""
    columns = [getattr(pots.c, name) for name in Pot.__struct_fields__]
    found: dict[str, Pot] = {}
    for at in range(0, len(sources), 500):
        its = pots.c.source.in_(sources[at : at + 500])
        running = or_(pots.c.period_end.is_(None), pots.c.period_end > now_s)
        for row in connection.execute(select(*columns).where(its, running).order_by(pots.c.period_start)):
            pot = Pot(*row)
            found[pot.source] = pot
    return found


def _latest_pot(connection: sqlite3.Connection, source: str) -> Pot | None:
    found = connection.execute(_LATEST, (source,)).fetchone()
    return None if found is None else Pot(*found)


def _make_wallet(connection: sqlite3.Connection, source: str) -> Pot:
    account_id = source.removeprefix(WALLET)
    credit = "SELECT coalesce(sum(amount_nanos), 0) FROM credit_entries WHERE account_id = ?"
    limit_nanos = connection.execute(credit, (account_id,)).fetchone()[0]
    return _make_pot(connection, (account_id, source, 0.0, None, limit_nanos, "[]"))


def _make_pot(connection: sqlite3.Connection, values: tuple[Any, ...]) -> Pot:
    """`values`: account, source, start, end, limit, alerts."""
    found = connection.execute(_MAKE, values).fetchall()
    return Pot(*found[0])


def _answer(connection: sqlite3.Connection, pot: Pot, granted: tuple[int, int, int], holder_id: int) -> Leased:
    """`granted`: lease, epoch, nano-dollars."""
    lease_id, epoch, nanos = granted
    spent, leased = connection.execute(
        "UPDATE pots SET leased_nanos = leased_nanos + ? WHERE pot_id = ? RETURNING spent_nanos, leased_nanos",
        (nanos, pot.pot_id),
    ).fetchall()[0]
    others = connection.execute(
        "SELECT DISTINCT slot FROM leases JOIN holders USING (holder_id) WHERE pot_id = ? AND holder_id <> ?"
        " AND leases.state IN ('live', 'fenced') AND granted_nanos > 0 AND holders.state = 'live' ORDER BY slot",
        (pot.pot_id, holder_id),
    ).fetchall()
    return Leased(
        source=pot.source,
        pot_id=pot.pot_id,
        lease_id=lease_id,
        epoch=epoch,
        granted_nanos=nanos,
        limit_nanos=pot.limit_nanos,
        spent_nanos=spent,
        leased_nanos=leased,
        period_start=pot.period_start,
        period_end=pot.period_end,
        others=tuple(slot for (slot,) in others),
    )


def _lease_of(connection: sqlite3.Connection, pot_id: int, holder_id: int, nanos: int) -> tuple[int, int]:
    """The holder's lease on a pot, larger by that: (id, epoch). A closed one is opened again under a new epoch."""
    found = connection.execute(
        "SELECT lease_id FROM leases WHERE pot_id = ? AND holder_id = ? AND state IN ('live', 'closed')"
        " ORDER BY state DESC LIMIT 1",
        (pot_id, holder_id),
    ).fetchone()
    if found is None:
        made = connection.execute(
            "INSERT INTO leases (pot_id, holder_id, epoch, state, granted_nanos) VALUES (?, ?, 1, 'live', ?)"
            " RETURNING lease_id, epoch",
            (pot_id, holder_id, nanos),
        )
    else:
        made = connection.execute(
            "UPDATE leases SET granted_nanos = granted_nanos + ?, epoch = epoch + (state = 'closed'), state = 'live'"
            " WHERE lease_id = ? RETURNING lease_id, epoch",
            (nanos, found[0]),
        )
    lease_id, epoch = made.fetchall()[0]
    return lease_id, epoch
