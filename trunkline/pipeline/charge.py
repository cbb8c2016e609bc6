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
| cut by others after some output         | settled, estimated                | input, and output received      |
| ended by others, no output              | released                          | nobody                          |

What is released may have cost us something, which its entry says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from trunkline import clock
from trunkline.catalog.models import Deployment
from trunkline.errors import ClientGone, InvalidRequest, StoreUnavailable, TrunklineError
from trunkline.ids import ENTRY_ENDED, ENTRY_OPENED, CallNumbers, entry_id
from trunkline.money import Nanos, usd_text
from trunkline.pipeline.funds import Hold
from trunkline.pipeline.relay import Delivery
from trunkline.pipeline.scopes import Funding
from trunkline.pipeline.treasury import Debt, Treasury
from trunkline.policy import metering
from trunkline.policy.budgets import paying
from trunkline.policy.metering import Cost, Demand, Tariff
from trunkline.ports.keys import KeyRecord
from trunkline.ports.ledger import Draw, Entry, Fenced, State
from trunkline.wire.seen import tokens_of
from trunkline.wire.usage import Usage

MOST_FENCED = 3
ENDLESS = 1 << 62
LONG_BYTES = 256 * 1024
"""Reading a longer request closely would hold up other calls; 20 MB of short messages take a second."""
NOTHING = Cost(Nanos(0), Nanos(0))
NO_USAGE = Usage(input_tokens=0, output_tokens=0)


class Seen(Protocol):
    """An answer on its way, as far as it has come. `finished`: what `usage` says is the provider's last word."""

    @property
    def seen_tokens(self) -> int: ...
    @property
    def usage(self) -> Usage | None: ...
    @property
    def finished(self) -> bool: ...


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
    relayed_at: float


class Bill(msgspec.Struct, frozen=True, gc=False):
    """What does not change between the attempts of one call: demands and tariffs by the candidates' model ids.
    `estimated_input` counts the input, about, where the provider has not."""

    funding: Funding
    demands: dict[str, Demand]
    tariffs: dict[str, Tariff | None]
    estimated_input: Callable[[], int]


class Charge:
    """`candidates` are the deployments that may serve the call. `usage` is what the answer shows, `cost` what it costs,
    once they are known. `warnings` are for the caller."""

    __slots__ = (
        "_attempt",
        "_call",
        "_ended",
        "_failed_at",
        "_held",
        "_hold",
        "_more",
        "_numbers",
        "_opened",
        "_opened_at_ms",
        "_pending",
        "_sent",
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
        "warnings",
    )

    def __init__(self, treasury: Treasury, call: Charged, bill: Bill, candidates: Sequence[Deployment]) -> None:
        self._treasury = treasury
        self._call = call
        self.bill = bill
        self.candidates = candidates
        self.is_capped = bill.funding.is_capped
        self.warnings: Sequence[str] = ()
        self._hold: Hold | None = None
        self._held = 0
        self._more = 0
        self._numbers: CallNumbers | None = None
        # The numbers of the attempt under way and of the last one that has an opened entry.
        self._attempt = self._opened = 0
        self._sent = False
        self._opened_at_ms = 0
        self._failed_at = 0.0
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
        demands, self.warnings = self._demands()
        self._hold, fitting = await self._treasury.funds.hold_most(self.bill.funding, demands)
        self._held = max(nanos for model_id, nanos in demands if model_id in fitting)
        self.candidates = [one for one in self.candidates if one.model_id in fitting]
        if len(fitting) < len(demands):
            self.warnings += [
                f"skipped {model_id}: the budget has not enough left for it"
                for model_id, _ in demands
                if model_id not in fitting
            ]

    def _demands(self) -> tuple[list[tuple[str, int]], list[str]]:
        """What each candidate with a price may cost, and why the others are skipped."""
        demands: list[tuple[str, int]] = []
        skipped: list[str] = []
        refusal: InvalidRequest | None = None
        for one in self.candidates:
            if self.bill.tariffs[one.model_id] is None:
                refusal = refusal or _not_priced(one)
                skipped.append(f"skipped {one.model_id}: it has no price")
                continue
            try:
                demands.append((one.model_id, self._hold_of(one)))
            except InvalidRequest as error:
                refusal = error
                skipped.append(f"skipped {one.model_id}: it has no price for what this call needs")
        if not demands and refusal is not None:
            raise refusal
        return demands, skipped

    def _hold_of(self, deployment: Deployment) -> int:
        tariff = self.bill.tariffs[deployment.model_id]
        return 0 if tariff is None else metering.hold(tariff, self.bill.demands[deployment.model_id])

    def _bound_of(self, deployment: Deployment) -> int | None:
        """None when nobody can tell, as one of the kinds that it needs has no price."""
        try:
            return self._hold_of(deployment)
        except InvalidRequest:
            return None

    async def sends(self, deployment: Deployment) -> None:
        """Before an attempt: under a budget, what it may cost is on disk.

        Raises StoreUnavailable, BudgetUnavailable, BudgetExceeded; nothing is to be sent then.
        """
        if not self._opened_at_ms:
            self._opened_at_ms = int(clock.now_s() * 1000)
        call, is_free = self._call, self._is_free
        if self._hold is not None and not is_free:
            await self._open(deployment)
            return
        if not is_free:
            self._treasury.check_writable()
        if self._hold is None:
            self._held = self._bound_of(deployment) or 0
        self.most_tokens = ENDLESS
        self._attempt = call.attempts
        if call.delivery is not None and call.delivery.started:
            # The headers are out, under an attempt that has failed since.
            await self.begins()

    async def _open(self, deployment: Deployment) -> None:
        treasury, attempt = self._treasury, self._call.attempts
        for _ in range(MOST_FENCED):
            assert self._hold is not None, "the call is capped"
            # A report counts the call in the same day as the budget that pays.
            self._opened_at_ms = self._hold.within(self._opened_at_ms)
            opened = self._entry(ENTRY_OPENED, "open", attempt=attempt, draws=self._hold.draws())
            self._numbers = treasury.numbers
            # From here on it is in the ledger's hands, even if the caller leaves meanwhile.
            self._attempt = self._opened = attempt
            try:
                await treasury.ledger.append([*self._pending, opened])
            except Fenced as fenced:
                self._attempt = 0
                if self._pending:
                    # What ends an earlier attempt is written before what that attempt held is anybody's.
                    pending, self._pending = self._pending, []
                    treasury.write(Debt(pending))
                self._hold = await treasury.funds.again(self._hold, fenced)
                continue
            except StoreUnavailable:
                self._attempt = 0  # should it be written after all, the ledger ends it
                raise
            self._pending.clear()
            self.most_tokens = self.bill.demands[deployment.model_id].output_tokens
            return
        raise StoreUnavailable("The budgets of this call keep changing; try again.", retry_after_s=1.0)

    def goes_out(self) -> None:
        """Just before the first byte goes to a provider. Raises StoreUnavailable when it must not."""
        numbers, treasury = self._numbers, self._treasury
        if numbers is not None and (
            numbers is not treasury.numbers or clock.monotonic_s() >= treasury.ledger.live_until_s()
        ):
            # Stopped for so long that what is held may be somebody else's by now; perhaps this process has another slot
            # since, and goes on under that.
            raise StoreUnavailable("The gateway was held up; nothing was sent. Try again.", retry_after_s=1.0)
        self._sent = True

    def failed(self, status: int = 502) -> None:
        """The attempt has failed, with nothing of it gone to the caller: nobody pays for it."""
        if not self._attempt:
            return
        if self.usage is None and self._stream is not None and self._stream.usage is not None:
            self._figure(self._stream.usage)
        self.cost = Cost(Nanos(0), self.cost.upstream_cost_nanos)
        self._pending.append(self._entry(ENTRY_ENDED, "released", attempt=self._attempt, status=status))
        self._attempt, self._sent = 0, False
        self._failed_at = clock.monotonic_s()
        self._stream, self.usage, self.cost = None, None, NOTHING
        self.images, self.is_estimated = 0, False

    async def begins(self) -> None:
        """Before the first byte of a stream goes to the caller: the attempt is in the ledger.

        Raises StoreUnavailable.
        """
        attempt = self._attempt
        if not attempt or self._opened == attempt:
            return
        pending = list(self._pending)
        try:
            await self._treasury.ledger.append([*pending, self._entry(ENTRY_OPENED, "open", attempt=attempt)])
        except (Fenced, StoreUnavailable) as error:
            if self._is_free:
                return  # what costs nothing goes on; its end says it all
            if isinstance(error, StoreUnavailable):
                raise
            raise StoreUnavailable("This process stood still for too long; try again.", retry_after_s=1.0) from None
        self._opened = max(self._opened, attempt)
        self._pending = [one for one in self._pending if one not in pending]

    def streams(self, stream: Seen) -> None:
        self._stream = stream

    def price(self, usage: Usage | None, seen_tokens: int | None = None) -> Usage:
        """What the answer shows: the provider's counts with what they cost, or ours where he gave none."""
        self.is_estimated = usage is None
        if usage is None:
            seen = self._seen() if seen_tokens is None else seen_tokens
            usage = Usage(input_tokens=self._estimated_input(), output_tokens=seen)
        return self._figure(usage)

    def _estimated_input(self) -> int:
        demand = self.bill.demands[self._deployment.model_id]
        if demand.text_bytes > LONG_BYTES:
            return tokens_of(demand.text_bytes) + demand.media_tokens + demand.audio_tokens
        return self.bill.estimated_input()

    def _figure(self, usage: Usage) -> Usage:
        deployment = self._deployment
        tariff = self.bill.tariffs[deployment.model_id]
        cost = NOTHING
        if tariff is not None:
            if usage.service_tier is not None:
                tariff = tariff.served_as(usage.service_tier)
            cost = metering.cost(tariff, usage, images=self.images)
            if self.is_estimated:
                bound = self._bound_of(deployment)
                if bound is not None and cost.cost_nanos > bound + self._more:
                    cost = Cost(Nanos(bound + self._more), cost.upstream_cost_nanos)
        self.cost = cost
        usage.cost_nanos = cost.cost_nanos
        self.usage = usage
        return usage

    async def settle(self, usage: Usage | None = None) -> None:
        """Before the last byte: what it cost is on disk. `usage` is the provider's, where the answer does not show what
        it costs. Raises StoreUnavailable."""
        if self._ended:
            return
        if self.usage is None:
            if usage is None:
                self._price_what_came(None)
            else:
                self.price(usage)
        call, treasury = self._call, self._treasury
        if call.delivery is None and self.usage is not None:
            seconds = call.relayed_at - (self._failed_at or call.admitted_at)
            treasury.took(self._deployment.model_id, self.usage.output_tokens, seconds)
        entries = self._end("settled", 200)
        if not treasury.waits:
            treasury.write(self._debt(entries))
            return
        try:
            await treasury.ledger.append(entries)
        except StoreUnavailable:
            debt = self._debt(entries)
            debt.refused()
            if self._is_free:
                treasury.owe(debt)
            else:
                await treasury.insist(debt)
        except asyncio.CancelledError:
            # It is on its way, but nobody would hear if it came back.
            treasury.write(self._debt(entries))
            raise

    async def extend(self) -> None:
        """Holds more: a stream goes beyond what was held, or the whole is asked for once more.

        Raises BudgetExceeded, BudgetUnavailable, StoreUnavailable.
        """
        deployment = self._deployment
        demand, tariff = self.bill.demands[deployment.model_id], self.bill.tariffs[deployment.model_id]
        more = self._bound_of(deployment) or 0
        if self._stream is not None and tariff is not None:
            output = Demand(
                n=demand.n,
                max_output=demand.max_output,
                audio_output=demand.audio_output,
                service_tier=demand.service_tier,
                requests=0,
            )
            more = metering.hold(tariff, output)
        if self._hold is not None:
            await self._treasury.funds.extend(self._hold, more)
        self._held += more
        self._more += more
        self.most_tokens += demand.output_tokens

    def close(self, error: TrunklineError | None, status: int) -> None:
        """The call is over. What is not settled yet is, without anybody waiting for it."""
        if not self._ended:
            self._close(error, status)
        # The stream knows the call, and would keep all of it in memory.
        self._stream = None

    def _close(self, error: TrunklineError | None, status: int) -> None:
        if not self._sent or not self._is_to_pay(error):
            self.failed(status)
            self._give_up()
            return
        if self.usage is None:
            self._price_what_came(error)
        self._treasury.write(self._debt(self._end("settled", status)))

    def _is_to_pay(self, error: TrunklineError | None) -> bool:
        """Whether the caller got something, or went away while a provider was at work for him."""
        if error is None or self.usage is not None or isinstance(error, ClientGone):
            return True
        delivery = self._call.delivery
        is_out = delivery is None or delivery.event_out  # without a delivery its bytes go as they come
        return self._opened == self._attempt and self._seen() > 0 and is_out

    def _price_what_came(self, error: TrunklineError | None) -> None:
        """By what was seen of the answer; where nothing can be seen of it, by the time that it took."""
        stream = self._stream
        if stream is None:
            waited = isinstance(error, ClientGone) and self._call.delivery is None
            self.price(None, self._made_meanwhile() if waited else 0)
        elif (told := stream.usage) is None:
            self.price(None)
        elif stream.finished:
            self.price(told)
        else:
            # So far; more of the answer may have come since.
            self.is_estimated = True
            self._figure(msgspec.structs.replace(told, output_tokens=max(told.output_tokens, stream.seen_tokens)))

    def _made_meanwhile(self) -> int:
        model_id = self._deployment.model_id
        seconds = clock.monotonic_s() - (self._failed_at or self._call.admitted_at)
        return min(self._treasury.tokens_in(model_id, seconds), self.bill.demands[model_id].output_tokens)

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
            self._treasury.write(Debt(self._pending))
        if self._hold is not None:
            self._treasury.funds.release(self._hold)

    def _end(self, state: State, status: int) -> list[Entry]:
        """Hand them to the ledger before anything else is awaited: what the hold has left is free from here on."""
        self._ended = True
        draws: tuple[Draw, ...] = ()
        if self._hold is not None:
            draws = self._hold.settled(self.cost.cost_nanos, self._deployment.model_id)
        ended = self._entry(ENTRY_ENDED, state, attempt=self._attempt, draws=draws, status=status)
        return [*self._pending, ended] if self._pending else [ended]

    def _debt(self, entries: Sequence[Entry]) -> Debt:
        return Debt(entries, self._hold, self.cost.cost_nanos, self._deployment.model_id)

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
            service_tier=usage.service_tier,
            price_version="" if tariff is None else tariff.version,
            status=status,
            opened_at_ms=self._opened_at_ms,
            settled_at_ms=None if kind == ENTRY_OPENED else int(clock.now_s() * 1000),
            pots=paying(draws) if draws else None,
            draws=draws,
        )


def _not_priced(deployment: Deployment) -> InvalidRequest:
    return InvalidRequest(
        f"{deployment.model_id} has no price, so no budget can hold what it costs; give it one in"
        f' [prices."{deployment.model_id}"], 0 if it is free.',
        code="model_not_priced",
        param="model",
    )
