from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, update

from tests.storage.stores import NOW_S, ROOT, item, other_account
from trunkline.errors import Defect, InvalidRequest
from trunkline.ids import AccountId
from trunkline.ports.conversations import ConversationStore, ItemCursor, StoredConversation
from trunkline.ports.responses import ItemRecord
from trunkline.storage import conversations as module
from trunkline.storage.conversations import SqlConversationStore
from trunkline.storage.database import Database
from trunkline.storage.schema import conversation_items
from trunkline.storage.sealing import Sealer
from trunkline.storage.threads import StoreThreads

FIVE = [item(f"msg_{number}") for number in range(5)]


@pytest.fixture
def store(threads: StoreThreads, sealer: Sealer) -> SqlConversationStore:
    return SqlConversationStore(threads, sealer)


def talk(conversation_id: str = "conv_1", account_id: AccountId = ROOT) -> StoredConversation:
    return StoredConversation(id=conversation_id, account_id=account_id, created_at=NOW_S, metadata=b'{"a":"b"}')


async def ids(store: SqlConversationStore, conversation_id: str = "conv_1") -> list[str]:
    found = await store.items(ROOT, conversation_id)
    assert found is not None
    return [one.id for one in found]


async def test_what_was_made_is_found_changed_and_deleted(store: SqlConversationStore) -> None:
    port: ConversationStore = store
    await port.create(talk(), FIVE)
    assert await port.get(ROOT, "conv_1") == talk()
    changed = await port.set_metadata(ROOT, "conv_1", b'{"c":"d"}')
    assert changed is not None
    assert changed.metadata == b'{"c":"d"}'
    assert await port.get(ROOT, "conv_1") == changed
    assert await port.items(ROOT, "conv_1") == FIVE
    assert await port.item(ROOT, "conv_1", "msg_3") == FIVE[3]
    assert await port.delete(ROOT, "conv_1")
    assert not await port.delete(ROOT, "conv_1")
    assert await port.items(ROOT, "conv_1") is None
    assert await port.item(ROOT, "conv_1", "msg_3") is None


async def test_items_are_appended_in_order_and_removed(store: SqlConversationStore) -> None:
    await store.create(talk(), FIVE[:2])
    assert await store.append(ROOT, "conv_1", FIVE[2:4])
    assert await store.remove(ROOT, "conv_1", "msg_1") == talk()
    assert await store.remove(ROOT, "conv_1", "msg_1") is None
    # A place is never given twice, so what is appended now comes last.
    assert await store.append(ROOT, "conv_1", [FIVE[4], FIVE[1]])
    assert await ids(store) == ["msg_0", "msg_2", "msg_3", "msg_4", "msg_1"]
    assert not await store.append(ROOT, "conv_unknown", FIVE)


async def test_an_item_that_is_there_is_left_as_it_is(store: SqlConversationStore) -> None:
    await store.create(talk(), FIVE[:2])
    again = [item("msg_1", "another text"), FIVE[2], FIVE[2]]
    assert await store.append(ROOT, "conv_1", again)
    assert await store.items(ROOT, "conv_1") == FIVE[:3]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 5, 6])
async def test_pages_make_the_whole(store: SqlConversationStore, order: str, limit: int) -> None:
    await store.create(talk(), FIVE)
    collected: list[ItemRecord] = []
    after: str | None = None
    more = True
    while more:
        page = await store.page(ROOT, "conv_1", ItemCursor(limit=limit, order=order, after=after))  # type: ignore[arg-type]
        assert page is not None
        collected += page.items
        assert len(page.items) == limit or not page.has_more
        after, more = page.items[-1].id, page.has_more
    assert collected == (FIVE if order == "asc" else FIVE[::-1])


async def test_a_page_behind_an_unknown_item_is_refused(store: SqlConversationStore) -> None:
    await store.create(talk(), FIVE)
    await store.create(talk("conv_2"), [item("msg_elsewhere")])
    with pytest.raises(InvalidRequest) as raised:
        await store.page(ROOT, "conv_1", ItemCursor(after="msg_elsewhere"))
    assert raised.value.param == "after"
    assert await store.page(ROOT, "conv_unknown", ItemCursor()) is None
    empty = await store.page(ROOT, "conv_2", ItemCursor(after="msg_elsewhere"))
    assert empty is not None
    assert (empty.items, empty.has_more) == ((), False)


async def test_another_account_knows_nothing_of_it(store: SqlConversationStore, database: Database) -> None:
    other = other_account(database)
    await store.create(talk(), FIVE)
    assert await store.get(other, "conv_1") is None
    assert await store.set_metadata(other, "conv_1", b"{}") is None
    assert not await store.append(other, "conv_1", [item("msg_theirs")])
    assert await store.items(other, "conv_1") is None
    assert await store.page(other, "conv_1", ItemCursor()) is None
    assert await store.item(other, "conv_1", "msg_0") is None
    assert await store.remove(other, "conv_1", "msg_0") is None
    assert not await store.delete(other, "conv_1")
    await store.create(talk(account_id=other), [item("msg_0", "theirs")])
    assert await store.items(ROOT, "conv_1") == FIVE
    assert await store.get(ROOT, "conv_1") == talk()


async def test_the_file_shows_nothing_and_rows_cannot_change_places(
    store: SqlConversationStore, database: Database
) -> None:
    canary = b"ferrets-at-midnight"
    await store.create(talk(), [item("msg_0", canary.decode()), item("msg_1")])
    await store.set_metadata(ROOT, "conv_1", b'{"x":"%b"}' % canary)
    files = b"".join(path.read_bytes() for path in database.path.parent.iterdir())
    assert b"conv_1" in files
    assert canary not in files
    position = conversation_items.c.position
    with database.writing() as connection:
        for here, there in ((0, 9), (1, 0), (9, 1)):
            connection.execute(update(conversation_items).where(position == here).values(position=there))
    with pytest.raises(Defect):
        await store.items(ROOT, "conv_1")
    with database.reading() as connection:
        assert connection.execute(select(position)).scalars().all()


async def test_a_conversation_has_a_longest(store: SqlConversationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CONTEXT_ITEMS", 5)
    await store.create(talk(), FIVE)
    assert await ids(store) == [one.id for one in FIVE]
    await store.append(ROOT, "conv_1", [item("msg_6")])
    with pytest.raises(InvalidRequest) as raised:
        await store.items(ROOT, "conv_1")
    assert (raised.value.code, raised.value.param) == ("context_length_exceeded", "conversation")


async def test_many_append_at_once(store: SqlConversationStore) -> None:
    await store.create(talk())
    pairs = [[item(f"msg_{number}_a"), item(f"msg_{number}_b")] for number in range(50)]
    assert all(await asyncio.gather(*(store.append(ROOT, "conv_1", pair) for pair in pairs)))
    found = await ids(store)
    assert sorted(found) == sorted(one.id for pair in pairs for one in pair)
    assert all(found[at].removesuffix("a") == found[at + 1].removesuffix("b") for at in range(0, 100, 2))


async def test_more_items_than_one_question_asks_for(store: SqlConversationStore) -> None:
    many = [item(f"msg_{number:04}") for number in range(1_100)]
    await store.create(talk(), many)
    await store.append(ROOT, "conv_1", [*many, item("msg_last")])
    assert await ids(store) == [*(one.id for one in many), "msg_last"]
