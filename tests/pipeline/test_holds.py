from __future__ import annotations

import pytest

from trunkline.errors import Defect
from trunkline.pipeline.holds import Hold
from trunkline.pipeline.scopes import Funding, Source
from trunkline.policy.budgets import Slice
from trunkline.ports.budgets import Leased

ALL = Source("all", "account acct_1")
MODEL = Source("model", "model m1", frozenset({"m1"}))


def piece(source: Source, granted: int = 100, lease_id: int = 1, **terms: float) -> Slice:
    return Slice(
        Leased(
            source=source.id,
            pot_id=1 if source is ALL else 2,
            lease_id=lease_id,
            epoch=1,
            granted_nanos=granted,
            limit_nanos=1000,
            spent_nanos=0,
            leased_nanos=granted,
            period_start=terms.get("start", 0.0),
            period_end=terms.get("end"),
        )
    )


def holding(nanos: int, *pieces: Slice) -> tuple[Hold, list[Slice]]:
    """Of the account, and of the model; and of which slices it was told that more is free."""
    needs = [(source, nanos) for source, _ in zip((ALL, MODEL), pieces, strict=False)]
    freed: list[Slice] = []
    for one in pieces:
        one.hold(nanos)
    return Hold(Funding((ALL, MODEL)), freed.append, needs, pieces), freed


def test_what_is_held_is_drawn() -> None:
    hold, _ = holding(30, piece(ALL), piece(MODEL, lease_id=2))
    drawn = [(draw.lease_id, draw.pot_id, draw.nanos, draw.charged) for draw in hold.draws()]
    assert drawn == [(1, 1, 30, True), (2, 2, 30, True)]


@pytest.mark.parametrize(("model", "spent"), [("m1", [(20, True), (20, True)]), ("m2", [(20, True), (0, False)])])
def test_a_model_pays_for_what_it_served(model: str, spent: list[tuple[int, bool]]) -> None:
    pieces = piece(ALL), piece(MODEL, lease_id=2)
    hold, _ = holding(30, *pieces)
    assert [(draw.nanos, draw.charged) for draw in hold.settled(20, model)] == spent
    assert [(one.granted, one.free) for one in pieces] == [(100 - nanos, 100 - nanos) for nanos, _ in spent]


def test_a_call_that_nobody_pays_spends_nothing() -> None:
    one = piece(ALL)
    hold, _ = holding(30, one)
    assert [(draw.nanos, draw.charged) for draw in hold.released()] == [(0, False)]
    assert (one.granted, one.free) == (100, 100)


def test_only_what_is_watched_is_told_of() -> None:
    watched, other = piece(ALL), piece(MODEL, lease_id=2)
    watched.watched = True
    hold, freed = holding(30, watched, other)
    hold.settled(10, "m1")
    assert freed == [watched]


@pytest.mark.parametrize(("cost", "spent"), [(10, [10, 0]), (40, [30, 10]), (90, [30, 60])])
def test_what_was_added_pays_last(cost: int, spent: list[int]) -> None:
    first, second = piece(ALL), piece(ALL, lease_id=2)
    hold, _ = holding(30, first)
    second.hold(20)
    hold.add([(ALL, 20)], [second])
    assert [draw.nanos for draw in hold.draws()] == [30, 20]
    assert [draw.nanos for draw in hold.settled(cost, "m1")] == spent
    assert (first.held, second.held) == (0, 0)


def test_what_is_added_to_the_same_slice_is_one_draw() -> None:
    one = piece(ALL)
    hold, _ = holding(30, one)
    one.hold(20)
    hold.add([(ALL, 20)], [one])
    assert hold.extend(5, 0.0)
    assert [draw.nanos for draw in hold.draws()] == [55]


def test_a_hold_of_nothing_may_grow() -> None:
    one = piece(MODEL, lease_id=2)
    hold = Hold(Funding((ALL, MODEL)), lambda _: None, [], [])
    assert not hold.extend(5, 0.0)
    one.hold(5)
    hold.add([(MODEL, 5)], [one])
    assert [draw.nanos for draw in hold.draws()] == [5]


def test_all_grow_or_none() -> None:
    hold, _ = holding(30, piece(ALL), piece(MODEL, granted=35, lease_id=2))
    assert not hold.extend(6, 0.0)
    assert hold.extend(5, 0.0)
    assert [draw.nanos for draw in hold.draws()] == [35, 35]


@pytest.mark.parametrize("cost", [0, 20, 30, 50, 500])
def test_an_end_that_was_not_written_is_taken_back(cost: int) -> None:
    one = piece(ALL)
    hold, _ = holding(30, one)
    hold.settled(cost, "m1")
    hold.reopen()
    assert (one.granted, one.free, one.held) == (100, 70, 30)
    assert [draw.nanos for draw in hold.settled(cost, "m1")] == [cost]


def test_a_hold_ends_once() -> None:
    hold, _ = holding(30, piece(ALL))
    hold.settled(3, "m1")
    for act in (hold.draws, lambda: hold.settled(3, "m1"), lambda: hold.extend(1, 0.0)):
        with pytest.raises(Defect):
            act()
    assert hold.released() == ()
    hold.reopen()
    with pytest.raises(Defect):
        hold.reopen()


@pytest.mark.parametrize(
    ("at_ms", "within_ms"), [(150_000, 150_000), (99_000, 100_000), (200_000, 199_999), (900_000, 199_999)]
)
def test_a_call_is_of_the_period_that_holds_it(at_ms: int, within_ms: int) -> None:
    hold, _ = holding(30, piece(ALL, start=100.0, end=200.0), piece(MODEL, lease_id=2))
    assert hold.within(at_ms) == within_ms
