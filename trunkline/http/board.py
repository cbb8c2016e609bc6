"""The numbers of all workers of one machine, of which each worker can tell, and how late the event loop runs."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from trunkline.errors import SettingsInvalid
from trunkline.observe import Metrics, Snapshot, logger

WATCH_S: Final = 0.25
WRITE_EVERY: Final = 4


class Board:
    """Where the workers of one machine leave their numbers for each other: a file for each in one folder.

    `name` is the worker's place, so that the process that takes the place of one that died counts on from its file.
    """

    def __init__(self, metrics: Metrics, folder: Path, name: str) -> None:
        self._metrics = metrics
        self._folder = folder
        self._file = folder / f"{name}.json"

    @staticmethod
    def clear(folder: Path) -> None:
        """A new start begins at nought: the parent calls this before it starts workers. Raises SettingsInvalid."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for file in folder.glob("*.json"):
                file.unlink(missing_ok=True)
        except OSError as error:
            raise SettingsInvalid(
                f"the data directory {folder.parent} cannot be written: {(error.strerror or 'unknown').lower()}; "
                "choose another with --data-dir"
            ) from None

    def take_over(self) -> None:
        predecessor = self._read(self._file)
        if predecessor is not None:
            self._metrics.restore(predecessor)

    def draft(self) -> bytes:
        return msgspec.json.encode(self._metrics.snapshot())

    def write(self, draft: bytes) -> None:
        """Blocking, and whole or not at all."""
        beside = self._file.with_suffix(f".{os.getpid()}")
        beside.write_bytes(draft)
        beside.replace(self._file)

    def render(self) -> bytes:
        others = (self._read(file) for file in sorted(self._folder.glob("*.json")) if file != self._file)
        return self._metrics.render([snapshot for snapshot in others if snapshot is not None])

    def _read(self, file: Path) -> Snapshot | None:
        try:
            return msgspec.json.decode(file.read_bytes(), type=Snapshot)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            logger("metrics").warning("worker_numbers_unreadable", file=file.name, error=repr(error))
            return None


async def watch(metrics: Metrics, board: Board | None = None) -> None:
    """Until cancelled: measures how late the loop is four times a second, and leaves the numbers on the board."""
    loop = asyncio.get_running_loop()
    latest: deque[float] = deque(maxlen=60)
    for turn in count():
        due = loop.time() + WATCH_S
        await asyncio.sleep(WATCH_S)
        lag = max(0.0, loop.time() - due)
        latest.append(lag)
        metrics.loop_lag.observe(lag)
        metrics.loop_lag_peak.set(max(latest))
        if board is not None and turn % WRITE_EVERY == 0:
            try:
                await asyncio.to_thread(board.write, board.draft())
            except OSError as error:
                logger("metrics").warning("numbers_not_written", error=repr(error))
