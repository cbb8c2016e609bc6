from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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
