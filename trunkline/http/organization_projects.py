"""Projects of the organisation API: the accounts below the organisation's, all of them, flat."""

from __future__ import annotations

import msgspec
from litestar.handlers import HTTPRouteHandler

from trunkline.errors import InvalidRequest
from trunkline.http.described import Nothing
from trunkline.http.organization_routes import PREFIX, PROJECT, Asked, cursor_of, page_of, route
from trunkline.http.renaming import renamed
from trunkline.ids import AccountId
from trunkline.ports.accounts import Account, AccountChange, AccountDraft, AccountFilter, AccountStore
from trunkline.wire import openai_organization as wire


class Projects:
    """The organisation's own account answers to its id as well: keys made before there were projects belong to it."""

    def __init__(self, accounts: AccountStore) -> None:
        self._accounts = accounts

    def routes(self) -> list[HTTPRouteHandler]:
        projects = PREFIX + "/projects"
        return [
            route("GET", projects, self.page, asks=wire.ProjectsQuery, answer=wire.Page[wire.Project]),
            route("POST", projects, self.create, asks=wire.ProjectCreate, answer=wire.Project),
            route("GET", PROJECT, self.retrieve, asks=Nothing, answer=wire.Project),
            route("POST", PROJECT, self.update, asks=wire.ProjectUpdate, answer=wire.Project),
            route("POST", PROJECT + "/archive", self.archive, asks=Nothing, answer=wire.Project),
        ]

    def page(self, asked: Asked[wire.ProjectsQuery]) -> wire.Page[wire.Project]:
        """All projects, oldest first."""
        wanted = AccountFilter(archived=asked.said.include_archived)
        cursor = cursor_of(asked.said.after, limit=asked.said.limit)
        found = self._accounts.page(wanted, cursor, within=asked.within)
        return page_of((shown(one, asked.within) for one in found.items), has_more=found.has_more)

    def create(self, asked: Asked[wire.ProjectCreate]) -> wire.Project:
        """Make a project, below the organisation or below another project."""
        parent_id = AccountId(asked.said.parent_id or asked.within)
        with renamed({"parent": "parent_id"}):
            draft = AccountDraft(name=asked.said.name, parent_id=parent_id)
            return shown(self._accounts.create(draft, by=asked.by, within=asked.within), asked.within)

    def retrieve(self, asked: Asked[Nothing]) -> wire.Project:
        """One project."""
        return shown(self._accounts.show(asked.project_id, within=asked.within), asked.within)

    def update(self, asked: Asked[wire.ProjectUpdate]) -> wire.Project:
        """Rename a project."""
        name = asked.said.name
        change = AccountChange(name=msgspec.UNSET if name is None else name)
        return shown(self._accounts.update(asked.project_id, change, by=asked.by, within=asked.within), asked.within)

    def archive(self, asked: Asked[Nothing]) -> wire.Project:
        """End a project and all below it for good: their keys are revoked."""
        if asked.project_id == asked.within:
            raise InvalidRequest(
                "This is the organisation's own account; it is not archived.", code="not_a_project", param="project_id"
            )
        return shown(self._accounts.archive(asked.project_id, by=asked.by, within=asked.within), asked.within)


def shown(account: Account, within: AccountId) -> wire.Project:
    """Who stands above the organisation is not for it to know."""
    return wire.Project(
        id=account.id,
        name=account.name,
        created_at=account.created_at,
        archived_at=account.archived_at,
        status="active" if account.archived_at is None else "archived",
        parent_id=None if account.id == within else account.parent_id,
    )
