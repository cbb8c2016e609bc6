"""A provider's chat stream as events, in every dialect seen.

Usage may come in the finish chunk, before it or after it; `[DONE]` may be missing; an error may stand inside a chunk;
roles repeat; calls lack an index, repeat their id, come whole or in pieces.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed
from trunkline.translation.exchange import (
    ArgumentsDelta,
    Began,
    CallBegan,
    Ended,
    Event,
    Finished,
    Media,
    PartCame,
    ReasoningDelta,
    RefusalDelta,
    State,
    StateCame,
    TextDelta,
    Used,
)
from trunkline.translation.openai_chat import details
from trunkline.translation.openai_chat.answer import (
    call_said,
    made_call_id,
    pictures,
    plain_state,
    read_stop,
    says_reasoning,
    split_content,
)
from trunkline.translation.openai_chat.shapes import Audio, Detail, Logprobs, Said, SaidCall
from trunkline.translation.streams import MakeError
from trunkline.translation.target import Target
from trunkline.wire import codec, sse
from trunkline.wire.openai_chat_answer import read_usage
from trunkline.wire.provider_errors import error_in, is_error, read_error

_DONE = b"[DONE]"
MAX_HELD_BYTES = 64 * 1024 * 1024
"""Of sound, which comes in pieces and is told whole."""


class _Choice(msgspec.Struct):
    index: Annotated[int, Meta(ge=0, le=1023)] = 0
    delta: Said | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    logprobs: Logprobs | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()
    id: str | None = None
    model: str | None = None
    created: float | None = None
    service_tier: str | None = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class _Call:
    """One tool call: its part's number once it has begun, and what came before its name did."""

    __slots__ = ("custom", "early", "id", "name", "part")

    def __init__(self) -> None:
        self.id = self.name = self.early = ""
        self.custom = False
        self.part: int | None = None


class _Thought:
    """One reasoning part. `summaries` says of each of its entries which summary it is. Its state is told when something
    else begins."""

    __slots__ = ("part", "summaries", "told")

    def __init__(self, part: int) -> None:
        self.part = part
        self.summaries: list[int | None] = []
        self.told = True


class _ReadChoice:
    """What has come of one choice, and the events it makes."""

    def __init__(self, number: int, answer_id: str, target: Target, events: list[Event]) -> None:
        self._number = number
        self._place = f"{answer_id}/{number}"
        self._target = target
        self.events = events
        self._parts = 0
        self._text: int | None = None
        self._refusal: int | None = None
        self._plain: _Thought | None = None
        self._plain_text: list[str] = []
        self._thoughts: list[_Thought] = []
        self._groups = details.Groups()
        self._calls: dict[int, _Call] = {}
        self._order: list[_Call] = []
        self._waiting: list[Detail] = []
        self._sound: list[bytes] = []
        self._sound_bytes = 0
        self._spoken = Audio()
        self.finished = False

    def _next(self) -> int:
        self._parts += 1
        return self._parts - 1

    def take(self, choice: _Choice) -> None:
        said = choice.delta
        if said is not None:
            content = said.content
            if type(content) is str:
                if content and not self._has_more(said):
                    self._say(content, choice.logprobs)
                elif self._has_more(said) or choice.logprobs is not None:
                    self._take_all(said, content, choice.logprobs)
            else:
                self._take_all(said, content, choice.logprobs)
        if choice.finish_reason:
            self._finish(choice.finish_reason, choice.stop_reason)

    def _has_more(self, said: Said) -> bool:
        return bool(
            said.tool_calls
            or said.reasoning_content
            or said.reasoning
            or said.reasoning_details
            or said.refusal
            or said.function_call
            or said.audio
            or said.images
        )

    def _say(self, text: str, logprobs: Logprobs | None) -> None:
        part = self._text
        if part is None:
            self._settle(details.ID_OF_TEXT)
            part = self._text = self._next()
        tokens = logprobs.content if logprobs is not None and len(logprobs.content) > 4 else None
        self.events.append(TextDelta(self._number, part, text, tokens))
        if self._waiting:
            self._tell_waiting(part, details.ID_OF_TEXT)

    def _take_all(self, said: Said, content: Any, logprobs: Logprobs | None) -> None:
        plain = said.reasoning_content or said.reasoning
        if isinstance(content, list):
            thought, content = split_content(content)
            plain = plain or thought
        if plain and not says_reasoning(said.reasoning_details):
            self._think(plain)
        for entry in said.reasoning_details or ():
            self._detail(entry)
        if content or (content == "" and logprobs is not None and len(logprobs.content) > 2):
            self._say(content, logprobs)
        if said.refusal:
            self._refuse(said.refusal)
        if said.audio is not None:
            self._hear(said.audio)
        for picture in pictures(said.images):
            self._settle()
            self.events.append(PartCame(self._number, self._next(), picture))
        for call in said.tool_calls or ():
            self._call(call)
        if said.function_call is not None:
            self._call(SaidCall(index=0, id=made_call_id(self._place), function=said.function_call))

    def _refuse(self, text: str) -> None:
        if self._refusal is None:
            self._settle()
            self._refusal = self._next()
        self.events.append(RefusalDelta(self._number, self._refusal, text))

    def _think(self, text: str) -> None:
        thought = self._plain
        if thought is None:
            thought = self._plain = _Thought(self._next())
        if self._target.returns_reasoning:
            self._plain_text.append(text)
            thought.told = False
        self.events.append(ReasoningDelta(self._number, thought.part, text))

    def _detail(self, entry: Detail) -> None:
        """What is encrypted may belong to a call that has not begun yet: it waits for what comes next."""
        if entry.data is None or not entry.id or entry.id in self._groups:
            self._add_detail(entry)
            return
        owner = self._text if entry.id == details.ID_OF_TEXT else None
        for call in self._order:
            if call.id == entry.id:
                owner = call.part
        if owner is None:
            self._waiting.append(entry)
        else:
            self._state(owner, [entry])

    def _add_detail(self, entry: Detail) -> None:
        number, at = self._groups.take(entry)
        if number == len(self._thoughts):
            self._tell_states()
            self._thoughts.append(_Thought(self._next()))
        thought = self._thoughts[number]
        if at == len(thought.summaries):
            told = sum(summary is not None for summary in thought.summaries)
            thought.summaries.append(told if entry.type == details.SUMMARY else None)
        thought.told = False
        said = entry.summary or entry.text
        if said:
            self.events.append(ReasoningDelta(self._number, thought.part, said, thought.summaries[at]))

    def _state(self, part: int, entries: list[Detail]) -> None:
        self._tell_state(part, details.provider_state(entries, self._target.provider_id))

    def _tell_state(self, part: int, state: State | None) -> None:
        if state is not None:
            self.events.append(StateCame(self._number, part, state))

    def _settle(self, coming: str = "") -> None:
        """Something else begins, perhaps the call with the id `coming`. So reasoning has ended, as far as can be known:
        its state stands before what follows it."""
        if self._waiting and not any(entry.id == coming for entry in self._waiting):
            waiting, self._waiting = self._waiting, []
            for entry in waiting:
                self._add_detail(entry)
        self._tell_states()

    def _tell_states(self) -> None:
        if self._plain is not None and not self._plain.told:
            self._plain.told = True
            self._tell_state(self._plain.part, plain_state("".join(self._plain_text), self._target))
        for thought, entries in zip(self._thoughts, self._groups.groups, strict=False):
            if not thought.told:
                thought.told = True
                self._state(thought.part, entries)

    def _call(self, piece: SaidCall) -> None:
        call = self._slot(piece)
        name, arguments = call_said(piece)
        call.id = call.id or piece.id or ""
        call.custom = call.custom or piece.custom is not None
        if call.part is not None:
            if arguments:
                self.events.append(ArgumentsDelta(self._number, call.part, arguments))
            return
        call.name = call.name or name
        call.early += arguments
        if call.name:
            self._begin_call(call)

    def _slot(self, piece: SaidCall) -> _Call:
        """By index; without one, another id is another call. An id that changes under one index is another call too:
        some providers write index 0 for all."""
        index = piece.index
        if index is None:
            known = next((call for call in self._order if piece.id and call.id == piece.id), None)
            if known is None and self._order and not piece.id:
                known = self._order[-1]
            if known is not None:
                return known
            index = len(self._order)
        call = self._calls.get(index)
        if call is None or (piece.id and call.id and piece.id != call.id and call_said(piece)[0]):
            call = self._calls[index] = _Call()
            self._order.append(call)
        return call

    def _begin_call(self, call: _Call) -> None:
        call.id = call.id or made_call_id(f"{self._place}/{self._order.index(call)}")
        self._settle(call.id)
        call.part = self._next()
        self.events.append(CallBegan(self._number, call.part, call.id, call.name, call.custom))
        self._tell_waiting(call.part, call.id)
        if call.early:
            self.events.append(ArgumentsDelta(self._number, call.part, call.early))
            call.early = ""

    def _tell_waiting(self, part: int, owner: str) -> None:
        """What came under the name of a part before it did."""
        own = [entry for entry in self._waiting if entry.id == owner]
        if own:
            self._waiting = [entry for entry in self._waiting if entry.id != owner]
            self._state(part, own)

    def _hear(self, audio: Audio) -> None:
        self._spoken.id = self._spoken.id or audio.id
        if audio.transcript:
            self._spoken.transcript = (self._spoken.transcript or "") + audio.transcript
        if audio.data:
            try:
                self._sound.append(b64decode(audio.data))
            except ValueError:
                raise UpstreamFailed("The provider sent sound that is not base64.") from None
            self._sound_bytes += len(self._sound[-1])
            if self._sound_bytes > MAX_HELD_BYTES:
                raise UpstreamFailed(f"The provider sent more than {MAX_HELD_BYTES:,} bytes of sound.")

    def _finish(self, reason: str, matched: str | int | None) -> None:
        for call in self._order:
            if call.part is None:
                self._begin_call(call)
        self._settle()
        if self._sound or self._spoken.id or self._spoken.transcript:
            data = b64encode(b"".join(self._sound)).decode()
            spoken = Media(kind="audio", data=data, file_id=self._spoken.id or None, text=self._spoken.transcript)
            self.events.append(PartCame(self._number, self._next(), spoken))
        called, refused = bool(self._order), self._refusal is not None
        stop, sequence = read_stop(reason, matched, called=called, refused=refused)
        self.events.append(Finished(self._number, stop, sequence))
        self.finished = True


class Reader:
    """See streams.StreamReader."""

    def __init__(self, target: Target, error: MakeError) -> None:
        self._target = target
        self._error = error
        self._splitter = sse.Splitter(joint=b" ")
        self._events: list[Event] = []
        self._choices: dict[int, _ReadChoice] = {}
        self._id = ""
        self._began = False
        self._ended = False
        self.unsent: list[Event] = []

    @property
    def finished(self) -> bool:
        return bool(self._choices) and all(choice.finished for choice in self._choices.values())

    def feed(self, data: bytes) -> list[Event]:
        return [] if self._ended else self._checked(self._read, data)

    def end(self) -> list[Event]:
        return [] if self._ended else self._checked(self._read_end)

    def _checked(self, step: Callable[..., None], *given: bytes) -> list[Event]:
        events = self._events
        try:
            step(*given)
        except UpstreamError:
            self.unsent = events[:]
            events.clear()
            raise
        told = events[:]
        events.clear()
        return told

    def _read(self, data: bytes) -> None:
        for payload in self._splitter.feed(data):
            self._event(payload)
            if self._ended:
                return

    def _read_end(self) -> None:
        rest = self._splitter.rest().lstrip()
        if not self._began and rest.startswith(b"{"):
            facts = read_error(rest)
            raise self._error(facts) if facts.message else UpstreamFailed("The provider sent JSON, not a stream.")
        for payload in self._splitter.end():
            if payload.strip() == _DONE or codec.answer_fields(payload) is not None:
                self._event(payload)
            # Anything else is an event that was cut.
        if not self._ended:
            self._close()

    def _close(self) -> None:
        if not self.finished:
            raise StreamCut("The provider's answer broke off before it was finished.")
        self._events.append(Ended())
        self._ended = True

    def _event(self, payload: bytes) -> None:
        try:
            if not payload.isascii():
                payload.decode()
            chunk = _decode_chunk(payload)
        except codec.UNREADABLE:
            self._odd(payload)
            return
        choices = chunk.choices
        if choices is None or is_error(chunk.error):
            self._look_for_error(payload)
        if choices:
            if not self._began:
                self._begin(chunk)
            for choice in choices:
                mine = self._choices.get(choice.index)
                if mine is None:
                    mine = _ReadChoice(choice.index, self._id, self._target, self._events)
                    self._choices[choice.index] = mine
                if not mine.finished:
                    mine.take(choice)
        if chunk.usage:
            usage = read_usage(chunk.usage)
            if usage is not None:
                if not self._began:
                    self._begin(chunk)
                self._events.append(Used(usage))

    def _begin(self, chunk: _Chunk) -> None:
        self._began = True
        self._id = chunk.id or ""
        self._events.append(
            Began(self._id, chunk.model or "", int(chunk.created or 0), service_tier=chunk.service_tier)
        )

    def _odd(self, payload: bytes) -> None:
        payload = payload.strip()
        if payload == _DONE:
            self._close()
        elif payload:
            self._look_for_error(payload)
            raise UpstreamFailed("The provider sent an event that is not a chunk of a chat completion.")

    def _look_for_error(self, payload: bytes) -> None:
        fields = codec.answer_fields(payload)
        if fields is None:
            raise UpstreamFailed("The provider sent an event that is not a JSON object in UTF-8.")
        facts = error_in(fields)
        if facts is not None:
            raise self._error(facts)
