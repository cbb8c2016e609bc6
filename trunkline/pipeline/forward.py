"""Calls that are forwarded and never translated: embeddings, images, audio, moderations, rerank.

The steps are those of every call: identify, read, route, admit, send, relay, settle, record. What differs is that a
request may be a form whose files are still on their way, and that an answer may be anything: JSON is read whole and
measured, events pass one by one, and all else (sound, subtitles) passes as it comes.

Embeddings are read closely: more inputs than a provider takes at once become several requests, and vectors come in the
encoding that was asked for, whichever the provider has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import Raw

from trunkline import clock
from trunkline.catalog.models import Deployment
from trunkline.catalog.provider_row import Endpoint
from trunkline.errors import (
    InvalidRequest,
    Unavailable,
    UpstreamError,
    UpstreamFailed,
)
from trunkline.pipeline import admission
from trunkline.pipeline.admission import Asking
from trunkline.pipeline.call import REFUSAL_LIMIT_BYTES, Call, Caller, LiveSettings, Pipeline, Record
from trunkline.pipeline.ending import Ending
from trunkline.pipeline.relay import Delivery, relay
from trunkline.pipeline.translating import worked
from trunkline.pipeline.upload import Upload, UploadOptions
from trunkline.policy import keys as key_policy
from trunkline.providers import faults
from trunkline.providers.adapter import Crossing, Reach
from trunkline.providers.endpoint_request import JSON, PATHS, Content, endpoint_request
from trunkline.providers.transport import Headers, Timers, Transport, UpstreamResponse
from trunkline.routing import attempts
from trunkline.routing.table import Route
from trunkline.wire import endpoint_demand, multipart, openai_embeddings, passage
from trunkline.wire.inbound import end_user
from trunkline.wire.openai_embeddings import EmbeddingsAnswer, EmbeddingsRequest
from trunkline.wire.passage import EventPassage, PassageRequest
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.seen import tokens_of
from trunkline.wire.usage import Usage

ANSWER_LIMIT_BYTES = 192 * 1024 * 1024
"""Of a whole JSON answer: 2,048 vectors of 3,072 numbers, or ten large pictures in base64, are some 130 MB."""
PARTS_AT_ONCE = 4
"""Requests to a provider that one call of embeddings may have under way."""
PROTOCOL = "openai_chat"
"""Whose prefix and credential the endpoints share."""
FORMS: frozenset[Endpoint] = frozenset(("image_edits", "transcriptions", "translations"))
DEFAULT_MODELS: Mapping[Endpoint, str] = {"moderations": "omni-moderation-latest"}
"""https://platform.openai.com/docs/api-reference/moderations/create: the SDKs' own examples name none."""
PICTURES: frozenset[Endpoint] = frozenset(("images", "image_edits"))
EVENTS = b"text/event-stream"
OF_ANY_KIND: frozenset[Endpoint] = frozenset(("speech", "transcriptions", "translations"))
"""Endpoints that answer sound, or text as plain as subtitles."""
PASSED_KINDS = (b"audio/", b"video/", b"image/", b"text/plain", b"text/vtt", b"text/srt", b"application/x-subrip")
LONGEST_KIND = 100
SLOWEST = 3
"""How many times as long as usual the slowest speech takes, for which is held."""
BYTES = b"application/octet-stream"


Asked = EmbeddingsRequest | PassageRequest | Upload


class EndpointClient(Caller, Protocol):
    """The caller's side of one call, as it is seen here. When the caller leaves, the call's task is cancelled."""

    gone: bool

    @property
    def content_type(self) -> str: ...

    async def body(self) -> bytes:
        """A JSON body. Raises InvalidRequest (too large, not JSON by its type) and ClientGone."""
        ...

    def pieces(self) -> AsyncIterator[bytes]:
        """A body of any kind, as it comes. Raises ClientGone."""
        ...

    async def start(self) -> None:
        """Status line and headers of a stream of events go out."""
        ...

    async def begin(self, kind: bytes, length: int | None) -> None:
        """Status line and headers of an answer of this `content-type` go out, whose bytes follow."""
        ...

    async def write(self, data: bytes) -> None:
        """Whole events, or bytes of the answer that has begun. Waits while the client reads slowly."""
        ...


class _Passing:
    """Bytes on their way through: fulfils charge.Seen. Tokens are estimated, a text's from what was `sent`, those of
    sound from what was to be spoken."""

    __slots__ = ("_call", "_is_sound", "sent")
    finished = False

    def __init__(self, call: Call, *, is_sound: bool) -> None:
        self._call = call
        self._is_sound = is_sound
        self.sent = 0

    @property
    def seen_tokens(self) -> int:
        charge, deployment = self._call.charge, self._call.deployment
        if not self._is_sound or charge is None or deployment is None:
            return tokens_of(self.sent)
        return charge.bill.demands[deployment.model_id].max_output // SLOWEST if self.sent else 0

    @property
    def usage(self) -> Usage | None:
        charge, seen = self._call.charge, self.seen_tokens
        if not self._is_sound or charge is None:
            return None
        return Usage(input_tokens=charge.bill.estimated_input(), output_tokens=seen, output_audio_tokens=seen)


class _Sending(msgspec.Struct):
    """What every attempt of one call needs. `bytes_out`: an answer that is no stream of events has begun."""

    call: Call
    client: EndpointClient
    endpoint: Endpoint
    asked: Asked
    settings: LiveSettings
    crossing: Crossing
    bytes_out: bool = False

    @property
    def has_begun(self) -> bool:
        """Something of the answer has gone to the caller."""
        return self.bytes_out or (self.call.delivery is not None and self.call.delivery.event_out)

    @property
    def may_be_sent_again(self) -> bool:
        if self.has_begun:
            return False
        return self.asked.can_be_sent if isinstance(self.asked, Upload) else True


class Forwarder:
    """One per process. Keys and live settings are the pipeline's."""

    def __init__(
        self,
        pipeline: Pipeline,
        transports: Mapping[str, Transport],
        record: Record,
        uploads: Callable[[], UploadOptions],
    ) -> None:
        """`transports` by an origin's scheme, the sandbox's among them. `uploads` tells the settings of the moment."""
        self._pipeline = pipeline
        self._transports = transports
        self._record = record
        self._uploads = uploads

    async def run(self, call: Call, client: EndpointClient, endpoint: Endpoint) -> bytes | None:
        """The body of a whole JSON answer, or None when another has been relayed. Raises what refused or ended it."""
        asked: Asked | None = None
        with Ending(call, client, self._record, self._pipeline.treasury):
            try:
                key = await self._pipeline.identify(call, client)
                asked = self._asked(client, endpoint) or await _read(client, endpoint)
                if isinstance(asked, Upload):
                    await asked.begin()
                call.read_at = clock.monotonic_s()
                call.stream = not isinstance(asked, EmbeddingsRequest) and asked.stream
                settings = self._pipeline.settings
                call.asked_model = asked.model
                call.route = settings.routes.resolve(asked.model)
                permitted = key_policy.permitted(key, call.route)
                candidates = _offering(permitted, endpoint, call.route)
                call.routed_at = clock.monotonic_s()
                if self._pipeline.treasury is not None:
                    asking = _asking(call, candidates, settings, asked)
                    candidates = await admission.admitted(self._pipeline.treasury, asking)
                call.admitted_at = clock.monotonic_s()
                timers, streaming = _pace(settings.timers, endpoint, asked)
                before = call.charge.goes_out if call.charge is not None else None
                crossing = Crossing(key.account_id, call.trace, timers, streaming, before)
                sending = _Sending(call, client, endpoint, asked, settings, crossing)
                if not call.stream or (isinstance(asked, Upload) and not asked.ended):
                    # While a request is still on its way nobody waits for a sign of life.
                    return await self._send(sending, candidates)
                with Delivery(client) as call.delivery:
                    _open_before(call.delivery, call)
                    return await self._send(sending, candidates)
            finally:
                if isinstance(asked, Upload):
                    await asked.close()

    def _asked(self, client: EndpointClient, endpoint: Endpoint) -> Upload | None:
        """A form, of which nothing has been read; None when it is JSON that is to come."""
        content_type = client.content_type
        if endpoint not in FORMS or (endpoint == "image_edits" and not multipart.is_form(content_type)):
            return None
        return Upload(client.pieces(), multipart.read_boundary(content_type), self._uploads())

    async def _send(self, sending: _Sending, candidates: Sequence[Deployment]) -> bytes | None:
        """One attempt at a time. The next one stays possible until something of an answer has gone to the client, or
        something of the request is gone that was on its way through."""
        call, record = sending.call, self._record
        deployment, *left = candidates
        while True:
            call.deployment = deployment
            call.attempts += 1
            call.warnings = [*call.charge.warnings] if call.charge is not None else []
            try:
                answer = await self._attempt(sending, deployment)
            except (UpstreamError, Unavailable) as error:
                record.attempt(call, error)
                if call.charge is not None and not sending.has_begun:
                    call.charge.failed()
                following = attempts.following(error, deployment, left) if sending.may_be_sent_again else ()
                if not following:
                    raise
                deployment, *left = following
            else:
                record.attempt(call, None)
                return answer

    async def _attempt(self, sending: _Sending, deployment: Deployment) -> bytes | None:
        call = sending.call
        reach = sending.settings.reach(deployment, PROTOCOL)
        if call.charge is not None:
            await call.charge.sends(deployment)
        since, call.answered_at = clock.monotonic_s(), 0.0
        try:
            if isinstance(sending.asked, EmbeddingsRequest):
                return await self._embed(sending, sending.asked, reach)
            response = await self._request(sending, reach, _content(sending.asked, reach))
            since = _answered(call, since)
            try:
                return await self._answer(sending, reach, response)
            finally:
                response.close()
        finally:
            _answered(call, since)

    async def _request(self, sending: _Sending, reach: Reach, content: Content) -> UpstreamResponse:
        """An answer of status 200."""
        outbound = endpoint_request(reach, sending.endpoint, content, sending.crossing)
        if reach.upstream.signer is not None:
            outbound = await reach.upstream.signer.sign(outbound)
        response = await self._transports[outbound.origin.scheme].send(outbound)
        if response.status != 200:
            try:
                said = await _said(response)
            finally:
                response.close()
            raise faults.refusal(reach.target.provider_id, response.status, response.headers, said)
        return response

    async def _answer(self, sending: _Sending, reach: Reach, response: UpstreamResponse) -> bytes | None:
        kind = _kind(response.headers, sending.endpoint)
        delivery = sending.call.delivery
        if kind.startswith(EVENTS):
            await self._relay(sending, reach, response)
            return None
        if delivery is not None and delivery.started:
            raise UpstreamFailed("The provider answered without a stream though one was asked for.")
        if sending.endpoint not in OF_ANY_KIND or _is_json(kind):
            return await _measured(sending, reach, await response.read(ANSWER_LIMIT_BYTES))
        if delivery is not None:
            raise UpstreamFailed("The provider answered with bytes though a stream of events was asked for.")
        await _pass_bytes(sending, response, kind)
        return None

    async def _relay(self, sending: _Sending, reach: Reach, response: UpstreamResponse) -> None:
        call = sending.call
        if call.delivery is None:
            with Delivery(sending.client) as call.delivery:
                _open_before(call.delivery, call)
                await self._relay(sending, reach, response)
            return
        call.stream = True
        stream, charge = EventPassage(lambda facts: _error_of(reach, facts)), call.charge

        async def settled() -> None:
            if charge is not None:
                charge.images = stream.completed if sending.endpoint in PICTURES else 0
                call.relayed_at = clock.monotonic_s()
                await charge.settle(stream.usage)

        if charge is not None:
            charge.streams(stream)
        try:
            await relay(response, stream, call.delivery, settled)
        finally:
            call.usage = stream.usage
            call.first_event_at = call.delivery.first_event_at

    async def _embed(self, sending: _Sending, asked: EmbeddingsRequest, reach: Reach) -> bytes:
        """All vectors of a call come from one deployment: those of different models are not alike."""
        call, target = sending.call, reach.target
        drops = [name for name in target.drops if name in asked.fields]
        call.warnings += [
            f"dropped {name}: not supported by {target.model_id}" for name in drops if name != "encoding_format"
        ]
        parts = list(asked.parts(reach.upstream.row.embeddings_at_once))
        places = asyncio.Semaphore(PARTS_AT_ONCE)

        async def answer(part: Sequence[Raw] | None) -> EmbeddingsAnswer:
            async with places:
                body = asked.body(target.upstream, part, drops)
                response = await self._request(sending, reach, Content(JSON, body))
                try:
                    said = await response.read(ANSWER_LIMIT_BYTES)
                finally:
                    response.close()
            answer = openai_embeddings.read_answer(said, asked.count if part is None else len(part))
            if answer.error is not None:
                raise _error_of(reach, answer.error)
            return answer

        answers = [await answer(parts[0])] if len(parts) == 1 else await _all(answer(part) for part in parts)
        if all(answer.usage is not None for answer in answers):
            call.usage = openai_embeddings.used(answers)
        length = sum(len(answer.body) for answer in answers)
        whole = await worked(length, lambda: openai_embeddings.joined(answers, asked.encoding))
        if call.charge is not None:
            told = call.usage
            call.usage = call.charge.price(told, 0)
            whole = openai_embeddings.billed(whole, call.usage, replaced=told is None)
            call.relayed_at = clock.monotonic_s()
            await call.charge.settle()
        return _shown(sending, whole)


def _asking(call: Call, candidates: Sequence[Deployment], settings: LiveSettings, asked: Asked) -> Asking:
    if isinstance(asked, Upload):
        length = asked.length(asked.model)
        demand = endpoint_demand.form_demand(call.endpoint, asked.values, length=length, files=asked.files)
        return Asking(call, candidates, settings, demand, lambda: demand.input_tokens)
    call.end_user = end_user(asked.fields)
    demand = endpoint_demand.demand(call.endpoint, asked.fields)
    if isinstance(asked, EmbeddingsRequest):
        return Asking(call, candidates, settings, demand, lambda: openai_embeddings.estimated_input(asked))
    return Asking(call, candidates, settings, demand, lambda: tokens_of(demand.text_bytes))


async def _read(client: EndpointClient, endpoint: Endpoint) -> EmbeddingsRequest | PassageRequest:
    body = await client.body()
    if endpoint == "embeddings":
        return openai_embeddings.read_request(body)
    return passage.read_request(body, DEFAULT_MODELS.get(endpoint))


def _offering(permitted: Sequence[Deployment], endpoint: Endpoint, route: Route) -> Sequence[Deployment]:
    """Those whose provider has the endpoint, in their order. Raises InvalidRequest when none has."""
    offering = [deployment for deployment in permitted if endpoint in deployment.provider.offers]
    if not offering:
        names = ", ".join(dict.fromkeys(deployment.provider_id for deployment in permitted))
        raise InvalidRequest(
            f"No provider of the model {route.asked!r} has the endpoint /v1{PATHS[endpoint].decode()}: {names}.",
            code="unsupported_endpoint",
            param="model",
        )
    return offering


def _pace(timers: Timers, endpoint: Endpoint, asked: Asked) -> tuple[Timers, bool]:
    """The timers of the answer, and whether it is read piece by piece."""
    if isinstance(asked, Upload):
        # Whether it is to be streamed may stand behind the file.
        return (timers if asked.stream else msgspec.structs.replace(timers, first_byte_s=timers.total_s)), True
    return timers, isinstance(asked, PassageRequest) and (asked.stream or endpoint == "speech")


def _content(asked: PassageRequest | Upload, reach: Reach) -> Content:
    model = reach.target.upstream
    if isinstance(asked, PassageRequest):
        return Content(JSON, asked.body(model))
    whole = asked.whole(model)
    if whole is not None:
        return Content(asked.kind, whole)
    return Content(asked.kind, pieces=asked.pieces(model), length=asked.length(model))


def _answered(call: Call, since: float) -> float:
    """What has passed since then was the provider's time. Returns now."""
    call.answered_at = clock.monotonic_s()
    call.upstream_s += call.answered_at - since
    return call.answered_at


async def _said(response: UpstreamResponse) -> bytes:
    """The beginning of a refusal. One that breaks off is a refusal all the same."""
    said = bytearray()
    try:
        while len(said) < REFUSAL_LIMIT_BYTES and (piece := await response.chunk()):
            said += piece
    except UpstreamError:
        pass
    return bytes(said[:REFUSAL_LIMIT_BYTES])


def _error_of(reach: Reach, facts: ErrorFacts) -> UpstreamError:
    return faults.from_facts(reach.target.provider_id, facts.status or 502, facts)


def _kind(headers: Headers, endpoint: Endpoint) -> bytes:
    """The answer's `content-type`, in lower case; one that is missing is what the endpoint mostly answers."""
    found = next((value for name, value in headers if name == b"content-type"), b"")
    if not found:
        return BYTES if endpoint == "speech" else JSON
    return found.strip().lower()


def _is_json(kind: bytes) -> bool:
    essence = kind.partition(b";")[0].rstrip()
    return essence in (JSON, b"text/json") or essence.endswith(b"+json")


async def _measured(sending: _Sending, reach: Reach, body: bytes) -> bytes:
    facts, call = passage.read_answer(body), sending.call
    if facts.error is not None:
        raise _error_of(reach, facts.error)
    call.usage = facts.usage
    if call.charge is not None:
        call.charge.images = passage.pictures(body) if sending.endpoint in PICTURES else 0
        call.charge.price(facts.usage, 0)
        call.relayed_at = clock.monotonic_s()
        await call.charge.settle()
    return _shown(sending, body)


def _open_before(delivery: Delivery, call: Call) -> None:
    if call.charge is not None:
        delivery.before_start = call.charge.begins


def _shown(sending: _Sending, body: bytes) -> bytes:
    """The answer with the model's name as the caller wrote it, where the settings want that and it has one."""
    if not sending.settings.compat.restamp_model or b'"model"' not in body:
        return body
    return passage.renamed(body, sending.asked.model)


async def _pass_bytes(sending: _Sending, response: UpstreamResponse, kind: bytes) -> None:
    """As they come, no faster than they are taken. The first of them are here before anything goes out."""
    client, call = sending.client, sending.call
    piece = await response.chunk()
    shown = kind if kind.startswith(PASSED_KINDS) and kind.isascii() and len(kind) <= LONGEST_KIND else BYTES
    charge, length = call.charge, _length(response.headers)
    passing = _Passing(call, is_sound=sending.endpoint == "speech")
    if charge is not None:
        await charge.begins()
        charge.streams(passing)
    sending.bytes_out = True
    call.first_event_at = clock.monotonic_s()
    await client.begin(shown, length)
    while piece:
        passing.sent += len(piece)
        if passing.sent == length and charge is not None:
            # These are the last, and whoever counts them knows that he has all.
            call.relayed_at = clock.monotonic_s()
            await charge.settle()
        await client.write(piece)
        piece = await response.chunk()
    call.relayed_at = clock.monotonic_s()
    if charge is not None:
        await charge.settle()


def _length(headers: Headers) -> int | None:
    found = next((value for name, value in headers if name == b"content-length"), b"")
    return int(found) if found.isdigit() else None


async def _all(answers: Iterable[Coroutine[None, None, EmbeddingsAnswer]]) -> list[EmbeddingsAnswer]:
    """All of them in their order. The first that fails ends the others."""
    tasks = [asyncio.ensure_future(answer) for answer in answers]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
