"""Service accounts on the database."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from trunkline.errors import NotFound
from trunkline.ids import ROOT_ACCOUNT, AccountId, random_base62
from trunkline.policy.roles import require_role
from trunkline.ports.audit import CLI, Actor, Role
from trunkline.ports.keys import Grant, IssuedKey
from trunkline.ports.pages import Cursor, Page
from trunkline.ports.service_accounts import ServiceAccount
from trunkline.storage.changes import changing
from trunkline.storage.database import Database
from trunkline.storage.key_ends import end_keys
from trunkline.storage.keys import SqlKeys
from trunkline.storage.names import checked_name
from trunkline.storage.paging import page
from trunkline.storage.schema import keys
from trunkline.storage.subtree import is_below, is_id, require_account, require_live_account
from trunkline.storage.tenant_schema import service_accounts

_ORDER = (service_accounts.c.created_at, service_accounts.c.service_account_id)
_KEPT = service_accounts.c.deleted_at.is_(None)


class SqlServiceAccounts:
    """Fulfils ports.service_accounts.ServiceAccounts."""

    def __init__(self, database: Database, issuer: SqlKeys) -> None:
        self._database = database
        self._issuer = issuer

    def create(
        self, account_id: str, name: str, role: Role = "member", *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT
    ) -> ServiceAccount:
        with changing(self._database, by, within) as change:
            require_live_account(change.connection, account_id, within=within)
            require_role(by, role)
            made = ServiceAccount(
                id="svc_acct_" + random_base62(16),
                account_id=AccountId(account_id),
                name=checked_name(name, "a service account"),
                role=role,
                created_at=int(change.now_s),
            )
            change.connection.execute(
                insert(service_accounts).values(
                    account_id=account_id,
                    service_account_id=made.id,
                    name=made.name,
                    role=role,
                    created_at=change.now_s,
                )
            )
            change.audit("service_account.created", made.account_id, made.id, after=made)
        return made

    def issue(
        self,
        service_account_id: str,
        name: str,
        expires_at: float | None = None,
        *,
        by: Actor = CLI,
        within: AccountId = ROOT_ACCOUNT,
    ) -> IssuedKey:
        with changing(self._database, by, within) as change:
            owner = _require(change.connection, service_account_id, within)
            return self._issuer.issue(
                change,
                Grant(
                    name=name, account_id=owner.account_id, role=owner.role, expires_at=expires_at, owner_id=owner.id
                ),
            )

    def page(self, account_id: str, cursor: Cursor, *, within: AccountId = ROOT_ACCOUNT) -> Page[ServiceAccount]:
        listed = select(service_accounts).where(_KEPT, service_accounts.c.account_id == account_id)
        with self._database.reading() as connection:
            require_account(connection, account_id, within=within)
            return page(connection, listed, cursor, _ORDER, _service_account)

    def show(self, service_account_id: str, *, within: AccountId = ROOT_ACCOUNT) -> ServiceAccount:
        with self._database.reading() as connection:
            return _require(connection, service_account_id, within)

    def rename(
        self, service_account_id: str, name: str, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT
    ) -> ServiceAccount:
        with changing(self._database, by, within) as change:
            before = _require(change.connection, service_account_id, within)
            require_role(by, before.role)
            after = msgspec.structs.replace(before, name=checked_name(name, "a service account"))
            change.connection.execute(_at(before).values(name=after.name))
            change.audit_change("service_account.updated", before.account_id, before.id, before, after)
        return after

    def delete(self, service_account_id: str, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT) -> None:
        with changing(self._database, by, within) as change:
            before = _require(change.connection, service_account_id, within)
            require_role(by, before.role)
            change.connection.execute(_at(before).values(deleted_at=change.now_s))
            change.audit("service_account.deleted", before.account_id, before.id, before=before)
            for key in end_keys(change, keys.c.owner_id == before.id):
                change.audit("api_key.deleted", key.account_id, key.key_id)


def _require(connection: Connection, service_account_id: str, within: AccountId) -> ServiceAccount:
    its = (
        _KEPT,
        service_accounts.c.service_account_id == service_account_id,
        is_below(service_accounts.c.account_id, within),
    )
    found = (
        connection.execute(select(service_accounts).where(*its)).one_or_none() if is_id(service_account_id) else None
    )
    if found is None:
        raise NotFound("There is no service account of that id.", code="service_account_not_found")
    return _service_account(found)


def _at(one: ServiceAccount) -> Any:
    its = (service_accounts.c.account_id == one.account_id, service_accounts.c.service_account_id == one.id)
    return update(service_accounts).where(*its)


def _service_account(row: Row[*tuple[Any, ...]]) -> ServiceAccount:
    return ServiceAccount(
        id=row.service_account_id,
        account_id=row.account_id,
        name=row.name,
        role=row.role,
        created_at=int(row.created_at),
    )
