from __future__ import annotations

import hashlib
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.storage.logged import BASE, logged
from trunkline.errors import StoreUnavailable
from trunkline.storage import request_file
from trunkline.storage.request_file import FIELDS, FILE, STRETCH_SHIFT, VERSION

ALL = f"SELECT {', '.join(request_file.COLUMNS)}, rest FROM calls ORDER BY number"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = request_file.open_file(tmp_path / FILE)
    yield opened
    opened.close()


def test_a_changed_row_needs_a_changed_version() -> None:
    """Rows on disk hold the fields in their order, without names."""
    layouts = {1: "6a94"}
    assert hashlib.sha256(",".join(FIELDS).encode()).hexdigest()[:4] == layouts[VERSION]


def test_rows_come_back_as_they_were(connection: sqlite3.Connection) -> None:
    rows = [
        logged(BASE),
        logged(
            BASE + 1,
            request_id="theirs",
            response_id=None,
            tag="a tag",
            end_user="user",
            code="server_error",
            status=502,
            stream=False,
            estimated=True,
            finish_reason=None,
            warnings=None,
            user_agent=None,
        ),
    ]
    request_file.insert(connection, rows)
    assert [request_file.restored(found) for found in connection.execute(ALL)] == rows


def test_a_row_that_is_written_again_stays_one(connection: sqlite3.Connection) -> None:
    """A commit may have been done although its answer was an error."""
    request_file.insert(connection, [logged(BASE)])
    request_file.index(connection)
    request_file.insert(connection, [logged(BASE), logged(BASE + 1)])
    assert [found[0] for found in connection.execute(ALL)] == [BASE, BASE + 1]


def test_more_rows_than_a_statement_has(connection: sqlite3.Connection) -> None:
    rows = [logged(BASE + number) for number in range(2 * request_file.MOST_ROWS + 3)]
    request_file.insert(connection, rows)
    assert [request_file.restored(found) for found in connection.execute(ALL)] == rows


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.lists(st.integers(0, 60), max_size=8, unique=True) | st.none() | st.integers(0, 60), max_size=12)
)
def test_the_trees_hold_what_was_indexed_or_came_late(steps: list[list[int] | int | None]) -> None:
    """Batches in any order, indexing (None) and sweeping (a number) in between."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in request_file._SCHEMA:
        connection.execute(statement)
    there: dict[int, str] = {}
    indexed = 0
    for step in steps:
        if step is None:
            request_file.index(connection)
            indexed = max([indexed, *there])
        elif isinstance(step, int):
            before = BASE + (step << STRETCH_SHIFT - 2)
            gone = sorted(number for number in there if number < before)[:3]
            assert request_file.sweep(connection, before, 3) == len(gone)
            for number in gone:
                del there[number]
        else:
            numbers = [BASE + (place << STRETCH_SHIFT - 2) for place in step]
            rows = [logged(number, account_id=f"acct_{number % 3}", request_id="asked") for number in numbers]
            request_file.insert(connection, rows)
            there |= {row.number: row.account_id for row in rows}
        trees = {number: account for number, account in there.items() if number <= indexed}
        assert dict(connection.execute("SELECT number, account_id FROM account_calls").fetchall()) == trees
        found = sorted(connection.execute("SELECT stretch, hash, number FROM named_calls"))
        assert found == sorted(
            (number >> STRETCH_SHIFT, request_file.hash_of(name), number)
            for number in trees
            for name in (f"resp_{number}", "asked")
        )
    connection.close()


def test_only_the_owner_may_read_the_file(tmp_path: Path, connection: sqlite3.Connection) -> None:
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_file_of_another_release_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE
    request_file.open_file(path).close()
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {VERSION + 1}")
    newer.close()
    with pytest.raises(StoreUnavailable, match="another release"):
        request_file.open_file(path)
