"""The file of the request log: its tables, and how a row is laid out in them.

What can be filtered by has a column, the rest of a row is one value: binding few values makes a row cheap. The trees
that find rows by account and by name are not kept up row by row, which would touch a page of each for every call: rows
above `indexed` are found by reading them, and are taken into the trees in sorted thousands now and then.
"""

# ruff: noqa: S608 - only names of ours are put into statements; values are bound

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from trunkline.errors import StoreUnavailable
from trunkline.ids import call_id
from trunkline.ports.requests import RequestRow
from trunkline.storage.database import Database, FileConnection, connect

FILE: Final = "requests.db"
VERSION: Final = 1
"""PRAGMA user_version. Other fields of RequestRow, or another order, make it another layout."""
STRETCH_SHIFT: Final = 33
"""Names are looked for in stretches of 2 minutes each, newest first: so what is written lies close together."""
MOST_ROWS: Final = 64
"""In one statement: the thread asks for the interpreter once for each."""
BUSY_S: Final = 10.0

FIELDS: Final = RequestRow.__struct_fields__
COLUMNS: Final = ("number", "account_id", "key_id", "tag", "model", "status")
REST: Final = tuple(name for name in FIELDS if name not in COLUMNS)
_rest_of = itemgetter(*map(FIELDS.index, REST))
_STORED: Final = (*COLUMNS, "response_hash", "request_hash", "rest")

_SCHEMA: Final = (
    """CREATE TABLE calls (
        number INTEGER PRIMARY KEY, account_id TEXT NOT NULL, key_id TEXT NOT NULL, tag TEXT, model TEXT NOT NULL,
        status INTEGER NOT NULL, response_hash INTEGER, request_hash INTEGER, rest BLOB NOT NULL)""",
    """CREATE TABLE account_calls (
        account_id TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (account_id, number)) WITHOUT ROWID""",
    """CREATE TABLE named_calls (
        stretch INTEGER NOT NULL, hash INTEGER NOT NULL, number INTEGER NOT NULL,
        PRIMARY KEY (stretch, hash, number)) WITHOUT ROWID""",
    "CREATE TABLE indexed (number INTEGER NOT NULL)",
    "INSERT INTO indexed VALUES (0)",
    f"PRAGMA user_version = {VERSION}",
)
_INDEX_NAMES: Final = f"""
    INSERT OR IGNORE INTO named_calls
    SELECT number >> {STRETCH_SHIFT} AS stretch, response_hash AS hash, number FROM calls
    WHERE number > (SELECT number FROM indexed) AND response_hash IS NOT NULL
    UNION ALL
    SELECT number >> {STRETCH_SHIFT} AS stretch, request_hash AS hash, number FROM calls
    WHERE number > (SELECT number FROM indexed) AND request_hash IS NOT NULL
    ORDER BY stretch, hash, number
"""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Any, ...]).decode


def open_file(path: Path) -> FileConnection:
    """Makes the file when it is missing. Raises StoreUnavailable and sqlite3.Error."""
    if not path.exists():
        Database(path).create_file()
    connection = connect(path, BUSY_S)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        if _version(connection) != VERSION:
            _lay_out(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _lay_out(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _version(connection)
        if found not in (0, VERSION):
            raise StoreUnavailable(f"{path} was written by another release of Trunkline; move it away to begin anew.")
        for statement in _SCHEMA if found == 0 else ():
            connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def hash_of(name: str) -> int:
    """Short, the same in every process; what it finds is compared."""
    return zlib.crc32(name.encode())


def stored(row: RequestRow) -> tuple[Any, ...]:
    """The values of _STORED. Takes 1.2 us."""
    values = astuple(row)
    request_id = row.request_id
    response_id = row.response_id
    # A call's own id is found by its number.
    own = request_id.startswith("call_") and request_id == call_id(row.number)
    return (
        row.number,
        row.account_id,
        row.key_id,
        row.tag,
        row.model,
        row.status,
        None if response_id is None else zlib.crc32(response_id.encode()),
        None if own else zlib.crc32(request_id.encode()),
        _encode(_rest_of(values)),
    )


def restored(found: Sequence[Any]) -> RequestRow:
    """`found`: the values of COLUMNS and of `rest`."""
    values = dict(zip(COLUMNS, found[:-1], strict=True))
    values.update(zip(REST, _decode(found[-1]), strict=True))
    return RequestRow(**values)


def insert(connection: sqlite3.Connection, rows: Sequence[RequestRow]) -> None:
    """In a transaction of its own. Rows that are there already stay as they are."""
    values = [stored(row) for row in rows]
    connection.execute("BEGIN IMMEDIATE")
    try:
        for at in range(0, len(values), MOST_ROWS):
            part = values[at : at + MOST_ROWS]
            connection.execute(_insert_statement(len(part)), list(chain.from_iterable(part)))
        indexed = indexed_to(connection)
        if late := [one for one in values if one[0] <= indexed]:
            _index_late(connection, late)
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def indexed_to(connection: sqlite3.Connection) -> int:
    """Calls up to this number are found by the trees, later ones by reading them."""
    number: int = connection.execute("SELECT number FROM indexed").fetchone()[0]
    return number


def index(connection: sqlite3.Connection) -> None:
    """Take into the trees what is not in them yet."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "INSERT INTO account_calls SELECT account_id, number FROM calls"
            " WHERE number > (SELECT number FROM indexed) ORDER BY account_id, number"
        )
        connection.execute(_INDEX_NAMES)
        connection.execute("UPDATE indexed SET number = max(number, coalesce((SELECT max(number) FROM calls), 0))")
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def sweep(connection: sqlite3.Connection, before: int, most: int) -> int:
    """Delete at most `most` calls with a number below `before`. Returns how many."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        oldest = "SELECT number FROM calls WHERE number < ? ORDER BY number LIMIT ?"
        found = [number for (number,) in connection.execute(oldest, (before, most))]
        if found:
            _delete_to(connection, found[-1])
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise
    return len(found)


def _delete_to(connection: sqlite3.Connection, last: int) -> None:
    connection.execute(
        "DELETE FROM account_calls WHERE (account_id, number) IN"
        " (SELECT account_id, number FROM calls WHERE number <= ?)",
        (last,),
    )
    for name in ("response_hash", "request_hash"):
        connection.execute(
            "DELETE FROM named_calls WHERE (stretch, hash, number) IN"
            f" (SELECT number >> {STRETCH_SHIFT}, {name}, number FROM calls WHERE number <= ?)",
            (last,),
        )
    connection.execute("DELETE FROM calls WHERE number <= ?", (last,))


def _index_late(connection: sqlite3.Connection, late: Iterable[tuple[Any, ...]]) -> None:
    for number, account_id, *_, response_hash, request_hash, _rest in late:
        connection.execute("INSERT OR IGNORE INTO account_calls VALUES (?, ?)", (account_id, number))
        for hash_ in (response_hash, request_hash):
            if hash_ is not None:
                connection.execute(
                    "INSERT OR IGNORE INTO named_calls VALUES (?, ?, ?)", (number >> STRETCH_SHIFT, hash_, number)
                )


@cache
def _insert_statement(rows: int) -> str:
    one = f"({', '.join('?' * len(_STORED))})"
    return f"INSERT OR IGNORE INTO calls ({', '.join(_STORED)}) VALUES {', '.join([one] * rows)}"


def _roll_back(connection: sqlite3.Connection) -> None:
    # A full disk may have ended the transaction already.
    if connection.in_transaction:
        connection.execute("ROLLBACK")
