"""Streams as they go wrong or come in other shapes; what they say is held to whole answers in test_translator."""

from __future__ import annotations

import pytest

from tests.translation.bedrock_converse.exchanges import CLAUDE, PROVIDER, collected, read_stream, recorded, said
from trunkline.errors import UpstreamError, UpstreamFailed
from trunkline.translation.bedrock_converse.stream_reader import MAX_GATHERED, Reader
from trunkline.translation.exchange import (
    ArgumentsDelta,
    Began,
    CallBegan,
    Ended,
    Finished,
    PartEnded,
    State,
    StateCame,
    TextDelta,
)
from trunkline.wire.bedrock_converse import event
from trunkline.wire.provider_errors import ErrorFacts

START = event("messageStart", b'{"role":"assistant"}')


def delta(index: int, inside: str) -> bytes:
    return event("contentBlockDelta", b'{"contentBlockIndex":%d,"delta":%b}' % (index, inside.encode()))


def test_events_of_a_call() -> None:
    assert read_stream([recorded("tools")])[3:9] == [
        CallBegan(0, 1, "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", "weather"),
        ArgumentsDelta(0, 1, '{"city":'),
        ArgumentsDelta(0, 1, ' "Köln", "days": 12345678901234567890}'),
        PartEnded(0, 1),
        CallBegan(0, 2, "tooluse_2", "now"),
        ArgumentsDelta(0, 2, "{}"),
    ]


def test_an_exception_becomes_the_error_that_is_made_of_it_and_what_came_before_is_kept() -> None:
    told: list[ErrorFacts] = []

    def made(facts: ErrorFacts) -> UpstreamError:
        told.append(facts)
        return UpstreamFailed(facts.message)

    reader = Reader(CLAUDE, made)
    with pytest.raises(UpstreamFailed, match="unable to process"):
        reader.feed(recorded("overloaded"))
    assert (told[0].status, told[0].code) == (503, "serviceUnavailableException")
    assert reader.unsent == [Began("", ""), TextDelta(0, 0, "Hel")]
    assert not reader.finished


def test_finished_is_when_the_reason_has_come() -> None:
    reader = Reader(CLAUDE, said)
    told = []
    for piece in (START, delta(0, '{"text":"x"}'), event("messageStop", b'{"stopReason":"end_turn"}')):
        reader.feed(piece)
        told.append(reader.finished)
    assert told == [False, False, True]
    assert reader.end() == [Ended()]
    assert reader.end() == reader.feed(b"anything") == []


def test_reasoning_that_is_hidden_stands_before_what_follows_it() -> None:
    first = delta(0, '{"reasoningContent":{"redactedContent":"AAEC"}}')
    events = read_stream([START + first + delta(1, '{"text":"x"}') + event("messageStop", b"{}")])
    assert events[1:3] == [StateCame(0, 0, State(PROVIDER, "redacted:AAEC")), TextDelta(0, 1, "x")]


def test_deltas_that_say_nothing_make_no_part() -> None:
    nothing = delta(0, '{"text":""}') + delta(1, '{"reasoningContent":{"text":""}}') + delta(2, '{"citation":{}}')
    events = read_stream([START + nothing + event("messageStop", b'{"stopReason":"end_turn"}')])
    assert events == [Began("", ""), Finished(0, "end"), Ended()]
    assert collected(events).choices[0].parts == []


def test_bytes_that_are_none_are_a_failure() -> None:
    pieces = delta(0, '{"reasoningContent":{"redactedContent":"A"}}') * 2
    with pytest.raises(UpstreamFailed, match="not base64"):
        read_stream([START + pieces + event("contentBlockStop", b'{"contentBlockIndex":0}')])


def test_what_is_gathered_has_a_limit() -> None:
    reader = Reader(CLAUDE, said)
    piece = delta(0, '{"reasoningContent":{"redactedContent":"%s"}}' % ("A" * (1024 * 1024)))
    for _ in range(64):
        reader.feed(piece)
    with pytest.raises(UpstreamFailed, match=f"more than {MAX_GATHERED:,}"):
        reader.feed(piece)
