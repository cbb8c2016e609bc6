"""Where conversations are kept: items in order, which calls read and add to. They stay until they are deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from trunkline.ids import AccountId
from trunkline.ports.responses import ItemRecord


class StoredConversation(msgspec.Struct, frozen=True, kw_only=True):
    """`created_at` is whole Unix seconds, `metadata` a JSON object."""

    id: str
    account_id: AccountId
    created_at: int
    metadata: bytes = b"{}"


class ItemPage(msgspec.Struct, frozen=True, kw_only=True):
    """`has_more`: there are more beyond the last one, in the direction that was asked for."""

    items: tuple[ItemRecord, ...]
    has_more: bool


class ItemCursor(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list: `limit` items behind the one with the id `after`, or from its beginning."""

    limit: int = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None


class ConversationStore(Protocol):
    """What was written is on disk before the call returns. Each raises StoreUnavailable when the database does not
    answer. What belongs to another account is unknown."""

    async def create(self, conversation: StoredConversation, items: Sequence[ItemRecord] = ()) -> None: ...

    async def get(self, account_id: AccountId, conversation_id: str) -> StoredConversation | None: ...

    async def set_metadata(
        self, account_id: AccountId, conversation_id: str, metadata: bytes
    ) -> StoredConversation | None:
        """The conversation as it is then; None when it is unknown."""
        ...

    async def delete(self, account_id: AccountId, conversation_id: str) -> bool:
        """With its items; responses that were made in it stay. False when it is unknown."""
        ...

    async def append(self, account_id: AccountId, conversation_id: str, items: Sequence[ItemRecord]) -> bool:
        """All of them or none, at the end, in this order; an item whose id is there already is left as it is.
        False when the conversation is unknown. `ResponseStore.finish` appends together with a response."""
        ...

    async def items(self, account_id: AccountId, conversation_id: str) -> list[ItemRecord] | None:
        """All of them, oldest first; None when the conversation is unknown. Raises InvalidRequest with `param`
        conversation, code context_length_exceeded, for more than a call can hold."""
        ...

    async def page(self, account_id: AccountId, conversation_id: str, cursor: ItemCursor) -> ItemPage | None:
        """None when the conversation is unknown. Raises InvalidRequest with `param` after for an id it lacks."""
        ...

    async def item(self, account_id: AccountId, conversation_id: str, item_id: str) -> ItemRecord | None: ...

    async def remove(self, account_id: AccountId, conversation_id: str, item_id: str) -> StoredConversation | None:
        """Delete one item. Returns its conversation; None when there is no such item."""
        ...
