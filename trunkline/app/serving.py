"""Serving from the command line: in this process, or under a supervisor with workers that build their own."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from trunkline import config, observe
from trunkline.app.application import METRICS_FOLDER, create
from trunkline.config import Settings
from trunkline.http import server, supervisor
from trunkline.http.board import Board
from trunkline.http.server import Hooks, Seat
from trunkline.storage.keys import Grant
from trunkline.storage.store import Store


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever started the gateway may be told. `first_key` and `admin_token` are set on the first start alone."""

    url: str
    first_key: observe.Secret | None = None
    admin_token: observe.Secret | None = None


class Order(msgspec.Struct, frozen=True):
    """What a worker is told on its standard input; the environment it inherits."""

    path: str | None
    data_dir: str
    overrides: dict[str, Any]


def serve(settings: Settings, on_started: Callable[[Started], None]) -> int:
    """Serves until told to stop; returns the exit status. `on_started` is called on the loop once calls are answered.

    Raises SettingsInvalid, StoreUnavailable.
    """
    observe.configure(settings.log)
    Board.clear(settings.data_dir / METRICS_FOLDER)
    store = Store(settings.database, settings.keys, settings.data_dir)

    def announce(url: str) -> None:
        first = store.keys.create_first(Grant(name="first"))
        on_started(
            Started(
                url=url,
                first_key=observe.Secret(first.key.reveal()) if first else None,
                admin_token=observe.Secret(store.admin_links.create()) if first else None,
            )
        )

    def reload() -> None:
        # Every worker watches the version, this process too if it serves itself.
        asyncio.get_running_loop().run_in_executor(None, store.serving_keys.raise_version)

    hooks = Hooks(on_ready=announce, on_hup=reload)
    try:
        if settings.server.workers == 1:
            return server.run(functools.partial(create, settings), settings.server, hooks)
        order = Order(str(settings.path) if settings.path else None, str(settings.data_dir), dict(settings.overrides))
        command = [sys.executable, "-m", "trunkline.cli.worker"]
        return supervisor.supervise(settings.server, command, hooks, msgspec.json.encode(order))
    finally:
        store.close()


def work(seat: Seat, order: bytes) -> int:
    """One worker of a supervisor. Raises SettingsInvalid, StoreUnavailable."""
    told = msgspec.json.decode(order, type=Order)
    settings = config.load(Path(told.path) if told.path else None, Path(told.data_dir), overrides=told.overrides)
    return server.run(functools.partial(create, settings), settings.server, Hooks(), seat)
