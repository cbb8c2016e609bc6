"""How many tokens a request has: asked of a provider that counts them itself, else estimated here, and said so.

A count costs nothing and is never billed; the steps are those of every call up to the first provider.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from trunkline import clock
from trunkline.errors import UpstreamAccount, UpstreamError, UpstreamRateLimited, UpstreamRefused
from trunkline.ids import AccountId
from trunkline.pipeline.call import Call, Client, LiveSettings, Pipeline
from trunkline.pipeline.ending import Ending, Record
from trunkline.pipeline.protocols import CallerProtocol, Named
from trunkline.pipeline.translating import length_of, worked
from trunkline.policy import keys as key_policy
from trunkline.providers import adapter, faults
from trunkline.providers.adapter import Crossing, Outgoing, Reach
from trunkline.providers.counters import COUNTERS, Counter
from trunkline.providers.protocols import PROTOCOLS
from trunkline.providers.transport import Transport
from trunkline.translation import estimate
from trunkline.translation.losses import Losses
from trunkline.wire.codec import answer_fields
from trunkline.wire.inbound import Inbound

COUNT_LIMIT_BYTES = 64 * 1024
MISSING = (404, 405, 501)
"""What a server answers that speaks the protocol and has no counter."""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """A protocol's request for a count. `read` raises InvalidRequest; `written` is the caller's answer. `expanded`, for
    a protocol with state, puts what the request goes on from into it."""

    protocol: CallerProtocol
    read: Callable[[bytes, Named | None], Inbound]
    written: Callable[[int], bytes]
    expanded: Callable[[Inbound, AccountId], Awaitable[Inbound]] | None = None


class Counting:
    """One per process. Keys and live settings are the pipeline's."""

    def __init__(self, pipeline: Pipeline, transports: Mapping[str, Transport], record: Record) -> None:
        self._pipeline = pipeline
        self._transports = transports
        self._record = record

    async def run(self, call: Call, client: Client, counted: Counted) -> bytes:
        """The caller's answer. Raises what refused the call."""
        with Ending(call, client, self._record):
            key = await self._pipeline.identify(call, client)
            body = await client.body()
            call.read_at = clock.monotonic_s()
            inbound = counted.read(body, client.path)
            settings = self._pipeline.settings
            call.asked_model = inbound.model
            call.route = settings.routes.resolve(inbound.model)
            call.deployment = key_policy.permitted(key, call.route)[0]
            reach = settings.reach(call.deployment, counted.protocol.name)
            account_id = key.account_id
            if counted.expanded is not None:
                inbound = await counted.expanded(inbound, account_id)
            crossing = Crossing(account_id, call.trace, settings.timers, streaming=False)
            return counted.written(await self._count(call, _Asked(client, counted, inbound, settings), reach, crossing))

    async def _count(self, call: Call, asked: _Asked, reach: Reach, crossing: Crossing) -> int:
        counter = COUNTERS.get(reach.face.protocol)
        if counter is not None:
            call.attempts += 1
            sent_at = clock.monotonic_s()
            try:
                outgoing = await worked(length_of(asked.inbound), lambda: _outgoing(asked, counter, reach))
                counted = await self._ask(outgoing, counter, reach, crossing)
            except UpstreamError as error:
                self._record.attempt(call, error)
                if isinstance(error, UpstreamAccount | UpstreamRateLimited):
                    raise
                if isinstance(error, UpstreamRefused) and error.status not in MISSING:
                    raise
            else:
                self._record.attempt(call, None)
                return counted
            finally:
                call.answered_at = clock.monotonic_s()
                call.upstream_s += call.answered_at - sent_at
        call.warnings = [f"changed input_tokens: estimated, because {reach.target.model_id} counted none"]
        call.answered_at = clock.monotonic_s()
        read = asked.counted.protocol.spoken.translator.read_request
        return await worked(length_of(asked.inbound), lambda: estimate.tokens(read(asked.inbound)))

    async def _ask(self, outgoing: Outgoing, counter: Counter, reach: Reach, crossing: Crossing) -> int:
        outbound = adapter.request_to(reach, outgoing, crossing)
        if reach.upstream.signer is not None:
            outbound = await reach.upstream.signer.sign(outbound)
        response = await self._transports[outbound.origin.scheme].send(outbound)
        try:
            body = await response.read(COUNT_LIMIT_BYTES)
        finally:
            response.close()
        if response.status != 200:
            raise faults.refusal(reach.target.provider_id, response.status, response.headers, body)
        return counter.read(body)


class _Asked(msgspec.Struct, frozen=True):
    client: Client
    counted: Counted
    inbound: Inbound
    settings: LiveSettings


def _outgoing(asked: _Asked, counter: Counter, reach: Reach) -> Outgoing:
    """What the call itself would send, without what does not count."""
    spoken, target = PROTOCOLS[reach.face.protocol], reach.target
    protocol, headers = asked.counted.protocol, spoken.headers(target) if spoken.headers is not None else []
    if protocol.spoken is spoken:
        body = protocol.passed_body(asked.inbound, target, [])
        said = {name for name, _ in asked.client.protocol_headers}
        headers = [*asked.client.protocol_headers, *(one for one in headers if one[0] not in said)]
    else:
        request = protocol.spoken.translator.read_request(asked.inbound)
        body = spoken.translator.write_request(request, target, Losses(target.model_id, request.names))
    if spoken.finished is not None:
        body = spoken.finished(body, target)
    fields = answer_fields(body) or {}
    kept = {name: value for name, value in fields.items() if name in counter.fields or name == "anthropic_version"}
    return Outgoing(counter.path(target), counter.body(kept, target), headers)
