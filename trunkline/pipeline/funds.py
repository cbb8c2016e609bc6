"""What calls under way may cost, held out of the slices of budgets that this process has leased.

A call that fits what is leased is held at once, in memory. One that does not asks the store for more, for all its
sources in one transaction; if the store has not enough, the other processes give back what they do not need, and the
store is asked once more. So a refusal is true: at that moment everything was spent or held by calls. Calls that are
short of a source wait in one line for it, and none overtakes them.

What a call that ends does not spend is free in memory at once, before its entry is written. That is safe, as its entry
is handed to the ledger in the same turn of the loop, and the ledger writes in the order in which it is handed things:
the entry of a call that takes what was freed is written after it, and what goes back to the store, which is handed over
at the end of the turn, does so after it too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import AsyncExitStack

import msgspec

from trunkline import clock
from trunkline.errors import BudgetExceeded, Defect, StoreUnavailable
from trunkline.observe import logger
from trunkline.pipeline.holds import Hold as Hold
from trunkline.pipeline.holds import Need, Part
from trunkline.pipeline.purses import RECALL_S, Purse, Purses, Refusal
from trunkline.pipeline.scopes import Funding, Source
from trunkline.policy.budgets import LOST, Slice, hold_all
from trunkline.ports.budgets import Leased, Wanted
from trunkline.ports.ledger import Fenced, Ledger
from trunkline.ports.recall import Recall

MOST_ROUNDS = 32

log = logger("funds")


class Funds:
    """One per process, on the loop."""

    def __init__(self, ledger: Ledger, recall: Recall | None = None) -> None:
        """`recall` asks the other processes, and is told here what to do when they ask; None: there are none."""
        self._ledger = ledger
        self._recall = recall
        self.purses = Purses(ledger)
        if recall is not None:
            recall.on_asked = self.asked

    def take(self, funding: Funding, nanos: int) -> Hold | None:
        """Holds so much of everything in `funding`, if it is in memory.

        Of 0 nothing is held, so that a free call goes on when a budget is used up.
        """
        needs = [(source, nanos) for source in funding.sources] if nanos else []
        slices = self._take(needs)
        return None if slices is None else Hold(funding, self.purses.freed, needs, slices)

    async def hold(self, funding: Funding, nanos: int) -> Hold:
        """The same, from the store and from other processes where need be.

        Raises BudgetExceeded, which is true then; BudgetUnavailable when nobody can tell; StoreUnavailable.
        """
        made = self.take(funding, nanos)
        if made is not None:
            return made
        return await self._hold(funding, [(source, nanos) for source in funding.sources])

    async def hold_most(self, funding: Funding, demands: Sequence[tuple[str, int]]) -> tuple[Hold, tuple[str, ...]]:
        """Of models that may cost so much each (id, nano-dollars), holds what the dearest that fits may: the ids of
        those that fit, in their order, never none. A source that pays for some only holds what those may.

        Raises as `hold` does, when none fits.
        """
        left = tuple(demands)
        while True:
            needs = _needs(funding, left)
            slices = self._take(needs)
            if slices is None:
                found = await self._secure(needs)
                if isinstance(found, Refusal):
                    left = tuple(one for one in left if found.spares(*one))
                    if not left or found.leased is None:
                        raise found.error()
                    continue
                slices = found
            return Hold(funding, self.purses.freed, needs, slices), tuple(model for model, _ in left)

    async def extend(self, hold: Hold, nanos: int) -> None:
        """Holds so much more for the call.

        A call belongs to the period in which it began; once that is over there is only what was held. Raises as `hold`.
        """
        now_s = clock.now_s()
        if not nanos or hold.extend(nanos, now_s):
            return
        lasts = {part.source.id: part for part in hold.lasts()}
        for part in lasts.values():
            if now_s >= part.piece.period_end:
                raise _over(part)
        needs = [(source, nanos) for source in hold.funding.sources if not lasts or source.id in lasts]
        more = await self._hold(hold.funding, needs)
        added = list(more.parts())
        for part in added:
            last = lasts.get(part.source.id)
            if last is not None and last.piece.pot_id != part.piece.pot_id:
                more.released()
                raise _over(last)
        if hold.is_open:
            hold.add(needs, [part.piece for part in added])
        else:
            more.released()

    async def again(self, hold: Hold, fenced: Fenced) -> Hold:
        """A hold in the place of one whose opened entry was refused, as a lease that it draws on has ended. Raises as
        `hold`; the former hold has ended then too."""
        self.fenced(fenced, hold)
        needs: dict[Source, int] = {}
        for part in hold.parts():
            needs[part.source] = needs.get(part.source, 0) + part.nanos
        hold.released()
        return await self._hold(hold.funding, list(needs.items()))

    def release(self, hold: Hold) -> None:
        """Ends a hold that no entry draws on. One that has ended stays as it is."""
        hold.released()

    def fenced(self, fenced: Fenced, hold: Hold | None = None) -> None:
        """The store has ended leases that the hold draws on, or all of this process's."""
        parts = [] if hold is None else list(hold.parts())
        if fenced.lease_ids:
            for part in parts:
                if part.piece.lease_id in fenced.lease_ids:
                    self.purses.end(part.piece)
            return
        self.lose_all()
        for part in parts:
            part.piece.state = LOST

    def lose_all(self) -> None:
        """The store took this process for dead, and returned what it had leased."""
        self.purses.lose_all()

    def drop(self, source_ids: Iterable[str]) -> None:
        """The store has ended the leases on those (scopes.cut), so that no call needs to be told by its entry."""
        for source_id in source_ids:
            purse = self.purses.get(source_id)
            if purse is not None:
                purse.refusal = None
                if purse.piece is not None:
                    self.purses.end(purse.piece)

    async def asked(self, source_id: str) -> None:
        """Another process is short of this source: what is idle of it here is back in the store when this ends, and for
        a second nothing stays idle. Raises StoreUnavailable."""
        purse = self.purses.of(source_id)
        purse.asked_until = clock.monotonic_s() + RECALL_S
        if purse.leasing is not None:
            # What was asked for before may be more than is needed.
            await asyncio.wait([purse.leasing])
        if purse.piece is not None:
            purse.piece.watched = True
            self.purses.give_back(purse.piece)
        self.purses.hand_back()
        await self.purses.all_returned()

    async def close(self) -> None:
        """Gives back everything that no call holds. Used once, when no further call begins."""
        self.purses.end_all()
        self.purses.hand_back()
        try:
            await self.purses.all_returned()
        except StoreUnavailable as error:
            # The store takes it back itself, once this process has gone.
            log.warning("slices_not_given_back", reason=error.message)
        self.purses.stop()

    def _take(self, needs: Sequence[Need]) -> list[Slice] | None:
        """Holds what is in memory; None where not all is, or where calls are waiting in line for it."""
        slices, amounts = [], []
        for source, nanos in needs:
            purse = self.purses.get(source.id)
            if purse is None or purse.waiting or purse.piece is None:
                return None
            slices.append(purse.piece)
            amounts.append(nanos)
        return slices if hold_all(slices, amounts, clock.now_s()) else None

    async def _hold(self, funding: Funding, needs: Sequence[Need]) -> Hold:
        slices = await self._secure(needs)
        if isinstance(slices, Refusal):
            raise slices.error()
        return Hold(funding, self.purses.freed, needs, slices)

    async def _secure(self, needs: Sequence[Need]) -> list[Slice] | Refusal:
        """Waits in line for every source that is short, and holds."""
        line: set[str] = set()
        since_s = clock.monotonic_s()
        while True:
            async with AsyncExitStack() as places:
                # In one order for all, so that no two calls wait for one another.
                for source_id in sorted(line):
                    await places.enter_async_context(self.purses.of(source_id))
                found = await self._fill(needs, line, since_s)
            if not isinstance(found, set):
                return found
            line |= found

    async def _fill(self, needs: Sequence[Need], line: set[str], since_s: float) -> list[Slice] | Refusal | set[str]:
        """At the head of the `line`: holds, or refuses. A set: of these there is not enough either, or others wait."""
        asking_until = 0.0
        granted: set[str] = set()
        for _ in range(MOST_ROUNDS):
            short = self._short(needs, granted)
            if (refusal := self._remembered(short, since_s)) is not None:
                return refusal
            outside = {source.id for source, _ in short} | {
                one.id for one, _ in needs if self.purses.of(one.id).waiting
            }
            if not short and outside <= line:
                return self._hold_all(needs)
            if self._yields(needs):
                continue
            if not outside <= line:
                return outside - line
            if leasing := [purse.leasing for purse in self._purses_of(short) if purse.leasing is not None]:
                # For a call that has left meanwhile.
                await asyncio.wait(leasing)
                continue
            asked_s = clock.monotonic_s()
            try:
                answers = await self._lease(short)
            except Fenced as fenced:
                self.fenced(fenced)
                continue
            granted = {leased.source for leased in answers if leased.granted_nanos > 0}
            if granted:
                continue
            asking_until = asking_until or clock.monotonic_s() + RECALL_S
            if (refusal := await self._ask(short, answers, asking_until)) is not None:
                self.purses.of(refusal.source.id).remember(refusal, asked_s)
                return refusal
        return Refusal(*needs[0])

    def _yields(self, needs: Sequence[Need]) -> bool:
        """What other processes have asked for does not stay here until the rest has come, or neither would have it."""
        asked = [
            piece for purse in self._purses_of(needs) if (piece := purse.piece) and piece.watched and piece.free > 0
        ]
        for piece in asked:
            self.purses.freed(piece)
        return any(piece.free == 0 for piece in asked)

    def _short(self, needs: Sequence[Need], granted: set[str]) -> list[Need]:
        """Those of which there is not enough here."""
        # What the store has just granted is of the right period by the store's clock, which decides.
        now_s = clock.now_s()
        return [
            (source, nanos)
            for source, nanos in needs
            if not self.purses.of(source.id).covers(nanos, 0.0 if source.id in granted else now_s)
        ]

    def _hold_all(self, needs: Sequence[Need]) -> list[Slice]:
        """Of what has been seen to be enough."""
        slices = []
        for purse in self._purses_of(needs):
            assert purse.piece is not None
            slices.append(purse.piece)
        if not hold_all(slices, [nanos for _, nanos in needs], 0.0):
            raise Defect("a slice that covers a call does not hold it")
        for piece in slices:
            if piece.watched:
                self.purses.freed(piece)
        return slices

    async def _lease(self, short: Sequence[Need]) -> tuple[Leased, ...]:
        """What the store says of what is missing. Whatever it grants is counted here, though the call may leave."""
        now_s, now = clock.now_s(), clock.monotonic_s()
        wanted, purses = [], self._purses_of(short)
        for purse, (source, nanos) in zip(purses, short, strict=True):
            if purse.piece is not None and now_s >= purse.piece.period_end:
                self.purses.end(purse.piece)
            free = 0 if purse.piece is None else purse.piece.free
            wanted.append(Wanted(source.id, nanos - free, exact=now < purse.asked_until))
        self.purses.hand_back()
        answer = self._ledger.lease(wanted)
        growing = [purse.piece for purse in purses if purse.piece is not None]
        for piece in growing:
            piece.growing = True
        leasing = asyncio.ensure_future(self._grow(purses, growing, answer))
        leasing.add_done_callback(_seen)
        for purse in purses:
            purse.leasing = leasing
        try:
            return await asyncio.shield(leasing)
        except StoreUnavailable:
            for purse, (source, _) in zip(purses, short, strict=True):
                # Those in line behind this call would wait as long for the same answer.
                purse.remember(Refusal(source, 0), clock.monotonic_s())
            raise

    async def _grow(
        self, purses: Sequence[Purse], growing: Sequence[Slice], answer: Awaitable[tuple[Leased, ...]]
    ) -> tuple[Leased, ...]:
        try:
            answers = await answer
            for purse, leased in zip(purses, answers, strict=True):
                if leased.granted_nanos > 0:
                    self.purses.granted(purse, leased)
        finally:
            for purse in purses:
                purse.leasing = None
            for piece in growing:
                piece.answered()
        return answers

    async def _ask(self, short: Sequence[Need], answers: Sequence[Leased], until_s: float) -> Refusal | None:
        """The store has not enough. None once others have said that nothing is idle there: ask the store again. They
        have until `until_s` (clock.monotonic_s)."""
        failing = []
        for purse, (source, nanos), leased in zip(self._purses_of(short), short, answers, strict=True):
            free = 0 if purse.piece is None else purse.piece.free
            available = free + leased.limit_nanos - leased.spent_nanos - leased.leased_nanos
            if available < nanos:
                others = set(leased.others) - purse.nobody_idle()
                if not others:
                    return Refusal(source, nanos, available, max(0, leased.leased_nanos - free), leased)
                failing.append((source, nanos, others))
        if failing and (self._recall is None or clock.monotonic_s() >= until_s):
            return Refusal(*failing[0][:2])
        for source, _, others in failing:
            assert self._recall is not None
            asked_s = clock.monotonic_s()
            answered = await self._recall.ask(sorted(others), source.id, max(0.0, until_s - asked_s))
            # So long they keep nothing idle.
            self.purses.of(source.id).heard.update(dict.fromkeys(answered, asked_s + RECALL_S))
        return None

    def _remembered(self, short: Sequence[Need], since_s: float) -> Refusal | None:
        for source, nanos in short:
            refusal = self.purses.of(source.id).remembered(nanos, since_s)
            if refusal is not None:
                # Another account may have been told it, which knows more of the source, or less.
                return msgspec.structs.replace(refusal, source=source)
        return None

    def _purses_of(self, needs: Sequence[Need]) -> list[Purse]:
        return [self.purses.of(source.id) for source, _ in needs]


def _seen(leasing: asyncio.Future[tuple[Leased, ...]]) -> None:
    """The call that it was for may have left."""
    if not leasing.cancelled():
        leasing.exception()


def _needs(funding: Funding, demands: Sequence[tuple[str, int]]) -> list[Need]:
    """Of each source what the dearest model needs that it pays for."""
    most = max([nanos for _, nanos in demands])
    needs = []
    for source in funding.sources:
        nanos = most
        if source.models is not None:
            nanos = max([nanos for model, nanos in demands if model in source.models], default=0)
        if nanos:
            needs.append((source, nanos))
    return needs


def _over(part: Part) -> BudgetExceeded:
    leased, is_above = part.piece.leased, part.source.is_above
    return BudgetExceeded(
        f"The period of the budget of the {part.source.scope} ended while this call was under way; no more than it held"
        " then can be spent on it.",
        scope=part.source.scope,
        limit_nanos=None if is_above else leased.limit_nanos,
        used_nanos=0 if is_above else leased.spent_nanos,
        held_nanos=0 if is_above else leased.leased_nanos,
        resets_at=leased.period_end,
    )
