"""People in the organisation API: users, invites, and who belongs to which project.

OpenAI has fewer roles than there are here. An organisation's owner is an owner, its reader a member; a project's owner
manages the project and nothing above it, which is an admin. Roles that OpenAI lacks are shown and taken by their own
names.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET

from trunkline.errors import InvalidRequest, NotFound
from trunkline.http.described import Nothing
from trunkline.http.organization_routes import PREFIX, PROJECT, Asked, cursor_of, page_of, route
from trunkline.http.renaming import renamed
from trunkline.ids import AccountId
from trunkline.ports.accounts import AccountStore
from trunkline.ports.audit import Role
from trunkline.ports.pages import Cursor
from trunkline.ports.users import Invite, InviteDraft, Membership, User, UserChange, UserStore
from trunkline.wire import openai_organization as wire

ORGANIZATION_ROLES: Final[dict[str, Role]] = {
    "owner": "owner",
    "reader": "member",
    "admin": "admin",
    "member": "member",
    "viewer": "viewer",
}
PROJECT_ROLES: Final[dict[str, Role]] = {"owner": "admin", "admin": "admin", "member": "member", "viewer": "viewer"}
SHOWN_IN_ORGANIZATION: Final[dict[Role, str]] = {
    "owner": "owner",
    "admin": "admin",
    "member": "reader",
    "viewer": "viewer",
}
SHOWN_IN_PROJECT: Final[dict[Role, Literal["owner", "member", "viewer"]]] = {
    "owner": "owner",
    "admin": "owner",
    "member": "member",
    "viewer": "viewer",
}


class OrganizationUsers:
    def __init__(self, accounts: AccountStore, users: UserStore) -> None:
        self._accounts = accounts
        self._users = users

    def routes(self) -> list[HTTPRouteHandler]:
        every, one = PREFIX + "/users", PREFIX + "/users/{user_id:str}"
        return [
            route("GET", every, self.page, asks=wire.UsersQuery, answer=wire.Page[wire.OrganizationUser]),
            route("GET", one, self.retrieve, asks=Nothing, answer=wire.OrganizationUser),
            route("POST", one, self.update, asks=wire.OrganizationUserUpdate, answer=wire.OrganizationUser),
            route("DELETE", one, self.delete, asks=Nothing, answer=wire.Deleted),
        ]

    def page(self, asked: Asked[wire.UsersQuery]) -> wire.Page[wire.OrganizationUser]:
        """The people of the organisation."""
        said = asked.said
        emails = tuple(said.emails or ())
        found = self._users.page(cursor_of(said.after, limit=said.limit), emails, within=asked.within)
        return page_of((self._shown(user, asked.within) for user in found.items), has_more=found.has_more)

    def retrieve(self, asked: Asked[Nothing]) -> wire.OrganizationUser:
        """One person of the organisation."""
        return self._shown(self._users.show(asked.ids["user_id"], within=asked.within), asked.within)

    def update(self, asked: Asked[wire.OrganizationUserUpdate]) -> wire.OrganizationUser:
        """Give somebody another role."""
        role = asked.said.role
        change = UserChange(role=UNSET if role is None else ORGANIZATION_ROLES[role])
        user = self._users.update(asked.ids["user_id"], change, by=asked.by, within=asked.within)
        return self._shown(user, asked.within)

    def delete(self, asked: Asked[Nothing]) -> wire.Deleted:
        """Remove somebody; the keys that they own are revoked."""
        user_id = asked.ids["user_id"]
        self._users.remove(user_id, by=asked.by, within=asked.within)
        return wire.Deleted(object="organization.user.deleted", id=user_id)

    def _shown(self, user: User, within: AccountId) -> wire.OrganizationUser:
        projects = tuple(
            wire.MemberProject(
                id=one.account_id,
                name=self._accounts.show(one.account_id, within=within).name,
                role=SHOWN_IN_PROJECT[one.role],
            )
            for one in self._users.memberships(user.id, within=within)
        )
        return wire.OrganizationUser(
            id=user.id,
            name=user.name,
            email=user.email,
            role=SHOWN_IN_ORGANIZATION[user.role],
            added_at=user.added_at,
            projects=wire.MemberProjects(data=projects),
        )


class ProjectUsers:
    def __init__(self, users: UserStore) -> None:
        self._users = users

    def routes(self) -> list[HTTPRouteHandler]:
        every, one = PROJECT + "/users", PROJECT + "/users/{user_id:str}"
        return [
            route("GET", every, self.page, asks=wire.ListQuery, answer=wire.Page[wire.ProjectUser]),
            route("POST", every, self.create, asks=wire.ProjectUserCreate, answer=wire.ProjectUser),
            route("GET", one, self.retrieve, asks=Nothing, answer=wire.ProjectUser),
            route("POST", one, self.update, asks=wire.ProjectUserUpdate, answer=wire.ProjectUser),
            route("DELETE", one, self.delete, asks=Nothing, answer=wire.Deleted),
        ]

    def page(self, asked: Asked[wire.ListQuery]) -> wire.Page[wire.ProjectUser]:
        """The people of a project."""
        cursor = cursor_of(asked.said.after, limit=asked.said.limit)
        found = self._users.members(asked.project_id, cursor, within=asked.within)
        return page_of(map(_project_user, found.items), has_more=found.has_more)

    def create(self, asked: Asked[wire.ProjectUserCreate]) -> wire.ProjectUser:
        """Take somebody of the organisation into a project."""
        said = asked.said
        if (said.user_id is None) == (said.email is None):
            raise InvalidRequest(
                "Name the person by user_id or by email.",
                code="missing_required_parameter" if said.user_id is None else "invalid_value",
                param="user_id",
            )
        user_id = said.user_id if said.user_id is not None else self._of_address(said.email or "", asked.within)
        return self._set(asked, user_id, said.role)

    def retrieve(self, asked: Asked[Nothing]) -> wire.ProjectUser:
        """One person of a project."""
        return _project_user(self._users.member(asked.project_id, asked.ids["user_id"], within=asked.within))

    def update(self, asked: Asked[wire.ProjectUserUpdate]) -> wire.ProjectUser:
        """Give somebody another role in a project."""
        member = self._users.member(asked.project_id, asked.ids["user_id"], within=asked.within)
        if asked.said.role is None:
            return _project_user(member)
        return self._set(asked, member.user_id, asked.said.role)

    def delete(self, asked: Asked[Nothing]) -> wire.Deleted:
        """Take somebody out of a project."""
        user_id = asked.ids["user_id"]
        self._users.remove_member(asked.project_id, user_id, by=asked.by, within=asked.within)
        return wire.Deleted(object="organization.project.user.deleted", id=user_id)

    def _of_address(self, email: str, within: AccountId) -> str:
        page = self._users.page(Cursor(limit=1), (email.lower(),), within=within)
        if not page.items:
            raise NotFound(
                "Nobody of the organisation has this address; invite them.", code="user_not_found", param="email"
            )
        return page.items[0].id

    def _set(self, asked: Asked[Any], user_id: str, role: str) -> wire.ProjectUser:
        member = self._users.set_member(
            asked.project_id, user_id, PROJECT_ROLES[role], by=asked.by, within=asked.within
        )
        return _project_user(member)


class Invites:
    def __init__(self, users: UserStore) -> None:
        self._users = users

    def routes(self) -> list[HTTPRouteHandler]:
        every, one = PREFIX + "/invites", PREFIX + "/invites/{invite_id:str}"
        return [
            route("GET", every, self.page, asks=wire.ListQuery, answer=wire.Page[wire.Invite]),
            route("POST", every, self.create, asks=wire.InviteCreate, answer=wire.Invite),
            route("GET", one, self.retrieve, asks=Nothing, answer=wire.Invite),
            route("DELETE", one, self.delete, asks=Nothing, answer=wire.Deleted),
        ]

    def page(self, asked: Asked[wire.ListQuery]) -> wire.Page[wire.Invite]:
        """Who was invited."""
        found = self._users.invites(cursor_of(asked.said.after, limit=asked.said.limit), within=asked.within)
        return page_of(map(_invite, found.items), has_more=found.has_more)

    def create(self, asked: Asked[wire.InviteCreate]) -> wire.Invite:
        """Invite somebody. The invite is kept and shown; no mail is sent."""
        said = asked.said
        draft = InviteDraft(
            email=said.email,
            role=ORGANIZATION_ROLES[said.role],
            memberships=tuple((AccountId(one.id), PROJECT_ROLES[one.role]) for one in said.projects),
        )
        with renamed({"memberships": "projects", "account": "projects"}):
            return _invite(self._users.invite(draft, by=asked.by, within=asked.within))

    def retrieve(self, asked: Asked[Nothing]) -> wire.Invite:
        """One invite."""
        return _invite(self._users.show_invite(asked.ids["invite_id"], within=asked.within))

    def delete(self, asked: Asked[Nothing]) -> wire.Deleted:
        """Withdraw an invite that was not accepted."""
        invite_id = asked.ids["invite_id"]
        self._users.delete_invite(invite_id, by=asked.by, within=asked.within)
        return wire.Deleted(object="organization.invite.deleted", id=invite_id)


def _project_user(member: Membership) -> wire.ProjectUser:
    return wire.ProjectUser(
        id=member.user_id,
        name=member.name,
        email=member.email,
        role=SHOWN_IN_PROJECT[member.role],
        added_at=member.added_at,
    )


def _invite(invite: Invite) -> wire.Invite:
    return wire.Invite(
        id=invite.id,
        email=invite.email,
        role="owner" if invite.role == "owner" else "reader",
        status=invite.status,
        created_at=invite.created_at,
        expires_at=invite.expires_at,
        accepted_at=invite.accepted_at,
        projects=tuple(
            wire.InviteProject(id=account_id, role="owner" if SHOWN_IN_PROJECT[role] == "owner" else "member")
            for account_id, role in invite.memberships
        ),
    )
