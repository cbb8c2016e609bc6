"""A conversation made shorter by a provider: `/responses/compact`, which only providers of Responses have.

What comes of it is sealed by the provider and goes back to it alone, so it is neither translated nor kept.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import msgspec

from trunkline import clock
from trunkline.catalog.models import Deployment
from trunkline.errors import InvalidRequest, Unavailable, UpstreamError
from trunkline.pipeline import admission
from trunkline.pipeline.admission import Asking
from trunkline.pipeline.call import WHOLE_ANSWER_LIMIT_BYTES, Call, Client, LiveSettings, Pipeline
from trunkline.pipeline.ending import Ending, Record
from trunkline.pipeline.protocols import RESPONSES
from trunkline.pipeline.responses import ResponseKeeper
from trunkline.policy import keys as key_policy
from trunkline.providers import adapter, faults
from trunkline.providers.adapter import Crossing, Outgoing, Reach
from trunkline.providers.transport import Transport
from trunkline.routing import attempts
from trunkline.wire import openai_responses
from trunkline.wire.inbound import Inbound
from trunkline.wire.openai_responses import CompactRequest


class Compacting:
    """One per process. Keys and live settings are the pipeline's."""

    def __init__(
        self, pipeline: Pipeline, keeper: ResponseKeeper, transports: Mapping[str, Transport], record: Record
    ) -> None:
        self._pipeline = pipeline
        self._keeper = keeper
        self._transports = transports
        self._record = record

    async def run(self, call: Call, client: Client) -> bytes:
        """The provider's answer as it came. Raises what refused or ended the call."""
        treasury = self._pipeline.treasury
        with Ending(call, client, self._record, treasury):
            key = await self._pipeline.identify(call, client)
            body = await client.body()
            call.read_at = clock.monotonic_s()
            request = openai_responses.read_compact(body)
            settings = self._pipeline.settings
            call.asked_model = request.model
            call.route = settings.routes.resolve(request.model)
            candidates = _able(key_policy.permitted(key, call.route), settings, request.model)
            call.routed_at = clock.monotonic_s()
            account_id = key.account_id
            if request.previous_response_id is not None:
                earlier = await self._keeper.context(account_id, request.previous_response_id, None)
                fields = await self._keeper.expanded(account_id, request.fields, earlier)
                request = msgspec.structs.replace(request, fields=fields)
            if treasury is not None:
                inbound = Inbound(fields=request.fields, model=request.model)
                call.end_user = RESPONSES.end_user(inbound)
                estimated = functools.partial(RESPONSES.estimated_input, inbound)
                asking = Asking(call, candidates, settings, RESPONSES.demand(inbound), estimated)
                candidates = await admission.admitted(treasury, asking)
            call.admitted_at = clock.monotonic_s()
            before = call.charge.goes_out if call.charge is not None else None
            crossing = Crossing(account_id, call.trace, settings.timers, False, before)
            return await self._send(_Sending(call, request, settings, crossing), candidates)

    async def _send(self, sending: _Sending, candidates: Sequence[Deployment]) -> bytes:
        """One attempt after the other, as in every call."""
        call = sending.call
        deployment, *left = candidates
        while True:
            call.deployment = deployment
            call.attempts += 1
            try:
                if call.charge is not None:
                    await call.charge.sends(deployment)
                answer = await self._attempt(sending, sending.settings.reach(deployment, RESPONSES.name))
            except (UpstreamError, Unavailable) as error:
                self._record.attempt(call, error)
                if call.charge is not None:
                    call.charge.failed()
                following = attempts.following(error, deployment, left)
                if not following:
                    raise
                deployment, *left = following
            else:
                self._record.attempt(call, None)
                return answer

    async def _attempt(self, sending: _Sending, reach: Reach) -> bytes:
        call, target = sending.call, reach.target
        call.warnings = [*call.charge.warnings] if call.charge is not None else []
        body = RESPONSES.passed_body(sending.request, target, call.warnings)
        outbound = adapter.request_to(reach, Outgoing(openai_responses.COMPACT_TARGET, body), sending.crossing)
        if reach.upstream.signer is not None:
            outbound = await reach.upstream.signer.sign(outbound)
        sent_at, call.answered_at = clock.monotonic_s(), 0.0
        try:
            response = await self._transports[outbound.origin.scheme].send(outbound)
            try:
                said = await response.read(WHOLE_ANSWER_LIMIT_BYTES)
            finally:
                response.close()
        finally:
            call.answered_at = clock.monotonic_s()
            call.upstream_s += call.answered_at - sent_at
        if response.status != 200:
            raise faults.refusal(target.provider_id, response.status, response.headers, said)
        answer = RESPONSES.measure(said)
        call.usage, error = answer.usage, answer.error
        if error is not None:
            raise faults.from_facts(target.provider_id, error.status or 502, error)
        call.response_id, call.finish_reason = answer.response_id, answer.finish_reason
        if call.charge is not None:
            told = call.usage
            call.usage = call.charge.price(told, RESPONSES.estimated_output(said))
            said = RESPONSES.billed(said, call.usage, replaced=told is None)
            call.relayed_at = clock.monotonic_s()
            await call.charge.settle()
        return said


class _Sending(msgspec.Struct, frozen=True):
    call: Call
    request: CompactRequest
    settings: LiveSettings
    crossing: Crossing


def _able(permitted: Sequence[Deployment], settings: LiveSettings, asked: str) -> Sequence[Deployment]:
    """Those whose provider speaks Responses, in their order. Raises InvalidRequest when none does."""
    able = [one for one in permitted if settings.reach(one, RESPONSES.name).face.protocol == RESPONSES.name]
    if not able:
        names = ", ".join(dict.fromkeys(one.provider_id for one in permitted))
        raise InvalidRequest(
            f"No provider of the model {asked!r} has the endpoint /v1/responses/compact: {names}.",
            code="unsupported_endpoint",
            param="model",
        )
    return able
