"""Callers of every protocol: what they ask, what their own libraries make of an answer, how they go on from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tests.pairs import judges, rooms
from trunkline.translation.exchange import Request
from trunkline.translation.translator import Translator
from trunkline.wire import anthropic_messages, gemini, openai_chat, openai_responses
from trunkline.wire.inbound import Inbound

JSON = dict[str, Any]
QUESTION = "What now?"
SCHEMA: JSON = {"type": "object", "properties": {}}


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """`asks` is a body that wants to see all there is to an answer; `goes_on` the same after an answer, with a result
    for every call in it. `whole` and `streamed` give the answer as the caller's library has it, once that library and
    the laws of the protocol have found nothing wrong with it."""

    protocol: str
    asks: Callable[[bool], JSON]
    goes_on: Callable[[JSON, JSON], JSON]
    inbound: Callable[[bytes], Inbound]
    whole: Callable[[bytes], JSON]
    streamed: Callable[[bytes], JSON]

    @property
    def translator(self) -> Translator:
        return rooms.translator(self.protocol)

    def read(self, body: JSON | bytes) -> Request:
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return self.translator.read_request(self.inbound(data))

    def next_request(self, answer: JSON, *, stream: bool = False) -> JSON:
        return self.goes_on(self.asks(stream), answer)


def _chat_asks(stream: bool) -> JSON:
    body: JSON = {"model": "m", "messages": [{"role": "user", "content": QUESTION}], "n": 2, "logprobs": True}
    return body | ({"stream": True, "stream_options": {"include_usage": True}} if stream else {})


def _chat_goes_on(body: JSON, answer: JSON) -> JSON:
    said = answer["choices"][0]["message"]
    calls = said.get("tool_calls") or []
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "done"} for call in calls]
    more = results or [{"role": "user", "content": "Go on."}]
    return {**body, "n": 1, "messages": [*body["messages"], said, *more]}


def _messages_asks(stream: bool) -> JSON:
    return {
        "model": "m",
        "max_tokens": 50_000,
        "messages": [{"role": "user", "content": QUESTION}],
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "stream": stream,
    }


def _messages_goes_on(body: JSON, answer: JSON) -> JSON:
    calls = [block["id"] for block in answer["content"] if block["type"] == "tool_use"]
    results: list[JSON] = [{"type": "tool_result", "tool_use_id": call_id, "content": "done"} for call_id in calls]
    turns: list[JSON] = [{"role": "assistant", "content": answer["content"]}] if answer["content"] else []
    more = {"role": "user", "content": results or [{"type": "text", "text": "Go on."}]}
    return {**body, "messages": [*body["messages"], *turns, more]}


def _responses_asks(stream: bool) -> JSON:
    return {
        "model": "m",
        "input": [{"role": "user", "content": QUESTION}],
        "reasoning": {"effort": "medium"},
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "store": False,
        "stream": stream,
    }


def _responses_goes_on(body: JSON, answer: JSON) -> JSON:
    results: list[JSON] = [
        {"type": f"{item['type']}_output", "call_id": item["call_id"], "output": "done"}
        for item in answer["output"]
        if item["type"] in ("function_call", "custom_tool_call")
    ]
    return {
        **body,
        "input": [*body["input"], *answer["output"], *(results or [{"role": "user", "content": "Go on."}])],
    }


def _gemini_asks(stream: bool) -> JSON:
    return {
        "contents": [{"role": "user", "parts": [{"text": QUESTION}]}],
        "generationConfig": {"thinkingConfig": {"includeThoughts": True}, "responseLogprobs": True},
    }


def _gemini_goes_on(body: JSON, answer: JSON) -> JSON:
    said = answer["candidates"][0].get("content", {})
    calls = [part["functionCall"] for part in said.get("parts", ()) if "functionCall" in part]
    results: list[JSON] = [
        {"functionResponse": {**{name: call[name] for name in ("id", "name") if name in call}, "response": {"r": 1}}}
        for call in calls
    ]
    turns = [said] if said.get("parts") else []
    return {**body, "contents": [*body["contents"], *turns, {"role": "user", "parts": results or [{"text": "Go on."}]}]}


def _gemini_inbound(body: bytes) -> Inbound:
    return gemini.read_request(body, "m")


CALLERS = {
    caller.protocol: caller
    for caller in (
        Caller(
            protocol="openai_chat",
            asks=_chat_asks,
            goes_on=_chat_goes_on,
            inbound=openai_chat.read_request,
            whole=judges.chat,
            streamed=judges.chat_stream,
        ),
        Caller(
            protocol="anthropic_messages",
            asks=_messages_asks,
            goes_on=_messages_goes_on,
            inbound=anthropic_messages.read_request,
            whole=judges.messages,
            streamed=judges.messages_stream,
        ),
        Caller(
            protocol="openai_responses",
            asks=_responses_asks,
            goes_on=_responses_goes_on,
            inbound=openai_responses.read_request,
            whole=judges.responses,
            streamed=judges.responses_stream,
        ),
        Caller(
            protocol="gemini",
            asks=_gemini_asks,
            goes_on=_gemini_goes_on,
            inbound=_gemini_inbound,
            whole=judges.gemini,
            streamed=judges.gemini_stream,
        ),
    )
}
