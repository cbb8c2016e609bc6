"""Everything that is kept, opened in one go: the same for the server and for every command."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from trunkline import clock
from trunkline.policy.keys import KeyShape, KeysOptions, digest
from trunkline.storage.accounts import SqlAccountStore
from trunkline.storage.admin_links import SqlAdminLinks
from trunkline.storage.audit import SqlAuditLog
from trunkline.storage.budgets import SqlBudgetStore
from trunkline.storage.conversations import SqlConversationStore
from trunkline.storage.credits import SqlCreditStore
from trunkline.storage.database import DatabaseOptions, open_database
from trunkline.storage.entries import Late
from trunkline.storage.keys import SqlKeys
from trunkline.storage.ledger import SqlLedger
from trunkline.storage.live_keys import SqlKeyStore
from trunkline.storage.pepper import confirm_pepper, load_or_create_pepper, strong_pepper
from trunkline.storage.responses import SqlResponseStore
from trunkline.storage.sealing import Sealer
from trunkline.storage.service_accounts import SqlServiceAccounts
from trunkline.storage.sidecar import SqlSidecarStore
from trunkline.storage.spend_alerts import SqlSpendAlerts
from trunkline.storage.tenancy import SqlTenancyStore
from trunkline.storage.threads import StoreThreads
from trunkline.storage.upgrade import migrate
from trunkline.storage.users import SqlUserStore
from trunkline.storage.wakeup import Wakeups

PEPPER_FILE = "pepper"


class Store:
    """The stores of one installation on one database; `close` when done.

    Calls block, but for those of responses, conversations and the sidecar, which are awaited.
    """

    def __init__(self, database: DatabaseOptions, keys: KeysOptions, data_dir: Path) -> None:
        """Makes and migrates the database, and the pepper file in `data_dir` when `keys` has none.

        Raises SettingsInvalid, StoreUnavailable.
        """
        self.database = open_database(database, data_dir)
        migrate(self.database)
        pepper = (
            load_or_create_pepper(data_dir / PEPPER_FILE)
            if keys.pepper is None
            else strong_pepper(keys.pepper.encode(), "[keys] pepper")
        )
        confirm_pepper(self.database, pepper)
        self.pepper: Final = pepper
        self.shape = KeyShape(keys.prefix)
        self.digest = partial(digest, pepper)
        self.serving_keys = SqlKeyStore(self.database)
        self.keys = SqlKeys(self.database, pepper, self.shape)
        self.accounts = SqlAccountStore(self.database)
        self.service_accounts = SqlServiceAccounts(self.database, self.keys)
        self.budgets = SqlBudgetStore(self.database)
        self.credit = SqlCreditStore(self.database)
        self.spend_alerts = SqlSpendAlerts(self.database)
        self.users = SqlUserStore(self.database)
        self.audit = SqlAuditLog(self.database)
        self.tenancy = SqlTenancyStore(self.database)
        self.admin_links = SqlAdminLinks(self.database, pepper)
        self.threads = StoreThreads(self.database)
        sealer = Sealer(pepper)
        self.responses = SqlResponseStore(self.threads, sealer)
        self.conversations = SqlConversationStore(self.threads, sealer)
        self.sidecar = SqlSidecarStore(self.threads, sealer)

    def open_ledger(self, late: Late | None = None) -> SqlLedger:
        """A serving process's way to the ledger, to be started on its loop and closed before this store is. `late` is
        told of new rows in their transaction."""
        return SqlLedger(self.database.path, late)

    def open_wakeups(self) -> Wakeups:
        """Between the serving processes of this installation; to be started with the ledger's slot."""
        return Wakeups(self.database.path)

    async def sweep(self) -> int:
        """Delete what has expired, batch by batch, so that nobody waits long for the database. Returns how much.

        Raises StoreUnavailable.
        """
        now_s, swept = clock.now_s(), 0
        for sweep in (self.responses.sweep, self.sidecar.sweep):
            while count := await sweep(now_s):
                swept += count
        return swept

    def close(self) -> None:
        self.threads.close()
        self.database.close()
