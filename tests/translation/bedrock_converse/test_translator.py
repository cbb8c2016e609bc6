"""The laws of the crossing: nothing that can be said is lost, and a stream says what the whole answer says."""

from __future__ import annotations

import copy
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.bedrock_converse.exchanges import (
    ASKED,
    CLAUDE,
    CORPUS,
    PROVIDER,
    SAYABLE,
    ToldLosses,
    collected,
    messages_in,
    read_stream,
    recorded,
    said,
)
from trunkline.errors import UpstreamError
from trunkline.translation import envelope
from trunkline.translation.bedrock_converse.blocks import call_id
from trunkline.translation.bedrock_converse.request import FILLER
from trunkline.translation.bedrock_converse.translator import TRANSLATOR
from trunkline.translation.bedrock_converse.vocabulary import REDACTED, mended
from trunkline.translation.exchange import (
    Answer,
    Choice,
    Ended,
    Event,
    Media,
    Reasoning,
    ReasoningAsked,
    Request,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
    Usage,
)
from trunkline.wire import bedrock_converse

STREAMS = sorted(path.name.split(".")[0] for path in CORPUS.glob("*.events.jsonl"))


def as_read(answer: Answer, *, wrapped: bool = False) -> Answer:
    """What a reader makes of it: no ids of the answer, no halves of surrogate pairs, and state as this gateway
    `wrapped` it."""
    answer = copy.deepcopy(answer)
    answer.id, answer.model, answer.created = "", "", 0
    for choice in answer.choices:
        for part in choice.parts:
            if isinstance(part, ToolCall):
                part.arguments = mended(part.arguments)
            if isinstance(part, Reasoning) and part.state is not None and wrapped:
                data = envelope.wrap(part.state)
                hidden = not part.text
                part.state = State(PROVIDER, REDACTED + b64encode(data.encode()).decode() if hidden else data)
            if isinstance(part, Media):
                part.name = None
    assert answer.usage is not None
    answer.usage = msgspec.structs.replace(answer.usage, reasoning_tokens=0)
    return answer


@settings(max_examples=examples(40))
@given(strategies.told(SAYABLE), st.data())
def test_a_stream_that_is_read_says_what_the_whole_answer_says(
    told: tuple[Answer, list[Event]], data: st.DataObject
) -> None:
    answer, events = told
    stream = TRANSLATOR.writer(ASKED).write(events)
    read = read_stream([stream])
    assert read_stream(data.draw(strategies.splits(stream))) == read
    assert isinstance(read[-1], Ended)
    whole = TRANSLATOR.read_answer(TRANSLATOR.write_answer(answer, ASKED), CLAUDE)
    assert as_read(collected(read)) == as_read(whole) == as_read(answer, wrapped=True)


@settings(max_examples=examples(40))
@given(strategies.told(SAYABLE))
def test_blocks_are_numbered_in_the_order_of_appearance(told: tuple[Answer, list[Event]]) -> None:
    stream = messages_in(TRANSLATOR.writer(ASKED).write(told[1]))
    kinds = [kind for kind, _ in stream]
    assert kinds[0] == "messageStart"
    assert kinds[-2:] == ["messageStop", "metadata"]
    seen: list[int] = []
    open_blocks: set[int] = set()
    for kind, payload in stream:
        index = payload.get("contentBlockIndex")
        if index is None:
            continue
        if kind == "contentBlockStop":
            open_blocks.remove(index)
        elif index not in seen:
            seen.append(index)
            open_blocks.add(index)
        else:
            assert index in open_blocks
    assert seen == list(range(len(seen)))
    assert not open_blocks


def merged(turns: list[Turn]) -> list[Turn]:
    """As they stand in messages: roles take turns, results come first, halves of surrogate pairs are replaced."""
    found: list[Turn] = []
    for turn in turns:
        role = "system" if turn.role == "developer" else turn.role
        if found and found[-1].role == role:
            found[-1].parts += turn.parts
        else:
            found.append(Turn(role=role, parts=list(turn.parts)))
    for turn in found:
        turn.parts.sort(key=lambda part: not isinstance(part, ToolResult))
        documents = any(isinstance(part, Media) and part.kind == "document" for part in turn.parts)
        if documents and not any(isinstance(part, Text) for part in turn.parts):
            turn.parts.append(Text(text=FILLER))
    return found


def plain(asked: Request) -> Request:
    asked = copy.deepcopy(asked)
    asked.turns = merged(asked.turns)
    taken: set[str] = set()
    for turn in asked.turns:
        turn.parts = [part for part in turn.parts if not isinstance(part, Reasoning) or part.state is not None]
        for part in turn.parts:
            _plain_part(part, taken)
    asked.names, asked.extras, asked.model, asked.protocol = {}, {}, "", ""
    asked.usage_in_stream, asked.stream = False, False
    asked.tool_choice = None if asked.tool_choice and asked.tool_choice.mode == "auto" else asked.tool_choice
    asked.reasoning = ReasoningAsked(effort=None)
    return asked


def _plain_part(part: Any, taken: set[str]) -> None:
    if isinstance(part, Reasoning) and part.state is not None:
        part.state = State("", part.state.data)
    if isinstance(part, Media) and part.kind == "document":
        part.name = "named"
    if isinstance(part, Media):
        part.detail = None
    if isinstance(part, ToolCall):
        part.id = call_id(part.id)
        part.arguments = mended(part.arguments)
    if isinstance(part, ToolResult):
        part.cache = part.cache or next((inner.cache for inner in reversed(part.parts) if inner.cache), None)
        for inner in part.parts:
            inner.cache = None
            _plain_part(inner, taken)


PARAMETERS = ("max_tokens", "temperature", "top_p", "top_k")
FORM = strategies.requests(
    msgspec.structs.replace(SAYABLE, cache=False, media_in_answers=(), reasoning_text=False), PARAMETERS
)


@settings(max_examples=examples(40))
@given(FORM)
def test_what_is_written_for_a_provider_reads_as_what_was_asked(asked: Request) -> None:
    sayable = msgspec.structs.replace(
        asked,
        reasoning=ReasoningAsked(),
        parallel_tool_calls=None,
        stop=[sequence for sequence in asked.stop if sequence.strip()],
    )
    if sayable.tool_choice is not None and (
        sayable.tool_choice.mode != "required" or len(sayable.tool_choice.names) > 1
    ):
        sayable.tool_choice = None
    form = sayable.output_format
    if form is not None:
        sayable.output_format = None if form.kind != "json_schema" else msgspec.structs.replace(form, strict=None)
    if not sayable.tools and any(isinstance(part, ToolCall) for turn in sayable.turns for part in turn.parts):
        return  # tools are named where a conversation calls some
    if any(not text.strip() for text in texts(sayable)):
        return  # blanks are not sent
    losses = ToldLosses()
    body = TRANSLATOR.write_request(sayable, CLAUDE, losses)
    again = TRANSLATOR.read_request(bedrock_converse.read_request(body, "m", stream=False))
    expected = plain(sayable)
    assert plain(again) == expected
    assert losses.told <= {("media.name", "changed"), ("media.document", "changed"), ("media.detail", "dropped")} | {
        ("tool_calls.arguments", "changed")
    }
    assert TRANSLATOR.write_request(sayable, CLAUDE, losses) == body, "equal requests are equal bytes"


def texts(asked: Request) -> list[str]:
    found = []
    for turn in asked.turns:
        for part in turn.parts:
            inner = part.parts if isinstance(part, ToolResult) else [part]
            found += [one.text for one in inner if isinstance(one, Text)]
    return found


@pytest.mark.parametrize("name", STREAMS)
def test_recorded_streams_are_the_same_events_however_they_are_cut(name: str) -> None:
    data = recorded(name)

    def run(pieces: list[bytes]) -> tuple[list[Event], str | None]:
        reader = TRANSLATOR.reader(CLAUDE, said)
        events: list[Event] = []
        try:
            for piece in pieces:
                events += reader.feed(piece)
            return events + reader.end(), None
        except UpstreamError as error:
            return events + reader.unsent, f"{type(error).__name__}: {error.message}"

    expected = run([data])
    for place in range(1, len(data), 7):
        assert run([data[:place], data[place:]]) == expected, place
    assert run([data[at : at + 1] for at in range(len(data))]) == expected
    wrong = CORPUS / f"{name}.error.txt"
    if wrong.exists():
        assert expected[1] == wrong.read_text(encoding="utf-8").strip()
    else:
        assert expected[1] is None
        whole = TRANSLATOR.read_answer((CORPUS / f"{name}.answer.json").read_bytes(), CLAUDE)
        assert collected(expected[0]) == whole


def test_every_file_of_the_corpus_is_read() -> None:
    known = {f"{name}.{kind}" for name in STREAMS for kind in ("events.jsonl", "answer.json", "error.txt")}
    assert {path.name for path in Path(CORPUS).iterdir()} <= known | {"README.md"}


def test_an_answer_without_anything_is_an_answer() -> None:
    answer = Answer(
        id="x", model="m", choices=[Choice(parts=[], stop="end")], usage=Usage(input_tokens=1, output_tokens=0)
    )
    assert TRANSLATOR.read_answer(TRANSLATOR.write_answer(answer, ASKED), CLAUDE).choices == answer.choices
