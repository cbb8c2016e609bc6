"""Keys of the organisation API: those of projects, the service accounts that own them, and admin keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, UnsetType

from trunkline import clock
from trunkline.errors import InvalidRequest, NotFound
from trunkline.http.described import Nothing
from trunkline.http.organization_routes import PREFIX, PROJECT, Asked, cursor_of, page_of, route
from trunkline.http.renaming import renamed
from trunkline.http.responses import unknown
from trunkline.ids import AccountId
from trunkline.ports.accounts import AccountStore
from trunkline.ports.audit import Role
from trunkline.ports.keys import KEY_ROUTES, Grant, IssuedKey, KeyChange, KeyFilter, KeyRoute, Keys, KeySummary
from trunkline.ports.pages import Cursor
from trunkline.ports.service_accounts import ServiceAccount, ServiceAccounts
from trunkline.ports.users import UserStore
from trunkline.wire import openai_organization as wire

DAY_S = 86_400
NAMES: Final = {"expires": "expires_in_seconds", "expires_at": "expires_in_seconds", "routes": "scopes"}
ProjectRole = Literal["owner", "member", "none"]
# A project's owner in OpenAI's words manages it and nothing above it; here that is an admin.
PROJECT_ROLES: Final[dict[Role, ProjectRole]] = {
    "owner": "owner",
    "admin": "owner",
    "member": "member",
    "viewer": "none",
}


class Owners:
    """Who owns keys: service accounts and users."""

    def __init__(self, service_accounts: ServiceAccounts, users: UserStore) -> None:
        self._service_accounts = service_accounts
        self._users = users

    def of(self, key: KeySummary, within: AccountId) -> tuple[wire.KeyOwner, bool]:
        """The owner of a key, and whether it may use the key's project. A key that was made without an owner, on the
        command line for one, has one of no type."""
        if key.owner_id is None:
            return wire.KeyOwner(type=None), True
        try:
            return wire.KeyOwner(
                type="service_account",
                service_account=_key_service_account(self._service_accounts.show(key.owner_id, within=within)),
            ), True
        except NotFound:
            return self._user(key, key.owner_id, within)

    def _user(self, key: KeySummary, user_id: str, within: AccountId) -> tuple[wire.KeyOwner, bool]:
        try:
            user = self._users.show(user_id, within=within)
        except NotFound:
            return wire.KeyOwner(type=None), False
        shown = wire.KeyUser(
            id=user.id, email=user.email, name=user.name, role=PROJECT_ROLES[user.role], created_at=user.added_at
        )
        return wire.KeyOwner(type="user", user=shown), user.role == "owner" or self._is_member(key, user_id, within)

    def _is_member(self, key: KeySummary, user_id: str, within: AccountId) -> bool:
        try:
            self._users.member(key.account_id, user_id, within=within)
        except NotFound:
            return False
        return True


class ProjectKeys:
    def __init__(self, accounts: AccountStore, keys: Keys, owners: Owners) -> None:
        self._accounts = accounts
        self._keys = keys
        self._owners = owners

    def routes(self) -> list[HTTPRouteHandler]:
        every, one = PROJECT + "/api_keys", PROJECT + "/api_keys/{key_id:str}"
        return [
            route("GET", every, self.page, asks=wire.ProjectKeysQuery, answer=wire.Page[wire.ProjectKey]),
            route("GET", one, self.retrieve, asks=Nothing, answer=wire.ProjectKey),
            route("POST", one, self.update, asks=wire.ProjectKeyUpdate, answer=wire.ProjectKey),
            route("DELETE", one, self.delete, asks=Nothing, answer=wire.Deleted),
        ]

    def page(self, asked: Asked[wire.ProjectKeysQuery]) -> wire.Page[wire.ProjectKey]:
        """The keys of a project that are in use, oldest first."""
        self._accounts.show(asked.project_id, within=asked.within)
        access, limit = asked.said.owner_project_access, asked.said.limit
        found: list[wire.ProjectKey] = []
        for key in self._all(asked.project_id, asked.said.after, asked.within):
            shown = self._shown(key, asked.within)
            if access in ("any", shown.owner_project_access):
                found.append(shown)
            if len(found) > limit:
                break
        return page_of(found[:limit], has_more=len(found) > limit)

    def retrieve(self, asked: Asked[Nothing]) -> wire.ProjectKey:
        """One key of a project."""
        return self._shown(self._found(asked), asked.within)

    def update(self, asked: Asked[wire.ProjectKeyUpdate]) -> wire.ProjectKey:
        """Move the end of a key, or change which routes it may use."""
        key, said = self._found(asked), asked.said
        change = KeyChange(
            expires_at=UNSET if said.expires_in_seconds is UNSET else clock.now_s() + said.expires_in_seconds,
            routes=routes_of(said.scopes),
        )
        with renamed(NAMES):
            return self._shown(self._keys.update(key.id, change, by=asked.by, within=asked.within), asked.within)

    def delete(self, asked: Asked[Nothing]) -> wire.Deleted:
        """Revoke a key of a project."""
        key = self._found(asked)
        self._keys.revoke(key.id, by=asked.by, within=asked.within)
        return wire.Deleted(object="organization.project.api_key.deleted", id=key.id)

    def _all(self, project_id: str, after: str | None, within: AccountId) -> Iterator[KeySummary]:
        wanted = KeyFilter(account_id=project_id, admin=False)
        cursor, more = Cursor(limit=200, after=after or None), True
        while more:
            page = self._keys.page(wanted, cursor, within=within)
            yield from page.items
            more = page.has_more and bool(page.items)
            if more:
                cursor = Cursor(limit=200, after=page.items[-1].id)

    def _found(self, asked: Asked[Nothing] | Asked[wire.ProjectKeyUpdate]) -> KeySummary:
        self._accounts.show(asked.project_id, within=asked.within)
        key = self._keys.show(asked.ids["key_id"], within=asked.within)
        if key.account_id != asked.project_id or key.admin or key.state == "revoked":
            raise unknown("key", asked.ids["key_id"])
        return key

    def _shown(self, key: KeySummary, within: AccountId) -> wire.ProjectKey:
        owner, has_access = self._owners.of(key, within)
        return wire.ProjectKey(
            id=key.id,
            name=key.name,
            redacted_value=key.redacted,
            created_at=key.created_at,
            last_used_at=key.last_used_at,
            expires_at=key.expires_at,
            owner=owner,
            owner_project_access="active" if has_access else "inactive",
        )


class ProjectServiceAccounts:
    def __init__(self, service_accounts: ServiceAccounts, keys: Keys) -> None:
        self._service_accounts = service_accounts
        self._keys = keys

    def routes(self) -> list[HTTPRouteHandler]:
        every, one = PROJECT + "/service_accounts", PROJECT + "/service_accounts/{service_account_id:str}"
        listed = wire.Page[wire.ServiceAccount]
        made, key = wire.ServiceAccountCreated, wire.ServiceAccountKey
        return [
            route("GET", every, self.page, asks=wire.ListQuery, answer=listed),
            route("POST", every, self.create, asks=wire.ServiceAccountCreate, answer=made),
            route("GET", one, self.retrieve, asks=Nothing, answer=wire.ServiceAccount),
            route("POST", one, self.update, asks=wire.ServiceAccountUpdate, answer=wire.ServiceAccount),
            route("DELETE", one, self.delete, asks=Nothing, answer=wire.Deleted),
            route("POST", one + "/api_keys", self.issue, asks=wire.ServiceAccountKeyCreate, answer=key),
        ]

    def page(self, asked: Asked[wire.ListQuery]) -> wire.Page[wire.ServiceAccount]:
        """The service accounts of a project, oldest first."""
        cursor = cursor_of(asked.said.after, limit=asked.said.limit)
        found = self._service_accounts.page(asked.project_id, cursor, within=asked.within)
        return page_of(map(_service_account, found.items), has_more=found.has_more)

    def create(self, asked: Asked[wire.ServiceAccountCreate]) -> wire.ServiceAccountCreated:
        """Make a service account and its first key, which is shown this once."""
        said = asked.said
        role: Role = "viewer" if said.create_service_account_only else "member"
        made = self._service_accounts.create(asked.project_id, said.name, role, by=asked.by, within=asked.within)
        key = None
        if not said.create_service_account_only:
            key = self._issued(made, said.name, said.expires_in_seconds, asked)
        return wire.ServiceAccountCreated(
            id=made.id,
            name=made.name,
            role="member" if made.role == "member" else "none",
            created_at=made.created_at,
            api_key=key,
        )

    def retrieve(self, asked: Asked[Nothing]) -> wire.ServiceAccount:
        """One service account."""
        return _service_account(self._found(asked))

    def update(self, asked: Asked[wire.ServiceAccountUpdate]) -> wire.ServiceAccount:
        """Rename a service account."""
        found, said = self._found(asked), asked.said
        if said.role is not UNSET and said.role != PROJECT_ROLES[found.role]:
            raise InvalidRequest(
                "A service account keeps its role; make another one, and give its key to the program.",
                code="unsupported_value",
                param="role",
            )
        if said.name is not UNSET:
            found = self._service_accounts.rename(found.id, said.name, by=asked.by, within=asked.within)
        return _service_account(found)

    def delete(self, asked: Asked[Nothing]) -> wire.Deleted:
        """Delete a service account; its keys are revoked."""
        found = self._found(asked)
        self._service_accounts.delete(found.id, by=asked.by, within=asked.within)
        return wire.Deleted(object="organization.project.service_account.deleted", id=found.id)

    def issue(self, asked: Asked[wire.ServiceAccountKeyCreate]) -> wire.ServiceAccountKey:
        """Make one more key of a service account; it is shown this once."""
        found, said = self._found(asked), asked.said
        routes = routes_of(said.scopes)
        name = found.name if said.name is UNSET else said.name
        key = self._issued(found, name, said.expires_in_seconds, asked)
        if routes:
            self._keys.update(key.id, KeyChange(routes=routes), by=asked.by, within=asked.within)
        return key

    def _found(
        self,
        asked: Asked[Nothing] | Asked[wire.ServiceAccountUpdate] | Asked[wire.ServiceAccountKeyCreate],
    ) -> ServiceAccount:
        service_account_id = asked.ids["service_account_id"]
        found = self._service_accounts.show(service_account_id, within=asked.within)
        if found.account_id != asked.project_id:
            raise unknown("service_account", service_account_id)
        return found

    def _issued(
        self,
        owner: ServiceAccount,
        name: str,
        life_s: int | None,
        asked: Asked[wire.ServiceAccountCreate] | Asked[wire.ServiceAccountKeyCreate],
    ) -> wire.ServiceAccountKey:
        expires_at = None if life_s is None else clock.now_s() + life_s
        issue: Callable[..., IssuedKey] = self._service_accounts.issue
        key = issue(owner.id, name, expires_at, by=asked.by, within=asked.within)
        return wire.ServiceAccountKey(
            id=key.id, name=name, value=key.key.reveal(), created_at=key.created_at, expires_at=key.expires_at
        )


class AdminKeys:
    """Keys with the admin scope, of the organisation's account and those below it."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def routes(self) -> list[HTTPRouteHandler]:
        every, one = PREFIX + "/admin_api_keys", PREFIX + "/admin_api_keys/{key_id:str}"
        return [
            route("GET", every, self.page, asks=wire.AdminKeysQuery, answer=wire.Page[wire.AdminKey]),
            route("POST", every, self.create, asks=wire.AdminKeyCreate, answer=wire.AdminKey),
            route("GET", one, self.retrieve, asks=Nothing, answer=wire.AdminKey),
            route("DELETE", one, self.delete, asks=Nothing, answer=wire.Deleted),
        ]

    def page(self, asked: Asked[wire.AdminKeysQuery]) -> wire.Page[wire.AdminKey]:
        """The admin keys that are in use."""
        cursor = cursor_of(asked.said.after, limit=asked.said.limit, order=asked.said.order)
        found = self._keys.page(KeyFilter(admin=True), cursor, within=asked.within)
        return page_of(map(_admin_key, found.items), has_more=found.has_more)

    def create(self, asked: Asked[wire.AdminKeyCreate]) -> wire.AdminKey:
        """Make an admin key of the organisation; it is shown this once."""
        said = asked.said
        expires_at = None if said.expires_in_seconds is None else clock.now_s() + said.expires_in_seconds
        grant = Grant(name=said.name, account_id=asked.within, role="owner", expires_at=expires_at)
        with renamed(NAMES):
            issued = self._keys.create(grant, by=asked.by, within=asked.within)
        return _admin_key(self._keys.show(issued.id, within=asked.within), issued.key.reveal())

    def retrieve(self, asked: Asked[Nothing]) -> wire.AdminKey:
        """One admin key."""
        return _admin_key(self._found(asked))

    def delete(self, asked: Asked[Nothing]) -> wire.Deleted:
        """Revoke an admin key. One that revokes itself is the last that it did."""
        key = self._found(asked)
        self._keys.revoke(key.id, by=asked.by, within=asked.within)
        return wire.Deleted(object="organization.admin_api_key.deleted", id=key.id)

    def _found(self, asked: Asked[Nothing]) -> KeySummary:
        key = self._keys.show(asked.ids["key_id"], within=asked.within)
        if not key.admin or key.state == "revoked":
            raise unknown("key", asked.ids["key_id"])
        return key


def routes_of(scopes: list[str] | UnsetType) -> tuple[KeyRoute, ...] | UnsetType:
    """What a key may use, by the names of routes; none is all. Raises InvalidRequest for what is none."""
    if scopes is UNSET:
        return UNSET
    known: dict[str, KeyRoute] = {name: name for name in KEY_ROUTES}
    for place, scope in enumerate(scopes):
        if scope not in known:
            raise InvalidRequest(
                f"{scope[:64]!r} is no scope here; a key may be limited to {', '.join(KEY_ROUTES)}.",
                param=f"scopes[{place}]",
            )
    return tuple(known[scope] for scope in scopes)


def _key_service_account(found: ServiceAccount) -> wire.KeyServiceAccount:
    return wire.KeyServiceAccount(
        id=found.id, name=found.name, role=PROJECT_ROLES[found.role], created_at=found.created_at
    )


def _service_account(found: ServiceAccount) -> wire.ServiceAccount:
    return wire.ServiceAccount(
        id=found.id, name=found.name, role=PROJECT_ROLES[found.role], created_at=found.created_at
    )


def _admin_key(key: KeySummary, value: str | UnsetType = UNSET) -> wire.AdminKey:
    return wire.AdminKey(
        id=key.id,
        name=key.name,
        redacted_value=key.redacted,
        created_at=key.created_at,
        last_used_at=key.last_used_at,
        expires_at=key.expires_at,
        owner=wire.AdminKeyOwner(id=key.created_by),
        value=value,
    )
