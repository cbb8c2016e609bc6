"""Budgets follow the tree: none is larger than that of an account above it for the same period."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from trunkline.errors import InvalidRequest
from trunkline.money import usd_text
from trunkline.ports.budgets import Period
from trunkline.storage.money_schema import budgets
from trunkline.storage.subtree import below, upwards

_IN_FORCE = budgets.c.ended_at.is_(None)


def refuse_above(connection: Connection, account_ids: Sequence[str], period: Period, limit_nanos: int) -> None:
    """Raises InvalidRequest when one of those accounts has a smaller budget for the period."""
    least = connection.execute(
        select(func.min(budgets.c.limit_nanos)).where(
            _IN_FORCE,
            budgets.c.kind == "account",
            budgets.c.period == period,
            budgets.c.account_id.in_(account_ids),
        )
    ).scalar_one()
    if least is not None and limit_nanos > least:
        raise _over(least, period)


def refuse_over_parent(connection: Connection, account_id: str) -> None:
    """Raises InvalidRequest when a budget of the account or below it is larger than one of those above it."""
    above = [row.account_id for row in upwards(connection, account_id)[1:]]
    caps = select(budgets.c.period, func.min(budgets.c.limit_nanos).label("least")).where(
        _IN_FORCE, budgets.c.kind == "account", budgets.c.account_id.in_(above)
    )
    its = select(below(account_id).c.account_id)
    for cap in connection.execute(caps.group_by(budgets.c.period)).all():
        larger = select(budgets.c.budget_id).where(
            _IN_FORCE,
            budgets.c.account_id.in_(its),
            budgets.c.period == cap.period,
            budgets.c.limit_nanos > cap.least,
        )
        if connection.execute(larger.limit(1)).first() is not None:
            raise _over(cap.least, cap.period)


def _over(least: int, period: Period) -> InvalidRequest:
    for_ever = "" if period == "never" else f" for a {period}"
    return InvalidRequest(
        f"An account above has a budget of {usd_text(least)} USD{for_ever}; none below it is larger.",
        code="over_parent",
        param="limit",
    )
