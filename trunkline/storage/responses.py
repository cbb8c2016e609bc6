"""Responses and the events of background ones, on the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, literal, select, tuple_, update

from trunkline import clock
from trunkline.errors import InvalidRequest
from trunkline.ids import AccountId
from trunkline.ports.responses import (
    DAY_S,
    MOST_CONTEXT_BYTES,
    MOST_LINKS,
    RUNNING,
    ItemRecord,
    ResponseChain,
    ResponseEvent,
    ResponseStatus,
    StoredResponse,
)
from trunkline.storage.conversations import append_items, read_items
from trunkline.storage.schema import conversations, response_events, responses
from trunkline.storage.sealing import Sealer
from trunkline.storage.threads import StoreThreads
from trunkline.wire import codec

EVENTS_BYTES: Final = 1024 * 1024
SWEPT_TOGETHER: Final = 200


class _Content(msgspec.Struct, array_like=True, frozen=True):
    """What is sealed of a response."""

    model: str
    response: bytes
    input: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode_content = msgspec.msgpack.Decoder(_Content).decode
_decode_events = msgspec.msgpack.Decoder(list[bytes]).decode


class SqlResponseStore:
    """Fulfils ports.responses.ResponseStore."""

    def __init__(self, threads: StoreThreads, sealer: Sealer) -> None:
        self._threads = threads
        self._sealer = sealer

    async def put(self, response: StoredResponse) -> bool:
        return await self._threads.write(lambda connection: self._put(connection, response, None))

    async def finish(self, response: StoredResponse, items: Sequence[ItemRecord]) -> bool:
        def work(connection: Connection) -> bool:
            position = None
            if response.conversation_id is not None:
                whose = (response.account_id, response.conversation_id)
                if not self._may_put(connection, response):
                    return False
                position = append_items(connection, self._sealer, whose, items)
            return self._put(connection, response, position)

        return await self._threads.write(work)

    async def get(self, account_id: AccountId, response_id: str) -> StoredResponse | None:
        return await self._threads.read(lambda connection: self._find(connection, account_id, response_id))

    async def delete(self, account_id: AccountId, response_id: str) -> bool:
        statement = delete(responses).where(
            *_is(responses, account_id, response_id), responses.c.expires_at > clock.now_s()
        )
        return await self._threads.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def chain(self, account_id: AccountId, response_id: str) -> ResponseChain:
        return await self._threads.read(lambda connection: self._chain(connection, account_id, response_id))

    async def set_status(
        self, account_id: AccountId, response_id: str, status: ResponseStatus, error: bytes | None = None
    ) -> StoredResponse | None:
        def work(connection: Connection) -> StoredResponse | None:
            found = self._find(connection, account_id, response_id)
            if found is None or found.status not in RUNNING:
                return found
            return self._move(connection, found, status, error)

        return await self._threads.write(work)

    async def append_events(
        self, account_id: AccountId, response_id: str, first_sequence: int, events: Sequence[bytes]
    ) -> ResponseStatus | None:
        def work(connection: Connection) -> ResponseStatus | None:
            touched = connection.execute(
                update(responses)
                .where(*_is(responses, account_id, response_id), responses.c.status.in_(RUNNING))
                .values(touched_at=clock.now_s())
            )
            status: ResponseStatus | None = connection.execute(
                select(responses.c.status).where(*_is(responses, account_id, response_id))
            ).scalar_one_or_none()
            if touched.rowcount == 1 and events:
                self._add_events(connection, (account_id, response_id), first_sequence, events)
            return status

        return await self._threads.write(work)

    async def status(self, account_id: AccountId, response_id: str) -> ResponseStatus | None:
        statement = select(responses.c.status).where(
            *_is(responses, account_id, response_id), responses.c.expires_at > clock.now_s()
        )
        return await self._threads.read(lambda connection: connection.execute(statement).scalar_one_or_none())

    async def events(self, account_id: AccountId, response_id: str, after: int) -> list[ResponseEvent]:
        statement = (
            select(response_events)
            .join_from(response_events, responses)
            .where(
                *_is(response_events, account_id, response_id),
                response_events.c.last_sequence > after,
                responses.c.expires_at > clock.now_s(),
            )
            .order_by(response_events.c.first_sequence)
        )

        def query(connection: Connection) -> list[ResponseEvent]:
            found: list[ResponseEvent] = []
            size = 0
            for row in connection.execute(statement):
                place = _events_place(account_id, response_id, row.first_sequence)
                batch = _decode_events(self._sealer.open(place, row.content))
                found += [
                    ResponseEvent(number, data)
                    for number, data in enumerate(batch, row.first_sequence)
                    if number > after
                ]
                size += len(row.content)
                if size >= EVENTS_BYTES:
                    break
            return found

        return await self._threads.read(query)

    async def abandon(self, silent_since: float, error: bytes) -> int:
        statement = (
            select(responses)
            .where(responses.c.background, responses.c.status.in_(RUNNING), responses.c.touched_at < silent_since)
            .limit(SWEPT_TOGETHER)
        )

        def work(connection: Connection) -> int:
            found = [self._record(row) for row in connection.execute(statement).all()]
            for response in found:
                self._add_failure(connection, self._move(connection, response, "failed", error))
            return len(found)

        return await self._threads.write(work)

    async def sweep(self, now_s: float) -> int:
        expired = (
            select(responses.c.account_id, responses.c.response_id)
            .where(responses.c.expires_at <= now_s)
            .limit(SWEPT_TOGETHER)
        )
        statement = delete(responses).where(tuple_(responses.c.account_id, responses.c.response_id).in_(expired))
        return await self._threads.write(lambda connection: connection.execute(statement).rowcount)

    def _add_events(
        self, connection: Connection, whose: tuple[str, str], first_sequence: int, events: Sequence[bytes]
    ) -> None:
        """`whose`: account and response."""
        place = _events_place(*whose, first_sequence)
        connection.execute(
            insert(response_events).values(
                account_id=whose[0],
                response_id=whose[1],
                first_sequence=first_sequence,
                last_sequence=first_sequence + len(events) - 1,
                content=self._sealer.seal(place, _encode(list(events))),
            )
        )

    def _add_failure(self, connection: Connection, failed: StoredResponse) -> None:
        """The end of a stream that nobody else will end."""
        whose = (failed.account_id, failed.id)
        last: int | None = connection.execute(
            select(func.max(response_events.c.last_sequence)).where(*_is(response_events, *whose))
        ).scalar_one()
        number = 0 if last is None else last + 1
        event = {"type": "response.failed", "response": msgspec.Raw(failed.response), "sequence_number": number}
        self._add_events(connection, whose, number, [codec.encode(event)])

    def _put(self, connection: Connection, response: StoredResponse, position: int | None) -> bool:
        if not self._may_put(connection, response):
            return False
        values = {
            "created_at": float(response.created_at),
            "expires_at": response.expires_at,
            "touched_at": clock.now_s(),
            "status": response.status,
            "background": response.background,
            "previous_response_id": response.previous_response_id,
            "conversation_id": response.conversation_id,
            "position": position,
            "content": self._seal(response),
        }
        replaced = connection.execute(_REPLACE, {"whose": response.account_id, "named": response.id, **values})
        if replaced.rowcount == 0:
            connection.execute(_INSERT, {"account_id": response.account_id, "response_id": response.id, **values})
        if response.previous_response_id is not None:
            _keep_chain(connection, response, response.previous_response_id)
        return True

    def _may_put(self, connection: Connection, response: StoredResponse) -> bool:
        """A background response that ended must still be running here, or it would undo a cancel or a delete."""
        if not response.background or response.status in RUNNING:
            return True
        status = connection.execute(
            select(responses.c.status).where(*_is(responses, response.account_id, response.id)).with_for_update()
        ).scalar_one_or_none()
        return status in RUNNING

    def _move(
        self, connection: Connection, found: StoredResponse, status: ResponseStatus, error: bytes | None
    ) -> StoredResponse:
        fields = codec.answer_fields(found.response) or {}
        fields["status"] = msgspec.Raw(codec.encode(status))
        if error is not None:
            fields["error"] = msgspec.Raw(error)
        moved = msgspec.structs.replace(found, status=status, response=codec.encode(fields))
        connection.execute(
            update(responses)
            .where(*_is(responses, found.account_id, found.id))
            .values(status=status, touched_at=clock.now_s(), content=self._seal(moved))
        )
        return moved

    def _find(self, connection: Connection, account_id: str, response_id: str) -> StoredResponse | None:
        row = connection.execute(
            _FIND, {"whose": account_id, "named": response_id, "now_s": clock.now_s()}
        ).one_or_none()
        return None if row is None else self._record(row)

    def _chain(self, connection: Connection, account_id: AccountId, response_id: str) -> ResponseChain:
        found: list[tuple[int, int | None, StoredResponse]] = []
        size = 0
        rows = connection.execute(_CHAIN, {"whose": account_id, "named": response_id, "now_s": clock.now_s()})
        for row in rows:
            size += len(row.content)
            if size > MOST_CONTEXT_BYTES or len(found) >= MOST_LINKS:
                raise InvalidRequest(
                    f"What came before {response_id} is more than {MOST_LINKS:,} responses or {MOST_CONTEXT_BYTES:,}"
                    " bytes, which is more than one call can go on from.",
                    code="context_length_exceeded",
                    param="previous_response_id",
                )
            found.append((row.depth, row.position, self._record(row)))
        if not found:
            raise _not_found(f"There is no response {_shown(response_id)}.")
        found.sort(key=lambda link: -link[0])
        here = {link.id for _, _, link in found}
        for _, _, link in found:
            if link.previous_response_id is not None and link.previous_response_id not in here:
                raise _not_found(
                    f"{link.id}, from which this goes on, goes on from {link.previous_response_id}, which was deleted"
                    " or has expired."
                )
        _, position, oldest = found[0]
        earlier: list[ItemRecord] = []
        if oldest.conversation_id is not None:
            earlier = self._earlier(connection, oldest, position)
        return ResponseChain(links=tuple(link for _, _, link in found), earlier=tuple(earlier))

    def _earlier(self, connection: Connection, oldest: StoredResponse, position: int | None) -> list[ItemRecord]:
        """What stood in the conversation before the response that was made in it."""
        assert oldest.conversation_id is not None
        whose = (oldest.account_id, oldest.conversation_id)
        known = connection.execute(
            select(conversations.c.conversation_id).where(
                conversations.c.account_id == whose[0], conversations.c.conversation_id == whose[1]
            )
        ).one_or_none()
        if known is None and position != 0:
            raise _not_found(f"{oldest.id} was made in {oldest.conversation_id}, which was deleted.")
        return read_items(connection, self._sealer, whose, before=position)

    def _seal(self, response: StoredResponse) -> bytes:
        content = _Content(response.model, response.response, response.input)
        return self._sealer.seal(_place(response), _encode(content))

    def _record(self, row: Row[*tuple[Any, ...]]) -> StoredResponse:
        bare = StoredResponse(
            id=row.response_id,
            account_id=row.account_id,
            created_at=int(row.created_at),
            expires_at=row.expires_at,
            status=row.status,
            model="",
            response=b"",
            previous_response_id=row.previous_response_id,
            conversation_id=row.conversation_id,
            background=row.background,
        )
        content = _decode_content(self._sealer.open(_place(bare), row.content))
        return msgspec.structs.replace(bare, model=content.model, response=content.response, input=content.input)


def _keep_chain(connection: Connection, response: StoredResponse, before: str) -> None:
    """All that it goes on from stays to the end of the day on which it ends itself.

    So the links are walked by the first of a day's responses alone, and a long chain costs the others nothing.
    """
    end_of_day = (response.expires_at // DAY_S + 1) * DAY_S
    end: float | None = connection.execute(
        select(responses.c.expires_at).where(*_is(responses, response.account_id, before))
    ).scalar_one_or_none()
    if end is not None and end < end_of_day - DAY_S:
        connection.execute(_KEEP_CHAIN, {"whose": response.account_id, "named": before, "until": end_of_day})


def _place(response: StoredResponse) -> tuple[str, ...]:
    """What it goes on from is part of it: a row that was made to go on from another is refused as well."""
    before = response.previous_response_id or "", response.conversation_id or ""
    return ("response", response.account_id, response.id, *before)


def _events_place(account_id: str, response_id: str, first_sequence: int) -> tuple[str, ...]:
    return ("batch of events", account_id, response_id, str(first_sequence))


def _is(table: Any, account_id: str, response_id: str) -> tuple[Any, Any]:
    return table.c.account_id == account_id, table.c.response_id == response_id


def _not_found(sentence: str) -> InvalidRequest:
    return InvalidRequest(sentence, code="previous_response_not_found", param="previous_response_id")


def _shown(response_id: str) -> str:
    return repr(response_id) if len(response_id) <= 64 and response_id.isprintable() else "of that id"


def _links() -> Any:
    """(response_id, previous_response_id, depth) of the response `named` and of all that it goes on from."""
    columns = responses.c.response_id, responses.c.previous_response_id
    mine = responses.c.account_id == bindparam("whose")
    links = select(*columns, literal(0).label("depth")).where(mine, responses.c.response_id == bindparam("named"))
    walk = links.cte("links", recursive=True)
    return walk.union_all(
        select(*columns, walk.c.depth + 1).where(
            mine, responses.c.response_id == walk.c.previous_response_id, walk.c.depth < MOST_LINKS
        )
    )


# Built once: building a statement costs more than running it.
_NAMED = _is(responses, bindparam("whose"), bindparam("named"))  # type: ignore[arg-type]
_INSERT = insert(responses)
_REPLACE = (
    update(responses)
    .where(*_NAMED)
    .values({column: bindparam(column.name) for column in responses.c if not column.primary_key})
)
_LINKS = _links()
_UNEXPIRED = responses.c.expires_at > bindparam("now_s")
_FIND = select(responses).where(*_NAMED, _UNEXPIRED)
_CHAIN = select(responses, _LINKS.c.depth).where(
    responses.c.account_id == bindparam("whose"), responses.c.response_id == _LINKS.c.response_id, _UNEXPIRED
)
_KEEP_CHAIN = (
    update(responses)
    .where(
        responses.c.account_id == bindparam("whose"),
        responses.c.expires_at < bindparam("until"),
        responses.c.response_id.in_(select(_LINKS.c.response_id)),
    )
    .values(expires_at=bindparam("until"))
)
