"""A provider's stream as events: a JSON object a line, the last with `done`."""

from __future__ import annotations

from collections.abc import Callable

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
    State,
    StateCame,
    TextDelta,
    Used,
)
from trunkline.translation.ollama_chat.answer import Call, Line, decode_line, picture
from trunkline.translation.ollama_chat.vocabulary import made_call_id, seconds, stop_of, tokens
from trunkline.translation.streams import MakeError
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.ollama_chat import Lines, usage
from trunkline.wire.provider_errors import error_in, is_error


class Reader:
    """One answer: `feed`, then `end` (translation/streams.py)."""

    def __init__(self, target: Target, error: MakeError) -> None:
        self._target = target
        self._error = error
        self._lines = Lines()
        self._events: list[Event] = []
        self._created_at = ""
        self._parts = self._calls = 0
        self._text: int | None = None
        self._thought: int | None = None
        self._thoughts: list[str] = []
        self._untold = False
        self._began = self._done = False
        self.unsent: list[Event] = []

    @property
    def finished(self) -> bool:
        return self._done

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
        for line in self._lines.feed(data):
            if self._done:
                return
            self._line(line)

    def _read_end(self) -> None:
        rest = self._lines.end()
        if rest and codec.answer_fields(rest) is not None:
            self._line(rest)
        if not self._done:
            raise StreamCut("The provider's answer broke off before it was finished.")

    def _line(self, data: bytes) -> None:
        try:
            if not data.isascii():
                data.decode()
            line = decode_line(data)
        except codec.UNREADABLE:
            raise UpstreamFailed("The provider sent a line that is not one of Ollama's chat.") from None
        if line.message is None or is_error(line.error):
            facts = error_in(codec.answer_fields(data) or {})
            if facts is not None:
                raise self._error(facts)
        if not self._began:
            self._began = True
            self._created_at = line.created_at
            self._events.append(Began("", line.model, seconds(line.created_at)))
        self._message(line)
        if line.done:
            self._finish(line)

    def _message(self, line: Line) -> None:
        message = line.message
        if message is None:
            return
        if message.thinking:
            self._think(message.thinking)
        told = tokens(line.logprobs) if line.logprobs else None
        if message.content or (told is not None and self._text is not None):
            if self._text is None:
                self._settle()
                self._text = self._next()
            self._events.append(TextDelta(0, self._text, message.content or "", told))
        for data in message.images or ():
            self._settle()
            self._events.append(PartCame(0, self._next(), picture(data)))
        for call in message.tool_calls or ():
            self._call(call)

    def _next(self) -> int:
        self._parts += 1
        return self._parts - 1

    def _think(self, text: str) -> None:
        if self._thought is None:
            self._thought = self._next()
        if self._target.returns_reasoning:
            self._thoughts.append(text)
            self._untold = True
        self._events.append(ReasoningDelta(0, self._thought, text))

    def _settle(self) -> None:
        """Reasoning has ended, as far as can be known: its state stands before what follows it."""
        if self._untold and self._thought is not None:
            self._untold = False
            state = State(self._target.provider_id, "".join(self._thoughts))
            self._events.append(StateCame(0, self._thought, state))

    def _call(self, call: Call) -> None:
        """It comes whole."""
        self._settle()
        part = self._next()
        call_id = call.id or made_call_id(self._created_at, self._calls)
        self._calls += 1
        self._events.append(CallBegan(0, part, call_id, call.function.name))
        self._events.append(ArgumentsDelta(0, part, call.arguments))
        self._events.append(PartEnded(0, part))

    def _finish(self, line: Line) -> None:
        self._settle()
        self._events.append(Finished(0, stop_of(line.done_reason, called=self._calls > 0)))
        used = usage(line.prompt_eval_count, line.eval_count, line.prompt_eval_cached_count)
        if used is not None:
            self._events.append(Used(used))
        self._events.append(Ended())
        self._done = True
