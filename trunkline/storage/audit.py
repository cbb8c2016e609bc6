"""The audit log on the database: read here, written by storage/changes.py with each change."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Row, select

from trunkline.ids import AccountId
from trunkline.ports.audit import AuditFilter, AuditRecord
from trunkline.ports.pages import Cursor, Page
from trunkline.storage.database import Database
from trunkline.storage.paging import page
from trunkline.storage.subtree import is_below
from trunkline.storage.tenant_schema import audit_log


class SqlAuditLog:
    """Fulfils ports.audit.AuditLog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: AuditFilter, cursor: Cursor, *, within: AccountId) -> Page[AuditRecord]:
        listed = select(audit_log).where(is_below(audit_log.c.account_id, within))
        for column, values in (
            (audit_log.c.type, wanted.types),
            (audit_log.c.account_id, wanted.account_ids),
            (audit_log.c.actor_id, wanted.actor_ids),
            (audit_log.c.target_id, wanted.target_ids),
        ):
            if values:
                listed = listed.where(column.in_(values))
        if wanted.since is not None:
            listed = listed.where(audit_log.c.at >= wanted.since)
        if wanted.until is not None:
            listed = listed.where(audit_log.c.at <= wanted.until)
        with self._database.reading() as connection:
            return page(connection, listed, cursor, (audit_log.c.audit_id,), _record)


def _record(row: Row[*tuple[Any, ...]]) -> AuditRecord:
    return AuditRecord(
        id=row.audit_id,
        type=row.type,
        at=row.at,
        account_id=row.account_id,
        target_id=row.target_id,
        actor_kind=row.actor_kind,
        actor_id=row.actor_id,
        actor_account_id=row.actor_account_id,
        address=row.address,
        before=_raw(row.before),
        after=_raw(row.after),
    )


def _raw(text: str | None) -> msgspec.Raw | None:
    return None if text is None else msgspec.Raw(text)
