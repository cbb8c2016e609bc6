"""The chunks that callers get: role first, finish alone, usage where they expect it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from msgspec import Raw
from openai.types.chat import ChatCompletionChunk

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.strategies import Scope
from trunkline.translation import envelope
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
    Request,
    State,
    StateCame,
    Stop,
    Text,
    TextDelta,
    Usage,
    Used,
)
from trunkline.translation.openai_chat.writer import Writer

BEGAN = Began("msg_01", "m", 1_756_200_000)
USED = Used(Usage(input_tokens=3, output_tokens=2))
STATE = State("made-by", "opaque")
ORDINARY = Scope(custom_tools=False, summaries=True, call_state=True, text_state=True, media_in_answers=("image",))


def asked(*, usage: bool = False, n: int = 1, shown: bool = True, legacy: bool = False) -> Request:
    return Request(
        protocol="openai_chat",
        model="asked-for",
        turns=[],
        stream=True,
        usage_in_stream=usage,
        n=n,
        reasoning=ReasoningAsked(shown=shown),
        legacy_functions=legacy,
    )


def payloads(data: bytes) -> list[Any]:
    assert data == b"" or data.endswith(b"\n\n")
    events = [event.removeprefix(b"data: ") for event in data.split(b"\n\n")[:-1]]
    return ["[DONE]" if event == b"[DONE]" else msgspec.json.decode(event) for event in events]


def deltas(request: Request, *events: Event) -> list[dict[str, Any]]:
    written = payloads(Writer(request).write([BEGAN, *events]))
    return [choice["delta"] for chunk in written if chunk != "[DONE]" for choice in chunk["choices"]]


@settings(max_examples=examples(60))
@given(strategies.told(ORDINARY))
def test_every_chunk_is_one_and_names_the_same_answer(told: tuple[Answer, list[Event]]) -> None:
    answer, events = told
    for usage in (False, True):
        *chunks, done = payloads(Writer(asked(usage=usage, n=len(answer.choices))).write(events))
        assert done == "[DONE]"
        for chunk in chunks:
            ChatCompletionChunk.model_validate(chunk)
        assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
        for number in range(len(answer.choices)):
            mine = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == number]
            assert mine[0]["delta"]["role"] == "assistant"
            assert not mine[0]["delta"].get("content")
            assert not any("role" in choice["delta"] for choice in mine[1:])
            assert mine[-1]["delta"] == {}
            assert mine[-1]["finish_reason"]
            assert not any(choice["finish_reason"] for choice in mine[:-1])
            calls = [call for choice in mine for call in choice["delta"].get("tool_calls", ())]
            assert [call["index"] for call in calls if "id" in call] == list(range(len({c["index"] for c in calls})))
        # Usage: with the last choice's finish, or in a chunk of its own after `usage: null` in all others.
        assert [bool(chunk.get("usage")) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
        assert [chunk["choices"] == [] for chunk in chunks] == [False] * (len(chunks) - 1) + [usage]
        assert all(("usage" in chunk) is usage for chunk in chunks[:-1])


def test_the_role_goes_before_text_and_with_a_call() -> None:
    text = deltas(asked(), TextDelta(0, 0, "Hi"))
    assert text == [{"role": "assistant", "content": "", "refusal": None}, {"content": "Hi"}]
    call = deltas(asked(), CallBegan(0, 0, "c1", "f"), ArgumentsDelta(0, 0, "{}"))
    function = {"name": "f", "arguments": ""}
    first = {"index": 0, "id": "c1", "type": "function", "function": function}
    assert call == [
        {"role": "assistant", "content": None, "tool_calls": [first], "refusal": None},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
    ]


def test_nothing_goes_out_before_there_is_something_to_say() -> None:
    writer = Writer(asked())
    assert writer.write([BEGAN, Used(Usage(input_tokens=3, output_tokens=0))]) == b""
    assert writer.write([PartEnded(0, 0)]) == b""


def test_an_empty_answer_has_a_role_and_a_finish() -> None:
    assert deltas(asked(), Finished(0, "end"), Ended()) == [{"role": "assistant", "content": "", "refusal": None}, {}]


def test_the_finish_chunk_waits_for_its_usage() -> None:
    writer = Writer(asked())
    writer.write([BEGAN, TextDelta(0, 0, "Hi")])
    assert writer.write([Finished(0, "end")]) == b""
    assert writer.holding
    (finish,) = payloads(writer.write([USED]))
    assert finish["usage"]["total_tokens"] == 5
    assert payloads(writer.write([Ended()])) == ["[DONE]"]
    assert not writer.holding


def test_usage_that_comes_too_late_has_a_chunk_with_a_choice() -> None:
    writer = Writer(asked())
    writer.write([BEGAN, TextDelta(0, 0, "Hi"), Finished(0, "end")])
    (finish,) = payloads(writer.release())
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert "usage" not in finish
    assert writer.release() == b""
    late, done = payloads(writer.write([USED, Ended()]))
    assert late["choices"] == [{"index": 0, "delta": {}, "finish_reason": None}]
    assert late["usage"]["prompt_tokens"] == 3
    assert done == "[DONE]"


def test_only_the_last_usage_counts() -> None:
    more = Used(Usage(input_tokens=3, output_tokens=9))
    for usage in (False, True):
        chunks = payloads(Writer(asked(usage=usage)).write([BEGAN, USED, Finished(0, "end"), more, Ended()]))
        assert [chunk["usage"]["completion_tokens"] for chunk in chunks[:-1] if chunk.get("usage")] == [9]


def test_an_answer_without_usage_ends_without_it() -> None:
    for usage in (False, True):
        chunks = payloads(Writer(asked(usage=usage)).write([BEGAN, TextDelta(0, 0, "Hi"), Finished(0, "end"), Ended()]))
        assert chunks[-1] == "[DONE]"
        assert not any(chunk.get("usage") for chunk in chunks[:-1])
        assert chunks[-2]["choices"][0]["finish_reason"] == "stop"


def test_of_several_choices_the_last_finish_carries_the_usage() -> None:
    writer = Writer(asked(n=2))
    chunks = payloads(
        writer.write(
            [
                BEGAN,
                TextDelta(0, 0, "a"),
                Finished(0, "end"),
                TextDelta(1, 0, "b"),
                Finished(1, "length"),
                USED,
                Ended(),
            ]
        )
    )
    finishes = [chunk for chunk in chunks[:-1] if chunk["choices"][0]["finish_reason"]]
    assert [chunk["choices"][0]["finish_reason"] for chunk in finishes] == ["stop", "length"]
    assert ["usage" in chunk for chunk in finishes] == [False, True]


def test_usage_between_two_choices_waits_for_the_last() -> None:
    writer = Writer(asked(n=2))
    assert writer.write([BEGAN, TextDelta(0, 0, "a"), Finished(0, "end"), USED])
    chunks = payloads(writer.write([TextDelta(1, 0, "b"), Finished(1, "end"), Ended()]))
    assert ["usage" in chunk for chunk in chunks[:-1]] == [False, False, False, True]


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("end", "stop"),
        ("stop_sequence", "stop"),
        ("pause", "stop"),
        ("length", "length"),
        ("tool", "tool_calls"),
        ("filter", "content_filter"),
        ("refusal", "content_filter"),
    ],
)
def test_finish_reasons(stop: Stop, reason: str) -> None:
    chunk = payloads(Writer(asked(usage=True)).write([BEGAN, Finished(0, stop)]))[-1]
    assert chunk["choices"][0]["finish_reason"] == reason


def test_a_refusal_in_words_is_no_filter() -> None:
    chunks = payloads(Writer(asked(usage=True)).write([BEGAN, RefusalDelta(0, 0, "No."), Finished(0, "refusal")]))
    assert chunks[1]["choices"][0]["delta"] == {"refusal": "No."}
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_interleaved_calls_are_numbered_from_zero() -> None:
    told = deltas(
        asked(),
        TextDelta(0, 0, "a"),
        CallBegan(0, 1, "c1", "f"),
        CallBegan(0, 2, "c2", "g", custom=True),
        ArgumentsDelta(0, 2, "ls"),
        ArgumentsDelta(0, 1, "{}"),
    )
    calls = [call for delta in told for call in delta.get("tool_calls", ())]
    assert calls == [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 1, "id": "c2", "type": "custom", "custom": {"name": "g", "input": ""}},
        {"index": 1, "custom": {"input": "ls"}},
        {"index": 0, "function": {"arguments": "{}"}},
    ]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    told = deltas(asked(), CallBegan(0, 0, "c1", "f"), CallBegan(0, 1, "c2", "g", custom=True), Finished(0, "tool"))
    pieces = [call for delta in told[1:] for call in delta.get("tool_calls", ()) if "id" not in call]
    assert pieces == [{"index": 0, "function": {"arguments": "{}"}}]


def test_the_first_form_of_calls_has_room_for_one() -> None:
    chunks = payloads(
        Writer(asked(legacy=True, usage=True)).write(
            [
                BEGAN,
                CallBegan(0, 0, "c1", "f"),
                ArgumentsDelta(0, 0, '{"a":1}'),
                CallBegan(0, 1, "c2", "g"),
                ArgumentsDelta(0, 1, "{}"),
                Finished(0, "tool"),
            ]
        )
    )
    told = [chunk["choices"][0] for chunk in chunks]
    assert [choice["delta"].get("function_call") for choice in told] == [
        {"name": "f", "arguments": ""},
        {"arguments": '{"a":1}'},
        None,
    ]
    assert told[-1]["finish_reason"] == "function_call"
    assert "tool_calls" not in str(chunks)


def test_reasoning_is_told_twice_as_text_and_as_details() -> None:
    told = deltas(
        asked(),
        ReasoningDelta(0, 0, "One"),
        ReasoningDelta(0, 0, " two"),
        StateCame(0, 0, STATE),
        ReasoningDelta(0, 1, "Sum", 0),
        ReasoningDelta(0, 1, "Total", 1),
        StateCame(0, 1, STATE),
        StateCame(0, 2, STATE),
    )
    wrapped = envelope.wrap(STATE)
    assert [delta.get("reasoning_content") for delta in told[1:]] == [
        "One",
        " two",
        None,
        "\n\nSum",
        "\n\nTotal",
        None,
        None,
    ]
    assert [delta["reasoning_details"] for delta in told[1:]] == [
        [{"type": "reasoning.text", "text": "One", "id": "reasoning-0", "index": 0}],
        [{"type": "reasoning.text", "text": " two", "index": 0}],
        [{"type": "reasoning.text", "signature": wrapped, "index": 0}],
        [{"type": "reasoning.summary", "summary": "Sum", "id": "reasoning-1", "index": 1}],
        [{"type": "reasoning.summary", "summary": "Total", "id": "reasoning-1", "index": 2}],
        [{"type": "reasoning.encrypted", "data": wrapped, "id": "reasoning-1", "index": 3}],
        [{"type": "reasoning.encrypted", "data": wrapped, "id": "reasoning-2", "index": 4}],
    ]


def test_the_state_of_a_call_or_a_text_stands_under_its_name() -> None:
    told = deltas(
        asked(), TextDelta(0, 0, "a"), StateCame(0, 0, STATE), CallBegan(0, 1, "c1", "f"), StateCame(0, 1, STATE)
    )
    entries = [entry for delta in told for entry in delta.get("reasoning_details", ())]
    assert [(entry["type"], entry["id"]) for entry in entries] == [
        ("reasoning.encrypted", "text"),
        ("reasoning.encrypted", "c1"),
    ]


def test_who_does_not_want_reasoning_gets_none() -> None:
    told = deltas(asked(shown=False), ReasoningDelta(0, 0, "Hm"), StateCame(0, 0, STATE), TextDelta(0, 1, "a"))
    assert told == [{"role": "assistant", "content": "", "refusal": None}, {"content": "a"}]


def test_media_and_what_has_no_place() -> None:
    image = Media(kind="image", media_type="image/png", data="AAAA")
    film = Media(kind="video", url="https://media.example/film")
    told = deltas(
        asked(),
        PartCame(0, 0, Text(text="See")),
        PartCame(0, 1, image),
        PartCame(0, 2, image),
        PartCame(0, 3, film),
        PartCame(0, 4, Opaque("anthropic_messages", Raw(b"{}"), "server_tool_use")),
        PartCame(0, 5, Media(kind="audio", data="AAAA", text="Hi")),
    )
    assert [delta.get("content") for delta in told[:2]] == ["", "See"]
    assert [delta["images"][0]["index"] for delta in told if "images" in delta] == [0, 1]
    assert told[2]["images"][0]["image_url"] == {"url": "data:image/png;base64,AAAA"}
    assert told[-1]["audio"]["transcript"] == "Hi"
    assert len(told) == 5


def test_logprobs_go_with_their_text() -> None:
    tokens = Raw(b'[{"token":"Hi","logprob":-0.5,"bytes":null,"top_logprobs":[]}]')
    for usage in (False, True):
        (_, chunk) = payloads(Writer(asked(usage=usage)).write([BEGAN, TextDelta(0, 0, "Hi", tokens)]))
        ChatCompletionChunk.model_validate(chunk)
        assert chunk["choices"][0]["logprobs"]["content"] == msgspec.json.decode(tokens)


def test_ids_models_and_tiers_are_this_protocols() -> None:
    began = Began("msg_01", "", 5, service_tier="standard")
    (role, _) = payloads(Writer(asked()).write([began, TextDelta(0, 0, "\u2028")]))
    assert (role["id"], role["model"], role["created"]) == ("chatcmpl-01", "asked-for", 5)
    assert role["service_tier"] == "default"
