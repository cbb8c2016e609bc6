"""OpenAI's organisation API: projects, keys, service accounts, users and invites, as its Python SDK 3.52 reads them.

https://platform.openai.com/docs/api-reference/administration. Times are Unix seconds. What this gateway adds is said to
be an addition.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

T = TypeVar("T")

Name = Annotated[str, Meta(max_length=200)]
Email = Annotated[str, Meta(pattern=r"^[^@\s]{1,64}@[^@\s]{1,255}$", description="An e-mail address.")]
LifeSeconds = Annotated[int, Meta(ge=1, le=100 * 366 * 86_400, description="Seconds until the key ends.")]
Limit = Annotated[int, Meta(ge=1, le=100, description="How many, at most.")]
Order = Annotated[Literal["asc", "desc"], Meta(description="By the time they were made.")]
After = Annotated[str, Meta(max_length=128, description="The id of the last one of the page before.")]
Before = Annotated[str, Meta(max_length=128, description="The id of the first one of the page after.")]
ProjectRole = Literal["owner", "member"]
OrganizationRole = Literal["owner", "reader"]


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a list. The ids are those at its ends, null on an empty page."""

    object: Literal["list"] = "list"
    data: tuple[T, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """It is gone."""

    object: str
    id: str
    deleted: Literal[True] = True


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """A setting without an id of its own is gone."""

    object: str
    deleted: Literal[True] = True


class ListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of a list."""

    after: After | None = None
    limit: Limit = 20


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """An account below the organisation's. `parent_id` is an addition: the account that it stands below."""

    object: Literal["organization.project"] = "organization.project"
    id: str
    name: str
    created_at: int
    archived_at: int | None
    status: Literal["active", "archived"]
    parent_id: str | None


class ProjectsQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which projects."""

    include_archived: bool = False


class ProjectCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A project. `parent_id` is an addition: the account to put it below, else the organisation's own."""

    name: Name
    parent_id: Annotated[str, Meta(max_length=64)] | None = None
    external_key_id: None = None
    geography: None = None
    residency: None = None


class ProjectUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    name: Name | None = None
    external_key_id: None = None
    geography: None = None
    residency: None = None


class KeyServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    role: str
    created_at: int


class KeyUser(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    email: str
    name: str
    role: str
    created_at: int


class KeyOwner(msgspec.Struct, frozen=True, kw_only=True):
    """Null is a key that was made without an owner."""

    type: Literal["user", "service_account"] | None
    service_account: KeyServiceAccount | UnsetType = UNSET
    user: KeyUser | UnsetType = UNSET


class ProjectKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of a project, without its secret."""

    object: Literal["organization.project.api_key"] = "organization.project.api_key"
    id: str
    name: str
    redacted_value: str
    created_at: int
    last_used_at: int | None
    expires_at: int | None
    owner: KeyOwner
    owner_project_access: Literal["active", "inactive"]


class ProjectKeysQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which keys. `owner_project_access`: only those whose owner may use the project, or may not."""

    owner_project_access: Literal["active", "inactive", "any"] = "any"


class ProjectKeyUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    expires_in_seconds: LifeSeconds | UnsetType = UNSET
    scopes: list[str] | UnsetType = UNSET


class ServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """The owner of keys that belong to a program."""

    object: Literal["organization.project.service_account"] = "organization.project.service_account"
    id: str
    name: str
    role: Literal["owner", "member", "none"]
    created_at: int


class ServiceAccountKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key with its secret, which is shown this once."""

    object: Literal["organization.project.service_account.api_key"] = "organization.project.service_account.api_key"
    id: str
    name: str
    value: str
    created_at: int
    expires_at: int | None


class ServiceAccountCreated(msgspec.Struct, frozen=True, kw_only=True):
    """A service account with its first key."""

    object: Literal["organization.project.service_account"] = "organization.project.service_account"
    id: str
    name: str
    role: Literal["member", "none"]
    created_at: int
    api_key: ServiceAccountKey | None


class ServiceAccountCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service account, with a key unless it is made alone."""

    name: Name
    create_service_account_only: bool | None = None
    expires_in_seconds: LifeSeconds | None = None


class ServiceAccountUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    name: Name | UnsetType = UNSET
    role: ProjectRole | UnsetType = UNSET


class ServiceAccountKeyCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One more key of a service account."""

    name: Name | UnsetType = UNSET
    expires_in_seconds: LifeSeconds | None = None
    scopes: list[str] | UnsetType = UNSET


class AdminKeyOwner(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is of whoever made the key: a key, a user, or `cli`."""

    type: None = None
    object: None = None
    id: str | None
    name: None = None
    created_at: None = None
    role: Literal["owner"] = "owner"


class AdminKey(msgspec.Struct, frozen=True, kw_only=True):
    """An admin key. `value`, its secret, is shown once, in the answer that makes it."""

    object: Literal["organization.admin_api_key"] = "organization.admin_api_key"
    id: str
    name: str
    redacted_value: str
    created_at: int
    last_used_at: int | None
    expires_at: int | None
    owner: AdminKeyOwner
    value: str | UnsetType = UNSET


class AdminKeyCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An admin key."""

    name: Name
    expires_in_seconds: LifeSeconds | None = None


class AdminKeysQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which admin keys."""

    order: Order = "asc"


class MemberProject(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    role: str


class MemberProjects(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[MemberProject, ...]


class OrganizationUser(msgspec.Struct, frozen=True, kw_only=True):
    """A person of the organisation, with the projects that they belong to."""

    object: Literal["organization.user"] = "organization.user"
    id: str
    name: str | None
    email: str
    role: str
    added_at: int
    projects: MemberProjects


class UsersQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which users."""

    emails: list[str] | None = None


class OrganizationUserUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    role: OrganizationRole | Literal["admin", "member", "viewer"] | None = None


class ProjectUser(msgspec.Struct, frozen=True, kw_only=True):
    """A person of a project."""

    object: Literal["organization.project.user"] = "organization.project.user"
    id: str
    name: str | None
    email: str
    role: str
    added_at: int


class ProjectUserCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody of the organisation, named by id or by address, becomes one of the project."""

    role: ProjectRole | Literal["admin", "viewer"]
    user_id: Annotated[str, Meta(max_length=128)] | None = None
    email: Email | None = None


class ProjectUserUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    role: ProjectRole | Literal["admin", "viewer"] | None = None


class InviteProject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Annotated[str, Meta(max_length=64)]
    role: ProjectRole


class Invite(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody was asked to join the organisation."""

    object: Literal["organization.invite"] = "organization.invite"
    id: str
    email: str
    role: str
    status: Literal["accepted", "expired", "pending"]
    created_at: int
    expires_at: int | None
    accepted_at: int | None
    projects: tuple[InviteProject, ...]


class InviteCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to ask, and for which projects."""

    email: Email
    role: OrganizationRole
    projects: Annotated[list[InviteProject], Meta(max_length=100)] = []
