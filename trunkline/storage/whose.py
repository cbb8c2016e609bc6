"""Whose calls are asked for: the accounts that an asker may see and means, and to which of them keys belong."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, select

from trunkline.ids import ROOT_ACCOUNT, AccountId
from trunkline.storage.schema import keys
from trunkline.storage.subtree import below
from trunkline.wire import codec


def accounts_of(connection: Connection, root: AccountId, wanted: Collection[str] | None) -> list[str] | None:
    """The `wanted` ones among `root` and all below it; None for everybody."""
    if root == ROOT_ACCOUNT:
        return None if wanted is None else sorted(set(wanted))
    seen = set(connection.execute(select(below(root).c.account_id)).scalars())
    return sorted(seen if wanted is None else seen & set(wanted))


def owners_of(connection: Connection, wanted: Collection[str]) -> dict[str, str]:
    """Key -> its account. A key that nobody knows is not there."""
    found = connection.execute(select(keys.c.key_id, keys.c.account_id).where(keys.c.key_id.in_(wanted)))
    return {row.key_id: row.account_id for row in found}


def is_within(connection: Connection, account_id: str, root: AccountId) -> bool:
    """Is the account `root`, or below it?"""
    if root == ROOT_ACCOUNT:
        return True
    its = below(root)
    return connection.execute(select(its).where(its.c.account_id == account_id)).first() is not None


def listed(values: Iterable[object]) -> str:
    """For `IN (SELECT value FROM json_each(?))`: a list of any length is one bound value."""
    return codec.encode(list(values)).decode()


LISTED = "(SELECT value FROM json_each(?))"
