from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.policy.budget_machine import BudgetMachine
from tests.thoroughness import SHARE
from trunkline.policy.budgets import ENDED, LOST, Slice, hold_all, paying, slice_size
from trunkline.ports.budgets import Leased
from trunkline.ports.ledger import Draw

AMOUNTS = st.integers(0, 10**15)


@given(st.integers(-(10**15), 10**15), AMOUNTS)
def test_a_slice_is_enough_and_there_or_it_is_none(left: int, at_least: int) -> None:
    size = slice_size(left, at_least)
    assert at_least <= size <= left if at_least <= left else size == 0


@given(AMOUNTS, st.integers(0, 10**6), st.integers(1, 10**12))
def test_slices_shrink_as_the_budget_empties(left: int, less: int, at_least: int) -> None:
    lower = max(at_least, left - less)
    assert slice_size(lower, at_least) <= slice_size(max(left, lower), at_least)


@given(st.integers(1, 10**12), st.data())
def test_at_the_end_calls_take_what_they_need(at_least: int, data: st.DataObject) -> None:
    left = data.draw(st.integers(at_least, at_least * 8))
    assert slice_size(left, at_least) == at_least


TestBudgets = BudgetMachine.TestCase
TestBudgets.settings = settings(
    max_examples=400 if SHARE == 1 else 40,
    stateful_step_count=50,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


def leased(granted: int, lease_id: int = 1, epoch: int = 1, period_end: float | None = None) -> Leased:
    return Leased(
        source="b",
        pot_id=1,
        lease_id=lease_id,
        epoch=epoch,
        granted_nanos=granted,
        limit_nanos=1000,
        spent_nanos=0,
        leased_nanos=granted,
        period_start=0.0,
        period_end=period_end,
    )


def test_what_a_slice_covers() -> None:
    piece = Slice(leased(100, period_end=50.0))
    assert piece.covers(100, 49.9)
    assert not piece.covers(101, 49.9)
    assert not piece.covers(1, 50.0)
    assert Slice(leased(1)).covers(1, 1e12)
    for state in (ENDED, LOST):
        piece.state = state
        assert not piece.covers(1, 0.0)


@pytest.mark.parametrize(
    ("cost", "granted", "free"),
    [(0, 100, 60), (10, 90, 50), (30, 70, 30), (50, 50, 10), (70, 30, -10), (100, 0, -40), (500, 0, -40)],
)
def test_what_a_settlement_leaves(cost: int, granted: int, free: int) -> None:
    """One call holds 30 and another 40 of 100: what costs more than was held takes from what is free."""
    piece = Slice(leased(100))
    piece.hold(30)
    piece.hold(40)
    assert piece.settle(30, cost) == min(cost, 100)
    assert (piece.granted, piece.free, piece.held) == (granted, free, 40)
    piece.settle(40, 0)
    assert piece.free == granted


def test_what_is_spent_while_more_is_asked_for_comes_out_of_that_too() -> None:
    """The store adds before it takes, as it was asked before."""
    piece = Slice(leased(10))
    piece.hold(10)
    piece.growing = True
    assert piece.settle(10, 50) == 10
    piece.grow(leased(100))
    piece.answered()
    assert (piece.granted, piece.free) == (60, 60)
    piece.grow(leased(100))
    assert piece.granted == 160


def test_what_is_spent_before_more_is_asked_for_does_not() -> None:
    piece = Slice(leased(10))
    piece.hold(10)
    piece.settle(10, 50)
    piece.growing = True
    piece.grow(leased(100))
    assert piece.granted == 100


def test_only_what_is_free_goes_back() -> None:
    piece = Slice(leased(100))
    piece.hold(30)
    assert piece.give_back() == 70
    assert piece.give_back() == 0
    assert (piece.granted, piece.held) == (30, 30)
    piece.state = LOST
    piece.settle(30, 0)
    assert piece.give_back() == 0


def test_a_lease_is_the_same_in_its_epoch_only() -> None:
    piece = Slice(leased(100))
    assert piece.is_same(leased(5))
    assert not piece.is_same(leased(5, epoch=2))
    assert not piece.is_same(leased(5, lease_id=2))


def test_holding_of_all_or_of_none() -> None:
    first, second = Slice(leased(100)), Slice(leased(10))
    assert not hold_all([first, second], [20, 20], 0.0)
    assert (first.held, second.held) == (0, 0)
    assert hold_all([first, second], [20, 10], 0.0)
    assert (first.held, second.held) == (20, 10)
    assert hold_all([], [], 0.0)


def test_which_pots_pay() -> None:
    draws = [Draw(lease, pot, 1, 5, charged) for lease, pot, charged in ((1, 7, True), (2, 7, True), (3, 9, False))]
    assert paying(draws) == "7"
    assert paying([*draws, Draw(4, 9, 1, 5)]) == "7,9"
    assert paying([]) is None
