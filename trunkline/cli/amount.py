"""Amounts of money as people write them: `5`, `0.25`, `$10`."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import typer

from trunkline.errors import InvalidRequest
from trunkline.money import Nanos
from trunkline.wire.amounts import from_dollars

LONGEST = 40


def nanos(text: str) -> Nanos:
    """Exactly. Raises typer.BadParameter, which is wrong usage, for what is no amount or finer than a nano-dollar."""
    plain = text.strip().removeprefix("$")
    try:
        if len(plain) <= LONGEST:
            return from_dollars(Decimal(plain), "the amount")
    except (InvalidOperation, InvalidRequest):
        pass
    raise typer.BadParameter(f"{text[:LONGEST]!r} is no amount of USD; write 5 or 0.25, with at most 9 decimals.")
