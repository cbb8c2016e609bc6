from __future__ import annotations

from trunkline.ids import AccountId
from trunkline.ports.conversations import ConversationStore, ItemCursor, StoredConversation
from trunkline.storage.conversations import SqlConversationStore


def test_a_list_begins_as_openai_begins_it() -> None:
    """The newest 20: what `limit`, `order` and `after` are when nobody says."""
    assert ItemCursor() == ItemCursor(limit=20, order="desc", after=None)


def test_metadata_is_an_object_from_the_start() -> None:
    made = StoredConversation(id="conv_1", account_id=AccountId("acct_root"), created_at=1)
    assert made.metadata == b"{}"


def test_the_database_fulfils_the_port() -> None:
    store: type[ConversationStore] = SqlConversationStore
    assert {"create", "append", "items", "page", "remove"} <= set(dir(store))
