"""Spend alerts on the database."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from trunkline.errors import InvalidRequest, NotFound
from trunkline.ids import ROOT_ACCOUNT, AccountId, random_base62
from trunkline.ports.audit import CLI, Actor
from trunkline.ports.pages import Cursor, Page
from trunkline.ports.spend_alerts import SpendAlert, SpendAlertDraft
from trunkline.storage.changes import changing
from trunkline.storage.database import Database
from trunkline.storage.paging import page
from trunkline.storage.subtree import is_below, is_id, require_account, require_live_account
from trunkline.storage.tenant_schema import spend_alerts
from trunkline.storage.values import MOST_NANOS, checked_email, checked_note
from trunkline.wire import codec

MOST_RECIPIENTS: Final = 20
LONGEST_PREFIX: Final = 100
_emails = msgspec.json.Decoder(tuple[str, ...])
_ORDER = (spend_alerts.c.created_at, spend_alerts.c.alert_id)


class SqlSpendAlerts:
    """Fulfils ports.spend_alerts.SpendAlerts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, draft: SpendAlertDraft, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT) -> SpendAlert:
        with changing(self._database, by, within) as change:
            require_live_account(change.connection, draft.account_id, within=within)
            made = _drafted(draft, "alert_" + random_base62(16), int(change.now_s))
            change.connection.execute(
                insert(spend_alerts).values(
                    account_id=made.account_id, alert_id=made.id, created_at=change.now_s, **_columns(made)
                )
            )
            change.audit("spend_alert.created", made.account_id, made.id, after=made)
        return made

    def update(
        self, alert_id: str, draft: SpendAlertDraft, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT
    ) -> SpendAlert:
        with changing(self._database, by, within) as change:
            before = _require(change.connection, alert_id, within)
            after = _drafted(msgspec.structs.replace(draft, account_id=before.account_id), before.id, before.created_at)
            its = (spend_alerts.c.account_id == before.account_id, spend_alerts.c.alert_id == before.id)
            change.connection.execute(update(spend_alerts).where(*its).values(**_columns(after)))
            change.audit_change("spend_alert.updated", before.account_id, before.id, before, after)
        return after

    def delete(self, alert_id: str, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT) -> None:
        with changing(self._database, by, within) as change:
            before = _require(change.connection, alert_id, within)
            its = (spend_alerts.c.account_id == before.account_id, spend_alerts.c.alert_id == before.id)
            change.connection.execute(delete(spend_alerts).where(*its))
            change.audit("spend_alert.deleted", before.account_id, before.id, before=before)

    def show(self, alert_id: str, *, within: AccountId = ROOT_ACCOUNT) -> SpendAlert:
        with self._database.reading() as connection:
            return _require(connection, alert_id, within)

    def page(self, account_id: str, cursor: Cursor, *, within: AccountId = ROOT_ACCOUNT) -> Page[SpendAlert]:
        listed = select(spend_alerts).where(spend_alerts.c.account_id == account_id)
        with self._database.reading() as connection:
            require_account(connection, account_id, within=within)
            return page(connection, listed, cursor, _ORDER, _alert)


def _drafted(draft: SpendAlertDraft, alert_id: str, created_at: int) -> SpendAlert:
    """Raises InvalidRequest."""
    if not 0 < draft.threshold_nanos <= MOST_NANOS:
        raise InvalidRequest("The amount of an alert is above 0.", param="threshold_amount")
    if not 1 <= len(draft.recipients) <= MOST_RECIPIENTS:
        raise InvalidRequest(f"An alert goes to 1 to {MOST_RECIPIENTS} addresses.", param="recipients")
    return SpendAlert(
        id=alert_id,
        account_id=AccountId(draft.account_id),
        threshold_nanos=draft.threshold_nanos,
        recipients=tuple(dict.fromkeys(checked_email(email) for email in draft.recipients)),
        subject_prefix=checked_note(draft.subject_prefix, "subject_prefix", LONGEST_PREFIX),
        created_at=created_at,
    )


def _require(connection: Connection, alert_id: str, within: AccountId) -> SpendAlert:
    its = (spend_alerts.c.alert_id == alert_id, is_below(spend_alerts.c.account_id, within))
    found = connection.execute(select(spend_alerts).where(*its)).one_or_none() if is_id(alert_id) else None
    if found is None:
        raise NotFound("There is no spend alert of that id.", code="spend_alert_not_found")
    return _alert(found)


def _columns(alert: SpendAlert) -> dict[str, Any]:
    return {
        "threshold_nanos": alert.threshold_nanos,
        "recipients": codec.encode(alert.recipients).decode(),
        "subject_prefix": alert.subject_prefix,
    }


def _alert(row: Row[*tuple[Any, ...]]) -> SpendAlert:
    return SpendAlert(
        id=row.alert_id,
        account_id=row.account_id,
        threshold_nanos=row.threshold_nanos,
        recipients=_emails.decode(row.recipients),
        subject_prefix=row.subject_prefix,
        created_at=int(row.created_at),
    )
