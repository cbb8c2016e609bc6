"""The two ways of one attempt: passed on in the caller's own protocol, or translated into the provider's.

| caller and deployment speak | way     | request                          | answer                               |
|-----------------------------|---------|----------------------------------|--------------------------------------|
| the same protocol           | Passed  | his own body, edited at the top  | as it comes, checked and measured    |
| different ones              | Crossed | read, kept state put back, write | read, state kept, written in his own |
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from trunkline import clock
from trunkline.errors import UpstreamError
from trunkline.ids import AccountId, CallId
from trunkline.pipeline.protocols import CallerProtocol, ProviderProtocol
from trunkline.pipeline.relay import EventStream
from trunkline.ports.responses import DAY_S
from trunkline.ports.sidecar import SidecarStore
from trunkline.providers import faults
from trunkline.providers.adapter import Outgoing, Reach
from trunkline.providers.transport import Headers
from trunkline.translation import continuity
from trunkline.translation.collect import Collector
from trunkline.translation.exchange import Answer, Began, CallBegan, Event, ReasoningDelta, Request, StateCame
from trunkline.translation.losses import Losses
from trunkline.translation.streams import CrossedStream, StreamWriter
from trunkline.wire.inbound import Inbound
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.usage import Usage


class Sidecar(msgspec.Struct, frozen=True):
    """Where state is kept for clients that cannot carry it, and for how many days."""

    store: SidecarStore
    days: int


class Asked(msgspec.Struct):
    """One call's request and what every attempt at it shares. `headers` are the caller's own that belong to his
    protocol, such as its version: they go with his body where that is passed on. `shown_model` is the name that the
    answer is to carry; None: what the provider reports. `request` is read when the first crossing needs it."""

    protocol: CallerProtocol
    inbound: Inbound
    account_id: AccountId
    call_id: CallId
    headers: Headers = []
    shown_model: str | None = None
    strict: bool = False
    request: Request | None = None


class Way(Protocol):
    """`warnings` are sentences about what the provider does not see as it was sent."""

    warnings: list[str]
    usage: Usage | None

    async def outgoing(self) -> Outgoing:
        """Raises InvalidRequest for what this deployment cannot be told, StoreUnavailable."""
        ...

    def whole(self, body: bytes) -> bytes:
        """The caller's answer. Raises UpstreamError when the provider's is none."""
        ...

    def stream(self) -> EventStream: ...

    async def keep(self) -> None:
        """What later calls will need of the answer is on disk. Awaited before its end goes out."""
        ...


def _error_of(provider_id: str, facts: ErrorFacts) -> UpstreamError:
    return faults.from_facts(provider_id, facts.status or 502, facts)


class Passed:
    __slots__ = ("_asked", "_reach", "usage", "warnings")

    def __init__(self, asked: Asked, reach: Reach) -> None:
        self._asked = asked
        self._reach = reach
        self.warnings: list[str] = []
        self.usage: Usage | None = None

    async def outgoing(self) -> Outgoing:
        asked, target = self._asked, self._reach.target
        protocol = asked.protocol
        body = protocol.passed_body(asked.inbound, target, self.warnings)
        return Outgoing(protocol.spoken.path(target, asked.inbound.stream), body, asked.headers)

    def whole(self, body: bytes) -> bytes:
        asked = self._asked
        self.usage, error = asked.protocol.measure(body)
        if error is not None:
            raise _error_of(self._reach.target.provider_id, error)
        if asked.shown_model is not None:
            return asked.protocol.renamed(body, asked.shown_model)
        return body

    def stream(self) -> EventStream:
        asked, target = self._asked, self._reach.target
        return asked.protocol.editor(
            asked.inbound, target, asked.shown_model, lambda facts: _error_of(target.provider_id, facts)
        )

    async def keep(self) -> None:
        """The caller has it all."""


class Crossed:
    """`upstream` is the protocol that the deployment speaks. `sidecar`: None where nothing is kept."""

    __slots__ = (
        "_answer",
        "_asked",
        "_has_state",
        "_reach",
        "_seen",
        "_sidecar",
        "_upstream",
        "usage",
        "warnings",
        "writer",
    )

    def __init__(self, asked: Asked, reach: Reach, upstream: ProviderProtocol, sidecar: Sidecar | None) -> None:
        self._asked = asked
        self._reach = reach
        self._upstream = upstream
        self._sidecar = sidecar
        self._answer: Answer | None = None
        self._seen: list[Event] = []
        self._has_state = False
        self.writer: StreamWriter | None = None
        self.warnings: list[str] = []
        self.usage: Usage | None = None

    async def request(self) -> Request:
        """The caller's request in neutral form, with the state that his client could not carry."""
        asked = self._asked
        if asked.request is None:
            asked.request = asked.protocol.spoken.translator.read_request(asked.inbound)
            missing = continuity.missing(asked.request) if self._sidecar is not None else []
            if missing and self._sidecar is not None:
                continuity.restore(asked.request, await self._sidecar.store.find(asked.account_id, missing))
        return asked.request

    async def outgoing(self) -> Outgoing:
        target = self._reach.target
        request = await self.request()
        losses = Losses(target.model_id, request.names, strict=self._asked.strict)
        body = self._upstream.translator.write_request(request, target, losses)
        self.warnings = losses.warnings
        return Outgoing(self._upstream.path(target, request.stream), body, self._upstream.headers(target))

    def whole(self, body: bytes) -> bytes:
        request = self._asked.request
        assert request is not None, "the request was written first"
        answer = self._upstream.translator.read_answer(body, self._reach.target)
        self._answer = answer
        self.usage = answer.usage
        answer.id, answer.model, answer.created = self._identity(answer.id, answer.model, answer.created)
        return self.written(answer, request)

    def written(self, answer: Answer, request: Request) -> bytes:
        return self._asked.protocol.spoken.translator.write_answer(answer, request)

    def stream(self) -> EventStream:
        request = self._asked.request
        assert request is not None, "the request was written first"
        target = self._reach.target
        reader = self._upstream.translator.reader(target, lambda facts: _error_of(target.provider_id, facts))
        self.writer = self.writing(request)
        return CrossedStream(reader, self.writer, self._watch)

    def writing(self, request: Request) -> StreamWriter:
        return self._asked.protocol.spoken.translator.writer(request)

    async def keep(self) -> None:
        answer = self._answer
        if answer is None and self._has_state:
            collector = Collector()
            collector.take(self._seen)
            answer = collector.answer()
        if answer is None or self._sidecar is None:
            return
        kept = continuity.to_keep(answer)
        if kept:
            expires_at = clock.now_s() + self._sidecar.days * DAY_S
            await self._sidecar.store.put(self._asked.account_id, kept, expires_at)

    def _watch(self, events: list[Event]) -> None:
        """What the answer is called, and what of it later calls may need."""
        for event in events:
            kind = type(event)
            if kind is StateCame:
                self._has_state = True
                self._seen.append(event)
            elif kind is CallBegan or kind is ReasoningDelta:
                self._seen.append(event)
            elif isinstance(event, Began):
                event.id, event.model, event.created = self._identity(event.id, event.model, event.created)

    def _identity(self, answer_id: str, model: str, created: int) -> tuple[str, str, int]:
        """Not every provider says them all."""
        asked = self._asked
        return (
            answer_id or asked.call_id.removeprefix("call_"),
            asked.shown_model or model or self._reach.target.upstream,
            created or int(clock.now_s()),
        )
