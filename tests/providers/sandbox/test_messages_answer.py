from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from anthropic.types import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.sandbox.exchange import JSON
from tests.providers.sandbox.messages_exchange import (
    THINK,
    TOOLS,
    ask,
    ask_for,
    check_order,
    events,
    joined,
    plain,
    said,
)
from tests.thoroughness import examples
from trunkline.providers.sandbox.directives import RANGES
from trunkline.providers.sandbox.messages_answer import stop_of
from trunkline.providers.sandbox.reply import Answer
from trunkline.providers.sandbox.transport import SandboxTransport

FORM = {
    "type": "json_schema",
    "schema": {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False},
}
OPTIONS = st.fixed_dictionaries(
    {
        "thinking": st.sampled_from(
            [{"type": "adaptive"}, {"type": "adaptive", "display": "omitted"}, {"type": "disabled"}]
        )
    },
    optional={
        "max_tokens": st.sampled_from([0, 1, 3, 40, 100_000]),
        "stop_sequences": st.sampled_from([["beta"], ["zz", "a"], []]),
        "tools": st.just(TOOLS),
        "output_config": st.sampled_from([{"effort": "low"}, {"effort": "max", "format": FORM}]),
        "cache_control": st.just({"type": "ephemeral"}),
    },
)
TEXTS = st.lists(st.sampled_from(["alpha ", "beta", " x\n", "é🙂", "3 "]), min_size=1, max_size=8).map("".join)


@settings(max_examples=examples(150))
@given(
    st.sampled_from([*RANGES, *["think", "tools"] * 4]),
    TEXTS,
    st.sampled_from(["", "tokens=7", "refuse", "redacted"]),
    OPTIONS,
)
def test_a_stream_is_the_whole_answer_in_parts(model: str, text: str, told: str, options: JSON) -> None:
    async def both() -> None:
        body = ask_for(model, text, **options)
        if told in ("", "refuse") or (told == "redacted" and model in ("think", "tools")) or model == "story":
            body["messages"][0]["content"] = f"[[{told.replace('redacted', 'seed=3')}]] {text}" if told else text
        whole = await said(SandboxTransport(), body)
        Message.model_validate(whole)
        streamed = await ask(SandboxTransport(), {**body, "stream": True})
        again = joined(events(streamed.body))
        cut = whole["stop_reason"] == "max_tokens"
        for one, other in zip(whole["content"], again["content"], strict=True):
            if cut and one["type"] == "tool_use":
                assert one["input"] == {} or one["input"] == other["input"]
                other["input"] = one["input"]
        assert plain(whole) == plain(again)
        assert whole["usage"]["output_tokens"] <= body["max_tokens"]

    asyncio.run(both())


@pytest.mark.parametrize(
    ("finish", "stops", "text", "expected"),
    [
        ("stop", [], "a b", ("end_turn", None)),
        ("stop", ["z"], "a b", ("end_turn", None)),
        ("stop", ["z", "b", "a"], "a b", ("stop_sequence", "a")),
        ("length", ["b"], "a b", ("max_tokens", None)),
        ("calls", ["b"], "a b", ("tool_use", None)),
    ],
)
def test_why_it_stops(finish: Any, stops: list[str], text: str, expected: Any) -> None:
    answer = Answer(reasoning=[], text=[], calls=[], finish=finish, tokens=0, reasoning_tokens=0)
    assert stop_of(answer, stops, text) == expected


async def stream_of(body: JSON) -> list[JSON]:
    found = events((await ask(SandboxTransport(), {**body, "stream": True})).body)
    if found[-1]["type"] == "message_stop":
        check_order(found)
    return found


async def test_the_order_of_a_text() -> None:
    stream = await stream_of(ask_for("echo", "one two"))
    assert [event["type"] for event in stream] == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    start = stream[0]["message"]
    assert (start["content"], start["stop_reason"], start["usage"]["output_tokens"]) == ([], None, 1)
    assert stream[1]["content_block"] == {"type": "text", "text": ""}
    assert stream[6]["usage"]["output_tokens"] == 2, "cumulative"
    assert stream[6]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None}


async def test_thinking_is_signed_just_before_its_block_ends_and_precedes_the_call() -> None:
    stream = await stream_of(ask_for("tools", "Paris?", tools=TOOLS, thinking=THINK))
    starts = [event["content_block"]["type"] for event in stream if event["type"] == "content_block_start"]
    assert starts == ["thinking", "tool_use"]
    deltas = [event["delta"]["type"] for event in stream if event.get("index") == 0 and "delta" in event]
    assert deltas == ["thinking_delta"] * 32 + ["signature_delta"]
    fragments = [event["delta"]["partial_json"] for event in stream if event.get("index") == 1 and "delta" in event]
    assert fragments[0] == ""
    assert msgspec.json.decode("".join(fragments))["city"]


@pytest.mark.parametrize(("display", "deltas"), [("summarized", 33), ("omitted", 1)])
async def test_omitted_thinking_has_a_signature_alone(display: str, deltas: int) -> None:
    body = ask_for("think", "Why?", thinking={"type": "adaptive", "display": display})
    stream = await stream_of(body)
    found = [event["delta"] for event in stream if event.get("index") == 0 and "delta" in event]
    assert len(found) == deltas
    assert found[-1]["type"] == "signature_delta"
    thinking = (await said(SandboxTransport(), body))["content"][0]
    assert (thinking["thinking"] == "") == (display == "omitted")
    assert found[-1]["signature"] == thinking["signature"]


async def test_redacted_thinking_is_complete_at_its_start() -> None:
    stream = await stream_of(ask_for("think", "[[redacted]] Why?", thinking=THINK))
    assert stream[1]["content_block"]["type"] == "redacted_thinking"
    assert stream[1]["content_block"]["data"]
    assert [event["type"] for event in stream[2:4]] == ["ping", "content_block_stop"]
    assert stream[-2]["usage"]["output_tokens_details"] == {"thinking_tokens": 32}


async def test_a_refusal_is_an_empty_text() -> None:
    message = await said(SandboxTransport(), ask_for("echo", "[[refuse]] no"))
    assert message["content"] == [{"type": "text", "text": ""}]
    assert (message["stop_reason"], message["usage"]["output_tokens"]) == ("refusal", 0)
    assert message["stop_details"] == {
        "type": "refusal",
        "category": None,
        "explanation": "The sandbox refuses, as told.",
    }
    stream = await stream_of(ask_for("echo", "[[refuse]] no"))
    assert [event["type"] for event in stream if event["type"].startswith("content")] == [
        "content_block_start",
        "content_block_stop",
    ]


async def test_arguments_that_were_cut_are_none() -> None:
    message = await said(SandboxTransport(), ask_for("tools", "Paris?", tools=TOOLS, max_tokens=2))
    assert (message["stop_reason"], message["content"][0]["input"]) == ("max_tokens", {})


async def test_no_usage_and_no_done() -> None:
    body = ask_for("faulty", "[[no_usage no_done]] x")
    stream = await stream_of(body)
    assert stream[-1] == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None},
    }
    assert "usage" not in stream[0]["message"]
    assert "usage" not in await said(SandboxTransport(), body)


async def test_cached_tokens_can_be_told() -> None:
    usage = (await said(SandboxTransport(), ask_for("echo", "[[cached=3]] a b c d e")))["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (2, 3)
    usage = (await said(SandboxTransport(), ask_for("echo", "[[cached=99]] a b")))["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (0, 2)
