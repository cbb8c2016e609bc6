from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.house import House
from trunkline import clock
from trunkline.policy.keys import KeyShape
from trunkline.storage.database import Database, DatabaseOptions, open_database
from trunkline.storage.keys import SqlKeys
from trunkline.storage.live_keys import SqlKeyStore
from trunkline.storage.sealing import Sealer
from trunkline.storage.threads import StoreThreads
from trunkline.storage.upgrade import migrate

PEPPER = b"a pepper for tests, long enough"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a database that is current: copying it costs less than migrating."""
    database = open_database(DatabaseOptions(), tmp_path_factory.mktemp("migrated"))
    migrate(database)
    with database.reading() as connection:
        whole: bytes = connection.connection.driver_connection.serialize()  # type: ignore[union-attr]
    database.close()
    return whole


@pytest.fixture
def database(tmp_path: Path, migrated: bytes) -> Iterator[Database]:
    (tmp_path / "trunkline.db").write_bytes(migrated)
    opened = open_database(DatabaseOptions(), tmp_path)
    opened.create_file()
    yield opened
    opened.close()


@pytest.fixture
def keys(database: Database) -> SqlKeys:
    return SqlKeys(database, PEPPER, KeyShape("sk-tl"))


@pytest.fixture
def serving(database: Database) -> SqlKeyStore:
    return SqlKeyStore(database)


@pytest.fixture
def house(database: Database) -> House:
    return House(database, PEPPER)


@pytest.fixture
def threads(database: Database) -> Iterator[StoreThreads]:
    opened = StoreThreads(database)
    yield opened
    opened.close()


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(PEPPER)


class HeldClock:
    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0


@pytest.fixture
def held_clock(monkeypatch: pytest.MonkeyPatch) -> HeldClock:
    held = HeldClock()
    monkeypatch.setattr(clock, "now_s", lambda: held.now_s)
    return held
