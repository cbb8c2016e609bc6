"""People: users of the organisation, invites, and who is a member of which account. `within` and `by` are as in
ports.accounts. They are known by here; signing in is the console's."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from trunkline.ids import AccountId
from trunkline.ports.audit import Actor, Role
from trunkline.ports.pages import Cursor, Page

InviteStatus = Literal["pending", "accepted", "expired"]
INVITE_LIFE_S = 7 * 86_400.0


class User(msgspec.Struct, frozen=True, kw_only=True):
    """`account_id`: the account whose users they are, the organisation's root as a rule. `added_at`: whole Unix
    seconds. An e-mail address is kept in lower case, and there is one user of it in an account."""

    id: str
    account_id: AccountId
    email: str
    name: str
    role: Role
    added_at: int


class UserChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is UNSET stays as it is."""

    name: str | UnsetType = UNSET
    role: Role | UnsetType = UNSET


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """A user in an account, a project as a rule. `added_at`: whole Unix seconds."""

    account_id: AccountId
    user_id: str
    email: str
    name: str
    role: Role
    added_at: int


class Invite(msgspec.Struct, frozen=True, kw_only=True):
    """`memberships`: (account, role) that come with it. Times are whole Unix seconds."""

    id: str
    account_id: AccountId
    email: str
    role: Role
    memberships: tuple[tuple[AccountId, Role], ...]
    status: InviteStatus
    created_at: int
    expires_at: int
    accepted_at: int | None = None


class InviteDraft(msgspec.Struct, frozen=True, kw_only=True):
    email: str
    role: Role
    memberships: tuple[tuple[AccountId, Role], ...] = ()


class UserStore(Protocol):
    """Blocking calls: run them off the loop. `within` is whose users they are, and the memberships' accounts are in its
    subtree. Each raises StoreUnavailable when the database does not answer, NotFound (`user_not_found`,
    `invite_not_found`, `account_not_found`), InvalidRequest with `param`, Forbidden (`role_missing`) for a role above
    the actor's own, or for changing somebody who has one."""

    def add(self, email: str, name: str, role: Role, *, by: Actor, within: AccountId) -> User:
        """Raises InvalidRequest (`user_exists`)."""
        ...

    def page(self, cursor: Cursor, emails: tuple[str, ...] = (), *, within: AccountId) -> Page[User]:
        """In the order in which they were added; `emails`: only those, none means all."""
        ...

    def show(self, user_id: str, *, within: AccountId) -> User: ...

    def update(self, user_id: str, change: UserChange, *, by: Actor, within: AccountId) -> User: ...

    def remove(self, user_id: str, *, by: Actor, within: AccountId) -> None:
        """With all memberships; the keys that they own are revoked. Raises InvalidRequest (`last_owner`)."""
        ...

    def memberships(self, user_id: str, *, within: AccountId) -> tuple[Membership, ...]: ...

    def members(self, account_id: str, cursor: Cursor, *, within: AccountId) -> Page[Membership]:
        """Of that account alone. The cursor's ids are users'."""
        ...

    def member(self, account_id: str, user_id: str, *, within: AccountId) -> Membership: ...

    def set_member(self, account_id: str, user_id: str, role: Role, *, by: Actor, within: AccountId) -> Membership:
        """Make a membership, or change its role."""
        ...

    def remove_member(self, account_id: str, user_id: str, *, by: Actor, within: AccountId) -> None: ...

    def invite(self, draft: InviteDraft, *, by: Actor, within: AccountId) -> Invite:
        """Good for INVITE_LIFE_S. Raises InvalidRequest (`user_exists`)."""
        ...

    def invites(self, cursor: Cursor, *, within: AccountId) -> Page[Invite]: ...

    def show_invite(self, invite_id: str, *, within: AccountId) -> Invite: ...

    def delete_invite(self, invite_id: str, *, by: Actor, within: AccountId) -> None:
        """Raises InvalidRequest (`invite_accepted`) for one that was accepted."""
        ...

    def accept(self, invite_id: str, name: str, *, within: AccountId) -> User:
        """Makes the user and the memberships. Raises InvalidRequest (`invite_ended`) the second time, or too late."""
        ...
