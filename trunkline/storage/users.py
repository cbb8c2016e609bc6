"""Users, memberships and invites on the database."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, Select, delete, exists, insert, select, update

from trunkline import clock
from trunkline.errors import InvalidRequest, NotFound
from trunkline.ids import ROOT_ACCOUNT, AccountId, random_base62
from trunkline.policy.roles import require_role
from trunkline.ports.audit import CLI, GATEWAY, Actor, Role
from trunkline.ports.pages import Cursor, Page
from trunkline.ports.users import INVITE_LIFE_S, Invite, InviteDraft, InviteStatus, Membership, User, UserChange
from trunkline.storage.changes import Change, changing
from trunkline.storage.database import Database
from trunkline.storage.key_ends import end_keys
from trunkline.storage.names import checked_name
from trunkline.storage.paging import page
from trunkline.storage.schema import keys
from trunkline.storage.subtree import is_below, is_id, require_account, require_live_account
from trunkline.storage.tenant_schema import invites, memberships, users
from trunkline.storage.values import checked_email
from trunkline.wire import codec

MOST_MEMBERSHIPS: Final = 100
_places = msgspec.json.Decoder(tuple[tuple[AccountId, Role], ...])
_USERS_ORDER = (users.c.added_at, users.c.user_id)
_MEMBERS_ORDER = (memberships.c.added_at, memberships.c.user_id)
_INVITES_ORDER = (invites.c.created_at, invites.c.invite_id)


class SqlUserStore:
    """Fulfils ports.users.UserStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, email: str, name: str, role: Role, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT) -> User:
        with changing(self._database, by, within) as change:
            require_role(by, role)
            return _add(change, checked_email(email), name, role)

    def page(self, cursor: Cursor, emails: tuple[str, ...] = (), *, within: AccountId = ROOT_ACCOUNT) -> Page[User]:
        listed = select(users).where(users.c.account_id == within)
        if emails:
            listed = listed.where(users.c.email.in_([email.strip().lower() for email in emails]))
        with self._database.reading() as connection:
            return page(connection, listed, cursor, _USERS_ORDER, _user)

    def show(self, user_id: str, *, within: AccountId = ROOT_ACCOUNT) -> User:
        with self._database.reading() as connection:
            return _require_user(connection, user_id, within)

    def update(self, user_id: str, change: UserChange, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT) -> User:
        values = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET}
        with changing(self._database, by, within) as changed:
            before = _require_user(changed.connection, user_id, within)
            after = msgspec.structs.replace(before, **values)
            for role in (before.role, after.role):
                require_role(by, role)
            checked_name(after.name, "a user")
            if before.role == "owner" and after.role != "owner":
                _require_other_owner(changed.connection, before)
            its = (users.c.account_id == within, users.c.user_id == before.id)
            changed.connection.execute(update(users).where(*its).values(name=after.name, role=after.role))
            changed.audit_change("user.updated", within, before.id, before, after)
        return after

    def remove(self, user_id: str, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT) -> None:
        with changing(self._database, by, within) as change:
            before = _require_user(change.connection, user_id, within)
            require_role(by, before.role)
            if before.role == "owner":
                _require_other_owner(change.connection, before)
            change.connection.execute(delete(memberships).where(memberships.c.user_id == before.id))
            change.connection.execute(delete(users).where(users.c.account_id == within, users.c.user_id == before.id))
            change.audit("user.deleted", within, before.id, before=before)
            for key in end_keys(change, keys.c.owner_id == before.id):
                change.audit("api_key.deleted", key.account_id, key.key_id)

    def memberships(self, user_id: str, *, within: AccountId = ROOT_ACCOUNT) -> tuple[Membership, ...]:
        listed = _members(within).where(memberships.c.user_id == user_id).order_by(*_MEMBERS_ORDER)
        with self._database.reading() as connection:
            _require_user(connection, user_id, within)
            return tuple(_membership(row) for row in connection.execute(listed))

    def members(self, account_id: str, cursor: Cursor, *, within: AccountId = ROOT_ACCOUNT) -> Page[Membership]:
        listed = _members(within).where(memberships.c.account_id == account_id)
        with self._database.reading() as connection:
            require_account(connection, account_id, within=within)
            return page(connection, listed, cursor, _MEMBERS_ORDER, _membership)

    def member(self, account_id: str, user_id: str, *, within: AccountId = ROOT_ACCOUNT) -> Membership:
        with self._database.reading() as connection:
            require_account(connection, account_id, within=within)
            return _require_member(connection, account_id, user_id, within)

    def set_member(
        self, account_id: str, user_id: str, role: Role, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT
    ) -> Membership:
        with changing(self._database, by, within) as change:
            require_live_account(change.connection, account_id, within=within)
            require_role(by, role)
            return _set_member(change, AccountId(account_id), _require_user(change.connection, user_id, within), role)

    def remove_member(
        self, account_id: str, user_id: str, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT
    ) -> None:
        with changing(self._database, by, within) as change:
            require_account(change.connection, account_id, within=within)
            before = _require_member(change.connection, account_id, user_id, within)
            require_role(by, before.role)
            its = (memberships.c.account_id == account_id, memberships.c.user_id == user_id)
            change.connection.execute(delete(memberships).where(*its))
            change.audit("role.assignment.deleted", before.account_id, user_id, before=before)

    def invite(self, draft: InviteDraft, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT) -> Invite:
        email = checked_email(draft.email)
        with changing(self._database, by, within) as change:
            if len(draft.memberships) > MOST_MEMBERSHIPS:
                raise InvalidRequest(f"An invite names at most {MOST_MEMBERSHIPS} accounts.", param="projects")
            for role in (draft.role, *(role for _, role in draft.memberships)):
                require_role(by, role)
            for account_id, _ in draft.memberships:
                require_live_account(change.connection, account_id, within=within, param="projects")
            _require_unknown(change.connection, email, within)
            made = Invite(
                id="invite-" + random_base62(24),
                account_id=within,
                email=email,
                role=draft.role,
                memberships=draft.memberships,
                status="pending",
                created_at=int(change.now_s),
                expires_at=int(change.now_s + INVITE_LIFE_S),
            )
            change.connection.execute(
                insert(invites).values(
                    account_id=within,
                    invite_id=made.id,
                    email=email,
                    role=made.role,
                    memberships=codec.encode(made.memberships).decode(),
                    created_at=change.now_s,
                    expires_at=change.now_s + INVITE_LIFE_S,
                )
            )
            change.audit("invite.sent", within, made.id, after=made)
        return made

    def invites(self, cursor: Cursor, *, within: AccountId = ROOT_ACCOUNT) -> Page[Invite]:
        listed = select(invites).where(invites.c.account_id == within)
        now_s = clock.now_s()
        with self._database.reading() as connection:
            return page(connection, listed, cursor, _INVITES_ORDER, lambda row: _invite(row, now_s))

    def show_invite(self, invite_id: str, *, within: AccountId = ROOT_ACCOUNT) -> Invite:
        with self._database.reading() as connection:
            return _require_invite(connection, invite_id, within)

    def delete_invite(self, invite_id: str, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT) -> None:
        with changing(self._database, by, within) as change:
            before = _require_invite(change.connection, invite_id, within)
            if before.status == "accepted":
                raise InvalidRequest("An invite that was accepted stays.", code="invite_accepted")
            its = (invites.c.account_id == within, invites.c.invite_id == invite_id)
            change.connection.execute(delete(invites).where(*its))
            change.audit("invite.deleted", within, invite_id, before=before)

    def accept(self, invite_id: str, name: str, *, within: AccountId = ROOT_ACCOUNT) -> User:
        with changing(self._database, GATEWAY, within) as change:
            invite = _require_invite(change.connection, invite_id, within)
            if invite.status != "pending":
                raise InvalidRequest(f"This invite is {invite.status}; ask for another.", code="invite_ended")
            user = _add(change, invite.email, name, invite.role)
            for account_id, role in invite.memberships:
                live = require_account(change.connection, account_id)[0].archived_at is None
                if live:
                    _set_member(change, account_id, user, role)
            its = (invites.c.account_id == within, invites.c.invite_id == invite_id)
            change.connection.execute(update(invites).where(*its).values(accepted_at=change.now_s))
            change.audit("invite.accepted", within, invite_id, after={"user_id": user.id, "email": user.email})
        return user


def _add(change: Change, email: str, name: str, role: Role) -> User:
    _require_unknown(change.connection, email, change.within)
    user = User(
        id="user-" + random_base62(24),
        account_id=change.within,
        email=email,
        name=checked_name(name, "a user"),
        role=role,
        added_at=int(change.now_s),
    )
    change.connection.execute(
        insert(users).values(
            account_id=user.account_id,
            user_id=user.id,
            email=email,
            name=user.name,
            role=role,
            added_at=change.now_s,
        )
    )
    change.audit("user.added", user.account_id, user.id, after=user)
    return user


def _set_member(change: Change, account_id: AccountId, user: User, role: Role) -> Membership:
    its = (memberships.c.account_id == account_id, memberships.c.user_id == user.id)
    before = change.connection.execute(_members(change.within).where(*its)).one_or_none()
    if before is None:
        change.connection.execute(
            insert(memberships).values(
                account_id=account_id,
                user_id=user.id,
                organization_id=user.account_id,
                role=role,
                added_at=change.now_s,
            )
        )
    else:
        require_role(change.by, before.role)
        change.connection.execute(update(memberships).where(*its).values(role=role))
    after = _membership(change.connection.execute(_members(change.within).where(*its)).one())
    if before is None:
        change.audit("role.assignment.created", account_id, user.id, after=after)
    else:
        change.audit_change("role.assignment.updated", account_id, user.id, _membership(before), after)
    return after


def _require_unknown(connection: Connection, email: str, within: AccountId) -> None:
    if connection.execute(select(exists().where(users.c.account_id == within, users.c.email == email))).scalar_one():
        raise InvalidRequest("There is a user of that address already.", code="user_exists", param="email")


def _require_user(connection: Connection, user_id: str, within: AccountId) -> User:
    its = (users.c.account_id == within, users.c.user_id == user_id)
    row = connection.execute(select(users).where(*its)).one_or_none() if is_id(user_id) else None
    if row is None:
        raise NotFound("There is no user of that id.", code="user_not_found")
    return _user(row)


def _require_other_owner(connection: Connection, user: User) -> None:
    its = (users.c.account_id == user.account_id, users.c.role == "owner", users.c.user_id != user.id)
    if not connection.execute(select(exists().where(*its))).scalar_one():
        raise InvalidRequest("This is the last owner; make somebody else one first.", code="last_owner")


def _require_member(connection: Connection, account_id: str, user_id: str, within: AccountId) -> Membership:
    its = (memberships.c.account_id == account_id, memberships.c.user_id == user_id)
    row = connection.execute(_members(within).where(*its)).one_or_none() if is_id(user_id) else None
    if row is None:
        raise NotFound("The account has no member of that id.", code="user_not_found")
    return _membership(row)


def _require_invite(connection: Connection, invite_id: str, within: AccountId) -> Invite:
    its = (invites.c.account_id == within, invites.c.invite_id == invite_id)
    row = connection.execute(select(invites).where(*its)).one_or_none() if is_id(invite_id) else None
    if row is None:
        raise NotFound("There is no invite of that id.", code="invite_not_found")
    return _invite(row, clock.now_s())


def _members(within: AccountId) -> Select[Any]:
    """Memberships of the users of `within` in its subtree."""
    return (
        select(memberships, users.c.email, users.c.name)
        .join(users, users.c.user_id == memberships.c.user_id)
        .where(users.c.account_id == within, is_below(memberships.c.account_id, within))
    )


def _user(row: Row[*tuple[Any, ...]]) -> User:
    return User(
        id=row.user_id,
        account_id=row.account_id,
        email=row.email,
        name=row.name,
        role=row.role,
        added_at=int(row.added_at),
    )


def _membership(row: Row[*tuple[Any, ...]]) -> Membership:
    return Membership(
        account_id=row.account_id,
        user_id=row.user_id,
        email=row.email,
        name=row.name,
        role=row.role,
        added_at=int(row.added_at),
    )


def _invite(row: Row[*tuple[Any, ...]], now_s: float) -> Invite:
    status: InviteStatus = "pending"
    if row.accepted_at is not None:
        status = "accepted"
    elif now_s >= row.expires_at:
        status = "expired"
    return Invite(
        id=row.invite_id,
        account_id=row.account_id,
        email=row.email,
        role=row.role,
        memberships=_places.decode(row.memberships),
        status=status,
        created_at=int(row.created_at),
        expires_at=int(row.expires_at),
        accepted_at=None if row.accepted_at is None else int(row.accepted_at),
    )
