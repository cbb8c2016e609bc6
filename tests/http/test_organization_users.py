"""People, invites and members of projects through OpenAI's own client."""

from __future__ import annotations

import openai
import pytest

from tests.http.organization_house import Organization
from trunkline.ports.audit import Role
from trunkline.ports.users import InviteDraft, User


def person(organization: Organization, name: str, role: Role = "member") -> User:
    return organization.house.users.add(f"{name}@example.com", name, role, by=organization.by, within=organization.id)


async def test_users_are_listed_with_their_projects(organization: Organization) -> None:
    users = organization.client.admin.organization.users
    [project_id] = await organization.projects(["Kontor"])
    ada, ben, eve = (person(organization, "ada", "owner"), person(organization, "ben"), person(organization, "eve"))
    organization.house.users.set_member(project_id, ben.id, "admin", by=organization.by, within=organization.id)
    found = [user async for user in users.list(limit=2)]
    assert [(user.id, user.email, user.role) for user in found] == [
        (ada.id, "ada@example.com", "owner"),
        (ben.id, "ben@example.com", "reader"),
        (eve.id, "eve@example.com", "reader"),
    ]
    assert [user.projects.to_dict() for user in found if user.projects] == [
        {"object": "list", "data": []},
        {"object": "list", "data": [{"id": project_id, "name": "Kontor", "role": "owner"}]},
        {"object": "list", "data": []},
    ]
    some = users.list(emails=["BEN@example.com", "nobody@example.com"])
    assert [user.id async for user in some] == [ben.id]


async def test_roles_of_the_organisation(organization: Organization) -> None:
    users = organization.client.admin.organization.users
    person(organization, "ada", "owner")
    ben = person(organization, "ben")
    for role, kept in (("owner", "owner"), ("reader", "member"), ("admin", "admin"), ("viewer", "viewer")):
        assert (await users.update(ben.id, role=role)).role == role
        assert organization.house.users.show(ben.id, within=organization.id).role == kept
    assert (await users.update(ben.id)).role == "viewer"
    assert (await users.delete(ben.id)).deleted
    with pytest.raises(openai.NotFoundError) as unknown:
        await users.retrieve(ben.id)
    assert unknown.value.code == "user_not_found"


async def test_members_of_a_project(organization: Organization) -> None:
    members = organization.client.admin.organization.projects.users
    [project_id] = await organization.projects()
    ada, ben = person(organization, "ada"), person(organization, "ben")
    made = await members.create(project_id, user_id=ada.id, role="owner")
    assert (made.id, made.email, made.role) == (ada.id, "ada@example.com", "owner")
    # An owner of a project manages the project, not what is above it.
    assert organization.house.users.member(project_id, ada.id, within=organization.id).role == "admin"
    assert (await members.create(project_id, email="Ben@example.com", role="member")).id == ben.id
    assert [one.id async for one in members.list(project_id, limit=1)] == [ada.id, ben.id]
    assert (await members.update(ben.id, project_id=project_id, role="owner")).role == "owner"
    assert (await members.update(ben.id, project_id=project_id)).role == "owner"
    assert (await members.retrieve(ben.id, project_id=project_id)).role == "owner"
    assert (await members.delete(ben.id, project_id=project_id)).deleted
    with pytest.raises(openai.NotFoundError):
        await members.retrieve(ben.id, project_id=project_id)


async def test_invites(organization: Organization) -> None:
    invites = organization.client.admin.organization.invites
    [project_id] = await organization.projects()
    made = await invites.create(email="new@example.com", role="reader", projects=[{"id": project_id, "role": "owner"}])
    assert (made.email, made.role, made.status, made.accepted_at) == ("new@example.com", "reader", "pending", None)
    assert [(one.id, one.role) for one in made.projects] == [(project_id, "owner")]
    assert made.expires_at is not None
    other = await invites.create(email="other@example.com", role="owner")
    assert [one.id async for one in invites.list(limit=1)] == [made.id, other.id]
    assert await invites.retrieve(made.id) == made

    joined = organization.house.users.accept(made.id, "New", within=organization.id)
    accepted = await invites.retrieve(made.id)
    assert accepted.status == "accepted"
    assert accepted.accepted_at is not None
    user = await organization.client.admin.organization.users.retrieve(joined.id)
    assert (user.role, user.name) == ("reader", "New")
    assert user.projects is not None
    assert [(one.id, one.role) for one in user.projects.data] == [(project_id, "owner")]

    assert (await invites.delete(other.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await invites.retrieve(other.id)
    with pytest.raises(openai.BadRequestError) as refused:
        await invites.delete(made.id)
    assert refused.value.code == "invite_accepted"


async def test_an_invite_made_elsewhere_is_shown_in_openais_roles(organization: Organization) -> None:
    draft = InviteDraft(email="x@example.com", role="admin", memberships=((organization.id, "viewer"),))
    organization.house.users.invite(draft, by=organization.by, within=organization.id)
    [shown] = [one async for one in organization.client.admin.organization.invites.list()]
    assert (shown.role, [one.role for one in shown.projects]) == ("reader", ["member"])


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("invites", b'{"email": "x@example.com"}', "role"),
        ("invites", b'{"email": "nobody", "role": "reader"}', "email"),
        ("invites", b'{"email": "x@example.com", "role": "member"}', "role"),
        ("invites", b'{"email": "x@example.com", "role": "owner", "projects": [{"id": "a"}]}', "projects[0].role"),
        ("users/{user}", b'{"role": "emperor"}', "role"),
        ("projects/{project}/users", b'{"role": "member"}', "user_id"),
        ("projects/{project}/users", b'{"role": "member", "user_id": "u", "email": "x@example.com"}', "user_id"),
        ("projects/{project}/users", b'{"user_id": "u"}', "role"),
    ],
)
async def test_bodies_that_do_not_fit(organization: Organization, path: str, body: bytes, param: str) -> None:
    [project_id] = await organization.projects()
    target = path.format(user=person(organization, "ada").id, project=project_id)
    answer = await organization.ask("POST", f"/v1/organization/{target}", body)
    assert (answer.status, answer.error["param"]) == (400, param)


async def test_strangers_are_not_found(organization: Organization) -> None:
    theirs = organization.house.organization("another")
    [their_project] = await theirs.projects()
    [project_id] = await organization.projects()
    eve = person(theirs, "eve")
    invite = await theirs.client.admin.organization.invites.create(email="n@example.com", role="reader")
    admin = organization.client.admin.organization
    for asked in (
        admin.users.retrieve(eve.id),
        admin.users.update(eve.id, role="owner"),
        admin.users.delete(eve.id),
        admin.projects.users.create(project_id, user_id=eve.id, role="member"),
        admin.projects.users.create(project_id, email=eve.email, role="member"),
        admin.projects.users.create(their_project, user_id=eve.id, role="member"),
        admin.invites.retrieve(invite.id),
        admin.invites.delete(invite.id),
        admin.invites.create(email="x@example.com", role="reader", projects=[{"id": their_project, "role": "member"}]),
    ):
        with pytest.raises(openai.NotFoundError):
            await asked
    assert [user async for user in admin.users.list(emails=[eve.email])] == []
