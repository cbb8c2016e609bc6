"""The caller's stream: every event is the SDK's, in its order, and adds up to what a whole answer says."""

from __future__ import annotations

from typing import Any

import httpx2
import msgspec
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from pydantic import BaseModel

from tests.translation import strategies
from tests.translation.openai_responses.exchanges import SCOPE, asked, collected, events_in, judged, plain, response_of
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
    ReasoningDelta,
    RefusalDelta,
    State,
    StateCame,
    Text,
    TextDelta,
    Usage,
    Used,
)
from trunkline.translation.openai_responses.answer import write_answer
from trunkline.translation.openai_responses.request import read_request
from trunkline.translation.openai_responses.response import Identity
from trunkline.translation.openai_responses.stream import Writer
from trunkline.wire.openai_responses import read_request as read_inbound

BEGAN = Began("chatcmpl-abc", "thinker-2", 1_755_800_000)
IDENTITY = Identity(response_id="resp_kept", created_at=1_755_800_001, now=lambda: 1_755_800_009)
USED = Used(Usage(input_tokens=7, output_tokens=3, cached_input_tokens=2, reasoning_tokens=1))
END: list[Event] = [Finished(0, "end"), USED, Ended()]
REQUESTS = st.builds(
    plain, shown=st.booleans(), state_wanted=st.booleans(), summary=st.sampled_from((None, "auto", "detailed"))
)


def types_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def output_of(writer: Writer) -> list[dict[str, Any]]:
    assert writer.final is not None
    output: list[dict[str, Any]] = response_of(writer.final)["output"]
    return output


@given(strategies.told(SCOPE), REQUESTS)
def test_any_stream_is_the_sdks_and_adds_up(told: tuple[Answer, list[Event]], request: Any) -> None:
    _, events = told
    writer = Writer(request, IDENTITY)
    written = judged(b"".join(writer.write([event]) for event in events))
    assert writer.final is not None
    assert written[-1]["response"] == response_of(writer.final)
    assert [event["item"] for event in written if event["type"] == "response.output_item.done"] == output_of(writer)
    assert types_of(written)[:2] == ["created", "in_progress"]
    terminal = [event for event in written if event["type"].count(".") == 1][2:]
    assert [event["type"] for event in terminal] == [written[-1]["type"]]


@given(strategies.told(SCOPE, mixed=False), REQUESTS)
def test_the_last_event_holds_what_a_whole_answer_is(told: tuple[Answer, list[Event]], request: Any) -> None:
    _, events = told
    writer = Writer(request, IDENTITY)
    writer.write(events)
    assert writer.final is not None
    assert response_of(writer.final) == response_of(write_answer(collected(events), request, IDENTITY))


@given(strategies.told(msgspec.structs.replace(SCOPE, call_state=False)), REQUESTS)
def test_interleaved_calls_come_one_after_the_other(told: tuple[Answer, list[Event]], request: Any) -> None:
    _, events = told
    writer = Writer(request, IDENTITY)
    writer.write(events)
    assert output_of(writer) == response_of(write_answer(collected(events), request, IDENTITY))["output"]


@given(strategies.told(SCOPE), st.data())
def test_items_do_not_overlap_and_keep_their_ids(told: tuple[Answer, list[Event]], data: Any) -> None:
    written = judged(Writer(plain()).write(told[1]))
    at: list[str] = []
    for event in written:
        if event["type"] == "response.output_item.added":
            assert event["output_index"] == len(at)
            at.append(event["item"]["id"])
        elif "output_index" in event:
            assert event["output_index"] == len(at) - 1
            assert event.get("item_id", at[-1]) == at[-1]
            assert event.get("item", {"id": at[-1]})["id"] == at[-1]
    assert len(set(at)) == len(at)


def test_text_streams_as_openai_streams_it() -> None:
    writer = Writer(plain())
    written = judged(writer.write([BEGAN, TextDelta(0, 0, "Hel"), TextDelta(0, 0, "lo"), *END]))
    assert types_of(written) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["delta"] for event in written if "delta" in event] == ["Hel", "lo"]
    response = written[-1]["response"]
    assert (response["id"], response["created_at"], response["model"]) == ("resp_abc", 1_755_800_000, "thinker-2")
    assert response["output"][0]["content"] == [
        {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    ]
    assert response["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 10,
    }


def test_a_call_says_its_name_twice_and_has_two_ids() -> None:
    events: list[Event] = [
        BEGAN,
        CallBegan(0, 0, "call_1", "add"),
        ArgumentsDelta(0, 0, '{"a"'),
        ArgumentsDelta(0, 0, ":1}"),
    ]
    writer = Writer(plain())
    written = judged(writer.write([*events, Finished(0, "tool"), Ended()]))
    done = next(event for event in written if event["type"] == "response.function_call_arguments.done")
    assert (done["name"], done["arguments"]) == ("add", '{"a":1}')
    (item,) = output_of(writer)
    assert (item["id"], item["call_id"], item["status"]) == ("fc_abc000", "call_1", "completed")


def test_deltas_of_another_call_wait_for_the_first_ones_arguments() -> None:
    writer = Writer(plain())
    writer.write([BEGAN, CallBegan(0, 0, "call_1", "one"), ArgumentsDelta(0, 0, '{"a":')])
    assert writer.write([CallBegan(0, 1, "call_2", "two"), ArgumentsDelta(0, 1, "{}")]) == b""
    out = events_in(writer.write([ArgumentsDelta(0, 0, "{}}")]))
    assert types_of(out) == [
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
    ]
    assert out[-1]["output_index"] == 1


def test_a_call_without_arguments_ends_when_its_provider_says_so() -> None:
    writer = Writer(plain())
    events: list[Event] = [BEGAN, CallBegan(0, 0, "call_1", "one"), PartEnded(0, 0), CallBegan(0, 1, "call_2", "two")]
    assert types_of(events_in(writer.write(events)))[-1] == "output_item.added"
    writer.write([Finished(0, "tool"), Ended()])
    assert [item["call_id"] for item in output_of(writer)] == ["call_1", "call_2"]


def test_what_still_waits_at_the_end_goes_out() -> None:
    writer = Writer(plain())
    events: list[Event] = [BEGAN, CallBegan(0, 0, "call_1", "one"), CallBegan(0, 1, "call_2", "two")]
    writer.write([*events, TextDelta(0, 2, "so"), Finished(0, "tool"), Ended()])
    assert [item["type"] for item in output_of(writer)] == ["function_call", "function_call", "message"]


def test_reasoning_goes_to_those_who_asked() -> None:
    events: list[Event] = [BEGAN, ReasoningDelta(0, 0, "hm"), StateCame(0, 0, State("p", "s")), TextDelta(0, 1, "So")]
    hidden = Writer(plain(shown=False))
    hidden.write([*events, *END])
    assert [item["type"] for item in output_of(hidden)] == ["message"]
    shown = Writer(plain(state_wanted=False))
    shown.write([*events, *END])
    assert output_of(shown)[0] == {
        "type": "reasoning",
        "id": "rs_abc000",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "hm"}],
    }
    carried = Writer(plain(summary="auto"))
    judged(carried.write([*events, *END]))
    reasoning = output_of(carried)[0]
    assert reasoning["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert envelope.unwrap(reasoning["encrypted_content"]) == State("p", "s")


def test_the_state_of_a_call_goes_out_behind_it() -> None:
    writer = Writer(plain())
    call: list[Event] = [CallBegan(0, 0, "call_1", "one"), ArgumentsDelta(0, 0, "{}"), StateCame(0, 0, State("g", "s"))]
    judged(writer.write([BEGAN, *call, TextDelta(0, 1, "then"), *END]))
    output = output_of(writer)
    assert [item["type"] for item in output] == ["function_call", "reasoning", "message"]
    assert envelope.unwrap(output[1]["encrypted_content"]) == State("g", "call:call_1:s")


@pytest.mark.parametrize(
    ("stop", "status", "reason"),
    [
        ("end", "completed", None),
        ("stop_sequence", "completed", None),
        ("pause", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("filter", "incomplete", "content_filter"),
        ("refusal", "incomplete", "content_filter"),
    ],
)
def test_stops_become_states(stop: Any, status: str, reason: str | None) -> None:
    writer = Writer(plain())
    written = judged(writer.write([BEGAN, TextDelta(0, 0, "Hel"), PartEnded(0, 0), Finished(0, stop), Ended()]))
    response = written[-1]["response"]
    assert written[-1]["type"] == f"response.{status}"
    assert response["status"] == status
    assert response["incomplete_details"] == (reason and {"reason": reason})
    assert response["output"][0]["status"] == status


def test_a_refusal_in_words_is_a_whole_answer() -> None:
    writer = Writer(plain())
    judged(writer.write([BEGAN, RefusalDelta(0, 0, "No."), Finished(0, "refusal"), Ended()]))
    assert output_of(writer)[0]["content"] == [{"type": "refusal", "refusal": "No."}]
    assert writer.final is not None
    assert response_of(writer.final)["status"] == "completed"


def test_the_end_waits_for_the_usage_and_not_longer_than_told() -> None:
    writer = Writer(plain())
    writer.write([BEGAN, TextDelta(0, 0, "Hi"), Finished(0, "end")])
    held = writer.holding
    released = writer.release()
    assert (held, writer.holding) == (True, False)
    assert types_of(events_in(released)) == ["completed"]
    assert writer.write([USED, Ended()]) == b""
    assert writer.release() == b""


def test_a_failure_is_told_with_the_next_number_and_what_was_finished() -> None:
    writer = Writer(plain(), IDENTITY)
    begun = writer.write([BEGAN, CallBegan(0, 0, "call_1", "one"), PartEnded(0, 0), TextDelta(0, 1, "Hel")])
    written = judged(begun + writer.failed("provider_error", "The provider failed."))
    response = written[-1]["response"]
    assert written[-1]["type"] == "response.failed"
    assert response["error"] == {"code": "server_error", "message": "The provider failed."}
    assert response["status"] == "failed"
    assert response["completed_at"] is None
    assert [item["type"] for item in response["output"]] == ["function_call"]
    assert writer.final is not None
    assert writer.failed("provider_error", "Again.") == b""


def test_a_failure_before_anything_begins_the_stream() -> None:
    writer = Writer(plain(), IDENTITY)
    assert types_of(judged(writer.failed("rate_limit_exceeded", "Slow down."))) == ["created", "in_progress", "failed"]
    assert writer.response_id == "resp_kept"


def test_the_identity_is_the_gateways() -> None:
    identity = msgspec.structs.replace(
        IDENTITY, previous_response_id="resp_before", conversation_id="conv_1", background=True, store=True
    )
    writer = Writer(asked(previous_response_id="resp_before"), identity)
    assert writer.response_id == "resp_kept"
    written = judged(writer.write([BEGAN, TextDelta(0, 0, "Hi"), *END]))
    assert types_of(written)[:3] == ["created", "queued", "in_progress"]
    assert [written[index]["response"]["status"] for index in range(3)] == ["queued", "queued", "in_progress"]
    response = written[-1]["response"]
    assert response["id"] == "resp_kept"
    assert response["previous_response_id"] == "resp_before"
    assert response["conversation"] == {"id": "conv_1"}
    assert response["background"] is True
    assert (response["created_at"], response["completed_at"]) == (1_755_800_001, 1_755_800_009)


def test_annotations_of_this_protocol_are_told_and_others_are_not() -> None:
    ours = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
    theirs = {"type": "char_location", "cited_text": "x"}
    citations = Raw(msgspec.json.encode([ours, theirs]))
    writer = Writer(plain())
    events: list[Event] = [BEGAN, TextDelta(0, 0, "Hi"), PartCame(0, 0, Text(text="", citations=citations)), *END]
    written = judged(writer.write(events))
    added = [event for event in written if event["type"] == "response.output_text.annotation.added"]
    assert [event["annotation"] for event in added] == [ours]
    assert output_of(writer)[0]["content"][0]["annotations"] == [ours]


def test_whole_parts_become_items() -> None:
    search = Raw(
        b'{"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"x","queries":["x"]}}'
    )
    events: list[Event] = [
        BEGAN,
        PartCame(0, 0, Opaque("openai_responses", search, "web_search_call")),
        PartCame(0, 1, Opaque("anthropic_messages", Raw(b'{"type":"server_tool_use"}'), "server_tool_use")),
        PartCame(0, 2, Media(kind="image", media_type="image/png", data="AAAA")),
        PartCame(0, 3, Media(kind="audio", media_type="audio/wav", data="AAAA")),
        PartCame(0, 4, Text(text="whole")),
    ]
    writer = Writer(plain())
    judged(writer.write([*events, *END]))
    assert [item["type"] for item in output_of(writer)] == ["web_search_call", "image_generation_call", "message"]


def test_phases_part_messages() -> None:
    phases = [Opaque("openai_responses", Raw(b'"%b"' % name), "phase") for name in (b"commentary", b"final_answer")]
    events: list[Event] = [
        BEGAN,
        PartCame(0, 0, phases[0]),
        TextDelta(0, 1, "I look."),
        PartCame(0, 2, phases[1]),
        TextDelta(0, 3, "Found."),
        *END,
    ]
    writer = Writer(plain())
    judged(writer.write(events))
    assert [item["phase"] for item in output_of(writer)] == ["commentary", "final_answer"]
    assert response_of(write_answer(collected(events), plain()))["output"] == output_of(writer)


def test_logprobs_go_to_those_who_asked_with_their_bytes() -> None:
    token = Raw(
        b'[{"token":"H\xc3\xa9","logprob":-0.1,"bytes":null,"top_logprobs":[{"token":"h","logprob":-2,"bytes":null}]}]'
    )
    events: list[Event] = [BEGAN, TextDelta(0, 0, "H\xe9", token), *END]
    request = asked(include=["message.output_text.logprobs"])
    writer = Writer(request)
    judged(writer.write(events))
    (part,) = output_of(writer)[0]["content"]
    assert part["logprobs"][0]["bytes"] == list("H\xe9".encode())
    assert part["logprobs"][0]["top_logprobs"] == [{"token": "h", "logprob": -2, "bytes": [104]}]
    unasked = Writer(plain())
    unasked.write(events)
    assert output_of(unasked)[0]["content"][0]["logprobs"] == []


def test_tools_in_a_namespace_get_it_back() -> None:
    function = {"type": "function", "name": "search", "parameters": {"type": "object", "properties": {}}}
    space = {"type": "namespace", "name": "mcp__docs__", "description": "Docs.", "tools": [function]}
    for name in ("mcp__docs__search", "search"):
        writer = Writer(asked(tools=[space]))
        judged(writer.write([BEGAN, CallBegan(0, 0, "call_1", name), Finished(0, "tool"), Ended()]))
        (item,) = output_of(writer)
        assert (item["name"], item["namespace"]) == ("search", "mcp__docs__")


def test_the_sdk_reads_the_stream_to_its_end() -> None:
    class Sum(BaseModel):
        total: int

    events: list[Event] = [BEGAN, ReasoningDelta(0, 0, "hm"), TextDelta(0, 1, '{"total"'), TextDelta(0, 1, ":3}"), *END]
    body = Writer(asked(reasoning={"summary": "auto"})).write(events)
    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)
    transport = httpx2.MockTransport(lambda request: answer)
    with (
        httpx2.Client(transport=transport) as http_client,
        openai.OpenAI(api_key="k", base_url="http://gateway.test/v1", http_client=http_client) as client,
        client.responses.stream(model="m", input="1+2", text_format=Sum) as stream,
    ):
        final = stream.get_final_response()
    assert final.output_parsed == Sum(total=3)
    assert final.usage is not None
    assert final.usage.total_tokens == 10
    assert [item.type for item in final.output] == ["reasoning", "message"]


def test_what_the_caller_wrote_over_several_lines_is_one_line_of_an_event() -> None:
    body = b'{"model": "m",\n\n"metadata": {\r\n"a": "b"\n},\n"tools": [\n],\n"input": "hi", "stream": true}'
    request = read_request(read_inbound(body))
    writer = Writer(request, IDENTITY)
    told: list[Event] = [BEGAN, TextDelta(0, 0, "x", None), *END]
    lines = writer.write(told).split(b"\n")
    assert all(line.startswith((b"event: ", b"data: {")) for line in lines if line)
    assert [msgspec.json.decode(line[6:]) for line in lines if line.startswith(b"data: ")]
