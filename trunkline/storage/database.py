"""The database: one engine per process, SQLite in WAL mode."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class DatabaseOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[database]`"""

    url: Annotated[str, Meta(description="`sqlite:///FILE`; a relative file is under the data directory.")] = (
        "sqlite:///trunkline.db"
    )
