"""Streams as they go wrong; what they say is held to whole answers in test_translator."""

from __future__ import annotations

import pytest

from tests.translation.cohere_chat.exchanges import CORPUS, PROVIDER, TARGET, event, read_stream, said, target
from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed
from trunkline.translation.cohere_chat.reader import Reader
from trunkline.translation.exchange import (
    ArgumentsDelta,
    Began,
    CallBegan,
    PartEnded,
    ReasoningDelta,
    State,
    StateCame,
    TextDelta,
)
from trunkline.wire.provider_errors import ErrorFacts


def test_events_of_calls() -> None:
    assert read_stream([(CORPUS / "tools.sse").read_bytes()])[1:9] == [
        TextDelta(0, 0, "I will"),
        TextDelta(0, 0, " look it up."),
        PartEnded(0, 0),
        CallBegan(0, 1, "get_weather_nsz5zm3w56q3", "get_weather"),
        ArgumentsDelta(0, 1, '{\n    "location": "'),
        ArgumentsDelta(0, 1, 'Köln"\n}'),
        PartEnded(0, 1),
        CallBegan(0, 2, "now_x1", "now"),
    ]


def test_reasoning_is_kept_before_what_follows_it() -> None:
    events = read_stream([(CORPUS / "thinking.sse").read_bytes()], target(returns_reasoning=True))
    assert events[1:5] == [
        ReasoningDelta(0, 0, "Hmm, "),
        ReasoningDelta(0, 0, "yes."),
        StateCame(0, 0, State(PROVIDER, "Hmm, yes.")),
        PartEnded(0, 0),
    ]


def test_a_failure_becomes_the_error_that_is_made_of_it_and_what_came_before_is_kept() -> None:
    told: list[ErrorFacts] = []

    def made(facts: ErrorFacts) -> UpstreamError:
        told.append(facts)
        return UpstreamFailed(facts.message)

    reader = Reader(TARGET, made)
    with pytest.raises(UpstreamFailed, match="the model broke"):
        reader.feed((CORPUS / "error.sse").read_bytes())
    assert (told[0].code, told[0].status) == ("ERROR", 500)
    assert reader.unsent == [Began("29f14a5a-11de-4cae-9800-25e4747408ea", ""), TextDelta(0, 0, "part")]


def test_nothing_follows_the_end() -> None:
    reader = Reader(TARGET, said)
    reader.feed((CORPUS / "text.sse").read_bytes())
    assert reader.finished
    assert reader.feed(b"data: nonsense\n\n") == reader.end() == []


def test_an_empty_body_is_a_cut() -> None:
    with pytest.raises(StreamCut):
        Reader(TARGET, said).end()


def test_a_call_that_begins_again_under_its_number_is_another() -> None:
    def begins(call_id: str) -> bytes:
        call = {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        return event("tool-call-start", index=0, delta={"message": {"tool_calls": call}})

    end = event("message-end", delta={"finish_reason": "TOOL_CALL"})
    events = read_stream([event("message-start", id="x") + begins("a") + begins("b") + end])
    assert [(one.part, one.id) for one in events if isinstance(one, CallBegan)] == [(0, "a"), (1, "b")]
