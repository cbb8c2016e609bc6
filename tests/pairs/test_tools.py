"""Tools over every pair: many of them, calls that come mixed, ids and arguments that break parsers."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.pairs.callers import CALLERS, JSON, Caller
from tests.pairs.crossing import EVERY_PAIR, arguments, crossed_stream, crossed_whole, of_pairs
from tests.pairs.readback import read_back
from tests.pairs.test_state import written_for
from tests.pairs.upstreams import MAKER, UPSTREAMS, Upstream
from trunkline.translation.exchange import (
    Answer,
    ArgumentsDelta,
    Began,
    CallBegan,
    Choice,
    Ended,
    Event,
    Finished,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    Usage,
    Used,
)
from trunkline.translation.losses import Losses

IDS = (
    "call_plain",
    "with space, comma; and \u00fc",
    "functions.get_weather:0",
    "x" * 64,
    "y" * 300,
    "emoji-\U0001f600",
    'quote"back\\slash',
    "call_plain ",
)
ARGUMENTS = (
    "{}",
    "",
    '{"line":"a\u2028b\u2029c"}',
    '{"half":"\\ud83d","whole":"\\ud83d\\ude00"}',
    '{"long":12345678901234567890,"exact":1.0,"small":1e-7}',
    '{"nested":{"deep":[1,[2,[3,{"a":null}]]]}}',
    '{"text":"data: [DONE]\\n\\ndata: {}","nul":"\\u0000"}',
    ' { "spaced" : true } ',
)
USED = Usage(input_tokens=3, output_tokens=2)
FIT = {
    "anthropic_messages": re.compile(r"[A-Za-z0-9_-]{1,64}"),
    "bedrock_converse": re.compile(r"[A-Za-z0-9_.:-]{1,64}"),
}
OBJECT = Raw(b'{"type":"object","properties":{"a":{"type":"string"}}}')


def talk(ids: tuple[str, ...], said: tuple[str, ...]) -> Request:
    """A question, calls of all these, and their results, in the reverse order."""
    calls = [ToolCall(id=one, name="look", arguments=text) for one, text in zip(ids, said, strict=True)]
    results = [ToolResult(call_id=one, parts=[Text(text=f"result {at}")]) for at, one in enumerate(ids)]
    return Request(
        protocol="neutral",
        model="m",
        turns=[
            Turn(role="user", parts=[Text(text="Look.")]),
            Turn(role="assistant", parts=[*calls]),
            Turn(role="user", parts=[*reversed(results)]),
        ],
        tools=[Tool(name="look", parameters=OBJECT)],
        max_tokens=1000,
    )


def calls_in(request: Request) -> list[ToolCall]:
    return [part for turn in request.turns for part in turn.parts if isinstance(part, ToolCall)]


def results_in(request: Request) -> dict[str, str]:
    return {
        part.call_id: "".join(one.text or "" for one in part.parts)
        for turn in request.turns
        for part in turn.parts
        if isinstance(part, ToolResult)
    }


def over(caller: Caller, request: Request) -> Request:
    """As a caller of the protocol asks it: his own client wrote these ids and arguments."""
    own = UPSTREAMS[caller.protocol]
    body = caller.translator.write_request(request, own.target(), Losses("m", {}))
    return read_back(caller.protocol, body, stream=False)


@pytest.mark.parametrize("upstream", UPSTREAMS.values(), ids=UPSTREAMS)
def test_ids_that_do_not_fit_still_join_calls_and_results(upstream: Upstream) -> None:
    asked = talk(IDS, ("{}",) * len(IDS))
    got = read_back(upstream.protocol, written_for(upstream, MAKER, asked).encode(), stream=False)
    calls, results = calls_in(got), results_in(got)
    assert len({call.id for call in calls}) == len(IDS), "two ids became one"
    assert [results[call.id] for call in calls] == [f"result {at}" for at in range(len(IDS))]
    fit = FIT.get(upstream.protocol, re.compile(".+"))
    assert all(fit.fullmatch(call.id) for call in calls)


@EVERY_PAIR
def test_arguments_keep_their_text(caller: Caller, upstream: Upstream) -> None:
    asked = over(caller, talk(tuple(f"call_{at}" for at in range(len(ARGUMENTS))), ARGUMENTS))
    written = written_for(upstream, MAKER, asked)
    got = read_back(upstream.protocol, written.encode(), stream=False)
    assert [arguments(call) for call in calls_in(got)] == [
        arguments(ToolCall(id="", name="", arguments=text)) for text in ARGUMENTS
    ]
    for digits in ("12345678901234567890", "1.0", "1e-7"):
        assert digits in written, "numbers keep their digits"


@EVERY_PAIR
def test_two_hundred_tools_cross_in_order(caller: Caller, upstream: Upstream) -> None:
    tools = [Tool(name=f"tool_{at}", description=f"Number {at}.", parameters=OBJECT) for at in range(200)]
    question = [Turn(role="user", parts=[Text(text="Look.")])]
    asked = over(caller, Request(protocol="neutral", model="m", turns=question, tools=[*tools], max_tokens=1000))
    got = read_back(upstream.protocol, written_for(upstream, MAKER, asked).encode(), stream=False)
    said = [(tool.name, tool.description, _value(tool.parameters)) for tool in got.tools if isinstance(tool, Tool)]
    assert said == [(tool.name, tool.description, _value(tool.parameters)) for tool in tools]


def _value(raw: Raw | None) -> Any:
    return None if raw is None else msgspec.json.decode(raw)


def answered(said: tuple[str, ...], ids: tuple[str, ...]) -> Answer:
    calls = [
        ToolCall(id=one, name=f"tool_{at}", arguments=text)
        for at, (one, text) in enumerate(zip(ids, said, strict=True))
    ]
    return Answer(id="a", model="m", created=1, choices=[Choice(parts=[*calls], stop="tool")], usage=USED)


def mixed(answer: Answer) -> list[Event]:
    """All calls begin, then their arguments come one character after another, of each call in turn."""
    calls = [part for part in answer.choices[0].parts if isinstance(part, ToolCall)]
    events: list[Event] = [Began("a", "m", 1)]
    events += [CallBegan(0, at, call.id, call.name) for at, call in enumerate(calls)]
    for place in range(max(len(call.arguments) for call in calls)):
        events += [
            ArgumentsDelta(0, at, call.arguments[place]) for at, call in enumerate(calls) if place < len(call.arguments)
        ]
    return [*events, Finished(0, "tool"), Used(USED), Ended()]


def client_calls(caller: Caller, client_has: JSON) -> list[tuple[str, str, Any]]:
    """What the client would run, as it comes back in its next request."""
    again = caller.read(caller.next_request(client_has))
    assert results_in(again).keys() == {call.id for call in calls_in(again)}
    return [(call.id, call.name, arguments(call)) for call in calls_in(again)]


@of_pairs(one for one in UPSTREAMS.values() if one.protocol not in ("cohere_chat", "ollama_chat", "gemini"))
def test_calls_that_come_mixed_come_out_whole(caller: Caller, upstream: Upstream) -> None:
    said = ('{"a":"}"}', "{}", '{"b":[1,2,{"c":"\u2028"}]}', '{"d":"\\"}"}')
    answer = answered(said, tuple(f"call_{at}" for at in range(len(said))))
    stream = upstream.streamed(answer, mixed(answer))
    whole = crossed_whole(caller, upstream, upstream.whole(answer), caller.asks(False))
    wanted = [(f"call_{at}", f"tool_{at}", msgspec.json.decode(text)) for at, text in enumerate(said)]
    assert client_calls(caller, caller.whole(whole)) == wanted
    for size in (len(stream), 1, 7):
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        streamed = crossed_stream(caller, upstream, pieces, caller.asks(True))
        assert client_calls(caller, caller.streamed(streamed)) == wanted


@EVERY_PAIR
def test_a_call_of_a_provider_comes_back_under_its_id(caller: Caller, upstream: Upstream) -> None:
    """Whatever id the provider gave, the caller's result is joined to it when it returns there."""
    ids = ("call_plain", "functions.look:0", "x" * 60)
    answer = answered(("{}",) * len(ids), ids)
    body = caller.whole(crossed_whole(caller, upstream, upstream.whole(answer), caller.asks(False)))
    again = caller.read(caller.next_request(body))
    assert [call.id for call in calls_in(again)] == list(ids)
    got = read_back(upstream.protocol, written_for(upstream, MAKER, again).encode(), stream=False)
    assert results_in(got).keys() == {call.id for call in calls_in(got)}
    assert len(calls_in(got)) == len(ids)


def test_the_lists_are_of_everybody() -> None:
    assert CALLERS.keys() <= UPSTREAMS.keys()
