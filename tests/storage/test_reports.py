from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from tests.storage import summed
from tests.storage.large import Shape, fill
from tests.storage.summed import BEGAN_MS, FIRST, added_up, advance_all, day_of, entry, write
from trunkline.errors import InvalidRequest
from trunkline.ids import ENTRY_ADJUSTED, ENTRY_OPENED, AccountId, KeyId
from trunkline.ports.ledger import ADJUSTED, OPEN, Entry, State
from trunkline.ports.reports import Spend, SpendQuery, UsageBucket, UsageQuery, UsageResult
from trunkline.storage import reports, usage_pieces
from trunkline.storage.database import Database
from trunkline.storage.reports import SqlReports, spend, usage
from trunkline.storage.schema import accounts, keys

BEGAN_S = BEGAN_MS // 1000
DAY_S = 86_400
ABOVE = {"acct_a": "acct_root", "acct_b": "acct_root", "acct_c": "acct_a"}
BELOW = {"acct_root": {"acct_root", "acct_a", "acct_b", "acct_c"}, "acct_a": {"acct_a", "acct_c"}, "acct_c": {"acct_c"}}
# The last one is unknown to the table of keys.
OWNERS = {"key_a": "acct_a", "key_b": "acct_b", "key_c": "acct_c", "key_c2": "acct_c", "key_x": "acct_b"}
COLUMNS = {"account": "account_id", "key": "key_id"}


@pytest.fixture
def tree(database: Database) -> Database:
    with database.writing() as connection:
        for account, parent in ABOVE.items():
            connection.execute(insert(accounts).values(account_id=account, parent_id=parent, name="n", created_at=0.0))
        for key, account in list(OWNERS.items())[:-1]:
            connection.execute(
                insert(keys).values(
                    account_id=account, key_id=key, name="n", admin=False, manage=False, models="[]", created_at=0.0
                )
            )
    return database


def ask(database: Database, query: UsageQuery) -> list[UsageBucket]:
    """All pages."""
    buckets: list[UsageBucket] = []
    with database.reading() as connection:
        while True:
            page = usage(connection, query)
            assert len(page.buckets) <= query.limit
            buckets += page.buckets
            if page.next_page is None:
                return buckets
            query = msgspec.structs.replace(query, page=page.next_page)


def value_of(one: Entry, dimension: str) -> Any:
    if dimension == "day":
        return day_of(one.opened_at_ms // 1000)
    return getattr(one, COLUMNS.get(dimension, dimension))


def matches(one: Entry, query: UsageQuery) -> bool:
    if not (query.start_s * 1000 <= one.opened_at_ms < query.end_s * 1000 and one.account_id in BELOW[query.root]):
        return False
    filters = {
        "account": query.accounts,
        "key": query.keys,
        "model": query.models,
        "provider": query.providers,
        "endpoint": query.endpoints,
        "tag": query.tags,
        "service_tier": query.service_tiers,
        "batch": None if query.batch is None else (query.batch,),
    }
    return all(wanted is None or value_of(one, name) in wanted for name, wanted in filters.items())


def bounds_of(query: UsageQuery) -> Iterator[tuple[int, int]]:
    """Step by small step."""
    if query.width == "none":
        yield query.start_s, query.end_s
        return
    shape = {"1m": "%F %H:%M", "1h": "%F %H", "1d": "%F", "month": "%Y-%m"}[query.width]
    step_s = 60 if query.width == "1m" else 3600

    def name(at_s: int) -> str:
        return f"{dt.datetime.fromtimestamp(at_s, dt.UTC):{shape}}"

    start_s = at_s = query.start_s
    while at_s < query.end_s:
        at_s = min(at_s // step_s * step_s + step_s, query.end_s)
        if at_s == query.end_s or name(at_s) != name(start_s):
            yield start_s, at_s
            start_s = at_s


def by_hand(query: UsageQuery, ledger: Sequence[Entry]) -> list[UsageBucket]:
    buckets = []
    counted = [one for one in ledger if matches(one, query) and one.entry_id & 3 != ENTRY_OPENED]
    for start_s, end_s in bounds_of(query):
        groups: dict[tuple[Any, ...], list[Entry]] = {}
        for one in counted:
            if start_s * 1000 <= one.opened_at_ms < end_s * 1000:
                groups.setdefault(tuple(value_of(one, name) for name in query.group_by), []).append(one)
        results = []
        for values, mine in groups.items():
            sums = added_up(mine)
            if any(msgspec.structs.astuple(sums)):
                shown = dict(zip([COLUMNS.get(name, name) for name in query.group_by], values, strict=True))
                results.append(UsageResult(sums=sums, **shown))
        results.sort(key=reports._order)
        buckets.append(UsageBucket(start_s=start_s, end_s=end_s, results=tuple(results)))
    return buckets


MOMENTS = st.one_of(
    # Near the ends of days, hours and months, and anywhere; before and after anything that is there.
    st.builds(
        lambda hour, off: BEGAN_S + hour * 3600 + off, st.integers(-26, 26), st.sampled_from([-1, 0, 1, 59, 60, 1800])
    ),
    st.integers(BEGAN_S - 2 * DAY_S, BEGAN_S + 3 * DAY_S),
)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {
            # The clock may have been set back: when a call was opened does not follow from its number.
            "opened_at_ms": MOMENTS.map(lambda at_s: at_s * 1000) | MOMENTS.map(lambda at_s: at_s * 1000 + 999),
            "call": st.integers(0, 12),
            "attempt": st.integers(1, 3),
            "kind": st.sampled_from([ENTRY_OPENED, 1, 1, 1, ENTRY_ADJUSTED]),
            "key_id": st.sampled_from(sorted(OWNERS)),
            "tag": st.sampled_from([None, "t1", "t2"]),
            "model": st.sampled_from(["m1", "m2"]),
            "endpoint": st.sampled_from(["chat", "embeddings"]),
            "service_tier": st.sampled_from([None, "flex"]),
            "batch": st.booleans(),
            "estimated": st.booleans(),
            "cost_nanos": st.sampled_from([0, 1, 7, 10**12]),
            "upstream_cost_nanos": st.sampled_from([0, 5]),
        }
    ),
    max_size=6,
)
# A batch of entries, or: the mark moves by so many, behind the call of that place.
STEPS = st.lists(ENTRIES.filter(len) | st.tuples(st.integers(1, 4), st.integers(0, 14)), min_size=2, max_size=8)
DIMENSIONS = ["account", "key", "model", "provider", "tag", "endpoint", "batch", "service_tier", "day"]
FILTERS: dict[str, st.SearchStrategy[Any]] = {
    "accounts": st.lists(st.sampled_from(["acct_a", "acct_b", "acct_gone"]), max_size=3).map(tuple),
    "keys": st.lists(st.sampled_from([*OWNERS, "key_gone"]), max_size=3).map(tuple),
    "models": st.lists(st.sampled_from(["m1", "m2", "m3"]), max_size=2).map(tuple),
    "providers": st.just(("openai",)),
    "endpoints": st.just(("chat",)),
    "tags": st.lists(st.sampled_from([None, "t1", "t2"]), max_size=2).map(tuple),
    "service_tiers": st.lists(st.sampled_from([None, "flex"]), max_size=2).map(tuple),
    "batch": st.booleans(),
}
# Few filters, or nothing would be left to compare.
FILTERED = st.lists(st.sampled_from(sorted(FILTERS)), max_size=2, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: FILTERS[name] for name in names})
)
WHOLE = st.just([BEGAN_S - 2 * DAY_S, BEGAN_S + 3 * DAY_S])
QUERIES = st.fixed_dictionaries(
    {
        "bounds": WHOLE | st.tuples(MOMENTS, MOMENTS).map(sorted).filter(lambda pair: pair[0] < pair[1]),
        "width": st.sampled_from(["1h", "1d", "month", "none"]),
        "group_by": st.lists(st.sampled_from(DIMENSIONS), max_size=3, unique=True).map(tuple),
        "root": st.just("acct_root") | st.sampled_from(sorted(BELOW)),
        "limit": st.integers(2, 50) | st.just(1440),
    }
)


def entry_of(drawn: dict[str, Any], there: set[int]) -> Entry | None:
    kind = drawn.pop("kind")
    number = FIRST + (drawn.pop("call") << 16)
    ended: State = "settled" if drawn["cost_nanos"] else "released"
    others: dict[int, State] = {ENTRY_OPENED: OPEN, ENTRY_ADJUSTED: ADJUSTED}
    state = others.get(kind, ended)
    one = entry(number, kind, state, account_id=OWNERS[drawn["key_id"]], **drawn)
    if one.entry_id in there:
        return None
    there.add(one.entry_id)
    return one


class Asked(msgspec.Struct, frozen=True):
    query: UsageQuery
    seeks: bool


@st.composite
def questions(draw: st.DrawFn) -> Asked:
    asked: dict[str, Any] = draw(QUERIES)
    start_s, end_s = asked.pop("bounds")
    return Asked(UsageQuery(start_s=start_s, end_s=end_s, **asked, **draw(FILTERED)), draw(st.booleans()))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, asked=questions())
def test_reports_are_the_whole_ledger_at_any_moment(
    steps: list[Any], asked: Asked, tree: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was written in whatever order, late entries and corrections too, wherever the mark stands."""
    monkeypatch.setattr(usage_pieces, "MOST_SEEKS", 20_000 if asked.seeks else 0)
    summed.empty(tree)
    ledger: list[Entry] = []
    there: set[int] = set()
    for step in steps:
        if isinstance(step, tuple):
            most, oldest = step
            summed.live(tree, FIRST + (oldest << 16))
            summed.advance(tree, BEGAN_MS + 14, most)
        else:
            fresh = [one for one in (entry_of(dict(drawn), there) for drawn in step) if one is not None]
            write(tree, fresh)
            ledger += fresh
        assert ask(tree, asked.query) == by_hand(asked.query, ledger)


def varied(count: int) -> list[Entry]:
    owners = sorted(OWNERS.items())
    return [
        entry(
            FIRST + (place << 16),
            key_id=owners[place % 5][0],
            account_id=owners[place % 5][1],
            tag=[None, "t1", "t2"][place % 3],
            model=f"m{place % 4}",
            endpoint=["chat", "embeddings"][place // 2 % 2],
            service_tier=[None, "flex"][place // 3 % 2],
            batch=place % 7 == 0,
            cost_nanos=1 << place,
            opened_at_ms=BEGAN_MS + place * 3_000_000,
        )
        for place in range(count)
    ]


@pytest.mark.parametrize("seeks", [True, False])
@pytest.mark.parametrize("name", ["none", *FILTERS])
def test_every_filter_goes_with_every_group(
    tree: Database, monkeypatch: pytest.MonkeyPatch, name: str, *, seeks: bool
) -> None:
    monkeypatch.setattr(usage_pieces, "MOST_SEEKS", 20_000 if seeks else 0)
    ledger = varied(50)
    write(tree, ledger)
    advance_all(tree, BEGAN_MS + 10 * DAY_S * 1000)
    filters = {
        "none": None,
        "accounts": ("acct_b", "acct_c"),
        "keys": ("key_c", "key_c2"),
        "models": ("m1",),
        "providers": ("openai",),
        "endpoints": ("embeddings",),
        "tags": (None, "t1"),
        "service_tiers": ("flex",),
        "batch": False,
    }
    query = UsageQuery(start_s=BEGAN_S + 1800, end_s=BEGAN_S + 40 * 3600 + 60)
    if filters[name] is not None:
        query = msgspec.structs.replace(query, **{name: filters[name]})
    for root in ("acct_root", "acct_a"):
        for width in ("1h", "1d"):
            for dimension in DIMENSIONS:
                asked = msgspec.structs.replace(query, root=root, width=width, group_by=(dimension,))
                assert ask(tree, asked) == by_hand(asked, ledger), (root, width, dimension)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), minutes=st.integers(1, 90), summed_up=st.booleans())
def test_minutes_are_read_from_the_entries(
    data: st.DataObject,
    minutes: int,
    summed_up: bool,
    tree: Database,
) -> None:
    summed.empty(tree)
    moments = st.integers(-5400, 5400).map(lambda off: (BEGAN_S + off) * 1000)
    ledger = [
        entry(FIRST + (place << 16), opened_at_ms=at_ms, model=f"m{place % 2}")
        for place, at_ms in enumerate(data.draw(st.lists(moments, max_size=12)))
    ]
    write(tree, ledger)
    if summed_up:
        advance_all(tree, BEGAN_MS + 10 * DAY_S * 1000)
    start_s = BEGAN_S + data.draw(st.integers(-5400, 0))
    query = UsageQuery(start_s=start_s, end_s=start_s + minutes * 60, width="1m", group_by=("model",), limit=40)
    assert ask(tree, query) == by_hand(query, ledger)


WHOSE = st.builds(
    SpendQuery,
    root=st.sampled_from(sorted(BELOW)).map(AccountId),
    key=st.none() | st.sampled_from(sorted(OWNERS)).map(KeyId),
    tag=st.none() | st.just("t1"),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=ENTRIES, at_s=MOMENTS, whose=WHOSE)
def test_spend_is_that_of_the_periods_that_run(
    drawn: list[dict[str, Any]], at_s: int, whose: SpendQuery, tree: Database
) -> None:
    summed.empty(tree)
    there: set[int] = set()
    ledger = [one for one in (entry_of(dict(one), there) for one in drawn) if one is not None]
    write(tree, ledger[::2])
    advance_all(tree, BEGAN_MS + 10 * DAY_S * 1000)
    write(tree, ledger[1::2])
    now = dt.datetime.fromtimestamp(at_s, dt.UTC)
    week = now.isocalendar()

    def spent(period: Any) -> int:
        return sum(
            one.cost_nanos
            for one in ledger
            if one.account_id in BELOW[whose.root]
            and one.entry_id & 3
            and whose.key in (None, one.key_id)
            and whose.tag in (None, one.tag)
            and one.opened_at_ms < (at_s + 1) * 1000
            and period(dt.datetime.fromtimestamp(one.opened_at_ms // 1000, dt.UTC))
        )

    with tree.reading() as connection:
        found = spend(connection, whose, at_s + 0.5)
    assert found == Spend(
        day_nanos=spent(lambda at: at.date() == now.date()),
        week_nanos=spent(lambda at: at.isocalendar()[:2] == week[:2]),
        month_nanos=spent(lambda at: (at.year, at.month) == (now.year, now.month)),
        ever_nanos=spent(lambda at: True),
    )


def test_a_page_of_too_many_results_has_fewer_buckets(tree: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MOST_RESULTS", 4)
    ledger = [
        entry(FIRST + place, model=f"m{place % 3}", opened_at_ms=BEGAN_MS + place * 3_600_000) for place in range(48)
    ]
    write(tree, ledger)
    query = UsageQuery(start_s=BEGAN_S, end_s=BEGAN_S + 2 * DAY_S, width="1h", group_by=("model", "key"))
    with tree.reading() as connection:
        assert 1 <= len(usage(connection, query).buckets) <= 4
    assert ask(tree, query) == by_hand(query, ledger)
    # A bucket that holds more by itself is shown whole.
    monkeypatch.setattr(reports, "MOST_RESULTS", 2)
    daily = msgspec.structs.replace(query, width="1d", group_by=("model", "day", "key"))
    assert ask(tree, daily) == by_hand(daily, ledger)


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"start_s": -1}, "start_time"),
        ({"start_s": 10, "end_s": 10}, "end_time"),
        ({"end_s": 253_402_300_801}, "end_time"),
        ({"limit": 0}, "limit"),
        ({"limit": 1441}, "limit"),
        ({"page": "0"}, "page"),
        ({"page": "100000"}, "page"),
        ({"page": "²"}, "page"),
        ({"page": "x" * 100}, "page"),
        ({"page": ""}, "page"),
    ],
)
def test_what_makes_no_sense_is_told_by_name(database: Database, changes: dict[str, Any], param: str) -> None:
    query = msgspec.structs.replace(UsageQuery(start_s=0, end_s=100_000, width="1h"), **changes)
    with database.reading() as connection, pytest.raises(InvalidRequest) as raised:
        usage(connection, query)
    assert raised.value.param == param


def test_until_the_end_of_the_calendar(database: Database) -> None:
    write(database, [entry(FIRST, opened_at_ms=reports.LAST_S * 1000 - 1)])
    query = UsageQuery(start_s=reports.LAST_S - DAY_S, end_s=reports.LAST_S, width="month")
    [bucket] = ask(database, query)
    assert bucket.results[0].sums.requests == 1
    advance_all(database, BEGAN_MS)
    assert ask(database, query) == [bucket]


async def test_reports_are_awaited(tree: Database) -> None:
    write(tree, [entry(FIRST)])
    asked = SqlReports(tree)
    page = await asked.usage(UsageQuery(start_s=BEGAN_S, end_s=BEGAN_S + 1))
    assert page.buckets[0].results[0].sums.cost_nanos == 1000
    assert (await asked.spend(SpendQuery(), BEGAN_S)).day_nanos == 1000
    asked.close()


@pytest.mark.slow
def test_pages_of_a_large_ledger_are_read_from_sums(database: Database) -> None:
    """The aim for ten million rows is 300 ms; these are a hundredth of it, and time enough for a machine at work."""
    with database.writing() as connection:
        fill(connection, 100_000, Shape(first_ms=BEGAN_MS, days=30, keys=1000, accounts=50))
    advance_all(database, BEGAN_MS + 40 * DAY_S * 1000)
    query = UsageQuery(start_s=BEGAN_S, end_s=BEGAN_S + 30 * DAY_S, width="1d")
    for group_by in ((), ("model",), ("account",), ("key",), ("tag",), ("model", "account", "key", "tag")):
        with database.reading() as connection:
            began_s = dt.datetime.now(dt.UTC)
            page = usage(connection, msgspec.structs.replace(query, group_by=group_by))
            took_s = (dt.datetime.now(dt.UTC) - began_s).total_seconds()
        counted = sum(result.sums.requests + result.sums.errors for bucket in page.buckets for result in bucket.results)
        assert counted == 100_000 or page.next_page is not None
        assert took_s < 3
