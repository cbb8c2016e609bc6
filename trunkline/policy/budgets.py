"""How budgets are cut into slices, and what one process may do with a slice that it has leased.

A slice is one lease: `granted` nano-dollars that no other process holds from. Of these a part is held by calls under
way, and the rest is `free`. What becomes of it:

| state | new holds                    | more of it | what ends frees      | the free part                   |
|-------|------------------------------|------------|----------------------|---------------------------------|
| LIVE  | while they fit, in its period| yes        | is free here         | goes back when idle or asked for|
| ENDED | none                         | no         | goes back            | goes back                       |
| LOST  | none                         | no         | nothing              | nothing                         |

LIVE becomes ENDED when its period is over, its budget has changed (the store has fenced it) or nobody uses it; LIVE and
ENDED become LOST when the store has declared the process dead and counted its leases without it.

| event                           | granted           | held | store: leased     | store: spent |
|---------------------------------|-------------------|------|-------------------|--------------|
| grow by g                       | + g               |      | + g               |              |
| hold n                          |                   | + n  |                   |              |
| settle n with cost c            | - min(c, granted) | - n  | - min(c, granted) | + c          |
| release n (settle with cost 0)  |                   | - n  |                   |              |
| give back b, at most what is free| - b              |      | - b               |              |

free = granted - held, always. A cost above its hold takes from what is free, and makes it negative when that is not
enough: then nothing is held until other calls have ended below their holds. Amounts here change when an entry is handed
to the ledger, in the store when it is written, and both happen in the same order; so what a settlement frees may be
held at once by a call whose entry queues behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from trunkline.ports.budgets import Leased
from trunkline.ports.ledger import Draw

# A slice is for this many calls like the one that asks, and at most this part of what is left: so a call in many asks
# the store, several processes find something left, and at the end each call takes just what it needs.
CALLS_PER_SLICE = 64
SLICES_LEFT = 8
NEVER = float("inf")


def slice_size(left: int, at_least: int) -> int:
    """Nano-dollars to lease, where `left` are neither spent nor leased and `at_least` are needed now; 0 when they are
    not there. Never more than `left`, and exactly `at_least` once little is left."""
    if at_least > left:
        return 0
    return max(at_least, min(left // SLICES_LEFT, at_least * CALLS_PER_SLICE))


class SliceState(Enum):
    LIVE = "live"
    ENDED = "ended"
    LOST = "lost"


LIVE, ENDED, LOST = SliceState


class Slice:
    """One lease of this process. `watched` is the owner's: somebody wants to know when more of it is free.

    `growing`: more has been asked of the store, which has not answered. `leased` is what it said last. `period_end` is
    Unix seconds.
    """

    __slots__ = (
        "_owed",
        "epoch",
        "free",
        "granted",
        "growing",
        "lease_id",
        "leased",
        "period_end",
        "pot_id",
        "source",
        "state",
        "used",
        "watched",
    )

    def __init__(self, leased: Leased) -> None:
        self.leased = leased
        self.source = leased.source
        self.lease_id = leased.lease_id
        self.pot_id = leased.pot_id
        self.epoch = leased.epoch
        self.period_end = NEVER if leased.period_end is None else leased.period_end
        self.granted = self.free = leased.granted_nanos
        self.state = LIVE
        self.growing = False
        self.used = True
        self.watched = False
        self._owed = 0

    @property
    def held(self) -> int:
        """What calls under way hold of it."""
        return self.granted - self.free

    def is_same(self, leased: Leased) -> bool:
        """Whether the store speaks of this lease."""
        return self.lease_id == leased.lease_id and self.epoch == leased.epoch

    def covers(self, nanos: int, now_s: float) -> bool:
        """Whether a call may hold so much of it at that moment (Unix seconds)."""
        return self.free >= nanos and self.state is LIVE and now_s < self.period_end

    def hold(self, nanos: int) -> None:
        """Of what it covers."""
        self.free -= nanos
        self.used = True

    def settle(self, held: int, cost: int) -> int:
        """A call that held so much has ended: what of its cost came out of this lease. The rest is beyond it."""
        paid = min(cost, self.granted)
        self.granted -= paid
        self.free += held - paid
        if self.growing:
            # The store adds before it takes this, as it was asked before.
            self._owed += cost - paid
        return paid

    def reopen(self, held: int, paid: int) -> None:
        """What was settled could not be written: the call holds it still."""
        self.granted += paid
        self.free -= held - paid

    def grow(self, leased: Leased) -> None:
        """What the store has added to this lease."""
        self.leased = leased
        added = max(0, leased.granted_nanos - self._owed)
        self.granted += added
        self.free += added

    def answered(self) -> None:
        """The store has said whether there is more."""
        self.growing = False
        self._owed = 0

    def give_back(self) -> int:
        """Parts with what is free of it: so much goes back to the store."""
        if self.state is LOST or self.free <= 0:
            return 0
        back = self.free
        self.granted -= back
        self.free = 0
        return back

    def draw(self, nanos: int, *, charged: bool = True) -> Draw:
        return Draw(self.lease_id, self.pot_id, self.epoch, nanos, charged)


def hold_all(slices: Sequence[Slice], amounts: Sequence[int], now_s: float) -> bool:
    """Holds each amount from the slice in its place, or nothing at all: False."""
    for piece, nanos in zip(slices, amounts, strict=True):
        if piece.free < nanos or piece.state is not LIVE or now_s >= piece.period_end:
            return False
    for piece, nanos in zip(slices, amounts, strict=True):
        piece.hold(nanos)
    return True


def paying(draws: Sequence[Draw]) -> str | None:
    """The pots that pay, as an entry lists them: each once, with commas; None for none."""
    ids = dict.fromkeys(draw.pot_id for draw in draws if draw.charged)
    return ",".join(map(str, ids)) or None
