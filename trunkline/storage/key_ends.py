"""The end of keys: revoked with all their secrets, and nothing is held for them any more."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, exists, select, update

from trunkline.storage import leases
from trunkline.storage.changes import Change
from trunkline.storage.money_schema import budgets
from trunkline.storage.schema import key_secrets, keys
from trunkline.storage.subtree import Found


def end_keys(change: Change, which: ColumnElement[bool]) -> Sequence[Found]:
    """Revoke those of `which` that are not; their (account_id, key_id)."""
    connection = change.connection
    ended = connection.execute(
        update(keys)
        .where(which, keys.c.revoked_at.is_(None))
        .values(revoked_at=change.now_s)
        .returning(keys.c.account_id, keys.c.key_id)
    ).all()
    if not ended:
        return ended
    its_key = and_(keys.c.account_id == key_secrets.c.account_id, keys.c.key_id == key_secrets.c.key_id)
    is_over = exists().where(its_key, keys.c.revoked_at == change.now_s)
    connection.execute(
        update(key_secrets).where(key_secrets.c.revoked_at.is_(None), is_over).values(revoked_at=change.now_s)
    )
    counted = select(budgets.c.budget_id).where(
        budgets.c.kind == "key",
        exists().where(
            keys.c.account_id == budgets.c.account_id,
            keys.c.key_id == budgets.c.subject,
            keys.c.revoked_at == change.now_s,
        ),
    )
    for budget in connection.execute(counted).all():
        leases.fence(connection, budget.budget_id)
    change.concerns_calls = True
    return ended
