"""The database: one engine per process, SQLite in WAL mode with full sync.

Every failure of the database itself leaves here as StoreUnavailable. A database file that was moved away or replaced
is noticed at the next use, so that a restored backup is served and a vanished one is not.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from msgspec import Meta
from sqlalchemy import URL, Connection, Engine, create_engine, event, exc
from sqlalchemy.pool import QueuePool

from trunkline import clock
from trunkline.errors import SettingsInvalid, StoreUnavailable
from trunkline.storage.write_lock import WriteLock

BUSY_S = 4.0
"""How long a statement waits for another writer: long for a commit, short enough that no caller hangs."""
PREPARING_BUSY_S = 60.0
"""The same while preparing the schema, when another process may be migrating."""


class DatabaseOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[database]`"""

    url: Annotated[str, Meta(description="`sqlite:///FILE`; a relative file is under the data directory.")] = (
        "sqlite:///trunkline.db"
    )


class Database:
    """Transactions on one SQLite file. Safe to use from several threads; every call blocks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = _engine(path)
        self._write_lock = WriteLock(write_lock_file(path))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One snapshot. Nothing that is written in it is kept."""
        with _mapped_errors(), self._engine.connect() as connection, connection.begin() as transaction:
            yield connection
            transaction.rollback()

    @contextmanager
    def writing(self, busy_s: float = BUSY_S) -> Iterator[Connection]:
        """One transaction that holds the write lock from its start; kept when the block ends without an error. Writers
        queue for it, of other processes too."""
        until = clock.monotonic_s() + busy_s
        with _mapped_errors(), self._write_lock.held(busy_s), self._engine.connect() as connection:
            left_s = max(until - clock.monotonic_s(), busy_s / 10)
            writer = connection.execution_options(begin_immediate_s=left_s)
            with writer.begin():
                yield writer

    def create_file(self) -> None:
        """Make the file (mode 0600) in WAL mode unless it is there; SQLite gives `-wal` and `-shm` the same mode.

        Several processes may do it at once. Raises StoreUnavailable.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            except FileExistsError:
                # Never opened here: closing any handle of a file drops the locks SQLite holds on it in this process.
                if stat.S_IMODE(self.path.stat().st_mode) & 0o077:
                    self.path.chmod(0o600)
        except OSError as error:
            raise StoreUnavailable(f"The database file {self.path} cannot be opened: {error.strerror}.") from error
        self._enter_wal()

    def _enter_wal(self) -> None:
        """The change to WAL needs the file alone and does not wait by itself."""
        until = clock.monotonic_s() + PREPARING_BUSY_S
        pause = threading.Event()
        while (mode := self._ask_for_wal()) is None:
            if clock.monotonic_s() >= until:
                raise StoreUnavailable(f"The database file {self.path} is held by another process.")
            pause.wait(0.02)
        if mode != "wal":
            raise StoreUnavailable(
                f"The database file {self.path} cannot be put in WAL mode; is it on a network file system?"
            )

    def _ask_for_wal(self) -> str | None:
        """The journal mode that holds now, None while another process has the file. Not within a transaction."""
        try:
            with closing(connect(self.path)) as connection:
                mode: str = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
                return mode
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:  # the low byte; the rest says why
                return None
            raise StoreUnavailable(f"The database file {self.path} cannot be used: {error}.") from error

    def close(self) -> None:
        self._engine.dispose()
        self._write_lock.close()


def write_lock_file(database: Path) -> Path:
    """What all writers of a database queue at."""
    return Path(f"{database}.write")


def open_database(options: DatabaseOptions, data_dir: Path) -> Database:
    """Nothing is read or made yet. Raises SettingsInvalid for a URL that is not a SQLite file's."""
    scheme, _, rest = options.url.partition("://")
    if scheme.partition("+")[0] in ("postgresql", "postgres"):
        raise SettingsInvalid(
            "[database] url: PostgreSQL is not supported yet; use sqlite:///trunkline.db", param="database.url"
        )
    if scheme != "sqlite" or not rest.startswith("/") or rest == "/" or "?" in rest or rest == "/:memory:":
        # The URL may hold a password, so it is not repeated.
        raise SettingsInvalid(
            "[database] url must be sqlite:///FILE (under the data directory) or sqlite:////absolute/FILE",
            param="database.url",
        )
    return Database(data_dir.absolute() / rest[1:])


class FileConnection(sqlite3.Connection):
    """`file` is the device and inode that stood at the path when it was opened."""

    file: tuple[int, int] | None = None


def connect(path: Path, busy_s: float | None = None) -> FileConnection:
    """A plain connection to a database that is there; transactions are begun and ended by statements. Raises
    sqlite3.Error."""
    # The identity is read first: if the file is replaced in between, the next use sees a difference and reopens.
    file = identity(path)
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw",  # without `rw` a vanished database would come back empty
        uri=True,
        timeout=BUSY_S if busy_s is None else busy_s,
        isolation_level=None,
        check_same_thread=False,
        factory=FileConnection,
    )
    connection.file = file
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        creator=lambda: connect(path),
        poolclass=QueuePool,
        pool_timeout=BUSY_S,
        hide_parameters=True,
    )
    event.listen(engine, "checkout", _reopen_if_replaced(path))
    event.listen(engine, "begin", _begin)
    return engine


def identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file at that path; None when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _reopen_if_replaced(path: Path) -> Any:
    def check(dbapi_connection: FileConnection, _record: object, _proxy: object) -> None:
        if dbapi_connection.file is None or dbapi_connection.file != identity(path):
            raise exc.DisconnectionError("the database file is another one")

    return check


def _begin(connection: Connection) -> None:
    """The driver's own transactions start late and cannot take the write lock first, so they are off."""
    busy_s = connection.get_execution_options().get("begin_immediate_s")
    if busy_s is None:
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(busy_s * 1000)}")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")


@contextmanager
def _mapped_errors() -> Iterator[None]:
    try:
        yield
    except (exc.IntegrityError, exc.ProgrammingError, exc.DataError, exc.NotSupportedError):
        raise  # a statement of ours is wrong, or a rule of the schema said no: the database does answer
    except (exc.DatabaseError, exc.InterfaceError, exc.TimeoutError, exc.DisconnectionError) as error:
        reason = getattr(error, "orig", None) or error
        raise StoreUnavailable(f"The database does not answer ({reason}).", retry_after_s=1.0) from error
