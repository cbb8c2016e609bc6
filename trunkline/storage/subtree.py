"""The tree of accounts in SQL: what is below one, and the way from one up to the root."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Row, literal, select, true

from trunkline.errors import InvalidRequest, NotFound
from trunkline.ids import ROOT_ACCOUNT, AccountId
from trunkline.storage.schema import accounts

Found = Row[*tuple[Any, ...]]
LONGEST_ID = 64


def below(account_id: str) -> CTE:
    """`account_id` of that account and of all below it."""
    tree = select(accounts.c.account_id).where(accounts.c.account_id == account_id).cte("below", recursive=True)
    children = select(accounts.c.account_id).join(tree, accounts.c.parent_id == tree.c.account_id)
    return tree.union_all(children)


def is_below(column: ColumnElement[str], account_id: AccountId) -> ColumnElement[bool]:
    """Is the column's account that one, or one below it? All are below the root."""
    return true() if account_id == ROOT_ACCOUNT else column.in_(select(below(account_id).c.account_id))


def upwards(connection: Connection, account_id: str) -> Sequence[Found]:
    """The rows from that account to the root; none for an unknown one."""
    depth = literal(0).label("depth")
    way = select(accounts, depth).where(accounts.c.account_id == account_id).cte("upwards", recursive=True)
    parents = select(accounts, way.c.depth + 1).join(way, accounts.c.account_id == way.c.parent_id)
    whole = way.union_all(parents)
    return connection.execute(select(whole).order_by(whole.c.depth)).all()


def require_account(
    connection: Connection, account_id: str, *, within: AccountId = ROOT_ACCOUNT, param: str = "account"
) -> Sequence[Found]:
    """The rows from that account up to the root. Raises NotFound when it is not there, or not below `within`."""
    way = upwards(connection, account_id) if is_id(account_id) else ()
    if not any(row.account_id == within for row in way):
        raise unknown_account(account_id, param)
    return way


def require_live_account(
    connection: Connection, account_id: str, *, within: AccountId = ROOT_ACCOUNT, param: str = "account"
) -> Sequence[Found]:
    """`require_account` of one that something is to be added to. Raises InvalidRequest when it is archived."""
    way = require_account(connection, account_id, within=within, param=param)
    if way[0].archived_at is not None:
        raise InvalidRequest(f"The account {account_id} is archived, for good.", code="account_archived", param=param)
    return way


def is_id(text: str) -> bool:
    """Could it be anything's id? What is not is neither looked for nor repeated."""
    return 0 < len(text) <= LONGEST_ID and text.isprintable()


def unknown_account(account_id: str, param: str) -> NotFound | InvalidRequest:
    if account_id and not is_id(account_id):
        return InvalidRequest("An account id looks like acct_… and has at most 64 characters.", param=param)
    return NotFound(
        f"There is no account {account_id!r}; `trunkline accounts list` shows those there are.",
        code="account_not_found",
        param=param,
    )
