"""A provider's account of what was used, compared with ours: by day and model, in tokens and in what it costs us."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from trunkline.ports.reports import UsageResult
from trunkline.wire.usage_exports import BilledLine

EVERY_MODEL: Final = "*"
"""Stands for the model where the provider does not tell one from another."""
What = Literal["input_tokens", "output_tokens", "cost_nanos"]
WHAT: Final[tuple[What, ...]] = ("input_tokens", "output_tokens", "cost_nanos")
# Dates at the end of names: 2024-08-06, 20240806.
_DATED: Final = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8})(?=$|:)")


class Mismatch(msgspec.Struct, frozen=True, kw_only=True):
    """`theirs` less `ours` is the difference: above 0 the provider charges more than we know of."""

    day: str
    model: str
    what: What
    ours: int
    theirs: int

    @property
    def difference(self) -> int:
        return self.theirs - self.ours


class _Total:
    __slots__ = ("counts", "slack")

    def __init__(self) -> None:
        self.counts: dict[What, int] = {}
        self.slack = 0


def known_name(model: str) -> str:
    """Names of one model are one: without the provider before it and the date behind it, in small letters, and for
    Claude in any order (`Claude Haiku 4.5` is `claude-haiku-4-5-20251001`, `Claude Sonnet 3.5` `claude-3-5-sonnet`)."""
    name = re.sub(r"[ ._]+", "-", model.rpartition("/")[2].strip().lower())
    name = _DATED.sub("", name)
    return "-".join(["claude", *sorted(name.split("-")[1:])]) if name.startswith("claude-") else name


def compare(ours: Iterable[UsageResult], theirs: Iterable[BilledLine], tolerance_nanos: int = 0) -> list[Mismatch]:
    """`ours`: grouped by day and model, for the days of the export and the provider whose it is. What the export does
    not say is not compared. Costs may differ by what was rounded: on their side by the digits that are shown, on ours
    by a nano-dollar a request; and by `tolerance_nanos` for each day and model.
    """
    theirs = tuple(theirs)
    by_model = any(line.model is not None for line in theirs)
    said = [name for name in WHAT if any(getattr(line, name) is not None for line in theirs)]
    shown: dict[str, str] = {}

    def place(day: str, model: str | None) -> tuple[str, str]:
        if not by_model:
            return day, EVERY_MODEL
        name = known_name(model or "")
        shown.setdefault(name, model or "(no model)")
        return day, name

    billed: dict[tuple[str, str], _Total] = {}
    for line in theirs:
        total = billed.setdefault(place(line.day, line.model), _Total())
        for name in said:
            total.counts[name] = total.counts.get(name, 0) + (getattr(line, name) or 0)
        total.slack += line.slack_nanos
    known: dict[tuple[str, str], _Total] = {}
    for result in ours:
        total = known.setdefault(place(result.day or "", result.model), _Total())
        sums = result.sums
        for name, count in zip(WHAT, (sums.input_tokens, sums.output_tokens, sums.upstream_cost_nanos), strict=True):
            total.counts[name] = total.counts.get(name, 0) + count
        total.slack += sums.requests + sums.errors
    found = []
    for where in sorted(billed.keys() | known.keys()):
        mine, other = known.get(where, _Total()), billed.get(where, _Total())
        allowed: dict[What, int] = {"cost_nanos": tolerance_nanos + mine.slack + other.slack}
        for name in said:
            have, want = mine.counts.get(name, 0), other.counts.get(name, 0)
            if abs(want - have) > allowed.get(name, 0):
                model = shown.get(where[1], EVERY_MODEL)
                found.append(Mismatch(day=where[0], model=model, what=name, ours=have, theirs=want))
    return found
