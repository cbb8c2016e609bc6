"""Amounts of money in JSON: read exactly, written exactly, never through a float."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Final

from msgspec import Meta, Raw

from trunkline.errors import InvalidRequest
from trunkline.money import NANOS_PER_USD, Nanos, usd_text

NANOS_PER_CENT: Final = NANOS_PER_USD // 100
MOST_USD: Final = 1_000_000_000
FINEST = -40
"""Decimal places, below zero, that are looked at: a number that is written with more is no amount."""

Dollars = Annotated[Raw, Meta(description="USD.", extra_json_schema={"type": "number"})]
Cents = Annotated[
    Raw, Meta(description="US cents; decimals where it is not whole.", extra_json_schema={"type": "number"})
]
NULL: Final = Raw(b"null")


def dollars(nanos: int | None) -> Raw:
    """A JSON number in USD: at most 9 decimals, no exponent. None is null."""
    return NULL if nanos is None else Raw(usd_text(nanos).encode())


def cents(nanos: int | None) -> Raw:
    """A JSON number in cents: at most 7 decimals, no exponent. None is null."""
    if nanos is None:
        return NULL
    whole, rest = divmod(abs(nanos), NANOS_PER_CENT)
    sign = "-" if nanos < 0 else ""
    text = f"{sign}{whole}.{rest:07d}".rstrip("0") if rest else f"{sign}{whole}"
    return Raw(text.encode())


def from_dollars(amount: Decimal, param: str) -> Nanos:
    """Raises InvalidRequest for what is negative, finer than a nano-dollar or above MOST_USD."""
    return _nanos(amount, NANOS_PER_USD, param)


def from_cents(amount: Decimal, param: str) -> Nanos:
    """As `from_dollars`, of cents."""
    return _nanos(amount, NANOS_PER_CENT, param)


def _nanos(amount: Decimal, unit: int, param: str) -> Nanos:
    most = MOST_USD * NANOS_PER_USD // unit
    if not amount.is_finite() or not 0 <= amount <= most:
        raise InvalidRequest(f"{param} is a number from 0 to {most:,}.", param=param)
    # Fractions are exact, whereas Decimal's own arithmetic rounds to 28 digits; the exponent bounds their size.
    exponent = amount.as_tuple().exponent
    nanos = Fraction(amount) * unit if isinstance(exponent, int) and exponent >= FINEST else None
    if nanos is None or nanos.denominator != 1:
        raise InvalidRequest(f"{param} is finer than a billionth of a dollar.", param=param)
    return Nanos(nanos.numerator)
