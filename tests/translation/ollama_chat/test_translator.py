"""The laws of the crossing, over answers as Ollama gives them."""

from __future__ import annotations

import copy
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.ollama_chat.exchanges import (
    CORPUS,
    SAYABLE,
    TARGET,
    collected,
    read_stream,
    said,
    stream_of,
    target,
    whole_of,
)
from trunkline.errors import Defect, UpstreamError
from trunkline.translation.exchange import Answer, Ended, Event, Reasoning, State, ToolCall, Usage
from trunkline.translation.ollama_chat.translator import TRANSLATOR
from trunkline.translation.ollama_chat.vocabulary import mended
from trunkline.translation.target import Target
from trunkline.wire.inbound import Inbound

STREAMS = sorted(path.name.split(".")[0] for path in CORPUS.glob("*.ndjson"))


def as_read(answer: Answer, to: Target) -> Answer:
    answer = copy.deepcopy(answer)
    assert answer.usage is not None
    used = answer.usage
    answer.usage = Usage(
        input_tokens=used.input_tokens, output_tokens=used.output_tokens, cached_input_tokens=used.cached_input_tokens
    )
    if not used.input_tokens and not used.output_tokens:
        answer.usage = None
    answer.id = ""
    for part in answer.choices[0].parts:
        if isinstance(part, Reasoning) and to.returns_reasoning:
            part.state = State(to.provider_id, part.text)
    return answer


@settings(max_examples=examples(50))
@given(strategies.told(SAYABLE), st.booleans(), st.data())
def test_a_stream_says_what_the_whole_answer_says(
    told: tuple[Answer, list[Event]], returns_reasoning: bool, data: st.DataObject
) -> None:
    answer, events = told
    for part in answer.choices[0].parts:
        if isinstance(part, ToolCall):
            part.arguments = mended(part.arguments)  # their JSON stands among the rest
    to = target(returns_reasoning=returns_reasoning)
    stream = stream_of(answer, events)
    read = read_stream([stream], to)
    assert read_stream(data.draw(strategies.splits(stream)), to) == read
    assert isinstance(read[-1], Ended)
    assert collected(read) == TRANSLATOR.read_answer(whole_of(answer), to) == as_read(answer, to)


@settings(max_examples=examples(40))
@given(strategies.told(SAYABLE))
def test_parts_are_numbered_in_the_order_of_appearance(told: tuple[Answer, list[Event]]) -> None:
    for one in told[0].choices[0].parts:
        if isinstance(one, ToolCall):
            one.arguments = mended(one.arguments)
    seen: list[int] = []
    for event in read_stream([stream_of(*told)]):
        part: int | None = getattr(event, "part", None)
        if part is not None and part not in seen:
            seen.append(part)
    assert seen == list(range(len(seen)))


@pytest.mark.parametrize("name", STREAMS)
def test_recorded_streams_are_the_same_events_however_they_are_cut(name: str) -> None:
    data = (CORPUS / f"{name}.ndjson").read_bytes()

    def run(pieces: list[bytes]) -> tuple[list[Event], str | None]:
        reader = TRANSLATOR.reader(TARGET, said)
        events: list[Event] = []
        try:
            for piece in pieces:
                events += reader.feed(piece)
            return events + reader.end(), None
        except UpstreamError as error:
            return events + reader.unsent, f"{type(error).__name__} {error.status}: {error.message}"

    expected = run([data])
    for place in range(1, len(data), 5):
        assert run([data[:place], data[place:]]) == expected, place
    assert run([data[at : at + 1] for at in range(len(data))]) == expected
    wrong = CORPUS / f"{name}.error.txt"
    if wrong.exists():
        assert expected[1] == wrong.read_text(encoding="utf-8").strip()
    else:
        assert expected[1] is None
        whole = TRANSLATOR.read_answer((CORPUS / f"{name}.answer.json").read_bytes(), TARGET)
        assert collected(expected[0]) == whole


def test_every_file_of_the_corpus_is_read() -> None:
    known = {f"{name}.{kind}" for name in STREAMS for kind in ("ndjson", "answer.json", "error.txt")}
    assert {path.name for path in Path(CORPUS).iterdir()} <= known | {"README.md"}


def test_callers_do_not_speak_it() -> None:
    with pytest.raises(Defect):
        TRANSLATOR.read_request(Inbound(fields={"messages": msgspec.Raw(b"[]")}, model="m"))
