"""Stretches of time, as queries say them."""

from __future__ import annotations

import pytest

from trunkline.errors import InvalidRequest
from trunkline.http.windows import DAY_S, Stretch, Window, month_of, seconds, stretch

NOW_S = 1_777_600_000.5  # 2026-05-01T01:46:40Z
END_S = 1_777_600_001
APRIL = Stretch("2026-04", 1_775_001_600, 1_777_593_600)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        (Window(), Stretch("30d", END_S - 30 * DAY_S, END_S)),
        (Window(window="24h"), Stretch("24h", END_S - DAY_S, END_S)),
        (Window(month="2026-04"), APRIL),
        (Window(start_time=5, end_time=6), Stretch("custom", 5, 6)),
        (Window(start_time=END_S - 1), Stretch("custom", END_S - 1, END_S)),
    ],
)
def test_what_is_meant(asked: Window, meant: Stretch) -> None:
    assert stretch(asked, NOW_S) == meant


def test_a_month_that_is_not_named_is_the_one_that_runs() -> None:
    assert stretch(Window(), NOW_S, monthly=True) == Stretch("2026-05", 1_777_593_600, 1_777_593_600 + 31 * DAY_S)
    assert stretch(Window(window="1d"), NOW_S, monthly=True).label == "1d"


@pytest.mark.parametrize(("text", "days"), [("2024-02", 29), ("2025-02", 28), ("2000-02", 29), ("2026-12", 31)])
def test_months_have_their_days(text: str, days: int) -> None:
    month = month_of(text)
    assert month.end_s - month.start_s == days * DAY_S


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (Window(window="30"), "window"),
        (Window(window="0"), "window"),
        (Window(window="401d"), "window"),
        (Window(window="999999999999w"), "window"),
        (Window(month="2026-13"), "month"),
        (Window(month="2026-4"), "month"),
        (Window(month="0000-01"), "month"),
        (Window(month="２０２６-04"), "month"),
        (Window(window="1d", month="2026-04"), "month"),
        (Window(start_time=5, end_time=5), "end_time"),
        (Window(start_time=0, end_time=500 * DAY_S), "end_time"),
        (Window(end_time=5), "start_time"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(asked: Window, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        stretch(asked, NOW_S)
    assert refused.value.param == param


@pytest.mark.parametrize(("text", "length"), [("0", 0), ("45s", 45), (" 2W ", 1_209_600), ("1m", 60)])
def test_lengths(text: str, length: int) -> None:
    assert seconds(text, "grace") == length
