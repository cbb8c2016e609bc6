"""A provider's stream: however it is cut and whatever of it is left out, it says what the whole answer says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.openai_responses.exchanges import SCOPE, TARGET, collected, plain, said
from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed
from trunkline.translation.exchange import (
    Answer,
    Began,
    Ended,
    Event,
    Finished,
    Opaque,
    PartCame,
    PartEnded,
    Reasoning,
    ReasoningDelta,
    State,
    StateCame,
    Text,
    TextDelta,
    ToolCall,
    Used,
)
from trunkline.translation.openai_responses.answer import read_answer
from trunkline.translation.openai_responses.stream import Reader, Writer
from trunkline.wire.codec import encode
from trunkline.wire.usage import Usage

CORPUS = Path(__file__).parents[2] / "corpus" / "openai_responses"
STREAMS = sorted(CORPUS.glob("*.sse"))
WHOLE = [path for path in STREAMS if path.with_suffix(".json").exists()]
BAD: dict[str, tuple[type[UpstreamError], str]] = {
    "cut": (StreamCut, "broke off"),
    "error_event": (UpstreamFailed, "You exceeded your current quota"),
    "error_flat": (UpstreamFailed, "The server had an error"),
    "failed": (UpstreamFailed, "The model produced invalid content."),
    "fastapi_detail": (UpstreamFailed, "input: Field required"),
    "json_instead": (UpstreamFailed, "Rate limit reached"),
    "malformed": (UpstreamFailed, "not a JSON object"),
    "no_type": (UpstreamFailed, "without a type"),
}


def read(data: bytes, pieces: list[bytes] | None = None) -> list[Event]:
    reader = Reader(TARGET, said)
    events = [event for piece in pieces or [data] for event in reader.feed(piece)]
    return events + reader.end()


def comparable(answer: Answer) -> Any:
    """Raw values compare by identity."""
    return msgspec.json.decode(encode(answer))


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + encode(event) + b"\n\n" for event in events)


def response(*output: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "resp_1", "model": "m", "created_at": 5, "status": "completed", "output": list(output), **fields}


def completed(*output: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": response(*output, **fields)}


@pytest.mark.parametrize("path", [path for path in STREAMS if path.stem not in BAD], ids=lambda path: path.stem)
def test_a_recorded_stream_reads_the_same_however_it_is_cut(path: Path) -> None:
    data = path.read_bytes()
    whole = read(data)
    assert isinstance(whole[0], Began)
    assert isinstance(whole[-1], Ended)
    assert encode(read(data, [data[at : at + 1] for at in range(len(data))])) == encode(whole)
    assert encode(read(data.replace(b"\n", b"\r\n"))) == encode(whole)


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_a_recorded_stream_says_what_its_whole_answer_says(path: Path) -> None:
    told = read_answer(path.with_suffix(".json").read_bytes(), TARGET)
    told.service_tier = None  # known at the end only
    assert comparable(collected(read(path.read_bytes()))) == comparable(told)


@pytest.mark.parametrize("name", BAD)
def test_a_failing_stream_says_why(name: str) -> None:
    data = (CORPUS / f"{name}.sse").read_bytes()
    kind, sentence = BAD[name]
    reader = Reader(TARGET, said)
    with pytest.raises(kind, match=sentence):
        assert reader.feed(data) + reader.end() is None
    assert not reader.finished


@given(strategies.told(SCOPE), st.data())
@settings(max_examples=examples(60))
def test_what_the_writer_writes_reads_as_its_whole_answer(told: tuple[Answer, list[Event]], data: Any) -> None:
    writer = Writer(plain(summary=data.draw(st.sampled_from((None, "auto")))))
    written = writer.write(told[1])
    assert writer.final is not None
    events = read(written)
    assert encode(read(written, data.draw(strategies.splits(written)))) == encode(events)
    assert comparable(collected(events)) == comparable(read_answer(writer.final, TARGET))


def test_parts_are_numbered_without_gaps_in_the_order_of_their_appearance() -> None:
    events = read(
        sse(
            {"type": "response.created", "response": response(status="in_progress")},
            {"type": "response.output_item.added", "output_index": 3, "item": {"type": "message", "content": []}},
            {"type": "response.output_text.delta", "output_index": 3, "content_index": 0, "delta": "a"},
            {"type": "response.output_item.added", "output_index": 7, "item": call(name="f")},
            {"type": "response.output_text.delta", "output_index": 3, "content_index": 0, "delta": "b"},
            {"type": "response.function_call_arguments.delta", "output_index": 7, "delta": "{}"},
            {"type": "response.output_item.done", "output_index": 7, "item": call(name="f", arguments="{}")},
            completed(),
        )
    )
    assert [event.part for event in events if isinstance(event, TextDelta)] == [0, 0]
    (choice,) = collected(events).choices
    assert choice.parts == [Text(text="ab"), ToolCall(id="call_1", name="f", arguments="{}")]
    assert choice.stop == "tool"


def call(**fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "id": "fc_1", "call_id": "call_1", "arguments": "", **fields}


MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "content": [{"type": "output_text", "text": "Hello", "annotations": []}, {"type": "refusal", "refusal": "No."}],
}
REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}],
    "encrypted_content": "sealed",
}
CUSTOM = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_2", "name": "run", "input": "ls"}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed"}


@pytest.mark.parametrize("item", [MESSAGE, REASONING, call(name="f", arguments='{"a":1}'), CUSTOM, SEARCH])
def test_what_was_not_streamed_is_told_from_the_whole(item: dict[str, Any]) -> None:
    whole = response(item)
    answer = read_answer(encode(whole), TARGET)
    assert comparable(collected(read(sse({"type": "response.completed", "response": whole})))) == comparable(answer)
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    told = collected(read(sse(done, {"type": "response.completed", "response": whole})))
    assert encode(told.choices) == encode(answer.choices)
    assert len(answer.choices[0].parts) == (2 if item is MESSAGE else 1)


def test_what_was_streamed_is_not_told_again() -> None:
    begun = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hel"}
    done = {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE}
    events = read(sse(begun, done, completed(MESSAGE)))
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Hel", "lo"]
    assert sum(isinstance(event, PartEnded) for event in events) == 2


def test_the_state_that_counts_is_the_one_of_the_done_item() -> None:
    added = {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {**REASONING, "encrypted_content": "early"},
    }
    done = {"type": "response.output_item.done", "output_index": 0, "item": REASONING}
    events = read(sse(added, done, completed(REASONING)))
    assert [event for event in events if isinstance(event, StateCame)] == [
        StateCame(0, 0, State("made-by", "rs_1.sealed"))
    ]


@pytest.mark.parametrize("name", ["response.reasoning_text.delta", "response.reasoning.delta"])
def test_both_spellings_of_reasoning_are_read(name: str) -> None:
    deltas = [
        {"type": name, "output_index": 0, "content_index": index, "delta": text}
        for index, text in ((0, "a"), (0, "b"), (1, "c"))
    ]
    item = {
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": text} for text in ("ab", "c")],
    }
    events = read(sse(*deltas, completed(item)))
    assert [event.text for event in events if isinstance(event, ReasoningDelta)] == ["a", "b", "\n\nc"]
    assert collected(events).choices[0].parts == [Reasoning(text="ab\n\nc")]
    assert read_answer(encode(response(item)), TARGET).choices[0].parts == [Reasoning(text="ab\n\nc")]


def test_events_that_say_nothing_to_us_are_passed_over() -> None:
    odd = [
        {"type": "response.shell_call_output_content.delta", "output_index": 0, "delta": {"stdout": "x"}},
        {"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws_1"},
        {"type": "response.something.from_next_year", "delta": 5},
        {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "Hello"},
    ]
    events = read(sse(*odd, completed(MESSAGE)) + b"data: [DONE]\n\n: comment\n\n")
    assert [type(event) for event in events if isinstance(event, Began | Finished | Ended)] == [Began, Finished, Ended]


def test_a_search_crosses_whole_and_a_phase_stands_before_its_message() -> None:
    message = {**MESSAGE, "phase": "commentary"}
    added = {"type": "response.output_item.added", "output_index": 1, "item": {**message, "content": []}}
    events = read(sse(added, completed(SEARCH, message)))
    wholes = [event.whole for event in events if isinstance(event, PartCame)]
    assert [whole.kind for whole in wholes if isinstance(whole, Opaque)] == ["phase", "web_search_call"]


def test_usage_and_the_limits_of_the_answer() -> None:
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 14,
    }
    last = completed(MESSAGE, usage=usage, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    events = read(sse({**last, "type": "response.incomplete"}))
    expected = Usage(input_tokens=9, output_tokens=5, cached_input_tokens=4, cache_write_tokens=1, reasoning_tokens=2)
    assert [event.usage for event in events if isinstance(event, Used)] == [expected]
    assert [event.stop for event in events if isinstance(event, Finished)] == ["length"]


def test_what_came_before_an_error_is_not_lost() -> None:
    reader = Reader(TARGET, said)
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hel"}
    with pytest.raises(UpstreamFailed, match="gone"):
        reader.feed(sse(delta, {"type": "error", "code": "server_error", "message": "gone", "param": None}))
    assert [event.text for event in reader.unsent if isinstance(event, TextDelta)] == ["Hel"]


def test_numbers_and_odd_text_cross_exactly() -> None:
    text = "\u2028\u2029 \U0001f600 data: [DONE]\n\n"
    arguments = '{"n":12345678901234567890, "x":1.0, "s":"\\ud83d"}'
    item = call(name="f", arguments=arguments)
    body = response({**MESSAGE, "content": [{"type": "output_text", "text": text, "annotations": []}]}, item)
    parts = collected(read(sse({"type": "response.completed", "response": body}))).choices[0].parts
    assert parts == [Text(text=text), ToolCall(id="call_1", name="f", arguments=arguments)]
    assert msgspec.json.decode(encode(body))["output"][1]["arguments"] == arguments


def test_the_last_event_tells_only_of_items_that_were_not_done() -> None:
    done = {"type": "response.output_item.done", "output_index": 0, "item": REASONING}
    events = read(sse(done, completed(REASONING, CUSTOM)))
    assert sum(isinstance(event, StateCame) for event in events) == 1
    assert [type(part) for part in collected(events).choices[0].parts] == [Reasoning, ToolCall]


def test_logprobs_that_are_no_list_are_none() -> None:
    reader = Reader(TARGET, said)
    events = reader.feed(
        b'data: {"type":"response.created","sequence_number":0,"response":{"id":"r","model":"m"}}\n\n'
        b'data: {"type":"response.output_item.added","sequence_number":1,"output_index":0,'
        b'"item":{"type":"message","id":"m","content":[]}}\n\n'
        b'data: {"type":"response.output_text.delta","sequence_number":2,"output_index":0,"content_index":0,'
        b'"delta":"a","logprobs":"abc"}\n\n'
    )
    assert [event.logprobs for event in events if isinstance(event, TextDelta)] == [None]
