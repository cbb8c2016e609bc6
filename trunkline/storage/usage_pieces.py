"""How a question about usage is put to the database: which sums and which entries answer it, in statements.

Time is split among the largest units that fit: whole days and hours come from a cut, what is left at the ends from the
entries themselves, found by the spans of their hours. What is above the mark comes from the ledger's end.
"""

# ruff: noqa: S608 - only names and whole numbers of ours are put into statements; what is asked for is bound

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec

from trunkline.ids import NUMBER_SHIFT
from trunkline.ports.reports import Dimension, Width
from trunkline.storage.usage_schema import COUNTS, CUTS, DAY_S, DIMENSIONS, HOUR_S, SUMS, Cut, ledger_value
from trunkline.storage.whose import LISTED, listed

WIDTH_S: Final = {"1m": 60, "1h": HOUR_S, "1d": DAY_S}
MOST_SEEKS: Final = 20_000
"""Places in a cut that are looked up one by one; beyond that it is read from one end to the other."""

Statement = tuple[str, list[Any]]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """`filters`: dimension -> the values of which any matches, as cuts have them. `owners`: the (account, key) of each
    key in the filter, when all are known. `months`: where the months of the time begin, for buckets of that width."""

    width: Width
    group_by: tuple[Dimension, ...]
    filters: dict[str, tuple[Any, ...]]
    owners: tuple[tuple[str, str], ...] | None = None
    months: tuple[int, ...] = ()

    @property
    def needs(self) -> set[str]:
        return {*self.group_by, *self.filters} - {"day"}


class Stretch(msgspec.Struct, frozen=True):
    """A part of the time and the cut that answers for it; None: the entries that the spans are of."""

    cut: Cut | None
    start_s: int
    end_s: int


def cuts_for(question: Question) -> list[Cut]:
    """The smallest cut by the day that can answer, and the smallest by the hour; those whose unit is not too large."""
    width_s = WIDTH_S.get(question.width, DAY_S)
    fitting = [cut for cut in CUTS if question.needs <= set(cut.dimensions) and width_s % cut.unit_s == 0]
    daily = [cut for cut in fitting if cut.unit_s == DAY_S][:1]
    hourly = [cut for cut in fitting if cut.unit_s == HOUR_S][:1]
    return daily + hourly


def split(start_s: int, end_s: int, cuts: Sequence[Cut], opened: Any) -> Iterator[Stretch]:
    """`opened(start_s, end_s)`: was anything that is summed up opened then? A unit that lies only in part in the time
    is taken whole when the other part is empty: so what ends now needs no entry to be read."""
    if start_s >= end_s:
        return
    if not cuts:
        yield Stretch(None, start_s, end_s)
        return
    unit_s = cuts[0].unit_s
    whole_from, whole_to = -(-start_s // unit_s) * unit_s, end_s // unit_s * unit_s
    if whole_from > start_s and not opened(whole_from - unit_s, start_s):
        whole_from -= unit_s
    if whole_to < end_s and not opened(end_s, whole_to + unit_s):
        whole_to += unit_s
    if whole_from >= whole_to:
        yield from split(start_s, end_s, cuts[1:], opened)
        return
    yield from split(start_s, whole_from, cuts[1:], opened)
    yield Stretch(cuts[0], whole_from, whole_to)
    yield from split(whole_to, end_s, cuts[1:], opened)


def summed(question: Question, stretch: Stretch) -> Statement:
    """The sums of what is below the mark, by bucket and group."""
    if stretch.cut is None:
        return _read_entries(question, stretch)
    return _read_cut(question, stretch.cut, stretch.start_s, stretch.end_s)


def rest(question: Question, start_s: int, end_s: int, mark: int) -> Statement:
    """The sums of what is above the mark."""
    return _read_ledger(question, "ledger", [("entry_id >= ?", [mark << NUMBER_SHIFT]), *_opened(start_s, end_s)])


def _read_entries(question: Question, stretch: Stretch) -> Statement:
    tables = (
        "usage_spans AS span CROSS JOIN ledger ON entry_id >= span.first_entry AND entry_id <= span.last_entry"
        f" AND opened_at_ms / {HOUR_S * 1000} * {HOUR_S} = span.start_s"
    )
    hours = [stretch.start_s // HOUR_S * HOUR_S, stretch.end_s]
    conditions = [
        ("span.start_s >= ? AND span.start_s < ?", hours),
        *_opened(stretch.start_s, stretch.end_s),
    ]
    return _read_ledger(question, tables, conditions)


def _opened(start_s: int, end_s: int) -> list[Statement]:
    return [("opened_at_ms >= ? AND opened_at_ms < ?", [start_s * 1000, end_s * 1000])]


def _read_ledger(question: Question, tables: str, conditions: Sequence[Statement]) -> Statement:
    groups = [
        f"opened_at_ms / {DAY_S * 1000} * {DAY_S}" if name == "day" else ledger_value(name)
        for name in question.group_by
    ]
    columns = [_bucket(question, "opened_at_ms / 1000"), *groups, *(f"sum({value})" for value in SUMS.values())]
    filters = [_filter(ledger_value(name), values) for name, values in question.filters.items()]
    where = [*conditions, (COUNTS, []), *filters]
    return _select(columns, tables, where, 1 + len(groups))


def _read_cut(question: Question, cut: Cut, start_s: int, end_s: int) -> Statement:
    groups = [f"cut.start_s / {DAY_S} * {DAY_S}" if n == "day" else f"cut.{DIMENSIONS[n]}" for n in question.group_by]
    columns = [_bucket(question, "cut.start_s"), *groups, *(f"sum(cut.{name})" for name in SUMS)]
    where = [_filter(f"cut.{DIMENSIONS[name]}", values) for name, values in question.filters.items()]
    times = (end_s - start_s) // cut.unit_s
    places = _places(question, cut)
    if places is None or times * len(places) > MOST_SEEKS:
        where.insert(0, ("cut.start_s >= ? AND cut.start_s < ?", [start_s, end_s]))
        return _select(columns, f"{cut.table} AS cut", where, 1 + len(groups))
    which = ("account_id", "key_id")[: len(places[0])] if places else ("account_id",)
    wanted = ", ".join(f"json_extract(value, '$[{place}]') AS {name}" for place, name in enumerate(which))
    tables = f"times CROSS JOIN wanted CROSS JOIN {cut.table} AS cut ON cut.start_s = times.at_s" + "".join(
        f" AND cut.{name} = wanted.{name}" for name in which
    )
    statement, values = _select(columns, tables, where, 1 + len(groups))
    ahead = (
        f"WITH RECURSIVE times (at_s) AS (SELECT ? UNION ALL SELECT at_s + {cut.unit_s} FROM times"
        f" WHERE at_s + {cut.unit_s} < ?), wanted AS MATERIALIZED (SELECT {wanted} FROM json_each(?)) "
    )
    return ahead + statement, [start_s, end_s, listed(places), *values]


def _places(question: Question, cut: Cut) -> Sequence[tuple[str, ...]] | None:
    """What the key of the cut goes on with after the time, for each row that is asked for; None when that is open."""
    if "key" in cut.dimensions and question.owners is not None:
        return question.owners
    if "account" in cut.dimensions and "account" in question.filters:
        return [(account,) for account in question.filters["account"]]
    return None


def _filter(column: str, values: tuple[Any, ...]) -> Statement:
    return f"{column} IN {LISTED}", [listed(values)]


def _bucket(question: Question, time: str) -> str:
    if question.width == "none":
        return "0"
    if question.width == "month":
        months = question.months
        later = "".join(f" WHEN {time} < {end} THEN {start}" for start, end in pairwise(months))
        return f"CASE{later} ELSE {months[-1]} END" if later else f"{months[0]}"
    return f"{time} / {WIDTH_S[question.width]} * {WIDTH_S[question.width]}"


def _select(columns: Sequence[str], tables: str, where: Sequence[Statement], groups: int) -> Statement:
    conditions = " AND ".join(f"({sql})" for sql, _ in where) or "true"
    by = ", ".join(str(place + 1) for place in range(groups))
    values = [value for _, bound in where for value in bound]
    return f"SELECT {', '.join(columns)} FROM {tables} WHERE {conditions} GROUP BY {by}", values
