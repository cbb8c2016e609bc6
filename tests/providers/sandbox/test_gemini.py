"""The Gemini face through the sandbox's only door."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.sandbox.exchange import JSON, LIMIT
from tests.providers.sandbox.gemini_exchange import (
    THOUGHTS,
    TOOLS,
    ask,
    ask_for,
    parts_of,
    request,
    said,
    streamed,
)
from tests.thoroughness import examples
from trunkline.errors import StreamCut, UpstreamTimeout
from trunkline.providers.sandbox.directives import RANGES
from trunkline.providers.sandbox.faults import FaultCounts
from trunkline.providers.sandbox.gemini import face, failure
from trunkline.providers.sandbox.transport import SandboxTransport
from trunkline.providers.transport import Timers

SSE = "streamGenerateContent?alt=sse"


@pytest.fixture
def sandbox() -> SandboxTransport:
    return SandboxTransport()


@pytest.mark.parametrize("as_stream", [False, True])
async def test_a_tool_turn_with_signatures(sandbox: SandboxTransport, as_stream: bool) -> None:
    """The contents of a stream come back one for each chunk, as Google's own client sends them."""
    body = ask_for("What is the weather in Paris?", tools=TOOLS, generationConfig=THOUGHTS)
    answers = await streamed(sandbox, "tools", body) if as_stream else [await said(sandbox, "tools", body)]
    calls = [part.function_call for answer in answers for part in parts_of(answer) if part.function_call]
    assert [(call.name, call.args) for call in calls] == [("weather", {"city": "Paris"})]
    result = {"id": calls[0].id, "name": "weather", "response": {"output": "It is sunny."}}
    body["contents"] += [msgspec.to_builtins(answer.candidates[0].content) for answer in answers]
    body["contents"].append({"role": "user", "parts": [{"functionResponse": result}]})
    assert parts_of(await said(sandbox, "tools", body))[-1].text == "The tool answered: It is sunny."
    for content in body["contents"]:
        for part in content["parts"]:
            part.pop("thoughtSignature", None)
    refused = (await ask(sandbox, "tools", body)).json()["error"]
    assert "missing a thought_signature" in refused["message"]
    assert "`default_api:weather`" in refused["message"]


async def test_the_envelope_of_refusals(sandbox: SandboxTransport) -> None:
    answered = await ask(sandbox, "echo", ask_for("hi", n=2))
    said = 'Invalid JSON payload received. Unknown name "n": Cannot find field.'
    assert answered.status == 400
    assert answered.json() == {
        "error": {
            "code": 400,
            "message": said,
            "status": "INVALID_ARGUMENT",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"description": said}]}
            ],
        }
    }
    body = ask_for([{"text": "hi", "cache": 1, "type": "text"}])
    violations = (await ask(sandbox, "echo", body)).json()["error"]["details"][0]["fieldViolations"]
    assert [each["field"] for each in violations] == ["contents[0].parts[0]"] * 2
    missing = await ask(sandbox, "ecko", ask_for("hi"))
    assert (missing.status, missing.json()["error"]["status"]) == (404, "NOT_FOUND")
    cached = await ask(sandbox, "echo", ask_for("hi", cachedContent="cachedContents/x"))
    assert (cached.status, cached.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    (listed,) = msgspec.json.decode((await ask(sandbox, "ecko", ask_for("hi"), "streamGenerateContent")).body)
    assert listed == missing.json(), "a stream that is an array is refused in one"
    assert (await ask(sandbox, "ecko", ask_for("hi"), SSE)).json() == missing.json()


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (302, "UNKNOWN"),
        (401, "UNAUTHENTICATED"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
    ],
)
async def test_a_told_status(sandbox: SandboxTransport, status: int, name: str) -> None:
    answered = await ask(sandbox, "faulty", ask_for(f"[[status={status} retry_after=2]] x"))
    error = answered.json()["error"]
    assert (answered.status, error["code"], error["status"]) == (status, status, name)
    assert error["details"] == [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"}]
    assert answered.headers[b"retry-after"] == b"2"
    assert failure(status, "x").status == status


async def test_a_told_status_ends_after_its_times_by_account(sandbox: SandboxTransport) -> None:
    body = ask_for("[[status=503 times=2]] x")
    statuses = [(await ask(sandbox, "faulty", body, account=each)).status for each in (b"a", b"a", b"a", b"b")]
    assert statuses == [503, 503, 200, 503]


async def test_an_error_inside_a_stream_ends_it(sandbox: SandboxTransport) -> None:
    body = ask_for("[[error_after=3]] x")
    events = (await ask(sandbox, "faulty", body, SSE)).body.split(b"\r\n\r\n")
    assert len(events) == 5
    assert msgspec.json.decode(events[3][6:])["error"]["status"] == "UNAVAILABLE"
    listed = msgspec.json.decode((await ask(sandbox, "faulty", body, "streamGenerateContent")).body)
    assert [next(iter(each)) for each in listed] == ["candidates"] * 3 + ["error"]
    (only,) = msgspec.json.decode(
        (await ask(sandbox, "faulty", ask_for("[[error_after=0]] x"), "streamGenerateContent")).body
    )
    assert "error" in only
    assert (await ask(sandbox, "faulty", body)).status == 503
    assert (await ask(sandbox, "faulty", ask_for("[[error_after=21]] x"))).status == 200


async def test_a_stall_a_cut_garbage_and_no_end(sandbox: SandboxTransport) -> None:
    stalling = ask_for("[[stall_after=3 stall_ms=60000]] x")
    response = await sandbox.send(request("faulty", stalling, SSE, timers=Timers(idle_s=0.01)))
    assert (await response.chunk()).count(b"data: ") == 3
    with pytest.raises(UpstreamTimeout):
        await response.chunk()
    response = await sandbox.send(request("faulty", ask_for("[[cut_after=3]] x"), SSE))
    assert (await response.chunk()).count(b"data: ") == 3
    with pytest.raises(StreamCut):
        await response.chunk()
    for method in (SSE, "streamGenerateContent", "generateContent"):
        assert b"\xff\xfe" in (await ask(sandbox, "faulty", ask_for("[[garble_after=3]] x"), method)).body
    unended = await ask(sandbox, "faulty", ask_for("[[no_done]] x"), "streamGenerateContent")
    assert unended.body.endswith(b"}")


async def test_counting(sandbox: SandboxTransport) -> None:
    body = ask_for("one two three")
    expected = {"totalTokens": 3, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}]}
    for each in (body, {"generateContentRequest": {"model": "models/echo", **body}}):
        assert (await ask(sandbox, "echo", each, "countTokens")).json() == expected
    both = {**body, "generateContentRequest": body}
    assert (await ask(sandbox, "echo", both, "countTokens")).status == 400


async def test_pictures(sandbox: SandboxTransport) -> None:
    png = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAYAAAC56t6B"
    parts: list[JSON] = [{"text": "Look"}, {"inlineData": {"mimeType": "image/png", "data": png.replace("+", "-")}}]
    answer = await said(sandbox, "vision", ask_for(parts))
    assert parts_of(answer)[0].text == "Image 1: PNG, 2 x 3 pixels, 33 bytes."
    parts[1]["inlineData"]["data"] = "none"
    assert (await ask(sandbox, "vision", ask_for(parts))).status == 400


async def test_an_enum_is_answered_bare(sandbox: SandboxTransport) -> None:
    schema = {"type": "STRING", "enum": ["red", "green"]}
    config = {"responseMimeType": "text/x.enum", "responseSchema": schema}
    assert parts_of(await said(sandbox, "json", ask_for("x", generationConfig=config)))[0].text in ("red", "green")
    config["responseMimeType"] = "application/json"
    text = parts_of(await said(sandbox, "json", ask_for("x", generationConfig=config)))[0].text
    assert text in ('"red"', '"green"')


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        (b"POST", b"/v1beta/models/echo:generateContent", True),
        (b"POST", b"/x/models/sandbox-gemini%2Fecho:streamGenerateContent?alt=sse", True),
        (b"POST", b"/v1beta/models/sandbox-gemini/echo:countTokens?x=1", True),
        (b"GET", b"/v1beta/models/echo:generateContent", False),
        (b"POST", b"/v1beta/models/echo:embedContent", False),
        (b"POST", b"/v1beta/models/echo:generateContent/x", False),
    ],
)
def test_paths(method: bytes, path: bytes, found: bool) -> None:
    asked = request("echo", ask_for("hi"))
    asked.method, asked.target = method, path
    plan = face(asked, b"", FaultCounts())
    assert (plan is not None and plan.status == 200) == found


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = "contents systemInstruction tools tool_config generationConfig cachedContent model safety_settings".split


@settings(max_examples=examples(150))
@given(
    st.sampled_from(list(RANGES)),
    st.dictionaries(st.sampled_from(FIELDS()), NESTED, max_size=3),
    st.binary(),
    st.sampled_from([SSE, "generateContent", "countTokens"]),
)
def test_any_body_has_an_answer(model: str, more: JSON, raw: bytes, method: str) -> None:
    async def send(body: Any) -> int:
        return (await ask(SandboxTransport(), model, body, method)).status

    assert asyncio.run(send(raw)) == 400
    assert asyncio.run(send({**ask_for("hi"), **more})) in (200, 400, 403)


@pytest.mark.parametrize("method", ["generateContent", SSE])
async def test_an_echo_costs_little(sandbox: SandboxTransport, method: str) -> None:
    """A guard against a slip of ten times, not a benchmark: it takes about 100 us."""
    asked = request("echo", ask_for("Say hello to all eleven players of the team."), method)
    began = time.process_time()
    for _ in range(300):
        response = await sandbox.send(asked)
        await response.read(LIMIT)
    assert (time.process_time() - began) / 300 < 0.001
