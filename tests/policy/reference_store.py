"""A store of pots, leases and entries in plain Python, which checks itself whenever a balance changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from trunkline import clock
from trunkline.errors import StoreUnavailable
from trunkline.ids import ENTRY_ENDED, ENTRY_OPENED, kind_of
from trunkline.policy.budgets import slice_size
from trunkline.policy.periods import period_bounds
from trunkline.ports.budgets import Leased, Period, Wanted
from trunkline.ports.ledger import Draw, Entry, Fenced

Work = Callable[[], Any]


@dataclass
class Pot:
    """`excess`: how far spent and leased may still rise for what was used above its hold."""

    id: int
    source: str
    start: float
    end: float | None
    limit: int
    spent: int = 0
    leased: int = 0
    excess: int = 0

    @property
    def left(self) -> int:
        return self.limit - self.spent - self.leased

    def change(self, spent: int, leased: int) -> None:
        before = self.spent + self.leased
        self.spent += spent
        self.leased += leased
        risen = self.spent + self.leased - max(before, self.limit)
        if risen > 0:
            self.excess -= risen
            assert self.excess >= 0, f"{self} is over its limit"
        assert self.leased >= 0


@dataclass
class Lease:
    id: int
    pot: Pot
    holder: int
    epoch: int = 1
    state: str = "live"
    granted: int = 0

    @property
    def is_over(self) -> bool:
        return self.state in ("closed", "dead")

    def take(self, nanos: int) -> int:
        taken = 0 if self.is_over else min(nanos, self.granted)
        self.granted -= taken
        return taken


@dataclass
class Store:
    """`budgets`: source -> limit, period, zone. `held`: what an ended entry held of each pot, as told here."""

    budgets: dict[str, tuple[int, Period, str]]
    pots: list[Pot] = field(default_factory=list)
    leases: dict[int, Lease] = field(default_factory=dict)
    holders: dict[int, int] = field(default_factory=dict)
    dead: set[int] = field(default_factory=set)
    opened: dict[int, tuple[int, Entry]] = field(default_factory=dict)
    ended: dict[int, Entry] = field(default_factory=dict)
    recovered: set[int] = field(default_factory=set)
    held: dict[int, dict[int, int]] = field(default_factory=dict)
    costs: dict[int, int] = field(default_factory=dict)
    on_refused: Callable[[int, Sequence[Pot]], None] = lambda _holder, _pots: None

    def register(self, slot: int) -> int:
        holder = len(self.holders) + 1
        self.holders[holder] = slot
        return holder

    def pot(self, source: str) -> Pot:
        limit, period, zone = self.budgets[source]
        newest = next((pot for pot in reversed(self.pots) if pot.source == source), None)
        if newest is not None and (newest.end is None or clock.now_s() < newest.end):
            return newest
        start, end = period_bounds(period, zone, clock.now_s())
        made = Pot(len(self.pots) + 1, source, start, end, limit)
        self.pots.append(made)
        return made

    def set_limit(self, source: str, limit: int) -> None:
        pot = self.pot(source)
        _, period, zone = self.budgets[source]
        self.budgets[source] = limit, period, zone
        if limit < pot.limit:
            for lease in self.leases.values():
                if lease.pot is pot and lease.state == "live":
                    lease.state, lease.epoch = "fenced", lease.epoch + 1
        pot.limit = limit

    def lease(self, holder: int, wanted: Sequence[Wanted]) -> tuple[Leased, ...]:
        if holder in self.dead:
            raise Fenced
        pots = [self.pot(want.source) for want in wanted]
        assert all(want.at_least > 0 for want in wanted)
        fits = all(want.at_least <= pot.left for pot, want in zip(pots, wanted, strict=True))
        if not fits:
            self.on_refused(holder, pots)
        return tuple(self._grant(holder, pot, want, fits=fits) for pot, want in zip(pots, wanted, strict=True))

    def _grant(self, holder: int, pot: Pot, want: Wanted, *, fits: bool) -> Leased:
        nanos, lease = 0, Lease(0, pot, holder)
        if fits:
            nanos = want.at_least if want.exact else slice_size(pot.left, want.at_least)
            lease = self._lease_of(holder, pot)
            lease.granted += nanos
            pot.change(0, nanos)
            assert pot.spent + pot.leased <= pot.limit
        others = {
            self.holders[other.holder]
            for other in self.leases.values()
            if other.pot is pot and not other.is_over and other.granted and other.holder not in {holder, *self.dead}
        }
        return Leased(
            source=pot.source,
            pot_id=pot.id,
            lease_id=lease.id,
            epoch=lease.epoch,
            granted_nanos=nanos,
            limit_nanos=pot.limit,
            spent_nanos=pot.spent,
            leased_nanos=pot.leased,
            period_start=pot.start,
            period_end=pot.end,
            others=tuple(sorted(others)),
        )

    def _lease_of(self, holder: int, pot: Pot) -> Lease:
        """The live one, or a closed one opened again under a new epoch, or a new one."""
        found = [lease for lease in self.leases.values() if lease.pot is pot and lease.holder == holder]
        for lease in found:
            if lease.state == "live":
                return lease
        for lease in found:
            if lease.state == "closed":
                lease.state, lease.epoch = "live", lease.epoch + 1
                return lease
        made = self.leases[len(self.leases) + 1] = Lease(len(self.leases) + 1, pot, holder)
        return made

    def give_back(self, parts: Iterable[tuple[int, int]]) -> None:
        for lease_id, nanos in parts:
            lease = self.leases[lease_id]
            taken = lease.take(nanos)
            assert lease.is_over or taken == nanos or lease.pot.excess, "more was given back than was leased"
            lease.pot.change(0, -taken)
            if not lease.is_over and lease.granted == 0:
                lease.state = "closed"

    def append(self, holder: int, entries: Sequence[Entry]) -> None:
        draws = [draw for entry in entries if kind_of(entry.entry_id) == ENTRY_OPENED for draw in entry.draws]
        over = {draw.lease_id for draw in draws if not self._is_live(draw)}
        if over:
            raise Fenced(tuple(sorted(over)))
        for entry in entries:
            if kind_of(entry.entry_id) == ENTRY_OPENED:
                assert entry.entry_id not in self.opened
                self.opened[entry.entry_id] = holder, entry
            else:
                self._end(entry)

    def _is_live(self, draw: Draw) -> bool:
        lease = self.leases[draw.lease_id]
        return lease.state == "live" and lease.epoch == draw.epoch

    def _end(self, entry: Entry) -> None:
        former = self.ended.get(entry.entry_id)
        if former is None:
            assert self.opened.pop(entry.entry_id - ENTRY_ENDED, None) is not None, "ended without a beginning"
        else:
            # It was counted without the process that knew better, which is heard once.
            assert entry.entry_id in self.recovered, "settled twice"
            self.recovered.discard(entry.entry_id)
        self.ended[entry.entry_id] = entry
        self._pay(entry.draws, self.held.get(entry.entry_id, {}), () if former is None else former.draws)

    def _pay(self, draws: Sequence[Draw], held: dict[int, int], former: Sequence[Draw] = ()) -> None:
        spent: dict[int, int] = {}
        freed: dict[int, int] = {}
        for draw in draws:
            if draw.charged:
                spent[draw.pot_id] = spent.get(draw.pot_id, 0) + draw.nanos
                freed[draw.pot_id] = freed.get(draw.pot_id, 0) + self.leases[draw.lease_id].take(draw.nanos)
        for pot_id, nanos in spent.items():
            self.pots[pot_id - 1].excess += max(0, nanos - held.get(pot_id, 0))
        for draw in former:
            spent[draw.pot_id] = spent.get(draw.pot_id, 0) - draw.nanos
        for pot_id, nanos in spent.items():
            self.pots[pot_id - 1].change(nanos, -freed.get(pot_id, 0))
            self.costs[pot_id] = self.costs.get(pot_id, 0) + nanos

    def expire(self, holder: int) -> None:
        """The process is dead: what it held open is spent, and the rest returns."""
        self.dead.add(holder)
        mine = [(place, entry) for place, (owner, entry) in self.opened.items() if owner == holder]
        for place, entry in mine:
            del self.opened[place]
            ended = place + ENTRY_ENDED
            self.ended[ended] = entry
            self.recovered.add(ended)
            held: dict[int, int] = {}
            for draw in entry.draws:
                held[draw.pot_id] = held.get(draw.pot_id, 0) + draw.nanos
            self._pay(entry.draws, held)
        for lease in self.leases.values():
            if lease.holder == holder and not lease.is_over:
                lease.pot.change(0, -lease.take(lease.granted))
                lease.state = "dead"

    def excuse(self, ended: int) -> None:
        """The end of an attempt could not be written, so what it holds may be held by others too."""
        _, entry = self.opened.get(ended - ENTRY_ENDED, (0, None))
        for draw in () if entry is None else entry.draws:
            self.pots[draw.pot_id - 1].excess += draw.nanos

    def check(self) -> None:
        """Between any two transactions."""
        for pot in self.pots:
            leases = [lease for lease in self.leases.values() if lease.pot is pot]
            assert pot.leased == sum(lease.granted for lease in leases)
            assert pot.spent == self.costs.get(pot.id, 0)
            for lease in leases:
                assert lease.granted >= 0
                assert not (lease.is_over and lease.granted)
        held: dict[int, int] = {}
        for _, entry in self.opened.values():
            for draw in entry.draws:
                held[draw.lease_id] = held.get(draw.lease_id, 0) + draw.nanos
        for lease_id, nanos in held.items():
            lease = self.leases[lease_id]
            assert nanos <= lease.granted + lease.pot.excess, "calls under way hold more than is leased"


class ReferenceLedger:
    """Fulfils ports.ledger.Ledger: what is handed over waits until `write`."""

    is_failing = False

    def __init__(self, store: Store, slot: int, loop: asyncio.AbstractEventLoop) -> None:
        self.store = store
        self.slot = slot
        self.holder = store.register(slot)
        self.queue: list[tuple[asyncio.Future[Any], Work, bool]] = []
        self._loop = loop

    def append(self, entries: Sequence[Entry]) -> Awaitable[None]:
        return self._put(lambda: self.store.append(self.holder, entries))

    def lease(self, wanted: Sequence[Wanted]) -> Awaitable[tuple[Leased, ...]]:
        return self._put(lambda: self.store.lease(self.holder, wanted))

    def give_back(self, parts: Sequence[tuple[int, int]]) -> Awaitable[None]:
        return self._put(lambda: self.store.give_back(parts), lasting=True)

    def live_until_s(self) -> float:
        return float("inf")

    def write(self) -> None:
        """One transaction of all that waits; in a failing one nothing is written but what outlasts it, later."""
        queue, self.queue = self.queue, []
        for future, work, lasting in queue:
            if self.is_failing:
                _end(future, StoreUnavailable("the disk is full"))
                if lasting:
                    self.queue.append((self._loop.create_future(), work, lasting))
                continue
            try:
                result = work()
            except Fenced as fenced:
                _end(future, fenced)
            else:
                if not future.done():
                    future.set_result(result)
            self.store.check()

    def _put(self, work: Work, *, lasting: bool = False) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        self.queue.append((future, work, lasting))
        return future


def _end(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # whoever waited may have left
