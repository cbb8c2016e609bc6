"""The request log, read: pages of an account's calls, the newest first, and single calls by any of their ids."""

# ruff: noqa: S608 - only names of ours are put into statements; values are bound

from __future__ import annotations

import asyncio
import heapq
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from trunkline import clock
from trunkline.errors import InvalidRequest, StoreUnavailable
from trunkline.ids import AccountId, call_number, first_number
from trunkline.ports.reports import CallPage, CallQuery
from trunkline.ports.requests import RequestRow
from trunkline.storage import request_file
from trunkline.storage.database import Database
from trunkline.storage.request_file import COLUMNS
from trunkline.storage.requests import RequestsOptions
from trunkline.storage.whose import LISTED, accounts_of, is_within, listed, owners_of

MOST_CALLS: Final = 1000
READERS: Final = 2
LONGEST_LOOK_S: Final = 0.25
"""Once something has been found. A filter that few calls pass makes a page shorter than its limit."""
MOST_MERGED: Final = 200
"""Accounts; the calls of more than these are looked for among everybody's."""
SWEPT_TOGETHER: Final = 2000
DAY_S: Final = 86_400

Found = tuple[Any, ...]
Result = TypeVar("Result")
Conditions = list[tuple[str, object]]

_ROW: Final = ", ".join(f"calls.{name}" for name in (*COLUMNS, "rest"))
_ONE: Final = f"SELECT {_ROW} FROM calls WHERE number = ?"
_LATER: Final = f"SELECT {_ROW} FROM calls WHERE number > ?"
# The stretches are walked from the newest, each with one look into the tree.
_NAMED: Final = (
    "WITH RECURSIVE stretches (stretch) AS (SELECT max(stretch) FROM named_calls UNION ALL"
    " SELECT (SELECT max(stretch) FROM named_calls WHERE stretch < stretches.stretch) FROM stretches"
    " WHERE stretch IS NOT NULL)"
    " SELECT number FROM stretches CROSS JOIN named_calls USING (stretch) WHERE hash = ?"
)


class SqlRequestLogReader:
    """Fulfils ports.reports.RequestLogReader, on threads of its own."""

    def __init__(self, path: Path, database: Database, options: RequestsOptions) -> None:
        """`path`: the file of the log; `database` knows the tree of accounts and whose keys are."""
        self.options = options
        self._path = path
        self._database = database
        self._threads = ThreadPoolExecutor(READERS, "request-log-reader")

    async def calls(self, query: CallQuery) -> CallPage:
        """Raises InvalidRequest for a limit that is none, and StoreUnavailable."""
        if not 1 <= query.limit <= MOST_CALLS:
            raise InvalidRequest(f"limit is from 1 to {MOST_CALLS}.", param="limit")
        return await self._run(lambda: self._calls(query))

    async def call(self, number: int, root: AccountId) -> RequestRow | None:
        return await self._run(lambda: self._call(number, root))

    async def answered(self, response_id: str, root: AccountId) -> RequestRow | None:
        return await self._run(lambda: self._named("response", response_id, root))

    async def requested(self, request_id: str, root: AccountId) -> RequestRow | None:
        return await self._run(lambda: self._named("request", request_id, root))

    async def sweep(self, now_s: float) -> int:
        """Delete some of the calls that are older than they are kept. Returns how many. Raises StoreUnavailable."""
        before = first_number(int((now_s - self.options.retention_days * DAY_S) * 1000))
        return await self._run(
            lambda: self._with(lambda connection: request_file.sweep(connection, before, SWEPT_TOGETHER), 0)
        )

    def close(self) -> None:
        self._threads.shutdown()

    async def _run(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"The request log does not answer ({error}).", retry_after_s=1.0) from error

    def _with(self, work: Callable[[sqlite3.Connection], Result], none: Result) -> Result:
        """`none` is the result while nothing was ever logged."""
        if not self._path.exists():
            return none
        with closing(request_file.open_file(self._path)) as connection:
            return work(connection)

    def _calls(self, query: CallQuery) -> CallPage:
        with self._database.reading() as connection:
            whose = _whose(connection, query)
        nothing = CallPage(calls=(), has_more=False)
        return nothing if whose == [] else self._with(lambda connection: _page(connection, query, whose), nothing)

    def _call(self, number: int, root: AccountId) -> RequestRow | None:
        return self._with(lambda connection: self._seen(connection.execute(_ONE, (number,)), root), None)

    def _named(self, kind: str, name: str, root: AccountId) -> RequestRow | None:
        def find(connection: sqlite3.Connection) -> RequestRow | None:
            number = call_number(name) if kind == "request" else None
            own = [] if number is None else connection.execute(_ONE, (number,)).fetchall()
            found = chain(own, _by_hash(connection, kind, request_file.hash_of(name)))
            place = request_file.FIELDS.index(f"{kind}_id")
            return self._seen((row for row in found if _field(row, place) == name), root)

        return self._with(find, None)

    def _seen(self, found: Iterable[Found], root: AccountId) -> RequestRow | None:
        """The first of them whose account is `root` or below it."""
        for row in found:
            with self._database.reading() as connection:
                if is_within(connection, row[1], root):
                    return request_file.restored(row)
        return None


def _whose(connection: Connection, query: CallQuery) -> list[str] | None:
    """The accounts whose calls are asked for; None for everybody's."""
    whose = accounts_of(connection, query.root, query.accounts)
    if query.keys is None:
        return whose
    owners = set(owners_of(connection, query.keys).values())
    return sorted(owners if whose is None else owners & set(whose))


def _page(connection: sqlite3.Connection, query: CallQuery, whose: list[str] | None) -> CallPage:
    connection.execute("BEGIN")
    until_s = clock.monotonic_s() + LONGEST_LOOK_S
    calls: list[RequestRow] = []
    for found in _newest_first(connection, _conditions(query), whose):
        if len(calls) == query.limit or (calls and clock.monotonic_s() > until_s):
            return CallPage(calls=tuple(calls), has_more=True)
        calls.append(request_file.restored(found))
    return CallPage(calls=tuple(calls), has_more=False)


def _conditions(query: CallQuery) -> Conditions:
    conditions: Conditions = []
    if query.before is not None:
        conditions.append(("calls.number < ?", query.before))
    if query.until_ms is not None:
        conditions.append(("calls.number < ?", first_number(query.until_ms)))
    if query.since_ms is not None:
        conditions.append(("calls.number >= ?", first_number(query.since_ms)))
    for name, wanted in (("key_id", query.keys), ("model", query.models)):
        if wanted is not None:
            conditions.append((f"calls.{name} IN {LISTED}", listed(wanted)))
    if query.tags is not None:
        named = listed(tag for tag in query.tags if tag is not None)
        or_none = " OR calls.tag IS NULL" if None in query.tags else ""
        conditions.append((f"(calls.tag IN {LISTED}{or_none})", named))
    if query.status_class is not None:
        conditions.append(("calls.status / 100 = ?", query.status_class))
    return conditions


def _newest_first(connection: sqlite3.Connection, conditions: Conditions, whose: list[str] | None) -> Iterator[Found]:
    indexed = request_file.indexed_to(connection)
    anyones: Conditions = [] if whose is None else [(f"calls.account_id IN {LISTED}", listed(whose))]
    if whose is None or len(whose) > MOST_MERGED:
        yield from _select(connection, "calls", "calls.number", [*anyones, *conditions])
        return
    yield from _select(connection, "calls", "calls.number", [("calls.number > ?", indexed), *anyones, *conditions])
    # Of each account a statement that is read as far as it is needed.
    join = "account_calls CROSS JOIN calls USING (number)"
    bounds = [(sql.replace("calls.", "account_calls."), value) for sql, value in conditions if "number" in sql]
    its = [
        _select(
            connection,
            join,
            "account_calls.number",
            [
                ("account_calls.account_id = ?", account_id),
                ("account_calls.number <= ?", indexed),
                *bounds,
                *conditions,
            ],
        )
        for account_id in whose
    ]
    yield from heapq.merge(*its, key=itemgetter(0), reverse=True)


def _select(connection: sqlite3.Connection, tables: str, order: str, conditions: Conditions) -> Iterator[Found]:
    where = " AND ".join(sql for sql, _ in conditions) or "true"
    statement = f"SELECT {_ROW} FROM {tables} WHERE {where} ORDER BY {order} DESC"
    return connection.execute(statement, [value for _, value in conditions])


def _by_hash(connection: sqlite3.Connection, kind: str, hash_: int) -> Iterator[Found]:
    """The newest first, but for those of the same two minutes."""
    later = connection.execute(
        f"{_LATER} AND {kind}_hash = ? ORDER BY number DESC", (request_file.indexed_to(connection), hash_)
    )
    yield from later
    for (number,) in connection.execute(_NAMED, (hash_,)):
        yield from connection.execute(_ONE, (number,))


def _field(found: Found, place: int) -> object:
    return getattr(request_file.restored(found), request_file.FIELDS[place])
