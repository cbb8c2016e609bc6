from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.policy.budget_machine import BudgetMachine
from tests.thoroughness import SHARE
from trunkline.policy.budgets import slice_size

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
