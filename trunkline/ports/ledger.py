"""The ledger: one entry for each step of an attempt, append-only, written in the order in which balances changed.

An attempt is `opened` (what it may cost is held), then ended: `settled` (it cost something, or could have), `released`
(nobody pays), or both at once in one `whole` entry. A truth that is learnt later is an `adjusted` entry beside them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Final, Literal, Protocol

import msgspec

from trunkline.ids import AccountId, KeyId
from trunkline.money import Nanos
from trunkline.ports.budgets import Leased, Wanted

State = Literal["open", "settled", "released", "adjusted"]
OPEN: Final[State] = "open"
SETTLED: Final[State] = "settled"
RELEASED: Final[State] = "released"
ADJUSTED: Final[State] = "adjusted"


class Draw(msgspec.Struct, frozen=True, gc=False):
    """What one entry takes out of one lease: `nanos` is what is held by an opened entry, what is spent by an ended one.
    `charged`: the pot pays for the attempt; a pot of another model than the one that served does not."""

    lease_id: int
    pot_id: int
    epoch: int
    nanos: int
    charged: bool = True


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row. The fields up to `pots` are the table's columns in its order; `draws` says what balances it changes.

    `entry_id` has the call, the attempt and the kind in it (trunkline.ids). `endpoint` is the route's name, such as
    `chat` or `embeddings`. `cost_nanos` is what the account pays, `upstream_cost_nanos` what the provider costs us;
    `overshoot_nanos` is how far the cost went over the hold. Times are whole milliseconds since 1970. `pots` lists the
    ids of the pots that pay, with commas.
    """

    entry_id: int
    state: State
    account_id: AccountId
    key_id: KeyId
    tag: str | None = None
    end_user: str | None = None
    model: str = ""
    provider: str = ""
    protocol: str = ""
    endpoint: str = ""
    held_nanos: Nanos = Nanos(0)
    cost_nanos: Nanos = Nanos(0)
    upstream_cost_nanos: Nanos = Nanos(0)
    overshoot_nanos: Nanos = Nanos(0)
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    images: int = 0
    estimated: bool = False
    batch: bool = False
    service_tier: str | None = None
    price_version: str = ""
    status: int = 0
    opened_at_ms: int = 0
    settled_at_ms: int | None = None
    pots: str | None = None
    draws: tuple[Draw, ...] = ()


class Fenced(Exception):
    """The leases that an opened entry draws on are not this process's any more: nothing of it was written, and its
    call must not be sent. `lease_ids` are those that ended; none: all of this process's."""

    def __init__(self, lease_ids: tuple[int, ...] = ()) -> None:
        super().__init__("the lease has ended")
        self.lease_ids = lease_ids


class Ledger(Protocol):
    """Used on the loop only. What is handed over is written in that order, several in one transaction; each awaitable
    ends once its part is on disk, and raises StoreUnavailable when it is not."""

    slot: int
    """This process's number among those alive, 0 to 255: it is in the ids of its calls."""
    is_failing: bool
    """The last transaction did not reach the disk; heartbeats try again every two seconds."""

    def append(self, entries: Sequence[Entry]) -> Awaitable[None]:
        """All of them in one transaction, handed over before this returns. Raises Fenced through the awaitable when a
        lease that an opened one draws on has ended; then none of `entries` is written."""
        ...

    def lease(self, wanted: Sequence[Wanted]) -> Awaitable[tuple[Leased, ...]]:
        """Slices of all of them, or of none: one answer for each, `granted_nanos` 0 everywhere when one of them has
        less left than its `at_least`."""
        ...

    def give_back(self, parts: Sequence[tuple[int, int]]) -> Awaitable[None]:
        """(lease id, nano-dollars) that are not needed. A lease of which nothing is left is closed."""
        ...

    def live_until_s(self) -> float:
        """clock.monotonic_s until which this process's leases are certainly its own: 0.0 once they may not be."""
        ...
