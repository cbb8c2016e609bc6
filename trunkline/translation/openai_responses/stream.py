"""A streamed answer to a caller of this protocol; `Reader`, for a provider's, is handed on from here.

The order of events is that of the `openai` package's lib/streaming/responses, which holds a stream to it: created,
in_progress, each item from added to done, one terminal event with everything. Items follow each other, so what comes of
another part while a call's arguments are unfinished waits for its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.translation.collect import Collector
from trunkline.translation.exchange import (
    ArgumentsDelta,
    Began,
    CallBegan,
    Ended,
    Event,
    Finished,
    Opaque,
    PartCame,
    PartEnded,
    ReasoningDelta,
    RefusalDelta,
    Request,
    State,
    StateCame,
    Stop,
    Text,
    TextDelta,
    ToolCall,
    Usage,
    Used,
)
from trunkline.translation.openai_responses.answer import write_kept
from trunkline.translation.openai_responses.asked import PROTOCOL
from trunkline.translation.openai_responses.items import PHASE, call_prefix
from trunkline.translation.openai_responses.open_items import OpenCall, OpenItem, OpenMessage, OpenReasoning, Place
from trunkline.translation.openai_responses.output import (
    CARRIER,
    ImageItem,
    ItemStatus,
    fitting_annotations,
    fitting_logprobs,
)
from trunkline.translation.openai_responses.reader import Reader as Reader
from trunkline.translation.openai_responses.response import (
    Identity,
    Origin,
    Outcome,
    ResponseObject,
    failure,
    outcome,
)
from trunkline.wire import codec, sse

_decode_any = msgspec.json.Decoder().decode


class Writer:
    """Takes events, returns whole server-sent events, numbered from 0.

    `final` is the whole Response object once the terminal event is written; `kept`, for an Identity, is what is to be
    kept of it. `response_id` is known from the first event on.
    """

    __slots__ = (
        "_calls",
        "_collector",
        "_identity",
        "_item",
        "_items",
        "_kinds",
        "_number",
        "_out",
        "_phase",
        "_refused",
        "_request",
        "_response",
        "_stop",
        "_take",
        "_usage",
        "_waiting",
        "final",
        "holding",
        "kept",
    )

    def __init__(self, request: Request, identity: Identity | None = None) -> None:
        self._request = request
        self._identity = identity
        self._response: ResponseObject | None = None
        self._out: list[bytes] = []
        self._number = 0
        self._items: list[bytes] = []
        self._item: OpenItem | None = None
        self._phase: Raw | None = None
        self._kinds: dict[int, str] = {}
        self._calls: dict[int, ToolCall] = {}
        self._waiting: dict[int, list[Any]] = {}
        self._stop: Stop | None = None
        self._refused = False
        self._usage: Usage | None = None
        self._collector = Collector() if identity is not None else None
        self.final: bytes | None = None
        self.kept: bytes | None = None
        self.holding = False
        self._take: dict[type[Any], Callable[[Any], None]] = {
            TextDelta: self._text,
            RefusalDelta: self._refusal,
            ReasoningDelta: self._reasoning,
            CallBegan: self._call,
            ArgumentsDelta: self._arguments,
            StateCame: self._state,
            PartCame: self._whole,
            PartEnded: self._part_ended,
        }

    @property
    def response_id(self) -> str:
        """Empty before it is known."""
        if self._response is not None:
            return self._response.id
        return self._identity.response_id if self._identity is not None else ""

    def write(self, events: Iterable[Event]) -> bytes:
        if self._collector is not None:
            events = list(events)
            self._collector.take(events)
        for event in events:
            kind = type(event)
            if kind in self._take:
                self._part_event(event)
            elif isinstance(event, Began):
                self._began(event)
            elif isinstance(event, Finished):
                self._finished(event)
            elif isinstance(event, Used):
                self._usage = event.usage
            elif isinstance(event, Ended):
                self._end()
        return self._take_out()

    def release(self) -> bytes:
        """The terminal event, although the usage has not come."""
        if self.holding:
            self._end()
        return self._take_out()

    def failed(self, code: str, message: str) -> bytes:
        """The terminal event of a stream that cannot go on. What was finished stands in it."""
        if self.final is None:
            self._begin(Origin(id="", model="", created=0))
            self._terminate(failure(code, message))
            self.kept = self.final
        return self._take_out()

    def _take_out(self) -> bytes:
        data = b"".join(self._out)
        self._out.clear()
        return data

    def _emit(self, name: bytes, fields: bytes) -> None:
        self._out.append(
            b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b}\n\n'
            % (name, name, self._number, sse.on_one_line(fields))
        )
        self._number += 1

    def _began(self, event: Began) -> None:
        self._usage = event.usage or self._usage
        origin = Origin(id=event.id, model=event.model, created=event.created, service_tier=event.service_tier)
        self._begin(origin)

    def _begin(self, origin: Origin) -> None:
        if self._response is not None:
            return
        self._response = ResponseObject(self._request, origin, self._identity)
        if self._identity is not None and self._identity.background:
            self._tell(b"response.created", Outcome("queued"))
            self._tell(b"response.queued", Outcome("queued"))
        else:
            self._tell(b"response.created", Outcome("in_progress"))
        self._tell(b"response.in_progress", Outcome("in_progress"))

    def _tell(self, name: bytes, how: Outcome) -> bytes:
        assert self._response is not None
        usage = self._usage if how.status not in ("queued", "in_progress") else None
        whole = self._response.write(how, self._items, usage)
        self._emit(name, b'"response":' + whole)
        return whole

    def _part_event(self, event: Any) -> None:
        """To where its part stands, or to wait until the open call has its arguments."""
        if event.choice or self._stop is not None:
            return
        part: int = event.part
        item = self._item
        if isinstance(item, OpenCall) and item.part != part and not self._concerns_no_item(event):
            if part in self._waiting or not self._may_leave(item):
                self._waiting.setdefault(part, []).append(event)
            else:
                self._take[type(event)](event)
            return
        self._take[type(event)](event)
        if self._waiting:
            self._go_on()

    def _concerns_no_item(self, event: Any) -> bool:
        """News of a part that has its item already."""
        if type(event) is PartEnded:
            return event.part not in self._waiting
        return type(event) is ArgumentsDelta and event.part in self._calls and event.part not in self._waiting

    def _may_leave(self, item: OpenCall) -> bool:
        """Whether all of the call has come."""
        if item.ended:
            return True
        if item.custom or not item.may_be_complete:
            return False
        try:
            _decode_any(item.arguments())
        except codec.UNREADABLE:
            return False
        return True

    def _go_on(self, *, anyway: bool = False) -> None:
        """The parts that waited, one after the other, as long as the open one is complete."""
        while self._waiting:
            item = self._item
            if isinstance(item, OpenCall) and not anyway and not self._may_leave(item):
                return
            part = next(iter(self._waiting))
            for event in self._waiting.pop(part):
                self._take[type(event)](event)

    def _close(self, status: ItemStatus = "completed") -> None:
        item, self._item = self._item, None
        if item is None:
            return
        self._items.append(item.close(status))
        if isinstance(item, OpenCall):
            self._write_call_state(item.call)

    def _place(self, prefix: str) -> Place:
        """Of the next item; the open one ends."""
        self._close()
        if self._response is None:
            self._begin(Origin(id="", model="", created=0))
        assert self._response is not None
        return Place(self._emit, self._request, self._response.item_id(prefix), len(self._items))

    def _message(self) -> OpenMessage:
        if not isinstance(self._item, OpenMessage) or self._phase is not None:
            place = self._place("msg")
            phase, self._phase = self._phase, None
            self._item = OpenMessage(place, phase)
        return self._item

    def _text(self, event: TextDelta) -> None:
        self._kinds[event.part] = "text"
        if event.text:
            self._message().text(event.part, event.text, fitting_logprobs(event.logprobs, self._request))

    def _refusal(self, event: RefusalDelta) -> None:
        self._kinds[event.part] = "refusal"
        self._refused = True
        if event.text:
            self._message().refusal(event.part, event.text)

    def _reasoning(self, event: ReasoningDelta) -> None:
        self._kinds[event.part] = "reasoning"
        if not event.text:
            return
        if self._request.reasoning.shown:
            self._reasoning_item(event.part).delta(event.text, event.summary)
        else:
            self._close()

    def _reasoning_item(self, part: int) -> OpenReasoning:
        if not isinstance(self._item, OpenReasoning) or self._item.part != part:
            as_summary = self._request.reasoning.summary is not None
            self._item = OpenReasoning(self._place("rs"), part, as_summary=as_summary)
        return self._item

    def _call(self, event: CallBegan) -> None:
        self._kinds[event.part] = "call"
        call = ToolCall(id=event.id, name=event.name, custom=event.custom)
        self._calls[event.part] = call
        self._item = OpenCall(self._place("ctc" if event.custom else "fc"), event.part, call)

    def _arguments(self, event: ArgumentsDelta) -> None:
        item = self._item
        if isinstance(item, OpenCall) and item.part == event.part and event.text:
            item.delta(event.text)

    def _state(self, event: StateCame) -> None:
        kind = self._kinds.get(event.part, "reasoning")
        if kind == "call":
            self._call_state(event)
        elif kind == "reasoning":
            self._kinds[event.part] = kind
            if self._request.reasoning.shown:
                self._reasoning_item(event.part).state = event.state
            else:
                self._close()

    def _call_state(self, event: StateCame) -> None:
        """It goes out behind its call, as hidden reasoning."""
        call = self._calls[event.part]
        call.state = State(event.state.origin, call_prefix(call) + event.state.data)
        item = self._item
        if not isinstance(item, OpenCall) or item.part != event.part:
            self._write_call_state(call)

    def _write_call_state(self, call: ToolCall) -> None:
        asked = self._request.reasoning
        if call.state is None or not (asked.shown and asked.state_wanted):
            return
        item = OpenReasoning(self._place(CARRIER), -1, as_summary=False)
        item.state, call.state = call.state, None
        self._items.append(item.close("completed"))

    def _whole(self, event: PartCame) -> None:
        whole = event.whole
        if isinstance(whole, Text):
            if whole.text:
                self._text(TextDelta(event.choice, event.part, whole.text))
            annotations = fitting_annotations(whole.citations)
            if annotations:
                self._message().annotate(event.part, annotations)
            return
        self._kinds[event.part] = "whole"
        if isinstance(whole, Opaque):
            self._opaque(whole)
        elif whole.kind == "image" and whole.data is not None:
            place = self._place("ig")
            item = ImageItem(id=place.id, result=whole.data)
            place.added(msgspec.structs.replace(item, status="generating", result=None))
            self._items.append(place.done(item))

    def _opaque(self, whole: Opaque) -> None:
        if whole.protocol != PROTOCOL:
            return
        if whole.kind == PHASE:
            self._phase = whole.raw
            return
        place = self._place("item")
        place.added(whole.raw)
        self._items.append(place.done(whole.raw))

    def _part_ended(self, event: PartEnded) -> None:
        """The item stays open until the next: only the answer's end tells whether it was cut."""
        item = self._item
        if isinstance(item, OpenCall) and item.part == event.part:
            item.ended = True

    def _finished(self, event: Finished) -> None:
        if event.choice or self._stop is not None:
            return
        self._go_on(anyway=True)
        self._stop = event.stop
        how = outcome(event.stop, refused=self._refused)
        self._close("incomplete" if how.status == "incomplete" else "completed")
        self.holding = True

    def _end(self) -> None:
        if self.final is not None:
            return
        self._begin(Origin(id="", model="", created=0))
        if self._stop is None:
            self._finished(Finished(0, "end"))
        self._terminate(outcome(self._stop or "end", refused=self._refused))
        if self._collector is not None and self._identity is not None:
            answer = self._collector.answer()
            answer.usage = self._usage
            self.kept = write_kept(answer, self._request, self._identity)

    def _terminate(self, how: Outcome) -> None:
        self.holding = False
        self.final = self._tell(b"response." + how.status.encode(), how)
