"""Stored responses: `/v1/responses/{id}`, its input items; of one that runs in the background, stream and cancel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Protocol

import msgspec

from trunkline.errors import InvalidRequest, NotFound, TrunklineError
from trunkline.http.asgi import Headers, Receive, Scope, Send
from trunkline.http.door import Door
from trunkline.http.listing import Query, list_body, page_of
from trunkline.ids import AccountId
from trunkline.ports.responses import RUNNING, ItemRecord, ResponseEvent, ResponseStore, StoredResponse
from trunkline.translation.openai_responses.state import visible, visible_item
from trunkline.wire import codec, openai_items
from trunkline.wire.sse import KEEP_ALIVE, named_event

JSON: Headers = [(b"content-type", b"application/json")]
STREAM: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
LOOK_S = 0.25
"""How often a follower looks for what another process has written."""
KEEP_ALIVE_S = 15.0
MOST_SEQUENCE = 2**53

Work = Callable[[Scope, AccountId], Awaitable[bytes]]


class Background(Protocol):
    """What runs, or has run, without its caller."""

    def follow(self, account_id: AccountId, response_id: str, after: int) -> AsyncGenerator[bytes, None]:
        """The response's events with sequence numbers above `after`, as bytes of a stream, until it has ended."""
        ...

    async def cancel(self, account_id: AccountId, response_id: str) -> bytes | None:
        """The response's JSON as it stands then, ended before or not; None when it is unknown."""
        ...


class StoredBackground:
    """Fulfils Background from the store alone, whichever process runs the response: events are read as they are
    written, and a runner finds in the store that it was cancelled."""

    def __init__(self, store: ResponseStore) -> None:
        self._store = store

    async def follow(self, account_id: AccountId, response_id: str, after: int) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        spoke = loop.time()
        while True:
            try:
                # First the status: a runner writes its last events before it ends.
                status = await self._store.status(account_id, response_id)
                events = await self._store.events(account_id, response_id, after)
            except TrunklineError as error:
                yield _error_event(error, after + 1)
                return
            if events:
                yield b"".join(map(_framed, events))
                after = events[-1].sequence_number
                spoke = loop.time()
                continue
            if status not in RUNNING:
                return
            if loop.time() - spoke >= KEEP_ALIVE_S:
                yield KEEP_ALIVE
                spoke = loop.time()
            await asyncio.sleep(LOOK_S)

    async def cancel(self, account_id: AccountId, response_id: str) -> bytes | None:
        found = await self._store.set_status(account_id, response_id, "cancelled")
        return None if found is None else found.response


class ResponseRoutes:
    """Any key of an account reaches all responses of the account, and no other's."""

    def __init__(self, door: Door, store: ResponseStore, background: Background | None = None) -> None:
        self._door = door
        self._store = store
        self._background = background if background is not None else StoredBackground(store)

    def add_to(self, door: Door) -> None:
        door.add_pattern("GET", "/v1/responses/{id}", self.retrieve)
        door.add_pattern("DELETE", "/v1/responses/{id}", self.delete)
        door.add_pattern("GET", "/v1/responses/{id}/input_items", self.input_items)
        door.add_pattern("POST", "/v1/responses/{id}/cancel", self.cancel)

    async def retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if Query(scope["query_string"]).text("stream") in (None, "false"):
            await serve(self._door, scope, send, self._retrieve)
        else:
            await self._stream(scope, send)

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(self._door, scope, send, self._delete)

    async def input_items(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(self._door, scope, send, self._input_items)

    async def cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(self._door, scope, send, self._cancel)

    async def _retrieve(self, scope: Scope, account_id: AccountId) -> bytes:
        query = Query(scope["query_string"])
        include = query.include()
        query.flag("include_obfuscation")
        return _shown((await self._found(scope, account_id)).response, include)

    async def _delete(self, scope: Scope, account_id: AccountId) -> bytes:
        response_id = scope["path_params"]["id"]
        if not await self._store.delete(account_id, response_id):
            raise unknown("response", response_id)
        # https://platform.openai.com/docs/api-reference/responses/delete: its `object` is that of a response.
        return codec.encode({"id": response_id, "object": "response", "deleted": True})

    async def _input_items(self, scope: Scope, account_id: AccountId) -> bytes:
        query = Query(scope["query_string"])
        cursor, include = query.cursor(), query.include()
        found = await self._found(scope, account_id)
        return list_body(page_of(_input(found), cursor), include)

    async def _cancel(self, scope: Scope, account_id: AccountId) -> bytes:
        found = await self._found(scope, account_id)
        if not found.background:
            raise InvalidRequest(
                f"{found.id} was not made with `background: true`, so there is nothing to cancel.",
                code="not_in_background",
            )
        cancelled = await self._background.cancel(account_id, found.id)
        if cancelled is None:
            raise unknown("response", found.id)
        return _shown(cancelled, frozenset())

    async def _found(self, scope: Scope, account_id: AccountId) -> StoredResponse:
        response_id: str = scope["path_params"]["id"]
        found = await self._store.get(account_id, response_id)
        if found is None:
            raise unknown("response", response_id)
        return found

    async def _stream(self, scope: Scope, send: Send) -> None:
        try:
            query = Query(scope["query_string"])
            account_id = (await self._door.identify(scope, dict(scope["headers"]))).account_id
            query.flag("stream")
            query.flag("include_obfuscation")
            after = query.whole("starting_after", 0, MOST_SEQUENCE)
            query.include()
            found = await self._found(scope, account_id)
            if not found.background:
                raise InvalidRequest(
                    f"{found.id} was not made with `background: true`; only such a response can be streamed later.",
                    code="not_in_background",
                    param="stream",
                )
        except TrunklineError as error:
            await self._door.refuse(scope, send, error)
            return
        events = self._background.follow(account_id, found.id, -1 if after is None else after)
        await stream(self._door, scope, send, events)


async def serve(door: Door, scope: Scope, send: Send, work: Work) -> None:
    """One JSON answer to a caller with a key, or the refusal."""
    try:
        record = await door.identify(scope, dict(scope["headers"]))
        body = await work(scope, record.account_id)
    except TrunklineError as error:
        await door.refuse(scope, send, error)
        return
    await door.answer(scope, send, 200, JSON, body)


async def stream(door: Door, scope: Scope, send: Send, events: AsyncGenerator[bytes, None]) -> None:
    """Each piece as it comes. A caller who leaves ends it."""
    connection = scope.get("trunkline.connection")
    task = asyncio.current_task()
    gone = False

    def left() -> None:
        nonlocal gone
        gone = True
        if task is not None:
            task.cancel()

    if connection is not None:
        connection.on_gone = left
    try:
        await send({"type": "http.response.start", "status": 200, "headers": [*STREAM, door.request_id(scope)]})
        async with aclosing(events) as pieces:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except asyncio.CancelledError:
        if not gone:
            raise
    finally:
        if connection is not None:
            connection.on_gone = None


def unknown(what: str, asked: str) -> NotFound:
    """404 for an id that was never made here, was deleted, has expired or is another account's: nobody can tell."""
    shown = f" with the id {asked!r}" if len(asked) <= 64 and asked.isprintable() else " with that id"
    return NotFound(f"There is no {what}{shown}.", code=f"{what}_not_found")


def _shown(response: bytes, include: frozenset[str]) -> bytes:
    """Without what is kept for the next call alone."""
    return openai_items.shown_response(visible(response, state=True), include)


def _input(response: StoredResponse) -> list[ItemRecord]:
    """What the response was asked with, oldest first."""
    raws = msgspec.json.decode(response.input, type=list[msgspec.Raw])
    shown = [raw for raw in raws if visible_item(raw, state=True) is not None]
    return [ItemRecord(_decode_id(raw).id, bytes(raw)) for raw in shown]


class _Id(msgspec.Struct):
    id: str


class _Type(msgspec.Struct):
    type: str


_decode_id = msgspec.json.Decoder(_Id).decode
_decode_type = msgspec.json.Decoder(_Type).decode


def _framed(event: ResponseEvent) -> bytes:
    return named_event(_decode_type(event.data).type.encode(), event.data)


def _error_event(error: TrunklineError, sequence_number: int) -> bytes:
    event = {
        "type": "error",
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "sequence_number": sequence_number,
    }
    return named_event(b"error", codec.encode(event))
