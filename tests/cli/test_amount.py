from __future__ import annotations

from decimal import Decimal

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from trunkline.cli.amount import nanos
from trunkline.money import usd_text


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("5", 5_000_000_000),
        (" 0.25 ", 250_000_000),
        ("$10", 10_000_000_000),
        ("0", 0),
        ("0.000000001", 1),
        ("1e-9", 1),
        ("0.1", 100_000_000),
        ("123456789.123456789", 123_456_789_123_456_789),
    ],
)
def test_amounts_are_exact(text: str, amount: int) -> None:
    assert nanos(text) == amount


@given(st.integers(0, 10**18))
def test_what_is_shown_can_be_typed(amount: int) -> None:
    assert nanos(usd_text(amount)) == amount == Decimal(usd_text(amount)) * 10**9


@pytest.mark.parametrize(
    "text",
    [
        "",
        "much",
        "-1",
        "nan",
        "inf",
        "1e99",
        "1e999999999",
        "0.0000000001",
        "1." + "0" * 30 + "1",
        "1" * 41,
        "$$1",
        "5 USD",
        "1,5",
    ],
)
def test_what_is_no_amount_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="no amount of USD"):
        nanos(text)
