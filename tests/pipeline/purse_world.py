"""Processes on one store whose writing is done by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from tests.policy.reference_process import Process
from tests.policy.reference_store import Store
from trunkline.errors import BudgetExceeded, BudgetUnavailable, StoreUnavailable
from trunkline.ids import ENTRY_ENDED, ENTRY_OPENED, AccountId, KeyId, entry_id
from trunkline.pipeline.holds import Hold
from trunkline.pipeline.scopes import Funding, Source
from trunkline.ports.budgets import Period
from trunkline.ports.ledger import Draw, Entry

T = TypeVar("T")
REFUSALS = (BudgetExceeded, BudgetUnavailable, StoreUnavailable)


class World:
    """`budgets`: source -> limit, each in every `period`."""

    def __init__(self, count: int = 1, period: Period = "never", **budgets: int) -> None:
        terms: dict[str, tuple[int, Period, str]] = {}
        for source, limit in budgets.items():
            terms[source] = limit, period, "UTC"
        self.store = Store(terms)
        self.loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = self.loop.create_future()
        self.processes: list[Process] = []
        self.processes += [Process(self, slot) for slot in range(count)]
        self.leases = 0
        lease = self.store.lease

        def counted(holder: int, wanted: Any) -> Any:
            self.leases += 1
            return lease(holder, wanted)

        self.store.lease = counted  # type: ignore[method-assign]

    async def run(self, *doing: Coroutine[Any, Any, T]) -> list[T | BaseException]:
        """Until all have ended: what they return, or raise."""
        tasks = [asyncio.ensure_future(one) for one in doing]
        await self.write_until(lambda: all(task.done() for task in tasks))
        return await asyncio.gather(*tasks, return_exceptions=True)

    async def get(self, doing: Coroutine[Any, Any, T]) -> T:
        (result,) = await self.run(doing)
        if isinstance(result, BaseException):
            raise result
        return result

    async def write_until(self, is_done: Any, rounds: int = 200) -> None:
        for _ in range(rounds):
            await self.turn()
            if is_done():
                return
            for process in self.processes:
                if not process.is_paused:
                    process.write()
        raise AssertionError("it never ends")

    async def turn(self) -> None:
        """What can be done without the store."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def written(self, *awaitables: Awaitable[None]) -> None:
        """Everything that was handed over is on disk."""
        await self.write_until(lambda: not any(process.ledger.queue for process in self.processes))
        for one in awaitables:
            await one


def funding(*sources: str) -> Funding:
    return Funding(tuple(Source(source, source) for source in sources))


def entry(number: int, kind: int, draws: tuple[Draw, ...]) -> Entry:
    state = "open" if kind == ENTRY_OPENED else "settled"
    owner = AccountId("acct_1"), KeyId("key_1")
    return Entry(entry_id=entry_id(number, 1, kind), state=state, account_id=owner[0], key_id=owner[1], draws=draws)  # type: ignore[arg-type]


async def opened(world: World, process: Process, number: int, hold: Hold) -> None:
    await world.written(process.ledger.append([entry(number, ENTRY_OPENED, hold.draws())]))


async def settled(world: World, process: Process, number: int, hold: Hold, cost: int) -> None:
    draws = hold.settled(cost, "m")
    held: dict[int, int] = {}
    for part in hold.parts():
        held[part.piece.pot_id] = held.get(part.piece.pot_id, 0) + part.nanos
    world.store.held[entry_id(number, 1, ENTRY_ENDED)] = held
    await world.written(process.ledger.append([entry(number, ENTRY_ENDED, draws)]))
