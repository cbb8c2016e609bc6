"""Lengths of time as people write them: `30d`, `24h`, `90m`, `45s`, `2w`, `0`."""

from __future__ import annotations

import re

import typer

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST_S = 100 * 366 * 86_400


def seconds(text: str) -> int:
    """Raises typer.BadParameter, which is wrong usage."""
    found = re.fullmatch(r"(\d{1,12})([smhdw])", text.strip().lower(), re.ASCII)
    length = 0 if text.strip() == "0" else int(found[1]) * SECONDS[found[2]] if found else None
    if length is None or length > LONGEST_S:
        raise typer.BadParameter(f"{text!r} is no length of time; write 30d, 24h, 90m, 45s or 2w.")
    return length
