from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, insert, select

from tests.storage.stores import ROOT
from trunkline.errors import InvalidRequest, StoreUnavailable
from trunkline.storage.database import Database
from trunkline.storage.schema import accounts
from trunkline.storage.threads import StoreThreads


def adds(name: str) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        connection.execute(insert(accounts).values(account_id=name, parent_id=ROOT, name=name, created_at=1.0))
        return name

    return work


def refuses(connection: Connection) -> None:
    adds("acct_refused")(connection)
    raise InvalidRequest("No.", param="this")


def names(database: Database) -> set[str]:
    with database.reading() as connection:
        return set(connection.execute(select(accounts.c.account_id)).scalars()) - {ROOT}


async def test_work_is_done_off_the_loop(threads: StoreThreads) -> None:
    here = threading.get_ident()
    assert await threads.read(lambda _: threading.get_ident()) != here
    assert await threads.write(lambda _: threading.get_ident()) != here


async def test_what_was_awaited_is_there_for_everybody(threads: StoreThreads, database: Database) -> None:
    assert await threads.write(adds("acct_1")) == "acct_1"
    assert names(database) == {"acct_1"}


async def test_what_waits_goes_in_together(
    threads: StoreThreads, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions = 0
    writing, first_began, go_on = database.writing, threading.Event(), threading.Event()

    def counted() -> object:
        nonlocal transactions
        transactions += 1
        return writing()

    def holds(connection: Connection) -> str:
        first_began.set()
        assert go_on.wait(10)
        return adds("acct_first")(connection)

    monkeypatch.setattr(database, "writing", counted)
    first = asyncio.ensure_future(threads.write(holds))
    await asyncio.to_thread(first_began.wait, 10)
    rest = [asyncio.ensure_future(threads.write(adds(f"acct_{number}"))) for number in range(20)]
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(first, *rest) == ["acct_first", *(f"acct_{number}" for number in range(20))]
    assert transactions == 2
    assert len(names(database)) == 21


async def test_one_that_fails_costs_the_others_nothing(threads: StoreThreads, database: Database) -> None:
    work = [adds("acct_a"), refuses, adds("acct_a"), adds("acct_b")]
    results = await asyncio.gather(*map(threads.write, work), return_exceptions=True)
    assert results[0] == "acct_a"
    assert isinstance(results[1], InvalidRequest)
    assert isinstance(results[2], Exception)
    assert results[3] == "acct_b"
    assert names(database) == {"acct_a", "acct_b"}


async def test_whoever_stops_waiting_does_not_stop_the_write(threads: StoreThreads, database: Database) -> None:
    began, go_on = threading.Event(), threading.Event()

    def holds(connection: Connection) -> str:
        began.set()
        assert go_on.wait(10)
        return adds("acct_1")(connection)

    waiting = asyncio.ensure_future(threads.write(holds))
    await asyncio.to_thread(began.wait, 10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    await threads.write(adds("acct_2"))
    assert names(database) == {"acct_1", "acct_2"}


async def test_a_database_that_is_gone_is_told_to_all(threads: StoreThreads, database: Database) -> None:
    await threads.read(lambda connection: connection.execute(select(accounts)).all())
    database.path.rename(database.path.with_name("moved.db"))
    results = await asyncio.gather(
        *(threads.write(adds(f"acct_{number}")) for number in range(3)),
        threads.read(lambda connection: connection.execute(select(accounts)).all()),
        return_exceptions=True,
    )
    assert all(isinstance(result, StoreUnavailable) for result in results)


async def test_closing_waits_for_what_was_handed_over(database: Database) -> None:
    threads = StoreThreads(database)
    waiting = [asyncio.ensure_future(threads.write(adds(f"acct_{number}"))) for number in range(5)]
    await asyncio.sleep(0)
    threads.close()
    assert len(names(database)) == 5
    assert await asyncio.gather(*waiting) == [f"acct_{number}" for number in range(5)]
    for ask in (threads.read, threads.write):
        with pytest.raises(StoreUnavailable):
            await ask(lambda _: None)


def test_threads_that_were_never_used_close(database: Database) -> None:
    StoreThreads(database).close()
