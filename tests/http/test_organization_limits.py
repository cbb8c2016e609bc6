"""Spend limits, alerts, rates and models of projects through OpenAI's own client."""

from __future__ import annotations

from typing import Any, Final, Literal

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.organization_house import MODELS, Organization, OrganizationHouse
from trunkline.errors import InvalidRequest
from trunkline.http.organization_limits import NO_LIMIT, globs_of, permissions_of
from trunkline.ids import ROOT_ACCOUNT, AccountId
from trunkline.money import Nanos
from trunkline.ports.accounts import AccountChange, RateLimits
from trunkline.ports.audit import CLI
from trunkline.ports.budget_store import BudgetDraft, BudgetFilter
from trunkline.ports.pages import Cursor
from trunkline.storage.budgets import SqlBudgetStore
from trunkline.wire.openai_organization_limits import ModelPermissionsUpdate

CENT: Final = 10_000_000
MONTHLY: Final[dict[str, Any]] = {"currency": "USD", "interval": "month"}
MAIL: Final[Any] = {"type": "email", "recipients": ["a@example.com", "b@example.com"], "subject_prefix": "[spend]"}
ALERT: Final = (
    b'{"threshold_amount": 1, "currency": "USD", "interval": "month",'
    b' "notification_channel": {"type": "email", "recipients": %s}}'
)


def budgets_of(organization: Organization, account_id: str) -> list[tuple[str, int, tuple[int, ...]]]:
    store = SqlBudgetStore(organization.house.database)
    found = store.page(BudgetFilter(account_id=account_id), Cursor(), within=organization.id)
    return [(one.budget.period, one.budget.limit_nanos, one.budget.alerts) for one in found.items]


async def test_a_spend_limit_is_the_budget_of_a_month(organization: Organization) -> None:
    [project_id] = await organization.projects()
    limits = organization.client.admin.organization.projects.spend_limit
    with pytest.raises(openai.NotFoundError) as none:
        await limits.retrieve(project_id)
    assert none.value.code == "spend_limit_not_found"

    made = await limits.update(project_id, threshold_amount=2550, **MONTHLY)
    assert (made.object, made.threshold_amount, made.enforcement.status) == ("project.spend_limit", 2550, "enforcing")
    assert budgets_of(organization, project_id) == [("month", 2550 * CENT, ())]
    assert await limits.retrieve(project_id) == made

    await limits.update(project_id, threshold_amount=0, **MONTHLY)
    assert budgets_of(organization, project_id) == [("month", 0, ())]
    assert (await limits.delete(project_id)).deleted
    assert budgets_of(organization, project_id) == []
    with pytest.raises(openai.NotFoundError):
        await limits.delete(project_id)


async def test_a_budget_set_elsewhere_is_shown_and_keeps_what_is_not_changed(organization: Organization) -> None:
    [project_id] = await organization.projects()
    store = SqlBudgetStore(organization.house.database)
    draft = BudgetDraft(
        account_id=project_id,
        kind="account",
        subject=project_id,
        limit_nanos=Nanos(5 * CENT + 1),
        period="month",
        zone="Europe/Berlin",
        alerts=(50, 90),
    )
    store.put(draft, by=CLI, within=organization.id)
    limits = organization.client.admin.organization.projects.spend_limit
    assert (await limits.retrieve(project_id)).threshold_amount == 5
    await limits.update(project_id, threshold_amount=700, **MONTHLY)
    [figures] = store.page(BudgetFilter(account_id=project_id), Cursor(), within=organization.id).items
    assert (figures.budget.limit_nanos, figures.budget.zone, figures.budget.alerts) == (
        700 * CENT,
        "Europe/Berlin",
        (50, 90),
    )


async def test_the_root_organisations_own_limit(organization_house: OrganizationHouse) -> None:
    limits = Organization(organization_house, ROOT_ACCOUNT).client.admin.organization.spend_limit
    made = await limits.update(threshold_amount=100, **MONTHLY)
    assert (made.object, made.threshold_amount) == ("organization.spend_limit", 100)
    assert (await limits.retrieve()).threshold_amount == 100
    assert (await limits.delete()).object == "organization.spend_limit.deleted"


async def test_another_organisations_limit_is_set_from_above(organization: Organization) -> None:
    limits = organization.client.admin.organization.spend_limit
    with pytest.raises(openai.PermissionDeniedError) as refused:
        await limits.update(threshold_amount=100, **MONTHLY)
    assert refused.value.code == "above_only"
    above = Organization(organization.house, ROOT_ACCOUNT).client.admin.organization.projects.spend_limit
    await above.update(organization.id, threshold_amount=100, **MONTHLY)
    assert (await limits.retrieve()).threshold_amount == 100
    with pytest.raises(openai.PermissionDeniedError):
        await limits.delete()
    await above.delete(organization.id)


async def test_a_project_never_has_more_than_the_organisation(organization: Organization) -> None:
    [project_id] = await organization.projects()
    admin = organization.client.admin.organization
    above = Organization(organization.house, ROOT_ACCOUNT).client.admin.organization.projects.spend_limit
    await above.update(organization.id, threshold_amount=100, **MONTHLY)
    with pytest.raises(openai.BadRequestError) as refused:
        await admin.projects.spend_limit.update(project_id, threshold_amount=101, **MONTHLY)
    assert (refused.value.code, refused.value.param) == ("over_parent", "threshold_amount")


async def test_an_archived_project_enforces_nothing(organization: Organization) -> None:
    [project_id] = await organization.projects()
    projects = organization.client.admin.organization.projects
    await projects.spend_limit.update(project_id, threshold_amount=100, **MONTHLY)
    await projects.archive(project_id)
    assert (await projects.spend_limit.retrieve(project_id)).enforcement.status == "inactive"


async def test_spend_alerts(organization: Organization) -> None:
    [project_id] = await organization.projects()
    alerts = organization.client.admin.organization.projects.spend_alerts
    made = [
        await alerts.create(project_id, threshold_amount=amount, notification_channel=MAIL, **MONTHLY)
        for amount in (100, 200, 300)
    ]
    assert [(one.object, one.threshold_amount) for one in made] == [
        ("project.spend_alert", amount) for amount in (100, 200, 300)
    ]
    assert made[0].notification_channel.recipients == MAIL["recipients"]
    assert made[0].notification_channel.subject_prefix == "[spend]"
    ids = [one.id for one in made]
    assert [one.id async for one in alerts.list(project_id, limit=2)] == ids
    assert [one.id async for one in alerts.list(project_id, limit=2, order="desc")] == ids[::-1]
    before = await alerts.list(project_id, before=ids[2], limit=1)
    assert ([one.id for one in before.data], before.has_more) == ([ids[1]], True)
    quiet: Any = {"type": "email", "recipients": ["c@example.com"]}
    changed = await alerts.update(
        ids[0], project_id=project_id, threshold_amount=50, notification_channel=quiet, **MONTHLY
    )
    assert (changed.id, changed.threshold_amount) == (ids[0], 50)
    assert changed.notification_channel.subject_prefix is None
    assert await alerts.retrieve(ids[0], project_id=project_id) == changed
    assert (await alerts.delete(ids[0], project_id=project_id)).deleted
    with pytest.raises(openai.NotFoundError):
        await alerts.retrieve(ids[0], project_id=project_id)


async def test_alerts_of_one_level_are_not_those_of_another(organization: Organization) -> None:
    admin = organization.client.admin.organization
    [project_id] = await organization.projects()
    own = await admin.spend_alerts.create(threshold_amount=1, notification_channel=MAIL, **MONTHLY)
    assert own.object == "organization.spend_alert"
    assert [one.id async for one in admin.spend_alerts.list()] == [own.id]
    assert [one async for one in admin.projects.spend_alerts.list(project_id)] == []
    with pytest.raises(openai.NotFoundError) as unknown:
        await admin.projects.spend_alerts.delete(own.id, project_id=project_id)
    assert unknown.value.code == "spend_alert_not_found"
    assert (await admin.spend_alerts.delete(own.id)).object == "organization.spend_alert.deleted"


async def test_every_model_has_a_rate_limit(organization: Organization) -> None:
    [project_id] = await organization.projects()
    rates = organization.client.admin.organization.projects.rate_limits
    found = [one async for one in rates.list_rate_limits(project_id, limit=1)]
    assert [one.model for one in found] == ["*", *MODELS]
    assert {one.max_requests_per_1_minute for one in found} == {NO_LIMIT}
    assert found[0].max_images_per_1_minute is None

    echo = found[-1]
    changed = await rates.update_rate_limit(
        echo.id, project_id=project_id, max_requests_per_1_minute=60, max_images_per_1_minute=5
    )
    assert (changed.id, changed.max_requests_per_1_minute, changed.max_images_per_1_minute) == (echo.id, 60, 5)
    store = organization.house.accounts
    assert store.rates(project_id, within=organization.id) == (
        RateLimits(model="sandbox/echo", requests_per_minute=60, images_per_minute=5),
    )
    freed = await rates.update_rate_limit(echo.id, project_id=project_id, max_requests_per_1_minute=NO_LIMIT)
    assert (freed.max_requests_per_1_minute, freed.max_images_per_1_minute) == (NO_LIMIT, 5)
    assert store.rates(project_id, within=organization.id) == (RateLimits(model="sandbox/echo", images_per_minute=5),)

    page = await rates.list_rate_limits(project_id, before=echo.id, limit=2)
    assert ([one.model for one in page.data], page.has_more) == (["fast", "openai/gpt-4.1"], True)
    with pytest.raises(openai.NotFoundError):
        await rates.update_rate_limit("rl-nothing", project_id=project_id, max_requests_per_1_minute=1)
    with pytest.raises(openai.BadRequestError) as refused:
        await rates.list_rate_limits(project_id, after="rl-nothing")
    assert refused.value.param == "after"


async def test_a_rate_above_the_organisations_is_refused_by_its_name(organization: Organization) -> None:
    [project_id] = await organization.projects()
    organization.house.accounts.set_rates(
        organization.id, RateLimits(tokens_per_minute=1000), by=CLI, within=organization.id
    )
    rates = organization.client.admin.organization.projects.rate_limits
    with pytest.raises(openai.BadRequestError) as refused:
        await rates.update_rate_limit("rl-*", project_id=project_id, max_tokens_per_1_minute=1001)
    assert (refused.value.code, refused.value.param) == ("over_parent", "max_tokens_per_1_minute")


async def test_model_permissions(organization: Organization) -> None:
    [project_id] = await organization.projects()
    permissions = organization.client.admin.organization.projects.model_permissions
    open_to_all = await permissions.retrieve(project_id)
    assert (open_to_all.mode, open_to_all.api_model_ids) == ("deny_list", [])
    modes: list[Literal["allow_list", "deny_list"]] = ["allow_list", "deny_list"]
    for mode in modes:
        for model_ids in ([], ["sandbox/echo"], ["openai/*", "sandbox/echo"]):
            changed = await permissions.update(project_id, mode=mode, model_ids=model_ids)
            assert (changed.mode, changed.api_model_ids) == (mode, model_ids)
            assert await permissions.retrieve(project_id) == changed
    assert (await permissions.delete(project_id)).deleted
    assert (await permissions.retrieve(project_id)).mode == "deny_list"


async def test_models_that_another_interface_set(organization: Organization) -> None:
    [project_id] = await organization.projects()
    change = AccountChange(models=("openai/*", "!openai/o1"))
    organization.house.accounts.update(project_id, change, by=CLI, within=organization.id)
    found = await organization.client.admin.organization.projects.model_permissions.retrieve(project_id)
    assert (found.mode, found.api_model_ids) == ("allow_list", ["openai/*", "!openai/o1"])


NAMES = st.lists(st.text(st.characters(codec="ascii", exclude_characters="!"), min_size=1, max_size=9), max_size=4)


@given(st.sampled_from(["allow_list", "deny_list"]), NAMES)
def test_permissions_are_read_as_they_were_written(mode: Any, model_ids: list[str]) -> None:
    globs = globs_of(ModelPermissionsUpdate(mode=mode, model_ids=model_ids))
    shown = permissions_of(globs)
    # To allow nothing and to deny everything is the same.
    expected = ("allow_list", []) if (mode, model_ids) == ("deny_list", ["*"]) else (mode, model_ids)
    assert (shown.mode, list(shown.model_ids)) == expected
    assert globs or mode == "deny_list", "an allow list is never open to all"


def test_a_model_id_has_no_exclamation_mark() -> None:
    with pytest.raises(InvalidRequest) as refused:
        globs_of(ModelPermissionsUpdate(mode="allow_list", model_ids=["a", "!b"]))
    assert refused.value.param == "model_ids[1]"


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("spend_limit", b'{"currency": "USD", "interval": "month"}', "threshold_amount"),
        ("spend_limit", b'{"threshold_amount": -1, "currency": "USD", "interval": "month"}', "threshold_amount"),
        ("spend_limit", b'{"threshold_amount": 1.5, "currency": "USD", "interval": "month"}', "threshold_amount"),
        ("spend_limit", b'{"threshold_amount": 1, "currency": "EUR", "interval": "month"}', "currency"),
        ("spend_limit", b'{"threshold_amount": 1, "currency": "USD", "interval": "day"}', "interval"),
        (
            "spend_alerts",
            ALERT % b"[]",
            "notification_channel.recipients",
        ),
        (
            "spend_alerts",
            ALERT % b'["nobody"]',
            "notification_channel.recipients[0]",
        ),
        ("rate_limits/rl-*", b'{"max_requests_per_1_minute": -1}', "max_requests_per_1_minute"),
        ("rate_limits/rl-*", b'{"model": "x"}', "model"),
        ("model_permissions", b'{"mode": "allow_list"}', "model_ids"),
        ("model_permissions", b'{"mode": "some", "model_ids": []}', "mode"),
    ],
)
async def test_bodies_that_do_not_fit(organization: Organization, path: str, body: bytes, param: str) -> None:
    [project_id] = await organization.projects()
    answer = await organization.ask("POST", f"/v1/organization/projects/{project_id}/{path}", body)
    assert (answer.status, answer.error["param"]) == (400, param)


async def test_other_accounts_have_none(organization: Organization) -> None:
    theirs = organization.house.organization("another")
    [project_id] = await theirs.projects()
    alert = await theirs.client.admin.organization.projects.spend_alerts.create(
        project_id, threshold_amount=1, notification_channel=MAIL, **MONTHLY
    )
    projects = organization.client.admin.organization.projects
    for asked in (
        projects.spend_limit.retrieve(project_id),
        projects.spend_limit.update(project_id, threshold_amount=1, **MONTHLY),
        projects.spend_limit.delete(project_id),
        projects.spend_alerts.create(project_id, threshold_amount=1, notification_channel=MAIL, **MONTHLY),
        projects.spend_alerts.retrieve(alert.id, project_id=project_id),
        projects.spend_alerts.delete(alert.id, project_id=project_id),
        projects.model_permissions.retrieve(project_id),
        projects.model_permissions.update(project_id, mode="allow_list", model_ids=[]),
        projects.model_permissions.delete(project_id),
        projects.rate_limits.update_rate_limit("rl-*", project_id=project_id, max_requests_per_1_minute=1),
    ):
        with pytest.raises(openai.NotFoundError):
            await asked
    for listed in (projects.rate_limits.list_rate_limits(project_id), projects.spend_alerts.list(project_id)):
        with pytest.raises(openai.NotFoundError):
            await listed
    assert organization.house.accounts.show(AccountId(project_id), within=theirs.id).models == ()
