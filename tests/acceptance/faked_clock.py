"""A clock on the wall that tests set while servers run: libfaketime reads it out of a file whenever a program asks."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

FOLDERS = ("/usr/lib", "/usr/local/lib", "/usr/lib64")


@cache
def library() -> str:
    """The library that is put before the others; the test is skipped aloud without it."""
    for folder in map(Path, FOLDERS):
        found = sorted([*folder.glob("faketime/libfaketimeMT.so.1"), *folder.glob("*/faketime/libfaketimeMT.so.1")])
        if found:
            return str(found[0])
    pytest.skip("needs libfaketime: apt-get install faketime")


def moment(text: str) -> float:
    """Unix seconds of `2028-02-29 00:00` or `2028-02-29 00:00:30`, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class FakedClock:
    """It goes on from where it was set. The monotonic clock, which nobody sets, stays the machine's."""

    def __init__(self, file: Path, at_s: float) -> None:
        self._file = file
        self._offset_s = 0.0
        self.set(at_s)

    def set(self, at_s: float) -> None:
        """For every process that has its `environment`, from the next time it asks."""
        self._offset_s = at_s - time.time()
        written = self._file.with_suffix(".new")
        written.write_text(f"{self._offset_s:+.6f}\n")
        written.replace(self._file)

    def now_s(self) -> float:
        return time.time() + self._offset_s

    def environment(self) -> dict[str, str]:
        # Ages of files are not faked: they are compared with each other only.
        return {
            "LD_PRELOAD": " ".join(filter(None, [library(), os.environ.get("LD_PRELOAD")])),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
