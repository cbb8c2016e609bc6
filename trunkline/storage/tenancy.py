"""The snapshot of accounts and budgets that calls are decided by. It is read whole, so each query is one pass."""

from __future__ import annotations

import msgspec
from sqlalchemy import select

from trunkline.ids import AccountId
from trunkline.ports.tenancy import Tenancy, Tenant
from trunkline.storage.budgets import budget_of
from trunkline.storage.database import Database
from trunkline.storage.money_schema import budgets, credit_entries
from trunkline.storage.schema import accounts
from trunkline.storage.version import read_version

_globs = msgspec.json.Decoder(tuple[str, ...])
_ACCOUNTS = select(
    accounts.c.account_id,
    accounts.c.parent_id,
    accounts.c.name,
    accounts.c.models,
    accounts.c.markup_millionths,
    accounts.c.default_tag,
    accounts.c.archived_at,
)
_BUDGETS = (
    select(budgets)
    .join(accounts, accounts.c.account_id == budgets.c.account_id)
    .where(budgets.c.ended_at.is_(None), accounts.c.archived_at.is_(None))
    .order_by(budgets.c.created_at, budgets.c.budget_id)
)
_GIVEN = select(credit_entries.c.account_id).distinct()


class SqlTenancyStore:
    """Fulfils ports.tenancy.TenancyStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tenancy(self) -> Tenancy:
        with self._database.reading() as connection:
            version = read_version(connection)
            given = {row[0] for row in connection.execute(_GIVEN)}
            tenants = {}
            # By place: reading a column by its name costs as much as the whole Tenant.
            for account_id, parent_id, name, models, markup, tag, archived_at in connection.execute(_ACCOUNTS):
                tenants[AccountId(account_id)] = Tenant(
                    id=account_id,
                    parent_id=parent_id,
                    name=name,
                    models=() if models == "[]" else _globs.decode(models),
                    markup_millionths=markup,
                    default_tag=tag,
                    has_credit=account_id in given,
                    archived=archived_at is not None,
                )
            return Tenancy(
                version=version,
                tenants=tenants,
                budgets=tuple(budget_of(row) for row in connection.execute(_BUDGETS)),
            )
