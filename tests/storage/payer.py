"""A process that leases, opens and settles for as long as it may, and says on standard output what was acknowledged.

`python -m tests.storage.payer DATABASE SOURCE HOLD ROUNDS`: lines are `started SLOT`, `opened NUMBER`,
`settled NUMBER COST`, `refused` (the budget), `fenced`, `unavailable`, and `done`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.storage.books import QUICK, Books, draw, ended, opened
from trunkline.errors import StoreUnavailable
from trunkline.ports.ledger import Entry, Fenced

CALLERS = 4


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def start(database: Path, source: str, hold: int, rounds: int, under: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Returns once it has registered. `under`: the command that runs it."""
    made = subprocess.Popen(
        [*under, sys.executable, "-m", "tests.storage.payer", str(database), source, str(hold), str(rounds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert heard(made).startswith("started")
    return made


def heard(payer: subprocess.Popen[str]) -> str:
    """Its next line."""
    assert payer.stdout is not None
    return payer.stdout.readline().strip()


def heard_until(payer: subprocess.Popen[str], word: str) -> list[str]:
    """Its lines to the first one that begins with `word`, or to its end."""
    lines = [heard(payer)]
    while lines[-1] and not lines[-1].startswith(word):
        lines.append(heard(payer))
    return lines


class _Caller:
    """Holds out of what it was granted itself, one call at a time."""

    def __init__(self, books: Books, source: str, hold: int) -> None:
        self._books = books
        self._source = source
        self._hold = hold
        self._free = 0

    async def call(self) -> None:
        try:
            await self._call()
        except Fenced:
            self._free = 0
            say("fenced")
            await asyncio.sleep(0.01)
        except StoreUnavailable:
            say("unavailable")
            await asyncio.sleep(0.01)

    async def _call(self) -> None:
        books = self._books
        if self._free < self._hold:
            self._leased = await books.lease(self._source, self._hold)
            if not self._leased.granted_nanos:
                say("refused")
                await asyncio.sleep(0.01)
                return
            self._free += self._leased.granted_nanos
        leased, number = self._leased, books.number()
        try:
            await books.ledger.append([opened(number, draw(leased, self._hold))])
        except (Fenced, StoreUnavailable):
            books.running.discard(number)
            raise
        self._free -= self._hold
        say("opened", number)
        cost = number % (self._hold + 1)
        await self._settle(ended(number, draw(leased, cost)))
        books.running.discard(number)
        say("settled", number, cost)
        self._free += self._hold - cost

    async def _settle(self, entry: Entry) -> None:
        """What was sent is settled, however long it takes."""
        while True:
            try:
                await self._books.ledger.append([entry])
            except StoreUnavailable:
                say("unavailable")
                await asyncio.sleep(0.01)
            else:
                return


async def pay(database: Path, source: str, hold: int, rounds: int) -> None:
    books = Books(database, QUICK)
    await books.start()
    await books.ledger.recover()
    say("started", books.ledger.slot)

    async def keep_calling() -> None:
        caller = _Caller(books, source, hold)
        for _ in range(rounds):
            await caller.call()

    await asyncio.gather(*(keep_calling() for _ in range(CALLERS)))
    await books.ledger.close()
    say("done")


if __name__ == "__main__":
    asyncio.run(pay(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
