"""The one-row counter that running processes watch. Raise it in the transaction of every change they must see."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from trunkline.storage.schema import version


def read_version(connection: Connection) -> int:
    number: int = connection.execute(_READ).scalar_one()
    return number


def raise_version(connection: Connection) -> None:
    connection.execute(_RAISE)


_READ = select(version.c.number)
_RAISE = update(version).values(number=version.c.number + 1)
