"""What money rests on in one process: its ledger, its leases, the sums of what was spent, and their routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from litestar.handlers import HTTPRouteHandler

from trunkline.config import Settings
from trunkline.http.money import MoneyServices, money_routes
from trunkline.http.organization import OrganizationServices, organization_routes
from trunkline.pipeline.funds import Funds
from trunkline.pipeline.treasury import Treasury
from trunkline.ports.keys import KeyRecord
from trunkline.storage.ledger import LedgerHooks
from trunkline.storage.reports import SqlReports
from trunkline.storage.request_reader import SqlRequestLogReader
from trunkline.storage.requests import SqlRequestLog
from trunkline.storage.rollups import add_late
from trunkline.storage.store import Store

REQUESTS_FILE = "requests.db"


class Money:
    """Between `open` and `close`."""

    def __init__(self, store: Store, settings: Callable[[], Settings]) -> None:
        """`settings` tells those of the moment."""
        self._store = store
        self._settings = settings
        self._ledger = store.open_ledger(add_late)
        self._wakeups = store.open_wakeups()
        requests = settings().data_dir / REQUESTS_FILE
        self.requests = SqlRequestLog(requests)
        self.reader = SqlRequestLogReader(requests, store.database, settings().requests)
        self.reports = SqlReports(store.database)
        self.treasury: Treasury | None = None

    async def open(self) -> Treasury:
        """This process is registered, and what dead ones left open is ended. Raises StoreUnavailable."""
        ledger, settings = self._ledger, self._settings
        tenancy = await asyncio.to_thread(self._store.tenancy.tenancy)
        treasury = self.treasury = Treasury(
            ledger,
            Funds(ledger, self._wakeups),
            tenancy,
            lambda: settings().budgets,
            lambda: settings().ledger,
        )

        def registered(slot: int, after: int) -> None:
            treasury.registered(slot, after)
            treasury.funds.lose_all()
            self._wakeups.start(slot)

        await ledger.start(LedgerHooks(treasury.oldest_number, registered))
        await ledger.recover()
        return treasury

    def look(self) -> Callable[[], None]:
        """In a thread: reads accounts and budgets. What it returns lets the loop know. Raises StoreUnavailable."""
        tenancy = self._store.tenancy.tenancy()

        def follow() -> None:
            if self.treasury is not None:
                self.treasury.follow(tenancy)

        return follow

    def markup_of(self, record: KeyRecord) -> int:
        """What the key's account pays on top of the providers' prices, in millionths."""
        return 0 if self.treasury is None else self.treasury.scopes.lineage(record.account_id).markup_millionths

    def routes(self, models: Callable[[], list[str]]) -> list[HTTPRouteHandler]:
        """`models`: the ids and aliases that can be called now."""
        store = self._store
        organization = OrganizationServices(
            accounts=store.accounts,
            keys=store.keys,
            service_accounts=store.service_accounts,
            users=store.users,
            budgets=store.budgets,
            spend_alerts=store.spend_alerts,
            audit=store.audit,
            reports=self.reports,
            models=models,
        )
        money = MoneyServices(
            accounts=store.accounts,
            keys=store.keys,
            budgets=store.budgets,
            credit=store.credit,
            reports=self.reports,
            log=self.reader,
            find_key=lambda key: store.serving_keys.find(store.digest(key)),
        )
        return [*organization_routes(organization), *money_routes(money)]

    async def close(self) -> None:
        """All that was handed over is written, and what is leased goes back."""
        if self.treasury is not None:
            await self.treasury.close()
        await self._ledger.close()
        self._wakeups.close()
        await asyncio.to_thread(self.requests.close)
        self.reports.close()
        self.reader.close()
