from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests import tracing
from tests.storage import payer
from tests.storage.books import (
    Books,
    add_budget,
    assert_balanced,
    draw,
    ended,
    looking,
    open_numbers,
    opened,
    opened_books,
    pot,
    query,
)
from tests.storage.test_recovery import costs, settled
from trunkline import clock
from trunkline.errors import StoreUnavailable
from trunkline.ids import first_number
from trunkline.money import Nanos
from trunkline.storage import entries
from trunkline.storage import ledger_writer as module
from trunkline.storage.database import Database, FileConnection, write_lock_file
from trunkline.storage.ledger_writer import CHECKPOINT_EVERY
from trunkline.storage.write_lock import WriteLock

LIMIT = 1_000_000


@pytest.fixture
async def books(database: Database) -> AsyncIterator[Books]:
    add_budget(database.path, "bdg_1", LIMIT)
    async with opened_books(database.path) as made:
        yield made


async def test_every_commit_is_on_disk_before_it_is_told(books: Books) -> None:
    names = ("synchronous", "journal_mode", "foreign_keys", "wal_autocheckpoint")

    def read(connection: sqlite3.Connection) -> list[object]:
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await books.ledger.run(read) == [2, "wal", 1, 0]


async def test_a_disk_that_is_full_is_told_to_all_and_nothing_is_half_written(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    leased = await books.lease("bdg_1", 1000)
    before = query(books.path, "SELECT count(*) FROM ledger"), pot(books.path, "bdg_1")
    opening = module._open

    def no_room(path: Path) -> FileConnection:
        connection = opening(path)
        connection.execute("PRAGMA max_page_count = 1")  # as large as it is now, and no larger
        return connection

    monkeypatch.setattr(module, "_open", no_room)
    await books.ledger.run(lambda connection: connection.execute("PRAGMA max_page_count = 1").fetchone())
    numbers = [books.number() for _ in range(600)]
    entries = [[opened(number, draw(leased, 1)), ended(number, draw(leased, 1))] for number in numbers]
    for _ in range(2):  # the second connection finds it full too
        began = clock.monotonic_s()
        failed = await asyncio.gather(*map(books.ledger.append, entries), return_exceptions=True)
        assert clock.monotonic_s() - began < 2.0
        assert all(isinstance(error, StoreUnavailable) and "full" in error.message for error in failed)
    assert (query(books.path, "SELECT count(*) FROM ledger"), pot(books.path, "bdg_1")) == before
    monkeypatch.setattr(module, "_open", opening)
    books.ledger._writer._renew()
    await asyncio.gather(*map(books.ledger.append, entries))
    assert pot(books.path, "bdg_1")[1] == 600
    assert_balanced(books.path)


async def test_a_commit_that_fails_leaves_nothing_and_is_not_counted_twice_when_tried_again(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    leased = await books.lease("bdg_1", 1000)
    number = books.number()
    await books.ledger.append([opened(number, draw(leased, 1000))])
    commit = books.ledger._writer._commit

    def lost_answer(connection: sqlite3.Connection, batch: module.Batch) -> None:
        commit(connection, batch)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(books.ledger._writer, "_commit", lost_answer)
    with pytest.raises(StoreUnavailable, match="disk I/O error"):
        await books.ledger.append([ended(number, draw(leased, 400), settled_at_ms=1)])
    monkeypatch.setattr(books.ledger._writer, "_commit", commit)
    await books.ledger.append([ended(number, draw(leased, 400), settled_at_ms=2)])
    assert pot(books.path, "bdg_1")[1] == 400
    assert_balanced(books.path)


async def test_a_defect_of_ours_does_not_end_the_thread(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(connection: sqlite3.Connection) -> None:
        raise ZeroDivisionError

    with pytest.raises(StoreUnavailable, match="a defect"):
        await books.ledger.run(breaks)
    await books.ledger.append([ended(books.number())])


async def test_writers_of_the_store_and_of_the_ledger_take_turns(books: Books) -> None:
    lock = WriteLock(write_lock_file(books.path))
    with lock.held(1.0):
        writing = asyncio.ensure_future(books.ledger.append([ended(books.number())]))
        await asyncio.sleep(0.05)
        assert not writing.done()
    await writing
    lock.close()


async def test_a_lock_that_is_never_given_back_is_done_without(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_WAIT_S", 0.2)
    lock = WriteLock(write_lock_file(books.path))
    with lock.held(1.0):
        began = clock.monotonic_s()
        for _ in range(10):  # only the first one waits
            await books.ledger.append([ended(books.number())])
        assert 0.2 <= clock.monotonic_s() - began < 1.0
    lock.close()


async def test_the_log_does_not_grow_for_ever(books: Books) -> None:
    log = Path(f"{books.path}-wal")
    sizes = []
    for _ in range(3):
        for _ in range(CHECKPOINT_EVERY):
            await books.ledger.append([ended(books.number())])
        await books.ledger.drain()
        sizes.append(log.stat().st_size)
    assert sizes[2] <= sizes[0] * 1.2


@pytest.mark.slow
@pytest.mark.skipif(tracing.hindrance() is not None, reason=str(tracing.hindrance()))
async def test_an_fsync_that_fails_loses_nothing_that_was_acknowledged(database: Database) -> None:
    path = database.path
    add_budget(path, "bdg_1", 10_000_000_000)
    under = ["strace", "-f", "-q", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]
    under += ["-e", "inject=fsync,fdatasync:error=EIO:when=40..60"]
    process = await asyncio.to_thread(payer.start, path, "bdg_1", 1000, 60, under)
    lines = await asyncio.to_thread(payer.heard_until, process, "done")
    process.communicate()
    assert lines[-1] == "done"
    assert "unavailable" in lines
    assert settled(lines) == costs(path)
    assert open_numbers(path) == []
    assert_balanced(path)


@pytest.mark.slow
@pytest.mark.skipif(tracing.hindrance() is not None, reason=str(tracing.hindrance()))
async def test_a_process_that_ends_right_after_a_failed_fsync_is_recovered(database: Database) -> None:
    path = database.path
    add_budget(path, "bdg_1", 10_000_000_000)
    under = ["strace", "-f", "-q", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]
    under += ["-e", "inject=fsync,fdatasync:error=EIO:when=40+"]
    process = await asyncio.to_thread(payer.start, path, "bdg_1", 1000, 10_000, under)
    lines = await asyncio.to_thread(payer.heard_until, process, "unavailable")
    [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    await asyncio.to_thread(_kill, int(child))
    process.communicate()
    async with opened_books(path) as books:
        await books.ledger.recover()
        assert settled(lines).items() <= costs(path).items()
        assert open_numbers(path) == []
        assert pot(path, "bdg_1")[2] == 0
        assert_balanced(path)
        with looking(path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _kill(pid: int) -> None:
    import os
    import signal

    os.kill(pid, signal.SIGKILL)


async def test_ends_that_change_no_balance_are_one_statement(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    together: list[int] = []
    append = entries.append

    def counted(connection: sqlite3.Connection, appendings: Any, holding: Any, late: Any) -> None:
        together.append(len(appendings))
        append(connection, appendings, holding, late)

    monkeypatch.setattr(entries, "append", counted)
    number = books.number()
    books.ledger._alone = True
    alone = [ended(number, attempt=attempt, cost_nanos=Nanos(7)) for attempt in (1, 2)]
    await books.ledger.append(alone)
    assert together == []
    await books.ledger.append(alone)  # the same once more counts as written
    await books.ledger.append([ended(first_number(int(clock.now_s() * 1000) - 250_000), cost_nanos=Nanos(7))])
    books.ledger._alone = False
    await books.ledger.append([ended(books.number(), cost_nanos=Nanos(7))])
    assert len(together) >= 3
    assert query(books.path, "SELECT count(*), sum(cost_nanos) FROM ledger") == [(4, 28)]
