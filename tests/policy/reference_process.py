"""A process of a gateway, as far as budgets go, that is written for and asked by a test."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from tests.policy.reference_store import Pot, ReferenceLedger, Store
from trunkline.pipeline.funds import Funds
from trunkline.policy.budgets import Slice
from trunkline.ports.recall import Asked


def seen(task: asyncio.Future[Any]) -> None:
    """Nobody may be left who wants to know."""
    if not task.cancelled():
        task.exception()


class Machine(Protocol):
    """Where they run. `over` ends when the time of those who ask is over."""

    store: Store
    loop: asyncio.AbstractEventLoop
    over: asyncio.Future[None]
    processes: list[Process]


class ReferenceRecall:
    """Asks the other processes of the machine. Its time is over when the machine says so."""

    def __init__(self, machine: Machine) -> None:
        self.on_asked: Asked | None = None
        self._machine = machine

    async def ask(self, slots: Sequence[int], source: str, timeout_s: float) -> frozenset[int]:
        asked = {}
        for process in self._machine.processes:
            if process.ledger.slot in slots and not process.is_paused:
                task = asked[process.ledger.slot] = asyncio.ensure_future(process.funds.asked(source))
                task.add_done_callback(seen)
        over = self._machine.over
        while not over.done() and not all(task.done() for task in asked.values()):
            await asyncio.wait(
                [over, *(task for task in asked.values() if not task.done())], return_when="FIRST_COMPLETED"
            )
        return frozenset(slot for slot, task in asked.items() if task.done() and task.exception() is None)


class Process:
    def __init__(self, machine: Machine, slot: int) -> None:
        self.ledger = ReferenceLedger(machine.store, slot, machine.loop)
        self.funds = Funds(self.ledger, ReferenceRecall(machine))
        self.is_paused = False
        self.slices: list[Slice] = []

    @property
    def is_dead(self) -> bool:
        return self.ledger.holder in self.ledger.store.dead

    @property
    def is_heard(self) -> bool:
        return not self.is_paused and not self.is_dead

    def write(self) -> None:
        """A process that was taken for dead learns it so, and registers anew."""
        was_dead = self.is_dead
        self.ledger.write()
        if was_dead:
            self.ledger.holder = self.ledger.store.register(self.ledger.slot)
            self.funds.lose_all()

    def piece(self, source: str) -> Slice | None:
        purse = self.funds.purses.get(source)
        return None if purse is None else purse.piece

    def free(self, pot: Pot) -> int:
        piece = self.piece(pot.source)
        return piece.free if piece is not None and piece.pot_id == pot.id else 0
