from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import exc, func, insert, select

from trunkline.errors import SettingsInvalid, StoreUnavailable
from trunkline.storage import database as module
from trunkline.storage.database import Database, DatabaseOptions, open_database
from trunkline.storage.schema import accounts, keys


def add_account(database: Database, name: str) -> None:
    with database.writing() as connection:
        connection.execute(insert(accounts).values(account_id=f"acct_{name}", name=name, created_at=0.0))


def add_account_to_new(database: Database) -> None:
    database.create_file()
    add_account(database, "a")


def count_accounts(database: Database) -> int:
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(accounts)).scalar_one()


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///trunkline.db", "trunkline.db"),
        ("sqlite:///deeper/down.db", "deeper/down.db"),
        ("sqlite:///with %23 and ünï.db", "with %23 and ünï.db"),
    ],
)
def test_a_relative_file_is_under_the_data_directory(tmp_path: Path, url: str, file: str) -> None:
    database = open_database(DatabaseOptions(url=url), tmp_path)
    database.create_file()
    assert database.path == tmp_path / file
    assert database.path.exists()
    database.close()


def test_an_absolute_file_is_itself(tmp_path: Path) -> None:
    database = open_database(DatabaseOptions(url=f"sqlite:///{tmp_path}/here.db"), Path("elsewhere"))
    assert database.path == tmp_path / "here.db"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://user:hunter2@db/trunkline", "PostgreSQL is not supported yet"),
        ("postgresql+psycopg://user:hunter2@db/trunkline", "PostgreSQL is not supported yet"),
        ("mysql://user:hunter2@db/trunkline", "must be sqlite:///FILE"),
        ("sqlite://", "must be sqlite:///FILE"),
        ("sqlite:///", "must be sqlite:///FILE"),
        ("sqlite:///:memory:", "must be sqlite:///FILE"),
        ("sqlite:///a.db?mode=memory", "must be sqlite:///FILE"),
        ("hunter2", "must be sqlite:///FILE"),
        ("", "must be sqlite:///FILE"),
    ],
)
def test_other_urls_are_refused_with_a_sentence(url: str, said: str) -> None:
    with pytest.raises(SettingsInvalid, match=said) as refused:
        open_database(DatabaseOptions(url=url), Path("data"))
    assert "hunter2" not in refused.value.message


def test_every_connection_is_durable_and_keeps_the_rules(database: Database) -> None:
    with database.reading() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 4000}


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_only_the_owner_can_read_any_of_the_files(tmp_path: Path, migrated: bytes, umask: int) -> None:
    before = os.umask(umask)
    try:
        folder = tmp_path / "data"
        database = open_database(DatabaseOptions(), folder)
        database.create_file()
        with database.writing() as connection:
            connection.exec_driver_sql("CREATE TABLE t (x)")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert set(modes) == {"trunkline.db", "trunkline.db-wal", "trunkline.db-shm", "trunkline.db.write"}
        assert set(modes.values()) == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        database.close()
    finally:
        os.umask(before)


def test_a_file_that_others_could_read_is_closed_to_them(database: Database) -> None:
    database.path.chmod(0o644)
    database.create_file()
    assert stat.S_IMODE(database.path.stat().st_mode) == 0o600


def test_a_block_that_fails_leaves_nothing(database: Database) -> None:
    with suppress(ZeroDivisionError), database.writing() as connection:
        connection.execute(insert(accounts).values(account_id="acct_a", name="a", created_at=0.0))
        raise ZeroDivisionError
    assert count_accounts(database) == 1
    add_account(database, "a")
    assert count_accounts(database) == 2


def test_a_reader_sees_one_moment_and_keeps_nothing(database: Database) -> None:
    with database.reading() as connection:
        before = connection.execute(select(func.count()).select_from(accounts)).scalar_one()
        add_account(database, "meanwhile")
        assert connection.execute(select(func.count()).select_from(accounts)).scalar_one() == before
    assert count_accounts(database) == before + 1
    with database.reading() as connection:
        connection.execute(insert(accounts).values(account_id="acct_b", name="b", created_at=0.0))
    assert count_accounts(database) == before + 1


def test_a_key_without_an_account_is_refused_by_the_schema(database: Database) -> None:
    row = {"account_id": "acct_none", "key_id": "key_1", "name": "", "admin": False, "manage": False}
    with pytest.raises(exc.IntegrityError), database.writing() as connection:
        connection.execute(insert(keys).values(**row, models="[]", created_at=0.0))


def test_writers_take_turns(database: Database) -> None:
    """Each reads and then writes; a transaction that took the lock late would fail or lose a count."""

    def raise_ten_times() -> None:
        for _ in range(10):
            with database.writing() as connection:
                number = connection.exec_driver_sql("SELECT number FROM version").scalar_one()
                connection.exec_driver_sql("UPDATE version SET number = ?", (number + 1,))

    threads = [threading.Thread(target=raise_ten_times) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT number FROM version").scalar_one() == 41


@contextmanager
def locked(path: Path, how: str) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(f"BEGIN {how}")
        yield
        other.execute("ROLLBACK")


def test_a_lock_that_is_held_on_to_is_an_unavailable_store(database: Database) -> None:
    with locked(database.path, "IMMEDIATE"):
        with pytest.raises(StoreUnavailable, match=r"database is locked") as refused, database.writing(busy_s=0.01):
            raise AssertionError("the lock was free")
        assert count_accounts(database) == 1
    assert refused.value.retry_after_s
    add_account(database, "after")


def test_a_vanished_file_is_an_unavailable_store_and_comes_back(database: Database, tmp_path: Path) -> None:
    add_account(database, "a")
    aside = tmp_path / "aside.db"
    database.path.rename(aside)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="unable to open"):
            count_accounts(database)
    assert not database.path.exists(), "an empty database must not take its place"
    aside.rename(database.path)
    assert count_accounts(database) == 2


def test_a_replaced_file_is_the_one_that_is_read(database: Database, tmp_path: Path, migrated: bytes) -> None:
    add_account(database, "a")
    other = tmp_path / "restored.db"
    other.write_bytes(migrated)
    for leftover in ("-wal", "-shm"):
        Path(f"{database.path}{leftover}").unlink()
    other.rename(database.path)
    assert count_accounts(database) == 1


@pytest.mark.parametrize("content", [b"this is not a database, it only says so" * 100, b"\0" * 8192])
def test_a_broken_file_is_an_unavailable_store(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "trunkline.db").write_bytes(content)
    database = open_database(DatabaseOptions(), tmp_path)
    with pytest.raises(StoreUnavailable):
        add_account_to_new(database)
    database.close()


def test_a_place_that_cannot_hold_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    database = open_database(DatabaseOptions(), tmp_path / "file")
    with pytest.raises(StoreUnavailable, match=r"trunkline\.db cannot be opened: .+\."):
        database.create_file()


def test_a_file_that_is_held_by_another_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_S", 0.01)
    monkeypatch.setattr(module, "PREPARING_BUSY_S", 0.05)
    path = tmp_path / "trunkline.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE t (x)")
    database = open_database(DatabaseOptions(), tmp_path)
    with locked(path, "EXCLUSIVE"), pytest.raises(StoreUnavailable, match="held by another process"):
        database.create_file()
    database.create_file()
    database.close()


def test_a_statement_of_ours_that_is_wrong_is_not_blamed_on_the_store(database: Database) -> None:
    with pytest.raises(exc.ProgrammingError), database.reading() as connection:
        connection.exec_driver_sql("SELECT ?", (1, 2))


def test_a_copy_made_while_it_is_open_is_whole(database: Database, tmp_path: Path) -> None:
    add_account(database, "a")
    for leftover in ("", "-wal", "-shm"):
        shutil.copy(f"{database.path}{leftover}", tmp_path / f"copy.db{leftover}")
    copy = open_database(DatabaseOptions(url="sqlite:///copy.db"), tmp_path)
    assert count_accounts(copy) == 2
    copy.close()
