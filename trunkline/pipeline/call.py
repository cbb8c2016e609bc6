"""One call, from key to record, in eight steps: identify, read, route, admit, send, relay, settle, record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from trunkline import clock
from trunkline.catalog.models import Deployment
from trunkline.errors import ClientGone, Defect, TrunklineError
from trunkline.ids import CallId
from trunkline.pipeline.identity import KeyTable
from trunkline.pipeline.relay import relay
from trunkline.policy import keys as key_policy
from trunkline.policy.metering import Usage
from trunkline.ports.keys import KeyRecord
from trunkline.providers import adapter
from trunkline.providers.credentials import Upstream
from trunkline.providers.transport import Timers, Transport, UpstreamResponse
from trunkline.routing import attempts
from trunkline.routing.table import Route, RouteTable
from trunkline.wire.openai_chat import ChatRequest, read_request


class CompatOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[compat]`: where habits of other gateways differ from ours."""

    restamp_model: Annotated[
        bool, Meta(description="Answer with the model name that was asked for, not the one the provider reported.")
    ] = False


class Client(Protocol):
    """The caller's side of one call, as the pipeline sees it. When the caller leaves, the call's task is cancelled."""

    started: bool
    """The status line of a stream has gone out."""
    gone: bool

    def credential(self) -> str:
        """Raises Unauthenticated."""
        ...

    async def body(self) -> bytes:
        """Raises InvalidRequest (too large, not JSON by its type) and ClientGone."""
        ...

    async def start(self) -> None:
        """Status line and headers go out; the call's facts (model, provider, attempts) ride in them if known."""
        ...

    async def write(self, data: bytes) -> None:
        """Whole events only, in one write. Waits while the client reads slowly."""
        ...


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings decide about calls. A reload replaces it whole; a call keeps the one it began with."""

    routes: RouteTable
    upstreams: dict[str, Upstream]
    timers: Timers
    compat: CompatOptions


class Call:
    """What is known of one call. Times are clock.monotonic_s, 0.0 before the thing happened."""

    __slots__ = (
        "answered_at",
        "attempts",
        "deployment",
        "ended_at",
        "error",
        "first_event_at",
        "id",
        "key",
        "protocol",
        "read_at",
        "request_id",
        "route",
        "sent_at",
        "started_at",
        "stream",
        "trace",
        "upstream_s",
        "usage",
        "warnings",
    )

    def __init__(self, call_id: CallId, protocol: str, request_id: str, trace: Headers) -> None:
        self.id = call_id
        self.protocol = protocol
        self.request_id = request_id
        self.trace = trace
        self.key: KeyRecord | None = None
        self.route: Route | None = None
        self.deployment: Deployment | None = None
        self.attempts = 0
        self.stream = False
        self.usage: Usage | None = None
        self.error: TrunklineError | None = None
        self.warnings: list[str] = []
        self.started_at = clock.monotonic_s()
        self.read_at = self.sent_at = self.answered_at = self.first_event_at = self.ended_at = 0.0
        self.upstream_s = 0.0

    def overhead_s(self) -> float:
        """Since the body was read: the time that was ours and not a provider's."""
        return max(0.0, clock.monotonic_s() - self.read_at - self.upstream_s)


class Pipeline:
    """The services a call needs. One per process; `serving` is replaced by a reload."""

    def __init__(
        self, keys: KeyTable, serving: Serving, transports: dict[str, Transport], record: Callable[[Call], None]
    ) -> None:
        """`transports`: by the scheme of an origin, `sandbox` among them. `record` is called once for every call."""
        self.keys = keys
        self.serving = serving
        self._transports = transports
        self._record = record

    async def run(self, call: Call, client: Client) -> bytes | None:
        """The body of a whole answer, or None when a stream has been relayed. Raises what refused or ended the call."""
        try:
            call.key = await self._identify(client)
            request = read_request(await client.body())
            serving = self.serving
            call.stream = request.stream
            call.route = serving.routes.resolve(request.model)
            deployments = self._admit(call.key, call.route)
            return await self._send(call, request, deployments, client)
        except TrunklineError as error:
            call.error = error
            raise
        except asyncio.CancelledError:
            if not client.gone:
                raise
            call.error = ClientGone("the client went away")
            raise call.error from None
        except Exception as error:
            # A bug of ours must still answer the caller and be counted.
            call.error = Defect("Something went wrong inside the gateway; it has been logged.")
            raise call.error from error
        finally:
            self._settle(call)
            self._record(call)

    async def _identify(self, client: Client) -> KeyRecord:
        credential = client.credential()
        return self.keys.get(credential) or await self.keys.lookup(credential)
