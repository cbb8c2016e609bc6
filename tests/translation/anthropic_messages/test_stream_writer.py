"""Events written as a stream: what the package's accumulators make of it is the whole answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from msgspec import Raw

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.anthropic_messages import sdk
from tests.translation.anthropic_messages.targets import request
from trunkline.translation import envelope
from trunkline.translation.anthropic_messages import stream_writer
from trunkline.translation.anthropic_messages.answer import write_answer
from trunkline.translation.anthropic_messages.content import Kept, read_parts
from trunkline.translation.anthropic_messages.stream_writer import Writer
from trunkline.translation.exchange import (
    Answer,
    ArgumentsDelta,
    Began,
    CallBegan,
    Ended,
    Event,
    Finished,
    Media,
    Opaque,
    PartCame,
    PartEnded,
    ReasoningAsked,
    ReasoningDelta,
    RefusalDelta,
    State,
    StateCame,
    Stop,
    Text,
    TextDelta,
    Usage,
    Used,
)

SHOWN = ReasoningAsked(enabled=True, shown=True, state_wanted=True)
HIDDEN = ReasoningAsked(enabled=True, state_wanted=True)
STATE = State("openai", "enc")
WRAPPED = envelope.wrap(STATE)
BEGAN = Began("chatcmpl-1", "m", 1)
END: list[Event] = [Finished(0, "end"), Ended()]


def writer(reasoning: ReasoningAsked = SHOWN) -> Writer:
    return Writer(request(reasoning=reasoning))


def stream(*events: Event, reasoning: ReasoningAsked = SHOWN) -> bytes:
    return writer(reasoning).write([BEGAN, *events])


def content(*events: Event, reasoning: ReasoningAsked = SHOWN) -> list[dict[str, Any]]:
    """As the package's accumulators put it together, whether the events are written at once or one by one."""
    data = stream(*events, *END, reasoning=reasoning)
    sdk.events(data)
    one_by_one = writer(reasoning)
    slowly = b"".join(one_by_one.write([event]) for event in (BEGAN, *events, *END))
    sdk.events(slowly)
    found = blocks(sdk.accumulated(data))
    assert blocks(sdk.accumulated(slowly)) == found
    return found


def blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in block.items() if value is not None} for block in message["content"]]


def parts(message: dict[str, Any]) -> Any:
    """As they come back, state with the part it belongs to."""
    found = read_parts(Raw(msgspec.json.encode(blocks(message))), "content", Kept())
    return msgspec.json.decode(msgspec.json.encode(found))


@settings(max_examples=examples(40), deadline=None)
@given(strategies.told())
def test_a_stream_amounts_to_the_whole_answer(told: tuple[Answer, list[Event]]) -> None:
    answer, events = told
    asked = request(reasoning=SHOWN)
    data = Writer(asked).write(events)
    sdk.events(data)
    streamed, whole = sdk.accumulated(data), sdk.message(write_answer(answer, asked))
    assert parts(streamed) == parts(whole)
    for name in ("id", "model", "role", "stop_reason", "stop_sequence"):
        assert streamed[name] == whole[name]
    whole["usage"].pop("cache_creation", None)
    assert {name: count for name, count in streamed["usage"].items() if count is not None} == whole["usage"]


def test_the_first_bytes_and_the_last() -> None:
    data = stream(TextDelta(0, 0, "é\u2028"), *END)
    assert data.startswith(b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1"')
    assert (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"\xc3\xa9\xe2\x80\xa8"}}\n\n' in data
    )
    assert data.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


def test_calls_that_come_mixed_go_one_after_the_other() -> None:
    assert content(
        TextDelta(0, 0, "So"),
        CallBegan(0, 1, "a", "n"),
        CallBegan(0, 2, "b", "n"),
        ArgumentsDelta(0, 2, '{"x":'),
        ArgumentsDelta(0, 1, '{"y":{}'),
        ArgumentsDelta(0, 2, "1}"),
        ArgumentsDelta(0, 1, "}"),
    ) == [
        {"type": "text", "text": "So"},
        {"type": "tool_use", "id": "a", "name": "n", "input": {"y": {}}},
        {"type": "tool_use", "id": "b", "name": "n", "input": {"x": 1}},
    ]


def test_what_waits_goes_out_as_soon_as_it_can() -> None:
    one = writer()
    one.write([BEGAN, CallBegan(0, 0, "a", "n"), ArgumentsDelta(0, 0, '{"y":'), CallBegan(0, 1, "b", "n")])
    assert one.write([ArgumentsDelta(0, 1, "{}")]) == b""
    out = one.write([ArgumentsDelta(0, 0, "1}")])
    assert out.index(b"content_block_stop") < out.index(b'"id":"b"') < out.index(b'"partial_json":"{}"')


def test_a_call_that_was_ended_lets_the_next_one_go() -> None:
    one = writer()
    one.write([BEGAN, CallBegan(0, 0, "a", "n")])
    assert b"content_block_stop" in one.write([PartEnded(0, 0)])
    assert b'"id":"b"' in one.write([CallBegan(0, 1, "b", "n")])


def test_arguments_that_never_become_whole_come_out_at_the_end() -> None:
    data = stream(
        CallBegan(0, 0, "a", "n"),
        ArgumentsDelta(0, 0, '{"y":'),
        TextDelta(0, 1, "late"),
        ArgumentsDelta(0, 1, ""),
        *END,
    )
    kinds = [event["content_block"]["type"] for event in sdk.events(data) if event["type"] == "content_block_start"]
    assert kinds == ["tool_use", "text"]


def test_late_text_opens_a_new_block() -> None:
    assert content(
        TextDelta(0, 0, "a"),
        CallBegan(0, 1, "t", "n"),
        ArgumentsDelta(0, 1, "{}"),
        TextDelta(0, 0, "b"),
        ArgumentsDelta(0, 1, " "),
    ) == [
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "t", "name": "n", "input": {}},
        {"type": "text", "text": "b"},
    ]


def test_a_large_argument_is_not_read_over_and_over(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    decode = stream_writer._decode_object

    def counted(text: str) -> Any:
        nonlocal looks
        looks += 1
        return decode(text)

    monkeypatch.setattr(stream_writer, "_decode_object", counted)
    one = writer()
    one.write([BEGAN, CallBegan(0, 0, "a", "n"), ArgumentsDelta(0, 0, '{"x":['), TextDelta(0, 1, "late")])
    for _ in range(2000):
        one.write([ArgumentsDelta(0, 0, "{},{}")])
        one.write([TextDelta(0, 1, "x")])
    assert looks < 100


@pytest.mark.parametrize(
    ("reasoning", "block"),
    [
        (SHOWN, {"type": "thinking", "thinking": "hmm", "signature": WRAPPED}),
        (HIDDEN, {"type": "thinking", "thinking": "", "signature": WRAPPED}),
        (ReasoningAsked(), None),
    ],
)
def test_thinking_has_its_signature_last(reasoning: ReasoningAsked, block: dict[str, Any] | None) -> None:
    orders: list[list[Event]] = [
        [ReasoningDelta(0, 0, "h"), ReasoningDelta(0, 0, "mm"), StateCame(0, 0, STATE)],
        [ReasoningDelta(0, 0, "h"), StateCame(0, 0, STATE), ReasoningDelta(0, 0, "mm"), PartEnded(0, 0)],
        [StateCame(0, 0, STATE), ReasoningDelta(0, 0, "hmm")],
    ]
    for events in orders:
        text = {"type": "text", "text": "a"}
        found = content(*events, TextDelta(0, 1, "a"), reasoning=reasoning)
        assert found == [*([block] if block else []), text]


def test_hidden_reasoning_is_redacted() -> None:
    redacted = {"type": "redacted_thinking", "data": WRAPPED}
    for reasoning in (SHOWN, HIDDEN):
        assert content(StateCame(0, 0, STATE), TextDelta(0, 1, "a"), reasoning=reasoning)[0] == redacted
    assert content(StateCame(0, 0, STATE), reasoning=ReasoningAsked()) == []


def test_reasoning_without_state_that_is_not_shown_leaves_nothing() -> None:
    assert content(ReasoningDelta(0, 0, "h"), TextDelta(0, 1, "a"), reasoning=HIDDEN) == [{"type": "text", "text": "a"}]


def test_state_that_comes_too_late_has_a_block_of_its_own() -> None:
    assert content(ReasoningDelta(0, 0, "h"), TextDelta(0, 1, "a"), StateCame(0, 0, STATE), TextDelta(0, 1, "b")) == [
        {"type": "thinking", "thinking": "h", "signature": ""},
        {"type": "text", "text": "ab"},
        {"type": "redacted_thinking", "data": WRAPPED},
    ]


def test_summaries_are_parted_and_told_once() -> None:
    assert content(
        ReasoningDelta(0, 0, "one", 0),
        ReasoningDelta(0, 0, "!", 0),
        ReasoningDelta(0, 0, "two", 1),
        ReasoningDelta(0, 0, "in full"),
    ) == [{"type": "thinking", "thinking": "one!\n\ntwo", "signature": ""}]


def test_a_calls_state_stands_before_it_when_it_comes_with_it() -> None:
    data = stream(CallBegan(0, 0, "t", "n"), StateCame(0, 0, STATE), ArgumentsDelta(0, 0, "{}"), *END)
    assert [block["type"] for block in blocks(sdk.accumulated(data))] == ["redacted_thinking", "tool_use"]
    late = stream(CallBegan(0, 0, "t", "n"), ArgumentsDelta(0, 0, "{}"), StateCame(0, 0, STATE), *END)
    assert [block["type"] for block in blocks(sdk.accumulated(late))] == ["tool_use", "redacted_thinking"]


def test_free_text_of_a_custom_tool_is_an_object() -> None:
    assert content(
        CallBegan(0, 0, "t", "n", custom=True), ArgumentsDelta(0, 0, 'ls "'), ArgumentsDelta(0, 0, "\n-l")
    ) == [{"type": "tool_use", "id": "t", "name": "n", "input": {"input": 'ls "\n-l'}}]


def test_half_a_surrogate_pair_does_not_break_the_clients_parser() -> None:
    assert content(CallBegan(0, 0, "t", "n"), ArgumentsDelta(0, 0, '{"a":"\\ud8'), ArgumentsDelta(0, 0, '3d"}')) == [
        {"type": "tool_use", "id": "t", "name": "n", "input": {"a": "\ufffd"}}
    ]


def test_what_comes_whole() -> None:
    citation = {"type": "char_location", "cited_text": "a", "document_index": 0, "start_char_index": 0}
    citation |= {"end_char_index": 1, "document_title": None}
    tool = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}}
    cited = Text(text="a", citations=Raw(msgspec.json.encode([citation])))
    found = content(
        PartCame(0, 0, Opaque("anthropic_messages", Raw(msgspec.json.encode(tool)), "server_tool_use")),
        PartCame(0, 1, cited),
        PartCame(0, 2, Text(text="b", citations=Raw(b'[{"type":"url_citation"}]'))),
        PartCame(0, 3, Media(kind="image", data="x")),
        PartCame(0, 4, Opaque("openai_responses", Raw(b"{}"), "web_search_call")),
        TextDelta(0, 5, "c"),
    )
    assert found == [
        tool,
        {"type": "text", "text": "a", "citations": [{**citation, "document_title": None}]},
        {"type": "text", "text": "b"},
        {"type": "text", "text": "c"},
    ]


def test_a_refusal_is_text_and_explanation() -> None:
    message = sdk.accumulated(
        stream(RefusalDelta(0, 0, "I "), RefusalDelta(0, 0, "won't."), Finished(0, "refusal"), Ended())
    )
    assert blocks(message) == [{"type": "text", "text": "I won't."}]
    assert message["stop_reason"] == "refusal"
    assert message["stop_details"]["explanation"] == "I won't."


def test_an_empty_text_is_a_block() -> None:
    assert content(TextDelta(0, 0, ""), PartEnded(0, 0)) == [{"type": "text", "text": ""}]


@pytest.mark.parametrize(
    ("stop", "sequence", "reason"),
    [("end", None, "end_turn"), ("stop_sequence", "x", "stop_sequence"), ("pause", None, "pause_turn")],
)
def test_stops(stop: Stop, sequence: str | None, reason: str) -> None:
    message = sdk.accumulated(stream(TextDelta(0, 0, "a"), Finished(0, stop, sequence), Ended()))
    assert (message["stop_reason"], message["stop_sequence"]) == (reason, sequence)


def test_a_call_is_the_reason_even_where_none_was_told() -> None:
    assert sdk.accumulated(stream(CallBegan(0, 0, "a", "n"), *END))["stop_reason"] == "tool_use"


def test_the_end_waits_for_the_usage() -> None:
    usage = Usage(input_tokens=5, output_tokens=7, cached_input_tokens=2, reasoning_tokens=3)
    one = writer()
    first = one.write([BEGAN, TextDelta(0, 0, "a"), Finished(0, "end")])
    assert (b"message_delta" in first, one.holding) == (False, True)
    second = one.write([Used(usage)])
    assert (b"message_delta" in second, one.holding) == (True, False)
    (delta,) = sdk_events(second)
    assert delta["usage"] == {
        "input_tokens": 3,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 2,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 3},
    }
    assert one.release() == b""
    assert [event["type"] for event in sdk_events(one.write([Ended()]))] == ["message_stop"]


def test_usage_that_comes_too_late_still_comes() -> None:
    one = writer()
    one.write([BEGAN, TextDelta(0, 0, "a"), Finished(0, "end")])
    assert [event["usage"]["output_tokens"] for event in sdk_events(one.release())] == [0]
    assert not one.holding
    late = sdk_events(one.write([Used(Usage(input_tokens=1, output_tokens=7)), Ended()]))
    assert [event["type"] for event in late] == ["message_delta", "message_stop"]
    assert late[0]["usage"]["output_tokens"] == 7


def sdk_events(data: bytes) -> list[dict[str, Any]]:
    return [msgspec.json.decode(block.split(b"\ndata: ")[1]) for block in data.split(b"\n\n")[:-1]]


def test_the_prompts_usage_is_told_at_once() -> None:
    usage = Usage(input_tokens=9, output_tokens=1, cached_input_tokens=4)
    data = writer().write([Began("msg_1", "m", 0, usage, "default"), *END])
    assert sdk.events(data)[0]["message"]["usage"] == {
        "input_tokens": 5,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 4,
        "output_tokens": 1,
        "service_tier": "standard",
    }


def test_only_the_first_choice_has_a_place() -> None:
    events: list[Event] = [TextDelta(0, 0, "a"), TextDelta(1, 0, "b"), Finished(1, "length"), CallBegan(1, 1, "t", "n")]
    assert content(*events, TextDelta(0, 0, "c")) == [{"type": "text", "text": "ac"}]
