from __future__ import annotations

import msgspec

from tests.pipeline.purse_world import World, funding
from trunkline.errors import BudgetExceeded, BudgetUnavailable
from trunkline.pipeline.purses import Refusal
from trunkline.pipeline.scopes import ABOVE, Source
from trunkline.ports.budgets import Leased

ONE = funding("a")
LEASED = Leased(
    source="b",
    pot_id=1,
    lease_id=1,
    epoch=1,
    granted_nanos=0,
    limit_nanos=5_000_000_000,
    spent_nanos=4_000_000_000,
    leased_nanos=500_000_000,
    period_start=0.0,
    period_end=None,
)


def test_a_refusal_without_figures_is_not_the_callers_doing() -> None:
    error = Refusal(Source("b", "key"), 5).error()
    assert isinstance(error, BudgetUnavailable)
    assert error.retry_after_s == 1.0


def test_a_refusal_with_figures_tells_them() -> None:
    error = Refusal(Source("b", "tag blue"), 2_000_000_000, 0, 500_000_000, LEASED).error()
    assert isinstance(error, BudgetExceeded)
    assert error.message == (
        "This call may cost $2, which the budget of the tag blue does not cover: of $5, $4 are spent and $0.5 held by"
        " calls under way."
    )
    wallet = msgspec.structs.replace(LEASED, source="wallet:acct_1")
    above = Refusal(Source("b", ABOVE, is_above=True), 2_000_000_000, 0, 500_000_000, LEASED).error()
    assert isinstance(above, BudgetExceeded)
    assert above.message == "This call may cost $2, which the budget of the account above this one does not cover."
    assert (above.limit_nanos, above.used_nanos, above.held_nanos) == (None, 0, 0)
    assert Refusal(Source("wallet:acct_1", "account acct_1"), 1, 0, 0, wallet).error().code == "insufficient_credits"


def test_which_models_a_refusal_spares() -> None:
    refusal = Refusal(Source("b", "model x", frozenset({"m1"})), 10, available=7)
    assert refusal.spares("m1", 7)
    assert not refusal.spares("m1", 8)
    assert refusal.spares("m2", 100)


async def test_what_nobody_uses_goes_back() -> None:
    world = World(a=1000, b=1000)
    process = world.processes[0]
    purses = process.funds.purses
    hold = await world.get(process.funds.hold(ONE, 10))
    process.funds.release(await world.get(process.funds.hold(funding("b"), 10)))
    for _ in range(2):
        purses.sweep()
        await world.written()
    # What is held stays, and the rest has gone back; of what nobody holds the lease is closed.
    assert [pot.leased for pot in world.store.pots] == [10, 0]
    assert world.store.leases[2].state == "closed"
    purses.sweep()
    assert purses.get("b") is None
    process.funds.release(hold)
    await world.get(process.funds.close())
    assert [pot.leased for pot in world.store.pots] == [0, 0]
    assert world.store.leases[1].state == "closed"


async def test_what_is_in_use_stays() -> None:
    world = World(a=1000)
    process = world.processes[0]
    process.funds.release(await world.get(process.funds.hold(ONE, 10)))
    for _ in range(5):
        process.funds.purses.sweep()
        hold = process.funds.take(ONE, 10)
        assert hold
        process.funds.release(hold)
    assert world.leases == 1


async def test_closing_with_a_store_that_fails_ends_too() -> None:
    world = World(a=1000)
    process = world.processes[0]
    await world.get(process.funds.hold(ONE, 10))
    process.ledger.is_failing = True
    await world.get(process.funds.close())


async def test_what_goes_back_is_handed_over_behind_the_entries_of_the_turn() -> None:
    world = World(a=1000)
    process = world.processes[0]
    hold = await world.get(process.funds.hold(ONE, 10))
    await world.get(process.funds.asked("a"))
    process.funds.release(hold)
    assert not process.ledger.queue
    await world.turn()
    assert len(process.ledger.queue) == 1
    await world.written()
    assert world.store.pots[0].leased == 0
