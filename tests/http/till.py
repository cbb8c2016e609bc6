"""The routes of money over real stores, asked with real keys: an organisation, two accounts below it, one further."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tests.http import browser
from tests.http.callers import Log
from tests.storage.conftest import PEPPER
from trunkline import clock
from trunkline.errors import Unauthenticated
from trunkline.http.admin import AdminServices, Reloaded, Status, create_admin
from trunkline.http.asgi import Scope
from trunkline.http.money import MoneyServices, money_routes
from trunkline.ids import ROOT_ACCOUNT, AccountId
from trunkline.policy.keys import KeyShape, digest, state
from trunkline.ports.accounts import AccountDraft
from trunkline.ports.keys import Grant, KeyRecord
from trunkline.ports.reports import Spend, SpendQuery, Sums, UsageBucket, UsagePage, UsageQuery
from trunkline.ports.reports import UsageResult as Result
from trunkline.storage.accounts import SqlAccountStore
from trunkline.storage.audit import SqlAuditLog
from trunkline.storage.budgets import SqlBudgetStore
from trunkline.storage.credits import SqlCreditStore
from trunkline.storage.database import DatabaseOptions, open_database
from trunkline.storage.keys import SqlKeys
from trunkline.storage.live_keys import SqlKeyStore
from trunkline.wire import codec


class Spent:
    """What each key is said to have cost; the house's reports have tests of their own."""

    def __init__(self) -> None:
        self.nanos: dict[str, int] = {}

    async def usage(self, query: UsageQuery) -> UsagePage:
        keys = query.keys or ()
        results = tuple(Result(sums=Sums(cost_nanos=self.nanos.get(key, 0)), key_id=key) for key in keys)
        return UsagePage(buckets=(UsageBucket(start_s=query.start_s, end_s=query.end_s, results=results),))

    async def spend(self, query: SpendQuery, at_s: float) -> Spend:
        spent = sum(self.nanos.values()) if query.key is None else self.nanos.get(query.key, 0)
        return Spend(day_nanos=spent, week_nanos=spent, month_nanos=spent, ever_nanos=spent)


class Reply(msgspec.Struct):
    """`body` is what was read out of it, `text` how it stood there."""

    status: int
    body: Any
    text: str

    @property
    def refusal(self) -> tuple[int, str | None, str | None]:
        """Status, code and the field that it is about."""
        return self.status, self.body["error"]["code"], self.body["error"]["param"]


class Stores:
    """What is kept, in the database of a folder."""

    def __init__(self, folder: Path, file: bytes) -> None:
        self.database = open_database(DatabaseOptions(), folder)
        self.put(file)
        self.accounts = SqlAccountStore(self.database)
        self.keys = SqlKeys(self.database, PEPPER, KeyShape("sk-tl"))
        self.budgets = SqlBudgetStore(self.database)
        self.credit = SqlCreditStore(self.database)
        self.audit = SqlAuditLog(self.database)
        self.serving = SqlKeyStore(self.database)

    def put(self, file: bytes) -> None:
        """In place of all that was kept. The last connection takes its journal with it."""
        self.database.close()
        self.database.path.write_bytes(file)
        self.database.create_file()

    def file(self) -> bytes:
        with self.database.reading() as connection:
            whole: bytes = connection.connection.driver_connection.serialize()  # type: ignore[union-attr]
        return whole


class Tenants(NamedTuple):
    file: bytes
    a: AccountId
    b: AccountId
    below_a: AccountId
    secrets: dict[str, str]


@functools.cache
def tenants(migrated: bytes) -> Tenants:
    """Made once: copying the file costs less."""
    with tempfile.TemporaryDirectory() as folder:
        stores = Stores(Path(folder), migrated)

        def account(name: str, parent_id: AccountId) -> AccountId:
            return stores.accounts.create(AccountDraft(name=name, parent_id=parent_id)).id

        a, b = account("a", ROOT_ACCOUNT), account("b", ROOT_ACCOUNT)
        grants = [
            Grant(name="admin", admin=True),
            Grant(name="root", manage=True),
            Grant(name="a", account_id=a),
            Grant(name="b", account_id=b),
            Grant(name="plain", account_id=a),
            Grant(name="viewer", account_id=a, role="viewer"),
        ]
        below_a = account("below a", a)
        secrets = {grant.name: stores.keys.create(grant).key.reveal() for grant in grants}
        made = Tenants(stores.file(), a, b, below_a, secrets)
        stores.database.close()
    return made


class Till(Stores):
    """Keys are told by name: `admin`, `root` (manages the root), `a` and `b` (manage their accounts), `plain` and
    `viewer` (of a)."""

    def __init__(self, folder: Path, migrated: bytes) -> None:
        found = tenants(migrated)
        super().__init__(folder, found.file)
        self._file = found.file
        self.a, self.b, self.below_a, self.secrets = found.a, found.b, found.below_a, found.secrets
        self.spent = Spent()
        self.log = Log([])
        services = MoneyServices(
            accounts=self.accounts,
            keys=self.keys,
            budgets=self.budgets,
            credit=self.credit,
            reports=self.spent,
            log=self.log,
            find_key=self._find,
        )
        admin = AdminServices(identify=self._identify, reload=_reload, status=_status)
        self.application = create_admin(admin, further=money_routes(services))

    def reset(self) -> None:
        """As it was at first: making the routes anew would take longer than most tests."""
        self.put(self._file)
        self.spent.nanos.clear()
        self.log.rows.clear()

    def _find(self, secret: str) -> KeyRecord | None:
        return self.serving.find(digest(PEPPER, secret))

    async def _identify(self, scope: Scope) -> KeyRecord:
        record = self._find(dict(scope["headers"]).get(b"x-api-key", b"").decode())
        if record is None or state(record, clock.now_s()) != "active":
            raise Unauthenticated("This API key is not known here.")
        return record

    async def ask(self, method: str, target: str, key: str, /, **body: Any) -> Reply:
        """`key`: a name of `secrets`, or a whole key. Fields of the body by name."""
        return await self.send(method, target, key, codec.encode(body) if body else b"")

    async def send(self, method: str, target: str, key: str, body: bytes) -> Reply:
        headers = {"x-api-key": self.secrets.get(key, key)}
        page = await browser.send(self.application, method, target, headers, body)
        return Reply(page.status, msgspec.json.decode(page.body), page.text)

    def key_id(self, name: str) -> str:
        record = self._find(self.secrets[name])
        assert record is not None
        return record.key_id

    def close(self) -> None:
        self.database.close()


async def _reload() -> Reloaded:
    return Reloaded()


def _status() -> Status:
    raise AssertionError("nobody asks")
