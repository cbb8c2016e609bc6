"""The two ways of one attempt: passed on in the caller's own protocol, or translated into the provider's.

| caller and deployment speak | way     | request                          | answer                               |
|-----------------------------|---------|----------------------------------|--------------------------------------|
| the same protocol           | Passed  | his own body, edited at the top  | as it comes, checked and measured    |
| different ones              | Crossed | read, kept state put back, write | read, state kept, written in his own |
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from trunkline import clock
from trunkline.errors import UpstreamError, UpstreamFailed
from trunkline.ids import AccountId, CallId
from trunkline.pipeline.protocols import CallerProtocol, Editor, Edits, Measured
from trunkline.pipeline.relay import EventStream
from trunkline.pipeline.translating import length_of, worked
from trunkline.ports.responses import DAY_S
from trunkline.ports.sidecar import SidecarStore
from trunkline.providers import faults
from trunkline.providers.adapter import Outgoing, Reach
from trunkline.providers.protocols import ProviderProtocol
from trunkline.providers.transport import Headers
from trunkline.translation import continuity, estimate
from trunkline.translation.collect import Collector
from trunkline.translation.exchange import (
    Answer,
    Began,
    CallBegan,
    Event,
    Finished,
    ReasoningDelta,
    Request,
    StateCame,
    Stop,
    TextDelta,
)
from trunkline.translation.losses import Losses
from trunkline.translation.streams import CrossedStream, StreamWriter
from trunkline.translation.target import Target
from trunkline.wire.inbound import Inbound
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.usage import Usage, tier_of

if TYPE_CHECKING:
    from trunkline.translation.structured import Emulation


class Sidecar(msgspec.Struct, frozen=True):
    """Where state is kept for clients that cannot carry it, and for how many days."""

    store: SidecarStore
    days: int


FINISH_REASONS: Mapping[Stop, str] = {
    "end": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool": "tool_calls",
    "filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
}
"""For the log, where no protocol's own word was passed on."""

LastWords = Callable[[str, str, str | None], Awaitable[bytes]]
"""Error type, message and code to the last event of a stream, once what is to be kept of it is."""


class StructuredRoom(Protocol):
    """trunkline.translation.structured, as far as it is used here."""

    MOST_REPAIRS: int
    Emulation: type[Emulation]


class Pen(Protocol):
    """Writes the caller's answer where more goes into it than the provider's: ids of ours, what the caller asked."""

    @property
    def response_id(self) -> str: ...
    def whole(self, answer: Answer, request: Request) -> bytes: ...
    def writer(self, request: Request) -> StreamWriter: ...

    async def failed(self, kind: str, message: str, code: str | None) -> bytes:
        """The last event of a stream that has begun: LastWords."""
        ...

    async def keep(self) -> None:
        """What was written is kept. Raises StoreUnavailable."""
        ...


class Asked(msgspec.Struct):
    """One call's request and what every attempt at it shares. `headers` are the caller's own that belong to his
    protocol, such as its version: they go with his body where that is passed on. `shown_model` is the name that the
    answer is to carry; None: what the provider reports. `may_pass`: a provider of the protocol may get the body as it
    is. `request` is read when the first crossing needs it. Without a `pen`, the protocol's own translator writes the
    answer. `total_s` takes the place of the setting of that name. `charge` prices the answer, where calls cost
    something."""

    protocol: CallerProtocol
    inbound: Inbound
    account_id: AccountId
    call_id: CallId
    headers: Headers = []
    shown_model: str | None = None
    strict: bool = False
    may_pass: bool = True
    request: Request | None = None
    pen: Pen | None = None
    total_s: float | None = None
    charge: Pricing | None = None


class Pricing(Protocol):
    """pipeline.charge.Charge, as far as it is used here."""

    @property
    def warnings(self) -> Sequence[str]: ...

    def price(self, usage: Usage | None, seen_tokens: int | None = None) -> Usage: ...


class Keeper(Protocol):
    """Holds the state of a protocol that has some."""

    async def pen(self, asked: Asked) -> Pen:
        """Puts what the call goes on from into `asked.inbound`. Raises InvalidRequest, NotFound, StoreUnavailable."""
        ...

    async def admitted(self) -> None:
        """The call of the pen that was made last will be sent. Raises StoreUnavailable."""
        ...


class Way(Protocol):
    """`warnings` are sentences about what the provider does not see as it was sent. `last_words` writes the event that
    ends a stream which failed, where it depends on what came before. `response_id` is what the caller's answer is
    called, `finish_reason` why it ended: in the provider's word where it was passed on."""

    warnings: list[str]
    usage: Usage | None

    @property
    def response_id(self) -> str | None: ...
    @property
    def finish_reason(self) -> str | None: ...

    @property
    def last_words(self) -> LastWords | None: ...

    async def outgoing(self) -> Outgoing:
        """Raises InvalidRequest for what this deployment cannot be told, StoreUnavailable."""
        ...

    def whole(self, body: bytes) -> bytes:
        """The caller's answer; b"" when `outgoing` is to be sent again. Raises UpstreamError when it is none."""
        ...

    def stream(self) -> EventStream: ...

    async def keep(self) -> None:
        """What later calls will need of the answer is on disk. Awaited before its end goes out."""
        ...


def _error_of(provider_id: str, facts: ErrorFacts) -> UpstreamError:
    return faults.from_facts(provider_id, facts.status or 502, facts)


class Passed:
    __slots__ = ("_answer", "_asked", "_reach", "_stream", "usage", "warnings")

    def __init__(self, asked: Asked, reach: Reach) -> None:
        self._asked = asked
        self._reach = reach
        self._stream: Editor | None = None
        self._answer: Measured | Editor | None = None
        self.warnings: list[str] = _warned(asked)
        self.usage: Usage | None = None

    @property
    def response_id(self) -> str | None:
        return self._answer.response_id if self._answer is not None else None

    @property
    def finish_reason(self) -> str | None:
        return self._answer.finish_reason if self._answer is not None else None

    @property
    def last_words(self) -> LastWords | None:
        return self._last_words if self._asked.protocol.last_words is not None else None

    async def _last_words(self, kind: str, message: str, code: str | None) -> bytes:
        words = self._asked.protocol.last_words
        assert words is not None
        return words(self._stream, kind, message, code)

    async def outgoing(self) -> Outgoing:
        asked, target = self._asked, self._reach.target
        spoken, headers = asked.protocol.spoken, asked.headers
        body = asked.protocol.passed_body(asked.inbound, target, self.warnings)
        if spoken.finished is not None:
            body = spoken.finished(body, target)
        if spoken.headers is not None:
            # His version goes with his body; ours only where he says none.
            said = {name for name, _ in headers}
            headers = [*headers, *(one for one in spoken.headers(target) if one[0] not in said)]
        return Outgoing(spoken.path_of(target, asked.inbound), body, headers)

    def whole(self, body: bytes) -> bytes:
        asked = self._asked
        self._answer = answer = asked.protocol.measure(body)
        self.usage = answer.usage
        if answer.error is not None:
            raise _error_of(self._reach.target.provider_id, answer.error)
        if asked.shown_model is not None:
            body = asked.protocol.renamed(body, asked.shown_model)
        if asked.charge is None:
            return body
        told = self.usage
        if told is not None:
            self.usage = asked.charge.price(told)
            return asked.protocol.billed(body, self.usage, replaced=False)
        self.usage = asked.charge.price(None, asked.protocol.estimated_output(body))
        return asked.protocol.billed(body, self.usage, replaced=True)

    def stream(self) -> EventStream:
        asked, target = self._asked, self._reach.target
        edits = Edits(
            model=asked.shown_model,
            error=lambda facts: _error_of(target.provider_id, facts),
            price=asked.charge.price if asked.charge is not None else None,
        )
        self._stream = self._answer = asked.protocol.editor(asked.inbound, target, edits)
        return self._stream

    async def keep(self) -> None:
        """The caller has it all."""


class Crossed:
    """`upstream` is the protocol that the deployment speaks. `sidecar`: None where nothing is kept."""

    __slots__ = (
        "_answer",
        "_asked",
        "_emulation",
        "_has_state",
        "_reach",
        "_repairs",
        "_seen",
        "_sidecar",
        "_stop",
        "_stream",
        "_texts",
        "_upstream",
        "_written",
        "usage",
        "warnings",
    )

    def __init__(self, asked: Asked, reach: Reach, upstream: ProviderProtocol, sidecar: Sidecar | None) -> None:
        self._asked = asked
        self._reach = reach
        self._upstream = upstream
        self._sidecar = sidecar
        self._emulation: Emulation | None = None
        self._repairs = 0
        self._answer: Answer | None = None
        self._seen: list[Event] = []
        self._has_state = False
        self._texts: dict[int, int] = {}
        self._stream: CrossedStream | None = None
        self._written = b""
        self._stop: Stop | None = None
        self.warnings: list[str] = _warned(asked)
        self.usage: Usage | None = None

    @property
    def response_id(self) -> str | None:
        """As it was written, for what the provider called it may not look as the caller's protocol has it."""
        if self._asked.pen is not None:
            return self._asked.pen.response_id
        written = self._written if self._stream is None else self._stream.first_written
        return self._asked.protocol.id_in(written) if written else None

    @property
    def finish_reason(self) -> str | None:
        return FINISH_REASONS[self._stop] if self._stop is not None else None

    @property
    def last_words(self) -> LastWords | None:
        return self._asked.pen.failed if self._asked.pen is not None else None

    async def outgoing(self) -> Outgoing:
        target = self._reach.target
        request = await self._request()
        upstream = self._upstream
        if self._emulation is None and _has_schema(request) and not _keeps_to_schema(request, target, upstream):
            self._emulation = _emulation(request, target)
        if self._emulation is not None:
            request = self._emulation.request
        losses = Losses(target.model_id, request.names, strict=self._asked.strict)
        if request.needs and request.protocol != upstream.name:
            raise losses.refused(
                request.needs[0], f"rests on what is kept in the protocol it is from; {target.model_id} has another."
            )
        body = await worked(length_of(self._asked.inbound), lambda: upstream.written(request, target, losses))
        self.warnings = [*_warned(self._asked), *losses.warnings]
        headers = upstream.headers(target) if upstream.headers is not None else []
        return Outgoing(upstream.path_of(target, self._asked.inbound), body, headers)

    async def _request(self) -> Request:
        """The caller's request in neutral form, with the state that his client could not carry."""
        asked, sidecar = self._asked, self._sidecar
        if asked.request is None:
            read = asked.protocol.spoken.translator.read_request
            asked.request = await worked(length_of(asked.inbound), lambda: read(asked.inbound))
            missing = continuity.missing(asked.request) if sidecar is not None else []
            if missing and sidecar is not None:
                continuity.restore(asked.request, await sidecar.store.find(asked.account_id, missing))
        return asked.request

    def whole(self, body: bytes) -> bytes:
        asked = self._asked
        assert asked.request is not None, "the request was written first"
        answer = self._upstream.translator.read_answer(body, self._reach.target)
        if answer.usage is not None and answer.usage.service_tier is None:
            answer.usage.service_tier = tier_of(answer.service_tier)
        self._count(answer.usage)
        if self._emulation is not None and self._is_to_repair(self._emulation, answer):
            return b""
        if asked.charge is not None:
            seen = None if self.usage is not None else estimate.output_tokens(answer)
            self.usage = asked.charge.price(self.usage, seen)
        answer.usage = self.usage
        self._answer = answer
        self._stop = answer.choices[0].stop if answer.choices else None
        answer.id, answer.model, answer.created = self._identity(answer.id, answer.model, answer.created)
        if asked.pen is not None:
            return asked.pen.whole(answer, asked.request)
        self._written = asked.protocol.spoken.translator.write_answer(answer, asked.request)
        return self._written

    def stream(self) -> EventStream:
        asked, target = self._asked, self._reach.target
        assert asked.request is not None, "the request was written first"
        reader = self._upstream.translator.reader(target, lambda facts: _error_of(target.provider_id, facts))
        write = asked.pen.writer if asked.pen is not None else asked.protocol.spoken.translator.writer
        price = asked.charge.price if asked.charge is not None else None
        self._stream = CrossedStream(reader, write(asked.request), self._watch, price)
        return self._stream

    async def keep(self) -> None:
        answer = self._answer
        if answer is None and self._has_state:
            collector = Collector()
            collector.take(self._seen)
            answer = collector.answer()
        if answer is not None and self._sidecar is not None and (kept := continuity.to_keep(answer)):
            expires_at = clock.now_s() + self._sidecar.days * DAY_S
            await self._sidecar.store.put(self._asked.account_id, kept, expires_at)
        if self._asked.pen is not None:
            await self._asked.pen.keep()

    def _count(self, usage: Usage | None) -> None:
        """A repaired answer cost all its attempts."""
        self.usage = usage.plus(self.usage) if usage is not None and self.usage is not None else usage or self.usage

    def _is_to_repair(self, emulation: Emulation, answer: Answer) -> bool:
        wrong = emulation.whole(answer)
        if wrong is None:
            return False
        if self._repairs == structured().MOST_REPAIRS:
            if self._asked.charge is not None and self.usage is not None:
                self._asked.charge.price(self.usage)  # nobody pays for it but we
            raise self._unfit(wrong)
        self._repairs += 1
        emulation.repair(answer, wrong)
        return True

    def _unfit(self, wrong: str) -> UpstreamFailed:
        return UpstreamFailed(
            f"{self._reach.target.model_id} did not keep to the schema. {wrong}", code="schema_not_met"
        )

    def _watch(self, events: list[Event]) -> list[Event]:
        """What the answer is called, and what of it later calls may need."""
        for event in events:
            kind = type(event)
            if isinstance(event, TextDelta):
                self._texts[event.choice] = event.part
            elif isinstance(event, StateCame):
                # That of a text is no call's, and nothing else of the text is kept.
                if self._texts.get(event.choice) != event.part:
                    self._has_state = True
                    self._seen.append(event)
            elif isinstance(event, Finished):
                self._stop = event.stop
            elif kind is CallBegan or kind is ReasoningDelta:
                self._seen.append(event)
            elif isinstance(event, Began):
                event.id, event.model, event.created = self._identity(event.id, event.model, event.created)
        return events if self._emulation is None else self._emulated(self._emulation, events)

    def _emulated(self, emulation: Emulation, events: list[Event]) -> list[Event]:
        crossed = []
        for event in events:
            crossing = emulation.crossed(event)
            if isinstance(crossing, Finished) and crossing.stop == "end" and (wrong := emulation.streamed()):
                raise self._unfit(wrong)
            if crossing is not None:
                crossed.append(crossing)
        return crossed

    def _identity(self, answer_id: str, model: str, created: int) -> tuple[str, str, int]:
        """Not every provider says them all."""
        asked = self._asked
        return (
            answer_id or asked.call_id.removeprefix("call_"),
            asked.shown_model or model or self._reach.target.upstream,
            created or int(clock.now_s()),
        )


def _warned(asked: Asked) -> list[str]:
    return [*asked.charge.warnings] if asked.charge is not None and asked.charge.warnings else []


def _has_schema(request: Request) -> bool:
    return request.output_format is not None and request.output_format.kind == "json_schema"


def _keeps_to_schema(request: Request, target: Target, upstream: ProviderProtocol) -> bool:
    """Whether the provider sees to it that the answer fits."""
    form = request.output_format
    assert form is not None
    return target.json_schema is not False and (form.schema is None or upstream.translator.takes_schema(form.schema))


def _emulation(request: Request, target: Target) -> Emulation:
    return structured().Emulation(request, by_tool=target.tools is True and not request.tools)


@functools.cache
def structured() -> StructuredRoom:
    """What checks schemas is large, and few calls need it."""
    room: StructuredRoom = importlib.import_module("trunkline.translation.structured")
    return room
