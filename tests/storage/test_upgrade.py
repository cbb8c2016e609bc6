from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Table, select

from tests.storage.tables import METADATA
from trunkline.errors import SettingsInvalid, StoreUnavailable
from trunkline.ids import ROOT_ACCOUNT
from trunkline.policy.keys import KeyShape
from trunkline.ports.accounts import AccountFilter
from trunkline.ports.pages import Cursor
from trunkline.storage.accounts import SqlAccountStore
from trunkline.storage.database import Database, DatabaseOptions, open_database
from trunkline.storage.keys import SqlKeys
from trunkline.storage.live_keys import SqlKeyStore
from trunkline.storage.money_schema import budgets, leases, pots
from trunkline.storage.schema import accounts, version
from trunkline.storage.tenancy import SqlTenancyStore
from trunkline.storage.tenant_schema import audit_log
from trunkline.storage.upgrade import HEAD, MIGRATIONS, migrate, stored_revision

MIGRATE = """
import pathlib, sys
from sqlalchemy import event
from trunkline.storage.database import DatabaseOptions, open_database
from trunkline.storage.tenancy import SqlTenancyStore
from trunkline.storage.upgrade import migrate

def pause(connection, cursor, statement, *rest):
    if len(sys.argv) > 2 and sys.argv[2] in " ".join(statement.split()):
        print("midway", flush=True)
        sys.stdin.read()

database = open_database(DatabaseOptions(), pathlib.Path(sys.argv[1]))
event.listen(database._engine, "before_cursor_execute", pause)
migrate(database)
print("done", flush=True)
"""
IMPORTS = """
import pathlib, sys
from trunkline.storage.database import DatabaseOptions, open_database
from trunkline.storage.tenancy import SqlTenancyStore
from trunkline.storage.upgrade import migrate
migrate(open_database(DatabaseOptions(), pathlib.Path(sys.argv[1])))
print("alembic" in sys.modules)
"""


def child(program: str, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def write_key(connection: Connection) -> None:
    """As a release wrote it that knew no more columns."""
    connection.exec_driver_sql(
        "INSERT INTO keys (account_id, key_id, name, admin, manage, models, created_at)"
        " VALUES ('acct_root', 'key_old', 'old', 0, 1, '[]', 1.0)"
    )
    connection.exec_driver_sql(
        "INSERT INTO key_secrets (account_id, key_id, public_id, digest, last4, created_at)"
        " VALUES ('acct_root', 'key_old', 'old', x'00', 'abcd', 1.0)"
    )


def revision(database: Database) -> str | None:
    with database.reading() as connection:
        return stored_revision(connection)


def assert_current(database: Database) -> None:
    with database.reading() as connection:
        assert stored_revision(connection) == HEAD
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        assert [row.account_id for row in connection.execute(select(accounts))] == ["acct_root"]
        assert connection.execute(select(version.c.row, version.c.number)).all() == [(1, 1)]
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


def test_the_migrations_make_the_tables_of_the_code(tmp_path: Path) -> None:
    database = open_database(DatabaseOptions(), tmp_path)
    migrate(database)
    assert_current(database)
    migrate(database)
    assert_current(database)
    database.close()


def test_a_difference_between_migrations_and_code_would_be_seen(database: Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE keys ADD COLUMN forgotten TEXT")
        assert compare_metadata(MigrationContext.configure(connection), METADATA) != []


@pytest.mark.parametrize(
    ("table", "check"),
    [
        (version, "ck_version_one_row"),
        (budgets, "ck_budgets_limit"),
        (pots, "ck_pots_leased"),
        (leases, "ck_leases_granted"),
        (audit_log, "audit_log_no_update"),
        (audit_log, "audit_log_no_delete"),
    ],
)
def test_the_migrations_keep_the_constraints_of_the_code(database: Database, table: Table, check: str) -> None:
    """What `compare_metadata` does not compare: checks and triggers."""
    with database.reading() as connection:
        made = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE tbl_name = ?", (table.name,))
        assert check in " ".join(row.sql for row in made if row.sql)


def test_head_is_the_newest_revision() -> None:
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(settings)
    assert scripts.get_heads() == [HEAD]
    assert {script.revision for script in scripts.walk_revisions()} >= {"0001"}


@pytest.mark.parametrize("release", ["0001", "0002", "0003"])
def test_a_database_of_an_earlier_release_keeps_what_it_has(tmp_path: Path, release: str) -> None:
    database = open_database(DatabaseOptions(), tmp_path)
    database.create_file()
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    with database.writing() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, release)
    assert revision(database) == release
    with database.writing() as connection:
        write_key(connection)
    migrate(database)
    assert_current(database)
    [record] = SqlKeyStore(database).live_keys()
    assert (record.key_id, record.name, record.limits, record.default_tag) == ("key_old", "old", None, None)
    [key] = SqlKeys(database, b"a pepper for tests, long enough", KeyShape("sk-tl")).list()
    assert (key.role, key.addresses, key.routes, key.requests_per_minute) == ("admin", (), (), None)
    [root] = SqlAccountStore(database).page(AccountFilter(itself=True), Cursor()).items
    assert (root.models, root.metadata, root.archived_at) == ((), {}, None)
    assert SqlTenancyStore(database).tenancy().tenants[ROOT_ACCOUNT].parent_id is None
    database.close()


def test_a_current_database_does_not_need_alembic(database: Database) -> None:
    """It costs every start 60 ms and 11 MB."""
    database.close()
    process = child(IMPORTS, database.path.parent)
    assert process.communicate(timeout=60)[0].strip() == "False"


def test_a_database_of_a_newer_release_is_refused(database: Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SettingsInvalid, match="newer Trunkline"):
        migrate(database)
    assert revision(database) == "9999"


def test_several_threads_that_start_at_once(tmp_path: Path) -> None:
    databases = [open_database(DatabaseOptions(), tmp_path) for _ in range(4)]
    failed: list[BaseException] = []
    together = threading.Barrier(len(databases))

    def start(database: Database) -> None:
        together.wait()
        try:
            migrate(database)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=start, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert_current(databases[0])
    for database in databases:
        database.close()


def test_a_database_that_cannot_be_written_is_an_error_in_time(tmp_path: Path) -> None:
    (tmp_path / "trunkline.db").write_bytes(b"not a database at all, but long enough to look like one" * 50)
    database = open_database(DatabaseOptions(), tmp_path)
    with pytest.raises(StoreUnavailable):
        migrate(database)
    database.close()


@pytest.mark.slow
def test_two_processes_that_start_at_once(tmp_path: Path) -> None:
    processes = [child(MIGRATE, tmp_path) for _ in range(2)]
    for process in processes:
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, output, errors) == (0, "done\n", "")
    database = open_database(DatabaseOptions(), tmp_path)
    assert_current(database)
    database.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE alembic_version",
        "CREATE TABLE accounts",
        "INSERT INTO accounts",
        "CREATE TABLE key_secrets",
        "INSERT INTO version",
        "CREATE TABLE conversation_items",
        "INSERT INTO alembic_version",
    ],
)
def test_a_process_killed_midway_leaves_no_half_of_it(tmp_path: Path, statement: str) -> None:
    doomed = child(MIGRATE, tmp_path, statement)
    assert doomed.stdout is not None
    assert doomed.stdout.readline() == "midway\n"
    waiting = child(MIGRATE, tmp_path)
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.communicate(timeout=60)
    assert waiting.communicate(timeout=60) == ("done\n", "")
    database = open_database(DatabaseOptions(), tmp_path)
    assert_current(database)
    database.close()


@pytest.mark.slow
def test_a_process_killed_midway_leaves_nothing(tmp_path: Path) -> None:
    doomed = child(MIGRATE, tmp_path, "INSERT INTO alembic_version")
    assert doomed.stdout is not None
    assert doomed.stdout.readline() == "midway\n"
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.communicate(timeout=60)
    database = open_database(DatabaseOptions(), tmp_path)
    assert revision(database) is None
    migrate(database)
    assert_current(database)
    database.close()
