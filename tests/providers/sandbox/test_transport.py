"""The sandbox through its only door, as the rest of the gateway meets it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.providers.sandbox.exchange import (
    JSON,
    LIMIT,
    ask,
    chat,
    chunks,
    joined,
    plain,
    request,
)
from tests.thoroughness import examples
from trunkline.errors import ClientGone, StreamCut, UpstreamFailed, UpstreamTimeout
from trunkline.providers.sandbox import transport
from trunkline.providers.sandbox.directives import RANGES
from trunkline.providers.sandbox.transport import SandboxTransport
from trunkline.providers.transport import Timers, Transport, UpstreamResponse

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("weather", "forecast")]


@pytest.fixture
def sandbox() -> SandboxTransport:
    return SandboxTransport()


async def test_it_is_a_transport(sandbox: SandboxTransport) -> None:
    known: Transport = sandbox
    response: UpstreamResponse = await known.send(request(chat("echo", "hi")))
    assert (response.status, await response.chunk() != b"", await response.chunk()) == (200, True, b"")
    await known.close()


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(1, 3),
        "max_tokens": st.integers(1, 30),
        "stop": st.sampled_from(["beta", ["a", "zz"], "\n"]),
        "seed": st.integers(0, 5),
        "logprobs": st.just(True),
        "tools": st.just(TOOLS),
        "tool_choice": st.sampled_from(["auto", "none", "required"]),
        "parallel_tool_calls": st.booleans(),
        "reasoning_effort": st.sampled_from(["none", "low", "high"]),
        "response_format": st.sampled_from(
            [{"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}]
        ),
    },
)
TEXTS = st.lists(st.sampled_from(["alpha ", "beta", " ", "\n", "é🙂", "3 "]), max_size=8).map("".join)


@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(list(RANGES)), TEXTS, st.sampled_from([None, 1, 7]), OPTIONS)
def test_a_stream_is_the_whole_answer_in_parts(model: str, text: str, tokens: int | None, options: JSON) -> None:
    async def both() -> None:
        sandbox = SandboxTransport()
        told = f"[[tokens={tokens}]]" if tokens and "tokens" in RANGES[model] else ""
        body = chat(model, told + text, **options)
        if "tools" not in body and body.get("tool_choice") == "required":
            del body["tool_choice"]
        whole = await ask(sandbox, body)
        again = await ask(sandbox, body)
        streamed = await ask(sandbox, {**body, "stream": True, "stream_options": {"include_usage": True}})
        ChatCompletion.model_validate(whole.json())
        parts = chunks(streamed.body)
        for part in parts:
            ChatCompletionChunk.model_validate(part)
        answer = plain(whole.json())
        assert plain(joined(parts)) == answer
        assert plain(again.json()) == answer, "the same request has the same answer"
        bound = options.get("max_tokens", 10**9) * options.get("n", 1)
        assert answer["usage"]["completion_tokens"] <= bound

    asyncio.run(both())


async def test_echo_repeats_and_stops(sandbox: SandboxTransport) -> None:
    said = "alpha beta gamma HALT delta epsilon"
    assert (await ask(sandbox, chat("echo", said))).text() == said
    stopped = (await ask(sandbox, chat("echo", said, stop=["ZZZ", "HALT"]))).choice()
    assert (stopped["message"]["content"], stopped["finish_reason"]) == ("alpha beta gamma ", "stop")
    one = await ask(sandbox, chat("echo", said, max_tokens=1))
    assert (one.choice()["finish_reason"], one.json()["usage"]["completion_tokens"]) == ("length", 1)


async def test_a_tool_turn(sandbox: SandboxTransport) -> None:
    body = chat("tools", "What is the weather in Paris?", tools=TOOLS)
    called = (await ask(sandbox, body)).choice()
    assert called["finish_reason"] == "tool_calls"
    (call,) = called["message"]["tool_calls"]
    assert call["function"]["name"] == "weather"
    assert msgspec.json.decode(call["function"]["arguments"])["city"] == "Paris"
    result = {"role": "tool", "tool_call_id": call["id"], "content": "It is sunny."}
    body["messages"] += [called["message"], result]
    assert (await ask(sandbox, body)).text() == "The tool answered: It is sunny."


async def test_a_thinking_turn(sandbox: SandboxTransport) -> None:
    body = chat("think", "Is it?")
    said = (await ask(sandbox, body)).choice()["message"]
    body["messages"] += [said, {"role": "user", "content": "And now?"}]
    assert (await ask(sandbox, body)).status == 200
    said["reasoning_details"][0]["text"] += " (altered)"
    refused = await ask(sandbox, body)
    assert (refused.status, refused.error()["param"]) == (400, "messages[1].reasoning_details[0].signature")


async def test_accounts_are_told_apart_by_their_header(sandbox: SandboxTransport) -> None:
    body = chat("faulty", "[[status=503 times=1]] x")
    statuses = [(await ask(sandbox, body, [(b"X-Sandbox-Account", name)])).status for name in (b"a", b"a", b"b")]
    assert statuses == [503, 200, 503]


@pytest.mark.parametrize(("method", "target"), [(b"GET", b"/v1/chat/completions"), (b"POST", b"/v1/elsewhere")])
async def test_other_routes_are_not_found(sandbox: SandboxTransport, method: bytes, target: bytes) -> None:
    asked = request(chat("echo", "hi"))
    asked.method, asked.target = method, target
    response = await sandbox.send(asked)
    assert response.status == 404
    assert msgspec.json.decode(await response.read(LIMIT))["error"]["code"] == "unknown_url"


async def test_any_prefix_and_query_reach_the_route(sandbox: SandboxTransport) -> None:
    asked = request(chat("echo", "hi"))
    asked.target = b"/sandbox/v1/chat/completions?x=1"
    response = await sandbox.send(asked)
    assert response.status == 200
    response.close()
    assert sandbox.live == 0


async def test_a_body_in_pieces_is_read_whole(sandbox: SandboxTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    body = msgspec.json.encode(chat("echo", "one two three"))
    asked = request(b"")
    for most, status in ((len(body), 200), (len(body) - 1, 413)):
        monkeypatch.setattr(transport, "MOST_BODY_BYTES", most)
        asked.stream_body = pieces()
        response = await sandbox.send(asked)
        assert (response.status, b"one two three" in await response.read(LIMIT)) == (status, status == 200)


async def test_live_answers_are_counted_until_they_end(sandbox: SandboxTransport) -> None:
    story = chat("story", "[[tokens=5000]]", stream=True)
    responses = [await sandbox.send(request(story)) for _ in range(4)]
    assert sandbox.live == 4
    await responses[0].read(LIMIT)
    assert await responses[1].chunk() != b""
    responses[1].close()
    responses[2].cancel(ClientGone("gone"))
    assert sandbox.live == 1
    responses[3].close()
    assert sandbox.live == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_caller_who_is_cancelled_while_waiting_leaves_nothing(sandbox: SandboxTransport) -> None:
    sending = asyncio.ensure_future(sandbox.send(request(chat("echo", "[[first_ms=600000]] x"))))
    await asyncio.sleep(0)
    assert sandbox.live == 1
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert sandbox.live == 0


async def test_timers(sandbox: SandboxTransport) -> None:
    slow = chat("echo", "[[first_ms=60000]] x")
    with pytest.raises(UpstreamTimeout):
        await sandbox.send(request({**slow, "stream": True}, Timers(first_byte_s=0.01)))
    with pytest.raises(UpstreamTimeout):
        await sandbox.send(request(slow, Timers(total_s=0.01, first_byte_s=0.001)))
    stalling = chat("faulty", "[[stall_after=3 stall_ms=60000]] x", stream=True)
    response = await sandbox.send(request(stalling, Timers(idle_s=0.01)))
    assert (await response.chunk()).count(b"data: ") == 4
    with pytest.raises(UpstreamTimeout):
        await response.chunk()
    assert sandbox.live == 0


async def test_a_whole_answer_has_no_idle_timer(sandbox: SandboxTransport) -> None:
    body = chat("faulty", "[[tokens=3 stall_after=1 stall_ms=30]] x")
    response = await sandbox.send(request(body, Timers(idle_s=0.001, first_byte_s=0.001)))
    assert response.status == 200
    response.close()


async def test_pace(sandbox: SandboxTransport) -> None:
    """Before the first token and between tokens at least as long as told; a busy machine may take longer."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    response = await sandbox.send(request(chat("story", "[[tokens=4 first_ms=30 delay_ms=20]]", stream=True)))
    assert loop.time() - began >= 0.029
    assert (await response.chunk()).count(b"data: ") >= 2, "the role and the first token come together"
    await response.read(LIMIT)
    assert loop.time() - began >= 0.089


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cut(sandbox: SandboxTransport, stream: bool) -> None:
    response = await sandbox.send(request(chat("faulty", "[[cut_after=5]] x", stream=stream)))
    assert response.status == 200
    before = await response.chunk()
    assert before.count(b'"delta"') == (6 if stream else 0), "the role and five tokens"
    with pytest.raises(StreamCut):
        await response.chunk()
    assert sandbox.live == 0
    with pytest.raises(UpstreamFailed):
        await ask(sandbox, chat("faulty", "[[cut_after=0]] x", stream=stream))


async def test_absurd_requests_are_answered_in_bounded_size(sandbox: SandboxTransport) -> None:
    most = {"n": 128, "logprobs": True, "top_logprobs": 20}
    for body in (
        chat("echo", "word " * 120_000, **most),
        chat("echo", "\x01" * 1_100_000),
        chat("story", "[[tokens=100000]]"),
    ):
        began = time.process_time()
        answered = await ask(sandbox, body)
        assert answered.status == 200
        assert len(answered.body) < 20_000_000
        assert time.process_time() - began < 3


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = "model messages stream n tools tool_choice response_format stop max_tokens functions function_call".split


@settings(max_examples=examples(300))
@given(st.sampled_from(list(RANGES)), st.dictionaries(st.sampled_from(FIELDS()), NESTED, max_size=3), st.binary())
def test_any_body_has_an_answer(model: str, more: JSON, raw: bytes) -> None:
    async def send(body: Any) -> int:
        return (await ask(SandboxTransport(), body)).status

    assert asyncio.run(send(raw)) == 400
    assert asyncio.run(send({**chat(model, "hi"), **more})) in (200, 400, 404)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_echo_costs_little(sandbox: SandboxTransport, stream: bool) -> None:
    """A guard against a slip of ten times, not a benchmark: it takes 30 to 50 us."""
    body = chat("echo", "Say hello to all eleven players of the team.", stream=stream)
    asked = request(body)
    began = time.process_time()
    for _ in range(300):
        response = await sandbox.send(asked)
        await response.read(LIMIT)
    assert (time.process_time() - began) / 300 < 0.0006
