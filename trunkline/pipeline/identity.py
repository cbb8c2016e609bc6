"""Who calls: every live key in memory, kept true by a thread that asks the store four times a second.

`get` is synchronous and touches nothing outside the process. `lookup` asks the store for a key that the table lacks, so
that a new one works at once. The table is changed on the loop only; the thread reads the store and hands over.

The first use of a secret that retires those before it ends them here at once, and everywhere when the thread has told
the store.
"""

from __future__ import annotations

import asyncio
import hmac
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec

from trunkline import clock
from trunkline.errors import StoreUnavailable, Unauthenticated, Unavailable
from trunkline.ids import KeyId
from trunkline.observe import logger
from trunkline.policy.keys import KeyShape, state
from trunkline.ports.keys import KeyRecord, KeyStore

_log = logger("identity")


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """`poll_s`: between two looks at the version. `flush_s`: between two writes of last-used times. `trust_s`: how long
    the table counts without a look that succeeded. `miss_s`: how long an unknown key stays unknown. `memo_s`: the
    longest that a credential is remembered beside its digest."""

    poll_s: float = 0.25
    flush_s: float = 5.0
    trust_s: float = 60.0
    miss_s: float = 1.0
    memo_s: float = 5.0
    most_lookups: int = 64
    most_misses: int = 10_000


class KeyTable:
    """Every method is called on the loop that `start` ran on."""

    def __init__(
        self, store: KeyStore, digest: Callable[[str], bytes], shape: KeyShape, *, pace: Pace | None = None
    ) -> None:
        self.on_change: Callable[[], None] | None = None
        """Called on the loop after the store's version moved and the table follows it."""
        self.beside: Callable[[], Callable[[], None]] | None = None
        """Reads, in a thread, what must be known of a key's account before the key is; what it returns is called on the
        loop before the key is known."""
        self._store = store
        self._digest = digest
        self._shape = shape
        self._pace = pace or Pace()
        self._records: dict[bytes, KeyRecord] = {}
        # From the credential itself, so that a busy key costs no HMAC. It holds live keys only, so it is no longer
        # than the table, and it is keyed by the whole string, so two credentials never meet.
        self._memo: dict[str, KeyRecord] = {}
        self._memo_until = 0.0
        self._misses: dict[bytes, float] = {}
        self._lookups: dict[bytes, asyncio.Task[KeyRecord | None]] = {}
        # Digests of secrets that were used and retire others, and of those others: until the store has it too.
        self._used_first: set[bytes] = set()
        self._retired: set[bytes] = set()
        self._version: int | None = None
        self._confirmed_at: float | None = None
        self._used: dict[KeyId, float] = {}
        self._flushed: dict[KeyId, float] = {}
        self._told: set[bytes] = set()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        # Not the loop's own threads: those resolve names, and a store that hangs must not hold them.
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="key-lookup")

    async def start(self) -> None:
        """Read the table and begin to watch. Raises StoreUnavailable."""
        loop = asyncio.get_running_loop()
        began_at = clock.monotonic_s()
        version, records, follow = await loop.run_in_executor(self._workers, self._read)
        self._replace(version, records, began_at, follow)
        self._thread = threading.Thread(target=self._watch, args=(loop,), name="key-table", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Stop watching for good and write what is still in memory: last-used times, and which secrets have retired.

        Raises StoreUnavailable when they cannot be written; all else is done.
        """
        self._stopping.set()
        loop = asyncio.get_running_loop()
        try:
            if self._thread is not None:
                await loop.run_in_executor(self._workers, self._thread.join)
                self._thread = None
            await loop.run_in_executor(self._workers, self._retire)
            await loop.run_in_executor(self._workers, self._flush)
        finally:
            self._workers.shutdown(wait=False)

    def confirmed_age_s(self) -> float:
        """Seconds since the store last said that the table is true; infinite before the first time."""
        return float("inf") if self._confirmed_at is None else clock.monotonic_s() - self._confirmed_at

    def get(self, credential: str) -> KeyRecord | None:
        """The key, if the table has it and it has not ended. Raises StoreUnavailable when the table is too old."""
        now_s = clock.monotonic_s()
        if now_s >= self._memo_until:
            self._memo.clear()
            self._memo_until = now_s + self._pace.memo_s
        record = self._memo.get(credential)
        if record is None:
            record = self._recognise(credential)
            if record is None:
                return None
        if self._confirmed_at is None or now_s - self._confirmed_at > self._pace.trust_s:
            raise StoreUnavailable("Keys cannot be checked now: the database does not answer.", retry_after_s=1.0)
        used_at = clock.now_s()
        if record.expires_at is not None and used_at >= record.expires_at:
            return None
        self._used[record.key_id] = used_at
        return record

    async def lookup(self, credential: str) -> KeyRecord:
        """The key, asking the store when the table lacks it. Raises Unauthenticated only when the store has said so,
        StoreUnavailable when it says nothing."""
        record = self.get(credential)
        if record is not None:
            return record
        if self._shape.is_garbled(credential):
            raise Unauthenticated("This API key is incomplete or mistyped: its checksum does not fit.")
        digest = self._digest(credential)
        record = self._records.get(digest)
        if record is None:
            record = await self._ask(digest)
        if record is None:
            raise Unauthenticated("This API key is not known here, or was revoked.")
        if state(record, clock.now_s()) == "expired":
            raise Unauthenticated("This API key has expired.")
        if record.retires:
            self._end_those_before(record)
        self._used[record.key_id] = clock.now_s()
        return record

    def _recognise(self, credential: str) -> KeyRecord | None:
        digest = self._digest(credential)
        record = self._records.get(digest)
        # A miss compares too, so that both ways take as long.
        same = hmac.compare_digest(digest if record is None else record.digest, digest)
        if record is None or not same:
            return None
        if record.retires and state(record, clock.now_s()) == "active":
            self._end_those_before(record)
        self._memo[credential] = record
        return record

    def _end_those_before(self, record: KeyRecord) -> None:
        """On the first use of a rotated key's new secret; the thread tells the store."""
        if record.digest in self._used_first:
            return
        self._used_first.add(record.digest)
        self._retired.update(record.retires)
        for digest in record.retires:
            self._records.pop(digest, None)
        self._memo.clear()

    async def _ask(self, digest: bytes) -> KeyRecord | None:
        """One look-up at a time for each digest, however many wait for it. None: the store does not have it."""
        known_until = self._misses.get(digest)
        if known_until is not None and clock.monotonic_s() < known_until:
            return None
        task = self._lookups.get(digest)
        if task is None:
            if len(self._lookups) >= self._pace.most_lookups:
                raise Unavailable("Too many unknown keys are being checked; try again.", retry_after_s=1.0)
            task = asyncio.create_task(self._find(digest))
            self._lookups[digest] = task
            task.add_done_callback(partial(self._end_lookup, digest))
        # Shielded: one caller that leaves must not take the answer from the others.
        return await asyncio.shield(task)

    def _end_lookup(self, digest: bytes, task: asyncio.Task[KeyRecord | None]) -> None:
        del self._lookups[digest]
        if not task.cancelled():
            task.exception()  # seen, though every caller may have left

    async def _find(self, digest: bytes) -> KeyRecord | None:
        table = self._records
        record, follow = await asyncio.get_running_loop().run_in_executor(self._workers, self._look_up, digest)
        if follow is not None:
            follow()
        # A table that came meanwhile may be younger than this answer, so it is left alone: a key revoked in between
        # must not come back. The next look-up asks again.
        if digest in self._retired:
            return None
        if table is self._records:
            if record is None:
                self._remember_miss(digest)
            else:
                self._records[digest] = record
        return record

    def _look_up(self, digest: bytes) -> tuple[KeyRecord | None, Callable[[], None] | None]:
        record = self._store.find(digest)
        if record is None or self.beside is None or self._store.version() == self._version:
            return record, None
        return record, self.beside()

    def _remember_miss(self, digest: bytes) -> None:
        if len(self._misses) >= self._pace.most_misses:
            self._misses.clear()
        self._misses[digest] = clock.monotonic_s() + self._pace.miss_s

    def _replace(
        self, version: int, records: list[KeyRecord], began_at: float, follow: Callable[[], None] | None = None
    ) -> None:
        moved = self._version is not None
        if follow is not None:
            follow()
        self._version = version
        self._records = table = {record.digest: record for record in records}
        # A table that was read before the store knew has them still; they are forgotten with the first that has not.
        self._retired &= table.keys()
        self._used_first = {digest for digest in self._used_first if digest in table and table[digest].retires}
        for digest in self._retired:
            del table[digest]
        self._memo.clear()
        self._misses.clear()
        self._confirmed_at = began_at
        if moved and self.on_change is not None:
            self.on_change()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """The thread. It, and what it calls, never changes the table."""
        reachable = True
        flush_at = clock.monotonic_s() + self._pace.flush_s
        while not self._stopping.wait(self._pace.poll_s):
            try:
                self._poll(loop)
                self._retire()
                if clock.monotonic_s() >= flush_at:
                    self._flush()
                    flush_at = clock.monotonic_s() + self._pace.flush_s
            except RuntimeError:
                if loop.is_closed():
                    return
                _log.exception("watch_failed")
            except StoreUnavailable as error:
                if reachable:
                    _log.warning("store_unreachable", reason=error.message)
                reachable = False
            except Exception:
                # The last resort: a watch that died would leave revoked keys alive until the table is too old.
                _log.exception("watch_failed")
            else:
                if not reachable:
                    _log.info("store_reachable")
                reachable = True

    def _retire(self) -> None:
        used = self._used_first.copy()
        if later := used - self._told:
            self._store.retire(tuple(later))
            self._told = used

    def _poll(self, loop: asyncio.AbstractEventLoop) -> None:
        # The moment before the question: a table is as old as what was asked, not as the answer.
        began_at = clock.monotonic_s()
        if self._store.version() == self._version:
            self._confirmed_at = began_at
            return
        version, records, follow = self._read()
        loop.call_soon_threadsafe(self._replace, version, records, began_at, follow)

    def _read(self) -> tuple[int, list[KeyRecord], Callable[[], None] | None]:
        # The version first: a change between is then seen again at the next look, never missed. The accounts last: no
        # key is younger than what is known of its budgets.
        version = self._store.version()
        records = self._store.live_keys()
        return version, records, self.beside() if self.beside is not None else None

    def _flush(self) -> None:
        used = self._used.copy()
        later = {key_id: at for key_id, at in used.items() if self._flushed.get(key_id) != at}
        if later:
            self._store.touch(later)
            self._flushed = used
