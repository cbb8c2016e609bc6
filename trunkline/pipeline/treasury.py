"""What the money of all calls of one process rests on: the ledger, the leases, who belongs to which budgets."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from trunkline import clock
from trunkline.errors import StoreUnavailable
from trunkline.ids import CallNumbers, first_number, number_of
from trunkline.observe import logger
from trunkline.pipeline.funds import Funds, Hold
from trunkline.pipeline.scopes import Scopes, cut
from trunkline.ports.ledger import Entry, Ledger
from trunkline.ports.tenancy import Tenancy

SLACK_MS = 10_000
"""A call that begins registers its number within this time."""
FIRST_RATE = 50.0
"""Output tokens a second of a deployment that has not answered yet."""
RATE_WEIGHT = 0.2
INSIST_S = 5.0
"""How long the end of an answer waits for what it costs to be on disk."""
AGAIN_S = 0.5

log = logger("treasury")


class BudgetsOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[budgets]`"""

    default_max_output_tokens: Annotated[
        int,
        Meta(ge=1, description="What is held, and asked for, of a call under a budget that says no maximum itself."),
    ] = 4096


class LedgerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[ledger]`"""

    durability: Annotated[
        Literal["strict", "relaxed"],
        Meta(
            description="`strict`: the end of an answer waits until its cost is on disk. `relaxed`: it does not wait;"
            " a crash may lose what the last moments cost."
        ),
    ] = "strict"


class Debt:
    """Entries that end calls, until they are on disk. While the ledger refuses them, the call holds what it held:
    `hold` is ended again, with the same cost, each time that they are handed over."""

    __slots__ = ("_cost_nanos", "_hold", "_is_refused", "_model_id", "entries")

    def __init__(
        self, entries: Sequence[Entry], hold: Hold | None = None, cost_nanos: int = 0, model_id: str = ""
    ) -> None:
        """The `hold` has been settled with that cost, by that model."""
        self.entries = entries
        self._hold = hold
        self._cost_nanos = cost_nanos
        self._model_id = model_id
        self._is_refused = False

    def handed_over(self) -> Sequence[Entry]:
        """The ledger gets them, in this turn of the loop."""
        if self._is_refused and self._hold is not None:
            self._hold.settled(self._cost_nanos, self._model_id)
        self._is_refused = False
        return self.entries

    def refused(self) -> None:
        if not self._is_refused and self._hold is not None:
            self._hold.reopen()
        self._is_refused = True


class Treasury:
    """One per process, on the loop. `scopes` is replaced when accounts or budgets change, `numbers` when the ledger
    gives this process another slot. `under_way` are the numbers of calls that have not ended."""

    def __init__(
        self,
        ledger: Ledger,
        funds: Funds,
        tenancy: Tenancy,
        budgets: Callable[[], BudgetsOptions],
        options: Callable[[], LedgerOptions],
    ) -> None:
        """`budgets` and `options` tell the settings of the moment."""
        self.ledger = ledger
        self.funds = funds
        self.tenancy = tenancy
        self.scopes = Scopes(tenancy)
        self.numbers = CallNumbers()
        self.under_way: dict[int, None] = {}
        self.terms: dict[tuple[str, int], Any] = {}
        """Of admission.py, which remembers here what holds until `follow`."""
        self._budgets = budgets
        self._options = options
        self._rates: dict[str, float] = {}
        self._owed: list[Debt] = []
        self._paying: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Future[None]] = set()

    @property
    def default_max_output(self) -> int:
        return self._budgets().default_max_output_tokens

    @property
    def waits(self) -> bool:
        return self._options().durability == "strict"

    def follow(self, tenancy: Tenancy) -> None:
        """Accounts or budgets may have changed. An older snapshot than the one that is known changes nothing."""
        if tenancy.version > self.tenancy.version:
            ended = cut(self.tenancy, tenancy)
            self.tenancy, self.scopes = tenancy, Scopes(tenancy)
            self.terms.clear()
            self.funds.drop(ended)

    def oldest_number(self) -> int:
        """Every call with a smaller number has ended, and its entries were handed to the ledger."""
        began = first_number(int(clock.now_s() * 1000) - SLACK_MS)
        owed = (number_of(entry.entry_id) for debt in self._owed for entry in debt.entries)
        return min(began, next(iter(self.under_way), began), *owed)

    def registered(self, slot: int, after: int) -> None:
        self.numbers = CallNumbers(slot, after)

    def check_writable(self) -> None:
        """Raises StoreUnavailable when what a call costs could not be kept."""
        if self._owed or self.ledger.is_failing:
            raise StoreUnavailable("What this call costs cannot be written down now; try again.", retry_after_s=1.0)

    def write(self, debt: Debt) -> None:
        """Nobody waits for it; it is tried until it is on disk."""
        written = asyncio.ensure_future(self.ledger.append(debt.handed_over()))
        self._writing.add(written)
        written.add_done_callback(functools.partial(self._written, debt))

    async def insist(self, debt: Debt) -> None:
        """The end of a call, which was refused once. Raises StoreUnavailable when it is not on disk in time; then it is
        tried on without the caller."""
        try:
            async with asyncio.timeout(INSIST_S):
                while True:
                    await asyncio.sleep(AGAIN_S)
                    try:
                        await self.ledger.append(debt.handed_over())
                    except StoreUnavailable:
                        debt.refused()
                    else:
                        return
        except TimeoutError:
            self.write(debt)
            raise StoreUnavailable(
                "What this call cost could not be written down in time; the answer is not complete.", retry_after_s=1.0
            ) from None
        except asyncio.CancelledError:
            self.write(debt)
            raise

    def owe(self, debt: Debt) -> None:
        """To be written when that is possible again."""
        self._owed.append(debt)
        if self._paying is None:
            log.error("ledger_owes", calls=len(self._owed), detail="what calls cost is kept in memory")
            self._paying = asyncio.get_running_loop().call_later(AGAIN_S, self._pay)

    def _pay(self) -> None:
        self._paying = None
        owed, self._owed = self._owed, []
        for debt in owed:
            self.write(debt)

    def _written(self, debt: Debt, written: asyncio.Future[None]) -> None:
        self._writing.discard(written)
        error = None if written.cancelled() else written.exception()
        if isinstance(error, StoreUnavailable):
            debt.refused()
            self.owe(debt)
        elif error is not None:
            log.error("not_in_the_ledger", entry=debt.entries[-1].entry_id, exc_info=error)

    async def close(self) -> None:
        """What was handed over is written, or refused for good."""
        if self._paying is not None:
            self._paying.cancel()
            self._pay()
        if self._writing:
            await asyncio.wait(self._writing, timeout=INSIST_S)
        if self._owed:
            log.error("ledger_owes", calls=len(self._owed), detail="the next start settles them as open")
        await self.funds.close()

    def took(self, model_id: str, tokens: int, seconds: float) -> None:
        """An answer of so many tokens took so long: what later ones are measured by that nobody could count."""
        if tokens > 0 and seconds > 0:
            known = self._rates.get(model_id)
            rate = tokens / seconds
            self._rates[model_id] = rate if known is None else known + RATE_WEIGHT * (rate - known)

    def tokens_in(self, model_id: str, seconds: float) -> int:
        """What the deployment makes in that time, at least 1."""
        return max(1, int(self._rates.get(model_id, FIRST_RATE) * seconds))
