"""The laws of the crossing: nothing that can be said is lost, and a stream says what the whole answer says."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.strategies import Scope
from trunkline.errors import UpstreamError, UpstreamFailed
from trunkline.translation.collect import Collector
from trunkline.translation.exchange import (
    Answer,
    Ended,
    Event,
    Media,
    Reasoning,
    ReasoningAsked,
    Request,
    State,
    Text,
    ToolCall,
)
from trunkline.translation.losses import Losses
from trunkline.translation.openai_chat.messages import call_id
from trunkline.translation.openai_chat.translator import TRANSLATOR
from trunkline.translation.target import Target
from trunkline.wire.openai_chat import read_request as read_body
from trunkline.wire.provider_errors import ErrorFacts

CORPUS = Path(__file__).parents[2] / "corpus" / "openai_chat"
TARGET = Target(provider_id="made-by", model_id="made-by/m", upstream="upstream-name", takes_cache_control=True)
ASKED = Request(
    protocol="openai_chat", model="m", turns=[], reasoning=ReasoningAsked(shown=True), usage_in_stream=True, n=2
)
SAYABLE = Scope(
    media=("image", "document", "audio", "video"),
    media_sources=("data", "url"),
    summaries=False,
    call_state=True,
    text_state=True,
    media_in_answers=("image",),
)
# In a stream that mixes calls their states come in another order, which shows in the numbers of their entries.
MIXED = Scope(summaries=True, media_in_answers=("image", "audio"))
WITH_STATE = Scope(summaries=True, call_state=True, text_state=True)
READABLE = strategies.told(MIXED) | strategies.told(WITH_STATE, mixed=False)
ORDINARY = strategies.told(msgspec.structs.replace(MIXED, custom_tools=False)) | strategies.told(
    msgspec.structs.replace(WITH_STATE, custom_tools=False), mixed=False
)


def said(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed(facts.message, status=facts.status)


def read_stream(pieces: list[bytes], target: Target = TARGET) -> list[Event]:
    reader = TRANSLATOR.reader(target, said)
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events + reader.end()


def collected(events: list[Event]) -> Answer:
    collector = Collector()
    collector.take(events)
    return collector.answer()


def written(events: list[Event], request: Request = ASKED) -> list[dict[str, Any]]:
    stream = TRANSLATOR.writer(request).write(events)
    payloads = stream.removesuffix(b"\n\n").split(b"\n\n")
    assert payloads.pop() == b"data: [DONE]"
    return [msgspec.json.decode(payload.removeprefix(b"data: ")) for payload in payloads]


def put_together(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """As OpenAI's own library does it."""
    state = ChatCompletionStreamState[Any]()
    for chunk in chunks:
        list(state.handle_chunk(ChatCompletionChunk.model_validate(chunk)))
    return state.current_completion_snapshot.to_dict()


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """Without what says nothing: fields that are null, and what only one of the two forms has."""

    def pruned(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: pruned(one) for name, one in value.items() if one is not None and name not in ("parsed",)}
        return [pruned(one) for one in value] if isinstance(value, list) else value

    answer = pruned(answer)
    answer.pop("object")
    for choice in answer["choices"]:
        choice.get("logprobs", {"x": 1}) or choice.pop("logprobs")
        for at, call in enumerate(choice["message"].get("tool_calls", ())):
            call["index"] = at
            call.get("function", {}).pop("parsed_arguments", None)
        if not choice["message"].get("content"):
            choice["message"].pop("content", None)
    return answer


@settings(max_examples=examples(80))
@given(ORDINARY)
def test_a_stream_that_is_written_says_what_the_whole_answer_says(told: tuple[Answer, list[Event]]) -> None:
    answer, events = told
    whole = msgspec.json.decode(TRANSLATOR.write_answer(answer, ASKED))
    ChatCompletion.model_validate(whole)
    assert comparable(put_together(written(events))) == comparable(whole)


@settings(max_examples=examples(80))
@given(READABLE, st.data())
def test_a_stream_that_is_read_says_what_the_whole_answer_says(
    told: tuple[Answer, list[Event]], data: st.DataObject
) -> None:
    """Written as a provider would write it, then read whole, as a stream, and as a stream in other pieces."""
    answer, events = told
    stream = TRANSLATOR.writer(ASKED).write(events)
    read = read_stream([stream])
    assert collected(read) == TRANSLATOR.read_answer(TRANSLATOR.write_answer(answer, ASKED), TARGET)
    again = read_stream(data.draw(strategies.splits(stream)))
    assert again == read
    assert isinstance(read[-1], Ended)


def plain(request: Request) -> Request:
    """What both sides of the round are held to."""
    request = copy.deepcopy(request)
    for turn in request.turns:
        # Without state reasoning goes back to nobody.
        turn.parts = [part for part in turn.parts if not isinstance(part, Reasoning) or part.state is not None]
        for part in turn.parts:
            if isinstance(part, Media) and part.kind == "document" and part.data is not None and part.name is None:
                part.name = "document.pdf"
            if isinstance(part, ToolCall):
                part.id = call_id(part.id)
            if isinstance(part, Reasoning | Text | ToolCall) and part.state is not None:
                part.state = State("", part.state.data)
    effort = request.reasoning.effort
    request.reasoning = ReasoningAsked(effort=effort, enabled=None if effort is None else effort != "none")
    request.extras, request.names, request.protocol, request.model = {}, {}, "", ""
    return request


@settings(max_examples=examples(100))
@given(strategies.requests(SAYABLE))
def test_what_is_written_for_a_provider_reads_as_what_was_asked(request: Request) -> None:
    losses = Losses("m", {})
    body = TRANSLATOR.write_request(request, TARGET, losses)
    again = TRANSLATOR.read_request(read_body(body))
    assert plain(again) == plain(msgspec.structs.replace(request, usage_in_stream=request.stream))
    assert set(losses.warnings) <= {"dropped reasoning: not supported by m"}
    assert TRANSLATOR.write_request(request, TARGET, losses) == body, "equal requests are equal bytes"


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.upstream.sse")), ids=lambda path: path.name.split(".")[0])
def test_recorded_streams_are_the_same_events_however_they_are_cut(path: Path) -> None:
    data = path.read_bytes()

    def run(pieces: list[bytes]) -> tuple[list[Event], type[Exception] | None]:
        reader = TRANSLATOR.reader(TARGET, said)
        events: list[Event] = []
        try:
            for piece in pieces:
                events += reader.feed(piece)
            return events + reader.end(), None
        except UpstreamError as error:
            return events + reader.unsent, type(error)

    expected = run([data])
    for place in range(1, len(data), 3):
        assert run([data[:place], data[place:]]) == expected, place
    assert run([data[at : at + 1] for at in range(len(data))]) == expected
    if expected[1] is None:
        assert isinstance(expected[0][-1], Ended)
        for chunk in written(expected[0]):
            ChatCompletionChunk.model_validate(chunk)
