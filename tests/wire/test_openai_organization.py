"""Projects, keys and people are shaped as OpenAI's client reads and writes them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openai.types.admin import organization as theirs
from openai.types.admin.organization import admin_api_key, invite, organization_user
from openai.types.admin.organization import projects as in_project
from openai.types.admin.organization.projects import (
    project_api_key,
    service_account_create_response,
    service_accounts,
)

from tests.wire.openai_sdk import disagreements, required, unread
from trunkline.wire import openai_organization as ours

ANSWERS: list[tuple[type[msgspec.Struct], Any, set[str]]] = [
    (ours.Project, theirs.Project, {"parent_id"}),
    (ours.ProjectKey, in_project.ProjectAPIKey, set()),
    (ours.KeyOwner, project_api_key.Owner, set()),
    (ours.KeyServiceAccount, project_api_key.OwnerServiceAccount, set()),
    (ours.KeyUser, project_api_key.OwnerUser, set()),
    (ours.ServiceAccount, in_project.ProjectServiceAccount, set()),
    (ours.ServiceAccountCreated, in_project.ServiceAccountCreateResponse, set()),
    (ours.ServiceAccountKey, service_account_create_response.APIKey, set()),
    (ours.ServiceAccountKey, service_accounts.APIKeyCreateResponse, set()),
    (ours.AdminKey, theirs.AdminAPIKey, {"value"}),
    (ours.AdminKeyOwner, admin_api_key.Owner, set()),
    (ours.OrganizationUser, theirs.OrganizationUser, set()),
    (ours.MemberProjects, organization_user.Projects, set()),
    (ours.MemberProject, organization_user.ProjectsData, set()),
    (ours.ProjectUser, in_project.ProjectUser, set()),
    (ours.Invite, theirs.Invite, set()),
    (ours.InviteProject, invite.Project, set()),
    (ours.Deleted, in_project.APIKeyDeleteResponse, set()),
]
OF_PATH = {"project_id"}
PARAMS: list[tuple[type[msgspec.Struct], Any]] = [
    (ours.ProjectsQuery, theirs.ProjectListParams),
    (ours.ProjectCreate, theirs.ProjectCreateParams),
    (ours.ProjectUpdate, theirs.ProjectUpdateParams),
    (ours.ProjectKeysQuery, in_project.APIKeyListParams),
    (ours.ProjectKeyUpdate, in_project.APIKeyUpdateParams),
    (ours.ListQuery, in_project.ServiceAccountListParams),
    (ours.ServiceAccountCreate, in_project.ServiceAccountCreateParams),
    (ours.ServiceAccountUpdate, in_project.ServiceAccountUpdateParams),
    (ours.ServiceAccountKeyCreate, service_accounts.APIKeyCreateParams),
    (ours.AdminKeysQuery, theirs.AdminAPIKeyListParams),
    (ours.AdminKeyCreate, theirs.AdminAPIKeyCreateParams),
    (ours.UsersQuery, theirs.UserListParams),
    (ours.ListQuery, in_project.UserListParams),
    (ours.ProjectUserCreate, in_project.UserCreateParams),
    (ours.ProjectUserUpdate, in_project.UserUpdateParams),
    (ours.ListQuery, theirs.InviteListParams),
    (ours.InviteCreate, theirs.InviteCreateParams),
]
# What only OpenAI's own dashboard makes sense of: refused by name.
REFUSED = {"role_id is refused", "developer_persona is refused", "technical_level is refused"}


@pytest.mark.parametrize(("kind", "model", "additions"), ANSWERS, ids=lambda one: getattr(one, "__name__", ""))
def test_answers(kind: type[msgspec.Struct], model: Any, additions: set[str]) -> None:
    assert not [one for one in disagreements(kind, model, frozenset(additions)) if not one.startswith("object may be")]


@pytest.mark.parametrize(("kind", "params"), PARAMS, ids=lambda one: one.__name__)
def test_params(kind: type[msgspec.Struct], params: Any) -> None:
    assert not unread(kind, params, frozenset(OF_PATH))


def test_what_of_a_user_is_not_kept_is_refused() -> None:
    assert set(unread(ours.OrganizationUserUpdate, theirs.UserUpdateParams)) == REFUSED


def test_a_page_is_a_list() -> None:
    page: ours.Page[ours.Deleted] = ours.Page(data=(), first_id=None, last_id=None, has_more=False)
    assert msgspec.json.encode(page) == b'{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}'


@pytest.mark.parametrize("address", ["", "nobody", "@example.com", "a@", "a b@example.com"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"email": address, "role": "owner"}, ours.InviteCreate)


def test_the_path_holds_what_is_not_in_the_body() -> None:
    assert required(in_project.APIKeyUpdateParams) == OF_PATH
