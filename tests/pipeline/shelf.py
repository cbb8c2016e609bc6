"""Keys in memory, as a store of them that does what a test wants."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import partial

import msgspec

from trunkline.errors import StoreUnavailable
from trunkline.ids import AccountId, KeyId
from trunkline.policy.keys import digest
from trunkline.ports.keys import KeyRecord

DIGEST = partial(digest, b"pepper for tests")


def record(credential: str, *, expires_at: float | None = None, retires: tuple[str, ...] = ()) -> KeyRecord:
    return KeyRecord(
        digest=DIGEST(credential),
        key_id=KeyId("key_" + credential),
        account_id=AccountId("acct_root"),
        name="test",
        expires_at=expires_at,
        retires=tuple(DIGEST(before) for before in retires),
    )


class Shelf:
    """A store in memory that can be out of reach, slow or broken."""

    def __init__(self, *credentials: str) -> None:
        self.records = {DIGEST(credential): record(credential) for credential in credentials}
        self.number = 1
        self.reachable = True
        self.defect: Exception | None = None
        self.finds = 0
        self.touched: list[dict[KeyId, float]] = []
        self.retired: list[list[bytes]] = []
        self.asked = 0
        self._asking = threading.Condition()
        self.open = threading.Event()
        self.open.set()
        self.finding = threading.Event()

    def add(self, added: KeyRecord) -> None:
        self.records[added.digest] = added
        self.number += 1

    def remove(self, credential: str) -> None:
        del self.records[DIGEST(credential)]
        self.number += 1

    def version(self) -> int:
        with self._asking:
            self.asked += 1
            self._asking.notify_all()
        self._demand_reachable()
        return self.number

    def live_keys(self) -> list[KeyRecord]:
        self._demand_reachable()
        return list(self.records.values())

    def find(self, digest: bytes) -> KeyRecord | None:
        self.finds += 1
        self._demand_reachable()
        found = self.records.get(digest)
        self.finding.set()
        assert self.open.wait(30)
        return found

    def touch(self, used: dict[KeyId, float]) -> None:
        self._demand_reachable()
        self.touched.append(used)

    def retire(self, used: Sequence[bytes]) -> None:
        self._demand_reachable()
        self.retired.append(list(used))
        for first in used:
            for before in self.records[first].retires:
                self.records.pop(before, None)
            self.records[first] = msgspec.structs.replace(self.records[first], retires=())
        self.number += 1

    async def looked_at(self) -> None:
        """Returns when a look has begun and ended from now on."""

        def wait() -> None:
            with self._asking:
                # One may have begun before now; the next begins and ends from now on; the third begins after its end.
                enough = self.asked + 3
                assert self._asking.wait_for(lambda: self.asked >= enough, 30)

        await asyncio.to_thread(wait)

    def _demand_reachable(self) -> None:
        if self.defect is not None:
            raise self.defect
        if not self.reachable:
            raise StoreUnavailable("The database does not answer (for a test).")
