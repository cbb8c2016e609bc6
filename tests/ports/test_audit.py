from __future__ import annotations

from typing import get_args

from openai.types.admin.organization.audit_log_list_response import AuditLogListResponse

from trunkline.ids import ROOT_ACCOUNT
from trunkline.ports.audit import CLI, GATEWAY, AuditLog, AuditType
from trunkline.storage.audit import SqlAuditLog

# What OpenAI has no event for: it has no prepaid credit by API, no budgets, no sub-accounts that move.
OURS = {
    "api_key.rotated",
    "project.moved",
    "role.assignment.updated",
    "budget.created",
    "budget.updated",
    "budget.deleted",
    "spend_alert.created",
    "spend_alert.updated",
    "spend_alert.deleted",
    "credit.added",
    "credit.debited",
}


def test_events_are_called_as_openai_calls_them() -> None:
    theirs = set(get_args(AuditLogListResponse.model_fields["type"].annotation))
    assert set(get_args(AuditType)) - theirs == OURS


def test_who_has_the_machine_owns_all() -> None:
    assert {(by.kind, by.role, by.account_id) for by in (CLI, GATEWAY)} == {
        ("cli", "owner", ROOT_ACCOUNT),
        ("gateway", "owner", ROOT_ACCOUNT),
    }


def test_the_database_fulfils_the_port() -> None:
    store: type[AuditLog] = SqlAuditLog
    assert "page" in dir(store)
