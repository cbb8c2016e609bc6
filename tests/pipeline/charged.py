"""A scripted house whose calls cost something: a ledger and budgets in memory, and a journal of what came after what.

A token of input is 1,000 nano-dollars here, one of output 3,000: the scripted answers, 3 and 1, cost 6,000. A journal
line is what one transaction wrote (`released 1, open 2`), or what went out: `sent one`, `headers`, `bytes`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import pytest

from tests.pipeline.scripted import HELLO, Ledger, Played, Reply, ScriptedClient, ScriptedTransport, pipeline
from tests.pipeline.test_relay import jump
from tests.policy.reference_store import ReferenceLedger, Store
from trunkline import clock
from trunkline.catalog.prices import PriceOptions
from trunkline.errors import ClientGone, TrunklineError
from trunkline.http import problems
from trunkline.ids import ENTRY_ENDED, ENTRY_OPENED, ROOT_ACCOUNT, AccountId, attempt_of, kind_of
from trunkline.money import Nanos
from trunkline.pipeline import protocols
from trunkline.pipeline.charge import Charge
from trunkline.pipeline.funds import Funds
from trunkline.pipeline.protocols import CallerProtocol
from trunkline.pipeline.treasury import BudgetsOptions, LedgerOptions, Treasury
from trunkline.ports.budgets import WALLET, Budget, ScopeKind
from trunkline.ports.ledger import Entry, Fenced
from trunkline.ports.tenancy import Tenancy, Tenant
from trunkline.providers.transport import UpstreamRequest

INPUT, OUTPUT = 1000, 3000
PRICED = PriceOptions(input=1.0, output=3.0)
DEAR = PriceOptions(input=2.0, output=6.0)
FREE = PriceOptions(input=0, output=0)
PRICES = {f"{name}/small": PRICED for name in ("one", "two", "three")}
ANSWERED = 3 * INPUT + OUTPUT
ACCOUNT = AccountId("acct_1")
BUDGET = "budget_1"
AMPLE = 10**9
SHORT = HELLO[:-1] + b',"max_tokens":10}'
SHORT_STREAM = SHORT[:-1] + b',"stream":true}'
HELLO_TOKENS = 6
"""Of its text, as we estimate them."""
Script = tuple[tuple[float, bytes | Exception], ...]


def budget(limit: int, kind: ScopeKind = "account", subject: str = ACCOUNT, name: str = BUDGET) -> Budget:
    return Budget(id=name, account_id=ACCOUNT, kind=kind, subject=subject, limit_nanos=Nanos(limit))


BUDGETS = {"no budget": (), "a budget": (budget(AMPLE),)}
EITHER = pytest.mark.parametrize("budgets", BUDGETS.values(), ids=BUDGETS)


def hold_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """They show the loop's time, which jumps."""
    monkeypatch.setattr(clock, "monotonic_s", lambda: asyncio.get_running_loop().time())
    monkeypatch.setattr(clock, "now_s", lambda: 1_800_000_000 + asyncio.get_running_loop().time())


def tenancy(budgets: Sequence[Budget] = (), version: int = 1, **own: Any) -> Tenancy:
    """One account below the root; `own` are fields of its tenant."""
    root = Tenant(id=ROOT_ACCOUNT, parent_id=None)
    return Tenancy(
        version=version,
        tenants={ROOT_ACCOUNT: root, ACCOUNT: Tenant(id=ACCOUNT, parent_id=ROOT_ACCOUNT, **own)},
        budgets=tuple(budgets),
    )


class ChargedStore(Store):
    """Takes entries that say all of an attempt at once, and the same entry again. `entries` are those written."""

    def __init__(self, budgets: dict[str, Any]) -> None:
        super().__init__(budgets)
        self.entries: list[Entry] = []
        self.journal: list[str] = []
        self.repeated = 0

    def append(self, holder: int, entries: Sequence[Entry]) -> None:
        known = {one.entry_id for one in self.entries}
        fresh = [one for one in entries if one.entry_id not in known]
        self.repeated += len(entries) - len(fresh)
        for entry in fresh:
            opened = self.opened.get(entry.entry_id - ENTRY_ENDED)
            if kind_of(entry.entry_id) == ENTRY_ENDED and opened is None:
                self.opened[entry.entry_id - ENTRY_ENDED] = holder, entry
            elif opened is not None:
                self.held[entry.entry_id] = {draw.pot_id: draw.nanos for draw in opened[1].draws}
        super().append(holder, fresh)
        self.entries += fresh
        if fresh:
            self.journal.append(", ".join(map(line_of, fresh)))


def line_of(entry: Entry) -> str:
    said = f"{entry.state} {attempt_of(entry.entry_id)}"
    return said if entry.state in ("open", "released") else f"{said}: {entry.cost_nanos}"


class ChargedLedger(ReferenceLedger):
    """Writes at the end of a turn of the loop. `fences` times it refuses an opened entry; `lost` says which leases that
    are; with a `held_up` future nothing is written before that is done. `live_s`: see live_until_s."""

    def __init__(self, store: Store, slot: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(store, slot, loop)
        self.fences = 0
        self.lost: tuple[int, ...] = ()
        self.refuses = 0
        self.stands_still = False
        self.live_s = float("inf")

    def append(self, entries: Sequence[Entry]) -> Awaitable[None]:
        if self.fences and kind_of(entries[-1].entry_id) == ENTRY_OPENED:
            self.fences -= 1
            return self._put(self._fence)
        return super().append(entries)

    def _fence(self) -> None:
        raise Fenced(self.lost)

    def live_until_s(self) -> float:
        return self.live_s

    def write(self) -> None:
        if self.stands_still:
            return
        if self.queue:
            self.is_failing = self.refuses > 0
            self.refuses -= self.is_failing
        super().write()

    def _put(self, work: Callable[[], Any], *, lasting: bool = False) -> asyncio.Future[Any]:
        self._loop.call_soon(self.write)
        return super()._put(work, lasting=lasting)


class Recording(Ledger):
    def status_of(self, error: TrunklineError | None) -> int:
        return 200 if error is None else problems.shape_of(error).status


class JournalTransport(ScriptedTransport):
    """`dials_s`: so long it takes to a connection."""

    journal: list[str]
    dials_s = 0.0

    async def send(self, request: UpstreamRequest) -> Reply:
        await asyncio.sleep(self.dials_s)
        if request.before_sending is not None:
            request.before_sending()
        self.journal.append("sent " + request.origin.host.partition(".")[0])
        return await super().send(request)


class JournalClient(ScriptedClient):
    journal: list[str]

    async def start(self) -> None:
        self.journal.append("headers")
        await super().start()

    async def write(self, data: bytes) -> None:
        self.journal.append("bytes")
        await super().write(data)


Refusal = TypeVar("Refusal", bound=TrunklineError)


class Charged(Played):
    """One call through a house with prices, and what it left in the ledger. Made on a running loop."""

    def __init__(
        self,
        *script: Reply | Exception,
        budgets: Sequence[Budget] = (),
        prices: Mapping[str, PriceOptions] | None = None,
        aliases: Mapping[str, tuple[str, ...]] | None = None,
        credit: int | None = None,
        relaxed: bool = False,
        **tenant: Any,
    ) -> None:
        """`credit`: what the account has in its wallet; `tenant` are further fields of it."""
        super().__init__(*script)
        self.transport = self.provider = JournalTransport(*script)
        self.ledger = Recording()
        self.pipeline = pipeline(
            self.transport, self.ledger, aliases=aliases, prices=PRICES if prices is None else prices
        )
        pots: dict[str, Any] = {one.id: (one.limit_nanos, "never", "UTC") for one in budgets}
        if credit is not None:
            pots[WALLET + ACCOUNT] = (credit, "never", "UTC")
            tenant["has_credit"] = True
        self.store = ChargedStore(pots)
        self.journal = self.transport.journal = self.store.journal
        self.money = ChargedLedger(self.store, 0, asyncio.get_running_loop())
        options = LedgerOptions(durability="relaxed" if relaxed else "strict")
        self.treasury = self.pipeline.treasury = Treasury(
            self.money, Funds(self.money), tenancy(budgets, **tenant), BudgetsOptions, lambda: options
        )

    async def run(self, body: bytes | None = None, protocol: CallerProtocol = protocols.CHAT) -> Charged:
        self.ledger.calls.clear()
        self.client = JournalClient(self.client._body if body is None else body)
        self.client.journal = self.journal
        if self.store.entries:
            self.call.number += 1
        number = self.call.number
        self.call = type(self.call)(number, protocol.name, "request-1", [], protocol.endpoint)
        self.error = self.answer = None
        try:
            self.answer = await self.pipeline.run(self.call, self.client, protocol)
        except TrunklineError as error:
            self.error = error
        await self.settled()
        assert self.ledger.calls == [self.call]
        assert self.transport.all_closed()
        return self

    async def left(self, body: bytes, at: float, *, by_the_caller: bool = True) -> None:
        """The call ends after so many seconds: the caller leaves, or we stop."""
        self.client = JournalClient(body)
        self.client.journal = self.journal
        self.call = type(self.call)(self.call.number + bool(self.entries), "openai_chat", "", [], "chat")
        task = asyncio.create_task(self.pipeline.run(self.call, self.client, protocols.CHAT))
        await asyncio.sleep(at)
        self.client.gone = by_the_caller
        task.cancel()
        with pytest.raises((ClientGone, asyncio.CancelledError)):
            await task
        await self.settled()
        assert self.transport.all_closed()

    def refused(self, kind: type[Refusal]) -> Refusal:
        assert type(self.error) is kind
        return self.error

    async def settled(self) -> None:
        """What nobody waited for is written too."""
        for _ in range(8):
            await asyncio.sleep(0)

    @property
    def charge(self) -> Charge:
        assert self.call.charge is not None
        return self.call.charge

    @property
    def entries(self) -> list[Entry]:
        return self.store.entries

    @property
    def ended(self) -> Entry:
        """How the call ended."""
        found: Entry = self.entries[-1]
        assert kind_of(found.entry_id) == ENTRY_ENDED
        return found

    def all_is_free(self) -> None:
        """Nothing is held any more, and every attempt that was opened has ended."""
        assert not self.store.opened
        for purse in self.treasury.funds.purses._purses.values():
            assert purse.piece is None or purse.piece.held == 0
        assert not self.treasury.under_way


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def playing() -> None:
        await scene()
        assert len(asyncio.all_tasks()) == 1, "a task was left behind"

    jump(playing())
