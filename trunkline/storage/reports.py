"""Reports of usage and spend: sums and the entries above their mark, read in one snapshot, so exact at any moment."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import Connection

from trunkline.errors import InvalidRequest
from trunkline.ports.reports import (
    MOST_BUCKETS,
    MOST_RESULTS,
    Dimension,
    Spend,
    SpendQuery,
    Sums,
    UsageBucket,
    UsagePage,
    UsageQuery,
    UsageResult,
)
from trunkline.storage.database import Database
from trunkline.storage.rollups import READ_MARK
from trunkline.storage.usage_pieces import WIDTH_S, Question, Statement, cuts_for, rest, split, summed
from trunkline.storage.usage_schema import DAY_S, DIMENSIONS, HOUR_S, LACKING, SUMS
from trunkline.storage.whose import accounts_of, owners_of

READERS: Final = 2
LAST_S: Final = 253_402_300_800
"""The year 10000."""
MOST_MONTHS: Final = 240

Bounds = tuple[int, int, int]
"""The start of a bucket as buckets are counted; its start and end within what is asked for."""
Groups = dict[tuple[Any, ...], list[int]]
Result = TypeVar("Result")

_SPANS: Final = "SELECT min(start_s), max(start_s) FROM usage_spans"
_OPENED: Final = (
    "SELECT 1 FROM usage_spans WHERE start_s >= ? AND start_s < ? AND last_ms >= ? AND first_ms < ? LIMIT 1"
)


class SqlReports:
    """Fulfils ports.reports.Reports, on threads of its own: a long report keeps no call waiting."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._threads = ThreadPoolExecutor(READERS, "reports")

    async def usage(self, query: UsageQuery) -> UsagePage:
        return await self._run(lambda connection: usage(connection, query))

    async def spend(self, query: SpendQuery, at_s: float) -> Spend:
        return await self._run(lambda connection: spend(connection, query, at_s))

    def close(self) -> None:
        self._threads.shutdown()

    async def _run(self, work: Callable[[Connection], Result]) -> Result:
        def read() -> Result:
            with self._database.reading() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._threads, read)


def usage(connection: Connection, query: UsageQuery) -> UsagePage:
    """In one snapshot. Raises InvalidRequest as ports.reports.Reports.usage says."""
    _check(query)
    start_s = query.start_s if query.page is None else _page_start(query)
    most = min(query.limit, MOST_MONTHS) if query.width == "month" else query.limit
    # One more than the page has says where the next one begins.
    buckets = list(islice(_buckets(query, start_s), most + 1))
    count = min(most, len(buckets))
    question = _question(connection, query, tuple(first for first, *_ in buckets[:count]))
    groups, count = _page(connection, question, buckets[:count])
    next_page = str(buckets[count][1]) if count < len(buckets) else None
    return UsagePage(buckets=_results(query, buckets[:count], groups), next_page=next_page)


def spend(connection: Connection, query: SpendQuery, at_s: float) -> Spend:
    """In one snapshot."""
    day = dt.datetime.fromtimestamp(int(at_s) // DAY_S * DAY_S, dt.UTC)
    week_s = int((day - dt.timedelta(days=day.weekday())).timestamp())
    month_s = int(day.replace(day=1).timestamp())
    asked = UsageQuery(
        start_s=0,
        end_s=int(at_s) + 1,
        width="1d",
        root=query.root,
        keys=None if query.key is None else (query.key,),
        tags=None if query.tag is None else (query.tag,),
    )
    cost = list(SUMS).index("cost_nanos")
    everything = [(0, asked.start_s, asked.end_s)]
    days = _sums(connection, _question(connection, asked), everything)

    def since(start_s: int) -> int:
        return sum(sums[cost] for (at, *_), sums in days.items() if at >= start_s)

    return Spend(
        day_nanos=since(int(day.timestamp())), week_nanos=since(week_s), month_nanos=since(month_s), ever_nanos=since(0)
    )


def _check(query: UsageQuery) -> None:
    if not 0 <= query.start_s < LAST_S:
        raise InvalidRequest("The start is a moment in Unix seconds, from 1970 on.", param="start_time")
    if not query.start_s < query.end_s <= LAST_S:
        raise InvalidRequest("The end is a moment in Unix seconds, after the start.", param="end_time")
    if not 1 <= query.limit <= MOST_BUCKETS:
        raise InvalidRequest(f"limit is from 1 to {MOST_BUCKETS}.", param="limit")


def _page_start(query: UsageQuery) -> int:
    page = query.page or ""
    start_s = int(page) if page.isascii() and page.isdigit() and len(page) < 13 else -1
    if not query.start_s < start_s < query.end_s:
        raise InvalidRequest("page is the next_page of an answer to the same question.", param="page")
    return start_s


def _question(connection: Connection, query: UsageQuery, firsts: tuple[int, ...] = ()) -> Question:
    """`firsts`: where the buckets of the page begin."""
    filters: dict[str, tuple[Any, ...]] = {}
    whose = accounts_of(connection, query.root, query.accounts)
    if whose is not None:
        filters["account"] = tuple(whose)
    for name, values in (
        ("key", query.keys),
        ("model", query.models),
        ("provider", query.providers),
        ("endpoint", query.endpoints),
        ("tag", query.tags),
        ("service_tier", query.service_tiers),
        ("batch", None if query.batch is None else (int(query.batch),)),
    ):
        if values is not None:
            filters[name] = tuple({"" if value is None else value: None for value in values})
    owners = None
    if query.keys is not None:
        known = owners_of(connection, query.keys)
        if len(known) == len(filters["key"]):
            owners = tuple((account, key) for key, account in known.items() if whose is None or account in whose)
    groups = tuple(dict.fromkeys(query.group_by))
    return Question(width=query.width, group_by=groups, filters=filters, owners=owners, months=firsts)


def _buckets(query: UsageQuery, start_s: int) -> Iterator[Bounds]:
    if query.width == "none":
        yield 0, start_s, query.end_s
        return
    at = start_s
    while at < query.end_s:
        first, after = _month(at) if query.width == "month" else _period(at, WIDTH_S[query.width])
        yield first, at, min(after, query.end_s)
        at = after


def _period(at_s: int, width_s: int) -> tuple[int, int]:
    first = at_s // width_s * width_s
    return first, first + width_s


def _month(at_s: int) -> tuple[int, int]:
    moment = dt.datetime.fromtimestamp(at_s, dt.UTC)
    first = dt.datetime(moment.year, moment.month, 1, tzinfo=dt.UTC)
    if (moment.year, moment.month) == (dt.MAXYEAR, 12):
        return int(first.timestamp()), LAST_S
    after = dt.datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=dt.UTC)
    return int(first.timestamp()), int(after.timestamp())


def _page(connection: Connection, question: Question, buckets: list[Bounds]) -> tuple[Groups, int]:
    """The sums of the first so many buckets: of all, or of as many as hold MOST_RESULTS together. A bucket alone is
    shown whole.

    Everybody's keys may be too many for one reading: then it begins with a bucket, and goes on with as many as fit.
    """
    many = "key" in question.group_by and not {"key", "account"} & question.filters.keys()
    groups: Groups = {}
    count, size = 0, 1 if many else len(buckets)
    while size:
        more = _sums(connection, question, buckets[count : count + size])
        if count and len(groups) + len(more) > MOST_RESULTS:
            break
        if len(more) > MOST_RESULTS and size > 1:
            size = max(1, size // 2)
            continue
        groups |= more
        count += size
        fitting = (MOST_RESULTS - len(groups)) * size // max(1, len(more))
        size = max(0, min(len(buckets) - count, 2 * size, fitting))
    return groups, count


def _sums(connection: Connection, question: Question, buckets: list[Bounds]) -> Groups:
    """(Bucket, group) -> its sums."""
    groups: Groups = {}
    width = 1 + len(question.group_by)
    for statement, values in _statements(connection, question, buckets[0][1], buckets[-1][2]):
        for row in connection.exec_driver_sql(statement, tuple(values)):
            key = tuple(row[:width])
            there = groups.get(key)
            if there is None:
                groups[key] = list(row[width:])
            else:
                groups[key] = [have + more for have, more in zip(there, row[width:], strict=True)]
    return groups


def _statements(connection: Connection, question: Question, start_s: int, end_s: int) -> Iterator[Statement]:
    mark: int = connection.exec_driver_sql(READ_MARK).scalar_one()
    yield rest(question, start_s, end_s, mark)
    first_s, last_s = connection.exec_driver_sql(_SPANS).one()
    if first_s is None:
        return

    def opened(from_s: int, to_s: int) -> bool:
        hour_s = from_s // HOUR_S * HOUR_S
        found = connection.exec_driver_sql(_OPENED, (hour_s, to_s, from_s * 1000, to_s * 1000))
        return found.first() is not None

    # Before the first and after the last there is nothing to be split.
    from_s, to_s = max(start_s, first_s), min(end_s, last_s + HOUR_S)
    for stretch in split(from_s, to_s, cuts_for(question), opened):
        yield summed(question, stretch)


def _results(query: UsageQuery, buckets: list[Bounds], groups: Groups) -> tuple[UsageBucket, ...]:
    found: dict[int, list[UsageResult]] = {}
    dimensions = tuple(dict.fromkeys(query.group_by))
    for (at, *values), sums in groups.items():
        # Corrections can leave a row in which all is 0.
        if any(sums):
            found.setdefault(at, []).append(_result(dimensions, values, Sums(**dict(zip(SUMS, sums, strict=True)))))
    return tuple(
        UsageBucket(start_s=start_s, end_s=end_s, results=tuple(sorted(found.get(first, ()), key=_order)))
        for first, start_s, end_s in buckets
    )


def _result(dimensions: tuple[Dimension, ...], values: list[Any], sums: Sums) -> UsageResult:
    shown: dict[str, Any] = {}
    for name, value in zip(dimensions, values, strict=True):
        if name == "day":
            shown["day"] = f"{dt.datetime.fromtimestamp(value, dt.UTC):%Y-%m-%d}"
        elif name == "batch":
            shown["batch"] = bool(value)
        else:
            shown[DIMENSIONS[name]] = None if name in LACKING and value == "" else value
    return UsageResult(sums=sums, **shown)


def _order(result: UsageResult) -> tuple[Any, ...]:
    """The dearest first, then those with most requests; the rest only makes it the same every time."""
    sums = result.sums
    group = msgspec.structs.astuple(result)[1:]
    return -sums.cost_nanos, -sums.requests, *(str(value) for value in group)
