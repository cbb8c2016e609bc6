"""OpenAI's organisation API, `/v1/organization/...`, in its own shapes: https://platform.openai.com/docs/api-reference

Groups, roles, certificates, external keys and storage, data retention, hosted tools, service tiers and workload
identities are not there; their addresses are not found, as any other unknown one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from litestar.handlers import HTTPRouteHandler

from trunkline.http.organization_audit import AuditRoutes
from trunkline.http.organization_keys import AdminKeys, Owners, ProjectKeys, ProjectServiceAccounts
from trunkline.http.organization_limits import Alerts, ModelPermissionRoutes, RateLimitRoutes, SpendLimits
from trunkline.http.organization_projects import Projects
from trunkline.http.organization_usage import KeyOwners, Usage
from trunkline.http.organization_users import Invites, OrganizationUsers, ProjectUsers
from trunkline.ports.accounts import AccountStore
from trunkline.ports.audit import AuditLog
from trunkline.ports.budget_store import BudgetStore
from trunkline.ports.keys import Keys
from trunkline.ports.reports import Reports
from trunkline.ports.service_accounts import ServiceAccounts
from trunkline.ports.spend_alerts import SpendAlerts
from trunkline.ports.users import UserStore

PREFIXES: Final = ("/v1/organization",)
"""What the paths begin with."""


class OrganizationServices(msgspec.Struct, frozen=True, kw_only=True):
    """Where it all is kept. `models`: the ids and aliases that can be called now."""

    accounts: AccountStore
    keys: Keys
    service_accounts: ServiceAccounts
    users: UserStore
    budgets: BudgetStore
    spend_alerts: SpendAlerts
    audit: AuditLog
    reports: Reports
    models: Callable[[], Sequence[str]]


def organization_routes(services: OrganizationServices) -> list[HTTPRouteHandler]:
    """Each needs an admin key, and sees the account of that key with all below it."""
    of = services
    rooms = (
        Projects(of.accounts),
        ProjectKeys(of.accounts, of.keys, Owners(of.service_accounts, of.users)),
        ProjectServiceAccounts(of.service_accounts, of.keys),
        AdminKeys(of.keys),
        SpendLimits("organization", of.accounts, of.budgets),
        SpendLimits("project", of.accounts, of.budgets),
        Alerts("organization", of.accounts, of.spend_alerts),
        Alerts("project", of.accounts, of.spend_alerts),
        RateLimitRoutes(of.accounts, of.models),
        ModelPermissionRoutes(of.accounts),
        OrganizationUsers(of.accounts, of.users),
        ProjectUsers(of.users),
        Invites(of.users),
        AuditRoutes(of.audit, of.accounts, of.users),
        Usage(of.reports, KeyOwners(of.keys)),
    )
    return [route for room in rooms for route in room.routes()]
