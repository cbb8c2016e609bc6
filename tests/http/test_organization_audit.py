"""The audit log through OpenAI's own client: every change, once, to those who may see it."""

from __future__ import annotations

from typing import Any

import msgspec
import openai
import pytest
from openai.types.admin.organization import AuditLogListResponse, audit_log_list_params

from tests.http.organization_house import Organization
from tests.http.test_organization_users import person
from trunkline.errors import InvalidRequest
from trunkline.http.organization_audit import OURS, SHOWN_AS, detail_of, span_of, types_of
from trunkline.ids import ROOT_ACCOUNT
from trunkline.ports.accounts import AccountDraft
from trunkline.ports.audit import Actor, AuditRecord
from trunkline.wire.openai_organization_audit import OTHER_SUBJECTS, EffectiveAt

MONTHLY: Any = {"currency": "USD", "interval": "month"}
THEIRS = set(AuditLogListResponse.model_fields["type"].annotation.__args__)  # type: ignore[union-attr]


async def log_of(organization: Organization, **wanted: Any) -> list[AuditLogListResponse]:
    return [one async for one in organization.client.admin.organization.audit_logs.list(limit=3, **wanted)]


async def test_changes_are_logged_the_newest_first(organization: Organization) -> None:
    projects = organization.client.admin.organization.projects
    [project_id] = await organization.projects(["Kontor"])
    await projects.update(project_id, name="Comptoir")
    made = await projects.service_accounts.create(project_id, name="a program")
    assert made.api_key is not None
    await projects.rate_limits.update_rate_limit("rl-sandbox~echo", project_id=project_id, max_requests_per_1_minute=9)
    await projects.spend_limit.update(project_id, threshold_amount=100, **MONTHLY)
    await projects.archive(project_id)

    found = await log_of(organization, project_ids=[project_id])
    kinds = [one.type for one in found]
    assert kinds[-2:] == ["project.updated", "project.created"]
    assert {"project.archived", "service_account.created", "api_key.created", "rate_limit.updated"} <= set(kinds)
    assert len(kinds) == len({one.id for one in found})
    for one in found:
        assert one.actor is not None
        assert one.actor.api_key is not None
        assert one.actor.api_key.id == organization.admin_key_id
        assert one.project is not None
        assert (one.project.id, one.project.name) == (project_id, "Comptoir")
    by_kind = {one.type: one for one in found}
    created = by_kind["project.created"].project_created
    assert created is not None
    assert created.data is not None
    assert (created.id, created.data.name) == (project_id, "Kontor")
    updated = by_kind["project.updated"].project_updated
    assert updated is not None
    assert updated.changes_requested is not None
    assert updated.changes_requested.title == "Comptoir"
    limited = by_kind["rate_limit.updated"].rate_limit_updated
    assert limited is not None
    assert limited.changes_requested is not None
    assert (limited.id, limited.changes_requested.max_requests_per_1_minute) == ("rl-sandbox~echo", 9)
    account = by_kind["service_account.created"].service_account_created
    assert account is not None
    assert account.id == made.id
    key = by_kind["api_key.created"].api_key_created
    assert key is not None
    assert key.id == made.api_key.id


async def test_what_openai_has_no_word_for_is_there_in_ours(organization: Organization) -> None:
    [project_id] = await organization.projects()
    await organization.client.admin.organization.projects.spend_limit.update(
        project_id, threshold_amount=100, **MONTHLY
    )
    [found] = await log_of(organization, event_types=["tenant.billing.overage_limit.updated"])
    more = found.model_extra or {}
    assert (more["event"], more["before"], more["after"]["limit_nanos"]) == ("budget.created", None, 1_000_000_000)
    assert await log_of(organization, event_types=["budget.created"]) == [found]
    assert await log_of(organization, tenant_only=True) == [found]


async def test_filters(organization: Organization) -> None:
    first, second = await organization.projects(["first", "second"])
    ada = person(organization, "ada", "owner")
    by = Actor(kind="user", id=ada.id, account_id=organization.id, role="owner", address="192.0.2.7")
    third = organization.house.accounts.create(
        AccountDraft(name="third", parent_id=organization.id), by=by, within=organization.id
    ).id

    async def made(**wanted: Any) -> list[str]:
        found = await log_of(organization, event_types=["project.created"], **wanted)
        return [one.project_created.id or "" for one in found if one.project_created is not None]

    everything = [third, second, first, organization.id]
    assert await made() == everything
    assert await made(project_ids=[first, third]) == [third, first]
    assert await made(resource_ids=[second]) == [second]
    assert await made(actor_ids=[organization.admin_key_id]) == [second, first]
    assert await made(actor_emails=["ADA@example.com"]) == [third]
    assert await made(actor_emails=["ada@example.com"], actor_ids=[organization.admin_key_id]) == []
    assert await made(actor_emails=["nobody@example.com"]) == []
    assert await made(project_ids=[]) == everything, "the client does not send an empty list"
    [newest] = (await organization.client.admin.organization.audit_logs.list(limit=1, resource_ids=[third])).data
    assert newest.actor is not None
    assert newest.actor.session is not None
    assert newest.actor.session.ip_address == "192.0.2.7"
    assert newest.actor.session.user is not None
    assert newest.actor.session.user.email == "ada@example.com"
    at = newest.effective_at
    assert await made(effective_at={"gt": at}) == []
    assert await made(effective_at={"lt": at - 60}) == []
    assert await made(effective_at={"gte": at - 60, "lte": at}) == everything


async def test_pages_go_both_ways(organization: Organization) -> None:
    await organization.projects(["a", "b", "c"])
    logs = organization.client.admin.organization.audit_logs
    kinds: Any = ["project.created"]
    whole = [one.id async for one in logs.list(event_types=kinds)]
    page = await logs.list(event_types=kinds, limit=2)
    assert ([one.id for one in page.data], page.has_more, page.last_id) == (whole[:2], True, whole[1])
    back = await logs.list(event_types=kinds, before=whole[2], limit=1)
    assert ([one.id for one in back.data], back.has_more) == ([whole[1]], True)
    with pytest.raises(openai.BadRequestError) as refused:
        await logs.list(after="audit_log-nothing")
    assert refused.value.param == "after"


async def test_others_changes_are_not_seen(organization: Organization) -> None:
    theirs = organization.house.organization("another")
    [project_id] = await theirs.projects()
    assert await log_of(organization, project_ids=[project_id]) == []
    assert await log_of(organization, project_ids=[ROOT_ACCOUNT]) == []
    assert await log_of(organization, resource_ids=[project_id]) == []


async def test_no_secret_is_in_the_log(organization: Organization) -> None:
    made = await organization.client.admin.organization.admin_api_keys.create(name="second")
    answer = await organization.ask("GET", "/v1/organization/audit_logs")
    assert made.id.encode() in answer.body
    assert made.value.encode() not in answer.body
    assert organization.admin_key.encode() not in answer.body


def test_every_type_is_shown_as_one_of_openais() -> None:
    assert set(SHOWN_AS) == OURS
    assert set(SHOWN_AS.values()) <= THEIRS


def test_types_that_openai_has_are_never_refused() -> None:
    asked = audit_log_list_params.AuditLogListParams.__annotations__["event_types"]
    assert "project.created" in str(asked)
    for kind in THEIRS:
        types_of([kind])
    assert not OTHER_SUBJECTS & {kind.partition(".")[0] for kind in OURS} - {"role"}


def test_asking_for_types() -> None:
    assert types_of(None) is None
    assert types_of(["api_key.updated"]) == frozenset({"api_key.updated", "api_key.rotated"})
    assert types_of(["api_key.rotated"]) == frozenset({"api_key.rotated"})
    assert types_of(["login.failed"]) == frozenset()
    for wrong in ("project.exploded", "nothing", "budget"):
        with pytest.raises(InvalidRequest) as refused:
            types_of(["api_key.created", wrong])
        assert refused.value.param == "event_types[1]"


@pytest.mark.parametrize(
    ("asked", "inside", "outside"),
    [
        (EffectiveAt(gt=10), [11.0, 11.5], [10.0, 10.9]),
        (EffectiveAt(gte=10), [10.0, 10.9], [9.999]),
        (EffectiveAt(lt=10), [9.999], [10.0, 10.5]),
        (EffectiveAt(lte=10), [10.0, 10.999], [11.0]),
        (EffectiveAt(gt=10, gte=12, lt=20, lte=15), [12.0, 15.9], [11.9, 16.0]),
        (EffectiveAt(), [0.0, 1e12], []),
    ],
)
def test_moments_are_compared_as_they_are_shown(asked: EffectiveAt, inside: list[float], outside: list[float]) -> None:
    since, until = span_of(asked)

    def passes(at: float) -> bool:
        return (since is None or at >= since) and (until is None or at <= until)

    assert all(map(passes, inside))
    assert not any(map(passes, outside))


@pytest.mark.parametrize(
    ("kind", "after", "detail"),
    [
        ("project.created", {"name": "K"}, {"id": "t", "data": {"title": "K", "name": "K"}}),
        ("project.moved", {"parent_id": "p"}, {"id": "t"}),
        ("project.archived", None, {"id": "t"}),
        ("api_key.created", {"routes": ["chat"], "name": "n"}, {"id": "t", "data": {"scopes": ["chat"]}}),
        ("invite.sent", {"email": "e", "role": "member"}, {"id": "t", "data": {"email": "e", "role": "member"}}),
        ("user.added", {"role": "owner"}, {"id": "t", "data": {"role": "owner"}}),
        ("user.updated", {"role": "owner"}, {"id": "t", "changes_requested": {"role": "owner"}}),
        (
            "rate_limit.updated",
            {"model": "*", "requests_per_minute": 5, "tokens_per_minute": None},
            {"id": "t", "changes_requested": {"max_requests_per_1_minute": 5}},
        ),
        (
            "role.assignment.created",
            {"role": "admin"},
            {
                "id": "acct_1:t",
                "principal_id": "t",
                "principal_type": "user",
                "resource_id": "acct_1",
                "resource_type": "api.project",
            },
        ),
        ("budget.updated", {"limit_nanos": 5}, {"id": "t"}),
    ],
)
def test_details(kind: Any, after: dict[str, Any] | None, detail: dict[str, Any]) -> None:
    record = msgspec.convert(
        {
            "id": "audit_log-1",
            "type": kind,
            "at": 1.5,
            "account_id": "acct_1",
            "target_id": "t",
            "actor_kind": "cli",
            "actor_id": "cli",
            "actor_account_id": "acct_root",
        },
        AuditRecord,
    )
    encoded = None if after is None else msgspec.Raw(msgspec.json.encode(after))
    assert detail_of(msgspec.structs.replace(record, after=encoded)) == detail
