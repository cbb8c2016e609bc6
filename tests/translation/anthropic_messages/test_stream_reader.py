"""Providers' streams read to events: the same as the whole answer, however the bytes are cut."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.anthropic_messages.targets import PROVIDER, TARGET, request
from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed, UpstreamOverloaded
from trunkline.translation.anthropic_messages import stream_reader
from trunkline.translation.anthropic_messages.answer import read_answer
from trunkline.translation.anthropic_messages.stream_reader import Reader
from trunkline.translation.anthropic_messages.stream_writer import Writer
from trunkline.translation.collect import Collector
from trunkline.translation.exchange import (
    Answer,
    ArgumentsDelta,
    Began,
    CallBegan,
    Ended,
    Event,
    Finished,
    PartCame,
    PartEnded,
    ReasoningAsked,
    ReasoningDelta,
    State,
    StateCame,
    TextDelta,
    ToolCall,
    Usage,
    Used,
)
from trunkline.wire.provider_errors import ErrorFacts

CORPUS = Path(__file__).parents[2] / "corpus" / "anthropic_messages"
GOOD = sorted(path.name.split(".")[0] for path in CORPUS.glob("*.answer.json"))
BAD: dict[str, tuple[type[UpstreamError], str]] = {
    "cut": (StreamCut, "broke off"),
    "cut_in_event": (StreamCut, "broke off"),
    "error_at_once": (UpstreamFailed, "Internal server error"),
    "fastapi_detail": (UpstreamFailed, "Not Found"),
    "json_instead": (UpstreamFailed, "Too many requests"),
    "malformed": (UpstreamFailed, "not one of a message"),
    "not_utf8": (UpstreamFailed, "not one of a message"),
    "overloaded": (UpstreamOverloaded, "Overloaded"),
}


def said(facts: ErrorFacts) -> UpstreamError:
    return (UpstreamOverloaded if facts.type == "overloaded_error" else UpstreamFailed)(facts.message)


def run(pieces: Iterable[bytes]) -> tuple[list[Event], UpstreamError | None]:
    reader = Reader(TARGET, said)
    events: list[Event] = []
    try:
        for piece in pieces:
            events += reader.feed(piece)
        return events + reader.end(), None
    except UpstreamError as error:
        return events + reader.unsent, error


def event(kind: str, **facts: Any) -> bytes:
    return b"data: " + msgspec.json.encode({"type": kind, **facts}) + b"\n\n"


def start(index: int, **block: Any) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, **facts: Any) -> bytes:
    return event("content_block_delta", index=index, delta=facts)


BEGIN = event("message_start", message={"id": "msg_1", "model": "m", "usage": {"input_tokens": 3, "output_tokens": 1}})
STOPPED = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2})
END = event("message_stop")


def plain(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def test_the_corpus_is_all_here() -> None:
    assert {path.name.split(".")[0] for path in CORPUS.glob("*.upstream.sse")} == {*GOOD, *BAD}


@pytest.mark.parametrize("name", GOOD)
def test_a_stream_amounts_to_the_whole_answer(name: str) -> None:
    events, error = run([(CORPUS / f"{name}.upstream.sse").read_bytes()])
    assert error is None
    collector = Collector()
    collector.take(events)
    assert collector.ended
    whole, streamed = read_answer((CORPUS / f"{name}.answer.json").read_bytes(), TARGET), collector.answer()
    for part in [*streamed.choices[0].parts, *whole.choices[0].parts]:
        if isinstance(part, ToolCall):
            part.arguments = repr(msgspec.json.decode(part.arguments))
    assert plain(streamed) == plain(whole)


@pytest.mark.parametrize("name", [*GOOD, *BAD])
def test_any_split_gives_the_same_events(name: str) -> None:
    data = (CORPUS / f"{name}.upstream.sse").read_bytes()
    expected, error = run([data])
    assert (type(error), BAD[name][1] in error.message if error else True) == (BAD.get(name, (type(None),))[0], True)
    for place in range(1, len(data), 5):
        events, other = run([data[:place], data[place:]])
        assert (plain(events), type(other)) == (plain(expected), type(error)), place
    events, other = run([data[n : n + 1] for n in range(len(data))])
    assert (plain(events), type(other)) == (plain(expected), type(error))


def test_events_in_order() -> None:
    events, _ = run([(CORPUS / "thinking.upstream.sse").read_bytes()])
    usage = Usage(input_tokens=12, output_tokens=1)
    assert events == [
        Began("msg_01Thinking", "claude-sonnet-4-5-20250929", 0, usage, "default"),
        ReasoningDelta(0, 0, "Let me "),
        ReasoningDelta(0, 0, "see."),
        StateCame(0, 0, State(PROVIDER, "EqQBCgIYAhIM1gbcDa9GJwZA2b3h==")),
        PartEnded(0, 0),
        StateCame(0, 1, State(PROVIDER, "redacted:EmwKAhgBEgy3va3pzix==")),
        PartEnded(0, 1),
        CallBegan(0, 2, "toolu_01C", "look"),
        ArgumentsDelta(0, 2, '{"a":1}'),
        PartEnded(0, 2),
        Used(Usage(input_tokens=12, output_tokens=90, reasoning_tokens=60)),
        Finished(0, "tool"),
        Ended(),
    ]


def test_text_without_citations_does_not_wait() -> None:
    reader = Reader(TARGET, said)
    reader.feed(BEGIN + start(0, type="text", text=""))
    assert reader.feed(delta(0, type="text_delta", text="Hi")) == [TextDelta(0, 0, "Hi")]
    assert reader.feed(delta(0, type="citations_delta", citation={"type": "char_location"})) == []
    assert reader.feed(event("content_block_stop", index=0)) == [PartEnded(0, 0)]


def test_citations_that_come_first_make_the_text_wait() -> None:
    reader = Reader(TARGET, said)
    reader.feed(BEGIN + start(0, type="text", text=""))
    reader.feed(delta(0, type="citations_delta", citation={"type": "char_location"}))
    assert reader.feed(delta(0, type="text_delta", text="Hi")) == []
    came, _ = reader.feed(event("content_block_stop", index=0))
    assert isinstance(came, PartCame)
    assert plain(came.whole)["citations"] == [{"type": "char_location"}]


def test_a_message_may_end_without_a_reason() -> None:
    events, error = run([BEGIN + start(0, type="text", text="Hi") + END])
    assert error is None
    assert events[1:] == [TextDelta(0, 0, "Hi"), PartEnded(0, 0), Finished(0, "end"), Ended()]


def test_finished_and_nothing_after_the_end() -> None:
    reader = Reader(TARGET, said)
    finished = []
    for data in (BEGIN, STOPPED, END):
        reader.feed(data)
        finished.append(reader.finished)
    assert finished == [False, True, True]
    assert reader.feed(BEGIN) == reader.end() == []


def test_pings_and_new_events_mean_nothing() -> None:
    events, error = run([BEGIN + event("ping") + event("content_block_mood", index=0) + STOPPED + END])
    assert error is None
    assert [type(one) for one in events] == [Began, Used, Finished, Ended]


@pytest.mark.parametrize(
    "data",
    [
        b"data: []\n\n",
        b"data: {}\n\n",
        b'data: {"type":"content_block_start","index":0}\n\n',
        b'data: {"type":"content_block_start","index":0,"content_block":{}}\n\n',
        b'data: {"type":"content_block_delta","index":"0","delta":{}}\n\n',
        b'data: {"type":"message_delta","delta":{"stop_reason":1}}\n\n',
        delta(7, type="text_delta", text="x"),
        event("content_block_start", index=0, content_block={"type": "text", "text": 1}),
    ],
)
def test_what_makes_no_sense_ends_it(data: bytes) -> None:
    events, error = run([BEGIN + data])
    assert isinstance(error, UpstreamFailed)
    assert [type(one) for one in events] == [Began]


def test_an_end_without_a_beginning() -> None:
    assert isinstance(run([END])[1], UpstreamFailed)


def test_what_is_gathered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_reader, "MAX_GATHERED_BYTES", 20)
    for block, more in (
        ({"type": "text", "text": "", "citations": []}, {"type": "text_delta", "text": "x" * 12}),
        ({"type": "server_tool_use", "input": {}}, {"type": "input_json_delta", "partial_json": "x" * 12}),
        ({"type": "new"}, {"type": "new_delta", "content": "x" * 12}),
    ):
        data = BEGIN + start(0, **block) + delta(0, **more)
        assert run([data])[1].__class__ is StreamCut
        assert isinstance(run([data + delta(0, **more)])[1], UpstreamFailed)


def test_a_server_tools_input_that_is_no_json_is_left_out() -> None:
    data = start(0, type="server_tool_use", id="s", input={}) + delta(0, type="input_json_delta", partial_json='{"a')
    events, error = run([BEGIN + data + STOPPED + END])
    assert error is None
    came = next(one for one in events if isinstance(one, PartCame))
    assert plain(came.whole)["raw"]["input"] == {}


@settings(max_examples=examples(30), deadline=None)
@given(strategies.told(), st.data())
def test_what_the_writer_writes_reads_the_same_cut_anywhere(
    told: tuple[Answer, list[Event]], data: st.DataObject
) -> None:
    reasoning = ReasoningAsked(enabled=True, shown=True, state_wanted=True)
    stream = Writer(request(reasoning=reasoning)).write(told[1])
    expected, error = run([stream])
    assert error is None
    assert isinstance(expected[-1], Ended)
    assert plain(run(data.draw(strategies.splits(stream)))[0]) == plain(expected)


@pytest.mark.parametrize("told", [{}, {"usage": {"output_tokens": "5"}}, {"usage": {"output_tokens": None}}])
def test_the_start_does_not_know_how_much_there_is_to_say(told: dict[str, Any]) -> None:
    events, error = run([BEGIN + event("message_delta", delta={"stop_reason": "end_turn"}, **told) + END])
    assert error is None
    assert [type(one) for one in events] == [Began, Finished, Ended]
