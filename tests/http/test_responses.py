"""Stored responses over HTTP, asked for by the official client."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import openai
import pytest
from openai.types.responses import Response, ResponseItemList

from tests.driver import Connection, Reply, json_headers, scope_of
from tests.http.stored import OTHER_KEY, House, answer, message, stored, strictly
from tests.pipeline.scripted import KEY
from trunkline.errors import StoreUnavailable
from trunkline.http import responses as module
from trunkline.http.asgi import Message
from trunkline.ids import ROOT_ACCOUNT

REASONING = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "sealed by a provider"}


def events_of(response_id: str, count: int) -> list[bytes]:
    """A stream of `count` events; the last is its end."""
    texts: list[dict[str, Any]] = [
        {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "x",
         "logprobs": [], "sequence_number": number}
        for number in range(count - 1)
    ]  # fmt: skip
    whole = msgspec.json.decode(stored(id=response_id).response)
    texts.append({"type": "response.completed", "response": whole, "sequence_number": count - 1})
    return [msgspec.json.encode(event) for event in texts]


async def in_background(house: House, told: int) -> str:
    """A response that runs, with the first `told` events of its stream."""
    made = stored(background=True, status="in_progress")
    await house.responses.put(made)
    await house.responses.append_events(ROOT_ACCOUNT, made.id, 0, events_of(made.id, told + 1)[:told])
    return made.id


async def test_a_response_is_retrieved_and_deleted(stored_house: House) -> None:
    made = stored()
    await stored_house.responses.put(made)
    client = stored_house.client()
    found = await client.responses.retrieve(made.id)
    assert (found.id, found.output_text, found.status) == (made.id, "an answer", "completed")
    raw = await stored_house.ask("GET", f"/v1/responses/{made.id}")
    assert strictly(Response, raw.body).id == made.id
    assert raw.header("x-request-id")
    deleted = await stored_house.ask("DELETE", f"/v1/responses/{made.id}")
    assert deleted.json() == {"id": made.id, "object": "response", "deleted": True}
    with pytest.raises(openai.NotFoundError) as raised:
        await client.responses.retrieve(made.id)
    assert raised.value.code == "response_not_found"
    with pytest.raises(openai.NotFoundError):
        await client.responses.delete(made.id)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "?stream=true"),
        ("DELETE", ""),
        ("GET", "/input_items"),
        ("POST", "/cancel"),
    ],
)
async def test_another_account_is_told_that_there_is_nothing(stored_house: House, method: str, path: str) -> None:
    made = stored(background=True, status="in_progress")
    await stored_house.responses.put(made)
    theirs = await stored_house.ask(method, f"/v1/responses/{made.id}{path}", key=OTHER_KEY)
    unknown = await stored_house.ask(method, f"/v1/responses/resp_unknown{path}")
    assert (theirs.status, unknown.status) == (404, 404)
    assert theirs.json()["error"] | {"message": ""} == unknown.json()["error"] | {"message": ""}
    assert theirs.body.replace(made.id.encode(), b"") == unknown.body.replace(b"resp_unknown", b"")
    assert await stored_house.responses.status(ROOT_ACCOUNT, made.id) == "in_progress"


@pytest.mark.parametrize("asked", ["resp_" + "x" * 5_000, "résp", "a%00b", "..", "'; DROP TABLE responses; --"])
async def test_an_odd_id_is_unknown(stored_house: House, asked: str) -> None:
    reply = await stored_house.ask("GET", f"/v1/responses/{asked}")
    assert reply.status == 404
    assert len(reply.body) < 500


async def test_input_items_come_in_pages(stored_house: House) -> None:
    inputs = [message(f"question {number}") for number in range(5)]
    made = stored(inputs=inputs)
    await stored_house.responses.put(made)
    client = stored_house.client()
    ids = [one["id"] for one in inputs]
    assert [one.id async for one in client.responses.input_items.list(made.id, limit=2)] == ids[::-1]
    assert [one.id async for one in client.responses.input_items.list(made.id, limit=2, order="asc")] == ids
    raw = await stored_house.ask("GET", f"/v1/responses/{made.id}/input_items?order=asc&limit=2&after={ids[1]}")
    page = strictly(ResponseItemList, raw.body)
    assert (page.first_id, page.last_id, page.has_more) == (ids[2], ids[3], True)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("limit=%D9%A1", "limit"),
        ("order=up", "order"),
        ("after=msg_unknown", "after"),
        ("include[]=everything", "include"),
        ("include=everything", "include"),
    ],
)
async def test_a_wrong_question_names_the_parameter(stored_house: House, query: str, param: str) -> None:
    made = stored()
    await stored_house.responses.put(made)
    reply = await stored_house.ask("GET", f"/v1/responses/{made.id}/input_items?{query}")
    assert (reply.status, reply.json()["error"]["param"]) == (400, param)


async def test_reasoning_state_is_shown_to_whoever_asks(stored_house: House) -> None:
    made = stored(output=[REASONING, answer("so")], inputs=[REASONING, message("why")])
    await stored_house.responses.put(made)
    client = stored_house.client()
    include: Any = ["reasoning.encrypted_content"]
    without = await client.responses.retrieve(made.id)
    assert getattr(without.output[0], "encrypted_content", None) is None
    with_it = await client.responses.retrieve(made.id, include=include)
    assert getattr(with_it.output[0], "encrypted_content", None) == "sealed by a provider"
    items = [one async for one in client.responses.input_items.list(made.id, order="asc", include=include)]
    assert getattr(items[0], "encrypted_content", None) == "sealed by a provider"
    items = [one async for one in client.responses.input_items.list(made.id, order="asc")]
    assert getattr(items[0], "encrypted_content", None) is None


@pytest.mark.parametrize("after", [None, 0, 3, 9, 10])
async def test_a_finished_stream_is_told_again_from_any_place(stored_house: House, after: int | None) -> None:
    made = stored(background=True)
    await stored_house.responses.put(msgspec.structs.replace(made, status="in_progress"))
    await stored_house.responses.append_events(ROOT_ACCOUNT, made.id, 0, events_of(made.id, 10))
    await stored_house.responses.put(made)
    client = stored_house.client()
    asked: dict[str, Any] = {} if after is None else {"starting_after": after}
    told = [event async for event in await client.responses.retrieve(made.id, stream=True, **asked)]
    first = 0 if after is None else after + 1
    assert [event.sequence_number for event in told] == list(range(first, 10))
    if told:
        assert told[-1].type == "response.completed"


async def test_a_stream_is_followed_while_it_runs(stored_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are read as they are written, whoever writes them, and it ends when the response does."""
    monkeypatch.setattr(module, "LOOK_S", 0.005)
    response_id = await in_background(stored_house, 2)
    pieces: list[bytes] = []
    seen = asyncio.Condition()

    async def read() -> None:
        follow = module.StoredBackground(stored_house.responses).follow(ROOT_ACCOUNT, response_id, -1)
        async for piece in follow:
            async with seen:
                pieces.append(piece)
                seen.notify_all()

    async def until(count: int) -> None:
        async with asyncio.timeout(5), seen:
            await seen.wait_for(lambda: b"".join(pieces).count(b"event: ") >= count)

    reader = asyncio.ensure_future(read())
    await until(2)
    assert not reader.done()
    rest = events_of(response_id, 4)[2:]
    await stored_house.responses.append_events(ROOT_ACCOUNT, response_id, 2, rest[:1])
    await until(3)
    await stored_house.responses.append_events(ROOT_ACCOUNT, response_id, 3, rest[1:])
    await stored_house.responses.put(stored(id=response_id, background=True))
    await asyncio.wait_for(reader, 5)
    numbers = [
        msgspec.json.decode(line[6:])["sequence_number"]
        for line in b"".join(pieces).splitlines()
        if line[:5] == b"data:"
    ]
    assert numbers == [0, 1, 2, 3]


async def test_silence_is_filled_with_comments(stored_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.001)
    monkeypatch.setattr(module, "KEEP_ALIVE_S", 0.01)
    response_id = await in_background(stored_house, 0)
    follow = module.StoredBackground(stored_house.responses).follow(ROOT_ACCOUNT, response_id, -1)
    assert await asyncio.wait_for(anext(follow), 5) == b": keep-alive\n\n"
    await stored_house.responses.delete(ROOT_ACCOUNT, response_id)
    async with asyncio.timeout(5):
        assert {piece async for piece in follow} <= {b": keep-alive\n\n"}


async def test_a_store_that_fails_midway_is_told_in_the_stream(
    stored_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    response_id = await in_background(stored_house, 3)

    async def fails(*_: object) -> None:
        raise StoreUnavailable("The database does not answer.")

    follow = module.StoredBackground(stored_house.responses).follow(ROOT_ACCOUNT, response_id, -1)
    await anext(follow)
    monkeypatch.setattr(stored_house.responses, "status", fails)
    rest = [piece async for piece in follow]
    assert len(rest) == 1
    assert rest[0].startswith(b"event: error\ndata: ")
    error = msgspec.json.decode(rest[0].partition(b"data: ")[2])
    assert (error["type"], error["code"], error["sequence_number"]) == ("error", "store_unavailable", 3)


async def test_a_caller_who_leaves_ends_the_following(stored_house: House) -> None:
    response_id = await in_background(stored_house, 1)
    connection, began = Connection(), asyncio.Event()
    scope = scope_of("GET", f"/v1/responses/{response_id}?stream=true", json_headers(KEY), connection)
    headers: list[Message] = []

    async def send(sent: Message) -> None:
        headers.append(sent)
        if sent.get("body"):
            began.set()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    serving = asyncio.ensure_future(stored_house.door(scope, receive, send))
    await asyncio.wait_for(began.wait(), 5)
    connection.on_gone()
    await asyncio.wait_for(serving, 5)
    assert connection.on_gone is None
    assert dict(headers[0]["headers"])[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert b"x-request-id" in dict(headers[0]["headers"])


async def test_a_stop_of_the_server_is_not_taken_for_a_caller_who_left(stored_house: House) -> None:
    response_id = await in_background(stored_house, 1)
    began = asyncio.Event()

    async def send(sent: Message) -> None:
        if sent.get("body"):
            began.set()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = scope_of("GET", f"/v1/responses/{response_id}?stream=true", json_headers(KEY))
    serving = asyncio.ensure_future(stored_house.door(scope, receive, send))
    await asyncio.wait_for(began.wait(), 5)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("stream=maybe", "stream"),
        ("stream=true&starting_after=x", "starting_after"),
        ("stream=true&starting_after=-1", "starting_after"),
        ("stream=true&include_obfuscation=2", "include_obfuscation"),
        ("stream=true&include=x", "include"),
    ],
)
async def test_a_wrong_question_for_a_stream_names_the_parameter(stored_house: House, query: str, param: str) -> None:
    response_id = await in_background(stored_house, 1)
    reply = await stored_house.ask("GET", f"/v1/responses/{response_id}?{query}")
    assert (reply.status, reply.json()["error"]["param"]) == (400, param)


async def test_only_a_background_response_is_streamed_or_cancelled(stored_house: House) -> None:
    made = stored()
    await stored_house.responses.put(made)
    client = stored_house.client()
    with pytest.raises(openai.BadRequestError, match="background"):
        await client.responses.retrieve(made.id, stream=True)
    with pytest.raises(openai.BadRequestError, match="background"):
        await client.responses.cancel(made.id)


async def test_cancelling_twice_is_as_once(stored_house: House) -> None:
    response_id = await in_background(stored_house, 1)
    client = stored_house.client()
    first = await client.responses.cancel(response_id)
    assert (first.id, first.status) == (response_id, "cancelled")
    raw = await stored_house.ask("POST", f"/v1/responses/{response_id}/cancel")
    assert strictly(Response, raw.body).status == "cancelled"
    assert (await client.responses.retrieve(response_id)).status == "cancelled"
    done = stored(background=True)
    await stored_house.responses.put(msgspec.structs.replace(done, status="in_progress"))
    await stored_house.responses.put(done)
    assert (await client.responses.cancel(done.id)).status == "completed"


async def test_a_wrong_method_is_told_the_right_ones(stored_house: House) -> None:
    reply: Reply = await stored_house.ask("PATCH", "/v1/responses/resp_1")
    assert (reply.status, reply.header("allow")) == (405, "GET, DELETE")
    assert (await stored_house.ask("GET", "/v1/responses/resp_1/none")).status == 404
