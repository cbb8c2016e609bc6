"""Stored state in memory, and a pipeline whose calls are Responses: what is kept can be looked at, and made to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from tests.pipeline.scripted import Ledger, Reply, ScriptedClient, ScriptedTransport, key_table
from trunkline.catalog.catalog import Catalog
from trunkline.errors import InvalidRequest, StoreUnavailable, TrunklineError
from trunkline.ids import AccountId
from trunkline.pipeline import protocols
from trunkline.pipeline.call import CompatOptions, LiveSettings, Pipeline
from trunkline.pipeline.progress import Call
from trunkline.pipeline.responses import ResponseKeeper
from trunkline.ports.conversations import ItemCursor, ItemPage, StoredConversation
from trunkline.ports.responses import (
    RUNNING,
    ItemRecord,
    ResponseChain,
    ResponseEvent,
    ResponsesOptions,
    ResponseStatus,
    StoredResponse,
)
from trunkline.providers import credentials
from trunkline.providers.credentials import ProviderOptions
from trunkline.providers.transport import Timers
from trunkline.routing.table import Available, RouteTable

ACCOUNT = AccountId("acct_1")
CHAT, OWN = "chatty/small", "own/small"
"""Models of a provider that speaks Chat Completions, and of one that speaks Responses."""


class MemoryResponses:
    """Fulfils ports.responses.ResponseStore. `down` calls fail first; `log` has what was written, in order."""

    def __init__(self) -> None:
        self.kept: dict[str, StoredResponse] = {}
        self.told: dict[str, list[bytes]] = {}
        self.log: list[str] = []
        self.down = 0
        self.conversations: MemoryConversations

    def _up(self) -> None:
        if self.down:
            self.down -= 1
            raise StoreUnavailable("The database does not answer.")

    async def put(self, response: StoredResponse) -> bool:
        self._up()
        before = self.kept.get(response.id)
        ended = response.background and response.status not in RUNNING
        if ended and (before is None or before.status not in RUNNING):
            return False
        self.kept[response.id] = response
        self.log.append(f"put {response.status}")
        return True

    async def finish(self, response: StoredResponse, items: Sequence[ItemRecord]) -> bool:
        kept = await self.put(response)
        if kept and response.conversation_id is not None:
            await self.conversations.append(response.account_id, response.conversation_id, items)
        return kept

    async def get(self, account_id: AccountId, response_id: str) -> StoredResponse | None:
        self._up()
        found = self.kept.get(response_id)
        return found if found is not None and found.account_id == account_id else None

    async def delete(self, account_id: AccountId, response_id: str) -> bool:
        return self.kept.pop(response_id, None) is not None

    async def chain(self, account_id: AccountId, response_id: str) -> ResponseChain:
        links: list[StoredResponse] = []
        named: str | None = response_id
        while named is not None:
            found = await self.get(account_id, named)
            if found is None:
                raise InvalidRequest("none", code="previous_response_not_found", param="previous_response_id")
            links.insert(0, found)
            named = found.previous_response_id
        return ResponseChain(links=tuple(links))

    async def set_status(
        self, account_id: AccountId, response_id: str, status: ResponseStatus, error: bytes | None = None
    ) -> StoredResponse | None:
        self._up()
        found = self.kept.get(response_id)
        if found is None or found.status not in RUNNING:
            return found
        moved = msgspec.json.encode({**decoded(found.response), "status": status})
        self.kept[response_id] = msgspec.structs.replace(found, status=status, response=moved)
        self.log.append(f"status {status}")
        return self.kept[response_id]

    async def append_events(
        self, account_id: AccountId, response_id: str, first_sequence: int, events: Sequence[bytes]
    ) -> ResponseStatus | None:
        self._up()
        found = self.kept.get(response_id)
        if found is not None and found.status in RUNNING:
            told = self.told.setdefault(response_id, [])
            assert len(told) == first_sequence, "a gap"
            told += events
            self.log.append(f"events {len(events)}")
        return None if found is None else found.status

    async def status(self, account_id: AccountId, response_id: str) -> ResponseStatus | None:
        self._up()
        found = self.kept.get(response_id)
        return None if found is None else found.status

    async def events(self, account_id: AccountId, response_id: str, after: int) -> list[ResponseEvent]:
        told = self.told.get(response_id, [])
        return [ResponseEvent(number, data) for number, data in enumerate(told) if number > after]

    async def abandon(self, silent_since: float, error: bytes) -> int:
        raise NotImplementedError

    async def sweep(self, now_s: float) -> int:
        raise NotImplementedError


class MemoryConversations:
    """Fulfils ports.conversations.ConversationStore as far as calls use it."""

    def __init__(self) -> None:
        self.kept: dict[str, list[ItemRecord]] = {}

    async def items(self, account_id: AccountId, conversation_id: str) -> list[ItemRecord] | None:
        found = self.kept.get(conversation_id)
        return None if found is None else list(found)

    async def append(self, account_id: AccountId, conversation_id: str, items: Sequence[ItemRecord]) -> bool:
        if conversation_id not in self.kept:
            return False
        self.kept[conversation_id] += items
        return True

    async def create(self, conversation: StoredConversation, items: Sequence[ItemRecord] = ()) -> None:
        self.kept[conversation.id] = list(items)

    async def get(self, account_id: AccountId, conversation_id: str) -> StoredConversation | None:
        raise NotImplementedError

    async def set_metadata(
        self, account_id: AccountId, conversation_id: str, metadata: bytes
    ) -> StoredConversation | None:
        raise NotImplementedError

    async def delete(self, account_id: AccountId, conversation_id: str) -> bool:
        return self.kept.pop(conversation_id, None) is not None

    async def page(self, account_id: AccountId, conversation_id: str, cursor: ItemCursor) -> ItemPage | None:
        raise NotImplementedError

    async def item(self, account_id: AccountId, conversation_id: str, item_id: str) -> ItemRecord | None:
        raise NotImplementedError

    async def remove(self, account_id: AccountId, conversation_id: str, item_id: str) -> StoredConversation | None:
        raise NotImplementedError


def pipeline_of(transport: ScriptedTransport, record: Ledger, options: ResponsesOptions) -> Pipeline:
    upstreams = credentials.configured(
        {
            "chatty": ProviderOptions(
                kind="openai-compatible", base_url="https://chatty.example/v1", api_key="key-of-chatty"
            ),
            "own": ProviderOptions(kind="openai", base_url="https://own.example/v1", api_key="key-of-own"),
        },
        {},
    )
    available = Available(providers={name: upstream.row for name, upstream in upstreams.items()}, aliases={})
    settings = LiveSettings(
        routes=RouteTable(Catalog("none"), available),
        upstreams=upstreams,
        timers=Timers(),
        compat=CompatOptions(),
        responses=options,
    )
    return Pipeline(key_table(), settings, {"https": transport}, record)


class HeedingClient(ScriptedClient):
    """Tells of each write before it happens."""

    def __init__(self, body: bytes, heed: Callable[[bytes], None]) -> None:
        super().__init__(body)
        self._heed = heed

    async def write(self, data: bytes) -> None:
        self._heed(data)
        await super().write(data)


class House:
    """Calls of Responses through a scripted pipeline, with state in memory."""

    def __init__(self, *script: Reply | Exception, options: ResponsesOptions | None = None) -> None:
        self.transport = ScriptedTransport(*script)
        self.ledger = Ledger()
        self.responses = MemoryResponses()
        self.conversations = self.responses.conversations = MemoryConversations()
        self.pipeline = pipeline_of(self.transport, self.ledger, options or ResponsesOptions())
        self.keeper = ResponseKeeper(self.responses, self.conversations, lambda: self.pipeline.settings.responses)
        self.client = ScriptedClient(b"")
        self.heed: Callable[[bytes], None] = lambda data: None
        self.call = self.new_call()

    def new_call(self) -> Call:
        return Call(1, protocols.RESPONSES.name, "request-1", [])

    async def run(self, keeper: ResponseKeeper | None = None, /, **fields: Any) -> dict[str, Any]:
        """The whole answer. Raises what refused it."""
        self.client = HeedingClient(body(**fields), self.heed)
        self.call = self.new_call()
        self.call.keeper = keeper or self.keeper
        answer = await self.pipeline.run(self.call, self.client, protocols.RESPONSES)
        assert self.transport.all_closed()
        return {} if answer is None else decoded(answer)

    async def stream(self, keeper: ResponseKeeper | None = None, /, **fields: Any) -> list[dict[str, Any]]:
        """The events as the caller got them, with the last words where it failed in the middle."""
        try:
            await self.run(keeper, stream=True, **fields)
        except TrunklineError as error:
            if not self.client.log:
                raise
            assert self.call.last_words is not None
            await self.client.write(await self.call.last_words("server_error", error.message, error.code))
        return events_of(b"".join(data for _, data in self.client.log))

    def asked(self, place: int = -1) -> dict[str, Any]:
        """What a provider was sent."""
        return decoded(self.transport.requests[place].body)


def body(**fields: Any) -> bytes:
    return msgspec.json.encode({"model": CHAT, "input": "hello", **fields})


def decoded(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(data)
    return found


def events_of(data: bytes) -> list[dict[str, Any]]:
    return [decoded(line[6:]) for line in data.split(b"\n") if line.startswith(b"data: ")]


def said(text: str) -> Reply:
    """A whole answer of Chat Completions."""
    answer = {
        "id": "chatcmpl-1",
        "model": "real",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
    return Reply((0, msgspec.json.encode(answer)))


def pieces(*texts: str, gap_s: float = 0.1, ends: bool = True) -> Reply:
    """A stream of Chat Completions, one piece every `gap_s`."""
    script: list[tuple[float, bytes | Exception]] = [(gap_s, chunk({"role": "assistant", "content": ""}))]
    script += [(gap_s, chunk({"content": text})) for text in texts]
    if ends:
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        script.append((gap_s, chunk({}, finish="stop", usage=usage) + b"data: [DONE]\n\n"))
    return Reply(*script)


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    event = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "real",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **more,
    }
    return b"data: " + msgspec.json.encode(event) + b"\n\n"


def own_answer(*items: dict[str, Any]) -> Reply:
    """A whole answer of a provider that speaks Responses."""
    return Reply((0, msgspec.json.encode(own_response(items))))


def own_response(items: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "resp_of_provider",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "real",
        "output": list(items),
        "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
    }


def reasoning(sealed: str = "sealed==") -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs_of_provider", "summary": [], "encrypted_content": sealed}


def message(text: str = "hi") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": "msg_p", "role": "assistant", "status": "completed", "content": [part]}
