"""The organisation API on real stores, with OpenAI's own client in front of it: no socket, and no shape let pass.

One database serves all tests: each gets an account of its own below the root with an admin key, and sees nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import httpx2
import msgspec
import openai

from tests.http import browser
from tests.storage.conftest import PEPPER
from trunkline.errors import Unauthenticated
from trunkline.http.admin import AdminServices, create_admin
from trunkline.http.asgi import Scope
from trunkline.http.organization import OrganizationServices, organization_routes
from trunkline.ids import ROOT_ACCOUNT, AccountId, KeyId
from trunkline.policy.keys import KeyShape, digest
from trunkline.ports.accounts import AccountDraft
from trunkline.ports.audit import CLI, Actor
from trunkline.ports.keys import Grant, KeyRecord
from trunkline.ports.reports import Spend, SpendQuery, UsageBucket, UsagePage, UsageQuery
from trunkline.storage.accounts import SqlAccountStore
from trunkline.storage.audit import SqlAuditLog
from trunkline.storage.budgets import SqlBudgetStore
from trunkline.storage.database import DatabaseOptions, open_database
from trunkline.storage.keys import SqlKeys
from trunkline.storage.live_keys import SqlKeyStore
from trunkline.storage.service_accounts import SqlServiceAccounts
from trunkline.storage.spend_alerts import SqlSpendAlerts
from trunkline.storage.users import SqlUserStore

MODELS = ("fast", "openai/gpt-4.1", "sandbox/echo")


class Answer(NamedTuple):
    status: int
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self.body)["error"]
        return found

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class ScriptedReports:
    """Answers every query with `buckets`, and keeps the queries."""

    def __init__(self) -> None:
        self.asked: list[UsageQuery] = []
        self.buckets: tuple[UsageBucket, ...] = ()
        self.next_page: str | None = None

    async def usage(self, query: UsageQuery) -> UsagePage:
        self.asked.append(query)
        return UsagePage(buckets=self.buckets, next_page=self.next_page)

    async def spend(self, query: SpendQuery, at_s: float) -> Spend:
        raise AssertionError("nobody asks for this")


class OrganizationHouse:
    """`whole` is the file of a database that is current."""

    def __init__(self, folder: Path, whole: bytes) -> None:
        (folder / "trunkline.db").write_bytes(whole)
        self.database = open_database(DatabaseOptions(), folder)
        self.database.create_file()
        self.accounts = SqlAccountStore(self.database)
        self.keys = SqlKeys(self.database, PEPPER, KeyShape("sk-tl"))
        self.serving = SqlKeyStore(self.database)
        self.users = SqlUserStore(self.database)
        self.reports = ScriptedReports()
        self.services = OrganizationServices(
            accounts=self.accounts,
            keys=self.keys,
            service_accounts=SqlServiceAccounts(self.database, self.keys),
            users=self.users,
            budgets=SqlBudgetStore(self.database),
            spend_alerts=SqlSpendAlerts(self.database),
            audit=SqlAuditLog(self.database),
            reports=self.reports,
            models=lambda: MODELS,
        )
        self.door = create_admin(
            AdminServices(identify=self._identify, reload=_unasked, status=_unasked),
            further=organization_routes(self.services),
        )

    def organization(self, name: str = "an organisation") -> Organization:
        account = self.accounts.create(AccountDraft(name=name, parent_id=ROOT_ACCOUNT), by=CLI)
        return Organization(self, account.id)

    def close(self) -> None:
        self.database.close()

    async def _identify(self, scope: Scope) -> KeyRecord:
        sent = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
        record = self.serving.find(digest(PEPPER, sent))
        if record is None:
            raise Unauthenticated("No such key.")
        return record


def _unasked() -> NoReturn:
    raise AssertionError("nobody asks for this")


class Organization:
    """An account with an admin key. `client` refuses every answer that lacks a field or has a wrong one."""

    def __init__(self, house: OrganizationHouse, account_id: AccountId) -> None:
        self.house = house
        self.id = account_id
        issued = house.keys.create(Grant(name="admin", account_id=account_id, admin=True), by=CLI)
        self.admin_key = issued.key.reveal()
        self.admin_key_id: KeyId = issued.id
        self.by = Actor(kind="cli", id="cli", account_id=account_id, role="owner")

    @property
    def client(self) -> openai.AsyncOpenAI:
        return client_of(self.house, self.admin_key)

    async def ask(self, method: str, target: str, body: bytes = b"", key: str | None = None) -> Answer:
        headers = {"authorization": f"Bearer {key or self.admin_key}"}
        page = await browser.send(self.house.door, method, target, headers, body)
        return Answer(page.status, page.body)

    async def projects(self, names: Sequence[str] = ("a project",)) -> list[str]:
        """Their ids."""
        made = [await self.client.admin.organization.projects.create(name=name) for name in names]
        return [project.id for project in made]


def client_of(house: OrganizationHouse, key: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key="not an admin's",
        admin_api_key=key,
        base_url="http://gateway.test/v1",
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=httpx2.ASGITransport(app=house.door)),
        _strict_response_validation=True,
    )
