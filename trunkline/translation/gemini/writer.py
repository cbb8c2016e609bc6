"""Events as the chunks of a Gemini stream.

Text goes out as it comes. A function call is written when its arguments are whole: clients of this protocol take a call
for whole when they see it. The last chunk of an answer says why it finished, and what it used; there is no event after
it. For callers without `alt=sse` wire/gemini_array.py makes an array of the same chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

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
    Request,
    State,
    StateCame,
    TextDelta,
    ToolCall,
    Usage,
    Used,
)
from trunkline.translation.gemini.answer import call_part, write_part
from trunkline.translation.gemini.logprobs import write_logprobs
from trunkline.translation.gemini.state import wrapped
from trunkline.translation.gemini.vocabulary import finish_reason, response_id
from trunkline.wire import codec, sse
from trunkline.wire.codec import Fields, encode
from trunkline.wire.gemini_answer import write_usage

_decode_object = msgspec.json.Decoder(Fields).decode


class _Call:
    """A call whose arguments are on their way. `ended`: they are whole."""

    __slots__ = ("began", "ended", "pieces", "state")

    def __init__(self, began: CallBegan) -> None:
        self.began = began
        self.pieces: list[str] = []
        self.state: State | None = None
        self.ended = False

    def whole(self) -> ToolCall:
        began = self.began
        text = "".join(self.pieces)
        return ToolCall(id=began.id, name=began.name, arguments=text, custom=began.custom, state=self.state)

    def is_whole(self) -> bool:
        """Where nobody says so, the arguments tell."""
        if self.ended or self.began.custom or not self.pieces or not self.pieces[-1].rstrip().endswith("}"):
            return self.ended
        try:
            _decode_object("".join(self.pieces))
        except codec.UNREADABLE:
            return False
        return True


class _Choice:
    """What has been written of one, and the calls that wait, in the order of the parts."""

    __slots__ = ("calls", "head", "kinds", "said", "summaries", "tail")

    def __init__(self, choice: int) -> None:
        self.head = b'{"candidates":[{"content":{"parts":['
        self.tail = b'],"role":"model"},"index":%d}],' % choice
        self.said = False
        self.calls: dict[int, _Call] = {}
        self.kinds: dict[int, str] = {}
        self.summaries: dict[int, int | None] = {}


class Writer:
    """See streams.StreamWriter."""

    def __init__(self, request: Request) -> None:
        self._model = request.model
        self._n = request.n
        self._shown = request.reasoning.shown
        self._tail = b""
        self._choices: dict[int, _Choice] = {}
        self._out: list[bytes] = []
        self._held: bytes | None = None
        self.holding = False
        self._finishes = 0
        self._usage: Usage | None = None
        self._told: Usage | None = None
        self._take: dict[type[Event], Callable[[Any], None]] = {
            Began: self._began,
            TextDelta: self._text,
            RefusalDelta: self._refusal,
            ReasoningDelta: self._reasoning,
            CallBegan: self._call,
            ArgumentsDelta: self._arguments,
            StateCame: self._state,
            PartCame: self._whole,
            PartEnded: self._part_ended,
            Finished: self._finished,
            Used: self._used,
            Ended: self._ended,
        }

    def write(self, events: Iterable[Event]) -> bytes:
        for event in events:
            self._take[type(event)](event)
        return self._taken()

    def release(self) -> bytes:
        self._send_held(None)
        return self._taken()

    def _taken(self) -> bytes:
        out = self._out
        if not out:
            return b""
        self._out = []
        return sse.frame(out)

    def _began(self, event: Began) -> None:
        model = event.model or self._model
        said = {"modelVersion": model, "responseId": response_id(event.id, model)}
        self._tail = encode(said)[1:]

    def _choice(self, choice: int) -> _Choice:
        opened = self._choices.get(choice)
        if opened is None:
            opened = self._choices[choice] = _Choice(choice)
        return opened

    def _opened(self, choice: int, part: int, kind: str) -> _Choice:
        """Something other than a call comes: calls that are whole go out before it."""
        opened = self._choice(choice)
        if opened.calls:
            self._send_calls(opened, only_whole=True)
        opened.kinds.setdefault(part, kind)
        return opened

    def _chunk(self, choice: _Choice, part: bytes) -> None:
        choice.said = True
        self._out.append(b"%b%b%b%b" % (choice.head, part, choice.tail, self._tail))

    def _text(self, event: TextDelta) -> None:
        choice = self._opened(event.choice, event.part, "text")
        if event.logprobs is not None:
            choice.said = True
            self._text_with_logprobs(event)
        elif event.text:
            choice.said = True
            self._out.append(b'%b{"text":%b}%b%b' % (choice.head, encode(event.text), choice.tail, self._tail))

    def _text_with_logprobs(self, event: TextDelta) -> None:
        assert event.logprobs is not None, "it is called for such alone"
        written = write_logprobs(event.logprobs)
        candidate: dict[str, Any] = {
            "content": {"parts": [{"text": event.text}], "role": "model"},
            "index": event.choice,
        }
        if written is not None:
            candidate["avgLogprobs"] = written[1]
            candidate["logprobsResult"] = written[0]
        self._out.append(b'{"candidates":[%b],%b' % (encode(candidate), self._tail))

    def _refusal(self, event: RefusalDelta) -> None:
        choice = self._opened(event.choice, event.part, "text")
        if event.text:
            self._chunk(choice, b'{"text":%b}' % encode(event.text))

    def _reasoning(self, event: ReasoningDelta) -> None:
        if not self._shown:
            return
        choice = self._opened(event.choice, event.part, "thought")
        before = choice.summaries.get(event.part, event.summary)
        text = event.text if before == event.summary else "\n\n" + event.text
        choice.summaries[event.part] = event.summary
        if event.text:
            self._chunk(choice, b'{"text":%b,"thought":true}' % encode(text))

    def _call(self, event: CallBegan) -> None:
        choice = self._choice(event.choice)
        choice.kinds[event.part] = "call"
        choice.calls[event.part] = _Call(event)

    def _arguments(self, event: ArgumentsDelta) -> None:
        call = self._choices[event.choice].calls.get(event.part)
        if call is not None and event.text:
            call.pieces.append(event.text)

    def _part_ended(self, event: PartEnded) -> None:
        choice = self._choice(event.choice)
        call = choice.calls.get(event.part)
        if call is not None:
            call.ended = True
            self._send_calls(choice, only_whole=True)

    def _send_calls(self, choice: _Choice, *, only_whole: bool) -> None:
        """In the order of the parts: one that is not whole keeps those behind it."""
        for part, call in sorted(choice.calls.items()):
            if only_whole and not call.is_whole():
                return
            del choice.calls[part]
            self._chunk(choice, encode(call_part(call.whole())))

    def _state(self, event: StateCame) -> None:
        choice = self._choice(event.choice)
        call = choice.calls.get(event.part)
        if call is not None:
            call.state = event.state
            return
        kind = choice.kinds.get(event.part, "thought")
        if kind == "text":
            self._chunk(choice, b'{"text":"","thoughtSignature":%b}' % encode(wrapped(event.state)))
        elif kind == "thought" and self._shown:
            choice = self._opened(event.choice, event.part, "thought")
            self._chunk(choice, b'{"text":"","thought":true,"thoughtSignature":%b}' % encode(wrapped(event.state)))

    def _whole(self, event: PartCame) -> None:
        written = write_part(event.whole, shown=self._shown)
        if written is not None:
            self._chunk(self._opened(event.choice, event.part, "whole"), encode(written))

    def _finished(self, event: Finished) -> None:
        choice = self._choice(event.choice)
        self._send_calls(choice, only_whole=False)
        self._send_held(None)
        self._finishes += 1
        # Google's own library leaves an answer out of its chats when one of its contents has no parts.
        parts = b'"parts":[{"text":""}],' if choice.said else b""
        self._held = b'{"candidates":[{"content":{%b"role":"model"},"finishReason":%b,"index":%d}],' % (
            parts,
            encode(finish_reason(event.stop)),
            event.choice,
        )
        self.holding = True

    def _used(self, event: Used) -> None:
        self._usage = event.usage
        if self._finishes >= self._n:
            self._send_held(event.usage)

    def _send_held(self, usage: Usage | None) -> None:
        if self._held is None:
            return
        self._out.append(self._held + self._with_usage(usage))
        self._held = None
        self.holding = False

    def _with_usage(self, usage: Usage | None) -> bytes:
        if usage is None:
            return self._tail
        self._told = usage
        return b'"usageMetadata":%b,%b' % (write_usage(usage), self._tail)

    def _ended(self, event: Ended) -> None:
        self._send_held(self._usage)
        if self._usage is not None and self._usage != self._told:
            self._out.append(b"{" + self._with_usage(self._usage))
