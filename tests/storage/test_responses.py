from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select, update

from tests.storage.conftest import PEPPER, HeldClock
from tests.storage.stores import NOW_S, ROOT, item, other_account, response
from trunkline.errors import Defect, InvalidRequest
from trunkline.ports.conversations import StoredConversation
from trunkline.ports.responses import MOST_LINKS, ResponseStore
from trunkline.storage import responses as module
from trunkline.storage.conversations import SqlConversationStore
from trunkline.storage.database import Database, DatabaseOptions, open_database
from trunkline.storage.responses import SqlResponseStore
from trunkline.storage.schema import response_events
from trunkline.storage.schema import responses as table
from trunkline.storage.sealing import Sealer
from trunkline.storage.threads import StoreThreads

DAY_S = 86_400.0
ERROR = b'{"code":"server_error","message":"gone"}'


@pytest.fixture
def store(threads: StoreThreads, sealer: Sealer, held_clock: HeldClock) -> SqlResponseStore:
    assert held_clock.now_s == NOW_S
    return SqlResponseStore(threads, sealer)


@pytest.fixture
def talks(threads: StoreThreads, sealer: Sealer) -> SqlConversationStore:
    return SqlConversationStore(threads, sealer)


async def test_what_was_put_is_found_and_deleted_once(store: SqlResponseStore) -> None:
    port: ResponseStore = store
    made = response(previous_response_id="resp_before", conversation_id="conv_1", background=True, status="queued")
    assert await port.put(made)
    assert await port.get(ROOT, made.id) == made
    assert await port.delete(ROOT, made.id)
    assert await port.get(ROOT, made.id) is None
    assert not await port.delete(ROOT, made.id)


async def test_a_second_put_replaces(store: SqlResponseStore) -> None:
    made = response()
    await store.put(made)
    changed = msgspec.structs.replace(made, status="failed", response=b'{"other":1}', model="m", input=b"[]")
    assert await store.put(changed)
    assert await store.get(ROOT, made.id) == changed


async def test_another_account_knows_nothing_of_it(store: SqlResponseStore, database: Database) -> None:
    other = other_account(database)
    made = response(background=True, status="in_progress")
    await store.put(made)
    await store.append_events(ROOT, made.id, 0, [b"{}"])
    assert await store.get(other, made.id) is None
    assert not await store.delete(other, made.id)
    assert await store.events(other, made.id, -1) == []
    assert await store.append_events(other, made.id, 1, [b"{}"]) is None
    assert await store.set_status(other, made.id, "cancelled") is None
    assert await store.status(other, made.id) is None
    with pytest.raises(InvalidRequest):
        await store.chain(other, made.id)
    follower = response(account_id=other, previous_response_id=made.id)
    await store.put(follower)
    with pytest.raises(InvalidRequest):
        await store.chain(other, follower.id)
    # The same id may be kept by both, and each has its own.
    theirs = msgspec.structs.replace(made, account_id=other, response=b'{"theirs":1}')
    await store.put(theirs)
    assert await store.get(ROOT, made.id) == made
    assert await store.get(other, made.id) == theirs


async def test_the_file_shows_nothing_of_what_was_said(store: SqlResponseStore, database: Database) -> None:
    canary = b"ferrets-at-midnight"
    made = response(
        response=b'{"a":"%b"}' % canary,
        input=b'["%b"]' % canary,
        model=canary.decode(),
        background=True,
        status="queued",
    )
    await store.put(made)
    await store.append_events(ROOT, made.id, 0, [b'{"d":"%b"}' % canary])
    await store.set_status(ROOT, made.id, "failed", b'{"m":"%b"}' % canary)
    files = b"".join(path.read_bytes() for path in database.path.parent.iterdir())
    assert made.id.encode() in files
    assert canary not in files


@pytest.mark.parametrize(
    "change",
    [
        {"response_id": "resp_b"},
        {"previous_response_id": "resp_b"},
        {"conversation_id": "conv_b"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_row_in_the_place_of_another_is_refused(
    store: SqlResponseStore, database: Database, change: dict[str, str]
) -> None:
    await store.put(response(id="resp_a"))
    with database.writing() as connection:
        connection.execute(update(table).values(**change))
    with pytest.raises(Defect):
        await store.get(ROOT, change.get("response_id", "resp_a"))


async def test_content_moved_between_rows_is_refused(store: SqlResponseStore, database: Database) -> None:
    other = other_account(database)
    await store.put(response(id="resp_a"))
    await store.put(response(id="resp_a", account_id=other))
    with database.writing() as connection:
        theirs = connection.execute(select(table.c.content).where(table.c.account_id == other)).scalar_one()
        connection.execute(update(table).where(table.c.account_id == ROOT).values(content=theirs))
    with pytest.raises(Defect):
        await store.get(ROOT, "resp_a")
    assert await store.get(other, "resp_a") is not None


async def test_a_chain_is_given_oldest_first(store: SqlResponseStore) -> None:
    before: str | None = None
    for number in range(5):
        await store.put(response(id=f"resp_{number}", previous_response_id=before))
        before = f"resp_{number}"
    await store.put(response(id="resp_branch", previous_response_id="resp_1"))
    chain = await store.chain(ROOT, "resp_4")
    assert [link.id for link in chain.links] == [f"resp_{number}" for number in range(5)]
    assert chain.earlier == ()
    assert [link.id for link in (await store.chain(ROOT, "resp_branch")).links] == ["resp_0", "resp_1", "resp_branch"]


@pytest.mark.parametrize("lost", ["resp_0", "resp_1", "resp_2"])
async def test_a_chain_that_lacks_a_link_is_told(store: SqlResponseStore, lost: str) -> None:
    before: str | None = None
    for number in range(3):
        await store.put(response(id=f"resp_{number}", previous_response_id=before))
        before = f"resp_{number}"
    await store.delete(ROOT, lost)
    with pytest.raises(InvalidRequest) as raised:
        await store.chain(ROOT, "resp_2")
    assert (raised.value.code, raised.value.param) == ("previous_response_not_found", "previous_response_id")
    assert lost in raised.value.message


async def test_a_chain_whose_middle_has_expired_is_told(
    store: SqlResponseStore, database: Database, held_clock: HeldClock
) -> None:
    for number, before in enumerate([None, "resp_0", "resp_1"]):
        await store.put(response(id=f"resp_{number}", previous_response_id=before))
    with database.writing() as connection:
        connection.execute(update(table).where(table.c.response_id == "resp_1").values(expires_at=held_clock.now_s))
    with pytest.raises(InvalidRequest, match="resp_1, which was deleted or has expired"):
        await store.chain(ROOT, "resp_2")


@pytest.mark.parametrize(("links", "held"), [(MOST_LINKS, True), (MOST_LINKS + 1, False)])
async def test_a_chain_has_a_longest(store: SqlResponseStore, links: int, held: bool) -> None:
    made = [
        response(id=f"resp_{number}", previous_response_id=f"resp_{number - 1}" if number else None)
        for number in range(links)
    ]
    await asyncio.gather(*map(store.put, made))
    if held:
        assert len((await store.chain(ROOT, f"resp_{links - 1}")).links) == links
        return
    with pytest.raises(InvalidRequest) as raised:
        await store.chain(ROOT, f"resp_{links - 1}")
    assert raised.value.code == "context_length_exceeded"


async def test_a_chain_has_a_largest(store: SqlResponseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CONTEXT_BYTES", 3_000)
    await store.put(response(id="resp_0", response=b'"%b"' % (b"x" * 1_000)))
    await store.put(response(id="resp_1", response=b'"%b"' % (b"x" * 1_000), previous_response_id="resp_0"))
    assert len((await store.chain(ROOT, "resp_1")).links) == 2
    await store.put(response(id="resp_2", response=b'"%b"' % (b"x" * 1_000), previous_response_id="resp_1"))
    with pytest.raises(InvalidRequest) as raised:
        await store.chain(ROOT, "resp_2")
    assert raised.value.code == "context_length_exceeded"


async def test_what_a_chain_goes_on_from_lives_as_long(store: SqlResponseStore, held_clock: HeldClock) -> None:
    await store.put(response(id="resp_0"))
    await store.put(response(id="resp_1", previous_response_id="resp_0"))
    await store.put(response(id="resp_alone"))
    held_clock.now_s += 20 * DAY_S
    await store.put(response(id="resp_2", previous_response_id="resp_1", expires_at=held_clock.now_s + 30 * DAY_S))
    held_clock.now_s += 20 * DAY_S
    assert [link.id for link in (await store.chain(ROOT, "resp_2")).links] == ["resp_0", "resp_1", "resp_2"]
    assert await store.get(ROOT, "resp_alone") is None


async def test_a_chain_in_daily_use_never_loses_its_beginning(store: SqlResponseStore, held_clock: HeldClock) -> None:
    before: str | None = None
    for number in range(80):
        end = held_clock.now_s + 3 * DAY_S
        made = response(id=f"resp_{number}", previous_response_id=before, expires_at=end)
        await store.put(made)
        await store.sweep(held_clock.now_s)
        links = (await store.chain(ROOT, made.id)).links
        assert len(links) == number + 1
        assert all(end - DAY_S < link.expires_at <= end + DAY_S for link in links)
        before = made.id
        held_clock.now_s += (0.9, 0.1, 2.5, 0.3)[number % 4] * DAY_S


async def test_what_has_expired_is_unknown_and_then_deleted(
    store: SqlResponseStore, database: Database, held_clock: HeldClock
) -> None:
    made = response(background=True, status="queued")
    await store.put(made)
    await store.append_events(ROOT, made.id, 0, [b"{}"])
    await store.put(response(id="resp_young", expires_at=made.expires_at + 1))
    held_clock.now_s = made.expires_at
    assert await store.get(ROOT, made.id) is None
    assert await store.events(ROOT, made.id, -1) == []
    assert not await store.delete(ROOT, made.id)
    assert await store.sweep(held_clock.now_s) == 1
    assert await store.sweep(held_clock.now_s) == 0
    with database.reading() as connection:
        assert connection.execute(select(table.c.response_id)).scalars().all() == ["resp_young"]
        assert connection.execute(select(func.count()).select_from(response_events)).scalar_one() == 0


async def test_the_sweep_goes_in_batches(store: SqlResponseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEPT_TOGETHER", 2)
    await asyncio.gather(*(store.put(response(expires_at=1.0)) for _ in range(5)))
    assert [await store.sweep(2.0) for _ in range(4)] == [2, 2, 1, 0]


async def test_events_come_back_in_order_from_any_place(store: SqlResponseStore) -> None:
    made = response(background=True, status="in_progress")
    await store.put(made)
    told = [b'{"n":%d}' % number for number in range(10)]
    for first, last in ((0, 1), (1, 5), (5, 10)):
        assert await store.append_events(ROOT, made.id, first, told[first:last]) == "in_progress"
    for after in range(-1, 11):
        found = await store.events(ROOT, made.id, after)
        assert [event.sequence_number for event in found] == list(range(after + 1, 10))
        assert [event.data for event in found] == told[after + 1 :]


async def test_many_events_come_in_parts(store: SqlResponseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVENTS_BYTES", 500)
    made = response(background=True, status="in_progress")
    await store.put(made)
    told = [b"%d" % number * 100 for number in range(9)]
    for number, data in enumerate(told):
        await store.append_events(ROOT, made.id, number, [data])
    collected: list[bytes] = []
    parts, after = 0, -1
    while found := await store.events(ROOT, made.id, after):
        collected += [event.data for event in found]
        after = found[-1].sequence_number
        parts += 1
    assert collected == told
    assert parts > 1


async def test_a_runner_is_told_to_stop(store: SqlResponseStore) -> None:
    made = response(background=True, status="queued")
    await store.put(made)
    moved = await store.set_status(ROOT, made.id, "in_progress")
    assert moved is not None
    assert moved.status == "in_progress"
    cancelled = await store.set_status(ROOT, made.id, "cancelled")
    assert cancelled is not None
    assert msgspec.json.decode(cancelled.response)["status"] == "cancelled"
    assert await store.append_events(ROOT, made.id, 0, [b"{}"]) == "cancelled"
    assert await store.events(ROOT, made.id, -1) == []
    assert not await store.put(msgspec.structs.replace(made, status="completed"))
    assert not await store.finish(msgspec.structs.replace(made, status="completed"), [])
    assert await store.get(ROOT, made.id) == cancelled
    # What has ended stays as it ended.
    assert await store.set_status(ROOT, made.id, "failed", ERROR) == cancelled


async def test_a_deleted_background_response_does_not_come_back(
    store: SqlResponseStore, talks: SqlConversationStore
) -> None:
    await talks.create(StoredConversation(id="conv_1", account_id=ROOT, created_at=NOW_S))
    made = response(background=True, status="in_progress", conversation_id="conv_1")
    await store.put(made)
    await store.delete(ROOT, made.id)
    assert await store.append_events(ROOT, made.id, 0, [b"{}"]) is None
    assert not await store.finish(msgspec.structs.replace(made, status="completed"), [item("msg_1")])
    assert await store.get(ROOT, made.id) is None
    assert await talks.items(ROOT, "conv_1") == []


async def test_what_nobody_runs_any_more_fails(store: SqlResponseStore, held_clock: HeldClock) -> None:
    silent = response(background=True, status="in_progress")
    alive = response(background=True, status="in_progress")
    waiting = response(status="in_progress")
    done = response(background=True)
    await store.put(msgspec.structs.replace(done, status="in_progress"))
    for made in (silent, alive, waiting, done):
        await store.put(made)
    held_clock.now_s += 100
    await store.append_events(ROOT, alive.id, 0, [])
    assert await store.abandon(held_clock.now_s - 50, ERROR) == 1
    assert await store.abandon(held_clock.now_s - 50, ERROR) == 0
    found = await store.get(ROOT, silent.id)
    assert found is not None
    assert found.status == "failed"
    assert msgspec.json.decode(found.response)["error"] == msgspec.json.decode(ERROR)
    statuses = [await store.status(ROOT, made.id) for made in (alive, waiting, done)]
    assert statuses == ["in_progress", "in_progress", "completed"]


@pytest.mark.parametrize("told", [0, 3])
async def test_a_stream_that_nobody_ends_any_more_has_an_end(
    store: SqlResponseStore, held_clock: HeldClock, told: int
) -> None:
    made = response(background=True, status="in_progress")
    await store.put(made)
    await store.append_events(ROOT, made.id, 0, [b'{"n":%d}' % number for number in range(told)])
    assert await store.abandon(held_clock.now_s + 1, ERROR) == 1
    last = (await store.events(ROOT, made.id, -1))[-1]
    event = msgspec.json.decode(last.data)
    assert (event["type"], event["sequence_number"], last.sequence_number) == ("response.failed", told, told)
    assert (event["response"]["status"], event["response"]["error"]) == ("failed", msgspec.json.decode(ERROR))


async def test_a_response_and_its_items_are_kept_together(
    store: SqlResponseStore, talks: SqlConversationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await talks.create(StoredConversation(id="conv_1", account_id=ROOT, created_at=NOW_S), [item("msg_0")])
    first = response(conversation_id="conv_1")
    assert await store.finish(first, [item("msg_1"), item("msg_2")])
    assert [one.id for one in await talks.items(ROOT, "conv_1") or []] == ["msg_0", "msg_1", "msg_2"]

    def fail(*_: object) -> None:
        raise RuntimeError("the power went")

    monkeypatch.setattr(store, "_put", fail)
    with pytest.raises(RuntimeError):
        await store.finish(response(conversation_id="conv_1"), [item("msg_3")])
    assert [one.id for one in await talks.items(ROOT, "conv_1") or []] == ["msg_0", "msg_1", "msg_2"]


async def test_a_chain_from_a_conversation_has_what_stood_before_it(
    store: SqlResponseStore, talks: SqlConversationStore
) -> None:
    await talks.create(StoredConversation(id="conv_1", account_id=ROOT, created_at=NOW_S), [item("msg_0")])
    first, second = response(conversation_id="conv_1"), response(conversation_id="conv_1")
    await store.finish(first, [item("msg_1")])
    await store.finish(second, [item("msg_2")])
    after = response(previous_response_id=second.id)
    await store.put(after)
    chain = await store.chain(ROOT, after.id)
    assert [link.id for link in chain.links] == [second.id, after.id]
    assert [one.id for one in chain.earlier] == ["msg_0", "msg_1"]
    await talks.delete(ROOT, "conv_1")
    with pytest.raises(InvalidRequest, match="conv_1, which was deleted"):
        await store.chain(ROOT, after.id)
    assert await store.get(ROOT, second.id) == second


async def test_a_deleted_conversation_does_not_cost_the_response(store: SqlResponseStore) -> None:
    made = response(conversation_id="conv_gone")
    assert await store.finish(made, [item("msg_1")])
    assert await store.get(ROOT, made.id) == made


async def test_many_at_once(store: SqlResponseStore, talks: SqlConversationStore) -> None:
    """Ends in one conversation from many calls: every item once, each call's items side by side, in order."""
    await talks.create(StoredConversation(id="conv_1", account_id=ROOT, created_at=NOW_S))
    made = [response(id=f"resp_{number}", conversation_id="conv_1") for number in range(40)]
    ends = [store.finish(one, [item(f"{one.id}_{part}") for part in range(3)]) for one in made]
    reads = [store.get(ROOT, one.id) for one in made]
    results: list[Any] = await asyncio.gather(*ends, *reads)
    assert all(results[: len(ends)])
    ids = [one.id for one in await talks.items(ROOT, "conv_1") or []]
    assert sorted(ids) == sorted(f"{one.id}_{part}" for one in made for part in range(3))
    assert all(ids[start].rpartition("_")[0] == ids[start + 2].rpartition("_")[0] for start in range(0, 120, 3))


CHILD = """
import asyncio, pathlib, sys
from tests.storage.stores import NOW_S, ROOT, item, response
from trunkline import clock
from trunkline.ports.conversations import StoredConversation
from trunkline.storage.conversations import SqlConversationStore
from trunkline.storage.database import DatabaseOptions, open_database
from trunkline.storage.responses import SqlResponseStore
from trunkline.storage.sealing import Sealer
from trunkline.storage.threads import StoreThreads

async def main():
    threads = StoreThreads(open_database(DatabaseOptions(), pathlib.Path(sys.argv[1])))
    sealer = Sealer(sys.argv[2].encode())
    store = SqlResponseStore(threads, sealer)
    talks = SqlConversationStore(threads, sealer)
    await talks.create(StoredConversation(id="conv_1", account_id=ROOT, created_at=NOW_S))
    number = 0
    while True:
        made = response(id=f"resp_{number}", conversation_id="conv_1")
        await store.finish(made, [item(f"{made.id}_0"), item(f"{made.id}_1")])
        print(made.id, flush=True)
        number += 1

clock.now_s = lambda: float(NOW_S)
asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.usefixtures("held_clock")
async def test_a_process_killed_between_loses_nothing_it_has_told(tmp_path: Path, database: Database) -> None:
    doomed = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path), PEPPER.decode()], stdout=subprocess.PIPE, text=True
    )
    assert doomed.stdout is not None
    told = [doomed.stdout.readline().strip() for _ in range(50)]
    os.kill(doomed.pid, signal.SIGKILL)
    told += [line.strip() for line in doomed.communicate(timeout=60)[0].splitlines() if line.endswith("\n")]
    reopened = open_database(DatabaseOptions(), tmp_path)
    threads = StoreThreads(reopened)
    store, talks = SqlResponseStore(threads, Sealer(PEPPER)), SqlConversationStore(threads, Sealer(PEPPER))
    items = [one.id for one in await talks.items(ROOT, "conv_1") or []]
    kept = len(items) // 2
    assert items == [f"resp_{number}_{part}" for number in range(kept) for part in range(2)]
    assert kept >= len(told)
    for number in range(kept):
        assert await store.get(ROOT, f"resp_{number}") is not None
    assert await store.get(ROOT, f"resp_{kept}") is None
    threads.close()
    reopened.close()
