"""The ledger and the pots of a gateway, read out of its database by nothing of ours."""

from __future__ import annotations

import fcntl
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]
_QUERIES = {
    "entries": "SELECT * FROM ledger ORDER BY entry_id",
    "pots": "SELECT * FROM pots",
    "leases": "SELECT * FROM leases",
    "holders": "SELECT * FROM holders",
}
OPENED, ENDED, ADJUSTED = 0, 1, 2


@dataclass(frozen=True)
class Books:
    entries: list[Row]
    pots: list[Row]
    leases: list[Row]
    holders: list[Row]

    @staticmethod
    def of(folder: Path) -> Books:
        """All of it in one snapshot; `folder` is the gateway's."""
        with closing(sqlite3.connect(folder / "data" / "trunkline.db", isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN")
            return Books(**{name: [dict(row) for row in connection.execute(query)] for name, query in _QUERIES.items()})

    def open(self) -> list[Row]:
        """What was opened and has not ended."""
        ended = {row["entry_id"] for row in self.entries}
        return [row for row in self.entries if kind_of(row) == OPENED and row["entry_id"] + 1 not in ended]

    def alive(self) -> set[int]:
        """The processes that may lease, by their ids."""
        return {holder["pid"] for holder in self.holders if holder["state"] == "live"}

    def pot(self, source: str) -> Row:
        found = [pot for pot in self.pots if pot["source"] == source]
        assert len(found) == 1, (source, found)
        return found[0]

    def of_calls(self) -> dict[int, list[Row]]:
        """The rows of each call, by its number."""
        calls: dict[int, list[Row]] = {}
        for row in self.entries:
            calls.setdefault(number_of(row), []).append(row)
        return calls

    def adjusted_nanos(self, pot_id: int) -> int:
        return sum(
            row["cost_nanos"] for row in self.entries if kind_of(row) == ADJUSTED and str(pot_id) in pots_of(row)
        )

    def check(self, *, over_nanos: int = 0) -> None:
        """Every pot is what its entries say, and no more than its limit; `over_nanos` was learnt too late."""
        spent: Counter[int] = Counter()
        for row in self.entries:
            assert (row["state"] == "open") == (kind_of(row) == OPENED), row
            if kind_of(row) == OPENED:
                continue
            for pot_id in pots_of(row):
                spent[int(pot_id)] += row["cost_nanos"]
        leased: Counter[int] = Counter()
        for lease in self.leases:
            assert lease["granted_nanos"] >= 0
            assert lease["state"] in ("live", "fenced") or not lease["granted_nanos"], lease
            leased[lease["pot_id"]] += lease["granted_nanos"]
        for pot in self.pots:
            assert pot["spent_nanos"] == spent[pot["pot_id"]], (pot, spent)
            assert pot["leased_nanos"] == leased[pot["pot_id"]], (pot, leased)
            assert pot["spent_nanos"] + pot["leased_nanos"] <= pot["limit_nanos"] + over_nanos, pot

    def check_at_rest(self) -> None:
        """Nobody is at work: nothing is open, nothing leased."""
        assert not self.open(), self.open()
        assert not any(pot["leased_nanos"] for pot in self.pots), self.pots
        assert not any(lease["granted_nanos"] for lease in self.leases), self.leases
        assert {holder["state"] for holder in self.holders} <= {"dead"}, self.holders


def number_of(row: Row) -> int:
    return int(row["entry_id"]) >> 7


def kind_of(row: Row) -> int:
    return int(row["entry_id"]) & 3


def pots_of(row: Row) -> list[str]:
    return row["pots"].split(",") if row["pots"] else []


def can_be_written(folder: Path) -> bool:
    """Whether nobody is in the middle of writing."""
    try:
        with nobody_else_writes(folder, wait_s=0.2):
            return True
    except (sqlite3.OperationalError, BlockingIOError):
        return False


@contextmanager
def nobody_else_writes(folder: Path, wait_s: float = 5.0) -> Iterator[None]:
    """Within the block transactions of the gateway have to wait. Raises sqlite3.OperationalError and BlockingIOError
    when somebody writes all the time."""
    file = folder / "data" / "trunkline.db"
    with Path(f"{file}.write").open("rb+") as turn:
        until = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.001)
        with closing(sqlite3.connect(file, timeout=wait_s, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
