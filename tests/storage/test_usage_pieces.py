from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.ports.reports import Dimension, Width
from trunkline.storage.usage_pieces import Question, cuts_for, split
from trunkline.storage.usage_schema import CUTS, DAY_S, HOUR_S

BY_NAME = {cut.table: cut for cut in CUTS}
SPAN = 4 * DAY_S


def never(_start_s: int, _end_s: int) -> bool:
    return False


def among(opened: set[int]) -> Callable[[int, int], bool]:
    return lambda start_s, end_s: any(start_s <= at_s < end_s for at_s in opened)


@given(
    bounds=st.tuples(st.integers(0, SPAN), st.integers(0, SPAN)).map(sorted),
    opened=st.sets(st.integers(0, SPAN) | st.integers(0, 4).map(lambda day: day * DAY_S), max_size=20),
    cuts=st.sampled_from([(), ("usage_hours",), ("usage_days", "usage_hours"), ("usage_totals",)]),
)
def test_whatever_was_opened_then_is_in_one_stretch_and_nothing_else_in_any(
    bounds: list[int], opened: set[int], cuts: tuple[str, ...]
) -> None:
    start_s, end_s = bounds
    stretches = list(split(start_s, end_s, [BY_NAME[name] for name in cuts], among(opened)))
    for at_s in opened:
        holding = [stretch for stretch in stretches if stretch.start_s <= at_s < stretch.end_s]
        assert len(holding) == (start_s <= at_s < end_s)
    for stretch in stretches:
        assert stretch.start_s < stretch.end_s
        if stretch.cut is not None:
            assert stretch.start_s % stretch.cut.unit_s == stretch.end_s % stretch.cut.unit_s == 0


def test_large_units_come_first_and_entries_are_read_at_the_ends_only() -> None:
    cuts = [BY_NAME["usage_days"], BY_NAME["usage_hours"]]
    stretches = split(1800, 2 * DAY_S + 5400, cuts, lambda _start_s, _end_s: True)
    assert [(stretch.cut and stretch.cut.table, stretch.start_s, stretch.end_s) for stretch in stretches] == [
        (None, 1800, HOUR_S),
        ("usage_hours", HOUR_S, DAY_S),
        ("usage_days", DAY_S, 2 * DAY_S),
        ("usage_hours", 2 * DAY_S, 2 * DAY_S + HOUR_S),
        (None, 2 * DAY_S + HOUR_S, 2 * DAY_S + 5400),
    ]


def test_a_part_of_a_unit_is_taken_whole_when_the_other_part_is_empty() -> None:
    stretches = list(split(1800, 5400, [BY_NAME["usage_days"], BY_NAME["usage_hours"]], never))
    assert [(stretch.cut, stretch.start_s, stretch.end_s) for stretch in stretches] == [
        (BY_NAME["usage_days"], 0, DAY_S)
    ]


@pytest.mark.parametrize(
    ("width", "group_by", "filters", "expected"),
    [
        ("none", (), (), ["usage_total_days", "usage_totals"]),
        ("month", ("model", "day"), (), ["usage_total_days", "usage_totals"]),
        ("1d", ("account",), (), ["usage_accounts", "usage_hours"]),
        ("1d", ("tag",), (), ["usage_total_tags", "usage_hours"]),
        ("1d", ("account", "tag"), (), ["usage_tags", "usage_hours"]),
        ("1d", ("model",), ("account",), ["usage_days", "usage_hours"]),
        ("none", (), ("key",), ["usage_keys", "usage_hours"]),
        ("none", ("model",), ("key",), ["usage_hours"]),
        ("1h", ("model",), (), ["usage_totals"]),
        ("1h", ("key",), (), ["usage_hours"]),
        ("1m", ("model",), (), []),
    ],
)
def test_the_smallest_cuts_that_know_enough_are_read(
    width: Width, group_by: tuple[Dimension, ...], filters: tuple[str, ...], expected: list[str]
) -> None:
    question = Question(width=width, group_by=group_by, filters=dict.fromkeys(filters, ("x",)))
    assert [cut.table for cut in cuts_for(question)] == expected
