"""A provider's stream, in every dialect, says what its whole answer says; and what is wrong with it is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thoroughness import examples
from tests.translation import strategies
from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed
from trunkline.translation.collect import Collector
from trunkline.translation.exchange import (
    Answer,
    ArgumentsDelta,
    Began,
    CallBegan,
    Ended,
    Event,
    Finished,
    Reasoning,
    ReasoningDelta,
    StateCame,
    TextDelta,
    Used,
)
from trunkline.translation.openai_chat import reader as reader_module
from trunkline.translation.openai_chat.answer import read_answer
from trunkline.translation.openai_chat.reader import Reader
from trunkline.translation.target import Target
from trunkline.wire.provider_errors import ErrorFacts

EXCHANGES = Path(__file__).parents[2] / "corpus" / "openai_chat" / "exchanges"
NAMES = sorted(path.name.split(".")[0] for path in EXCHANGES.glob("*.stream.sse"))
TARGET = Target(provider_id="made-by", model_id="made-by/m", upstream="m")
BASE = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_756_200_000, "model": "m"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def said(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed(facts.message, status=facts.status)


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return sse({**BASE, "choices": [choice], **more})


def sse(value: Any) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


DONE = b"data: [DONE]\n\n"


def run(*pieces: bytes, target: Target = TARGET) -> list[Event]:
    reader = Reader(target, said)
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events + reader.end()


def collected(events: list[Event]) -> Answer:
    collector = Collector()
    collector.take(events)
    return collector.answer()


def without_raw(answer: Answer) -> tuple[Answer, list[Any]]:
    """Logprobs are compared by value: white space does not matter there."""
    logprobs = []
    for choice in answer.choices:
        logprobs.append(None if choice.logprobs is None else msgspec.json.decode(choice.logprobs))
        choice.logprobs = None
    return answer, logprobs


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("returns_reasoning", [False, True])
def test_a_stream_says_what_the_whole_answer_says(name: str, returns_reasoning: bool) -> None:
    target = msgspec.structs.replace(TARGET, returns_reasoning=returns_reasoning)
    stream = (EXCHANGES / f"{name}.stream.sse").read_bytes()
    whole = read_answer((EXCHANGES / f"{name}.answer.json").read_bytes(), target)
    assert whole.choices
    events = run(stream, target=target)
    assert without_raw(collected(events)) == without_raw(whole)
    assert isinstance(events[0], Began)
    assert isinstance(events[-1], Ended)
    assert run(*[stream[at : at + 1] for at in range(len(stream))], target=target) == events


@settings(max_examples=examples(60))
@given(st.sampled_from(NAMES), st.data())
def test_any_pieces_give_the_same_events(name: str, data: st.DataObject) -> None:
    stream = (EXCHANGES / f"{name}.stream.sse").read_bytes()
    assert run(*data.draw(strategies.splits(stream))) == run(stream)


@pytest.mark.parametrize("name", NAMES)
def test_parts_are_numbered_in_the_order_of_appearance(name: str) -> None:
    appeared: list[int] = []
    for event in run((EXCHANGES / f"{name}.stream.sse").read_bytes()):
        part = getattr(event, "part", None)
        if part is not None and part not in appeared:
            appeared.append(part)
    assert appeared == list(range(len(appeared)))


@pytest.mark.parametrize("line", (EXCHANGES / "errors.jsonl").read_bytes().splitlines())
def test_errors_in_every_form_end_the_stream(line: bytes) -> None:
    reader = Reader(TARGET, said)
    told = reader.feed(chunk({"content": "Hel"}))
    with pytest.raises(UpstreamFailed) as first:
        reader.feed(chunk({"content": "lo"}) + b"data: " + line + b"\n\n" + chunk({"content": "never"}))
    assert told[1:] + reader.unsent == [TextDelta(0, 0, "Hel"), TextDelta(0, 0, "lo")]
    assert first.value.message
    # The same as the whole body, without any framing.
    with pytest.raises(UpstreamFailed) as second:
        run(line)
    assert second.value.message == first.value.message


@pytest.mark.parametrize(
    "stream",
    [
        chunk({"content": "Hel"}),
        chunk({"content": "Hel"}) + DONE,
        chunk({"content": "a"}) + chunk({"content": "b"}, index=1) + chunk(finish="stop") + DONE,
        b": nothing\n\n",
        b"",
        chunk(finish="stop")[:-20],
    ],
)
def test_an_end_before_the_end_is_a_cut(stream: bytes) -> None:
    with pytest.raises(StreamCut):
        run(stream)


@pytest.mark.parametrize(
    "event",
    [
        b"data: nonsense\n\n",
        b"data: [1]\n\n",
        b'data: {"choices":[{"index":-1}]}\n\n',
        b'data: {"choices":[{"index":1024}]}\n\n',
        b'data: {"choices":{}}\n\n',
        b'data: {"choices":[{"delta":{"content":5}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n',
        b'data: {"id":"x\xff","choices":[]}\n\n',
        b'data: {"choices":[{"delta":{"images":[{"type":"image_url"}]}}]}\n\n',
        b'data: {"choices":[{"delta":{"audio":{"id":"a","data":"A"}}}]}\n\n',
    ],
)
def test_what_makes_no_sense_is_refused(event: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        run(chunk({"content": "a"}), event)


def test_a_good_end_needs_no_done_and_nothing_follows_the_end() -> None:
    reader = Reader(TARGET, said)
    reader.feed(chunk({"content": "a"}))
    before = reader.finished
    assert reader.feed(chunk(finish="stop")) == [Finished(0, "end")]
    assert (before, reader.finished) == (False, True)
    assert reader.end() == [Ended()]
    assert reader.end() == []
    assert reader.feed(chunk({"content": "b"})) == []


def test_usage_wherever_it_comes() -> None:
    events = run(
        sse({**BASE, "choices": [], "usage": None}),
        chunk({"content": "a"}, usage=USAGE),
        chunk(finish="stop"),
        sse({**BASE, "choices": [], "usage": {**USAGE, "completion_tokens": 9}}),
        DONE,
    )
    used = [event.usage.output_tokens for event in events if isinstance(event, Used)]
    assert used == [2, 9]
    assert not [
        event for event in run(chunk({"content": "a"}, "stop", usage={"prompt_tokens": 1.5})) if type(event) is Used
    ]


def test_what_follows_a_finish_reason_is_not_told() -> None:
    events = run(chunk({"content": "a"}, "stop"), chunk({"content": "b"}), chunk(finish="stop"), DONE)
    assert [type(event) for event in events] == [Began, TextDelta, Finished, Ended]


def test_the_chunk_before_the_first_choice_does_not_name_the_answer() -> None:
    """Azure's first chunk has an empty id."""
    events = run(sse({"id": "", "choices": [], "model": ""}), chunk({"content": "a"}, "stop"))
    assert events[0] == Began("chatcmpl-1", "m", 1_756_200_000)


def call(**fields: Any) -> dict[str, Any]:
    return {"tool_calls": [fields]}


def test_a_call_begins_when_its_name_is_there() -> None:
    events = run(
        chunk(call(index=0, id="c1", function={"arguments": '{"a"'})),
        chunk(call(index=0, function={"name": "f", "arguments": ":1"})),
        chunk(call(index=0, function={"arguments": "}"})),
        chunk(finish="tool_calls"),
    )
    assert events[1:-2] == [
        CallBegan(0, 0, "c1", "f"),
        ArgumentsDelta(0, 0, '{"a":1'),
        ArgumentsDelta(0, 0, "}"),
    ]


def test_a_call_without_a_name_is_told_at_the_end() -> None:
    events = run(chunk(call(index=0, id="c1", function={"arguments": "{}"})), chunk(finish="stop"))
    assert events[1:-1] == [CallBegan(0, 0, "c1", ""), ArgumentsDelta(0, 0, "{}"), Finished(0, "tool")]


def test_calls_without_ids_get_the_same_ones_every_time() -> None:
    stream = (
        chunk(call(index=0, function={"name": "f"})) + chunk(call(index=1, function={"name": "f"})) + chunk({}, "stop")
    )
    ids = [event.id for event in run(stream) if isinstance(event, CallBegan)]
    assert len(set(ids)) == 2
    assert ids == [event.id for event in run(stream) if isinstance(event, CallBegan)]


def test_state_stands_before_what_follows_it() -> None:
    """So that a client's history, and what is kept beside it, have the reasoning before the call."""
    details = [{"type": "reasoning.encrypted", "data": "xyz", "id": "rs_1", "index": 0}]
    events = run(
        chunk({"reasoning_details": details}),
        chunk(call(index=0, id="c1", function={"name": "f", "arguments": "{}"})),
        chunk(finish="tool_calls"),
    )
    assert [type(event) for event in events[1:3]] == [StateCame, CallBegan]
    assert isinstance(collected(events).choices[0].parts[0], Reasoning)


def test_reasoning_that_must_return_has_state() -> None:
    target = msgspec.structs.replace(TARGET, returns_reasoning=True)
    events = run(
        chunk({"reasoning_content": "Hm"}),
        chunk({"reasoning_content": "m."}),
        chunk(call(index=0, id="c1", function={"name": "f", "arguments": "{}"})),
        chunk(finish="tool_calls"),
        target=target,
    )
    assert events[1:3] == [ReasoningDelta(0, 0, "Hm"), ReasoningDelta(0, 0, "m.")]
    state = events[3]
    assert isinstance(state, StateCame)
    assert state.state.origin == "made-by"
    assert "Hmm." in state.state.data
    assert not [event for event in run(chunk({"reasoning": "Hm"}, "stop")) if isinstance(event, StateCame)]


def test_sound_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "MAX_HELD_BYTES", 5)
    piece = chunk({"audio": {"id": "a", "data": "AAECAw=="}})
    with pytest.raises(UpstreamFailed, match="more than 5 bytes of sound"):
        run(piece, piece)
