"""`/v1/conversations` and their items, in OpenAI's shapes."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline import clock
from trunkline.errors import InvalidRequest
from trunkline.http.asgi import Receive, Scope, Send
from trunkline.http.body import read_json_body
from trunkline.http.door import Door
from trunkline.http.listing import Query, list_body
from trunkline.http.responses import Work, serve, unknown
from trunkline.ids import AccountId, new_stored_id
from trunkline.ports.conversations import ConversationStore, ItemPage, StoredConversation
from trunkline.ports.responses import ItemRecord
from trunkline.wire import codec, openai_items

MOST_ITEMS = 20
MOST_PAIRS = 16
LONGEST_NAME = 64
LONGEST_VALUE = 512
NULL = msgspec.Raw(b"null")


class ConversationRoutes:
    """Any key of an account reaches all conversations of the account, and no other's."""

    def __init__(self, door: Door, store: ConversationStore, body_limit_bytes: int) -> None:
        self._door = door
        self._store = store
        self._body_limit_bytes = body_limit_bytes

    def add_to(self, door: Door) -> None:
        door.add("POST", "/v1/conversations", self.create)
        door.add_pattern("GET", "/v1/conversations/{id}", self.retrieve)
        door.add_pattern("POST", "/v1/conversations/{id}", self.update)
        door.add_pattern("DELETE", "/v1/conversations/{id}", self.delete)
        door.add_pattern("GET", "/v1/conversations/{id}/items", self.list_items)
        door.add_pattern("POST", "/v1/conversations/{id}/items", self.add_items)
        door.add_pattern("GET", "/v1/conversations/{id}/items/{item_id}", self.retrieve_item)
        door.add_pattern("DELETE", "/v1/conversations/{id}/items/{item_id}", self.delete_item)

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._serve_body(scope, receive, send, self._create)

    async def retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(self._door, scope, send, self._retrieve)

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._serve_body(scope, receive, send, self._update)

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(self._door, scope, send, self._delete)

    async def list_items(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(self._door, scope, send, self._list_items)

    async def add_items(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._serve_body(scope, receive, send, self._add_items)

    async def retrieve_item(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(self._door, scope, send, self._retrieve_item)

    async def delete_item(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(self._door, scope, send, self._delete_item)

    async def _serve_body(self, scope: Scope, receive: Receive, send: Send, work: Any) -> None:
        """As `serve`, for a route that takes a body: it is read once the key is known."""

        async def with_body(scope: Scope, account_id: AccountId) -> bytes:
            body = await read_json_body(scope, receive, dict(scope["headers"]), self._body_limit_bytes)
            answer: bytes = await work(scope, account_id, body)
            return answer

        asked: Work = with_body
        await serve(self._door, scope, send, asked)

    async def _create(self, scope: Scope, account_id: AccountId, body: bytes) -> bytes:
        fields = _fields(body, "items", "metadata")
        given = fields.get("items", NULL)
        conversation = StoredConversation(
            id=new_stored_id("conv"),
            account_id=account_id,
            created_at=int(clock.now_s()),
            metadata=_metadata(fields),
        )
        items = [] if _empty(given) else openai_items.read_items(given, "items", MOST_ITEMS)
        await self._store.create(conversation, [ItemRecord(item.id, item.content) for item in items])
        return _shown(conversation)

    async def _retrieve(self, scope: Scope, account_id: AccountId) -> bytes:
        conversation_id = scope["path_params"]["id"]
        return _shown_if_known(await self._store.get(account_id, conversation_id), conversation_id)

    async def _update(self, scope: Scope, account_id: AccountId, body: bytes) -> bytes:
        fields = _fields(body, "metadata")
        if "metadata" not in fields:
            raise InvalidRequest("'metadata' is missing.", code="missing_required_parameter", param="metadata")
        conversation_id = scope["path_params"]["id"]
        changed = await self._store.set_metadata(account_id, conversation_id, _metadata(fields))
        return _shown_if_known(changed, conversation_id)

    async def _delete(self, scope: Scope, account_id: AccountId) -> bytes:
        conversation_id = scope["path_params"]["id"]
        if not await self._store.delete(account_id, conversation_id):
            raise unknown("conversation", conversation_id)
        return codec.encode({"id": conversation_id, "object": "conversation.deleted", "deleted": True})

    async def _list_items(self, scope: Scope, account_id: AccountId) -> bytes:
        query = Query(scope["query_string"])
        cursor, include = query.cursor(), query.include()
        conversation_id = scope["path_params"]["id"]
        page = await self._store.page(account_id, conversation_id, cursor)
        if page is None:
            raise unknown("conversation", conversation_id)
        return list_body(page, include)

    async def _add_items(self, scope: Scope, account_id: AccountId, body: bytes) -> bytes:
        include = Query(scope["query_string"]).include()
        fields = _fields(body, "items")
        if "items" not in fields:
            raise InvalidRequest("'items' is missing.", code="missing_required_parameter", param="items")
        conversation_id = scope["path_params"]["id"]
        items = openai_items.read_items(fields["items"], "items", MOST_ITEMS)
        for place, item in enumerate(items):
            if item.given and await self._store.item(account_id, conversation_id, item.id) is not None:
                raise InvalidRequest(
                    f"The conversation has an item with the id {item.id} already; leave out the id, and it gets one.",
                    param=f"items[{place}].id",
                )
        records = tuple(ItemRecord(item.id, item.content) for item in items)
        if not await self._store.append(account_id, conversation_id, records):
            raise unknown("conversation", conversation_id)
        return list_body(ItemPage(items=records, has_more=False), include)

    async def _retrieve_item(self, scope: Scope, account_id: AccountId) -> bytes:
        include = Query(scope["query_string"]).include()
        conversation_id, item_id = _ids(scope)
        item = await self._store.item(account_id, conversation_id, item_id)
        if item is None:
            raise unknown("item", item_id)
        return openai_items.shown(item.content, include)

    async def _delete_item(self, scope: Scope, account_id: AccountId) -> bytes:
        conversation_id, item_id = _ids(scope)
        conversation = await self._store.remove(account_id, conversation_id, item_id)
        if conversation is None:
            raise unknown("item", item_id)
        return _shown(conversation)


def _ids(scope: Scope) -> tuple[str, str]:
    params: dict[str, str] = scope["path_params"]
    return params["id"], params["item_id"]


def _fields(body: bytes, *known: str) -> codec.Fields:
    fields = codec.fields(body, frozenset(known))
    for name in fields:
        if name not in known:
            raise InvalidRequest(
                f"'{name[:64]}' is not a field here; there is {' and '.join(known)}.",
                code="unknown_parameter",
                param=name[:64],
            )
    return fields


def _empty(given: msgspec.Raw) -> bool:
    """Null, or a list of nothing."""
    return bytes(given).translate(None, b" \t\r\n") in (b"null", b"[]")


def _metadata(fields: codec.Fields) -> bytes:
    """At most 16 pairs of short texts, as JSON; none for null. Raises InvalidRequest, naming the pair."""
    given = fields.get("metadata", NULL)
    try:
        pairs = msgspec.json.decode(given, type=dict[str, str] | None) or {}
    except codec.UNREADABLE:
        raise InvalidRequest(
            "'metadata' must be an object of strings.", code="invalid_type", param="metadata"
        ) from None
    if len(pairs) > MOST_PAIRS:
        raise InvalidRequest(f"'metadata' takes {MOST_PAIRS} pairs, not {len(pairs)}.", param="metadata")
    for name, value in pairs.items():
        if len(name) > LONGEST_NAME or len(value) > LONGEST_VALUE:
            raise InvalidRequest(
                f"A name in 'metadata' has at most {LONGEST_NAME} characters, a value {LONGEST_VALUE}.",
                param=f"metadata.{name[:LONGEST_NAME]}",
            )
    return codec.encode(pairs)


def _shown(conversation: StoredConversation) -> bytes:
    return codec.encode(
        {
            "id": conversation.id,
            "object": "conversation",
            "created_at": conversation.created_at,
            "metadata": msgspec.Raw(conversation.metadata),
        }
    )


def _shown_if_known(conversation: StoredConversation | None, asked: str) -> bytes:
    if conversation is None:
        raise unknown("conversation", asked)
    return _shown(conversation)
