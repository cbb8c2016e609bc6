"""One call, from key to record, in eight steps: identify, read, route, admit, send, relay, settle, record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from trunkline import clock
from trunkline.catalog.models import Deployment
from trunkline.errors import Unavailable, UpstreamError
from trunkline.ids import CallNumbers
from trunkline.pipeline import admission
from trunkline.pipeline.admission import Asking
from trunkline.pipeline.ending import Ending
from trunkline.pipeline.ending import Record as Record
from trunkline.pipeline.identity import KeyTable
from trunkline.pipeline.progress import Call as Call
from trunkline.pipeline.protocols import CallerProtocol, Named
from trunkline.pipeline.relay import Delivery, relay
from trunkline.pipeline.treasury import Treasury
from trunkline.pipeline.ways import Asked, Crossed, Passed, Sidecar, Way
from trunkline.policy import keys as key_policy
from trunkline.policy.metering import Tariff, tariff_of
from trunkline.ports.keys import KeyRecord, KeyRoute
from trunkline.ports.responses import ResponsesOptions
from trunkline.ports.sidecar import SidecarStore
from trunkline.providers import adapter, faults
from trunkline.providers.adapter import Crossing, Reach
from trunkline.providers.credentials import Upstream
from trunkline.providers.protocols import PROTOCOLS
from trunkline.providers.transport import Headers, Timers, Transport, UpstreamResponse
from trunkline.routing import attempts
from trunkline.routing.table import RouteTable

WHOLE_ANSWER_LIMIT_BYTES = 32 * 1024 * 1024
REFUSAL_LIMIT_BYTES = 64 * 1024
MEMO_ENTRIES = 4096


KEY_ROUTES: Mapping[str, KeyRoute] = {
    "messages": "messages",
    "responses": "responses",
    "compact": "responses",
    "generate": "generate",
    "embeddings": "embeddings",
    "images": "images",
    "image_edits": "images",
    "speech": "audio",
    "transcriptions": "audio",
    "translations": "audio",
    "rerank": "rerank",
    "moderations": "moderations",
    "anthropic_messages": "messages",
    "openai_responses": "responses",
    "gemini": "generate",
}
"""What a key must be allowed to use, by the endpoint, else by the protocol; `chat` for the others."""


class CompatOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[compat]`: where habits of other gateways differ from ours."""

    restamp_model: Annotated[
        bool, Meta(description="Answer with the model name that was asked for, not the one the provider reported.")
    ] = False
    strict: Annotated[
        bool,
        Meta(
            description="Refuse a request that would lose something on its way; otherwise a warning header says what."
        ),
    ] = False


class Caller(Protocol):
    """Who calls. `tag` is what he files the call under; reading it raises InvalidRequest. `address` is his, "" where it
    is not known."""

    @property
    def tag(self) -> str | None: ...
    @property
    def address(self) -> str: ...
    @property
    def user_agent(self) -> str | None: ...

    def credential(self) -> str:
        """Raises Unauthenticated."""
        ...


class Client(Caller, Protocol):
    """The caller's side of one call, as the pipeline sees it. When the caller leaves, the call's task is cancelled.

    `path` is what the path says of the call, in protocols that say it there. `protocol_headers` are headers of the
    caller's that belong to his protocol.
    """

    gone: bool
    path: Named | None
    protocol_headers: Headers

    async def body(self) -> bytes:
        """Raises InvalidRequest (too large, not JSON by its type) and ClientGone."""
        ...

    async def start(self) -> None:
        """Status line and headers go out; the call's facts (model, provider, attempts) ride in them if known."""
        ...

    async def write(self, data: bytes) -> None:
        """Whole events only, in one write. Waits while the client reads slowly."""
        ...


class LiveSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings decide about calls. A reload replaces it whole; a call keeps the one it began with."""

    routes: RouteTable
    upstreams: dict[str, Upstream]
    timers: Timers
    compat: CompatOptions
    responses: ResponsesOptions = ResponsesOptions()
    reaches: dict[tuple[str, str], Reach] = msgspec.field(default_factory=dict)
    tariffs: dict[tuple[str, int], Tariff | None] = msgspec.field(default_factory=dict)

    def tariff(self, deployment: Deployment, markup_millionths: int) -> Tariff | None:
        """What it costs an account with that markup; None: nobody knows. Made once."""
        asked = deployment.model_id, markup_millionths
        if asked in self.tariffs:
            return self.tariffs[asked]
        if len(self.tariffs) >= MEMO_ENTRIES:
            self.tariffs.clear()
        price = deployment.model.price if deployment.model is not None else None
        made = self.tariffs[asked] = tariff_of(price, markup_millionths)
        return made

    def reach(self, deployment: Deployment, protocol: str) -> Reach:
        """How a caller of `protocol` reaches it; made once."""
        known = self.reaches.get((deployment.model_id, protocol))
        if known is not None:
            return known
        if len(self.reaches) >= MEMO_ENTRIES:
            self.reaches.clear()
        made = adapter.reach(deployment, self.upstreams[deployment.provider_id], protocol)
        self.reaches[deployment.model_id, protocol] = made
        return made


class _Sending(msgspec.Struct, frozen=True):
    """What every attempt of one call needs."""

    call: Call
    asked: Asked
    candidates: Sequence[Deployment]
    settings: LiveSettings
    crossing: Crossing


class Pipeline:
    """The services a call needs. One per process; a reload replaces `settings`."""

    def __init__(
        self,
        keys: KeyTable,
        settings: LiveSettings,
        transports: Mapping[str, Transport],
        record: Record,
        sidecar: SidecarStore | None = None,
    ) -> None:
        """`transports` by an origin's scheme, the sandbox's among them. Without a `sidecar` no state is kept for
        clients that cannot carry it."""
        self._sidecar = sidecar
        self._numbers = CallNumbers()
        self.treasury: Treasury | None = None
        self.keys = keys
        self.settings = settings
        self._transports = transports
        self._record = record

    def new_number(self) -> int:
        """Of a call that begins now."""
        numbers = self._numbers if self.treasury is None else self.treasury.numbers
        return numbers.new(int(clock.now_s() * 1000))

    async def run(self, call: Call, client: Client, protocol: CallerProtocol) -> bytes | None:
        """The body of a whole answer, or None when a stream has been relayed. Raises what refused or ended the call."""
        with Ending(call, client, self._record, self.treasury):
            key = await self.identify(call, client)
            body = await client.body()
            call.read_at = clock.monotonic_s()
            inbound = protocol.read(body, client.path)
            call.stream, call.asked_model = inbound.stream, inbound.model
            settings = self.settings
            route = call.route = settings.routes.resolve(inbound.model)
            candidates: Sequence[Deployment] = key_policy.permitted(key, route)
            call.routed_at = clock.monotonic_s()
            account_id, compat = key.account_id, settings.compat
            asked = Asked(protocol, inbound, account_id, call.id, client.protocol_headers)
            asked.strict = compat.strict
            asked.may_pass = protocol.may_pass(inbound)
            if compat.restamp_model:
                asked.shown_model = inbound.model
            if call.keeper is not None:
                asked.pen = await call.keeper.pen(asked)
                call.last_words = asked.pen.failed
            if self.treasury is not None:
                call.end_user = protocol.end_user(asked.inbound)
                candidates = await admission.admitted(self.treasury, self._asking(asked, call, candidates))
                asked.charge = call.charge
            if call.keeper is not None:
                await call.keeper.admitted()
            call.admitted_at = clock.monotonic_s()
            timers = settings.timers
            if asked.total_s is not None:
                timers = msgspec.structs.replace(timers, total_s=asked.total_s)
            before = call.charge.goes_out if call.charge is not None else None
            crossing = Crossing(account_id, call.trace, timers, inbound.stream, before)
            sending = _Sending(call, asked, candidates, settings, crossing)
            if not inbound.stream:
                return await self._send(sending)
            with Delivery(client) as call.delivery:
                if call.charge is not None:
                    call.delivery.before_start = call.charge.begins
                return await self._send(sending)

    async def identify(self, call: Call, client: Caller) -> KeyRecord:
        """Who calls. Raises Unauthenticated, Forbidden, InvalidRequest, StoreUnavailable."""
        credential = client.credential()
        key = call.key = self.keys.get(credential) or await self.keys.lookup(credential)
        if key.limits is not None:
            key_policy.require_address(key, client.address or None)
            key_policy.require_route(key, KEY_ROUTES.get(call.endpoint) or KEY_ROUTES.get(call.protocol, "chat"))
        call.tag = client.tag
        call.user_agent = client.user_agent
        call.identified_at = clock.monotonic_s()
        return key

    def _asking(self, asked: Asked, call: Call, candidates: Sequence[Deployment]) -> Asking:
        protocol, inbound = asked.protocol, asked.inbound
        return Asking(
            call,
            candidates,
            self.settings,
            protocol.demand(inbound),
            lambda: protocol.estimated_input(inbound),
            lambda most: protocol.cap(inbound, most),
        )

    async def _send(self, sending: _Sending) -> bytes | None:
        """One attempt at a time. The next one stays possible until an event has gone to the client."""
        call, delivery = sending.call, sending.call.delivery
        deployment, *left = sending.candidates
        while True:
            call.deployment = deployment
            call.attempts += 1
            try:
                answer = await self._attempt(sending, deployment)
            except (UpstreamError, Unavailable) as error:
                self._record.attempt(call, error)
                if call.charge is not None and not (delivery is not None and delivery.event_out):
                    call.charge.failed()
                began = delivery is not None and delivery.event_out
                following = () if began else attempts.following(error, deployment, left)
                if not following:
                    raise
                deployment, *left = following
            else:
                self._record.attempt(call, None)
                return answer

    async def _attempt(self, sending: _Sending, deployment: Deployment) -> bytes | None:
        call, delivery = sending.call, sending.call.delivery
        reach = sending.settings.reach(deployment, sending.asked.protocol.spoken.name)
        way = self._way(sending, reach)
        charge = call.charge
        if charge is not None:
            await charge.sends(deployment)
        if delivery is not None:
            response = await self._ask(sending, reach, way)
            await self._relay(call, way, response, delivery)
            return None
        response = await self._ask(sending, reach, way)
        while not (answer := way.whole(await self._read_whole(call, response))):
            if charge is not None:
                await charge.extend()
            response = await self._ask(sending, reach, way)
        call.usage = way.usage
        call.response_id, call.finish_reason = way.response_id, way.finish_reason
        await way.keep()
        if charge is not None:
            call.relayed_at = clock.monotonic_s()
            await charge.settle()
        return answer

    async def _ask(self, sending: _Sending, reach: Reach, way: Way) -> UpstreamResponse:
        """One request to the provider. Its answer has begun, with status 200. Raises UpstreamError."""
        call = sending.call
        outgoing = await way.outgoing()
        call.warnings = way.warnings
        outbound = adapter.request_to(reach, outgoing, sending.crossing)
        if reach.upstream.signer is not None:
            outbound = await reach.upstream.signer.sign(outbound)
        sent_at, call.answered_at = clock.monotonic_s(), 0.0
        try:
            response = await self._transports[outbound.origin.scheme].send(outbound)
            if response.status == 200:
                return response
            try:
                said = await _refusal_body(response)
            finally:
                response.close()
        finally:
            call.answered_at = clock.monotonic_s()
            call.upstream_s += call.answered_at - sent_at
        raise faults.refusal(reach.target.provider_id, response.status, response.headers, said)

    async def _read_whole(self, call: Call, response: UpstreamResponse) -> bytes:
        began_at = call.answered_at
        try:
            return await response.read(WHOLE_ANSWER_LIMIT_BYTES)
        finally:
            response.close()
            call.answered_at = clock.monotonic_s()
            call.upstream_s += call.answered_at - began_at

    def _way(self, sending: _Sending, reach: Reach) -> Way:
        """The one place where it is decided whether a body is passed on or translated."""
        asked, protocol = sending.asked, sending.asked.protocol
        emulated = reach.target.json_schema is False and protocol.wants_schema(asked.inbound)
        if reach.face.protocol == protocol.spoken.name and not emulated and asked.may_pass:
            return Passed(asked, reach)
        sidecar = None
        if self._sidecar is not None:
            sidecar = Sidecar(self._sidecar, sending.settings.responses.sidecar_days)
        return Crossed(asked, reach, PROTOCOLS[reach.face.protocol], sidecar)

    async def _relay(self, call: Call, way: Way, response: UpstreamResponse, delivery: Delivery) -> None:
        stream, charge = way.stream(), call.charge
        call.last_words = way.last_words
        before_end = way.keep
        bound = charge if charge is not None and charge.is_capped else None
        if charge is not None:
            charge.streams(stream)

            async def before_end() -> None:
                await way.keep()
                call.relayed_at = clock.monotonic_s()
                await charge.settle(stream.usage)

        try:
            await relay(response, stream, delivery, before_end, bound)
        finally:
            began_at, call.answered_at = call.answered_at, clock.monotonic_s()
            call.upstream_s += call.answered_at - began_at
            call.usage = stream.usage
            call.response_id, call.finish_reason = way.response_id, way.finish_reason
            call.first_event_at = delivery.first_event_at


async def _refusal_body(response: UpstreamResponse) -> bytes:
    """As much of it as there is need for. The status alone says what kind of refusal it is, so neither a long body (a
    validator may repeat the whole request in it) nor one that breaks off changes that."""
    said = bytearray()
    try:
        while len(said) < REFUSAL_LIMIT_BYTES and (piece := await response.chunk()):
            said += piece
    except UpstreamError:
        pass
    return bytes(said[:REFUSAL_LIMIT_BYTES])
