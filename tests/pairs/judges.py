"""What the vendors' own libraries, and the laws of a protocol's stream, say of an answer to its caller.

Each gives the answer as a client holds it that goes on with it: what it was sent, or what the library's accumulator
made of a stream.
"""

from __future__ import annotations

from typing import Any

import msgspec
from openai.lib.streaming.chat._completions import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

from tests.translation.anthropic_messages import sdk
from tests.translation.openai_responses.exchanges import events_in, judged

JSON = dict[str, Any]


def chat(body: bytes) -> JSON:
    answer: JSON = msgspec.json.decode(body)
    ChatCompletion.model_validate(answer)
    assert [choice["index"] for choice in answer["choices"]] == list(range(len(answer["choices"])))
    return answer


def chat_stream(stream: bytes) -> JSON:
    payloads = _payloads(stream)
    assert payloads.pop() == b"[DONE]"
    chunks: list[JSON] = [msgspec.json.decode(payload) for payload in payloads]
    _check_chunks(chunks)
    custom = _as_functions(chunks)
    state = ChatCompletionStreamState[Any]()
    for chunk in chunks:
        list(state.handle_chunk(ChatCompletionChunk.model_validate(chunk)))
    answer: JSON = state.current_completion_snapshot.to_dict()
    for choice in answer["choices"]:
        # The library puts indices and parsed values into what it gathered; a client sends the rest of it back.
        said = choice["message"] = {name: one for name, one in choice["message"].items() if name != "parsed"}
        for at, call in enumerate(said.get("tool_calls") or ()):
            call.pop("index", None)
            call["function"].pop("parsed_arguments", None)
            if (choice["index"], at) in custom:
                function = call.pop("function")
                call |= {"type": "custom", "custom": {"name": function["name"], "input": function["arguments"]}}
    return answer


def _as_functions(chunks: list[JSON]) -> set[tuple[int, int]]:
    """The library's types of chunks know no custom tools: it is shown functions. (choice, index) of each."""
    custom: set[tuple[int, int]] = set()
    for chunk in chunks:
        for choice in chunk["choices"]:
            for call in choice["delta"].get("tool_calls", ()):
                if "custom" in call:
                    custom.add((choice["index"], call["index"]))
                    said = call.pop("custom")
                    call["function"] = {"arguments": said.pop("input"), **said}
                    if "type" in call:
                        call["type"] = "function"
    return custom


def _payloads(stream: bytes) -> list[bytes]:
    assert stream.endswith(b"\n\n")
    events = stream[:-2].split(b"\n\n")
    assert all(event.startswith(b"data: ") and b"\n" not in event and b"\r" not in event for event in events)
    return [event.removeprefix(b"data: ") for event in events]


def _check_chunks(chunks: list[JSON]) -> None:
    """One identity; of each choice the role first and the finish last; calls numbered in order of appearance."""
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    finished: set[int] = set()
    calls: dict[int, list[JSON]] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            index, delta = choice["index"], choice["delta"]
            assert index not in finished, "a delta after the finish"
            assert index in calls or delta.get("role") == "assistant"
            begun = calls.setdefault(index, [])
            for call in delta.get("tool_calls", ()):
                if call["index"] == len(begun):
                    assert call["id"], "a call begins with its id"
                    assert (call.get("function") or call["custom"])["name"]
                    begun.append(call)
                else:
                    assert "id" not in call
                    assert 0 <= call["index"] < len(begun)
            if choice["finish_reason"] is not None:
                finished.add(index)
    assert finished == set(calls)
    assert all(chunk["choices"] or chunk is chunks[-1] for chunk in chunks), "only the usage has no choice"


def messages(body: bytes) -> JSON:
    return sdk.message(body)


def messages_stream(stream: bytes) -> JSON:
    found = sdk.events(stream)
    usages = [event["usage"] for event in found if event["type"] == "message_delta"]
    for name in ("input_tokens", "output_tokens"):
        assert usages[-1][name] == max(usage[name] for usage in usages), "a usage is of all before it"
    answer = sdk.accumulated(stream)
    answer["content"] = [
        {name: value for name, value in block.items() if value is not None} for block in answer["content"]
    ]
    return answer


def responses(body: bytes) -> JSON:
    answer: JSON = msgspec.json.decode(body)
    Response.model_validate(answer)
    ids = [item["id"] for item in answer["output"]]
    assert len(set(ids)) == len(ids)
    return answer


def responses_stream(stream: bytes) -> JSON:
    """The library holds every event against its type and follows them with its accumulator."""
    events = judged(stream)
    assert events == events_in(stream)
    at: list[str] = []
    open_parts: list[int] = []
    for event in events:
        kind, index = event["type"], event.get("output_index")
        if kind == "response.output_item.added":
            assert index == len(at)
            at.append(event["item"]["id"])
            open_parts = []
        elif index is not None:
            item_id = event.get("item_id") or event.get("item", {}).get("id")
            assert at[index] == item_id, "an item keeps its id and its place"
            assert index == len(at) - 1, "items come one after another"
        if kind == "response.content_part.added":
            assert event["content_index"] == len(open_parts)
            open_parts.append(event["content_index"])
        elif "content_index" in event:
            assert event["content_index"] == open_parts[-1]
    terminal = [event for event in events if event["type"] in TERMINAL]
    assert terminal == [events[-1]]
    answer: JSON = events[-1]["response"]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert answer["output"] == done
    return answer


TERMINAL = ("response.completed", "response.incomplete", "response.failed", "error")


def gemini(body: bytes) -> JSON:
    answer: JSON = msgspec.json.decode(body)
    for at, candidate in enumerate(answer.get("candidates", ())):
        assert candidate.get("index", 0) == at
        assert candidate["finishReason"]
    return answer


def gemini_stream(stream: bytes) -> JSON:
    """Google's library hands its chunks on as they come; chats put their parts behind one another."""
    text = stream.replace(b"\r\n", b"\n")
    chunks: list[JSON] = [msgspec.json.decode(payload) for payload in _payloads(text)]
    assert len({(chunk["responseId"], chunk["modelVersion"]) for chunk in chunks}) == 1
    candidates: dict[int, JSON] = {}
    for chunk in chunks:
        for candidate in chunk.get("candidates", ()):
            index = candidate.get("index", 0)
            whole = candidates.setdefault(index, {"index": index, "content": {"role": "model", "parts": []}})
            assert "finishReason" not in whole, "a part after the finish"
            whole["content"]["parts"] += candidate.get("content", {}).get("parts", [])
            whole |= {name: value for name, value in candidate.items() if name != "content"}
    assert all("finishReason" in candidate for candidate in candidates.values())
    assert any("finishReason" in candidate for candidate in chunks[-1].get("candidates", ())), "the last one tells why"
    return {**chunks[-1], "candidates": [candidates[index] for index in sorted(candidates)]}
