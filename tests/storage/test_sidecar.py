from __future__ import annotations

import pytest
from sqlalchemy import select, update

from tests.storage.conftest import HeldClock
from tests.storage.stores import NOW_S, ROOT, other_account
from trunkline.errors import Defect
from trunkline.ports.sidecar import MOST_ENTRY_BYTES, SidecarStore
from trunkline.storage import sidecar as module
from trunkline.storage.database import Database
from trunkline.storage.schema import sidecar as table
from trunkline.storage.sealing import Sealer
from trunkline.storage.sidecar import SqlSidecarStore
from trunkline.storage.threads import StoreThreads

END = NOW_S + 100.0


@pytest.fixture
def store(threads: StoreThreads, sealer: Sealer, held_clock: HeldClock) -> SqlSidecarStore:
    assert held_clock.now_s == NOW_S
    return SqlSidecarStore(threads, sealer)


async def test_state_comes_back_byte_for_byte(store: SqlSidecarStore) -> None:
    port: SidecarStore = store
    entries = {"call_1": bytes(range(256)), "resp_1": b"", "x" * 5_000: b"long", "Ünïcode\u2028": b"odd"}
    assert await port.put(ROOT, entries, END) == ()
    assert await port.find(ROOT, [*entries, "call_unknown"]) == entries
    assert await port.find(ROOT, []) == {}
    assert await port.put(ROOT, {}, END) == ()


async def test_a_later_state_takes_the_place_of_an_earlier_one(store: SqlSidecarStore) -> None:
    await store.put(ROOT, {"call_1": b"old", "call_2": b"kept"}, END)
    await store.put(ROOT, {"call_1": b"new"}, END)
    assert await store.find(ROOT, ["call_1", "call_2"]) == {"call_1": b"new", "call_2": b"kept"}


async def test_what_is_too_large_is_named_and_the_rest_kept(store: SqlSidecarStore) -> None:
    entries = {"call_1": b"x" * MOST_ENTRY_BYTES, "call_2": b"x" * (MOST_ENTRY_BYTES + 1)}
    assert await store.put(ROOT, entries, END) == ("call_2",)
    assert set(await store.find(ROOT, entries)) == {"call_1"}


async def test_more_keys_than_one_question_asks_for(store: SqlSidecarStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASKED_TOGETHER", 3)
    entries = {f"call_{number}": b"%d" % number for number in range(10)}
    await store.put(ROOT, entries, END)
    await store.put(ROOT, entries, END)
    assert await store.find(ROOT, entries) == entries


async def test_another_account_has_its_own(store: SqlSidecarStore, database: Database) -> None:
    other = other_account(database)
    await store.put(ROOT, {"call_1": b"ours"}, END)
    assert await store.find(other, ["call_1"]) == {}
    await store.put(other, {"call_1": b"theirs"}, END)
    assert await store.find(ROOT, ["call_1"]) == {"call_1": b"ours"}


async def test_what_has_expired_is_unknown_and_then_deleted(
    store: SqlSidecarStore, database: Database, held_clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SWEPT_TOGETHER", 2)
    await store.put(ROOT, {f"call_{number}": b"x" for number in range(3)}, END)
    await store.put(ROOT, {"call_young": b"x"}, END + 1)
    held_clock.now_s = END
    assert set(await store.find(ROOT, ["call_0", "call_young"])) == {"call_young"}
    assert [await store.sweep(END) for _ in range(3)] == [2, 1, 0]
    with database.reading() as connection:
        assert len(connection.execute(select(table.c.digest)).all()) == 1


async def test_the_file_shows_neither_state_nor_key_and_rows_cannot_change_places(
    store: SqlSidecarStore, database: Database
) -> None:
    await store.put(ROOT, {"call_ferrets": b"at-midnight", "call_2": b"other"}, END)
    files = b"".join(path.read_bytes() for path in database.path.parent.iterdir())
    assert b"call_ferrets" not in files
    assert b"at-midnight" not in files
    with database.writing() as connection:
        contents = connection.execute(select(table.c.digest, table.c.content)).all()
        for here, there in (contents, contents[::-1]):
            connection.execute(update(table).where(table.c.digest == here.digest).values(content=there.content))
    with pytest.raises(Defect):
        await store.find(ROOT, ["call_ferrets"])
