"""Opens what is kept for a command, whether the server runs or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from trunkline import config
from trunkline.config import Settings
from trunkline.storage.store import Store

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The settings; default: ./trunkline.toml if it exists.")
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Where the database is; default: ./.trunkline")
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


def open_store(settings: Settings) -> Store:
    """Makes the database and the pepper when they are missing. Raises SettingsInvalid, StoreUnavailable."""
    return Store(settings.database, settings.keys, settings.data_dir)


@contextmanager
def opened(config_file: Path | None, data_dir: Path | None) -> Iterator[tuple[Settings, Store]]:
    """The settings and the stores, for one command. Raises SettingsInvalid, StoreUnavailable."""
    settings = config.load(config_file, data_dir)
    store = open_store(settings)
    try:
        yield settings, store
    finally:
        store.close()
