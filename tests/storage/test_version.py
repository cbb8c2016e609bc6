from __future__ import annotations

from contextlib import suppress

from trunkline.storage.database import Database
from trunkline.storage.version import raise_version, read_version


def read(database: Database) -> int:
    with database.reading() as connection:
        return read_version(connection)


def test_it_rises_with_its_transaction_and_only_then(database: Database) -> None:
    before = read(database)
    with database.writing() as connection:
        raise_version(connection)
        assert read(database) == before
    assert read(database) == before + 1
    with suppress(ZeroDivisionError), database.writing() as connection:
        raise_version(connection)
        raise ZeroDivisionError
    assert read(database) == before + 1
