"""A forwarder whose providers follow a script. `one` and `two` have every endpoint, `three` none, `few` takes three
inputs of embeddings at once and refuses `user`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import get_args

import msgspec

from tests.pipeline.scripted import KEY, Ledger, Reply, ScriptedTransport, key_table
from trunkline.catalog.catalog import Catalog
from trunkline.catalog.provider_row import Endpoint
from trunkline.errors import TrunklineError
from trunkline.pipeline.call import Call, CompatOptions, LiveSettings, Pipeline
from trunkline.pipeline.forward import Forwarder
from trunkline.pipeline.identity import KeyTable
from trunkline.pipeline.upload import UploadOptions
from trunkline.providers import credentials
from trunkline.providers.credentials import ProviderOptions
from trunkline.providers.transport import Headers, Timers, UpstreamRequest
from trunkline.routing.table import Available, RouteOptions, RouteTable

EVERYTHING: tuple[Endpoint, ...] = get_args(Endpoint)
ALIASES = {
    "any": ("one/small", "two/small"),
    "mixed": ("three/small", "one/small"),
    "none": ("three/small",),
    "few": ("few/small",),
    "omni-moderation-latest": ("one/moderate",),
}
FORM_TYPE = "multipart/form-data; boundary=b0undary"


class UploadedTransport(ScriptedTransport):
    """Also reads streamed bodies, before it answers, into `bodies`; `takes` of their pieces, if that is set."""

    def __init__(self, *script: Reply | Exception, takes: int | None = None) -> None:
        super().__init__(*script)
        self.takes = takes
        self.bodies: list[bytes] = []

    async def send(self, request: UpstreamRequest) -> Reply:
        body = request.body
        if request.stream_body is not None and self.takes != 0:
            taken = 0
            async for piece in request.stream_body:
                body += piece
                taken += 1
                if taken == self.takes:
                    break
        self.bodies.append(body)
        return await super().send(request)


class Caller:
    """The caller's side of one call, and all that came to him."""

    def __init__(self, body: bytes, content_type: str = "application/json", size: int = 65_536) -> None:
        self.gone = False
        self.content_type = content_type
        self.credential_sent = KEY
        self.kind: bytes | None = None
        self.length: int | None = None
        self.started_at = 0.0
        self.writes: list[bytes] = []
        self.asked = 0
        self.pause_s = 0.0
        self.then: Exception | asyncio.Event | None = None
        self._body = body
        self._size = size

    @property
    def tag(self) -> str | None:
        return None

    @property
    def address(self) -> str:
        return "192.0.2.7"

    @property
    def user_agent(self) -> str | None:
        return None

    def credential(self) -> str:
        return self.credential_sent

    async def body(self) -> bytes:
        return self._body

    async def pieces(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), self._size):
            self.asked += 1
            if self.pause_s:
                await asyncio.sleep(self.pause_s)
            yield self._body[start : start + self._size]
        if isinstance(self.then, Exception):
            raise self.then
        if self.then is not None:
            await self.then.wait()

    async def start(self) -> None:
        assert self.kind is None
        self.kind = b"text/event-stream"

    async def begin(self, kind: bytes, length: int | None) -> None:
        assert self.kind is None
        self.kind, self.length = kind, length

    async def write(self, data: bytes) -> None:
        assert self.kind is not None
        self.writes.append(data)


class ForwardingHouse:
    def __init__(
        self,
        *script: Reply | Exception,
        takes: int | None = None,
        keys: KeyTable | None = None,
        restamp_model: bool = False,
        put_aside_bytes: int = 4_000_000,
    ) -> None:
        self.transport = UploadedTransport(*script, takes=takes)
        self.ledger = Ledger()
        self.pipeline = Pipeline(
            keys or key_table(), _settings(restamp_model=restamp_model), {"https": self.transport}, self.ledger
        )
        self.forwarder = Forwarder(
            self.pipeline,
            {"https": self.transport},
            self.ledger,
            lambda: UploadOptions(put_aside_bytes=put_aside_bytes),
        )
        self.call = Call(1, "x", "request-1", [])
        self.error: TrunklineError | None = None
        self.answer: bytes | None = None

    async def run(self, endpoint: Endpoint, caller: Caller) -> ForwardingHouse:
        self.call = Call(1, "x", "request-1", [(b"traceparent", b"00-1")], endpoint)
        try:
            self.answer = await self.forwarder.run(self.call, caller, endpoint)
        except TrunklineError as error:
            self.error = error
        assert self.ledger.calls[-1] is self.call
        assert self.call.error is self.error
        assert self.call.ended_at >= self.call.started_at
        assert self.transport.all_closed()
        return self


def _settings(*, restamp_model: bool) -> LiveSettings:
    options = {
        name: ProviderOptions(kind="openai-compatible", base_url=f"https://{name}.example/v1", api_key=f"key-of-{name}")
        for name in ("one", "two", "three", "few")
    }
    upstreams = credentials.configured(options, {})
    for name in ("one", "two", "three", "few"):
        row = upstreams[name].row
        dialect = msgspec.structs.replace(row.dialect, drops=("user",) if name == "few" else ())
        row = msgspec.structs.replace(
            row,
            offers=() if name == "three" else EVERYTHING,
            embeddings_at_once=3 if name == "few" else 2048,
            dialect=dialect,
        )
        upstreams[name] = msgspec.structs.replace(upstreams[name], row=row)
    routes = RouteTable(
        Catalog("nothing"),
        Available(
            providers={name: upstream.row for name, upstream in upstreams.items()},
            aliases={name: RouteOptions(deployments=targets) for name, targets in ALIASES.items()},
        ),
    )
    return LiveSettings(
        routes=routes, upstreams=upstreams, timers=Timers(), compat=CompatOptions(restamp_model=restamp_model)
    )


def kind(value: bytes) -> Headers:
    return [(b"content-type", value)]
