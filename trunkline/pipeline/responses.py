"""The state of Responses: what a call goes on from is put into its input, what it gives is kept for the next.

| the call says                     | its input                              | what is kept                         |
|-----------------------------------|----------------------------------------|--------------------------------------|
| `store: false`, and nothing named | as it came                             | nothing                              |
| `previous_response_id`            | all the turns before it, then its own  | the response, unless `store: false`  |
| `conversation`                    | the conversation's items, then its own | that, and in the conversation both   |
|                                   |                                        | its items and the answer's           |
| an `item_reference`               | the item in the reference's place      | the response, unless `store: false`  |

What is kept of an answer holds the state of all its reasoning, whether or not the caller saw it.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec import Raw

from trunkline import clock
from trunkline.errors import InvalidRequest, NotFound, StoreUnavailable
from trunkline.ids import AccountId, new_stored_id
from trunkline.observe import logger
from trunkline.pipeline.ways import Asked
from trunkline.ports.conversations import ConversationStore
from trunkline.ports.responses import (
    MOST_CONTEXT_BYTES,
    ItemRecord,
    ResponsesOptions,
    ResponseStatus,
    ResponseStore,
    StoredResponse,
)
from trunkline.translation.exchange import Answer, Event, Request
from trunkline.translation.openai_responses import state
from trunkline.translation.openai_responses.answer import write_answer, write_kept
from trunkline.translation.openai_responses.response import Identity, Origin, Outcome, ResponseObject
from trunkline.translation.openai_responses.stream import Writer
from trunkline.wire import openai_responses
from trunkline.wire.codec import Fields, encode
from trunkline.wire.openai_responses import ResponsesRequest, is_reference
from trunkline.wire.openai_responses_socket import frames

GOES_ON: frozenset[ResponseStatus] = frozenset(("completed", "incomplete"))
MOST_REFERRED = 256
"""Responses whose items one input may refer to."""
RECENT_BYTES = 16 * 1024 * 1024

log = logger("responses")


class _Kept(msgspec.Struct):
    status: ResponseStatus
    output: list[Raw]


class _Head(msgspec.Struct):
    id: str = ""
    type: str | None = None
    role: str | None = None
    hidden: bool = False


class _Numbered(msgspec.Struct):
    sequence_number: int


_decode_kept = msgspec.json.Decoder(_Kept).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_numbered = msgspec.json.Decoder(_Numbered).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode
_MADE_HERE = re.compile(r"[a-z]+_([0-9a-f]{48})")
"""An item's id holds that of its response."""
_NAMED_HERE = re.compile(rb'\{"id":"[a-z]+_[0-9a-f]{48}i\d{3,}",')


class Context(msgspec.Struct, frozen=True):
    """All that a call goes on from, oldest first. `stored`: it can be found again in the store."""

    items: list[Raw] = []
    stored: bool = True


class Recent:
    """What the calls of one connection may go on from although it is not stored. Beyond RECENT_BYTES the oldest go."""

    def __init__(self, most_bytes: int = RECENT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held: OrderedDict[str, tuple[int, Context]] = OrderedDict()
        self._bytes = 0

    def find(self, response_id: str) -> Context | None:
        found = self._held.get(response_id)
        return None if found is None else found[1]

    def keep(self, response_id: str, context: Context) -> None:
        size = sum(map(len, context.items))
        self._held[response_id] = (size, context)
        self._bytes += size
        while self._bytes > self._most_bytes:
            _, (gone, _) = self._held.popitem(last=False)
            self._bytes -= gone


class ResponseKeeper:
    """Fulfils ways.Keeper. With `recent`, whose calls are all answered under ids of ours, for one connection."""

    def __init__(
        self,
        responses: ResponseStore,
        conversations: ConversationStore,
        options: Callable[[], ResponsesOptions],
        recent: Recent | None = None,
    ) -> None:
        self.responses = responses
        self.conversations = conversations
        self.options = options
        self.recent = recent

    def of_connection(self) -> ResponseKeeper:
        return ResponseKeeper(self.responses, self.conversations, self.options, Recent())

    async def pen(self, asked: Asked) -> ResponsePen:
        request = asked.inbound
        assert isinstance(request, ResponsesRequest)
        asked.may_pass = asked.may_pass and self.recent is None
        options = self.options()
        store = options.store_default if request.store is None else request.store
        if request.background:
            asked.total_s = options.background_total_s
        identity = Identity(
            response_id=new_stored_id("resp"),
            created_at=int(clock.now_s()),
            previous_response_id=request.previous_response_id,
            conversation_id=request.conversation_id,
            store=store or request.background,
            background=request.background,
            now=lambda: int(clock.now_s()),
        )
        if asked.may_pass:
            return ResponsePen(self, asked, identity, Context())
        earlier = await self.context(asked.account_id, request.previous_response_id, request.conversation_id)
        fields, own = await self._expanded(asked.account_id, request.fields, earlier, _numbered(identity.response_id))
        asked.inbound = msgspec.structs.replace(request, fields=fields)
        return ResponsePen(self, asked, identity, earlier, own)

    async def admitted(self) -> None:
        """Nothing is kept of a response before it has ended."""

    async def context(self, account_id: AccountId, previous: str | None, conversation: str | None) -> Context:
        """Raises InvalidRequest and NotFound for what is not there."""
        if previous is not None:
            held = self.recent.find(previous) if self.recent is not None else None
            return held or Context(await self._chain(account_id, previous))
        if conversation is not None:
            items = await self.conversations.items(account_id, conversation)
            if items is None:
                raise NotFound(
                    f"There is no conversation {_shown(conversation)}.",
                    code="conversation_not_found",
                    param="conversation",
                )
            return Context([Raw(item.content) for item in items])
        return Context()

    async def expanded(self, account_id: AccountId, fields: Fields, earlier: Context) -> Fields:
        """The body with `earlier`, and each item that it refers to, in its input."""
        return (await self._expanded(account_id, fields, earlier, new_stored_id))[0]

    async def _expanded(
        self, account_id: AccountId, fields: Fields, earlier: Context, make_id: Callable[[str], str]
    ) -> tuple[Fields, list[Raw]]:
        """And the items that are this call's own, each with an id."""
        own = [Raw(item) for item in state.input_items(fields, make_id)]
        known: Mapping[str, Raw] = {}
        if ids := state.references(fields):
            known = await self._referred(account_id, ids, earlier)
            own = [known.get(_referred_id(item) or "", item) for item in own]
        before = map(_unnamed, earlier.items)
        return state.expand(before, fields, {name: _unnamed(item) for name, item in known.items()}), own

    async def _chain(self, account_id: AccountId, previous: str) -> list[Raw]:
        chain = await self.responses.chain(account_id, previous)
        status = chain.links[-1].status
        if status not in GOES_ON:
            raise InvalidRequest(
                f"The response {_shown(previous)} is {status}: a call can only go on from one that was completed.",
                code="previous_response_not_completed",
                param="previous_response_id",
            )
        items = [Raw(item.content) for item in chain.earlier]
        for link in chain.links:
            items += _decode_items(link.input)
            items += _decode_kept(link.response).output
        return items

    async def _referred(self, account_id: AccountId, ids: Iterable[str], earlier: Context) -> Mapping[str, Raw]:
        """The items of these ids, as far as they are in `earlier` or in stored responses."""
        wanted = set(ids)
        known = {item_id: item for item in earlier.items if (item_id := _decode_head(item).id) in wanted}
        owners = {f"resp_{found[1]}" for one in wanted - known.keys() if (found := _MADE_HERE.match(one))}
        if len(owners) > MOST_REFERRED:
            raise _too_much()
        size = 0
        for owner in sorted(owners):
            response = await self.responses.get(account_id, owner)
            if response is None:
                continue
            size += len(response.input) + len(response.response)
            if size > MOST_CONTEXT_BYTES:
                raise _too_much()
            items = [*_decode_items(response.input), *_decode_kept(response.response).output]
            known.update({item_id: item for item in items if (item_id := _decode_head(item).id) in wanted})
        return known


class ResponsePen:
    """Fulfils ways.Pen for one call. What runs in the background keeps by `store`, called when its events are kept."""

    def __init__(
        self, keeper: ResponseKeeper, asked: Asked, identity: Identity, earlier: Context, own: list[Raw] | None = None
    ) -> None:
        self.identity = identity
        self.account_id = asked.account_id
        self._keeper = keeper
        self._asked = asked
        self._earlier = earlier
        self._own = own or []
        self._writer: _PatientWriter | None = None
        self._kept: bytes | None = None

    @property
    def response_id(self) -> str:
        return self.identity.response_id

    def whole(self, answer: Answer, request: Request) -> bytes:
        if self._keeps:
            self._kept = write_kept(answer, request, self.identity)
        return write_answer(answer, request, self.identity)

    def writer(self, request: Request) -> _PatientWriter:
        self._writer = _PatientWriter(request, self.identity)
        return self._writer

    async def failed(self, kind: str, message: str, code: str | None) -> bytes:
        writer = self._writer or _PatientWriter(self._request(), self.identity)
        said = writer.failed(code or kind, message)
        self._writer = writer
        if not said:
            # It had come to its end, which could not be kept and so has not gone out.
            return openai_responses.error_event(kind, message, None, code, writer.place_of_last)
        try:
            await self.keep()
        except StoreUnavailable as error:
            log.warning("failure_not_kept", response_id=self.identity.response_id, reason=error.message)
        return said

    async def keep(self) -> None:
        if not self.identity.background:
            await self.store()

    def queued(self) -> bytes:
        """The response before it runs. Raises InvalidRequest for what nobody could run."""
        request = self._request()
        origin = Origin(id="", model=request.model, created=self.identity.created_at)
        return ResponseObject(request, origin, self.identity).write(Outcome("queued"), [], None)

    async def put(self, response: bytes) -> None:
        """What is kept of it until it has ended."""
        await self._keeper.responses.put(self._stored(response, "queued"))

    async def store(self) -> bool:
        """What was written is kept. False when the response was cancelled or deleted meanwhile."""
        kept = self._kept or (self._writer.kept if self._writer is not None else None)
        if kept is None or not self._keeps:
            return True
        said = _decode_kept(kept)
        if said.status in GOES_ON and self._keeper.recent is not None:
            items = [*self._earlier.items, *self._own, *said.output]
            self._keeper.recent.keep(self.identity.response_id, Context(items, stored=self.identity.store))
        return await self._store(kept, said)

    @property
    def _keeps(self) -> bool:
        identity = self.identity
        return identity.store or identity.conversation_id is not None or self._keeper.recent is not None

    async def _store(self, kept: bytes, said: _Kept) -> bool:
        identity, keeper = self.identity, self._keeper
        added = _records([*self._own, *said.output]) if said.status in GOES_ON else []
        if not identity.store:
            if identity.conversation_id is not None and added:
                await keeper.conversations.append(self.account_id, identity.conversation_id, added)
            return True
        stored = self._stored(kept, said.status)
        if identity.conversation_id is not None and added:
            return await keeper.responses.finish(stored, added)
        return await keeper.responses.put(stored)

    def _stored(self, response: bytes, status: ResponseStatus) -> StoredResponse:
        identity, earlier = self.identity, self._earlier
        # What nobody will find in the store is kept here as well.
        items = self._own if earlier.stored else [*earlier.items, *self._own]
        return StoredResponse(
            id=identity.response_id,
            account_id=self.account_id,
            created_at=identity.created_at,
            expires_at=self._keeper.options().response_end(identity.created_at),
            status=status,
            model=self._asked.inbound.model,
            response=response,
            input=encode(items),
            previous_response_id=identity.previous_response_id if earlier.stored else None,
            conversation_id=identity.conversation_id,
            background=identity.background,
        )

    def _request(self) -> Request:
        asked = self._asked
        return asked.request or asked.protocol.spoken.translator.read_request(asked.inbound)


class _PatientWriter:
    """Writes the end of a stream only when all of it has come: it goes out when it is kept, and no sooner."""

    __slots__ = ("_last", "_writer", "holding")

    def __init__(self, request: Request, identity: Identity) -> None:
        self._writer = Writer(request, identity)
        self._last = b""
        self.holding = False

    def write(self, events: Iterable[Event]) -> bytes:
        written = self._writer.write(events)
        if written:
            self._last = written
        return written

    def release(self) -> bytes:
        return b""

    def failed(self, code: str, message: str) -> bytes:
        return self._writer.failed(code, message)

    @property
    def kept(self) -> bytes | None:
        return self._writer.kept

    @property
    def place_of_last(self) -> int:
        """The number of the first of the events that were written last."""
        return _decode_numbered(frames(self._last)[0]).sequence_number


def _numbered(response_id: str) -> Callable[[str], str]:
    """Makes the ids of a call's own items, in which its response can be found."""
    stem, made = response_id.removeprefix("resp_"), 0

    def make(prefix: str) -> str:
        nonlocal made
        made += 1
        return f"{prefix}_{stem}i{made:03d}"

    return make


def _unnamed(item: Raw) -> Raw:
    """Without an id of ours: no provider knows it, and OpenAI's refuses one whose first letters it does not expect."""
    named = _NAMED_HERE.match(item)
    return item if named is None else Raw(b"{" + bytes(memoryview(item)[named.end() :]))


def _referred_id(item: Raw) -> str | None:
    head = _decode_head(item)
    return head.id if is_reference(head.type, head.role, head.id or None) else None


def _records(items: Iterable[Raw]) -> list[ItemRecord]:
    """What a conversation shows: without what only carries state."""
    heads = ((_decode_head(item), item) for item in items)
    return [ItemRecord(head.id, bytes(item)) for head, item in heads if not head.hidden]


def _too_much() -> InvalidRequest:
    return InvalidRequest(
        f"'input' refers to items of more than {MOST_REFERRED:,} responses or {MOST_CONTEXT_BYTES:,} bytes.",
        code="context_length_exceeded",
        param="input",
    )


def _shown(an_id: str) -> str:
    return repr(an_id) if len(an_id) <= 64 and an_id.isprintable() else "of that id"
