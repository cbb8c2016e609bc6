"""Google's paths, in which the model and the method stand: `/v1/models/{model}:generateContent` and its like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from trunkline.errors import MethodNotAllowed, NotFound, TrunklineError
from trunkline.http.asgi import Headers, Receive, Scope, Send
from trunkline.http.door import Door
from trunkline.http.inference import HttpClient, InferenceRoutes, Spoken
from trunkline.pipeline import protocols
from trunkline.pipeline.counting import Counted, Counting
from trunkline.pipeline.protocols import Named
from trunkline.wire import gemini, gemini_answer
from trunkline.wire.gemini_array import CONTENT_TYPE, EventsAsArray

# Google's own library asks for v1 since its 3.0, for v1beta before, for v1alpha when it is told to.
OPENAI_PREFIX = "/v1/models/"
PREFIXES = ("/v1beta/models/", "/v1alpha/models/", OPENAI_PREFIX)
GEMINI = Spoken(protocols.GEMINI, "google")
COUNT = Counted(
    protocol=protocols.GEMINI,
    read=lambda body, path: gemini.read_count_request(body, path.model if path else ""),
    written=gemini_answer.count_body,
)


class ArrayClient(HttpClient):
    """For a caller who asked for no events: his stream is one JSON array, sent item by item."""

    __slots__ = ("_array",)

    def __init__(self, scope: Scope, receive: Receive, send: Send, inference: InferenceRoutes) -> None:
        super().__init__(scope, receive, send, inference, GEMINI)
        self._array = EventsAsArray()

    async def start(self) -> None:
        self.started = True
        headers: Headers = [(b"content-type", CONTENT_TYPE), (b"x-accel-buffering", b"no")]
        headers += self._facts.of(self.call)
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def write(self, data: bytes) -> None:
        await super().write(self._array.write(data))

    async def end(self) -> None:
        await super().write(self._array.end())
        await super().end()


class GeminiRoutes:
    """One coroutine for all of them: the path says which it is."""

    def __init__(self, door: Door, inference: InferenceRoutes, counting: Counting) -> None:
        self._door = door
        self._inference = inference
        self._counting = counting

    def add_to(self, door: Door) -> None:
        for prefix in PREFIXES:
            door.add_prefix("POST", prefix, self.post)

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = gemini.read_path(scope["path"])
        if found is None:
            await self._refuse(scope, send)
            return
        model, method = found
        query: Mapping[str, str] = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        streams = method == "streamGenerateContent"
        path = Named(model, stream=streams, events=query.get("alt") == "sse")
        client: HttpClient = (
            ArrayClient(scope, receive, send, self._inference)
            if streams and not path.events
            else HttpClient(scope, receive, send, self._inference, GEMINI)
        )
        client.path = path
        if method == "countTokens":
            run: Any = self._counting.run
            await self._inference.to_its_end(client, "count_tokens", lambda call: run(call, client, COUNT))
        else:
            await self._inference.serve(client)

    async def _refuse(self, scope: Scope, send: Send) -> None:
        """A method that is not served; only somebody with a key learns so."""
        try:
            await self._door.identify(scope, dict(scope["headers"]))
            if scope["path"].startswith(OPENAI_PREFIX):
                raise MethodNotAllowed("A model takes GET, not POST.", ("GET",))
            raise NotFound(
                "A model's methods here are generateContent, streamGenerateContent and countTokens.", code="unknown_url"
            )
        except TrunklineError as error:
            await self._door.refuse(scope, send, error)
