from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from tests.storage.logged import BASE, logged
from trunkline.errors import InvalidRequest, StoreUnavailable
from trunkline.ids import ROOT_ACCOUNT, AccountId, KeyId, began_at_ms, call_id
from trunkline.ports.reports import CallQuery
from trunkline.ports.requests import RequestRow
from trunkline.storage import request_file, request_reader
from trunkline.storage.database import Database
from trunkline.storage.request_file import FILE
from trunkline.storage.request_reader import DAY_S, SWEPT_TOGETHER, SqlRequestLogReader
from trunkline.storage.requests import RequestsOptions
from trunkline.storage.schema import accounts, keys

# The tree: root > a > c, root > b.
ABOVE = {"acct_a": "acct_root", "acct_b": "acct_root", "acct_c": "acct_a"}
BELOW = {
    "acct_root": {"acct_root", "acct_a", "acct_b", "acct_c"},
    "acct_a": {"acct_a", "acct_c"},
    "acct_b": {"acct_b"},
    "acct_c": {"acct_c"},
}
KEYS = {"key_root": "acct_root", "key_a": "acct_a", "key_b": "acct_b", "key_c": "acct_c", "key_c2": "acct_c"}
MINUTE = 60_000 << 16


@pytest.fixture
def tree(database: Database) -> Database:
    with database.writing() as connection:
        for account, parent in ABOVE.items():
            connection.execute(insert(accounts).values(account_id=account, parent_id=parent, name="n", created_at=0.0))
        for key, account in KEYS.items():
            connection.execute(
                insert(keys).values(
                    account_id=account, key_id=key, name="n", admin=False, manage=False, models="[]", created_at=0.0
                )
            )
    return database


@pytest.fixture
def reader(tmp_path: Path, tree: Database) -> Iterator[SqlRequestLogReader]:
    made = SqlRequestLogReader(tmp_path / FILE, tree, RequestsOptions())
    yield made
    made.close()


def write(path: Path, rows: list[RequestRow], indexed: int) -> None:
    """The first `indexed` of them are in the trees."""
    connection = request_file.open_file(path)
    connection.execute("DELETE FROM calls")
    connection.execute("DELETE FROM account_calls")
    connection.execute("DELETE FROM named_calls")
    connection.execute("UPDATE indexed SET number = 0")
    if rows[:indexed]:
        request_file.insert(connection, rows[:indexed])
        request_file.index(connection)
    if rows[indexed:]:
        request_file.insert(connection, rows[indexed:])
    connection.close()


ROWS = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.sampled_from(sorted(KEYS)),
        st.sampled_from([None, "t1", "t2"]),
        st.sampled_from(["m1", "m2"]),
        st.sampled_from([200, 404, 429, 502]),
    ),
    max_size=40,
    unique_by=lambda one: one[0],
)
QUERIES = st.fixed_dictionaries(
    {
        "root": st.sampled_from(sorted(BELOW)),
        "limit": st.integers(1, 7),
    },
    optional={
        "accounts": st.lists(st.sampled_from([*BELOW, "acct_unknown"]), max_size=2).map(tuple),
        "keys": st.lists(st.sampled_from([*KEYS, "key_unknown"]), max_size=2).map(tuple),
        "models": st.lists(st.sampled_from(["m1", "m2", "m3"]), max_size=2).map(tuple),
        "tags": st.lists(st.sampled_from([None, "t1", "t2"]), max_size=2).map(tuple),
        "status_class": st.integers(2, 5),
        "since_ms": st.integers(0, 400).map(lambda minute: began_at_ms(BASE) + minute * 60_000),
        "until_ms": st.integers(0, 400).map(lambda minute: began_at_ms(BASE) + minute * 60_000),
    },
)


def matches(row: RequestRow, query: CallQuery) -> bool:
    at_ms = began_at_ms(row.number)
    return (
        row.account_id in BELOW[query.root]
        and (query.accounts is None or row.account_id in query.accounts)
        and (query.keys is None or row.key_id in query.keys)
        and (query.models is None or row.model in query.models)
        and (query.tags is None or row.tag in query.tags)
        and (query.status_class is None or row.status // 100 == query.status_class)
        and (query.since_ms is None or at_ms >= query.since_ms)
        and (query.until_ms is None or at_ms < query.until_ms)
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=ROWS, asked=QUERIES, data=st.data())
def test_pages_are_what_a_look_at_every_row_finds(
    drawn: list[tuple[Any, ...]],
    asked: dict[str, Any],
    data: st.DataObject,
    tmp_path: Path,
    reader: SqlRequestLogReader,
) -> None:
    rows = [
        logged(BASE + place * MINUTE, key_id=key, account_id=KEYS[key], tag=tag, model=model, status=status)
        for place, key, tag, model, status in drawn
    ]
    write(tmp_path / FILE, rows, data.draw(st.integers(0, len(rows))))
    query = CallQuery(**asked)
    expected = sorted((row for row in rows if matches(row, query)), key=lambda row: -row.number)

    async def read_all() -> list[RequestRow]:
        found: list[RequestRow] = []
        before = None
        while True:
            page = await reader.calls(CallQuery(**asked, before=before))
            assert len(page.calls) == query.limit or not page.has_more
            assert page.calls or not page.has_more
            found += page.calls
            if not page.has_more:
                return found
            before = page.calls[-1].number

    assert asyncio.run(read_all()) == expected


async def test_accounts_beyond_those_that_are_merged(
    tmp_path: Path, reader: SqlRequestLogReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_reader, "MOST_MERGED", 1)
    rows = [logged(BASE + n, account_id=account) for n, account in enumerate(["acct_a", "acct_b", "acct_c"] * 3)]
    write(tmp_path / FILE, rows, 5)
    page = await reader.calls(CallQuery(root=AccountId("acct_a")))
    assert [call.number for call in page.calls] == [row.number for row in rows[::-1] if row.account_id != "acct_b"]


async def test_a_look_that_takes_long_ends_with_what_it_found(
    tmp_path: Path, reader: SqlRequestLogReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_reader, "LONGEST_LOOK_S", -1.0)
    write(tmp_path / FILE, [logged(BASE + n) for n in range(3)], 3)
    first = await reader.calls(CallQuery())
    assert [call.number for call in first.calls] == [BASE + 2]
    assert first.has_more
    second = await reader.calls(CallQuery(before=BASE + 2, limit=2))
    assert [call.number for call in second.calls] == [BASE + 1]


@pytest.fixture
def few(tmp_path: Path, reader: SqlRequestLogReader) -> SqlRequestLogReader:
    rows = [
        logged(BASE, account_id="acct_a", response_id="resp_one", request_id="asked"),
        logged(BASE + 40 * MINUTE, account_id="acct_b", response_id="resp_two", request_id="asked"),
        logged(BASE + 41 * MINUTE, account_id="acct_c", response_id=None),
        logged(BASE + 42 * MINUTE, account_id="acct_c", response_id="resp_three", request_id=call_id(BASE)),
    ]
    write(tmp_path / FILE, rows, 2)
    return reader


async def number(found: Any) -> int | None:
    row = await found
    return None if row is None else row.number


async def test_a_call_by_its_number(few: SqlRequestLogReader) -> None:
    assert await number(few.call(BASE, ROOT_ACCOUNT)) == BASE
    assert await number(few.call(BASE, AccountId("acct_a"))) == BASE
    assert await number(few.call(BASE, AccountId("acct_b"))) is None
    assert await number(few.call(BASE + 1, ROOT_ACCOUNT)) is None


async def test_a_call_by_the_id_of_its_answer(few: SqlRequestLogReader) -> None:
    assert await number(few.answered("resp_one", ROOT_ACCOUNT)) == BASE
    assert await number(few.answered("resp_three", AccountId("acct_a"))) == BASE + 42 * MINUTE
    assert await number(few.answered("resp_three", AccountId("acct_b"))) is None
    assert await number(few.answered("resp_four", ROOT_ACCOUNT)) is None
    assert await number(few.answered("asked", ROOT_ACCOUNT)) is None


async def test_a_call_by_the_id_of_its_request_is_the_newest(few: SqlRequestLogReader) -> None:
    assert await number(few.requested("asked", ROOT_ACCOUNT)) == BASE + 40 * MINUTE
    assert await number(few.requested("asked", AccountId("acct_a"))) == BASE
    own = call_id(BASE + 41 * MINUTE)
    assert await number(few.requested(own, ROOT_ACCOUNT)) == BASE + 41 * MINUTE
    # A caller may name a request after another call, whose own name is another here.
    assert await number(few.requested(call_id(BASE), ROOT_ACCOUNT)) == BASE + 42 * MINUTE


async def test_names_that_look_alike_to_the_tree_are_told_apart(
    tmp_path: Path, reader: SqlRequestLogReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / FILE, [logged(BASE, response_id="resp_one")], 1)
    same = request_file.hash_of("resp_one")
    monkeypatch.setattr(request_file, "hash_of", lambda _: same)
    assert await reader.answered("resp_other", ROOT_ACCOUNT) is None
    assert await reader.answered("resp_one", ROOT_ACCOUNT) is not None


async def test_before_the_first_call_there_is_nothing(tmp_path: Path, reader: SqlRequestLogReader) -> None:
    assert await reader.calls(CallQuery()) == await reader.calls(CallQuery(keys=(KeyId("key_a"),)))
    assert (await reader.calls(CallQuery())).calls == ()
    assert await reader.call(BASE, ROOT_ACCOUNT) is None
    assert await reader.sweep(2e9) == 0
    assert not (tmp_path / FILE).exists()


async def test_what_is_older_than_it_is_kept_goes(tmp_path: Path, reader: SqlRequestLogReader) -> None:
    rows = [logged(BASE + n) for n in range(SWEPT_TOGETHER + 5)]
    rows.append(logged(BASE + MINUTE))
    write(tmp_path / FILE, rows, 10)
    now_s = began_at_ms(BASE) / 1000 + reader.options.retention_days * DAY_S
    assert await reader.sweep(now_s - 1) == 0
    assert await reader.sweep(now_s + 1) == SWEPT_TOGETHER
    assert await reader.sweep(now_s + 1) == 5
    assert await reader.sweep(now_s + 1) == 0
    assert [call.number for call in (await reader.calls(CallQuery())).calls] == [BASE + MINUTE]


async def test_a_file_that_is_none_is_told_of(tmp_path: Path, reader: SqlRequestLogReader) -> None:
    (tmp_path / FILE).write_bytes(b"no database " * 1000)
    with pytest.raises(StoreUnavailable, match="request log"):
        await reader.calls(CallQuery())


@pytest.mark.parametrize("limit", [0, 1001])
async def test_a_limit_is_within_bounds(limit: int, reader: SqlRequestLogReader) -> None:
    with pytest.raises(InvalidRequest, match="limit"):
        await reader.calls(CallQuery(limit=limit))
