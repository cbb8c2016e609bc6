"""The laws of a stream: numbers without a gap, ids that stay, parts that add up to the whole."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from tests.providers.sandbox.exchange import JSON
from tests.providers.sandbox.openai_client import decoded
from tests.thoroughness import examples
from trunkline.providers.sandbox import responses_answer, responses_request, responses_stream
from trunkline.providers.sandbox.reply import Answer, Bounds, Call, Reply, cut_to_size
from trunkline.providers.sandbox.response import Cut, Step, Wait
from trunkline.providers.sandbox.responses_request import ResponsesAsk

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TOOLS = [{"type": "custom", "name": "c"}]


def asked(given: str = "hi there", model: str = "echo", /, **more: Any) -> ResponsesAsk:
    return responses_request.read(msgspec.json.encode({"model": model, "input": given, "tools": TOOLS, **more}))


def steps(ask: ResponsesAsk, answer: Answer) -> list[Step]:
    return list(responses_stream.events(ask, answer))


def stream(ask: ResponsesAsk, answer: Answer) -> list[JSON]:
    found = decoded(b"".join(step for step in steps(ask, answer) if isinstance(step, bytes)))
    for at, event in enumerate(found):
        EVENT.validate_python(event)
        assert event["sequence_number"] == at
    return found


def short(event: JSON) -> str:
    return str(event["type"]).removeprefix("response.")


def kinds(ask: ResponsesAsk, reply: Reply) -> list[str]:
    return [short(event) for event in stream(ask, cut_to_size(reply, Bounds()))]


def test_the_order_of_a_message() -> None:
    assert kinds(asked(), Reply(text="one two")) == [
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


def test_the_order_of_reasoning_and_calls() -> None:
    ask = asked(reasoning={"summary": "detailed"})
    summary = ["part.added", "text.delta", "text.done", "part.done"]
    assert kinds(ask, Reply(reasoning="A. b", calls=[Call("f", "{}"), Call("c", "x")])) == [
        "created",
        "in_progress",
        "output_item.added",
        *(f"reasoning_summary_{each}" for each in summary * 2),
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "completed",
    ]
    assert kinds(asked(), Reply(reasoning="a b", text="c"))[2:5] == [
        "output_item.added",
        "output_item.done",
        "output_item.added",
    ]


def test_the_order_of_a_refusal() -> None:
    assert kinds(asked("[[refuse]] x"), Reply(text="no no"))[3:8] == [
        "content_part.added",
        "refusal.delta",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
    ]


def grown(events: list[JSON]) -> list[JSON]:
    """The items that the events add up to, each held against what is said of it on the way."""
    items: list[JSON] = []
    for event in events:
        kind = short(event)
        if kind == "output_item.added":
            assert event["output_index"] == len(items)
            items.append(dict(event["item"]))
            continue
        item = items[event["output_index"]]
        assert item["id"] == event.get("item_id", event.get("item", {}).get("id"))
        if kind in ("content_part.added", "reasoning_summary_part.added"):
            parts = item["content" if "content_index" in event else "summary"]
            assert event.get("content_index", event.get("summary_index")) == len(parts)
            parts.append(dict(event["part"]))
        elif kind.endswith(".delta"):
            _add(item, event)
        elif kind in ("content_part.done", "reasoning_summary_part.done"):
            parts = item["content" if "content_index" in event else "summary"]
            assert parts[-1] == event["part"]
        elif kind == "output_item.done":
            for name in ("status", "encrypted_content"):
                if name in item:
                    item[name] = event["item"][name]
            assert item == event["item"]
    return items


def _add(item: JSON, event: JSON) -> None:
    if "summary_index" in event:
        item["summary"][event["summary_index"]]["text"] += event["delta"]
    elif "content_index" in event:
        part = item["content"][event["content_index"]]
        part["refusal" if part["type"] == "refusal" else "text"] += event["delta"]
        if "logprobs" in part:
            part["logprobs"] += event["logprobs"]
    else:
        item["arguments" if "arguments" in item else "input"] += event["delta"]


def alike(response: JSON) -> JSON:
    """Without ids and times, which differ from answer to answer."""
    assert len({item["id"] for item in response["output"]}) == len(response["output"])
    items = [
        {name: value for name, value in item.items() if name not in ("id", "call_id", "encrypted_content")}
        for item in response["output"]
    ]
    return {**response, "id": "", "created_at": 0, "completed_at": 0, "output": items}


TEXTS = st.lists(st.sampled_from(["alpha ", "beta. ", "é🙂 ", "\n"]), max_size=6).map("".join)
REPLIES = st.builds(
    Reply,
    reasoning=TEXTS,
    text=TEXTS,
    calls=st.lists(st.builds(Call, st.sampled_from(["f", "c"]), TEXTS), max_size=3),
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "reasoning": st.sampled_from([{"summary": "auto"}, {"summary": "detailed"}]),
        "include": st.lists(
            st.sampled_from(["reasoning.encrypted_content", "message.output_text.logprobs"]), unique=True
        ),
        "stream_options": st.just({"include_obfuscation": False}),
        "text": st.just({"verbosity": "low"}),
    },
)


@settings(max_examples=examples(120))
@given(REPLIES, st.integers(1, 30), OPTIONS, st.sampled_from(["x", "[[refuse]] x"]))
def test_a_stream_adds_up_to_the_whole(reply: Reply, most: int, options: JSON, text: str) -> None:
    ask = asked(text, **options)
    answer = cut_to_size(reply, Bounds(tokens=most))
    created, in_progress, *parts, last = stream(ask, answer)
    assert (created["response"]["output"], created["response"]["usage"]) == ([], None)
    assert in_progress["response"]["status"] == "in_progress"
    final = last["response"]
    assert last["type"] == f"response.{final['status']}"
    assert {each["response"]["id"] for each in (created, in_progress, last)} == {final["id"]}
    assert grown(parts) == final["output"]
    whole = msgspec.json.decode(responses_answer.whole(ask, answer))
    assert alike(final) == alike(whole)
    assert ("obfuscation" in str(parts)) is (
        "stream_options" not in options and any(short(part).endswith(".delta") for part in parts)
    )


def places(block: str, model: str = "faulty", reply: Reply | None = None) -> str:
    """The stream as letters: o(pening), d(elta), e(nd), F(ailed), !(error), G(arbled), W(ait), X (cut)."""
    letters = ""
    answer = cut_to_size(reply or Reply(text="a b c"), Bounds())
    for step in steps(asked(f"[[{block}]] x", model), answer):
        if isinstance(step, Wait | Cut):
            letters += "W" if isinstance(step, Wait) else "X"
        elif step == responses_stream.GARBLED:
            letters += "G"
        else:
            for event in decoded(step):
                letters += _LETTERS.get(short(event), "d" if short(event).endswith(".delta") else "")
    return letters


_LETTERS = {"created": "o", "completed": "e", "failed": "F", "error": "!"}


@pytest.mark.parametrize(
    ("block", "letters"),
    [
        ("seed=1", "oddde"),
        ("delay_ms=5", "odWdWdWe"),
        ("stall_after=0 stall_ms=5", "Woddde"),
        ("stall_after=2 stall_ms=5", "oddWde"),
        ("cut_after=0", "Xoddde"),
        ("cut_after=3", "odddXe"),
        ("garble_after=1", "odGdde"),
        ("error_after=0", "!"),
        ("error_after=1", "odF"),
        ("error_after=3", "odddF"),
        ("error_after=4", "oddde"),
        ("no_done", "oddd"),
    ],
)
def test_faults_stand_where_they_were_told(block: str, letters: str) -> None:
    assert places(block) == letters


def test_hidden_tokens_take_their_time() -> None:
    hidden = Reply(reasoning="a b", text="c")
    assert places("delay_ms=5", reply=hidden) == "oWWdWe"
    assert places("error_after=2", reply=hidden) == "oF"


def test_a_failed_stream_holds_its_error() -> None:
    last = stream(asked("[[error_after=2]] x", "faulty"), cut_to_size(Reply(text="a b c"), Bounds()))[-1]
    assert (last["type"], last["response"]["error"]["code"]) == ("response.failed", "server_error")
    (only,) = stream(asked("[[error_after=0]] x", "faulty"), cut_to_size(Reply(text="a"), Bounds()))
    assert (only["type"], only["code"], only["param"]) == ("error", "server_error", None)


def test_without_usage_the_last_event_has_none() -> None:
    last = stream(asked("[[no_usage]] x", "faulty"), cut_to_size(Reply(text="a"), Bounds()))[-1]
    assert last["response"]["usage"] is None


def test_the_first_sealed_value_opens_nothing() -> None:
    ask = asked(include=["reasoning.encrypted_content"])
    events = stream(ask, cut_to_size(Reply(reasoning="a", text="b"), Bounds()))
    added, done = (event["item"] for event in events if event.get("item", {}).get("type") == "reasoning")
    assert added["encrypted_content"] != done["encrypted_content"]
    body = {"model": "echo", "input": [added, {"role": "user", "content": "x"}]}
    with pytest.raises(Exception, match="could not be verified"):
        responses_request.read(msgspec.json.encode(body))


def test_a_garbled_event_is_neither_text_nor_json() -> None:
    with pytest.raises(UnicodeDecodeError):
        responses_stream.GARBLED.decode()
    assert responses_stream.GARBLED.endswith(b"\n\n")
