"""What money rests on in one process: its ledger, its leases, and who is told when budgets change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trunkline.config import Settings
from trunkline.pipeline.funds import Funds
from trunkline.pipeline.treasury import Treasury
from trunkline.storage.ledger import LedgerHooks
from trunkline.storage.store import Store


class Money:
    """Between `open` and `close`."""

    def __init__(self, store: Store, settings: Callable[[], Settings]) -> None:
        """`settings` tells those of the moment."""
        self._store = store
        self._settings = settings
        self._ledger = store.open_ledger()
        self._wakeups = store.open_wakeups()
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

    async def close(self) -> None:
        """All that was handed over is written, and what is leased goes back."""
        if self.treasury is not None:
            await self.treasury.close()
        await self._ledger.close()
        self._wakeups.close()
