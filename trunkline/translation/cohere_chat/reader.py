"""A provider's stream as events: https://docs.cohere.com/docs/streaming and tool-use-streaming there."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw

from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed
from trunkline.translation.cohere_chat.answer import Call
from trunkline.translation.cohere_chat.vocabulary import Logprob, stop_of, tokens
from trunkline.translation.exchange import (
    ArgumentsDelta,
    Began,
    CallBegan,
    Ended,
    Event,
    Finished,
    PartEnded,
    ReasoningDelta,
    State,
    StateCame,
    TextDelta,
    Used,
)
from trunkline.translation.streams import MakeError
from trunkline.translation.target import Target
from trunkline.wire import codec, sse
from trunkline.wire.cohere_chat import failure, read_usage
from trunkline.wire.provider_errors import error_in, read_error

_DONE = b"[DONE]"


class _Content(msgspec.Struct, gc=False):
    text: str | None = None
    thinking: str | None = None


class _Function(msgspec.Struct, gc=False):
    arguments: str | None = None


class _CallDelta(msgspec.Struct, gc=False):
    function: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    content: _Content | None = None
    tool_plan: str | None = None


class _Delta(msgspec.Struct, gc=False):
    message: _Message | None = None


class _ContentEvent(msgspec.Struct, tag="content-delta", gc=False):
    """Decodes these alone: nearly every event is one."""

    index: int
    delta: _Delta
    logprobs: Logprob | None = None


class _CallsMessage(msgspec.Struct, gc=False):
    tool_calls: Raw = Raw()


class _CallsDelta(msgspec.Struct, gc=False):
    message: _CallsMessage = msgspec.field(default_factory=_CallsMessage)


class _End(msgspec.Struct, gc=False):
    finish_reason: str | None = None
    error: str | None = None
    usage: Raw = Raw()


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    id: str | None = None
    index: int = 0
    delta: Raw = Raw()
    logprobs: Logprob | None = None


_decode_content = msgspec.json.Decoder(_ContentEvent).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_delta = msgspec.json.Decoder(_Delta).decode
_decode_calls = msgspec.json.Decoder(_CallsDelta).decode
_decode_call = msgspec.json.Decoder(Call).decode
_decode_call_delta = msgspec.json.Decoder(_CallDelta).decode
_decode_end = msgspec.json.Decoder(_End).decode


class _Open:
    """A part that is under way. `thought` is kept where its provider wants it back."""

    __slots__ = ("part", "said", "thought")

    def __init__(self, part: int) -> None:
        self.part = part
        self.said = False
        self.thought: list[str] = []


class Reader:
    """One answer: `feed`, then `end` (translation/streams.py)."""

    def __init__(self, target: Target, error: MakeError) -> None:
        self._target = target
        self._error = error
        self._splitter = sse.Splitter(joint=b" ")
        self._open: dict[tuple[str, int], _Open] = {}
        self._parts = 0
        self._events: list[Event] = []
        self._began = self._called = self._stopped = self._done = False
        self.unsent: list[Event] = []

    @property
    def finished(self) -> bool:
        return self._stopped

    def feed(self, data: bytes) -> list[Event]:
        return [] if self._done else self._checked(lambda: self._read(data))

    def end(self) -> list[Event]:
        return [] if self._done else self._checked(self._read_end)

    def _checked(self, step: Callable[[], None]) -> list[Event]:
        try:
            step()
        except UpstreamError:
            self.unsent = self._take()
            raise
        return self._take()

    def _take(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _read(self, data: bytes) -> None:
        for payload in self._splitter.feed(data):
            if self._done:
                return
            self._payload(payload)

    def _read_end(self) -> None:
        rest = self._splitter.rest().lstrip()
        if not self._began and rest.startswith(b"{"):
            facts = read_error(rest)
            raise self._error(facts) if facts.message else UpstreamFailed("The provider sent JSON, not a stream.")
        for payload in self._splitter.end():
            if not self._done and codec.answer_fields(payload) is not None:
                self._payload(payload)
        if not self._done:
            raise StreamCut("The provider's answer broke off before it was finished.")

    def _payload(self, payload: bytes) -> None:
        try:
            if not payload.isascii():
                payload.decode()
            event = _decode_content(payload)
        except codec.UNREADABLE:
            self._other(payload)
        else:
            if event.delta.message is not None and event.delta.message.content is not None:
                self._content(event.index, event.delta.message.content, event.logprobs)

    def _other(self, payload: bytes) -> None:
        """Anything but a delta of content."""
        if not payload.strip() or payload.strip() == _DONE:
            return
        try:
            if not payload.isascii():
                payload.decode()
            event = _decode_event(payload)
            self._event(event, payload)
        except codec.UNREADABLE:
            raise self._senseless(payload) from None

    def _senseless(self, payload: bytes) -> UpstreamError:
        facts = error_in(codec.answer_fields(payload) or {})
        if facts is not None:
            return self._error(facts)
        return UpstreamFailed("The provider sent an event that is not one of Cohere's chat.")

    def _event(self, event: _Event, payload: bytes) -> None:
        match event.type:
            case "message-start":
                if not self._began:
                    self._began = True
                    self._events.append(Began(event.id or "", ""))
            case "content-start" | "content-delta":
                message = _decode_delta(event.delta).message if event.delta else None
                if message is not None and message.content is not None:
                    self._content(event.index, message.content, event.logprobs)
            case "tool-plan-delta":
                message = _decode_delta(event.delta).message
                if message is not None and message.tool_plan:
                    self._events.append(TextDelta(0, self._at("plan", 0).part, message.tool_plan))
            case "tool-call-start":
                self._call(event.index, _decode_call(_decode_calls(event.delta).message.tool_calls))
            case "tool-call-delta":
                told = _decode_call_delta(_decode_calls(event.delta).message.tool_calls)
                self._arguments(event.index, told.function.arguments if told.function is not None else None)
            case "content-end":
                self._close(("content", event.index))
            case "tool-call-end":
                self._close(("call", event.index))
            case "message-end":
                self._end(_decode_end(event.delta))
            case "":
                raise self._senseless(payload)
            case _:
                pass  # citations, and what is not known

    def _at(self, kind: str, index: int) -> _Open:
        found = self._open.get((kind, index))
        if found is None:
            for other in [key for key in self._open if key[0] != "call"]:
                self._close(other)
            found = self._open[kind, index] = _Open(self._parts)
            self._parts += 1
        return found

    def _content(self, index: int, content: _Content, told: Logprob | None) -> None:
        if content.text:
            part = self._at("content", index).part
            self._events.append(TextDelta(0, part, content.text, tokens((told,)) if told is not None else None))
        elif content.thinking:
            block = self._at("content", index)
            if self._target.returns_reasoning:
                block.thought.append(content.thinking)
            self._events.append(ReasoningDelta(0, block.part, content.thinking))

    def _call(self, index: int, call: Call) -> None:
        self._called = True
        self._close(("call", index))
        block = self._at("call", index)
        self._events.append(CallBegan(0, block.part, call.id, call.function.name))
        self._arguments(index, call.function.arguments)

    def _arguments(self, index: int, text: str | None) -> None:
        block = self._open.get(("call", index))
        if block is None:
            raise UpstreamFailed("The provider sent arguments of a call that has not begun.")
        if text:
            block.said = True
            self._events.append(ArgumentsDelta(0, block.part, text))

    def _close(self, key: tuple[str, int]) -> None:
        block = self._open.pop(key, None)
        if block is None:
            return
        if block.thought:
            state = State(self._target.provider_id, "".join(block.thought))
            self._events.append(StateCame(0, block.part, state))
        if key[0] == "call" and not block.said:
            self._events.append(ArgumentsDelta(0, block.part, "{}"))
        self._events.append(PartEnded(0, block.part))

    def _end(self, end: _End) -> None:
        facts = failure(end.finish_reason, end.error)
        if facts is not None:
            raise self._error(facts)
        for key in list(self._open):
            self._close(key)
        usage = read_usage(end.usage) if end.usage else None
        self._events.append(Finished(0, stop_of(end.finish_reason, called=self._called)))
        if usage is not None:
            self._events.append(Used(usage))
        self._events.append(Ended())
        self._stopped = self._done = True
