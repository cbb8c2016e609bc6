"""Amounts come back as they went in, to the nano-dollar, and what is finer or larger is refused."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.errors import InvalidRequest
from trunkline.wire import amounts, codec


@pytest.mark.parametrize(
    ("nanos", "usd", "in_cents"),
    [
        (0, b"0", b"0"),
        (1, b"0.000000001", b"0.0000001"),
        (-1, b"-0.000000001", b"-0.0000001"),
        (10_000_000, b"0.01", b"1"),
        (12_345_678, b"0.012345678", b"1.2345678"),
        (5_000_000_000, b"5", b"500"),
        (-1_500_000_000, b"-1.5", b"-150"),
        (None, b"null", b"null"),
    ],
)
def test_what_is_written(nanos: int | None, usd: bytes, in_cents: bytes) -> None:
    assert codec.encode([amounts.dollars(nanos), amounts.cents(nanos)]) == b"[%s,%s]" % (usd, in_cents)


@given(st.integers(0, amounts.MOST_USD * 10**9))
@settings(max_examples=60)
def test_what_is_written_reads_as_the_same(nanos: int) -> None:
    usd = msgspec.json.decode(codec.encode(amounts.dollars(nanos)), type=Decimal)
    in_cents = msgspec.json.decode(codec.encode(amounts.cents(nanos)), type=Decimal)
    assert (amounts.from_dollars(usd, "x"), amounts.from_cents(in_cents, "x")) == (nanos, nanos)


@pytest.mark.parametrize(
    ("text", "nanos"),
    [(b"0.1", 10**8), (b"1e2", 10**11), (b"1E-9", 1), (b"5.000000000000", 5 * 10**9), (b'"0.3"', 3 * 10**8)],
)
def test_every_spelling_of_a_number(text: bytes, nanos: int) -> None:
    assert amounts.from_dollars(msgspec.json.decode(text, type=Decimal), "x") == nanos


LONG = ["1." + "0" * 60, "1." + "0" * 35 + "1"]


@pytest.mark.parametrize(
    "text",
    ["-1", "-0.000000001", "NaN", "Infinity", "0.0000000001", "1000000001", "1e999999", "1e-999999", *LONG],
)
def test_what_is_no_amount_is_refused_by_name(text: str) -> None:
    for read in (amounts.from_dollars, amounts.from_cents):
        if read is amounts.from_cents and text in ("0.0000000001", "1000000001"):
            text += "00" if text.startswith("1") else "01"
        with pytest.raises(InvalidRequest) as refused:
            read(Decimal(text), "limit_usd")
        assert refused.value.param == "limit_usd"
