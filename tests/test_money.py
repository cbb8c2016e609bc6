"""Prices are whole nano-dollars or they are refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import SettingsInvalid
from trunkline.money import nanos_per_million, usd_per_million


@pytest.mark.parametrize(
    ("usd", "nanos"),
    [
        (0.15, 150_000_000),
        ("2.50", 2_500_000_000),
        (0, 0),
        (Decimal("0.000000001"), 1),
        (0.075, 75_000_000),
        (15, 15 * 10**9),
    ],
)
def test_dollars_become_nanos(usd: Decimal | float | str, nanos: int) -> None:
    assert nanos_per_million(usd) == nanos


@pytest.mark.parametrize("usd", ["0.0000000001", -1, "-0.5", float("nan"), float("inf"), "free", "1e-12"])
def test_what_is_no_price_is_refused(usd: float | str) -> None:
    with pytest.raises(SettingsInvalid):
        nanos_per_million(usd)


@given(st.integers(0, 10**15))
def test_nothing_is_lost_on_the_way(nanos: int) -> None:
    assert nanos_per_million(Decimal(nanos) / 10**9) == nanos


def test_a_price_is_shown_in_dollars() -> None:
    assert usd_per_million(nanos_per_million("0.15")) == 0.15
