from __future__ import annotations

from typing import get_args

from trunkline.ports.ledger import Entry
from trunkline.ports.reports import Dimension, Sums, UsageResult
from trunkline.storage.usage_schema import CUTS, DAY_S, DIMENSIONS, HOUR_S, SUMS, TABLES


def test_dimensions_are_those_that_can_be_asked_for() -> None:
    assert {*DIMENSIONS, "day"} == set(get_args(Dimension))
    assert set(DIMENSIONS.values()) <= set(Entry.__struct_fields__) & set(UsageResult.__struct_fields__)


def test_every_cut_has_every_sum() -> None:
    assert tuple(SUMS) == Sums.__struct_fields__
    for cut in CUTS:
        assert [column.name for column in TABLES[cut.table].columns] == ["start_s", *cut.columns, *SUMS]
        assert [column.name for column in TABLES[cut.table].primary_key.columns] == ["start_s", *cut.columns]


def test_some_cut_by_the_hour_has_all_dimensions() -> None:
    """What no smaller one knows is asked of it."""
    assert CUTS[-1].dimensions == tuple(DIMENSIONS)
    assert CUTS[-1].unit_s == HOUR_S
    assert {cut.unit_s for cut in CUTS} == {HOUR_S, DAY_S}
