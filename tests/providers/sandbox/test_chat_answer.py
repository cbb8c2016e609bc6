from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.providers.sandbox.exchange import JSON, chat, chunks, events
from trunkline import clock
from trunkline.providers.sandbox import chat_answer, chat_request
from trunkline.providers.sandbox.chat_request import ChatAsk
from trunkline.providers.sandbox.reply import Answer, Bounds, Call, Reply, cut_to_size
from trunkline.providers.sandbox.response import Cut, Step, Wait
from trunkline.providers.sandbox.signatures import is_signed

TEXT = cut_to_size(Reply(text="one two"), Bounds())
CALLS = cut_to_size(Reply(calls=[Call("f", '{"a": 1}'), Call("g", "{}")]), Bounds())
THOUGHT = cut_to_size(Reply(reasoning="hm hm", text="yes"), Bounds())


def asked(text: str = "hi there", model: str = "echo", **more: Any) -> ChatAsk:
    return chat_request.read(msgspec.json.encode(chat(model, text, **more)))


def whole(ask: ChatAsk, *answers: Answer) -> JSON:
    body = chat_answer.whole(ask, list(answers))
    ChatCompletion.model_validate_json(body, strict=False)
    found: JSON = msgspec.json.decode(body)
    return found


def steps(ask: ChatAsk, *answers: Answer) -> list[Step]:
    return list(chat_answer.events(ask, list(answers)))


def stream(ask: ChatAsk, *answers: Answer) -> list[JSON]:
    found = chunks(b"".join(step for step in steps(ask, *answers) if isinstance(step, bytes)))
    for each in found:
        ChatCompletionChunk.model_validate(each)
    return found


def deltas(ask: ChatAsk, *answers: Answer) -> list[JSON]:
    return [choice["delta"] for chunk in stream(ask, *answers) for choice in chunk["choices"]]


def test_a_whole_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_s", lambda: 1_790_000_000.9)
    found = whole(asked(), TEXT)
    assert found.pop("id").startswith("chatcmpl-")
    assert found == {
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "echo",
        "system_fingerprint": "fp_sandbox",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "one two", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 2,
            "completion_tokens": 2,
            "total_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }


def test_a_stream_of_text() -> None:
    found = stream(asked(), TEXT)
    assert [set(chunk) for chunk in found] == [
        {"id", "object", "created", "model", "choices", "system_fingerprint"},
    ] * 4
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in found}) == 1
    assert [chunk["choices"] for chunk in found] == [
        [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        for delta, finish in (
            ({"role": "assistant", "content": "", "refusal": None}, None),
            ({"content": "one"}, None),
            ({"content": " two"}, None),
            ({}, "stop"),
        )
    ]


def test_usage_comes_when_asked_in_a_chunk_of_its_own() -> None:
    *parts, last = stream(asked(stream_options={"include_usage": True}), TEXT)
    assert all(part["usage"] is None for part in parts)
    assert last["choices"] == []
    assert last["usage"] == whole(asked(), TEXT)["usage"]
    assert all("usage" not in part for part in stream(asked(stream_options={"include_usage": False}), TEXT))


def test_calls_begin_in_the_role_chunk_and_come_in_fragments() -> None:
    first, *rest, last = deltas(asked(), CALLS)
    (opening,) = first.pop("tool_calls")
    assert first == {"role": "assistant", "content": None, "refusal": None}
    assert opening.pop("id").startswith("call_")
    assert opening == {"index": 0, "type": "function", "function": {"name": "f", "arguments": ""}}
    calls = [delta["tool_calls"][0] for delta in rest]
    assert calls[:2] == [{"index": 0, "function": {"arguments": part}} for part in ('{"a":', " 1}")]
    assert (calls[2]["index"], calls[2]["function"]) == (1, {"name": "g", "arguments": ""})
    assert calls[3] == {"index": 1, "function": {"arguments": "{}"}}
    assert last == {}


def test_whole_calls() -> None:
    choice = whole(asked(), CALLS)["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert [call["function"] for call in choice["message"]["tool_calls"]] == [
        {"name": "f", "arguments": '{"a": 1}'},
        {"name": "g", "arguments": "{}"},
    ]
    assert len({call["id"] for call in choice["message"]["tool_calls"]}) == 2


def test_functions() -> None:
    ask = asked(functions=[{"name": "f"}])
    choice = whole(ask, CALLS)["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a": 1}'}
    assert "tool_calls" not in choice["message"]
    first, *rest, _ = deltas(ask, CALLS)
    assert first["function_call"] == {"name": "f", "arguments": ""}
    assert [delta["function_call"] for delta in rest] == [{"arguments": '{"a":'}, {"arguments": " 1}"}]


def test_reasoning_comes_before_the_text_and_is_signed() -> None:
    message = whole(asked(), THOUGHT)["choices"][0]["message"]
    (detail,) = message["reasoning_details"]
    assert message["reasoning_content"] == detail["text"] == "hm hm"
    assert is_signed("hm hm", detail["signature"])
    _, *rest, _ = deltas(asked(), THOUGHT)
    assert [delta.get("reasoning_content") for delta in rest] == ["hm", " hm", None, None]
    assert [delta["reasoning_details"][0]["text"] for delta in rest[:3]] == ["hm", " hm", ""]
    assert rest[2]["reasoning_details"][0]["signature"] == detail["signature"]
    assert rest[3] == {"content": "yes"}


def test_logprobs_go_with_their_tokens() -> None:
    ask = asked(logprobs=True, top_logprobs=2)
    content = whole(ask, TEXT)["choices"][0]["logprobs"]["content"]
    assert [each["token"] for each in content] == ["one", " two"]
    streamed = [chunk["choices"][0]["logprobs"] for chunk in stream(ask, TEXT)]
    assert streamed == [None, *({"content": [each], "refusal": None} for each in content), None]


def test_choices_take_turns_and_usage_adds_up() -> None:
    longer = cut_to_size(Reply(text="a b c d"), Bounds())
    found = stream(asked(n=2, stream_options={"include_usage": True}), TEXT, longer)
    assert [chunk["choices"][0]["index"] for chunk in found[:-1]] == [0, 1, 0, 1, 0, 1, 0, 1, 1, 1]
    assert found[-1]["usage"]["completion_tokens"] == 6
    assert [choice["index"] for choice in whole(asked(n=2), TEXT, longer)["choices"]] == [0, 1]


def places(block: str, tokens: int = 3) -> list[str]:
    """The stream as letters: r(ole), t(oken), f(inish), u(sage), D(one), W(ait), X (cut), G(arbled)."""
    ask = asked(f"[[{block}]] x", model="faulty", stream_options={"include_usage": True})
    answer = cut_to_size(Reply(text=" ".join("abcdefgh"[:tokens])), Bounds())
    letters = []
    for step in steps(ask, answer):
        if isinstance(step, Wait | Cut):
            letters.append("W" if isinstance(step, Wait) else "X")
        elif step in (chat_answer.DONE, chat_answer.GARBLED):
            letters.append("D" if step == chat_answer.DONE else "G")
        else:
            (data,) = events(step)
            choices = msgspec.json.decode(data)["choices"]
            delta = choices[0]["delta"] if choices else {}
            letters.append("r" if "role" in delta else "t" if delta else "f" if choices else "u")
    return letters


@pytest.mark.parametrize(
    ("block", "letters"),
    [
        ("seed=1", "rtttfuD"),
        ("delay_ms=5", "rtWtWtWfuD"),
        ("stall_after=0 stall_ms=5", "WrtttfuD"),
        ("stall_after=2 stall_ms=5", "rttWtfuD"),
        ("stall_after=3 stall_ms=5", "rtttWfuD"),
        ("stall_after=4 stall_ms=5", "rtttfuD"),
        ("cut_after=0", "XrtttfuD"),
        ("cut_after=1", "rtXttfuD"),
        ("cut_after=3", "rtttXfuD"),
        ("garble_after=0", "GrtttfuD"),
        ("garble_after=2", "rttGtfuD"),
        ("stall_after=2 stall_ms=5 garble_after=2 cut_after=2", "rttWGXtfuD"),
        ("no_usage", "rtttfD"),
        ("no_done", "rtttfu"),
        ("no_usage no_done", "rtttf"),
    ],
)
def test_faults_stand_where_they_were_told(block: str, letters: str) -> None:
    assert "".join(places(block)) == letters


def test_a_garbled_event_is_neither_text_nor_json() -> None:
    (data,) = events(chat_answer.GARBLED)
    with pytest.raises(UnicodeDecodeError):
        data.decode()
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(data.replace(b"\xff\xfe", b""))


def test_without_usage_a_whole_answer_has_none() -> None:
    assert "usage" not in whole(asked("[[no_usage]]", model="faulty"), TEXT)
