"""Conversations over HTTP, made and read by the official client."""

from __future__ import annotations

from typing import Any

import msgspec
import openai
import pytest
from openai.types.conversations import Conversation, ConversationDeletedResource, ConversationItem, ConversationItemList

from tests.http.stored import BODY_LIMIT, OTHER_KEY, House, strictly

TURN: Any = [
    {"role": "user", "content": "what is the time"},
    {"type": "reasoning", "summary": [], "encrypted_content": "sealed"},
    {"type": "function_call", "call_id": "call_1", "name": "clock", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_1", "output": "noon"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "noon"}]},
    {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "https://a.test/b.png"}]},
]


async def test_a_conversation_lives_and_ends(stored_house: House) -> None:
    client = stored_house.client()
    made = await client.conversations.create(metadata={"topic": "ferrets"}, items=[{"role": "user", "content": "hi"}])
    assert made.id.startswith("conv_")
    assert made.metadata == {"topic": "ferrets"}
    assert await client.conversations.retrieve(made.id) == made
    changed = await client.conversations.update(made.id, metadata={"topic": "owls"})
    assert (changed.metadata, changed.created_at) == ({"topic": "owls"}, made.created_at)
    assert (await client.conversations.update(made.id, metadata=None)).metadata == {}
    deleted = await client.conversations.delete(made.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (made.id, True, "conversation.deleted")
    for gone in (client.conversations.retrieve, client.conversations.delete):
        with pytest.raises(openai.NotFoundError) as raised:
            await gone(made.id)
        assert raised.value.code == "conversation_not_found"


async def test_every_answer_has_the_official_shape(stored_house: House) -> None:
    base = "/v1/conversations"
    made = await stored_house.ask("POST", base, msgspec.json.encode({"items": TURN}))
    path = f"{base}/{strictly(Conversation, made.body).id}"
    assert strictly(Conversation, (await stored_house.ask("GET", path)).body).metadata == {}
    assert strictly(Conversation, (await stored_house.ask("POST", path, b'{"metadata":{"a":"b"}}')).body)
    listed = strictly(ConversationItemList, (await stored_house.ask("GET", f"{path}/items?order=asc")).body)
    assert [item.type for item in listed.data] == [item.get("type", "message") for item in TURN]
    added = await stored_house.ask("POST", f"{path}/items", msgspec.json.encode({"items": TURN[:2]}))
    assert len(strictly(ConversationItemList, added.body).data) == 2
    item_id = listed.data[0].id
    item = strictly(ConversationItem, (await stored_house.ask("GET", f"{path}/items/{item_id}")).body)
    assert item.content[0].text == "what is the time"
    assert strictly(Conversation, (await stored_house.ask("DELETE", f"{path}/items/{item_id}")).body)
    assert strictly(ConversationDeletedResource, (await stored_house.ask("DELETE", path)).body)
    empty = await stored_house.ask("POST", base, b"{}")
    page = await stored_house.ask("GET", f"{base}/{empty.json()['id']}/items")
    assert strictly(ConversationItemList, page.body).data == []


async def test_items_are_added_listed_and_deleted(stored_house: House) -> None:
    client = stored_house.client()
    talk = await client.conversations.create()
    first = await client.conversations.items.create(talk.id, items=TURN[:3])
    second = await client.conversations.items.create(talk.id, items=TURN[3:])
    ids = [item.id or "" for item in [*first.data, *second.data]]
    assert len(set(ids)) == len(TURN)
    assert [item.id async for item in client.conversations.items.list(talk.id, limit=2, order="asc")] == ids
    assert [item.id async for item in client.conversations.items.list(talk.id, limit=4)] == ids[::-1]
    call: Any = await client.conversations.items.retrieve(ids[2], conversation_id=talk.id)
    assert (call.type, call.call_id, call.status) == ("function_call", "call_1", "completed")
    assert (await client.conversations.items.delete(ids[2], conversation_id=talk.id)).id == talk.id
    for gone in (client.conversations.items.retrieve, client.conversations.items.delete):
        with pytest.raises(openai.NotFoundError) as raised:
            await gone(ids[2], conversation_id=talk.id)
        assert raised.value.code == "item_not_found"
    assert len([item async for item in client.conversations.items.list(talk.id)]) == len(TURN) - 1


async def test_what_must_be_asked_for_is_left_out(stored_house: House) -> None:
    client = stored_house.client()
    talk = await client.conversations.create()
    include: Any = ["reasoning.encrypted_content", "message.input_image.image_url"]
    plain = (await client.conversations.items.create(talk.id, items=TURN)).data
    full = [item async for item in client.conversations.items.list(talk.id, order="asc", include=include)]
    for items, state, url in ((plain, None, None), (full, "sealed", "https://a.test/b.png")):
        assert getattr(items[1], "encrypted_content", None) == state
        assert getattr(getattr(items[5], "content")[0], "image_url", None) == url  # noqa: B009 - a union of thirty


async def test_an_id_of_the_callers_own_is_kept_and_not_taken_twice(stored_house: House) -> None:
    client = stored_house.client()
    talk = await client.conversations.create()
    mine: Any = [{"id": "msg_mine", "role": "user", "content": "hi"}]
    assert (await client.conversations.items.create(talk.id, items=mine)).data[0].id == "msg_mine"
    for again in (mine, mine * 2):
        with pytest.raises(openai.BadRequestError) as raised:
            await client.conversations.items.create(talk.id, items=again)
        assert (raised.value.param or "").endswith(".id")
    other = await client.conversations.create(items=mine)
    assert [item.id async for item in client.conversations.items.list(other.id)] == ["msg_mine"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", b""),
        ("POST", "", b'{"metadata":{}}'),
        ("DELETE", "", b""),
        ("GET", "/items", b""),
        ("POST", "/items", b'{"items":[{"role":"user","content":"hi"}]}'),
        ("GET", "/items/msg_mine", b""),
        ("DELETE", "/items/msg_mine", b""),
    ],
)
async def test_another_account_is_told_that_there_is_nothing(
    stored_house: House, method: str, path: str, body: bytes
) -> None:
    client = stored_house.client()
    mine: Any = [{"id": "msg_mine", "role": "user", "content": "hi"}]
    talk = await client.conversations.create(items=mine)
    theirs = await stored_house.ask(method, f"/v1/conversations/{talk.id}{path}", body, OTHER_KEY)
    unknown = await stored_house.ask(method, f"/v1/conversations/conv_unknown{path}", body)
    assert (theirs.status, unknown.status) == (404, 404)
    assert theirs.body.replace(talk.id.encode(), b"") == unknown.body.replace(b"conv_unknown", b"")
    assert [item.id async for item in client.conversations.items.list(talk.id)] == ["msg_mine"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"metadata":[]}', "metadata"),
        (b'{"metadata":{"a":1}}', "metadata"),
        (b'{"metadata":"x"}', "metadata"),
        (b'{"metadata":{"%b":"x"}}' % (b"n" * 65), "metadata." + "n" * 64),
        (b'{"metadata":{"a":"%b"}}' % (b"v" * 513), "metadata.a"),
        (msgspec.json.encode({"metadata": {str(n): "x" for n in range(17)}}), "metadata"),
        (b'{"items":{}}', "items"),
        (b'{"items":["x"]}', "items[0]"),
        (b'{"items":[{"role":"user","content":"a"},{"role":"king","content":"a"}]}', "items[1].role"),
        (msgspec.json.encode({"items": [{"role": "user", "content": "x"}] * 21}), "items"),
        (b'{"itmes":[]}', "itmes"),
        (b'{"metadata":{},"metadata":{}}', "metadata"),
        (b"[]", None),
        (b"{", None),
        (b"", None),
    ],
    ids=repr,
)
async def test_a_wrong_body_names_the_field(stored_house: House, body: bytes, param: str | None) -> None:
    reply = await stored_house.ask("POST", "/v1/conversations", body)
    assert (reply.status, reply.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("", b"{}", "metadata"),
        ("", b'{"items":[]}', "items"),
        ("/items", b"{}", "items"),
        ("/items", b'{"items":[]}', "items"),
        ("/items", b'{"items":null}', "items"),
        ("/items?include=x", b'{"items":[{"role":"user","content":"a"}]}', "include"),
    ],
)
async def test_a_wrong_change_names_the_field(stored_house: House, path: str, body: bytes, param: str) -> None:
    talk = await stored_house.client().conversations.create()
    reply = await stored_house.ask("POST", f"/v1/conversations/{talk.id}{path}", body)
    assert (reply.status, reply.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("body", [b"{}", b'{"items":null,"metadata":null}', b'{"items":[ ]}', b'{"metadata":{}}'])
async def test_nothing_is_a_beginning_too(stored_house: House, body: bytes) -> None:
    reply = await stored_house.ask("POST", "/v1/conversations", body)
    assert (reply.status, reply.json()["metadata"]) == (200, {})


async def test_a_body_has_a_largest(stored_house: House) -> None:
    body = msgspec.json.encode({"items": [{"role": "user", "content": "x" * BODY_LIMIT}]})
    assert (await stored_house.ask("POST", "/v1/conversations", body)).status == 413
    compressed = await stored_house.ask("POST", "/v1/conversations", b"{}", more=[(b"content-encoding", b"gzip")])
    assert compressed.status == 415
