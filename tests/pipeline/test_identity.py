from __future__ import annotations

import asyncio
import threading
import timeit
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.shelf import DIGEST, Shelf, record
from trunkline import clock
from trunkline.errors import StoreUnavailable, Unauthenticated, Unavailable
from trunkline.pipeline.identity import KeyTable, Pace
from trunkline.policy.keys import KeyShape, KeysOptions
from trunkline.ports.keys import KeyRecord
from trunkline.storage.database import DatabaseOptions
from trunkline.storage.keys import Grant
from trunkline.storage.store import Store

SHAPE = KeyShape("sk-tl")
UNHURRIED = Pace(poll_s=3600)
BRISK = Pace(poll_s=0.002)


class HeldClock:
    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0
        self.monotonic_s = 1000.0

    def advance(self, by_s: float) -> None:
        self.now_s += by_s
        self.monotonic_s += by_s


@pytest.fixture
def held_clock(monkeypatch: pytest.MonkeyPatch) -> HeldClock:
    held = HeldClock()
    monkeypatch.setattr(clock, "now_s", lambda: held.now_s)
    monkeypatch.setattr(clock, "monotonic_s", lambda: held.monotonic_s)
    return held


Start = Callable[[Shelf, Pace], Awaitable[KeyTable]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    started: list[tuple[Shelf, KeyTable]] = []

    async def start(shelf: Shelf, pace: Pace) -> KeyTable:
        table = KeyTable(shelf, DIGEST, SHAPE, pace=pace)
        await table.start()
        started.append((shelf, table))
        return table

    yield start
    for shelf, table in started:
        shelf.reachable, shelf.defect = True, None
        shelf.open.set()
        await table.stop()


async def test_a_live_key_is_known_without_asking(start: Start) -> None:
    shelf = Shelf("one", "two")
    table = await start(shelf, UNHURRIED)
    for _ in range(3):
        assert table.get("one") == record("one")
        assert table.get("two") == record("two")
        assert table.get("three") is None
    assert shelf.finds == 0
    assert table.confirmed_age_s() < 30


@given(st.text(st.characters(exclude_categories=()), max_size=12), st.integers(0, 12), st.text(max_size=4))
def test_two_credentials_never_share_an_entry(known: str, shared: int, rest: str) -> None:
    other = known[:shared] + rest
    table = KeyTable(Shelf(), DIGEST, SHAPE)
    table._replace(1, [record(known)], clock.monotonic_s())
    assert table.get(known) == record(known)
    assert table.get(other) == (record(known) if other == known else None)


async def test_the_first_use_of_the_new_secret_ends_the_old_one(start: Start) -> None:
    shelf = Shelf("old")
    shelf.add(record("new", retires=("old",)))
    table = await start(shelf, UNHURRIED)
    for _ in range(2):
        assert table.get("old") == record("old"), "it lives until then"
    assert table.get("new") == record("new", retires=("old",))
    assert table.get("old") is None
    with pytest.raises(Unauthenticated, match="was revoked"):
        await table.lookup("old")
    assert shelf.retired == [], "the store is told by the thread"
    await asyncio.to_thread(table._retire)
    assert shelf.retired == [[DIGEST("new")]]


async def test_the_store_is_told_once(start: Start) -> None:
    shelf = Shelf("old")
    shelf.add(record("new", retires=("old",)))
    table = await start(shelf, BRISK)
    for _ in range(3):
        assert table.get("new") is not None
        await shelf.looked_at()
    assert table.get("new") == record("new")
    with pytest.raises(Unauthenticated):
        await table.lookup("old")
    assert shelf.retired == [[DIGEST("new")]]


async def test_an_old_secret_stays_ended_though_the_store_cannot_be_told(start: Start) -> None:
    shelf = Shelf("old")
    shelf.add(record("new", retires=("old",)))
    table = await start(shelf, UNHURRIED)
    assert table.get("new") is not None
    table._replace(2, list(shelf.records.values()), clock.monotonic_s())
    assert table.get("old") is None
    with pytest.raises(Unauthenticated):
        await table.lookup("old")
    shelf.remove("old")
    table._replace(3, [record("new")], clock.monotonic_s())
    assert (table._retired, table._used_first) == (set(), set()), "nothing is left to remember"


async def test_a_new_secret_that_is_looked_up_ends_the_old_one(start: Start) -> None:
    shelf = Shelf("old")
    table = await start(shelf, UNHURRIED)
    assert table.get("old") is not None
    shelf.add(record("new", retires=("old",)))
    await table.lookup("new")
    assert table.get("old") is None


async def test_an_ended_secret_retires_nothing(start: Start) -> None:
    shelf = Shelf("old")
    shelf.add(record("new", expires_at=1.0, retires=("old",)))
    table = await start(shelf, UNHURRIED)
    assert table.get("new") is None
    assert table.get("old") is not None


async def test_a_new_key_works_at_once_and_is_asked_for_once(start: Start) -> None:
    shelf = Shelf()
    table = await start(shelf, UNHURRIED)
    shelf.add(record("new"))
    assert table.get("new") is None
    assert await table.lookup("new") == record("new")
    assert table.get("new") == record("new")
    assert await table.lookup("new") == record("new")
    assert shelf.finds == 1


async def test_a_known_key_is_looked_up_in_memory(start: Start) -> None:
    shelf = Shelf("one")
    table = await start(shelf, UNHURRIED)
    assert await table.lookup("one") == record("one")
    assert shelf.finds == 0


async def test_many_that_ask_for_one_key_ask_the_store_once(start: Start) -> None:
    shelf = Shelf()
    table = await start(shelf, UNHURRIED)
    shelf.add(record("new"))
    assert await asyncio.gather(*(table.lookup("new") for _ in range(50))) == [record("new")] * 50
    assert shelf.finds == 1


async def test_one_that_leaves_does_not_take_the_answer_from_the_others(start: Start) -> None:
    shelf = Shelf()
    shelf.open.clear()
    table = await start(shelf, UNHURRIED)
    shelf.add(record("new"))
    leaver, stayer = asyncio.create_task(table.lookup("new")), asyncio.create_task(table.lookup("new"))
    await asyncio.to_thread(shelf.finding.wait, 30)
    leaver.cancel()
    shelf.open.set()
    assert await stayer == record("new")
    with pytest.raises(asyncio.CancelledError):
        await leaver


async def test_a_miss_is_remembered_for_a_second(start: Start, held_clock: HeldClock) -> None:
    shelf = Shelf()
    table = await start(shelf, UNHURRIED)
    for later_s, finds in ((0.0, 1), (0.99, 1), (0.01, 2), (0.5, 2)):
        held_clock.advance(later_s)
        with pytest.raises(Unauthenticated, match="not known"):
            await table.lookup("nobody")
        assert shelf.finds == finds


async def test_misses_do_not_fill_the_memory(start: Start) -> None:
    table = await start(Shelf(), Pace(poll_s=3600, most_misses=10))
    for number in range(35):
        with pytest.raises(Unauthenticated):
            await table.lookup(f"nobody {number}")
        assert len(table._misses) <= 10


async def test_a_mistyped_key_is_refused_without_asking(start: Start) -> None:
    shelf = Shelf()
    table = await start(shelf, UNHURRIED)
    shelf.reachable = False
    key = SHAPE.mint("abcdefghijkl", "s" * 43)
    with pytest.raises(Unauthenticated, match="mistyped") as refused:
        await table.lookup(key[:-1] + ("0" if key[-1] != "0" else "1"))
    assert "ssss" not in refused.value.message
    assert shelf.finds == 0
    with pytest.raises(StoreUnavailable):
        await table.lookup(key)


async def test_too_many_unknown_keys_at_once_are_asked_to_wait(start: Start) -> None:
    shelf = Shelf()
    shelf.open.clear()
    table = await start(shelf, Pace(poll_s=3600, most_lookups=3))
    waiting = [asyncio.create_task(table.lookup(f"nobody {number}")) for number in range(3)]
    await asyncio.to_thread(shelf.finding.wait, 30)
    with pytest.raises(Unavailable) as refused:
        await table.lookup("one more")
    assert refused.value.retry_after_s
    shelf.open.set()
    assert {type(answer) for answer in await asyncio.gather(*waiting, return_exceptions=True)} == {Unauthenticated}
    with pytest.raises(Unauthenticated):
        await table.lookup("one more")


@pytest.mark.parametrize("memo", [True, False])
async def test_a_key_ends_at_its_end(start: Start, held_clock: HeldClock, memo: bool) -> None:
    shelf = Shelf()
    shelf.add(record("brief", expires_at=held_clock.now_s + 4))
    table = await start(shelf, UNHURRIED)
    held_clock.advance(3.99)
    if memo:
        assert table.get("brief") is not None
    held_clock.advance(0.01)
    assert table.get("brief") is None
    with pytest.raises(Unauthenticated, match="expired"):
        await table.lookup("brief")
    assert shelf.finds == 0


async def test_an_ended_key_that_only_the_store_has_is_refused(start: Start, held_clock: HeldClock) -> None:
    shelf = Shelf()
    table = await start(shelf, UNHURRIED)
    shelf.add(record("brief", expires_at=held_clock.now_s))
    with pytest.raises(Unauthenticated, match="expired"):
        await table.lookup("brief")


async def test_a_change_is_followed_and_told(start: Start) -> None:
    shelf = Shelf("old")
    table = await start(shelf, BRISK)
    changed = asyncio.Event()
    table.on_change = changed.set
    assert table.get("old") is not None
    shelf.remove("old")
    shelf.add(record("new"))
    await asyncio.wait_for(changed.wait(), 10)
    await shelf.looked_at()
    assert table.get("old") is None
    assert table.get("new") == record("new")
    changed.clear()
    await shelf.looked_at()
    assert not changed.is_set(), "nothing changed"


async def test_a_key_revoked_while_it_is_looked_up_does_not_come_back(start: Start) -> None:
    """The store answered before the revocation, the answer arrives after the table has followed it."""
    shelf = Shelf()
    shelf.open.clear()
    table = await start(shelf, BRISK)
    shelf.records[DIGEST("doomed")] = record("doomed")
    looking = asyncio.create_task(table.lookup("doomed"))
    await asyncio.to_thread(shelf.finding.wait, 30)
    changed = asyncio.Event()
    table.on_change = changed.set
    shelf.remove("doomed")
    await asyncio.wait_for(changed.wait(), 10)
    shelf.open.set()
    await looking
    assert table.get("doomed") is None
    with pytest.raises(Unauthenticated):
        await table.lookup("doomed")


async def test_a_store_out_of_reach(start: Start, held_clock: HeldClock) -> None:
    """Known keys go on for a minute, then nobody is let in and nobody is called unknown, until the store is back."""
    shelf = Shelf("known")
    table = await start(shelf, BRISK)
    shelf.reachable = False
    await shelf.looked_at()
    held_clock.advance(60.0)
    assert table.get("known") is not None
    assert await table.lookup("known") is not None
    with pytest.raises(StoreUnavailable):
        await table.lookup("nobody")
    held_clock.advance(0.001)
    for _ in range(2):
        with pytest.raises(StoreUnavailable) as refused:
            table.get("known")
        assert refused.value.retry_after_s
        with pytest.raises(StoreUnavailable):
            await table.lookup("known")
        with pytest.raises(StoreUnavailable):
            await table.lookup("nobody")
    assert table.confirmed_age_s() == pytest.approx(60.001)
    shelf.reachable = True
    await shelf.looked_at()
    assert table.get("known") is not None
    with pytest.raises(Unauthenticated):
        await table.lookup("nobody")
    assert table.confirmed_age_s() == 0


async def test_a_version_that_moved_confirms_nothing_until_its_keys_were_read(
    start: Start, held_clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf("known")
    table = await start(shelf, BRISK)

    def refuse() -> list[KeyRecord]:
        raise StoreUnavailable("The database does not answer (for a test).")

    monkeypatch.setattr(shelf, "live_keys", refuse)
    shelf.number += 1
    await shelf.looked_at()
    held_clock.advance(60.001)
    await shelf.looked_at()
    with pytest.raises(StoreUnavailable):
        table.get("known")


async def test_a_defect_in_the_store_does_not_end_the_watch(start: Start, held_clock: HeldClock) -> None:
    shelf = Shelf("known")
    table = await start(shelf, BRISK)
    for defect in (ValueError("a bug"), RuntimeError("another"), KeyError("a third")):
        shelf.defect = defect
        await shelf.looked_at()
    held_clock.advance(61)
    shelf.defect = None
    await shelf.looked_at()
    assert table.get("known") is not None


async def test_without_a_first_table_there_is_no_start() -> None:
    shelf = Shelf("known")
    shelf.reachable = False
    table = KeyTable(shelf, DIGEST, SHAPE)
    with pytest.raises(StoreUnavailable):
        await table.start()
    assert table.confirmed_age_s() == float("inf")
    with pytest.raises(StoreUnavailable):
        await table.lookup("known")


async def test_last_uses_are_written_in_one_go_and_again_after_a_failure(held_clock: HeldClock) -> None:
    shelf = Shelf("one", "two", "never")
    table = KeyTable(shelf, DIGEST, SHAPE, pace=Pace(poll_s=0.002, flush_s=5))
    await table.start()
    first_s = held_clock.now_s
    for _ in range(10):
        table.get("one")
    await shelf.looked_at()
    assert shelf.touched == []
    held_clock.advance(5)
    await shelf.looked_at()
    assert shelf.touched == [{"key_one": first_s}]
    held_clock.advance(5)
    await shelf.looked_at()
    assert len(shelf.touched) == 1, "nothing was used since"
    table.get("two")
    shelf.reachable = False
    held_clock.advance(5)
    await shelf.looked_at()
    shelf.reachable = True
    await shelf.looked_at()
    assert shelf.touched[1:] == [{"key_two": first_s + 10}]
    table.get("one")
    await table.stop()
    assert shelf.touched[2:] == [{"key_one": first_s + 15}]


async def test_stopping_ends_the_thread_even_when_the_store_is_gone() -> None:
    shelf = Shelf("one")
    table = KeyTable(shelf, DIGEST, SHAPE, pace=BRISK)
    await table.start()
    table.get("one")
    shelf.reachable = False
    with pytest.raises(StoreUnavailable):
        await table.stop()
    assert "key-table" not in {thread.name for thread in threading.enumerate()}


async def test_credentials_are_not_remembered_for_long(start: Start, held_clock: HeldClock) -> None:
    table = await start(Shelf("one", "two"), UNHURRIED)
    table.get("one")
    assert set(table._memo) == {"one"}
    held_clock.advance(5)
    table.get("two")
    assert set(table._memo) == {"two"}


async def test_a_revoked_key_stops_within_a_second_and_a_new_one_works_at_once(tmp_path: Path) -> None:
    """On a real database, changed behind the back of the one that serves."""
    serving, behind = (Store(DatabaseOptions(), KeysOptions(), tmp_path) for _ in range(2))
    doomed = behind.keys.create(Grant())
    table = KeyTable(serving.serving_keys, serving.digest, serving.shape)
    await table.start()
    assert table.get(doomed.key.reveal()) is not None
    changed = asyncio.Event()
    table.on_change = changed.set
    behind.keys.revoke(doomed.id)
    await asyncio.wait_for(changed.wait(), 1)
    assert table.get(doomed.key.reveal()) is None
    with pytest.raises(Unauthenticated):
        await table.lookup(doomed.key.reveal())
    new = behind.keys.create(Grant())
    assert (await table.lookup(new.key.reveal())).key_id == new.id
    await table.stop()
    assert [key.last_used_at is not None for key in behind.keys.list()] == [True, True]
    serving.close()
    behind.close()


async def test_a_database_that_is_moved_away_is_a_store_out_of_reach(tmp_path: Path) -> None:
    store = Store(DatabaseOptions(), KeysOptions(), tmp_path)
    known = store.keys.create(Grant()).key.reveal()
    table = KeyTable(store.serving_keys, store.digest, store.shape, pace=BRISK)
    await table.start()
    path = store.database.path
    path.rename(tmp_path / "aside.db")
    assert table.get(known) is not None
    with pytest.raises(StoreUnavailable):
        await table.lookup("a key nobody knows")
    (tmp_path / "aside.db").rename(path)
    with pytest.raises(Unauthenticated):
        await table.lookup("a key nobody knows")
    await table.stop()
    store.close()


@pytest.mark.slow
async def test_recognising_a_key_costs_two_microseconds(start: Start) -> None:
    credentials = [SHAPE.mint(f"{number:012}", "s" * 43) for number in range(10_000)]
    table = await start(Shelf(*credentials), UNHURRIED)
    credential = "".join(credentials[5000])
    rounds = 10_000
    best_s = min(timeit.repeat(lambda: table.get(credential), number=rounds, repeat=20)) / rounds
    assert best_s < 2e-6


async def test_what_is_beside_the_keys_is_known_before_they_are() -> None:
    """A key that just got a budget must not be known without it."""
    shelf = Shelf()
    table = KeyTable(shelf, DIGEST, SHAPE, pace=UNHURRIED)
    known: list[tuple[int, bool]] = []

    def read() -> Callable[[], None]:
        number = shelf.number
        return lambda: known.append((number, DIGEST("young") in table._records))

    table.beside = read
    await table.start()
    assert known == [(1, False)]
    shelf.add(record("young"))
    assert (await table.lookup("young")).key_id == "key_young"
    assert known == [(1, False), (2, False)]
    await table.stop()
