"""Accounts on the database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, insert, select

from trunkline import clock
from trunkline.errors import InvalidRequest, NotFound
from trunkline.ids import ROOT_ACCOUNT, AccountId, new_account_id
from trunkline.ports.accounts import Account
from trunkline.storage.database import Database
from trunkline.storage.names import checked_name
from trunkline.storage.schema import accounts
from trunkline.storage.version import raise_version


class SqlAccountStore:
    """Fulfils ports.accounts.AccountStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, parent_id: str = ROOT_ACCOUNT) -> Account:
        now_s = clock.now_s()
        account = Account(
            id=new_account_id(),
            parent_id=AccountId(parent_id),
            name=checked_name(name, "an account"),
            created_at=int(now_s),
        )
        with self._database.writing() as connection:
            require_account(connection, parent_id, param="parent")
            connection.execute(
                insert(accounts).values(account_id=account.id, parent_id=parent_id, name=account.name, created_at=now_s)
            )
            raise_version(connection)
        return account

    def list(self) -> list[Account]:
        with self._database.reading() as connection:
            rows = connection.execute(select(accounts).order_by(accounts.c.created_at, accounts.c.account_id))
            return [_account(row) for row in rows]

    def show(self, account_id: str) -> Account:
        with self._database.reading() as connection:
            row = connection.execute(select(accounts).where(accounts.c.account_id == account_id)).one_or_none()
        if row is None:
            raise _unknown(account_id, "account")
        return _account(row)


def require_account(connection: Connection, account_id: str, *, param: str) -> None:
    """Raises NotFound inside the transaction that is about to use the account."""
    found = connection.execute(select(accounts.c.account_id).where(accounts.c.account_id == account_id))
    if found.one_or_none() is None:
        raise _unknown(account_id, param)


def _unknown(account_id: str, param: str) -> NotFound:
    if len(account_id) > 64 or not account_id.isprintable():
        raise InvalidRequest("An account id looks like acct_… and has at most 64 characters.", param=param)
    return NotFound(
        f"There is no account {account_id!r}; `trunkline accounts list` shows those there are.",
        code="account_not_found",
        param=param,
    )


def _account(row: Row[*tuple[Any, ...]]) -> Account:
    return Account(id=row.account_id, parent_id=row.parent_id, name=row.name, created_at=int(row.created_at))
