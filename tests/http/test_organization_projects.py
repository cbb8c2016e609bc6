"""Projects through OpenAI's own client: the accounts below the organisation's, and no others."""

from __future__ import annotations

import openai
import pytest

from tests.http.organization_house import Organization, OrganizationHouse
from trunkline.ids import ROOT_ACCOUNT


async def test_the_life_of_a_project(organization: Organization) -> None:
    projects = organization.client.admin.organization.projects
    made = await projects.create(name="Kontor")
    assert (made.name, made.status, made.archived_at, made.object) == ("Kontor", "active", None, "organization.project")
    assert made.id.startswith("acct_")
    assert await projects.retrieve(made.id) == made
    renamed = await projects.update(made.id, name="Comptoir")
    assert renamed.name == "Comptoir"
    archived = await projects.archive(made.id)
    assert archived.status == "archived"
    assert archived.archived_at is not None
    assert (await projects.archive(made.id)).archived_at == archived.archived_at
    assert [project async for project in projects.list()] == []
    assert [project.id async for project in projects.list(include_archived=True)] == [made.id]


async def test_projects_are_listed_flat_a_page_at_a_time(organization: Organization) -> None:
    projects = organization.client.admin.organization.projects
    top = await projects.create(name="top")
    below = await projects.create(name="below", extra_body={"parent_id": top.id})
    deepest = await projects.create(name="deepest", extra_body={"parent_id": below.id})
    assert [project.parent_id for project in (top, below, deepest)] == [organization.id, top.id, below.id]  # type: ignore[attr-defined]
    made = [top.id, below.id, deepest.id]
    assert [project.id async for project in projects.list(limit=1)] == made
    page = await projects.list(limit=2)
    assert [project.id for project in page.data] == made[:2]
    assert (page.has_more, page.last_id) == (True, made[1])
    assert page.first_id == made[0]  # type: ignore[attr-defined]
    rest = await projects.list(after=made[1])
    assert [project.id for project in rest.data] == made[2:]
    assert rest.has_more is False


async def test_the_organisations_own_account_answers_but_is_not_listed(organization: Organization) -> None:
    projects = organization.client.admin.organization.projects
    own = await projects.retrieve(organization.id)
    assert own.id == organization.id
    assert [project async for project in projects.list()] == []
    with pytest.raises(openai.BadRequestError) as refused:
        await projects.archive(organization.id)
    assert (refused.value.code, refused.value.param) == ("not_a_project", "project_id")


async def test_archiving_ends_the_keys_below(organization: Organization) -> None:
    projects = organization.client.admin.organization.projects
    top = await projects.create(name="top")
    below = await projects.create(name="below", extra_body={"parent_id": top.id})
    made = await projects.service_accounts.create(below.id, name="a program")
    await projects.archive(top.id)
    assert (await projects.retrieve(below.id)).status == "archived"
    assert [key async for key in projects.api_keys.list(below.id)] == []
    with pytest.raises(openai.NotFoundError):
        await projects.service_accounts.retrieve(made.id, project_id=top.id)


async def test_who_stands_above_is_not_told(organization: Organization) -> None:
    projects = organization.client.admin.organization.projects
    for own in (await projects.retrieve(organization.id), await projects.update(organization.id, name="ours")):
        assert (own.id, own.parent_id) == (organization.id, None)  # type: ignore[attr-defined]


async def test_other_accounts_are_not_found(organization: Organization, organization_house: OrganizationHouse) -> None:
    [theirs] = await organization_house.organization("another").projects()
    projects = organization.client.admin.organization.projects
    for account_id in (theirs, str(ROOT_ACCOUNT), "acct_nothing"):
        for refused in (
            projects.retrieve(account_id),
            projects.update(account_id, name="mine"),
            projects.archive(account_id),
            projects.create(name="x", extra_body={"parent_id": account_id}),
        ):
            with pytest.raises(openai.NotFoundError) as unknown:
                await refused
            assert unknown.value.code == "account_not_found"


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"{}", "name", "missing_required_parameter"),
        (b'{"name": ""}', "name", "invalid_value"),
        (b'{"name": 7}', "name", "invalid_type"),
        (b'{"name": "x", "colour": "red"}', "colour", "unknown_parameter"),
        (b'{"name": "x", "geography": "EU"}', "geography", "invalid_type"),
        (b'{"name": "x", "external_key_id": "k"}', "external_key_id", "invalid_type"),
    ],
)
async def test_bodies_that_do_not_fit(organization: Organization, body: bytes, param: str, code: str) -> None:
    answer = await organization.ask("POST", "/v1/organization/projects", body)
    assert (answer.status, answer.error["param"], answer.error["code"]) == (400, param, code)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("include_archived=maybe", "include_archived"),
        ("after=x", "after"),
    ],
)
async def test_queries_that_do_not_fit(organization: Organization, query: str, param: str) -> None:
    answer = await organization.ask("GET", f"/v1/organization/projects?{query}")
    assert (answer.status, answer.error["param"]) == (400, param)
