from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openai.types.responses import Response

from tests.providers.sandbox.exchange import JSON
from trunkline import clock
from trunkline.providers.sandbox import responses_answer, responses_request
from trunkline.providers.sandbox.reply import Answer, Bounds, Call, Reply, cut_to_size
from trunkline.providers.sandbox.responses_input import reasoning_of
from trunkline.providers.sandbox.responses_request import ResponsesAsk

TEXT = cut_to_size(Reply(text="one two"), Bounds())
CALLS = cut_to_size(Reply(reasoning="hm. hm hm", calls=[Call("f", '{"a": 1}'), Call("c", "x y")]), Bounds())
SEALED = ["reasoning.encrypted_content"]


def asked(given: str = "hi there", model: str = "echo", /, **more: Any) -> ResponsesAsk:
    return responses_request.read(msgspec.json.encode({"model": model, "input": given, **more}))


def whole(ask: ResponsesAsk, answer: Answer) -> JSON:
    body = responses_answer.whole(ask, answer)
    Response.model_validate_json(body, strict=False)
    found: JSON = msgspec.json.decode(body)
    return found


def test_a_whole_answer_says_the_request_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_s", lambda: 1_790_000_000.9)
    found = whole(asked(), TEXT)
    assert found.pop("id").startswith("resp_")
    assert found["output"][0].pop("id").startswith("msg_")
    assert found == {
        "object": "response",
        "created_at": 1_790_000_000,
        "status": "completed",
        "background": False,
        "completed_at": 1_790_000_000,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": "echo",
        "output": [
            {
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "one two", "annotations": [], "logprobs": []}],
            }
        ],
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 2,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 4,
        },
        "metadata": {},
    }


def test_what_was_asked_for_is_said_back() -> None:
    given: JSON = {
        "instructions": "be kind",
        "max_output_tokens": 99,
        "max_tool_calls": 3,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "reasoning": {"effort": "low", "summary": "auto"},
        "safety_identifier": "s",
        "store": False,
        "temperature": 0.0,
        "text": {
            "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": None},
            "verbosity": "low",
        },
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"x": [1]}, "strict": False}],
        "top_logprobs": 2,
        "top_p": 0.0,
        "truncation": "auto",
        "user": "u",
    }
    found = whole(asked(**given), TEXT)
    assert {name: found[name] for name in given} == given


def test_tools_are_said_back_with_their_defaults() -> None:
    tools = [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}]
    assert whole(asked(tools=tools), TEXT)["tools"] == [
        {"type": "function", "name": "f", "description": None, "parameters": None, "strict": True},
        {"type": "custom", "name": "c", "description": None, "format": {"type": "text"}},
    ]


def test_reasoning_shows_what_was_asked_for_and_no_more() -> None:
    def reasoning(*given: str, **more: Any) -> JSON:
        found: JSON = whole(asked(*given, **more), CALLS)["output"][0]
        assert (found.pop("type"), found.pop("id")[:3]) == ("reasoning", "rs_")
        return found

    assert reasoning() == {"summary": []}
    assert reasoning(reasoning={"summary": "auto"}) == {"summary": [{"type": "summary_text", "text": "hm. hm hm"}]}
    detailed = reasoning(reasoning={"summary": "detailed"}, include=SEALED)
    assert [part["text"] for part in detailed["summary"]] == ["hm.", "hm hm"]
    assert isinstance(detailed["encrypted_content"], str)
    assert reasoning("[[redacted]] x", "think", reasoning={"summary": "auto"}) == {"summary": []}


def test_calls_have_two_ids_and_say_which_reasoning_they_need() -> None:
    custom = [{"type": "custom", "name": "c"}]
    reasoning, call, other = whole(asked(tools=custom, include=SEALED), CALLS)["output"]
    assert reasoning_of(call["id"]) == reasoning["id"]
    assert call["call_id"].startswith("call_")
    assert call["call_id"] != other["call_id"]
    assert {name: call[name] for name in ("type", "name", "arguments", "status")} == {
        "type": "function_call",
        "name": "f",
        "arguments": '{"a": 1}',
        "status": "completed",
    }
    assert (other["type"], other["name"], other["input"]) == ("custom_tool_call", "c", "x y")
    assert other["id"].startswith("ctc_")
    unsealed = whole(asked(tools=custom), CALLS)["output"]
    assert reasoning_of(unsealed[1]["id"]) is None


@pytest.mark.parametrize(
    ("reply", "kinds"),
    [
        (Reply(text="a b c d"), ["message"]),
        (Reply(reasoning="a b c d", text="e"), ["reasoning"]),
        (Reply(calls=[Call("f", "a b c d")]), ["function_call"]),
    ],
)
def test_what_the_limit_cuts_is_incomplete(reply: Reply, kinds: list[str]) -> None:
    found = whole(asked(), cut_to_size(reply, Bounds(tokens=3)))
    assert (found["status"], found["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert found["completed_at"] is None
    assert [item["type"] for item in found["output"]] == kinds
    assert found["output"][-1].get("status", "incomplete") == "incomplete"


def test_a_refusal_is_a_part_of_its_own_kind() -> None:
    (item,) = whole(asked("[[refuse]] x"), TEXT)["output"]
    assert item["content"] == [{"type": "refusal", "refusal": "one two"}]


def test_logprobs_when_included() -> None:
    found = whole(asked(include=["message.output_text.logprobs"], top_logprobs=2), TEXT)
    logprobs = found["output"][0]["content"][0]["logprobs"]
    assert [each["token"] for each in logprobs] == ["one", " two"]
    assert [len(each["top_logprobs"]) for each in logprobs] == [2, 2]


def test_usage_as_told() -> None:
    cached = whole(asked("[[cached=1]] hi there"), TEXT)["usage"]
    assert (cached["input_tokens"], cached["input_tokens_details"]["cached_tokens"]) == (2, 1)
    assert whole(asked("[[no_usage]] x", "faulty"), TEXT)["usage"] is None


def test_a_failed_answer() -> None:
    response = responses_answer.begun(asked())
    responses_answer.fail(response)
    found = Response.model_validate(msgspec.to_builtins(response))
    assert (found.status, found.output) == ("failed", [])
    assert found.error is not None
    assert found.error.code == "server_error"
