"""The pepper: the secret without which the digests in the database match no key.

It lives beside the database, not in it: whoever steals one of the two cannot test a guess at a short imported key.
"""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from sqlalchemy import select, update

from trunkline import ids
from trunkline.errors import SettingsInvalid
from trunkline.storage.database import Database
from trunkline.storage.schema import version

SHORTEST_PEPPER_BYTES = 16
_NEW_PEPPER_CHARACTERS = 43  # 256 bits
_CHECKED_TEXT = b"trunkline pepper"


def load_or_create_pepper(path: Path) -> bytes:
    """The file's content without surrounding white space; made at first (mode 0600, on disk before it is used).

    Several processes may call it at once: all get the same. Raises SettingsInvalid.
    """
    try:
        if not path.exists():
            _create(path)
        pepper = path.read_bytes().strip()
    except OSError as error:
        raise SettingsInvalid(
            f"The pepper file {path} cannot be used: {error.strerror}.", param="keys.pepper"
        ) from error
    return strong_pepper(pepper, str(path))


def strong_pepper(pepper: bytes, where: str) -> bytes:
    """`pepper` itself. Raises SettingsInvalid when it is short enough to be guessed."""
    if len(pepper) < SHORTEST_PEPPER_BYTES:
        raise SettingsInvalid(
            f"The pepper in {where} has fewer than {SHORTEST_PEPPER_BYTES} bytes; for a database without keys,"
            " remove it and a strong one is made.",
            param="keys.pepper",
        )
    return pepper


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Written whole under another name and then linked, which only the first of several processes can do.
    draft = path.with_name(f".{path.name}.{ids.random_base62(12)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.write(handle, ids.random_base62(_NEW_PEPPER_CHARACTERS).encode() + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        _sync_folder(path.parent)
    finally:
        draft.unlink()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def confirm_pepper(database: Database, pepper: bytes) -> None:
    """The database remembers a digest of the pepper it was begun with. Raises SettingsInvalid when this is another:
    every key in it would silently be unknown."""
    expected = hmac.digest(pepper, _CHECKED_TEXT, "sha256")
    with database.reading() as connection:
        found = connection.execute(select(version.c.pepper_check)).scalar_one()
    if found is None:
        with database.writing() as connection:
            connection.execute(update(version).where(version.c.pepper_check.is_(None)).values(pepper_check=expected))
            found = connection.execute(select(version.c.pepper_check)).scalar_one()
    if not hmac.compare_digest(found, expected):
        raise SettingsInvalid(
            f"The keys in {database.path} were made with another pepper than this one; bring back the pepper file that"
            " belongs to this database, or no key would be known.",
            param="keys.pepper",
        )
