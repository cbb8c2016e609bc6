"""The money of one call: what it may cost is held, what it cost is settled, once, however the call ends.

| what happens                            | entries                           | who pays                        |
|-----------------------------------------|-----------------------------------|---------------------------------|
| refused before it is sent               | none                              | nobody                          |
| an attempt fails before the first byte  | released                          | nobody                          |
| a whole answer, no budget               | settled, which says it all        | as the provider counted         |
| a whole answer under a budget           | opened before it is sent, settled | as the provider counted         |
| a stream                                | opened before its start, settled  | as the provider counted         |
| no usage, or none to be believed        | settled, estimated                | what was seen, within the hold  |
| the caller leaves a stream              | settled, estimated                | input, and output received      |
| the caller leaves before a whole answer | settled, estimated                | input, and the time it took     |
| cut by the provider after some output   | settled, estimated                | input, and output received      |
| ended by others, no output              | released                          | nobody                          |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from trunkline import clock
from trunkline.catalog.models import Deployment
from trunkline.errors import ClientGone, InvalidRequest, StoreUnavailable, TrunklineError
from trunkline.ids import ENTRY_ENDED, ENTRY_OPENED, entry_id
from trunkline.money import Nanos, usd_text
from trunkline.pipeline.funds import Hold
from trunkline.pipeline.relay import Delivery
from trunkline.pipeline.scopes import Funding
from trunkline.pipeline.treasury import Treasury
from trunkline.policy import metering
from trunkline.policy.metering import Cost, Demand, Tariff
from trunkline.ports.keys import KeyRecord
from trunkline.ports.ledger import Draw, Entry, Fenced, State
from trunkline.wire.usage import Usage

MOST_FENCED = 3
NOTHING = Cost(Nanos(0), Nanos(0))
NO_USAGE = Usage(input_tokens=0, output_tokens=0)


class Seen(Protocol):
    """An answer on its way, as far as it has come."""

    @property
    def seen_tokens(self) -> int: ...


class Charged(Protocol):
    """progress.Call, as far as it is used here."""

    number: int
    key: KeyRecord | None
    tag: str | None
    end_user: str | None
    protocol: str
    endpoint: str
    attempts: int
    deployment: Deployment | None
    delivery: Delivery | None
    admitted_at: float
    warnings: list[str]


class Bill(msgspec.Struct, frozen=True, gc=False):
    """What does not change between the attempts of one call: demands and tariffs by the candidates' model ids.
    `estimated_input` counts the input, about, where the provider has not."""

    funding: Funding
    demands: dict[str, Demand]
    tariffs: dict[str, Tariff | None]
    estimated_input: Callable[[], int]


class Charge:
    """`candidates` are the deployments that may serve the call. `usage` is what the answer shows, `cost` what it costs,
    once they are known."""

    __slots__ = (
        "_attempt",
        "_call",
        "_ended",
        "_held",
        "_hold",
        "_is_open",
        "_opened_at_ms",
        "_pending",
        "_stream",
        "_treasury",
        "bill",
        "candidates",
        "cost",
        "images",
        "is_capped",
        "is_estimated",
        "most_tokens",
        "usage",
    )

    def __init__(self, treasury: Treasury, call: Charged, bill: Bill, candidates: Sequence[Deployment]) -> None:
        self._treasury = treasury
        self._call = call
        self.bill = bill
        self.candidates = candidates
        self.is_capped = bill.funding.is_capped
        self._hold: Hold | None = None
        self._held = 0
        self._attempt = 0
        self._is_open = False
        self._opened_at_ms = 0
        self._pending: list[Entry] = []
        self._ended = False
        self._stream: Seen | None = None
        self.images = 0
        self.is_estimated = False
        self.most_tokens = 0
        self.usage: Usage | None = None
        self.cost = NOTHING

    @property
    def cost_usd(self) -> bytes:
        return usd_text(self.cost.cost_nanos).encode()

    async def admit(self) -> None:
        """Under a budget: what the call may cost is held; candidates that do not fit what is left are none any more.

        Raises BudgetExceeded when none fits, InvalidRequest when none has a price, BudgetUnavailable, StoreUnavailable.
        """
        tariffs = self.bill.tariffs
        priced = [one for one in self.candidates if tariffs[one.model_id] is not None]
        if not priced:
            raise _not_priced(self.candidates[0])
        demands = [(one.model_id, self._hold_of(one)) for one in priced]
        self._hold, fitting = await self._treasury.funds.hold_most(self.bill.funding, demands)
        self._held = max(nanos for model_id, nanos in demands if model_id in fitting)
        self.candidates = [one for one in priced if one.model_id in fitting]
        if len(fitting) < len(demands):
            self._call.warnings += [
                f"skipped {model_id}: the budget has not enough left for it"
                for model_id, _ in demands
                if model_id not in fitting
            ]

    def _hold_of(self, deployment: Deployment) -> int:
        tariff = self.bill.tariffs[deployment.model_id]
        return 0 if tariff is None else metering.hold(tariff, self.bill.demands[deployment.model_id])

    def _bound_of(self, deployment: Deployment) -> int:
        """For the record alone, where nothing has to be held."""
        try:
            return self._hold_of(deployment)
        except InvalidRequest:  # one of the kinds that it needs has no price
            return 0

    async def sends(self, deployment: Deployment) -> None:
        """Before an attempt: under a budget, what it may cost is on disk.

        Raises StoreUnavailable, BudgetUnavailable, BudgetExceeded; nothing is to be sent then.
        """
        if not self._opened_at_ms:
            self._opened_at_ms = int(clock.now_s() * 1000)
        if self._hold is None:
            if not self._is_free:
                self._treasury.check_writable()
            self._held = self._bound_of(deployment)
            self._attempt = self._call.attempts
            return
        for _ in range(MOST_FENCED):
            opened = self._entry(ENTRY_OPENED, "open", attempt=self._call.attempts, draws=self._hold.draws())
            try:
                await self._treasury.ledger.append([*self._pending, opened])
            except Fenced as fenced:
                self._hold = await self._treasury.funds.again(self._hold, fenced)
                continue
            self._pending.clear()
            self._attempt, self._is_open = self._call.attempts, True
            self.most_tokens = self.bill.demands[deployment.model_id].output_tokens
            if clock.monotonic_s() >= self._treasury.ledger.live_until_s():
                # Stopped for so long that what is held may be somebody else's by now.
                raise StoreUnavailable("The gateway was held up; nothing was sent. Try again.", retry_after_s=1.0)
            return
        raise StoreUnavailable("The budgets of this call keep changing; try again.", retry_after_s=1.0)

    def failed(self) -> None:
        """The attempt has failed, with nothing of it gone to the caller: nobody pays for it."""
        if self._attempt:
            self._pending.append(self._entry(ENTRY_ENDED, "released", attempt=self._attempt, status=502))
            self._attempt, self._is_open = 0, False
            self._stream = None
            self.usage, self.cost = None, NOTHING

    async def begins(self) -> None:
        """Before the first byte of a stream goes to the caller: the attempt is in the ledger."""
        if self._attempt and not self._is_open:
            self._is_open = True
            pending, self._pending = self._pending, []
            await self._kept([*pending, self._entry(ENTRY_OPENED, "open", attempt=self._attempt)])

    def streams(self, stream: Seen) -> None:
        self._stream = stream

    def price(self, usage: Usage | None, seen_tokens: int | None = None) -> Usage:
        """What the answer shows: the provider's counts with what they cost, or ours where he gave none."""
        bill, deployment = self.bill, self._call.deployment
        assert deployment is not None, "an attempt was made"
        self.is_estimated = usage is None
        if usage is None:
            seen = self._seen() if seen_tokens is None else seen_tokens
            usage = Usage(input_tokens=bill.estimated_input(), output_tokens=seen)
        tariff = bill.tariffs[deployment.model_id]
        cost = NOTHING if tariff is None else metering.cost(tariff, usage, images=self.images)
        if self.is_estimated and cost.cost_nanos > self._held:
            cost = Cost(Nanos(self._held), cost.upstream_cost_nanos)
        self.cost = cost
        usage.cost_nanos = cost.cost_nanos
        self.usage = usage
        return usage

    async def settle(self, usage: Usage | None = None) -> None:
        """Before the last byte: what it cost is on disk. `usage` is the provider's, where the answer does not show what
        it costs. Raises StoreUnavailable."""
        if not self._ended:
            if self.usage is None:
                self.price(usage)
            entries, treasury = self._end("settled", 200), self._treasury
            if self._is_free or not treasury.waits:
                await self._kept(entries)
                return
            try:
                await treasury.ledger.append(entries)
            except StoreUnavailable:
                await treasury.insist(entries)

    async def extend(self) -> None:
        """Holds as much again: the answer goes beyond what was held, or is asked for once more.

        Raises BudgetExceeded, BudgetUnavailable, StoreUnavailable.
        """
        more = self._hold_of(self._deployment)
        if self._hold is not None:
            await self._treasury.funds.extend(self._hold, more)
        self._held += more
        self.most_tokens += self.bill.demands[self._deployment.model_id].output_tokens

    def close(self, error: TrunklineError | None, status: int) -> None:
        """The call is over. What is not settled yet is, without anybody waiting for it."""
        if self._ended:
            return
        if not self._attempt or not self._is_to_pay(error):
            self.failed()
            self._give_up()
            return
        if self.usage is None:
            self.price(None, self._evidence(error))
        self._treasury.write(self._end("settled", status))

    def _is_to_pay(self, error: TrunklineError | None) -> bool:
        """Whether the caller got something, or went away while a provider was at work for him."""
        if error is None or self.usage is not None or isinstance(error, ClientGone):
            return True
        delivery = self._call.delivery
        return self._seen() > 0 and delivery is not None and delivery.event_out

    def _evidence(self, error: TrunklineError | None) -> int:
        """Output tokens, as far as anybody can say."""
        if self._stream is not None or not isinstance(error, ClientGone):
            return self._seen()
        waited_s = clock.monotonic_s() - self._call.admitted_at
        return self._treasury.tokens_in(self._deployment.model_id, waited_s)

    def _seen(self) -> int:
        return self._stream.seen_tokens if self._stream is not None else 0

    @property
    def _deployment(self) -> Deployment:
        assert self._call.deployment is not None, "an attempt was made"
        return self._call.deployment

    @property
    def _is_free(self) -> bool:
        tariff = self.bill.tariffs[self._deployment.model_id]
        return tariff is None or tariff.free

    def _give_up(self) -> None:
        self._ended = True
        if self._pending:
            self._treasury.write(self._pending)
        if self._hold is not None:
            self._treasury.funds.release(self._hold)

    def _end(self, state: State, status: int) -> list[Entry]:
        self._ended = True
        draws: tuple[Draw, ...] = ()
        if self._hold is not None:
            draws = self._hold.settled(self.cost.cost_nanos, self._deployment.model_id)
        ended = self._entry(ENTRY_ENDED, state, attempt=self._attempt, draws=draws, status=status)
        return [*self._pending, ended] if self._pending else [ended]

    def _entry(self, kind: int, state: State, *, attempt: int, draws: tuple[Draw, ...] = (), status: int = 0) -> Entry:
        call, bill = self._call, self.bill
        key, deployment, usage = call.key, self._deployment, self.usage or NO_USAGE
        assert key is not None, "the call is identified"
        tariff = bill.tariffs[deployment.model_id]
        cost = self.cost
        return Entry(
            entry_id=entry_id(call.number, attempt, kind),
            state=state,
            account_id=key.account_id,
            key_id=key.key_id,
            tag=call.tag,
            end_user=call.end_user,
            model=deployment.model_id,
            provider=deployment.provider_id,
            protocol=call.protocol,
            endpoint=call.endpoint,
            held_nanos=Nanos(self._held),
            cost_nanos=cost.cost_nanos,
            upstream_cost_nanos=cost.upstream_cost_nanos,
            overshoot_nanos=Nanos(max(0, cost.cost_nanos - self._held)),
            input_tokens=usage.input_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            cache_write_1h_tokens=usage.cache_write_1h_tokens,
            output_tokens=usage.output_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            input_audio_tokens=usage.input_audio_tokens,
            output_audio_tokens=usage.output_audio_tokens,
            images=self.images,
            estimated=self.is_estimated,
            price_version="" if tariff is None else tariff.version,
            status=status,
            opened_at_ms=self._opened_at_ms,
            settled_at_ms=None if kind == ENTRY_OPENED else int(clock.now_s() * 1000),
            pots=",".join(str(draw.pot_id) for draw in draws if draw.charged) or None,
            draws=draws,
        )

    async def _kept(self, entries: list[Entry]) -> None:
        """On disk; a call that costs nothing goes on without. Raises StoreUnavailable."""
        treasury = self._treasury
        if self._ended and not treasury.waits:
            treasury.write(entries)
            return
        try:
            await treasury.ledger.append(entries)
        except StoreUnavailable:
            if self._is_free:
                treasury.owe(entries)
            elif self._ended:
                await treasury.insist(entries)
            else:
                raise


def _not_priced(deployment: Deployment) -> InvalidRequest:
    return InvalidRequest(
        f"{deployment.model_id} has no price, so no budget can hold what it costs; give it one in"
        f' [prices."{deployment.model_id}"], 0 if it is free.',
        code="model_not_priced",
        param="model",
    )
