"""The ledger on SQLite: one queue on the loop, one thread that writes all that has gathered in one transaction.

Idle, the thread gets what came in this turn of the loop at its end; busy, it gets the rest once it has reported. One
wake-up each way is for the whole batch, which is what makes an entry cheap.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from trunkline import clock, observe
from trunkline.errors import StoreUnavailable
from trunkline.ids import ENTRY_OPENED, kind_of
from trunkline.ports.budgets import Leased, Wanted
from trunkline.ports.ledger import Entry, Fenced
from trunkline.storage import entries, holders, leases
from trunkline.storage.entries import Appending, Holding, Late
from trunkline.storage.holders import HolderTimes, SlotFiles, slot_folder
from trunkline.storage.ledger_writer import Batch, Doing, LedgerWriter, Work
from trunkline.storage.recovery import Recovery

GIVEN_UP_S: Final = 1.8
"""A batch that the disk keeps for longer has failed for those who wait."""
LOOK_S: Final = 0.1
LAST_WAIT_S: Final = 5.0
"""For a disk that does not answer, when the process ends."""

log = observe.logger("storage")
Result = TypeVar("Result")


class LedgerHooks(msgspec.Struct, frozen=True):
    """What the ledger asks of the pipeline. `oldest_number`: the smallest number of a call whose last entry is not on
    disk, or the number that a call beginning now would have; None before there are numbers. `on_registered(slot,
    after)`: this process has that slot from now on and its next call a number above `after`; whatever was leased
    before is gone."""

    oldest_number: Callable[[], int | None]
    on_registered: Callable[[int, int], None]


class SqlLedger:
    """Fulfils ports.ledger.Ledger for one process. Between `start` and `close`."""

    def __init__(self, database: Path, late: Late | None = None, times: HolderTimes | None = None) -> None:
        """`late` is told of the rows of each transaction, in it."""
        self.slot = 0
        self.is_failing = False
        self._times = times or HolderTimes()
        self._slots = SlotFiles(slot_folder(database))
        self._recovery = Recovery(database, self._slots, self._times.life_s, late)
        self._writer = LedgerWriter(database, late)
        self._late = late
        self._orders: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="ledger", daemon=True)
        self._waiting: list[Appending | Doing] = []
        self._lasting: list[Doing] = []
        self._alone = False
        self._at_work: Batch | None = None
        self._scheduled = False
        self._closed = True
        self._holding = Holding(0, 0)
        self._live_until_s = 0.0
        self._fenced = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, hooks: LedgerHooks) -> None:
        """Registers this process. Raises StoreUnavailable."""
        self._loop = asyncio.get_running_loop()
        self._hooks = hooks
        self._closed = False
        self._thread.start()
        self._look()
        await self._register()
        self._tasks = [asyncio.create_task(self._beat_for_ever()), asyncio.create_task(self._recover_for_ever())]

    async def recover(self) -> int:
        """End what dead processes left open and return what they held. Returns how many. Raises StoreUnavailable."""
        return await self._recovery.recover(self.run, self._holding.holder_id)

    def append(self, entries: Sequence[Entry]) -> Awaitable[None]:
        """As ports.ledger.Ledger.append. Raises Defect, through the awaitable, for an entry that is there with another
        content."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._put(Appending(entries, future))
        return future

    def lease(self, wanted: Sequence[Wanted]) -> Awaitable[tuple[Leased, ...]]:
        """As ports.ledger.Ledger.lease. Raises Fenced, through the awaitable, when this process is taken for dead."""
        holder_id = self._holding.holder_id
        doing = self._doing(lambda connection: leases.lease(connection, wanted, holder_id, clock.now_s()))
        doing.undo = lambda granted: partial(
            leases.give_back, parts=[(lease.lease_id, lease.granted_nanos) for lease in granted]
        )
        future: asyncio.Future[tuple[Leased, ...]] = doing.future
        self._put(doing)
        return future

    def give_back(self, parts: Sequence[tuple[int, int]]) -> Awaitable[None]:
        """As ports.ledger.Ledger.give_back. Gone in any case: when it cannot be written now, it is written later."""
        doing = self._doing(partial(leases.give_back, parts=tuple(parts)))
        doing.lasting = True
        future: asyncio.Future[None] = doing.future
        self._put(doing)
        return future

    def run(self, work: Callable[[sqlite3.Connection], Result]) -> Awaitable[Result]:
        """Work in its place in the queue. It may run twice, the first time rolled back. Raises, through the awaitable,
        StoreUnavailable and what `work` raises of ours."""
        doing = self._doing(work)
        future: asyncio.Future[Result] = doing.future
        self._put(doing)
        return future

    def live_until_s(self) -> float:
        return self._live_until_s

    async def drain(self) -> None:
        """Ends when all that was handed over before has been written or refused."""
        with suppress(StoreUnavailable):
            await self.run(lambda _: None)

    async def close(self) -> None:
        """Writes what was handed over, gives back all leases and lets the slot go."""
        if self._closed:
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.drain()
        try:
            await self._recovery.leave(self.run, self._holding.holder_id)
        except StoreUnavailable as error:
            log.warning("leases_left", reason=error.message, detail="the next process to start returns them")
        self._closed = True
        self._orders.put(None)
        await asyncio.to_thread(self._thread.join, LAST_WAIT_S)
        self._slots.close()

    def _doing(self, work: Work) -> Doing:
        return Doing(work, self._loop.create_future())

    def _put(self, item: Appending | Doing) -> None:
        if self._closed or (self._at_work is not None and self._at_work.told):
            self._refuse([item], _unavailable("the last transaction has not come back"))
            return
        self._waiting.append(item)
        if self._at_work is None and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        self._scheduled = False
        items, self._waiting = self._waiting, []
        if self._lasting:
            items[:0], self._lasting = self._lasting, []
        self._at_work = batch = Batch(items, self._holding, self._loop.time())
        batch.alone, batch.live_until_s = self._alone, self._live_until_s
        self._orders.put(self._at_work)

    def _write_all(self) -> None:
        """The thread."""
        while (batch := self._orders.get()) is not None:
            self._writer.write(batch)
            with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._report, batch)
            self._writer.checkpoint()
        self._writer.close()

    def _report(self, batch: Batch) -> None:
        self._at_work = None
        self.is_failing = batch.failed is not None
        if batch.failed is not None:
            waiting, self._waiting = self._waiting, []
            self._refuse([*batch.items, *waiting], batch.failed)
        elif batch.told:
            self._make_up_for(batch)
        else:
            for item in batch.items:
                self._tell(item)
        # At the end of this turn: what they do who wake now goes with the rest.
        if self._waiting and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._hand_over)

    def _tell(self, item: Appending | Doing) -> None:
        future = item.future
        if isinstance(item.error, Fenced) and not item.error.lease_ids:
            self._live_until_s = 0.0
            self._fenced.set()
        if future is None or future.done():
            return
        if item.error is not None:
            future.set_exception(item.error)
        elif isinstance(item, Doing):
            future.set_result(item.result)
        else:
            future.set_result(None)

    def _refuse(self, items: Sequence[Appending | Doing], error: StoreUnavailable) -> None:
        for item in items:
            if item.future is not None and not item.future.done():
                item.future.set_exception(error)
            if isinstance(item, Doing) and item.lasting and not self._closed:
                item.future = None
                self._lasting.append(item)  # with the next thing that is to be written

    def _look(self) -> None:
        """A disk that does not answer keeps nobody waiting."""
        if self._closed:
            return
        batch = self._at_work
        if batch is not None and not batch.told and self._loop.time() - batch.handed_over_s > GIVEN_UP_S:
            batch.told = self.is_failing = True
            error = _unavailable("the disk does not answer")
            waiting, self._waiting = self._waiting, []
            for item in batch.items:
                if item.future is not None and not item.future.done():
                    item.future.set_exception(error)
            self._refuse(waiting, error)
        self._loop.call_later(LOOK_S, self._look)

    def _make_up_for(self, batch: Batch) -> None:
        """It was written after all, when nobody counted on it any more: calls that were not sent end here."""
        now_ms = int(clock.now_s() * 1000)
        for item in batch.items:
            if item.error is not None:
                continue
            if isinstance(item, Appending):
                opened = [entry for entry in item.entries if kind_of(entry.entry_id) == ENTRY_OPENED]
                if opened:
                    self._waiting.append(Appending([entries.cancel(entry, now_ms) for entry in opened], None))
            elif item.undo is not None:
                self._waiting.append(Doing(item.undo(item.result), None))

    async def _register(self) -> None:
        sent_s = clock.monotonic_s()
        oldest_number = self._hooks.oldest_number()
        made = await self.run(
            lambda connection: holders.register(connection, self._slots, self._times.life_s, oldest_number)
        )
        self._holding = made.holding
        self.slot = made.holding.slot
        self._live_until_s = sent_s + self._times.life_s - self._times.margin_s
        self._hooks.on_registered(self.slot, made.after)

    async def _beat(self) -> None:
        sent_s = clock.monotonic_s()
        oldest_number = self._hooks.oldest_number()
        work = partial(
            holders.beat,
            holder_id=self._holding.holder_id,
            expires_at=clock.now_s() + self._times.life_s,
            oldest_number=oldest_number,
        )
        if await self.run(work):
            self._live_until_s = sent_s + self._times.life_s - self._times.margin_s
            self._alone = await self.run(partial(holders.is_alone, holder_id=self._holding.holder_id))
            return
        log.warning("holder_lost", slot=self.slot, detail="this process stood still for too long")
        self._live_until_s = 0.0
        await self._register()

    async def _beat_for_ever(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._times.beat_s):
                    await self._fenced.wait()
            self._fenced.clear()
            try:
                await self._beat()
            except StoreUnavailable as error:
                log.warning("no_sign_of_life", reason=error.message)

    async def _recover_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._times.beat_s)
            try:
                await self.recover()
            except StoreUnavailable as error:
                log.warning("recovery_failed", reason=error.message)


def _unavailable(reason: str) -> StoreUnavailable:
    return StoreUnavailable(f"The ledger cannot be written ({reason}).", retry_after_s=1.0)
