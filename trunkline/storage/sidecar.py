"""The sidecar of reasoning state on the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, bindparam, delete, insert, select, tuple_

from trunkline import clock
from trunkline.ids import AccountId
from trunkline.ports.sidecar import MOST_ENTRY_BYTES
from trunkline.storage.schema import sidecar
from trunkline.storage.sealing import Sealer
from trunkline.storage.threads import StoreThreads

ASKED_TOGETHER = 500
SWEPT_TOGETHER = 500


class SqlSidecarStore:
    """Fulfils ports.sidecar.SidecarStore."""

    def __init__(self, threads: StoreThreads, sealer: Sealer) -> None:
        self._threads = threads
        self._sealer = sealer

    async def put(self, account_id: AccountId, entries: Mapping[str, bytes], expires_at: float) -> tuple[str, ...]:
        refused = tuple(key for key, state in entries.items() if len(state) > MOST_ENTRY_BYTES)
        kept = {key: state for key, state in entries.items() if len(state) <= MOST_ENTRY_BYTES}
        if kept:
            await self._threads.write(lambda connection: self._put(connection, account_id, kept, expires_at))
        return refused

    async def find(self, account_id: AccountId, keys: Iterable[str]) -> dict[str, bytes]:
        wanted = {self._sealer.digest(_place(account_id, key)): key for key in keys}
        if not wanted:
            return {}
        return await self._threads.read(lambda connection: self._find(connection, account_id, wanted))

    async def sweep(self, now_s: float) -> int:
        expired = (
            select(sidecar.c.account_id, sidecar.c.digest).where(sidecar.c.expires_at <= now_s).limit(SWEPT_TOGETHER)
        )
        statement = delete(sidecar).where(tuple_(sidecar.c.account_id, sidecar.c.digest).in_(expired))
        return await self._threads.write(lambda connection: connection.execute(statement).rowcount)

    def _put(
        self, connection: Connection, account_id: AccountId, entries: Mapping[str, bytes], expires_at: float
    ) -> None:
        rows = [
            {
                "account_id": account_id,
                "digest": self._sealer.digest(_place(account_id, key)),
                "expires_at": expires_at,
                "content": self._sealer.seal(_place(account_id, key), state),
            }
            for key, state in entries.items()
        ]
        for start in range(0, len(rows), ASKED_TOGETHER):
            digests = [row["digest"] for row in rows[start : start + ASKED_TOGETHER]]
            connection.execute(_FORGET, {"whose": account_id, "asked": digests})
        connection.execute(_KEEP, rows)

    def _find(self, connection: Connection, account_id: AccountId, wanted: Mapping[bytes, str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        digests = list(wanted)
        for start in range(0, len(digests), ASKED_TOGETHER):
            asked = digests[start : start + ASKED_TOGETHER]
            for row in connection.execute(_FIND, {"whose": account_id, "asked": asked, "now_s": clock.now_s()}):
                key = wanted[bytes(row.digest)]
                found[key] = self._sealer.open(_place(account_id, key), row.content)
        return found


def _place(account_id: str, key: str) -> tuple[str, ...]:
    return ("sidecar entry", account_id, key)


# Built once: building a statement costs more than running it.
_ASKED = sidecar.c.account_id == bindparam("whose"), sidecar.c.digest.in_(bindparam("asked", expanding=True))
_FIND = select(sidecar.c.digest, sidecar.c.content).where(*_ASKED, sidecar.c.expires_at > bindparam("now_s"))
_FORGET = delete(sidecar).where(*_ASKED)
_KEEP = insert(sidecar)
