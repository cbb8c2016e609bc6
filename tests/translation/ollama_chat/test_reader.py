"""Streams as they go wrong; what they say is held to whole answers in test_translator."""

from __future__ import annotations

import pytest

from tests.translation.ollama_chat.exchanges import CORPUS, PROVIDER, TARGET, collected, read_stream, said, target
from trunkline.errors import StreamCut, UpstreamFailed
from trunkline.translation.exchange import (
    ArgumentsDelta,
    Began,
    CallBegan,
    PartEnded,
    Reasoning,
    ReasoningDelta,
    State,
    StateCame,
    TextDelta,
)
from trunkline.translation.ollama_chat.reader import Reader


def test_a_call_comes_whole() -> None:
    assert read_stream([(CORPUS / "tools.ndjson").read_bytes()])[:5] == [
        Began("", "qwen3:8b", 1779922497),
        TextDelta(0, 0, "I look."),
        CallBegan(0, 1, "call_k3m9x2p1", "get_weather"),
        ArgumentsDelta(0, 1, '{"city":"Köln","days":3}'),
        PartEnded(0, 1),
    ]


def test_reasoning_is_kept_before_what_follows_it_and_again_when_more_came() -> None:
    lines = b'{"message":{"thinking":"a"}}\n{"message":{"content":"x"}}\n{"message":{"thinking":"b"}}\n'
    events = read_stream([lines + b'{"message":{"content":"y"},"done":true}\n'], target(returns_reasoning=True))
    assert events[1:4] == [
        ReasoningDelta(0, 0, "a"),
        StateCame(0, 0, State(PROVIDER, "a")),
        TextDelta(0, 1, "x"),
    ]
    assert collected(events).choices[0].parts[0] == Reasoning(text="ab", state=State(PROVIDER, "ab"))


def test_an_error_in_the_middle_keeps_what_came_before() -> None:
    reader = Reader(TARGET, said)
    with pytest.raises(UpstreamFailed, match="model runner has unexpectedly stopped"):
        reader.feed((CORPUS / "error.ndjson").read_bytes())
    assert reader.unsent == [Began("", "qwen3:8b", 1779922497), TextDelta(0, 0, "par")]
    assert not reader.finished


def test_nothing_follows_the_end() -> None:
    reader = Reader(TARGET, said)
    reader.feed((CORPUS / "text.ndjson").read_bytes())
    assert reader.finished
    assert reader.feed(b"nonsense\n") == reader.end() == []


def test_an_empty_body_is_a_cut() -> None:
    with pytest.raises(StreamCut):
        Reader(TARGET, said).end()
