from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.providers.sandbox.exchange import JSON, chat, events
from trunkline.providers.sandbox.chat import REFUSAL, answer
from trunkline.providers.sandbox.faults import FaultCounts
from trunkline.providers.sandbox.openai_errors import EVENTS
from trunkline.providers.sandbox.response import Cut, Plan


def planned(body: JSON | bytes, account: bytes = b"", counts: FaultCounts | None = None) -> Plan:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return answer(raw, account, FaultCounts() if counts is None else counts)


def whole(plan: Plan) -> Any:
    (body,) = plan.steps
    assert isinstance(body, bytes)
    return msgspec.json.decode(body)


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"{", 400, None),
        (chat("nobody", "hi"), 404, "model"),
        (chat("echo", "[[sped=1]]"), 400, "messages[0].content"),
        (chat("json", "x", response_format={"type": "json_schema", "json_schema": {"schema": False}}), 400,
         "response_format.json_schema.schema"),
        (chat("tools", "x", tools=[{"type": "function", "function": {"name": "f", "parameters": 5}}]), 400,
         "tools[0].function.parameters"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused_before_anything_is_sent(body: Any, status: int, param: str | None) -> None:
    for more in ({}, {"stream": True}):
        plan = planned(body if isinstance(body, bytes) else {**body, **more})
        assert plan.status == status
        assert whole(plan)["error"]["param"] == param


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (302, "invalid_request_error", None),
        (401, "invalid_request_error", "invalid_api_key"),
        (402, "insufficient_quota", "insufficient_credits"),
        (403, "permission_error", "permission_denied"),
        (404, "invalid_request_error", "model_not_found"),
        (418, "invalid_request_error", None),
        (429, "requests", "rate_limit_exceeded"),
        (500, "server_error", None),
        (529, "server_error", None),
    ],
)
def test_a_told_status(status: int, kind: str, code: str | None) -> None:
    plan = planned(chat("faulty", f"[[status={status} first_ms=70]] x"))
    assert (plan.status, plan.first_s) == (status, 0.07)
    error = whole(plan)["error"]
    assert (error["type"], error["code"]) == (kind, code)


def test_a_told_status_ends_after_its_times() -> None:
    counts = FaultCounts()
    body = chat("faulty", "[[status=429 retry_after=2 times=2]] x")
    plans = [planned(body, b"a", counts) for _ in range(3)]
    assert [plan.status for plan in plans] == [429, 429, 200]
    assert [dict(plan.headers).get(b"retry-after") for plan in plans] == [b"2", b"2", None]
    assert planned(body, b"b", counts).status == 429


@pytest.mark.parametrize(
    ("block", "whole_s", "stream_s"),
    [
        ("tokens=5", 0, 0),
        ("tokens=5 first_ms=100", 0.1, 0.1),
        ("tokens=5 first_ms=100 delay_ms=10", 0.14, 0.1),
        ("tokens=5 stall_after=5 stall_ms=700", 0.7, 0),
        ("tokens=5 stall_after=6 stall_ms=700", 0, 0),
    ],
)
def test_a_whole_answer_takes_as_long_as_its_stream(block: str, whole_s: float, stream_s: float) -> None:
    assert planned(chat("faulty", f"[[{block}]]")).first_s == pytest.approx(whole_s)
    assert planned(chat("faulty", f"[[{block}]]", stream=True)).first_s == pytest.approx(stream_s)


def test_a_stream_says_that_it_is_one() -> None:
    assert planned(chat("echo", "hi", stream=True)).headers == EVENTS


@pytest.mark.parametrize(("at", "faulty"), [(0, True), (3, True), (5, True), (6, False)])
def test_faults_of_a_whole_body(at: int, faulty: bool) -> None:
    steps = list(planned(chat("faulty", f"[[tokens=5 cut_after={at}]]")).steps)
    assert [isinstance(step, Cut) for step in steps] == ([True] if at == 0 else [False, True] if faulty else [False])
    (body,) = planned(chat("faulty", f"[[tokens=5 garble_after={at}]]")).steps
    assert isinstance(body, bytes)
    assert body.endswith(b"\xff\xfe") == faulty


def test_choices_have_seeds_of_their_own() -> None:
    choices = whole(planned(chat("story", "[[tokens=9]]", n=3)))["choices"]
    assert len({choice["message"]["content"] for choice in choices}) == 3


def streamed(body: JSON) -> list[Any]:
    """The data of each event; the last may be [DONE]."""
    found = b"".join(step for step in planned({**body, "stream": True}).steps if isinstance(step, bytes))
    return [each if each == b"[DONE]" else msgspec.json.decode(each) for each in events(found)]


def test_a_told_refusal_is_one_in_the_message() -> None:
    body = chat("echo", "[[refuse]] no")
    choice = whole(planned(body))["choices"][0]
    assert (choice["message"]["content"], choice["message"]["refusal"]) == (None, REFUSAL)
    assert choice["finish_reason"] == "stop"
    *chunks, last, done = streamed(body)
    said = [chunk["choices"][0]["delta"].get("refusal") or "" for chunk in chunks]
    assert ("".join(said), last["choices"][0]["finish_reason"], done) == (REFUSAL, "stop", b"[DONE]")
    assert all(not chunk["choices"][0]["delta"].get("content") for chunk in chunks)


def test_redacted_reasoning_is_sealed_and_asked_back() -> None:
    body = chat("think", "[[redacted]] Why?")
    message = whole(planned(body))["choices"][0]["message"]
    (detail,) = message["reasoning_details"]
    assert detail["type"] == "reasoning.encrypted"
    assert "reasoning_content" not in message
    assert [chunk["choices"][0]["delta"] for chunk in streamed(body)[1:2]] == [{"reasoning_details": [detail]}]
    body["messages"] += [message, {"role": "user", "content": "And now?"}]
    assert planned(body).status == 200
    detail["data"] = "x" + detail["data"]
    refused = planned(body)
    assert (refused.status, whole(refused)["error"]["param"]) == (400, "messages[1].reasoning_details[0].data")


def test_a_told_error_ends_the_stream_and_is_all_of_a_whole_answer() -> None:
    found = streamed(chat("faulty", "[[error_after=3]] x"))
    assert len(found) == 5, "the role and three tokens"
    assert set(found[-1]["error"]) == {"message", "type", "param", "code"}
    assert planned(chat("faulty", "[[error_after=3]] x")).status == 500
    assert planned(chat("faulty", "[[error_after=21]] x")).status == 200


def test_cached_tokens_can_be_told() -> None:
    usage = whole(planned(chat("echo", "[[cached=3]] a b c d")))["usage"]
    assert (usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]) == (4, 3)
    usage = whole(planned(chat("echo", "[[cached=9]] a b c d")))["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 4
