"""When the ledger does not take what calls cost: what goes on, what waits, and that all is written once."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tests.pipeline.charged import (
    ACCOUNT,
    AMPLE,
    ANSWERED,
    BUDGET,
    EITHER,
    FREE,
    PRICED,
    PRICES,
    SHORT,
    SHORT_STREAM,
    Charged,
    JournalClient,
    budget,
    hold_clocks,
    play,
    tenancy,
)
from tests.pipeline.scripted import ANSWER, HELLO, Reply, good, whole
from tests.pipeline.test_relay import DONE, FINISH, ROLE, TEXT, USAGE, seconds
from trunkline import clock
from trunkline.errors import BudgetExceeded, ClientGone, StoreUnavailable
from trunkline.ids import ENTRY_ENDED, EPOCH_MS, KeyId, entry_id, first_number, number_of
from trunkline.pipeline import protocols
from trunkline.pipeline.holds import Part
from trunkline.pipeline.treasury import FIRST_RATE, INSIST_S, SLACK_MS, Debt
from trunkline.ports.budgets import Budget
from trunkline.ports.ledger import Entry


@pytest.fixture(autouse=True)
def _held_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_clocks(monkeypatch)


@EITHER
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("free", [False, True])
def test_a_ledger_that_cannot_be_written(budgets: tuple[Budget, ...], free: bool, stream: bool) -> None:
    """What has a price is not sent; what has none goes on, and is written down later."""

    async def scene() -> None:
        reply = good() if stream else whole()
        charged = Charged(reply, budgets=budgets, prices=dict.fromkeys(PRICES, FREE if free else PRICED))
        charged.money.is_failing = True
        charged.money.refuses = 10**6
        await charged.run(SHORT_STREAM if stream else SHORT)
        if not free:
            assert isinstance(charged.error, StoreUnavailable)
            assert seconds() == 0
            charged.money.refuses = 0
            await asyncio.sleep(2)
            assert charged.journal == []
            charged.all_is_free()
            return
        assert charged.error is None
        assert "sent one" in charged.journal
        charged.money.refuses = 0
        await asyncio.sleep(1)
        assert charged.journal[-1] == "settled 1: 0"
        assert len(charged.entries) == 1
        charged.treasury.check_writable()

    play(scene)


def test_a_call_that_could_not_be_opened_is_the_ledgers_to_end() -> None:
    """Should the disk have taken it after all, nobody else ends it in other words."""

    async def scene() -> None:
        charged = Charged(whole(), budgets=[budget(AMPLE)])
        await charged.run(SHORT)
        charged.money.refuses = 1
        await charged.run(SHORT)
        charged.refused(StoreUnavailable)
        await asyncio.sleep(2)
        assert charged.journal == ["open 1", "sent one", f"settled 1: {ANSWERED}"]
        charged.all_is_free()

    play(scene)


def test_a_ledger_that_fails_while_the_provider_answers_refuses_a_stream_before_its_first_byte() -> None:
    async def scene() -> None:
        charged = Charged(Reply((2, ROLE + TEXT), (1, FINISH + USAGE + DONE)))
        asyncio.get_running_loop().call_later(1, setattr, charged.money, "refuses", 10**6)
        await charged.run(SHORT_STREAM)
        assert isinstance(charged.error, StoreUnavailable)
        assert charged.client.log == []
        charged.money.refuses = 0
        await asyncio.sleep(1)
        assert charged.journal == ["sent one", "released 1"]

    play(scene)


@EITHER
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("down_s", [1.2, 4.2, 60.0])
def test_a_settlement_that_cannot_commit_waits_and_is_written_once(
    budgets: tuple[Budget, ...], stream: bool, down_s: float
) -> None:
    async def scene() -> None:
        reply = Reply((1, ROLE + TEXT), (1, FINISH + USAGE + DONE)) if stream else whole(after_s=2)
        charged = Charged(reply, budgets=budgets)
        loop = asyncio.get_running_loop()
        loop.call_later(1.5, setattr, charged.money, "refuses", 10**6)
        loop.call_later(2 + down_s, setattr, charged.money, "refuses", 0)
        held: list[int] = []
        loop.call_later(2.3, lambda: held.extend(part.piece.held for part in _parts(charged)))
        await charged.run(SHORT_STREAM if stream else SHORT)
        waited = seconds() - 2
        assert held == ([charged.charge._held] if budgets else [])
        if down_s < INSIST_S:
            assert charged.error is None
            assert down_s <= waited <= down_s + 1
            assert DONE in charged.client.written if stream else charged.answer is not None
        else:
            assert isinstance(charged.error, StoreUnavailable)
            assert waited == INSIST_S
            assert DONE not in charged.client.written
            assert charged.answer is None
            assert [part.piece.held for part in _parts(charged)] == ([charged.charge._held] if budgets else [])
            await asyncio.sleep(60)
        assert [line for line in charged.journal if line.startswith("settled")] == [f"settled 1: {ANSWERED}"]
        charged.all_is_free()

    play(scene)


@EITHER
def test_a_caller_who_leaves_while_the_settlement_waits_pays_all_the_same(budgets: tuple[Budget, ...]) -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        for trouble in ("refuses", "stands_still"):
            charged = Charged(whole(after_s=2), budgets=budgets)
            loop.call_later(1.5, setattr, charged.money, trouble, 9)
            loop.call_later(9.5, setattr, charged.money, "stands_still", False)
            charged.client = JournalClient(SHORT)
            charged.client.journal = charged.journal
            task = asyncio.create_task(charged.pipeline.run(charged.call, charged.client, protocols.CHAT))
            await asyncio.sleep(3)
            charged.client.gone = True
            task.cancel()
            with pytest.raises(ClientGone):
                await task
            await asyncio.sleep(10)
            charged.money.write()
            await charged.settled()
            assert [line for line in charged.journal if line.startswith("settled")] == [f"settled 1: {ANSWERED}"]
            charged.all_is_free()

    play(scene)


@EITHER
def test_a_settlement_that_is_refused_when_the_caller_has_left_is_written_all_the_same(
    budgets: tuple[Budget, ...],
) -> None:
    async def scene() -> None:
        charged = Charged(whole(after_s=2), budgets=budgets)
        loop = asyncio.get_running_loop()
        loop.call_later(1.5, setattr, charged.money, "stands_still", True)
        loop.call_later(3.5, setattr, charged.money, "refuses", 1)
        loop.call_later(3.5, setattr, charged.money, "stands_still", False)
        await charged.left(SHORT, 3)
        await asyncio.sleep(1)
        charged.money.write()
        await asyncio.sleep(1)
        assert [line for line in charged.journal if line.startswith("settled")] == [f"settled 1: {ANSWERED}"]
        charged.all_is_free()

    play(scene)


def test_with_relaxed_durability_the_end_does_not_wait() -> None:
    async def scene() -> None:
        charged = Charged(whole(), relaxed=True)
        charged.money.stands_still = True
        asyncio.get_running_loop().call_later(5, setattr, charged.money, "stands_still", False)
        await charged.run(SHORT)
        assert (charged.answer is not None, seconds(), charged.entries) == (True, 0, [])
        await asyncio.sleep(6)
        charged.money.write()
        assert charged.journal == ["sent one", f"settled 1: {ANSWERED}"]

    play(scene)


def test_the_time_is_measured_by_earlier_answers_and_since_the_last_attempt() -> None:
    async def scene() -> None:
        usage = {"prompt_tokens": 3, "completion_tokens": 40}
        earlier = whole(msgspec.json.encode({**msgspec.json.decode(ANSWER), "usage": usage}), after_s=2)
        charged = Charged(earlier, whole(after_s=500))
        await charged.run(HELLO)
        charged.call.number += 1
        charged.ledger.calls.clear()
        charged.call = type(charged.call)(charged.call.number, "openai_chat", "", [], "chat")
        await charged.left(HELLO, 3)
        assert charged.ended.output_tokens == 60
        slow = Charged(Reply(status=500, head_s=10), whole(after_s=500))
        await slow.left(HELLO, 11)
        assert (slow.ended.model, slow.ended.output_tokens) == ("two/small", 50)

    play(scene)


def test_while_something_is_owed_nothing_with_a_price_is_sent() -> None:
    async def scene() -> None:
        charged = Charged(whole(after_s=2), whole())
        asyncio.get_running_loop().call_later(1.5, setattr, charged.money, "refuses", 10**6)
        await charged.run(SHORT)
        charged.money.is_failing = False
        charged.money.refuses = 0
        await charged.run(SHORT)
        assert charged.refused(StoreUnavailable).retry_after_s is not None
        assert charged.transport.asked == ["one"]
        await asyncio.sleep(1)
        await charged.run(SHORT)
        assert charged.answer is not None
        assert charged.journal[-3:] == [f"settled 1: {ANSWERED}", "sent one", f"settled 1: {ANSWERED}"]

    play(scene)


def test_what_is_owed_or_under_way_is_known_by_its_oldest_number() -> None:
    async def scene() -> None:
        charged = Charged()
        treasury = charged.treasury
        now = first_number(int(clock.now_s() * 1000))
        assert now - treasury.oldest_number() == first_number(EPOCH_MS + SLACK_MS)
        treasury.under_way[7] = None
        treasury.under_way[9] = None
        assert treasury.oldest_number() == 7
        charged.money.refuses = 1
        treasury.write(Debt([entry(5)]))
        await charged.settled()
        assert treasury.oldest_number() == 5
        await asyncio.sleep(1)
        assert treasury.oldest_number() == 7
        assert [number_of(one.entry_id) for one in charged.entries] == [5]

    play(scene)


def test_at_the_end_all_is_written_that_can_be() -> None:
    async def scene() -> None:
        charged = Charged(budgets=[budget(AMPLE)])
        charged.money.refuses = 1
        charged.treasury.write(Debt([entry(5)]))
        await charged.settled()
        charged.treasury.write(Debt([entry(6)]))
        await charged.treasury.close()
        assert [number_of(one.entry_id) for one in charged.entries] == [6, 5]

    play(scene)


def test_only_a_later_snapshot_is_followed() -> None:
    async def scene() -> None:
        charged = Charged(whole(), whole(), whole(), budgets=[budget(AMPLE)])
        await charged.run(SHORT)
        [pot] = charged.store.pots
        charged.treasury.follow(tenancy(version=1))
        await charged.run(SHORT)
        assert pot.spent == 2 * ANSWERED
        charged.treasury.follow(tenancy(version=2))
        await charged.run(SHORT)
        assert pot.spent == 2 * ANSWERED
        assert charged.ended.pots is None
        # Nobody draws on it any more.
        assert pot.leased == 0

    play(scene)


def test_a_budget_that_was_lowered_is_leased_anew() -> None:
    async def scene() -> None:
        charged = Charged(whole(), whole(), budgets=[budget(AMPLE)])
        await charged.run(SHORT)
        charged.store.set_limit(BUDGET, 10_000)
        charged.treasury.follow(tenancy([budget(10_000)], version=2))
        await charged.run(SHORT)
        assert charged.refused(BudgetExceeded).limit_nanos == 10_000

    play(scene)


def test_rates_follow_what_models_do() -> None:
    async def scene() -> None:
        treasury = Charged().treasury
        assert treasury.tokens_in("m", 2.0) == 2 * FIRST_RATE
        assert treasury.tokens_in("m", 0.0) == 1
        treasury.took("m", 200, 1.0)
        assert treasury.tokens_in("m", 2.0) == 400
        treasury.took("m", 100, 1.0)
        assert 100 < treasury.tokens_in("m", 1.0) < 200
        for nothing in ((0, 1.0), (10, 0.0), (10, -1.0)):
            treasury.took("m", *nothing)
        assert 100 < treasury.tokens_in("m", 1.0) < 200
        assert treasury.tokens_in("other", 1.0) == FIRST_RATE

    play(scene)


def test_a_debt_is_held_for_until_it_is_paid() -> None:
    async def scene() -> None:
        charged = Charged(budgets=[budget(AMPLE)])
        funding = charged.treasury.scopes.lineage(ACCOUNT).funding(KeyId("key_1"), None, None, ("m",), ("m",))
        hold = await charged.treasury.funds.hold(funding, 1000)
        [part] = hold.parts()
        free = part.piece.free
        hold.settled(300, "m")
        debt = Debt([entry(5)], hold, 300, "m")
        for _ in range(2):
            debt.refused()
            debt.refused()
            assert part.piece.held == 1000
            debt.handed_over()
            debt.handed_over()
            assert (part.piece.held, part.piece.free) == (0, free + 700)

    play(scene)


def _parts(charged: Charged) -> list[Part]:
    hold = charged.charge._hold
    return [] if hold is None else list(hold.parts())


def entry(number: int) -> Entry:
    return Entry(entry_id=entry_id(number, 1, ENTRY_ENDED), state="settled", account_id=ACCOUNT, key_id=KeyId("key_1"))
