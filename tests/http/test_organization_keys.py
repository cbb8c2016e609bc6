"""Keys of projects, service accounts and admin keys through OpenAI's own client."""

from __future__ import annotations

import openai
import pytest

from tests.http.organization_house import Organization, client_of
from tests.storage.conftest import PEPPER
from trunkline import clock
from trunkline.errors import InvalidRequest
from trunkline.http.organization_keys import routes_of
from trunkline.policy.keys import digest
from trunkline.ports.audit import CLI, Role
from trunkline.ports.keys import KEY_ROUTES, Grant
from trunkline.ports.users import UserStore

PEOPLE: list[tuple[str, Role]] = [("ada", "member"), ("ben", "member"), ("eve", "owner")]


async def test_a_service_account_and_its_keys(organization: Organization) -> None:
    projects = organization.client.admin.organization.projects
    [project_id] = await organization.projects()
    made = await projects.service_accounts.create(project_id, name="nightly job")
    assert (made.name, made.role) == ("nightly job", "member")
    assert made.api_key is not None
    record = organization.house.serving.find(digest(PEPPER, made.api_key.value))
    assert record is not None
    assert (record.key_id, record.account_id, record.admin) == (made.api_key.id, project_id, False)

    second = await projects.service_accounts.api_keys.create(
        made.id, project_id=project_id, name="second", expires_in_seconds=3600, scopes=["chat", "models"]
    )
    assert second.expires_at is not None
    assert abs(second.expires_at - clock.now_s() - 3600) < 60

    keys = [key async for key in projects.api_keys.list(project_id, limit=1)]
    assert [key.id for key in keys] == [made.api_key.id, second.id]
    for key, value in zip(keys, (made.api_key.value, second.value), strict=True):
        assert key.owner.type == "service_account"
        assert key.owner.service_account is not None
        assert (key.owner.service_account.id, key.owner.service_account.name) == (made.id, "nightly job")
        assert key.owner_project_access == "active"
        assert value not in key.redacted_value
        assert key.redacted_value.endswith(value[-4:])

    assert (await projects.service_accounts.delete(made.id, project_id=project_id)).deleted
    assert [key async for key in projects.api_keys.list(project_id)] == []
    assert organization.house.serving.find(record.digest) is None
    with pytest.raises(openai.NotFoundError):
        await projects.service_accounts.retrieve(made.id, project_id=project_id)


async def test_service_accounts_are_listed_and_renamed(organization: Organization) -> None:
    accounts = organization.client.admin.organization.projects.service_accounts
    [project_id] = await organization.projects()
    made = [(await accounts.create(project_id, name=name)).id for name in ("a", "b", "c")]
    assert [one.id async for one in accounts.list(project_id, limit=2)] == made
    assert (await accounts.update(made[0], project_id=project_id, name="z", role="member")).name == "z"
    assert (await accounts.retrieve(made[0], project_id=project_id)).name == "z"


async def test_one_that_is_made_alone_has_no_key_and_no_role(organization: Organization) -> None:
    projects = organization.client.admin.organization.projects
    [project_id] = await organization.projects()
    made = await projects.service_accounts.create(project_id, name="later", create_service_account_only=True)
    assert (made.role, made.api_key) == ("none", None)
    assert (await projects.service_accounts.retrieve(made.id, project_id=project_id)).role == "none"
    assert [key async for key in projects.api_keys.list(project_id)] == []


async def test_a_key_of_a_project(organization: Organization) -> None:
    keys = organization.client.admin.organization.projects.api_keys
    [project_id] = await organization.projects()
    issued = organization.house.keys.create(Grant(name="by hand", account_id=project_id), by=CLI)
    key = await keys.retrieve(issued.id, project_id=project_id)
    assert (key.name, key.owner.type, key.expires_at, key.last_used_at) == ("by hand", None, None, None)
    moved = await keys.update(issued.id, project_id=project_id, expires_in_seconds=60, scopes=["chat"])
    assert moved.expires_at is not None
    assert organization.house.keys.show(issued.id).routes == ("chat",)
    freed = await keys.update(issued.id, project_id=project_id, scopes=[])
    assert freed.expires_at == moved.expires_at
    assert organization.house.keys.show(issued.id).routes == ()
    assert (await keys.delete(issued.id, project_id=project_id)).deleted
    for gone in (
        keys.retrieve(issued.id, project_id=project_id),
        keys.delete(issued.id, project_id=project_id),
        keys.update(issued.id, project_id=project_id, scopes=[]),
    ):
        with pytest.raises(openai.NotFoundError) as unknown:
            await gone
        assert unknown.value.code == "key_not_found"


async def test_keys_of_people(organization: Organization) -> None:
    keys = organization.client.admin.organization.projects.api_keys
    [project_id] = await organization.projects()
    users: UserStore = organization.house.users
    people = [
        users.add(f"{name}@example.com", name, role, by=organization.by, within=organization.id)
        for name, role in PEOPLE
    ]
    users.set_member(project_id, people[0].id, "admin", by=organization.by, within=organization.id)
    made = [
        organization.house.keys.create(Grant(account_id=project_id, owner_id=person.id), by=CLI).id for person in people
    ]
    found = [key async for key in keys.list(project_id)]
    assert [(key.owner.type, key.owner.user.email if key.owner.user else None) for key in found] == [
        ("user", "ada@example.com"),
        ("user", "ben@example.com"),
        ("user", "eve@example.com"),
    ]
    # An owner of the organisation may use every project, a member those that they belong to.
    assert [key.id async for key in keys.list(project_id, owner_project_access="active")] == [made[0], made[2]]
    assert [key.id async for key in keys.list(project_id, owner_project_access="inactive")] == [made[1]]
    assert [key.id async for key in keys.list(project_id, owner_project_access="any", limit=1)] == made


async def test_keys_and_service_accounts_belong_to_their_project(organization: Organization) -> None:
    projects = organization.client.admin.organization.projects
    mine, other = await organization.projects(["mine", "other"])
    made = await projects.service_accounts.create(mine, name="x")
    assert made.api_key is not None
    for asked in (
        projects.api_keys.retrieve(made.api_key.id, project_id=other),
        projects.api_keys.delete(made.api_key.id, project_id=other),
        projects.service_accounts.retrieve(made.id, project_id=other),
        projects.service_accounts.update(made.id, project_id=other, name="y"),
        projects.service_accounts.delete(made.id, project_id=other),
        projects.service_accounts.api_keys.create(made.id, project_id=other),
        projects.api_keys.retrieve(organization.admin_key_id, project_id=organization.id),
    ):
        with pytest.raises(openai.NotFoundError):
            await asked
    assert (await projects.api_keys.retrieve(made.api_key.id, project_id=mine)).id == made.api_key.id


async def test_other_accounts_have_none(organization: Organization) -> None:
    theirs = organization.house.organization("another")
    [project_id] = await theirs.projects()
    made = await theirs.client.admin.organization.projects.service_accounts.create(project_id, name="x")
    assert made.api_key is not None
    admin = organization.client.admin.organization
    for asked in (
        admin.projects.service_accounts.create(project_id, name="x"),
        admin.projects.service_accounts.retrieve(made.id, project_id=project_id),
        admin.projects.service_accounts.delete(made.id, project_id=project_id),
        admin.projects.api_keys.retrieve(made.api_key.id, project_id=project_id),
        admin.projects.api_keys.delete(made.api_key.id, project_id=project_id),
        admin.admin_api_keys.retrieve(theirs.admin_key_id),
        admin.admin_api_keys.delete(theirs.admin_key_id),
    ):
        with pytest.raises(openai.NotFoundError):
            await asked
    with pytest.raises(openai.NotFoundError):
        await admin.projects.api_keys.list(project_id)
    with pytest.raises(openai.NotFoundError):
        await admin.projects.service_accounts.list(project_id)
    assert organization.house.serving.find(digest(PEPPER, made.api_key.value)) is not None


async def test_admin_keys(organization: Organization) -> None:
    keys = organization.client.admin.organization.admin_api_keys
    plain = organization.house.keys.create(Grant(account_id=organization.id), by=CLI)
    with pytest.raises(openai.NotFoundError):
        await keys.delete(plain.id)
    made = await keys.create(name="second", expires_in_seconds=86_400)
    assert made.expires_at is not None
    assert made.value not in made.redacted_value
    assert made.owner.id == organization.admin_key_id
    assert [key.id async for key in keys.list(limit=1)] == [organization.admin_key_id, made.id]
    assert [key.id async for key in keys.list(limit=1, order="desc")] == [made.id, organization.admin_key_id]
    shown = await keys.retrieve(made.id)
    assert (shown.name, shown.expires_at, shown.redacted_value) == ("second", made.expires_at, made.redacted_value)
    assert "value" not in shown.to_dict()

    by_second = client_of(organization.house, made.value).admin.organization
    assert [project async for project in by_second.projects.list()] == []
    assert (await by_second.admin_api_keys.delete(made.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await keys.retrieve(made.id)
    with pytest.raises(openai.AuthenticationError):
        await by_second.projects.list()


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("service_accounts", b"{}", "name"),
        ("service_accounts", b'{"name": "x", "expires_in_seconds": 0}', "expires_in_seconds"),
        ("service_accounts", b'{"name": "x", "expires_in_seconds": "60"}', "expires_in_seconds"),
        ("service_accounts/{made}", b'{"role": "emperor"}', "role"),
        ("service_accounts/{made}", b'{"role": "owner"}', "role"),
        ("service_accounts/{made}/api_keys", b'{"scopes": ["chat", "everything"]}', "scopes[1]"),
        ("api_keys/{key}", b'{"scopes": "chat"}', "scopes"),
        ("api_keys/{key}", b'{"expires_in_seconds": -1}', "expires_in_seconds"),
    ],
)
async def test_bodies_that_do_not_fit(organization: Organization, path: str, body: bytes, param: str) -> None:
    [project_id] = await organization.projects()
    accounts = organization.client.admin.organization.projects.service_accounts
    made = await accounts.create(project_id, name="x")
    assert made.api_key is not None
    target = f"/v1/organization/projects/{project_id}/{path.format(made=made.id, key=made.api_key.id)}"
    answer = await organization.ask("POST", target, body)
    assert (answer.status, answer.error["param"]) == (400, param)


def test_scopes_are_names_of_routes() -> None:
    assert routes_of(list(KEY_ROUTES)) == KEY_ROUTES
    assert routes_of([]) == ()
    with pytest.raises(InvalidRequest) as refused:
        routes_of(["api.all"])
    assert refused.value.param == "scopes[0]"
