"""`POST /v1/responses`, at once or in the background, and its input counted or compacted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import msgspec

from trunkline.errors import ClientGone, TrunklineError
from trunkline.http.asgi import Receive, Scope, Send
from trunkline.http.door import Door
from trunkline.http.inference import HttpClient, InferenceRoutes, Spoken
from trunkline.http.responses import StoredBackground
from trunkline.ids import AccountId
from trunkline.pipeline import protocols
from trunkline.pipeline.background import Run, Runs
from trunkline.pipeline.call import Call, Pipeline
from trunkline.pipeline.compaction import Compacting
from trunkline.pipeline.counting import Counted, Counting
from trunkline.pipeline.responses import ResponseKeeper
from trunkline.wire import openai_responses
from trunkline.wire.codec import encode
from trunkline.wire.inbound import Inbound
from trunkline.wire.openai_responses import InputTokensRequest

RESPONSES = Spoken(protocols.RESPONSES, "openai")


class ResponsesClient(HttpClient):
    """Reads its body once, for whoever asks. `run` is what goes on when the caller has been answered."""

    __slots__ = ("_said", "run")

    def __init__(self, scope: Scope, receive: Receive, send: Send, inference: InferenceRoutes) -> None:
        super().__init__(scope, receive, send, inference, RESPONSES)
        self._said: bytes | TrunklineError | None = None
        self.run: Run | None = None

    async def body(self) -> bytes:
        if self._said is None:
            try:
                self._said = await super().body()
            except TrunklineError as error:
                self._said = error
        if isinstance(self._said, TrunklineError):
            raise self._said
        return self._said


class NearestBackground:
    """Fulfils responses.Background: what runs here is followed and cancelled here, the rest through the store."""

    def __init__(self, runs: Runs, stored: StoredBackground) -> None:
        self._runs = runs
        self._stored = stored

    def follow(self, account_id: AccountId, response_id: str, after: int) -> AsyncGenerator[bytes, None]:
        run = self._runs.find(account_id, response_id)
        return run.follow(after) if run is not None else self._stored.follow(account_id, response_id, after)

    async def cancel(self, account_id: AccountId, response_id: str) -> bytes | None:
        found = await self._stored.cancel(account_id, response_id)
        run = self._runs.find(account_id, response_id)
        if run is not None:
            run.cancel()
        return found


class Services(msgspec.Struct, frozen=True):
    """What the routes call."""

    pipeline: Pipeline
    keeper: ResponseKeeper
    runs: Runs
    counting: Counting
    compacting: Compacting


class ResponseCallRoutes:
    """One coroutine a route."""

    def __init__(self, inference: InferenceRoutes, services: Services) -> None:
        self._inference = inference
        self._services = services
        self._counted = Counted(
            protocol=protocols.RESPONSES,
            read=lambda body, path: openai_responses.read_input_tokens(body),
            written=lambda count: encode({"object": "response.input_tokens", "input_tokens": count}),
            expanded=self._expanded,
        )

    def add_to(self, door: Door) -> None:
        door.add("POST", "/v1/responses", self.create)
        door.add("POST", "/v1/responses/input_tokens", self.input_tokens)
        door.add("POST", "/v1/responses/compact", self.compact)

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = ResponsesClient(scope, receive, send, self._inference)
        await self._inference.to_its_end(client, protocols.RESPONSES.endpoint, lambda call: self._create(call, client))
        if client.run is not None:
            # So that a server which stops waits for it as for every call.
            await client.run.over()

    async def input_tokens(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = ResponsesClient(scope, receive, send, self._inference)
        run = self._services.counting.run
        await self._inference.to_its_end(client, "count_tokens", lambda call: run(call, client, self._counted))

    async def compact(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = ResponsesClient(scope, receive, send, self._inference)
        run = self._services.compacting.run
        await self._inference.to_its_end(client, "compact", lambda call: run(call, client))

    async def _create(self, call: Call, client: ResponsesClient) -> bytes | None:
        if await self._is_background(client):
            return await self._begin(call, client)
        call.keeper = self._services.keeper
        return await self._services.pipeline.run(call, client, protocols.RESPONSES)

    async def _is_background(self, client: ResponsesClient) -> bool:
        """False also for a call that is going to be refused: the pipeline says why."""
        keys = self._services.pipeline.keys
        try:
            credential = client.credential()
            if keys.get(credential) is None:
                await keys.lookup(credential)
            body = await client.body()
            return b'"background"' in body and openai_responses.read_request(body).background
        except ClientGone:
            raise
        except TrunklineError:
            return False

    async def _begin(self, call: Call, client: ResponsesClient) -> bytes | None:
        """The answer to a caller who does not wait, or the events for as long as he stays."""
        body = await client.body()
        try:
            run = client.run = await self._services.runs.begin(call, client, body)
            if not openai_responses.read_request(body).stream:
                return run.queued.result()
            await client.start()
            async for piece in run.follow(-1):
                await client.write(piece)
        except asyncio.CancelledError:
            if not client.gone:
                raise
            raise ClientGone("The client went away.") from None
        return None

    async def _expanded(self, inbound: Inbound, account_id: AccountId) -> Inbound:
        assert isinstance(inbound, InputTokensRequest)
        keeper = self._services.keeper
        earlier = await keeper.context(account_id, inbound.previous_response_id, inbound.conversation_id)
        fields = await keeper.expanded(account_id, inbound.fields, earlier)
        return msgspec.structs.replace(inbound, fields=fields)
