"""The Messages face through the sandbox's only door, and through Anthropic's own client."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import anthropic
import httpx2
import msgspec
import pytest
from anthropic.types import MessageTokensCount
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.sandbox.exchange import JSON, LIMIT
from tests.providers.sandbox.messages_exchange import (
    NEW_VERSION,
    THINK,
    TOOLS,
    VERSION,
    ask,
    ask_for,
    events,
    refused,
    request,
    said,
)
from tests.thoroughness import examples
from trunkline.errors import StreamCut, UpstreamTimeout
from trunkline.providers.sandbox.directives import RANGES
from trunkline.providers.sandbox.faults import FaultCounts
from trunkline.providers.sandbox.messages import MessagesFace, failure
from trunkline.providers.sandbox.transport import SandboxTransport
from trunkline.providers.transport import Timers


@pytest.fixture
def sandbox() -> SandboxTransport:
    return SandboxTransport()


def client_of(sandbox: SandboxTransport) -> anthropic.AsyncAnthropic:
    """The vendor's client, whose requests the sandbox answers."""

    async def answer(asked: httpx2.Request) -> httpx2.Response:
        headers = [(name, value) for name, value in asked.headers.raw]
        response = await sandbox.send(request(asked.content, *headers, path=asked.url.raw_path))
        found = [(name.decode(), value.decode()) for name, value in response.headers]
        return httpx2.Response(response.status, headers=found, content=await response.read(LIMIT))

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    return anthropic.AsyncAnthropic(api_key="k", base_url="http://sandbox.invalid", http_client=http, max_retries=0)


async def test_a_tool_turn_with_thinking_in_the_vendors_client(sandbox: SandboxTransport) -> None:
    client = client_of(sandbox)
    asking: Any = {"model": "tools", "max_tokens": 4_000, "thinking": THINK, "tools": TOOLS}
    turns: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    async with client.messages.stream(messages=turns, **asking) as stream:
        called = await stream.get_final_message()
    assert [block.type for block in called.content] == ["thinking", "tool_use"]
    assert called.stop_reason == "tool_use"
    call = called.content[1]
    assert call.type == "tool_use"
    assert call.input == {"city": "Paris"}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "It is sunny."}
    turns += [called.to_param(), {"role": "user", "content": [result]}]
    answer = await client.messages.create(messages=turns, **asking)
    assert [block.to_dict() for block in answer.content] == [
        {"type": "text", "text": "The tool answered: It is sunny."}
    ]
    turns[1]["content"].pop(0)
    with pytest.raises(anthropic.BadRequestError, match="found `tool_use`"):
        await client.messages.create(messages=turns, **asking)


async def test_the_vendors_client_counts_and_reads_errors(sandbox: SandboxTransport) -> None:
    client = client_of(sandbox)
    counted = await client.messages.count_tokens(model="echo", messages=[{"role": "user", "content": "one two"}])
    assert counted == MessageTokensCount(input_tokens=2)
    with pytest.raises(anthropic.NotFoundError) as missing:
        await client.messages.create(model="ecko", max_tokens=5, messages=[{"role": "user", "content": "x"}])
    assert missing.value.request_id
    streamed = client.messages.stream(
        model="faulty", max_tokens=50, messages=[{"role": "user", "content": "[[error_after=3]] x"}]
    )
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        async with streamed as stream:
            await stream.get_final_message()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (418, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
async def test_a_told_status(sandbox: SandboxTransport, status: int, kind: str) -> None:
    answered = await ask(sandbox, ask_for("faulty", f"[[status={status} retry_after=2]] x"))
    assert answered.status == status
    assert answered.json()["error"]["type"] == kind
    assert answered.headers[b"retry-after"] == b"2"
    (body,) = failure(status, "x").steps
    assert msgspec.json.decode(cast("bytes", body))["error"] == {"type": kind, "message": "x"}


async def test_a_told_status_ends_after_its_times_by_account(sandbox: SandboxTransport) -> None:
    body = ask_for("faulty", "[[status=529 times=2]] x")
    accounts = [(b"X-Sandbox-Account", name) for name in (b"a", b"a", b"a", b"b")]
    assert [(await ask(sandbox, body, VERSION, account)).status for account in accounts] == [529, 529, 200, 529]


async def test_an_error_inside_a_stream_ends_it(sandbox: SandboxTransport) -> None:
    answered = await ask(sandbox, ask_for("faulty", "[[error_after=3]] x", stream=True))
    stream = events(answered.body)
    assert answered.status == 200
    assert [event["type"] for event in stream[-2:]] == ["content_block_delta", "error"]
    assert stream[-1]["error"]["type"] == "overloaded_error"
    assert (await ask(sandbox, ask_for("faulty", "[[error_after=3]] x"))).status == 529
    assert (await ask(sandbox, ask_for("faulty", "[[error_after=21]] x"))).status == 200


async def test_a_stall_a_cut_and_garbage(sandbox: SandboxTransport) -> None:
    stalling = ask_for("faulty", "[[stall_after=3 stall_ms=60000]] x", stream=True)
    response = await sandbox.send(request(stalling, timers=Timers(idle_s=0.01)))
    assert (await response.chunk()).count(b"text_delta") == 3
    with pytest.raises(UpstreamTimeout):
        await response.chunk()
    response = await sandbox.send(request(ask_for("faulty", "[[cut_after=3]] x", stream=True)))
    assert (await response.chunk()).count(b"text_delta") == 3
    with pytest.raises(StreamCut):
        await response.chunk()
    garbled = await ask(sandbox, ask_for("faulty", "[[garble_after=3]] x", stream=True))
    assert b"\xff\xfe" in garbled.body
    assert garbled.body.count(b"message_stop") == 2


async def test_what_is_cached_is_counted_once_and_read_again(sandbox: SandboxTransport) -> None:
    def usage_of(message: JSON) -> tuple[int, ...]:
        usage = message["usage"]
        creation = usage["cache_creation"]
        assert sum(creation.values()) == usage["cache_creation_input_tokens"]
        return (
            usage["input_tokens"],
            usage["cache_creation_input_tokens"],
            creation["ephemeral_1h_input_tokens"],
            usage["cache_read_input_tokens"],
        )

    system = [{"type": "text", "text": "one two three", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    body = ask_for("echo", "four five", system=system)
    assert usage_of(await said(sandbox, body)) == (2, 3, 3, 0)
    assert usage_of(await said(sandbox, body)) == (2, 0, 0, 3)
    marked = [{"type": "text", "text": "four five", "cache_control": {"type": "ephemeral"}}]
    longer = ask_for("echo", marked, system=system)
    assert usage_of(await said(sandbox, longer)) == (0, 2, 0, 3)
    streamed = await ask(sandbox, {**longer, "stream": True})
    assert events(streamed.body)[-2]["usage"]["cache_read_input_tokens"] == 5
    assert usage_of(await said(sandbox, body, VERSION, (b"x-sandbox-account", b"b"))) == (2, 3, 3, 0)
    assert usage_of(await said(SandboxTransport(), body)) == (2, 3, 3, 0), "each worker has its own"


async def test_versions(sandbox: SandboxTransport) -> None:
    body = ask_for("echo", "hi")
    assert "anthropic-version" in await refused(sandbox, body, (b"x", b"y"))
    assert "anthropic-version" in await refused(sandbox, body, (b"anthropic-version", b"2023-01-01"))
    for version in (VERSION, NEW_VERSION):
        assert (await ask(sandbox, body, version)).status == 200


@pytest.mark.parametrize("path", [b"/v1/messages?beta=true", b"/x/messages", b"/v1/messages/count_tokens"])
async def test_paths(sandbox: SandboxTransport, path: bytes) -> None:
    body = ask_for("echo", "hi")
    if b"count" in path:
        del body["max_tokens"]
    response = await sandbox.send(request(body, VERSION, path=path))
    assert response.status == 200
    response.close()


@pytest.mark.parametrize(("method", "path"), [(b"GET", b"/v1/messages"), (b"POST", b"/v1/messages/batches")])
def test_other_paths_are_others(method: bytes, path: bytes) -> None:
    asked = request(ask_for("echo", "hi"), path=path)
    asked.method = method
    assert MessagesFace()(asked, b"", FaultCounts()) is None


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = "model messages stream system tools tool_choice thinking stop_sequences max_tokens output_config".split


@settings(max_examples=examples(150))
@given(st.sampled_from(list(RANGES)), st.dictionaries(st.sampled_from(FIELDS()), NESTED, max_size=3), st.binary())
def test_any_body_has_an_answer(model: str, more: JSON, raw: bytes) -> None:
    async def send(body: Any) -> int:
        return (await ask(SandboxTransport(), body)).status

    assert asyncio.run(send(raw)) == 400
    assert asyncio.run(send({**ask_for(model, "hi"), **more})) in (200, 400, 404)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_echo_costs_little(sandbox: SandboxTransport, stream: bool) -> None:
    """A guard against a slip of ten times, not a benchmark: it takes about 90 us."""
    asked = request(ask_for("echo", "Say hello to all eleven players of the team.", stream=stream))
    began = time.process_time()
    for _ in range(300):
        response = await sandbox.send(asked)
        await response.read(LIMIT)
    assert (time.process_time() - began) / 300 < 0.001
