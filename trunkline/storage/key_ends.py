"""The end of keys: revoked with all their secrets, and nothing is held for them any more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, and_, select, update

from trunkline.storage import leases
from trunkline.storage.changes import Change
from trunkline.storage.money_schema import budgets
from trunkline.storage.schema import key_secrets, keys
from trunkline.storage.subtree import Found

AT_ONCE: Final = 500
"""Values in one statement."""


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
    of_account: dict[str, list[str]] = defaultdict(list)
    for row in ended:
        of_account[row.account_id].append(row.key_id)
    for account_id, key_ids in of_account.items():
        for at in range(0, len(key_ids), AT_ONCE):
            _end_what_is_theirs(change, account_id, key_ids[at : at + AT_ONCE])
    change.concerns_calls = True
    return ended


def _end_what_is_theirs(change: Change, account_id: str, key_ids: Sequence[str]) -> None:
    connection = change.connection
    # By account and id, as the indexes have them: there may be a hundred thousand others.
    theirs = and_(key_secrets.c.account_id == account_id, key_secrets.c.key_id.in_(key_ids))
    connection.execute(
        update(key_secrets).where(theirs, key_secrets.c.revoked_at.is_(None)).values(revoked_at=change.now_s)
    )
    counted = select(budgets.c.budget_id).where(
        budgets.c.account_id == account_id,
        budgets.c.kind == "key",
        budgets.c.subject.in_(key_ids),
        budgets.c.ended_at.is_(None),
    )
    for budget in connection.execute(counted).all():
        leases.fence(connection, budget.budget_id)
