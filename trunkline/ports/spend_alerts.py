"""Spend alerts in OpenAI's sense: tell these people when an account has spent so much in a month. `within` and `by` are
as in ports.accounts."""

from __future__ import annotations

from typing import Protocol

import msgspec

from trunkline.ids import AccountId
from trunkline.money import Nanos
from trunkline.ports.audit import Actor
from trunkline.ports.pages import Cursor, Page


class SpendAlertDraft(msgspec.Struct, frozen=True, kw_only=True):
    """`recipients`: e-mail addresses, 1 to 20. `subject_prefix`: at most 100 characters."""

    account_id: str
    threshold_nanos: Nanos
    recipients: tuple[str, ...]
    subject_prefix: str | None = None


class SpendAlert(msgspec.Struct, frozen=True, kw_only=True):
    """`created_at`: whole Unix seconds."""

    id: str
    account_id: AccountId
    threshold_nanos: Nanos
    recipients: tuple[str, ...]
    subject_prefix: str | None
    created_at: int


class SpendAlerts(Protocol):
    """Blocking calls: run them off the loop. Each raises StoreUnavailable when the database does not answer, NotFound
    (`spend_alert_not_found`, `account_not_found`) outside `within`, InvalidRequest with `param`."""

    def create(self, draft: SpendAlertDraft, *, by: Actor, within: AccountId) -> SpendAlert: ...

    def update(self, alert_id: str, draft: SpendAlertDraft, *, by: Actor, within: AccountId) -> SpendAlert:
        """All of it but its account, which stays."""
        ...

    def delete(self, alert_id: str, *, by: Actor, within: AccountId) -> None: ...

    def show(self, alert_id: str, *, within: AccountId) -> SpendAlert: ...

    def page(self, account_id: str, cursor: Cursor, *, within: AccountId) -> Page[SpendAlert]:
        """Of that account alone, in the order in which they were made."""
        ...
