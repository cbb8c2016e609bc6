"""Conversations on the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from trunkline.errors import InvalidRequest
from trunkline.ids import AccountId
from trunkline.ports.conversations import ItemCursor, ItemPage, StoredConversation
from trunkline.ports.responses import MOST_CONTEXT_BYTES, ItemRecord
from trunkline.storage.schema import conversation_items, conversations
from trunkline.storage.sealing import Sealer
from trunkline.storage.threads import StoreThreads

MOST_CONTEXT_ITEMS = 10_000
ASKED_TOGETHER = 500


class SqlConversationStore:
    """Fulfils ports.conversations.ConversationStore."""

    def __init__(self, threads: StoreThreads, sealer: Sealer) -> None:
        self._threads = threads
        self._sealer = sealer

    async def create(self, conversation: StoredConversation, items: Sequence[ItemRecord] = ()) -> None:
        place = _place(conversation.account_id, conversation.id)

        def work(connection: Connection) -> None:
            connection.execute(
                insert(conversations).values(
                    account_id=conversation.account_id,
                    conversation_id=conversation.id,
                    created_at=float(conversation.created_at),
                    next_position=0,
                    content=self._sealer.seal(place, conversation.metadata),
                )
            )
            append_items(connection, self._sealer, (conversation.account_id, conversation.id), items)

        await self._threads.write(work)

    async def get(self, account_id: AccountId, conversation_id: str) -> StoredConversation | None:
        return await self._threads.read(lambda connection: self._find(connection, account_id, conversation_id))

    async def set_metadata(
        self, account_id: AccountId, conversation_id: str, metadata: bytes
    ) -> StoredConversation | None:
        def work(connection: Connection) -> StoredConversation | None:
            connection.execute(
                update(conversations)
                .where(*_is(conversations, account_id, conversation_id))
                .values(content=self._sealer.seal(_place(account_id, conversation_id), metadata))
            )
            return self._find(connection, account_id, conversation_id)

        return await self._threads.write(work)

    async def delete(self, account_id: AccountId, conversation_id: str) -> bool:
        statement = delete(conversations).where(*_is(conversations, account_id, conversation_id))
        return await self._threads.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def append(self, account_id: AccountId, conversation_id: str, items: Sequence[ItemRecord]) -> bool:
        whose = (account_id, conversation_id)
        position = await self._threads.write(lambda connection: append_items(connection, self._sealer, whose, items))
        return position is not None

    async def items(self, account_id: AccountId, conversation_id: str) -> list[ItemRecord] | None:
        def query(connection: Connection) -> list[ItemRecord] | None:
            # First, and in the same snapshot: an empty conversation is not an unknown one.
            if self._find(connection, account_id, conversation_id) is None:
                return None
            return read_items(connection, self._sealer, (account_id, conversation_id))

        return await self._threads.read(query)

    async def page(self, account_id: AccountId, conversation_id: str, cursor: ItemCursor) -> ItemPage | None:
        def query(connection: Connection) -> ItemPage | None:
            if self._find(connection, account_id, conversation_id) is None:
                return None
            rows = connection.execute(_page(connection, account_id, conversation_id, cursor)).all()
            items = tuple(_item(self._sealer, row) for row in rows[: cursor.limit])
            return ItemPage(items=items, has_more=len(rows) > cursor.limit)

        return await self._threads.read(query)

    async def item(self, account_id: AccountId, conversation_id: str, item_id: str) -> ItemRecord | None:
        statement = select(conversation_items).where(
            *_is(conversation_items, account_id, conversation_id), conversation_items.c.item_id == item_id
        )

        def query(connection: Connection) -> ItemRecord | None:
            row = connection.execute(statement).one_or_none()
            return None if row is None else _item(self._sealer, row)

        return await self._threads.read(query)

    async def remove(self, account_id: AccountId, conversation_id: str, item_id: str) -> StoredConversation | None:
        statement = delete(conversation_items).where(
            *_is(conversation_items, account_id, conversation_id), conversation_items.c.item_id == item_id
        )

        def work(connection: Connection) -> StoredConversation | None:
            if connection.execute(statement).rowcount == 0:
                return None
            return self._find(connection, account_id, conversation_id)

        return await self._threads.write(work)

    def _find(self, connection: Connection, account_id: AccountId, conversation_id: str) -> StoredConversation | None:
        row = connection.execute(
            select(conversations).where(*_is(conversations, account_id, conversation_id))
        ).one_or_none()
        if row is None:
            return None
        return StoredConversation(
            id=row.conversation_id,
            account_id=row.account_id,
            created_at=int(row.created_at),
            metadata=self._sealer.open(_place(row.account_id, row.conversation_id), row.content),
        )


def append_items(
    connection: Connection, sealer: Sealer, whose: tuple[AccountId, str], items: Sequence[ItemRecord]
) -> int | None:
    """The place where the first of them stands, within the caller's transaction; None for an unknown conversation.

    `whose`: account and conversation. An item whose id is there already is left as it is.
    """
    account_id, conversation_id = whose
    # Raising the counter first also keeps other writers of this conversation out until the transaction ends.
    raised = connection.execute(
        update(conversations)
        .where(*_is(conversations, account_id, conversation_id))
        .values(next_position=conversations.c.next_position + len(items))
    )
    if raised.rowcount == 0:
        return None
    end: int = connection.execute(
        select(conversations.c.next_position).where(*_is(conversations, account_id, conversation_id))
    ).scalar_one()
    first = end - len(items)
    known = _known(connection, whose, [item.id for item in items])
    rows = []
    for position, item in enumerate(items, first):
        if item.id in known:
            continue
        known.add(item.id)
        rows.append(
            {
                "account_id": account_id,
                "conversation_id": conversation_id,
                "item_id": item.id,
                "position": position,
                "content": sealer.seal(_item_place(account_id, conversation_id, item.id, position), item.content),
            }
        )
    if rows:
        connection.execute(insert(conversation_items), rows)
    return first


def _known(connection: Connection, whose: tuple[AccountId, str], item_ids: Sequence[str]) -> set[str]:
    """Those of the ids that the conversation has."""
    found: set[str] = set()
    for start in range(0, len(item_ids), ASKED_TOGETHER):
        asked = item_ids[start : start + ASKED_TOGETHER]
        statement = select(conversation_items.c.item_id).where(*_is(conversation_items, *whose))
        found.update(connection.execute(statement.where(conversation_items.c.item_id.in_(asked))).scalars())
    return found


def read_items(
    connection: Connection, sealer: Sealer, whose: tuple[AccountId, str], before: int | None = None
) -> list[ItemRecord]:
    """All items of `whose` conversation, or those that stand before a place, oldest first. Raises InvalidRequest for
    more than a call can hold."""
    statement = select(conversation_items).where(*_is(conversation_items, *whose))
    if before is not None:
        statement = statement.where(conversation_items.c.position < before)
    items: list[ItemRecord] = []
    size = 0
    for row in connection.execute(statement.order_by(conversation_items.c.position)):
        size += len(row.content)
        if size > MOST_CONTEXT_BYTES or len(items) >= MOST_CONTEXT_ITEMS:
            raise InvalidRequest(
                f"The conversation has more than {MOST_CONTEXT_ITEMS:,} items or {MOST_CONTEXT_BYTES:,} bytes, which is"
                " more than one call can go on from; begin another.",
                code="context_length_exceeded",
                param="conversation",
            )
        items.append(_item(sealer, row))
    return items


def _page(connection: Connection, account_id: str, conversation_id: str, cursor: ItemCursor) -> Select[Any]:
    """One row more than asked for, which tells whether there are more."""
    position = conversation_items.c.position
    statement = select(conversation_items).where(*_is(conversation_items, account_id, conversation_id))
    if cursor.after is not None:
        after = connection.execute(
            select(position).where(
                *_is(conversation_items, account_id, conversation_id), conversation_items.c.item_id == cursor.after
            )
        ).scalar_one_or_none()
        if after is None:
            raise InvalidRequest("after is not the id of an item of this conversation.", param="after")
        statement = statement.where(position > after if cursor.order == "asc" else position < after)
    return statement.order_by(position if cursor.order == "asc" else position.desc()).limit(cursor.limit + 1)


def _item(sealer: Sealer, row: Row[*tuple[Any, ...]]) -> ItemRecord:
    place = _item_place(row.account_id, row.conversation_id, row.item_id, row.position)
    return ItemRecord(row.item_id, sealer.open(place, row.content))


def _place(account_id: str, conversation_id: str) -> tuple[str, ...]:
    return ("conversation", account_id, conversation_id)


def _item_place(account_id: str, conversation_id: str, item_id: str, position: int) -> tuple[str, ...]:
    return ("conversation item", account_id, conversation_id, item_id, str(position))


def _is(table: Any, account_id: str, conversation_id: str) -> tuple[Any, Any]:
    return table.c.account_id == account_id, table.c.conversation_id == conversation_id
