"""Everything that is kept, opened in one go: the same for the server and for every command."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from trunkline import clock
from trunkline.policy.keys import KeyShape, KeysOptions, digest
from trunkline.storage.accounts import SqlAccountStore
from trunkline.storage.admin_links import SqlAdminLinks
from trunkline.storage.conversations import SqlConversationStore
from trunkline.storage.database import DatabaseOptions, open_database
from trunkline.storage.keys import SqlKeys, SqlKeyStore
from trunkline.storage.pepper import confirm_pepper, load_or_create_pepper, strong_pepper
from trunkline.storage.responses import SqlResponseStore
from trunkline.storage.sealing import Sealer
from trunkline.storage.sidecar import SqlSidecarStore
from trunkline.storage.threads import StoreThreads
from trunkline.storage.upgrade import migrate

PEPPER_FILE = "pepper"


class Store:
    """The stores of one installation on one database; `close` when done.

    Calls of keys, accounts and admin links block; those of responses, conversations and the sidecar are awaited.
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
        self.admin_links = SqlAdminLinks(self.database, pepper)
        self._threads = StoreThreads(self.database)
        sealer = Sealer(pepper)
        self.responses = SqlResponseStore(self._threads, sealer)
        self.conversations = SqlConversationStore(self._threads, sealer)
        self.sidecar = SqlSidecarStore(self._threads, sealer)

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
        self._threads.close()
        self.database.close()
