from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.books import QUICK, ended, opened_books, query
from trunkline import clock
from trunkline.errors import StoreUnavailable
from trunkline.ids import SLOTS, first_number
from trunkline.storage import entries, holders
from trunkline.storage.database import Database
from trunkline.storage.holders import SlotFiles, slot_folder

TAKE = """
import pathlib, sys
from trunkline.storage.holders import SlotFiles
print(SlotFiles(pathlib.Path(sys.argv[1])).take(set()), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def slots(tmp_path: Path) -> Iterator[SlotFiles]:
    made = SlotFiles(tmp_path / "holders")
    yield made
    made.close()


@pytest.fixture
def connection(database: Database) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(database.path, isolation_level=None)) as opened:
        yield opened


def test_each_process_has_the_smallest_slot_that_is_free(tmp_path: Path) -> None:
    folder = tmp_path / "holders"
    first, second, third = SlotFiles(folder), SlotFiles(folder), SlotFiles(folder)
    assert [first.take(set()), second.take({1}), third.take(set())] == [0, 2, 1]
    second.close()
    assert third.take({0, 1}) == 2
    first.close()
    third.close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_end_of_a_process_shows_at_once(slots: SlotFiles, tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", TAKE, str(tmp_path / "holders")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"0\n"
    with slots.seized(0) as gone:
        assert not gone
    assert slots.take(set()) == 1
    child.kill()
    child.communicate()
    with slots.seized(0) as gone:
        assert gone


def test_nobody_takes_a_slot_that_is_being_looked_at(slots: SlotFiles, tmp_path: Path) -> None:
    other = SlotFiles(tmp_path / "holders")
    with slots.seized(0) as gone, other.seized(0) as gone_too:
        assert gone
        assert gone_too
        assert other.take(set()) == 1
    other.close()


def test_there_is_an_end_of_slots(slots: SlotFiles) -> None:
    with pytest.raises(StoreUnavailable, match="no more numbers"):
        slots.take(set(range(SLOTS)))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="file/holders cannot be used"):
        SlotFiles(tmp_path / "file" / "holders").take(set())


def test_the_folder_is_where_the_database_is_however_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    (tmp_path / "b.db").symlink_to(tmp_path / "a.db")
    assert slot_folder(tmp_path / "a.db") == slot_folder(tmp_path / "b.db") == tmp_path / "a.db.holders"


def test_a_slot_whose_holder_is_not_recovered_yet_is_not_given_again(
    connection: sqlite3.Connection, slots: SlotFiles
) -> None:
    query_values = (0, 1, "live", 0.0, 0.0, 5)
    insert = "INSERT INTO holders (slot, pid, state, started_at, expires_at, oldest_number) VALUES (?, ?, ?, ?, ?, ?)"
    connection.execute(insert, query_values)
    made = holders.register(connection, slots, 10.0, None)
    assert made.holding.slot == 1
    found = connection.execute("SELECT slot, pid, state FROM holders WHERE holder_id = ?", (made.holding.holder_id,))
    assert found.fetchone() == (1, os.getpid(), "live")
    assert [holder.slot for holder in holders.not_dead(connection)] == [0, 1]


@pytest.mark.parametrize("ahead_s", [-1000.0, 1000.0])
def test_numbers_go_on_after_all_that_were_given(
    connection: sqlite3.Connection, slots: SlotFiles, ahead_s: float
) -> None:
    taken = first_number(int((clock.now_s() + ahead_s) * 1000))
    entries.insert(connection, [entries.row_of(ended(taken, attempt=32))])
    before = first_number(int(clock.now_s() * 1000))
    made = holders.register(connection, slots, 10.0, None)
    assert made.after == taken if ahead_s > 0 else made.after >= before


def test_a_beat_moves_what_it_says_and_a_dead_one_is_told(connection: sqlite3.Connection, slots: SlotFiles) -> None:
    holder_id = holders.register(connection, slots, 10.0, 7).holding.holder_id
    assert holders.beat(connection, holder_id, 123.0, 9)
    assert holders.beat(connection, holder_id, 124.0, None)
    [holder] = holders.not_dead(connection)
    assert (holder.expires_at, holder.oldest_number) == (124.0, 9)
    connection.execute("UPDATE holders SET state = 'fenced'")
    assert not holders.beat(connection, holder_id, 125.0, 10)


async def test_processes_that_start_together_have_slots_of_their_own(database: Database) -> None:
    async with opened_books(database.path, QUICK) as one, opened_books(database.path, QUICK) as two:
        assert (one.ledger.slot, two.ledger.slot) == (0, 1)
        assert query(database.path, "SELECT count(*) FROM holders WHERE state = 'live'") == [(2,)]
