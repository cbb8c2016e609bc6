"""Money as integers: nano-dollars, and prices in nano-dollars per million tokens. No floats anywhere."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import NewType

from trunkline.errors import SettingsInvalid

Nanos = NewType("Nanos", int)
NanosPerMillion = NewType("NanosPerMillion", int)

NANOS_PER_USD = 1_000_000_000


def nanos_per_million(usd_per_million: Decimal | float | str) -> NanosPerMillion:
    """USD per million tokens -> integer nano-dollars per million. A finer price, or a negative one, is refused."""
    try:
        price = Decimal(str(usd_per_million)) * NANOS_PER_USD
    except InvalidOperation:
        raise SettingsInvalid(f"{usd_per_million!r} is not a price in USD per million tokens") from None
    if not price.is_finite() or price < 0:
        raise SettingsInvalid(f"a price cannot be {usd_per_million}; give USD per million tokens, 0 or more")
    if price != price.to_integral_value():
        raise SettingsInvalid(f"{usd_per_million} USD per million is finer than a nano-dollar; give at most 9 decimals")
    return NanosPerMillion(int(price))


def usd_per_million(price: NanosPerMillion) -> float:
    """For display in JSON, where USD per million is a number."""
    return price / NANOS_PER_USD


def usd_text(nanos: int) -> str:
    """Nano-dollars as a JSON number in USD: at most 9 decimals, no exponent, nothing rounded."""
    sign = "-" if nanos < 0 else ""
    whole, rest = divmod(abs(nanos), NANOS_PER_USD)
    return f"{sign}{whole}.{rest:09d}".rstrip("0").rstrip(".") if rest else f"{sign}{whole}"
