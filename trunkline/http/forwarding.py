"""The routes of what is forwarded and never translated: embeddings, images, audio, moderations, rerank."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Final

from trunkline.catalog.provider_row import Endpoint
from trunkline.errors import ClientGone, TrunklineError, UnsupportedMediaType
from trunkline.http import problems
from trunkline.http.asgi import Headers, Receive, Scope, Send
from trunkline.http.door import Door
from trunkline.http.inference import CHAT, HttpClient, InferenceRoutes
from trunkline.pipeline.forward import Forwarder

ROUTES: Final[Mapping[str, Endpoint]] = MappingProxyType(
    {
        "/v1/embeddings": "embeddings",
        "/v1/images/generations": "images",
        "/v1/images/edits": "image_edits",
        "/v1/audio/speech": "speech",
        "/v1/audio/transcriptions": "transcriptions",
        "/v1/audio/translations": "translations",
        "/v1/moderations": "moderations",
        "/v1/rerank": "rerank",
        "/v2/rerank": "rerank",
    }
)
LINGER_S = 2.0
LINGER_BYTES = 64 * 1024 * 1024
"""So much and so long is read of a refused upload and thrown away. A client that is still sending may otherwise meet a
closed connection and never see why (RFC 9112 section 9.6)."""


class UploadingClient(HttpClient):
    """Fulfils pipeline.forward.EndpointClient for one request."""

    __slots__ = ("_begun", "_form_read")

    def __init__(self, scope: Scope, receive: Receive, send: Send, inference: InferenceRoutes) -> None:
        super().__init__(scope, receive, send, inference, CHAT)
        self._begun = False
        self._form_read: bool | None = None

    @property
    def content_type(self) -> str:
        return self.named.get(b"content-type", b"").decode("latin-1")

    async def pieces(self) -> AsyncIterator[bytes]:
        encoding = self.named.get(b"content-encoding", b"").strip().lower()
        if encoding not in (b"", b"identity"):
            raise UnsupportedMediaType(
                "The body is compressed (`content-encoding`). Send it as it is.", code="unsupported_content_encoding"
            )
        self._form_read = False
        while not self._form_read:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGone("The client went away while sending its request.")
            self._form_read = not message.get("more_body", False)
            body: bytes = message.get("body", b"")
            if body:
                yield body

    async def begin(self, kind: bytes, length: int | None) -> None:
        self._begun = True
        headers: Headers = [(b"content-type", kind), (b"x-content-type-options", b"nosniff")]
        if length is not None:
            headers.append((b"content-length", b"%d" % length))
        headers += self._facts.of(self.call)
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def refuse(self, error: TrunklineError) -> None:
        """As every call is refused. An answer of bytes that has begun has no room for an error: it is cut off, so that
        nobody takes it for whole."""
        if self._begun:
            await self._cut()
        elif self._form_read is False and not self.started:
            await self._refuse_unread(error)
        else:
            self._body_read = self._body_read or self._form_read is True
            await super().refuse(error)

    async def _cut(self) -> None:
        cut = getattr(self._scope.get("trunkline.connection"), "cut", None)
        if cut is not None:
            cut()
            while (await self._receive())["type"] != "http.disconnect":
                pass

    async def _refuse_unread(self, error: TrunklineError) -> None:
        problem = problems.problem(error, self.spoken.family, self.call.request_id)
        headers = [*problem.headers, (b"content-length", b"%d" % len(problem.body)), *self._facts.of(self.call)]
        headers.append((b"connection", b"close"))
        await self._send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": problem.body, "more_body": True})
        try:
            async with asyncio.timeout(LINGER_S):
                await self._drain()
        except TimeoutError:
            pass
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drain(self) -> None:
        read = 0
        more = True
        while more and read < LINGER_BYTES:
            message = await self._receive()
            read += len(message.get("body", b""))
            more = message.get("more_body", False)


class ForwardingRoutes:
    """One coroutine for all of them."""

    def __init__(self, inference: InferenceRoutes, forwarder: Forwarder) -> None:
        """`inference` has what all calls share: the limit of a JSON body, the names of our headers, their ends."""
        self._inference = inference
        self._forwarder = forwarder

    def add_to(self, door: Door) -> None:
        for path, endpoint in ROUTES.items():
            door.add("POST", path, functools.partial(self.serve, endpoint))

    async def serve(self, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
        client = UploadingClient(scope, receive, send, self._inference)
        await self._inference.to_its_end(client, endpoint, lambda call: self._forwarder.run(call, client, endpoint))
