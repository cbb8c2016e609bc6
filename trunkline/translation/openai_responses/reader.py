"""A provider's stream of this protocol, read into events.

Any of the protocol's event types may come; those that say nothing of text, reasoning or calls are passed over, for what
they tell of stands in the item when it is done. An engine may leave out deltas, the `added` of an item, or everything
but the last event: whatever has not been told by then is told from the whole.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw

from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed
from trunkline.translation.exchange import (
    ArgumentsDelta,
    Began,
    CallBegan,
    Ended,
    Event,
    Finished,
    PartCame,
    PartEnded,
    ReasoningDelta,
    RefusalDelta,
    StateCame,
    Text,
    TextDelta,
    Used,
)
from trunkline.translation.openai_responses.answered import (
    CallSaid,
    CustomCallSaid,
    ItemSaid,
    MessageSaid,
    OtherSaid,
    ReasoningSaid,
    Said,
    call_id,
    parts_of,
    phase_part,
    read_item,
    state_of,
    stop_of,
)
from trunkline.translation.openai_responses.asked import flat
from trunkline.translation.openai_responses.parts import ContentPart, citations
from trunkline.translation.streams import MakeError
from trunkline.translation.target import Target
from trunkline.wire import codec, sse
from trunkline.wire.openai_responses_answer import read_usage
from trunkline.wire.openai_responses_stream import MAX_EVENT_BYTES, TERMINAL, error_facts, failure_in
from trunkline.wire.provider_errors import error_in, read_error

_DONE = b"[DONE]"


class _TextDelta(msgspec.Struct, tag_field="type", tag="response.output_text.delta", gc=False):
    delta: str
    output_index: int = 0
    content_index: int = 0
    logprobs: Raw = Raw()


class _RefusalDelta(msgspec.Struct, tag_field="type", tag="response.refusal.delta", gc=False):
    delta: str
    output_index: int = 0
    content_index: int = 0


class _ArgumentsDelta(msgspec.Struct, tag_field="type", tag="response.function_call_arguments.delta", gc=False):
    delta: str
    output_index: int = 0


class _InputDelta(msgspec.Struct, tag_field="type", tag="response.custom_tool_call_input.delta", gc=False):
    delta: str
    output_index: int = 0


class _SummaryDelta(msgspec.Struct, tag_field="type", tag="response.reasoning_summary_text.delta", gc=False):
    delta: str
    output_index: int = 0
    summary_index: int = 0


class _ReasoningDelta(msgspec.Struct, tag_field="type", tag="response.reasoning_text.delta", gc=False):
    delta: str
    output_index: int = 0
    content_index: int = 0


class _OpenReasoningDelta(msgspec.Struct, tag_field="type", tag="response.reasoning.delta", gc=False):
    """As the Open Responses description spells it."""

    delta: str
    output_index: int = 0
    content_index: int = 0


class _Event(msgspec.Struct, gc=False):
    """Any other event, as far as it is read."""

    type: str
    output_index: int = 0
    item: Raw = Raw()
    response: Raw = Raw()


_decode_delta = msgspec.json.Decoder(
    _TextDelta | _RefusalDelta | _ArgumentsDelta | _InputDelta | _SummaryDelta | _ReasoningDelta | _OpenReasoningDelta
).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_said = msgspec.json.Decoder(Said).decode
# Of an engine that tells of its answer before it tells of itself.
_NAMELESS = Said()


class _Item:
    """One item so far. `parts`: place in the item -> (number of the part, how many characters are out)."""

    __slots__ = ("called", "done", "last_content", "parts", "phase_told", "said")

    def __init__(self) -> None:
        self.parts: dict[tuple[str, int], int] = {}
        self.said: dict[tuple[str, int], int] = {}
        self.called = False
        self.phase_told = False
        self.done = False
        self.last_content = 0


class Reader:
    __slots__ = (
        "_began",
        "_called",
        "_ended",
        "_error",
        "_events",
        "_items",
        "_next_part",
        "_provider_id",
        "_refused",
        "_splitter",
        "_take",
        "finished",
        "unsent",
    )

    def __init__(self, target: Target, error: MakeError) -> None:
        self._provider_id = target.provider_id
        self._error = error
        self._splitter = sse.Splitter(joint=b" ", max_event_bytes=MAX_EVENT_BYTES)
        self._events: list[Event] = []
        self._items: dict[int, _Item] = {}
        self._next_part = 0
        self._began = False
        self._called = False
        self._refused = False
        self._ended = False
        self.finished = False
        self.unsent: list[Event] = []
        self._take: dict[type, Callable[..., None]] = {
            _TextDelta: self._text,
            _RefusalDelta: self._refusal,
            _ArgumentsDelta: self._arguments,
            _InputDelta: self._arguments,
            _SummaryDelta: self._summary,
            _ReasoningDelta: self._reasoning,
            _OpenReasoningDelta: self._reasoning,
        }

    def feed(self, data: bytes) -> list[Event]:
        if self.finished:
            return []
        return self._read(self._splitter.feed(data))

    def end(self) -> list[Event]:
        if self.finished:
            return []
        rest = self._splitter.rest().lstrip()
        if not self._began and rest.startswith(b"{"):
            facts = read_error(rest)
            raise self._error(facts) if facts.message else UpstreamFailed("The provider sent JSON, not a stream.")
        whole = [payload for payload in self._splitter.end() if codec.answer_fields(payload) is not None]
        events = self._read(whole)
        if not self._ended:
            self.unsent = events
            raise StreamCut("The provider's answer broke off before it was finished.")
        return events

    def _read(self, payloads: list[bytes]) -> list[Event]:
        try:
            for payload in payloads:
                try:
                    if not payload.isascii():
                        payload.decode()
                    delta = _decode_delta(payload)
                except codec.UNREADABLE:
                    self._event(payload)
                    if self.finished:
                        break
                else:
                    self._take[type(delta)](delta)
        except UpstreamError:
            self.unsent, self._events = self._events, []
            raise
        events, self._events = self._events, []
        return events

    def _part(self, item: _Item, kind: str, index: int) -> int:
        key = kind, index
        part = item.parts.get(key)
        if part is None:
            self._begin(_NAMELESS)
            part = item.parts[key] = self._next_part
            self._next_part += 1
        return part

    def _item(self, output_index: int) -> _Item:
        item = self._items.get(output_index)
        if item is None:
            item = self._items[output_index] = _Item()
        return item

    def _count(self, item: _Item, kind: str, index: int, text: str) -> None:
        key = kind, index
        item.said[key] = item.said.get(key, 0) + len(text)

    def _text(self, delta: _TextDelta) -> None:
        self._tell_text(self._item(delta.output_index), delta.content_index, delta.delta, delta.logprobs)

    def _tell_text(self, item: _Item, index: int, text: str, logprobs: Raw) -> None:
        told = logprobs if len(logprobs) > 2 and bytes(memoryview(logprobs)[:1]) == b"[" else None
        if not text:
            return
        self._count(item, "content", index, text)
        self._events.append(TextDelta(0, self._part(item, "content", index), text, told))

    def _refusal(self, delta: _RefusalDelta) -> None:
        self._tell_refusal(self._item(delta.output_index), delta.content_index, delta.delta)

    def _tell_refusal(self, item: _Item, index: int, text: str) -> None:
        if text:
            self._refused = True
            self._count(item, "content", index, text)
            self._events.append(RefusalDelta(0, self._part(item, "content", index), text))

    def _arguments(self, delta: _ArgumentsDelta | _InputDelta) -> None:
        item = self._item(delta.output_index)
        # Without its `added` nobody knows whose arguments these are: they come with the whole item.
        if item.called:
            self._tell_arguments(item, delta.delta)

    def _tell_arguments(self, item: _Item, text: str) -> None:
        if text:
            self._count(item, "call", 0, text)
            self._events.append(ArgumentsDelta(0, self._part(item, "call", 0), text))

    def _summary(self, delta: _SummaryDelta) -> None:
        self._tell_summary(self._item(delta.output_index), delta.summary_index, delta.delta)

    def _tell_summary(self, item: _Item, index: int, text: str) -> None:
        if text:
            self._count(item, "summary", index, text)
            self._events.append(ReasoningDelta(0, self._part(item, "reasoning", 0), text, index))

    def _reasoning(self, delta: _ReasoningDelta | _OpenReasoningDelta) -> None:
        self._tell_reasoning(self._item(delta.output_index), delta.content_index, delta.delta)

    def _tell_reasoning(self, item: _Item, index: int, text: str) -> None:
        if not text:
            return
        self._count(item, "thought", index, text)
        if index != item.last_content:
            item.last_content = index
            if any(kind == "thought" and at != index for kind, at in item.said):
                text = f"\n\n{text}"
        self._events.append(ReasoningDelta(0, self._part(item, "reasoning", 0), text))

    def _event(self, payload: bytes) -> None:
        """Anything but a delta of ours."""
        payload = payload.strip()
        if not payload or payload == _DONE:
            return
        try:
            payload.decode()
            event = _decode_event(payload)
        except codec.UNREADABLE:
            self._no_event(payload)
            return
        name = event.type
        if name == "error":
            raise self._error(error_facts(codec.answer_fields(payload) or {}))
        if name in TERMINAL:
            self._terminal(name, event)
        elif name == "response.output_item.added":
            self._item_added(event)
        elif name == "response.output_item.done":
            self._item_done(event.output_index, event.item)
        elif event.response and not self._began:
            self._begin(self._said(event))

    def _no_event(self, payload: bytes) -> None:
        fields = codec.answer_fields(payload)
        if fields is None:
            raise UpstreamFailed("The provider sent an event that is not a JSON object in UTF-8.")
        facts = error_in(fields)
        raise self._error(facts) if facts is not None else UpstreamFailed("The provider sent an event without a type.")

    def _said(self, event: _Event) -> Said:
        try:
            return _decode_said(event.response)
        except codec.UNREADABLE:
            raise UpstreamFailed("The provider sent an event whose response is none.") from None

    def _begin(self, said: Said) -> None:
        if not self._began:
            self._began = True
            # At the beginning it says what was asked for, which `auto` leaves open.
            tier = said.service_tier if said.service_tier != "auto" else None
            self._events.append(Began(said.id, said.model, int(said.created_at), None, tier))

    def _item_added(self, event: _Event) -> None:
        if not event.item:
            return
        said = read_item(event.item)
        item = self._item(event.output_index)
        if isinstance(said, CallSaid | CustomCallSaid) and said.name:
            self._call(item, said)
        elif isinstance(said, MessageSaid):
            self._tell_phase(item, said)

    def _call(self, item: _Item, said: CallSaid | CustomCallSaid) -> None:
        if not item.called:
            item.called = self._called = True
            part = self._part(item, "call", 0)
            custom = isinstance(said, CustomCallSaid)
            self._events.append(CallBegan(0, part, call_id(said), flat(said.namespace, said.name), custom))

    def _tell_phase(self, item: _Item, said: MessageSaid) -> None:
        if said.phase is not None and not item.phase_told:
            item.phase_told = True
            self._events.append(PartCame(0, self._part(item, "phase", 0), phase_part(said.phase)))

    def _item_done(self, output_index: int, raw: Raw) -> None:
        """Tells what of the whole item has not been told."""
        item = self._item(output_index)
        if item.done or not raw:
            return
        item.done = True
        said = read_item(raw)
        self._tell_rest(item, said)
        for part in sorted(set(item.parts.values())):
            self._events.append(PartEnded(0, part))

    def _tell_rest(self, item: _Item, said: ItemSaid) -> None:
        if isinstance(said, MessageSaid):
            self._tell_phase(item, said)
            for index, content in enumerate(said.content):
                self._rest_of_content(item, index, content)
        elif isinstance(said, ReasoningSaid):
            for index, content in enumerate(said.summary or ()):
                self._tell_summary(item, index, self._rest(item, "summary", index, content.text))
            for index, content in enumerate(said.content or ()):
                self._tell_reasoning(item, index, self._rest(item, "thought", index, content.text))
            state = state_of(said, self._provider_id)
            if state is not None:
                self._events.append(StateCame(0, self._part(item, "reasoning", 0), state))
        elif isinstance(said, OtherSaid):
            for whole in parts_of(said, self._provider_id):
                self._events.append(PartCame(0, self._part(item, "other", 0), whole))  # type: ignore[arg-type]
        else:
            self._call(item, said)
            whole_text = said.input if isinstance(said, CustomCallSaid) else said.arguments
            self._tell_arguments(item, self._rest(item, "call", 0, whole_text))

    def _rest_of_content(self, item: _Item, index: int, content: ContentPart) -> None:
        if content.type == "refusal":
            self._tell_refusal(item, index, self._rest(item, "content", index, content.refusal))
            return
        untold = ("content", index) not in item.said
        rest = self._rest(item, "content", index, content.text)
        self._tell_text(item, index, rest, content.logprobs if untold else Raw())
        told = citations(content)
        if told is not None and content.text:
            part = self._part(item, "content", index)
            self._events.append(PartCame(0, part, Text(text="", citations=told)))

    def _rest(self, item: _Item, kind: str, index: int, whole: str | None) -> str:
        return (whole or "")[item.said.get((kind, index), 0) :]

    def _terminal(self, name: str, event: _Event) -> None:
        if name == "response.failed":
            raise self._error(failure_in(codec.answer_fields(bytes(event.response)) or {}))
        said = self._said(event)
        self._begin(said)
        output = said.output or []
        if sum(item.done for item in self._items.values()) < len(output):
            for index, raw in enumerate(output):
                self._item_done(index, raw)
        said.status = said.status or name.removeprefix("response.")
        self._events.append(Finished(0, stop_of(said, called=self._called, refused=self._refused)))
        usage = read_usage(said.usage) if said.usage else None
        if usage is not None:
            self._events.append(Used(usage))
        self._events.append(Ended())
        self._ended = self.finished = True
