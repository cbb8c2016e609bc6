"""Brings the database to the schema of this release, at every start."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect

from trunkline.errors import SettingsInvalid
from trunkline.storage.database import PREPARING_BUSY_S, Database

HEAD = "0005"
"""The newest revision in `migrations/versions`."""

MIGRATIONS = Path(__file__).with_name("migrations")


def migrate(database: Database) -> None:
    """Make the file if it is missing, and apply what is missing, all in one transaction.

    A process that dies midway leaves the database as it was; of several that start at once, one migrates and the
    others wait. Raises StoreUnavailable, or SettingsInvalid for a database of a newer release.
    """
    database.create_file()
    with database.reading() as connection:
        if stored_revision(connection) == HEAD:
            return
    with database.writing(PREPARING_BUSY_S) as connection:
        if stored_revision(connection) != HEAD:
            _upgrade(connection, database.path)


def stored_revision(connection: Connection) -> str | None:
    """None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()
    return found


def _upgrade(connection: Connection, path: Path) -> None:
    # Here and not above: Alembic costs 60 ms and 11 MB, and a database that is current never needs it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    settings.attributes["connection"] = connection
    try:
        command.upgrade(settings, HEAD)
    except CommandError as error:
        raise SettingsInvalid(
            f"The database {path} was written by a newer Trunkline than this one; start that, or restore a backup.",
            param="database.url",
        ) from error
