"""Who changes something, and the log of every change: append-only, written in the transaction of the change itself."""

from __future__ import annotations

from typing import Final, Literal, Protocol

import msgspec

from trunkline.ids import ROOT_ACCOUNT, AccountId
from trunkline.ports.pages import Cursor, Page

Role = Literal["owner", "admin", "member", "viewer"]
"""owner: all there is in its account's subtree (the `admin` scope of a key), of the root in everybody's. admin: changes
there, but neither people nor admin keys (`manage`). member: calls. viewer: reads, and no calls."""
ActorKind = Literal["key", "user", "cli", "gateway"]
AuditType = Literal[
    "api_key.created",
    "api_key.updated",
    "api_key.rotated",
    "api_key.deleted",
    "service_account.created",
    "service_account.updated",
    "service_account.deleted",
    "project.created",
    "project.updated",
    "project.moved",
    "project.archived",
    "rate_limit.updated",
    "rate_limit.deleted",
    "invite.sent",
    "invite.accepted",
    "invite.deleted",
    "user.added",
    "user.updated",
    "user.deleted",
    "role.assignment.created",
    "role.assignment.updated",
    "role.assignment.deleted",
    "budget.created",
    "budget.updated",
    "budget.deleted",
    "spend_alert.created",
    "spend_alert.updated",
    "spend_alert.deleted",
    "credit.added",
    "credit.debited",
]
"""OpenAI's event types where it has one (openai.types.admin.organization.audit_log_list_response), else ours."""


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts. `id`: a key's, a user's, or `cli`. `account_id`: the account that it belongs to. `address`: where the
    request came from. policy.keys.actor makes one of a key's record."""

    kind: ActorKind
    id: str
    account_id: AccountId
    role: Role
    address: str | None = None


CLI: Final = Actor(kind="cli", id="cli", account_id=ROOT_ACCOUNT, role="owner")
"""Whoever can read the data directory."""
GATEWAY: Final = Actor(kind="gateway", id="gateway", account_id=ROOT_ACCOUNT, role="owner")
"""What happens by itself, such as the end of a rotated secret."""


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `account_id` is the account that it happened to, or in; `target_id` the thing that changed (a key, an
    account, a budget…). `before` and `after` are JSON objects of what it was and became, without secrets; None when it
    was not there. `at`: Unix seconds. Ids grow with time."""

    id: str
    type: AuditType
    at: float
    account_id: AccountId
    target_id: str
    actor_kind: ActorKind
    actor_id: str
    actor_account_id: AccountId
    address: str | None = None
    before: msgspec.Raw | None = None
    after: msgspec.Raw | None = None


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Empty means any. `account_ids` are those accounts alone, not what is below them. Moments are Unix seconds, both
    ends included."""

    types: tuple[str, ...] = ()
    account_ids: tuple[str, ...] = ()
    actor_ids: tuple[str, ...] = ()
    target_ids: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None


class AuditLog(Protocol):
    """Blocking calls: run them off the loop. Each raises StoreUnavailable when the database does not answer."""

    def page(self, wanted: AuditFilter, cursor: Cursor, *, within: AccountId) -> Page[AuditRecord]:
        """What happened in the subtree of `within`. Raises InvalidRequest for a cursor that does not fit."""
        ...
