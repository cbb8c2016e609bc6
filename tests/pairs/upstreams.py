"""Providers of every protocol: who is asked, and how their answers come over the wire, whole and as a stream.

What they say is written by the protocol's own room, as for a caller who wants to see everything, or by hand where no
caller speaks the protocol. State stands in it as its provider writes it: bare, in nobody's envelope.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.pairs import rooms
from tests.translation import strategies
from tests.translation.cohere_chat import exchanges as cohere
from tests.translation.ollama_chat import exchanges as ollama
from tests.translation.strategies import Scope
from trunkline.errors import UpstreamError, UpstreamFailed
from trunkline.translation import envelope
from trunkline.translation.exchange import (
    Answer,
    Event,
    Reasoning,
    ReasoningAsked,
    Request,
    State,
    StateCame,
    Text,
    ToolCall,
    Turn,
)
from trunkline.translation.target import Target
from trunkline.translation.translator import Translator
from trunkline.wire import eventstream
from trunkline.wire.provider_errors import ErrorFacts

MAKER = "maker"
OTHER = "another"


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """`says` is what an answer of this protocol can hold. `mixes`: parts and choices may come mixed in its streams.
    `mends`: half a surrogate pair in arguments is U+FFFD, as in all that must be an object. `framed`: its streams are
    AWS's binary messages. `wants_words`: its reasoning must return to it as text."""

    protocol: str
    says: Scope
    mixes: bool = True
    mends: bool = False
    framed: bool = False
    wants_words: bool = False
    version: str = ""
    write: Callable[[Answer], bytes] | None = None
    write_stream: Callable[[Answer, list[Event]], bytes] | None = None

    @property
    def translator(self) -> Translator:
        return rooms.translator(self.protocol)

    def target(self, provider_id: str = MAKER) -> Target:
        return Target(
            provider_id=provider_id,
            model_id=f"{provider_id}/thinker",
            upstream="thinker",
            version=self.version,
            max_output_tokens=100_000,
            returns_reasoning=self.wants_words,
        )

    def whole(self, answer: Answer) -> bytes:
        written = (self.write or self._whole)(answer)
        return _bare(written, [part.state for choice in answer.choices for part in stateful(choice.parts)])

    def streamed(self, answer: Answer, events: list[Event]) -> bytes:
        """`events` tell of `answer`."""
        written = (self.write_stream or self._streamed)(answer, events)
        states = [event.state for event in events if isinstance(event, StateCame)]
        if not self.framed:
            return _bare(written, states)
        return b"".join(
            eventstream.write({name: str(value) for name, value in one.headers.items()}, _bare(one.payload, states))
            for one in eventstream.Reader().feed(written)
        )

    def _asked(self) -> Request:
        return Request(
            protocol=self.protocol,
            model="thinker",
            turns=[Turn(role="user", parts=[Text(text="?")])],
            stream=True,
            usage_in_stream=True,
            logprobs=True,
            reasoning=ReasoningAsked(enabled=True, shown=True, state_wanted=True),
        )

    def _whole(self, answer: Answer) -> bytes:
        return self.translator.write_answer(answer, self._asked())

    def _streamed(self, answer: Answer, events: list[Event]) -> bytes:
        return self.translator.writer(self._asked()).write(events)


def said(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed(facts.message, status=facts.status)


def stateful(parts: Iterable[object]) -> list[Reasoning | Text | ToolCall]:
    return [part for part in parts if isinstance(part, Reasoning | Text | ToolCall) and part.state is not None]


def _bare(written: bytes, states: Iterable[State | None]) -> bytes:
    for state in states:
        if state is not None:
            wrapped = envelope.wrap(state).encode()
            inside = b64encode(wrapped)
            written = written.replace(wrapped, state.data.encode()).replace(inside, state.data.encode())
    return written


def marked(answer: Answer) -> Answer:
    """Every state of it one that can be found again: base64, as some protocols have it, and like no other."""
    number = 0
    for at, choice in enumerate(answer.choices):
        for part in stateful(choice.parts):
            number += 1
            part.state = State(MAKER, b64encode(b"signature %d of choice %d" % (number, at)).decode())
    return answer


@st.composite
def told(draw: DrawFn, upstream: Upstream) -> tuple[Answer, list[Event]]:
    answer = marked(draw(strategies.answers(upstream.says)))
    for part in (part for choice in answer.choices for part in choice.parts if upstream.mends):
        if isinstance(part, ToolCall):
            part.arguments = part.arguments.replace("\\ud800", "\\ufffd")
    return answer, draw(strategies.streams_of(answer, mixed=upstream.mixes))


UPSTREAMS = {
    upstream.protocol: upstream
    for upstream in (
        Upstream(
            protocol="openai_chat",
            says=Scope(summaries=True, call_state=True, text_state=True, media_in_answers=("image", "audio")),
            # The states of calls that come mixed are numbered in another order than those of a whole answer.
            mixes=False,
        ),
        Upstream(
            protocol="anthropic_messages",
            says=Scope(custom_tools=False, choices=1),
            version="2023-06-01",
        ),
        Upstream(
            protocol="openai_responses",
            says=Scope(summaries=True, choices=1, media_in_answers=("image",)),
        ),
        Upstream(
            protocol="gemini",
            says=Scope(
                custom_tools=False,
                refusals=False,
                call_state=True,
                text_state=True,
                media_in_answers=("image", "audio"),
            ),
            # Its choices are numbered in order of appearance, its calls come whole.
            mixes=False,
        ),
        Upstream(
            protocol="bedrock_converse",
            says=Scope(custom_tools=False, refusals=False, choices=1, media_in_answers=("image",)),
            mends=True,
            framed=True,
        ),
        Upstream(
            protocol="cohere_chat",
            says=cohere.SAYABLE,
            write=cohere.whole_of,
            write_stream=cohere.stream_of,
        ),
        Upstream(
            protocol="ollama_chat",
            says=ollama.SAYABLE,
            mends=True,
            write=ollama.whole_of,
            write_stream=ollama.stream_of,
        ),
    )
}
