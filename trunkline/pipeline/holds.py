"""What one call holds of the slices that this process has leased."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trunkline.errors import Defect
from trunkline.pipeline.scopes import Funding, Source
from trunkline.policy.budgets import Slice, hold_all
from trunkline.ports.ledger import Draw

Need = tuple[Source, int]
"""A source, and the nano-dollars to hold of it."""


class Part:
    """What a hold has of one slice, and `paid` of it. `more` is of the same pot, added when the hold was extended."""

    __slots__ = ("is_added", "more", "nanos", "paid", "piece", "source")

    def __init__(self, source: Source, piece: Slice, nanos: int) -> None:
        self.source = source
        self.piece = piece
        self.nanos = nanos
        self.paid = 0
        self.is_added = False
        self.more: Part | None = None


class Hold:
    """Everything that one call must fit holds what it may cost. It ends once: `settled` or `released`.

    What ends a hold frees the rest of it at once, so hand its entry to the ledger before anything else is awaited.
    """

    __slots__ = ("_freed", "_parts", "funding", "is_open")

    def __init__(
        self, funding: Funding, freed: Callable[[Slice], None], needs: Sequence[Need], slices: Sequence[Slice]
    ) -> None:
        """`slices` hold the `needs` already. `freed` is called when more is free of one that is watched."""
        self.funding = funding
        self.is_open = True
        self._freed = freed
        self._parts = [Part(source, piece, nanos) for (source, nanos), piece in zip(needs, slices, strict=True)]

    def parts(self) -> Sequence[Part]:
        return self._parts

    def draws(self) -> tuple[Draw, ...]:
        """For the entry that opens an attempt: what is held."""
        self._check_open()
        return tuple([part.piece.draw(part.nanos) for part in self._parts])

    def settled(self, cost_nanos: int, model_id: str) -> tuple[Draw, ...]:
        """For the entry that ends the call: what is spent, by the sources that pay for the model that served it."""
        self._check_open()
        self.is_open = False
        draws = []
        for first in self._parts:
            if first.is_added:
                continue
            part, charged = first, first.source.pays_for(model_id)
            left = cost_nanos if charged else 0
            while part.more is not None:
                spent = min(left, part.nanos)
                draws.append(self._settle(part, spent, charged=charged))
                left -= spent
                part = part.more
            draws.append(self._settle(part, left, charged=charged))
        return tuple(draws)

    def released(self) -> tuple[Draw, ...]:
        """For the entry that ends a call which nobody pays, if it was opened. Once the hold has ended, nothing."""
        if not self.is_open:
            return ()
        self.is_open = False
        return tuple([self._settle(part, 0, charged=False) for part in self._parts])

    def within(self, at_ms: int) -> int:
        """That moment (milliseconds since 1970), or the nearest to it within the periods that pay: since the hold was
        taken midnight may have come, and the clock may have been set back."""
        for part in self._parts:
            if at_ms >= part.piece.period_end * 1000:
                at_ms = int(part.piece.period_end) * 1000 - 1
        for part in self._parts:
            if at_ms < part.piece.leased.period_start * 1000:
                at_ms = int(part.piece.leased.period_start) * 1000
        return at_ms

    def reopen(self) -> None:
        """The entry that ended the call could not be written: the call holds what it held, and may end again."""
        if self.is_open:
            raise Defect("a hold that has not ended cannot be opened again")
        self.is_open = True
        for part in self._parts:
            part.piece.reopen(part.nanos, part.paid)

    def extend(self, nanos: int, now_s: float) -> bool:
        """Holds so much more of everything, if it is in memory. `now_s` is Unix time."""
        self._check_open()
        lasts = self.lasts()
        if not lasts or not hold_all([part.piece for part in lasts], [nanos] * len(lasts), now_s):
            return False
        for part in lasts:
            part.nanos += nanos
        return True

    def add(self, needs: Sequence[Need], slices: Sequence[Slice]) -> None:
        """`slices`, of the same pots, hold these too."""
        lasts = {part.source.id: part for part in self.lasts()}
        for (source, nanos), piece in zip(needs, slices, strict=True):
            last = lasts.get(source.id)
            if last is not None and last.piece is piece:
                last.nanos += nanos
                continue
            part = Part(source, piece, nanos)
            self._parts.append(part)
            if last is not None:
                last.more, part.is_added = part, True

    def lasts(self) -> list[Part]:
        """The part of each source that grows."""
        return [part for part in self._parts if part.more is None]

    def _settle(self, part: Part, cost: int, *, charged: bool) -> Draw:
        piece = part.piece
        part.paid = piece.settle(part.nanos, cost)
        if piece.watched:
            self._freed(piece)
        return piece.draw(cost, charged=charged)

    def _check_open(self) -> None:
        if not self.is_open:
            raise Defect("a hold ends once, and nothing is drawn on it afterwards")
