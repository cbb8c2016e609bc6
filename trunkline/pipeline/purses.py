"""What this process has leased of each source, and its way back to the store."""

from __future__ import annotations

import asyncio

import msgspec

from trunkline import clock
from trunkline.errors import BudgetExceeded, BudgetUnavailable, StoreUnavailable
from trunkline.money import usd_text
from trunkline.pipeline.scopes import Source
from trunkline.policy.budgets import ENDED, LIVE, LOST, Slice
from trunkline.ports.budgets import WALLET, Leased
from trunkline.ports.ledger import Fenced, Ledger

RECALL_S = 1.0
"""How long a call waits for what other processes hold idle; so long nothing stays idle in a process that was asked."""
UNKNOWN_S = 0.05
"""How long nobody asks again where nobody could tell."""
IDLE_S = 5.0
"""What was not used between two sweeps goes back."""


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """`available` would have fitted. `leased` is what the store said; None when nothing could be learnt, or a process
    that may hold something idle did not answer."""

    source: Source
    needed: int
    available: int = 0
    held: int = 0
    leased: Leased | None = None

    def spares(self, model_id: str, nanos: int) -> bool:
        """Whether that model would not be refused for this."""
        return nanos <= self.available or not self.source.pays_for(model_id)

    def error(self) -> BudgetExceeded | BudgetUnavailable:
        scope, leased = self.source.scope, self.leased
        if leased is None:
            return BudgetUnavailable(
                f"What is left of the budget of the {scope} cannot be told now; try again.", retry_after_s=1.0
            )
        wallet = self.source.id.startswith(WALLET)
        code = "insufficient_credits" if wallet else "budget_exceeded"
        said = (
            f"This call may cost ${usd_text(self.needed)}, which the {'credit' if wallet else 'budget'} of the {scope}"
        )
        if self.source.is_above:
            return BudgetExceeded(f"{said} does not cover.", scope=scope, resets_at=leased.period_end, code=code)
        return BudgetExceeded(
            f"{said} does not cover: of ${usd_text(leased.limit_nanos)}, ${usd_text(leased.spent_nanos)} are spent and"
            f" ${usd_text(self.held)} held by calls under way.",
            scope=scope,
            limit_nanos=leased.limit_nanos,
            used_nanos=leased.spent_nanos,
            held_nanos=self.held,
            resets_at=leased.period_end,
            code=code,
        )


class Purse:
    """What this process has of one source. `waiting` calls are in line for it. Until `asked_until` nothing of it stays
    idle here, and in the processes in `heard` until the time beside their slot. The `refusal` was learnt at
    `refused_at` (all of them clock.monotonic_s)."""

    __slots__ = ("asked_until", "heard", "leasing", "line", "piece", "refusal", "refused_at", "source_id", "waiting")

    def __init__(self, source_id: str) -> None:
        self.source_id = source_id
        self.piece: Slice | None = None
        self.line = asyncio.Lock()
        self.waiting = 0
        self.leasing: asyncio.Future[tuple[Leased, ...]] | None = None
        self.refusal: Refusal | None = None
        self.heard: dict[int, float] = {}
        self.refused_at = self.asked_until = 0.0

    async def __aenter__(self) -> None:
        self.waiting += 1
        try:
            await self.line.acquire()
        except BaseException:
            self.waiting -= 1
            raise

    async def __aexit__(self, *_: object) -> None:
        self.waiting -= 1
        self.line.release()

    def covers(self, nanos: int, now_s: float) -> bool:
        return self.piece is not None and self.piece.covers(nanos, now_s)

    def remembered(self, nanos: int, since_s: float) -> Refusal | None:
        """The refusal that a call of so much, which waits since then, would get too.

        Only what the store was asked after the call had come is true for it: meanwhile others may have given back.
        """
        refusal = self.refusal
        if refusal is None or nanos < refusal.needed:
            return None
        unknown_s = UNKNOWN_S if refusal.leased is None else 0.0
        if since_s <= self.refused_at + unknown_s:
            return msgspec.structs.replace(refusal, needed=nanos)
        return None

    def remember(self, refusal: Refusal, asked_s: float) -> None:
        """Until more is free here. The store was asked at `asked_s`."""
        self.refusal, self.refused_at = refusal, asked_s
        if self.piece is not None:
            self.piece.watched = True

    def nobody_idle(self) -> set[int]:
        """The slots of those who have nothing idle, as they were asked."""
        now = clock.monotonic_s()
        self.heard = {slot: until for slot, until in self.heard.items() if now < until}
        return set(self.heard)

    def is_unused(self) -> bool:
        until = max(self.asked_until, self.refused_at + UNKNOWN_S, *self.heard.values())
        return self.piece is None and not self.waiting and self.leasing is None and clock.monotonic_s() >= until


class Purses:
    """All of them. One per process, on the loop."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._purses: dict[str, Purse] = {}
        self._returns: dict[int, int] = {}
        self._returning: set[asyncio.Future[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def get(self, source_id: str) -> Purse | None:
        return self._purses.get(source_id)

    def of(self, source_id: str) -> Purse:
        purse = self._purses.get(source_id)
        if purse is None:
            purse = self._purses[source_id] = Purse(source_id)
            self._sweep_later()
        return purse

    def granted(self, purse: Purse, leased: Leased) -> None:
        """The store has leased more."""
        purse.refusal = None
        piece = purse.piece
        if piece is not None and piece.is_same(leased):
            piece.grow(leased)
        else:
            if piece is not None:
                self.end(piece)
            purse.piece = piece = Slice(leased)
        piece.watched = clock.monotonic_s() < purse.asked_until
        if piece.watched and not purse.waiting:
            # The call that it was for has left.
            self.give_back(piece)

    def freed(self, piece: Slice) -> None:
        """More is free of a slice that is watched."""
        if piece.state is not LIVE:
            self.give_back(piece)
            return
        purse = self.of(piece.source)
        purse.refusal = None
        piece.watched = clock.monotonic_s() < purse.asked_until
        if piece.watched:
            self.give_back(piece)

    def end(self, piece: Slice) -> None:
        """Nothing more is held of it, and what is free goes back."""
        if piece.state is LIVE:
            piece.state, piece.watched = ENDED, True
        self._forget(piece)
        self.give_back(piece)

    def end_all(self) -> None:
        for piece in self._pieces():
            self.end(piece)

    def lose_all(self) -> None:
        """The store has declared this process dead and counted without it."""
        for piece in self._pieces():
            piece.state = LOST
            self._forget(piece)
        self._returns.clear()

    def give_back(self, piece: Slice) -> None:
        """What is free of it, at the end of this turn of the loop: behind the entries that are handed over in it."""
        back = piece.give_back()
        is_empty = piece.state is ENDED and piece.granted == piece.free == 0
        if back or is_empty:
            if not self._returns:
                asyncio.get_running_loop().call_soon(self.hand_back)
            self._returns[piece.lease_id] = self._returns.get(piece.lease_id, 0) + back

    def hand_back(self) -> None:
        """Hands the ledger what goes back, now."""
        if self._returns:
            parts = tuple(self._returns.items())
            self._returns.clear()
            future = asyncio.ensure_future(self._ledger.give_back(parts))
            self._returning.add(future)
            future.add_done_callback(self._handed_back)

    async def all_returned(self) -> None:
        """What was handed back is on disk. Raises StoreUnavailable."""
        if self._returning:
            done, _ = await asyncio.wait(set(self._returning))
            for future in done:
                if isinstance(error := future.exception(), StoreUnavailable):
                    raise error

    def sweep(self) -> None:
        """Gives back what was not used since the last time, and what is of a period that is over."""
        now_s = clock.now_s()
        for purse in list(self._purses.values()):
            piece = purse.piece
            if purse.is_unused():
                del self._purses[purse.source_id]
            elif piece is None or purse.waiting or purse.leasing is not None:
                continue
            elif now_s >= piece.period_end or not (piece.used or piece.held):
                self.end(piece)
            elif not piece.used:
                self.give_back(piece)
            else:
                piece.used = False
        self.hand_back()
        self.stop()
        if self._purses:
            self._sweep_later()

    def stop(self) -> None:
        """No sweep comes any more by itself."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def _handed_back(self, future: asyncio.Future[None]) -> None:
        self._returning.discard(future)
        error = None if future.cancelled() else future.exception()
        # What cannot be written now the ledger writes later; of leases that have ended nothing is left to give back.
        if error is not None and not isinstance(error, StoreUnavailable | Fenced):
            raise error

    def _pieces(self) -> list[Slice]:
        return [purse.piece for purse in self._purses.values() if purse.piece is not None]

    def _forget(self, piece: Slice) -> None:
        purse = self._purses.get(piece.source)
        if purse is not None and purse.piece is piece:
            purse.piece = None

    def _sweep_later(self) -> None:
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(IDLE_S, self.sweep)
