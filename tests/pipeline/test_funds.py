from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.pipeline.purse_world import REFUSALS, World, funding, opened, settled
from trunkline import clock
from trunkline.errors import BudgetExceeded, BudgetUnavailable, StoreUnavailable
from trunkline.pipeline.funds import Funds, Hold
from trunkline.pipeline.purses import RECALL_S
from trunkline.pipeline.scopes import Funding, Source
from trunkline.ports.ledger import Fenced

MONDAY = 1_767_571_200.0
DAY_S = 86_400.0
ONE = funding("a")
WALLET = Funding((Source("wallet:acct_1", "account acct_1"),))


class Clocks:
    def __init__(self) -> None:
        self.now_s, self.ticks_s = MONDAY, 1000.0


@pytest.fixture(autouse=True)
def clocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clocks]:
    held = Clocks()
    monkeypatch.setattr(clock, "now_s", lambda: held.now_s)
    monkeypatch.setattr(clock, "monotonic_s", lambda: held.ticks_s)
    return held  # type: ignore[return-value]


def idle(world: World, at: int = 0, source: str = "a") -> int:
    purse = world.processes[at].funds.purses.get(source)
    return 0 if purse is None or purse.piece is None else purse.piece.free


async def test_what_is_leased_is_held_without_the_store() -> None:
    world = World(a=64_000)
    funds = world.processes[0].funds
    assert funds.take(ONE, 10) is None
    first = await world.get(funds.hold(ONE, 10))
    assert [(draw.nanos, draw.pot_id) for draw in first.draws()] == [(10, 1)]
    assert idle(world) == 630
    held = [funds.take(ONE, 10) for _ in range(63)]
    assert None not in held
    assert funds.take(ONE, 1) is None
    assert world.leases == 1
    assert not world.processes[0].ledger.queue
    funds.release(first)
    assert funds.take(ONE, 10) is not None


async def test_a_call_that_can_cost_nothing_draws_on_nothing() -> None:
    world = World(a=0)
    hold = await world.get(world.processes[0].funds.hold(ONE, 0))
    assert hold.draws() == ()
    assert hold.settled(0, "m") == ()
    assert world.leases == 0


async def test_all_sources_or_none() -> None:
    world = World(a=100, b=5)
    funds = world.processes[0].funds
    (refused,) = await world.run(funds.hold(funding("a", "b"), 6))
    assert isinstance(refused, BudgetExceeded)
    await world.written()
    assert [pot.leased for pot in world.store.pots] == [0, 0]
    await world.get(funds.hold(funding("a", "b"), 5))
    assert [pot.leased for pot in world.store.pots] == [12, 5]


async def test_a_refusal_says_what_it_is_about() -> None:
    world = World(a=100, period="day")
    process = world.processes[0]
    spent = await world.get(process.funds.hold(ONE, 60))
    await opened(world, process, 1, spent)
    await settled(world, process, 1, spent, 50)
    held = await world.get(process.funds.hold(ONE, 30))
    (refused,) = await world.run(process.funds.hold(ONE, 21))
    assert isinstance(refused, BudgetExceeded)
    assert (refused.scope, refused.code) == ("a", "budget_exceeded")
    assert (refused.limit_nanos, refused.used_nanos, refused.held_nanos) == (100, 50, 30)
    assert refused.resets_at == MONDAY + DAY_S
    assert "$0.0000001" in refused.message
    assert held.is_open
    await world.get(process.funds.hold(ONE, 20))


async def test_a_wallet_lacks_credit() -> None:
    world = World(1, "never", **{WALLET.sources[0].id: 0})
    (refused,) = await world.run(world.processes[0].funds.hold(WALLET, 1))
    assert isinstance(refused, BudgetExceeded)
    assert (refused.code, refused.resets_at) == ("insufficient_credits", None)


async def test_the_narrowest_scope_is_named() -> None:
    world = World(a=1, b=1, c=9)
    (refused,) = await world.run(world.processes[0].funds.hold(funding("c", "b", "a"), 5))
    assert isinstance(refused, BudgetExceeded)
    assert refused.scope == "b"


async def test_a_flood_of_refused_calls_asks_once(clocks: Clocks) -> None:
    world = World(a=10)
    funds = world.processes[0].funds
    hold = await world.get(funds.hold(ONE, 8))
    refused = await world.run(*(funds.hold(ONE, 3) for _ in range(500)))
    assert {type(one) for one in refused} == {BudgetExceeded}
    assert world.leases == 2
    # A smaller call may fit, and so may the same once something was freed; one that comes later is told anew.
    await world.get(funds.hold(ONE, 2))
    funds.release(hold)
    hold = await world.get(funds.hold(ONE, 3))
    await world.run(funds.hold(ONE, 6))
    before = world.leases
    clocks.ticks_s += 0.001
    await world.run(*(funds.hold(ONE, 6) for _ in range(500)))
    assert world.leases == before + 1


async def test_a_refusal_is_of_its_moment(clocks: Clocks) -> None:
    """Whoever comes later is not refused by it: another process may have given back since."""
    world = World(2, a=100)
    first, second = (process.funds for process in world.processes)
    held = await world.get(first.hold(ONE, 60))
    (refused,) = await world.run(second.hold(ONE, 50))
    assert isinstance(refused, BudgetExceeded)
    first.release(held)
    await world.written()
    clocks.ticks_s += 0.001
    await world.get(second.hold(ONE, 50))


async def test_who_was_asked_is_not_asked_again_within_the_second(
    clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(2, a=100)
    first, second = (process.funds for process in world.processes)
    await world.get(first.hold(ONE, 60))
    asked: list[str] = []

    answer = first.asked

    async def noted(source_id: str) -> None:
        asked.append(source_id)
        await answer(source_id)

    monkeypatch.setattr(first, "asked", noted)
    for _ in range(3):
        clocks.ticks_s += RECALL_S / 10
        await world.run(second.hold(ONE, 50))
    assert asked == ["a"]
    clocks.ticks_s += RECALL_S
    await world.run(second.hold(ONE, 50))
    assert asked == ["a", "a"]


async def test_calls_wait_in_line_and_none_overtakes() -> None:
    world = World(a=100)
    funds = world.processes[0].funds
    await world.get(funds.hold(ONE, 10))
    assert idle(world) == 2
    order: list[int] = []

    async def held(nanos: int) -> Hold:
        hold = await funds.hold(ONE, nanos)
        order.append(nanos)
        return hold

    waiting = [asyncio.ensure_future(held(nanos)) for nanos in (30, 2, 20, 1)]
    await world.turn()
    # It would fit, but somebody who needs it waits.
    assert funds.take(ONE, 1) is None
    await world.write_until(lambda: all(task.done() for task in waiting))
    assert order == [30, 2, 20, 1]


@pytest.mark.parametrize("count", [1, 2, 4])
async def test_a_budget_worth_fifty_calls_lets_fifty_calls_pass(count: int) -> None:
    world = World(count, a=50 * 7 + 6)
    calls = [world.processes[number % count].funds.hold(ONE, 7) for number in range(500)]
    results = await world.run(*calls)
    assert sum(isinstance(one, Hold) for one in results) == 50
    assert sum(isinstance(one, BudgetExceeded) for one in results) == 450


async def test_what_others_do_not_need_is_called_back() -> None:
    world = World(2, a=100)
    first, second = (process.funds for process in world.processes)
    held = await world.get(first.hold(ONE, 10))
    await world.get(second.hold(ONE, 88))
    assert (idle(world, 0), world.store.pots[0].left) == (2, 0)
    await world.get(second.hold(ONE, 2))
    assert idle(world, 0) == 0
    # For a second nothing stays idle there.
    first.release(held)
    await world.written()
    assert idle(world, 0) == 0
    assert world.store.pots[0].left == 10
    await world.get(first.hold(ONE, 1))
    assert world.store.pots[0].left == 9


async def test_after_a_second_slices_are_larger_again(clocks: Clocks) -> None:
    world = World(a=1000)
    funds = world.processes[0].funds
    await world.get(funds.asked("a"))
    await world.get(funds.hold(ONE, 1))
    assert world.store.pots[0].leased == 1
    clocks.ticks_s += RECALL_S
    await world.get(funds.hold(ONE, 1))
    assert idle(world) > 0


async def test_who_is_asked_answers_once_its_own_lease_has_come() -> None:
    world = World(a=1000)
    process = world.processes[0]
    holding = asyncio.ensure_future(process.funds.hold(ONE, 1))
    await world.turn()
    asked = asyncio.ensure_future(process.funds.asked("a"))
    await world.turn()
    process.write()
    await world.turn()
    assert holding.done()
    assert not asked.done()
    await world.written(asked)
    assert world.store.pots[0].leased == 1


async def test_who_cannot_write_does_not_answer() -> None:
    world = World(a=1000)
    process = world.processes[0]
    await world.get(process.funds.hold(ONE, 1))
    process.ledger.is_failing = True
    (answer,) = await world.run(process.funds.asked("a"))
    assert isinstance(answer, StoreUnavailable)


async def test_without_an_answer_nobody_can_tell(clocks: Clocks) -> None:
    world = World(2, a=100)
    first, second = world.processes
    await world.get(first.funds.hold(ONE, 10))
    first.is_paused = True
    waiting = asyncio.ensure_future(second.funds.hold(ONE, 89))
    for _ in range(5):
        second.write()
        await world.turn()
    assert not waiting.done()
    world.over.set_result(None)
    clocks.ticks_s += RECALL_S
    await world.write_until(waiting.done)
    with pytest.raises(BudgetUnavailable) as refused:
        await waiting
    assert refused.value.retry_after_s


async def test_an_answer_from_long_ago_proves_nothing(clocks: Clocks) -> None:
    """Who answered may have leased anew since."""
    world = World(2, a=100)
    first, second = world.processes
    held = await world.get(first.funds.hold(ONE, 50))
    waiting = asyncio.ensure_future(second.funds.hold(ONE, 60))
    await world.turn()
    second.write()
    await world.turn()
    first.write()
    await world.turn()
    clocks.ticks_s += RECALL_S
    first.funds.release(held)
    assert idle(world, 0) > 0
    await world.write_until(waiting.done)
    with pytest.raises(BudgetUnavailable):
        await waiting


async def test_alone_with_others_leases_nobody_can_tell() -> None:
    world = World(2, a=100)
    await world.get(world.processes[0].funds.hold(ONE, 10))
    alone = Funds(world.processes[1].ledger)
    (refused,) = await world.run(alone.hold(ONE, 95))
    assert isinstance(refused, BudgetUnavailable)


async def test_a_store_that_fails_is_asked_once_for_all_in_line(clocks: Clocks) -> None:
    world = World(a=1000)
    process = world.processes[0]
    process.ledger.is_failing = True
    results = await world.run(*(process.funds.hold(ONE, 1) for _ in range(50)))
    assert [type(one) for one in results] == [StoreUnavailable] + [BudgetUnavailable] * 49
    assert all(isinstance(one, REFUSALS) for one in results)
    process.ledger.is_failing = False
    clocks.ticks_s += RECALL_S
    await world.get(process.funds.hold(ONE, 1))


async def test_what_was_leased_for_a_call_that_left_is_not_lost() -> None:
    world = World(a=1000)
    process = world.processes[0]
    leaving = asyncio.ensure_future(process.funds.hold(ONE, 5))
    await world.turn()
    leaving.cancel()
    await world.written()
    assert leaving.cancelled()
    assert idle(world) == world.store.pots[0].leased > 0
    assert process.funds.take(ONE, 5) is not None


async def test_what_was_leased_for_a_call_that_left_goes_back_if_others_are_short() -> None:
    world = World(a=1000)
    process = world.processes[0]
    await world.get(process.funds.asked("a"))
    leaving = asyncio.ensure_future(process.funds.hold(ONE, 5))
    await world.turn()
    leaving.cancel()
    await world.written()
    assert world.store.pots[0].leased == 0


async def test_a_part_of_what_a_call_needs_does_not_wait_for_the_rest_if_others_are_short() -> None:
    world = World(a=100, b=100)
    process = world.processes[0]
    running = await world.get(process.funds.hold(ONE, 10))
    await world.get(process.funds.asked("b"))
    waiting = asyncio.ensure_future(process.funds.hold(funding("a", "b"), 2))
    await world.turn()
    assert running.extend(2, MONDAY)
    process.write()
    await world.turn()
    assert world.store.pots[1].leased == 2
    assert (idle(world, 0, "b"), waiting.done()) == (0, False)
    await world.write_until(waiting.done)
    assert world.store.pots[1].leased == 2


async def test_a_fenced_lease_is_left_and_another_taken() -> None:
    world = World(a=1000)
    process = world.processes[0]
    hold = await world.get(process.funds.hold(ONE, 10))
    world.store.set_limit("a", 900)
    with pytest.raises(Fenced) as fenced:
        await opened(world, process, 1, hold)
    again = await world.get(process.funds.again(hold, fenced.value))
    assert not hold.is_open
    await opened(world, process, 1, again)
    await settled(world, process, 1, again, 4)
    await world.get(process.funds.close())
    assert (world.store.pots[0].spent, world.store.pots[0].leased) == (4, 0)


async def test_a_process_taken_for_dead_gives_nothing_back() -> None:
    world = World(a=1000)
    process = world.processes[0]
    hold = await world.get(process.funds.hold(ONE, 10))
    world.store.expire(process.ledger.holder)
    process.funds.lose_all()
    assert not hold.extend(1, MONDAY)
    hold.released()
    await world.turn()
    assert not process.ledger.queue


async def test_a_lease_that_is_refused_to_the_dead_is_asked_for_again() -> None:
    world = World(a=1000)
    process = world.processes[0]
    world.store.expire(process.ledger.holder)
    await world.get(process.funds.hold(ONE, 10))


async def test_a_budget_that_was_cut_is_leased_anew() -> None:
    world = World(a=1000)
    process = world.processes[0]
    await world.get(process.funds.hold(ONE, 10))
    world.store.set_limit("a", 900)
    process.funds.drop(["a", "unknown"])
    assert process.funds.take(ONE, 1) is None
    hold = await world.get(process.funds.hold(ONE, 1))
    await opened(world, process, 1, hold)


async def test_a_period_that_is_over_takes_no_new_hold(clocks: Clocks) -> None:
    world = World(a=1000, period="day")
    process = world.processes[0]
    before = await world.get(process.funds.hold(ONE, 10))
    await opened(world, process, 1, before)
    clocks.now_s += DAY_S
    assert process.funds.take(ONE, 1) is None
    after = await world.get(process.funds.hold(ONE, 20))
    assert after.draws()[0].pot_id != before.draws()[0].pot_id
    await settled(world, process, 1, before, 7)
    assert [(pot.spent, pot.leased > 0) for pot in world.store.pots] == [(7, False), (0, True)]


async def test_a_hold_is_extended_in_memory_or_from_the_store() -> None:
    world = World(a=1000)
    process = world.processes[0]
    hold = await world.get(process.funds.hold(ONE, 10))
    await opened(world, process, 1, hold)
    await process.funds.extend(hold, 5)
    assert world.leases == 1
    await world.get(process.funds.extend(hold, 500))
    assert hold.draws()[0].nanos == 515
    (refused,) = await world.run(process.funds.extend(hold, 486))
    assert isinstance(refused, BudgetExceeded)
    assert hold.draws()[0].nanos == 515
    await settled(world, process, 1, hold, 515)


async def test_a_hold_on_a_fenced_lease_grows_on_another() -> None:
    world = World(a=1000)
    process = world.processes[0]
    hold = await world.get(process.funds.hold(ONE, 10))
    await opened(world, process, 1, hold)
    world.store.set_limit("a", 900)
    process.funds.drop(["a"])
    await world.get(process.funds.extend(hold, 20))
    await world.get(process.funds.extend(hold, 1))
    assert [draw.nanos for draw in hold.draws()] == [10, 21]
    await settled(world, process, 1, hold, 15)
    assert world.store.pots[0].spent == 15
    assert process.ledger.store.ended[next(iter(world.store.ended))].draws[1].nanos == 5


async def test_a_hold_does_not_grow_over_the_end_of_its_period(clocks: Clocks) -> None:
    world = World(a=1000, period="day")
    process = world.processes[0]
    hold = await world.get(process.funds.hold(ONE, 10))
    clocks.now_s += DAY_S
    (refused,) = await world.run(process.funds.extend(hold, 1))
    assert isinstance(refused, BudgetExceeded)
    assert (refused.limit_nanos, refused.resets_at) == (1000, MONDAY + DAY_S)


async def test_a_call_that_ended_while_its_hold_grew_holds_nothing() -> None:
    world = World(a=1000)
    process = world.processes[0]
    hold = await world.get(process.funds.hold(ONE, 10))
    growing = asyncio.ensure_future(process.funds.extend(hold, 500))
    await world.turn()
    process.funds.release(hold)
    await world.written(growing)
    purse = process.funds.purses.get("a")
    assert purse is not None
    assert purse.piece is not None
    assert purse.piece.held == 0


MIXED = Funding((Source("m1", "m1", frozenset({"m1"})), Source("all", "all")))


@pytest.mark.parametrize(
    ("limits", "demands", "fitting", "held"),
    [
        ((100, 100), (("m1", 50), ("m2", 10)), ("m1", "m2"), {"m1": 50, "all": 50}),
        ((100, 100), (("m1", 10), ("m2", 50)), ("m1", "m2"), {"m1": 10, "all": 50}),
        ((20, 100), (("m1", 50), ("m2", 10)), ("m2",), {"all": 10}),
        ((100, 20), (("m1", 50), ("m2", 10)), ("m2",), {"all": 10}),
        ((100, 20), (("m1", 15), ("m2", 50)), ("m1",), {"m1": 15, "all": 15}),
        ((0, 100), (("m1", 0), ("m2", 50)), ("m1", "m2"), {"all": 50}),
        ((0, 0), (("m1", 0), ("m2", 50)), ("m1",), {}),
    ],
)
async def test_the_models_that_fit(
    limits: tuple[int, int], demands: tuple[tuple[str, int], ...], fitting: tuple[str, ...], held: dict[str, int]
) -> None:
    world = World(m1=limits[0], all=limits[1])
    hold, models = await world.get(world.processes[0].funds.hold_most(MIXED, demands))
    assert models == fitting
    assert {part.source.id: part.nanos for part in hold.parts()} == held


async def test_when_no_model_fits() -> None:
    world = World(m1=10, all=20)
    (refused,) = await world.run(world.processes[0].funds.hold_most(MIXED, (("m1", 15), ("m2", 30))))
    assert isinstance(refused, BudgetExceeded)
