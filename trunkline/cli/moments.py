"""Moments as people write them: so long ago (`30d`, `24h`), or a date and time of UTC (`2026-04-30`)."""

from __future__ import annotations

import datetime as dt

import typer

from trunkline import clock
from trunkline.cli import duration

LAST_YEAR = 9000


def moment(text: str) -> float:
    """Unix seconds. Raises typer.BadParameter, which is wrong usage."""
    text = text.strip()
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return clock.now_s() - _ago(text)
    if not 1970 <= found.year <= LAST_YEAR:
        raise typer.BadParameter(f"{text!r} is not within the years 1970 to {LAST_YEAR}.")
    return max(0.0, (found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found).timestamp())


def _ago(text: str) -> int:
    try:
        return duration.seconds(text)
    except typer.BadParameter:
        raise typer.BadParameter(
            f"{text!r} is no moment; write how long ago (30d, 24h, 90m) or a date (2026-04-30, 2026-04-30T12:00Z)."
        ) from None
