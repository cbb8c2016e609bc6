"""Bodies for providers, read back into the neutral form.

Most rooms read their own protocol's requests. Those of Cohere's and Ollama's own chats only write them, so theirs are
put into a chat body's words here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tests.pairs.rooms import translator
from trunkline.translation.exchange import Request
from trunkline.wire import anthropic_messages, bedrock_converse, gemini, openai_chat, openai_responses
from trunkline.wire.inbound import Inbound

JSON = dict[str, Any]


def _cohere(body: bytes, stream: bool) -> Inbound:
    said: JSON = msgspec.json.decode(body)
    chat: JSON = {
        "model": said["model"],
        "stream": stream,
        "messages": [_cohere_message(one) for one in said["messages"]],
    }
    same = ("max_tokens", "temperature", "frequency_penalty", "presence_penalty", "seed", "logprobs", "tools")
    chat |= {name: said[name] for name in same if name in said}
    renamed = {"p": "top_p", "k": "top_k", "stop_sequences": "stop"}
    chat |= {name: said[own] for own, name in renamed.items() if own in said}
    if "tool_choice" in said:
        chat["tool_choice"] = said["tool_choice"].lower()
    for tool in chat.get("tools", ()):
        tool["function"]["strict"] = said.get("strict_tools", False)
    chat |= _form(said.get("response_format", {}).get("json_schema"), "response_format" in said)
    if said.get("thinking", {}).get("type") == "enabled":
        chat["reasoning_effort"] = "medium"
    return openai_chat.read_request(msgspec.json.encode(chat))


def _cohere_message(message: JSON) -> JSON:
    content = message.get("content")
    if isinstance(content, list):
        content = [part for part in content if part["type"] != "thinking"]
    plan = message.pop("tool_plan", None)
    return {**message, "content": plan if plan is not None else content}


def _form(schema: Any, asked: bool) -> JSON:
    if not asked:
        return {}
    if schema is None:
        return {"response_format": {"type": "json_object"}}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "form", "schema": schema}}}


def _ollama(body: bytes, stream: bool) -> Inbound:
    said: JSON = msgspec.json.decode(body)
    assert said["stream"] is stream
    chat: JSON = {
        "model": said["model"],
        "stream": stream,
        "messages": [_ollama_message(one) for one in said["messages"]],
    }
    chat |= {name: said[name] for name in ("tools", "logprobs", "top_logprobs") if name in said}
    options = said.get("options", {})
    chat |= {{"num_predict": "max_tokens"}.get(name, name): value for name, value in options.items()}
    if "format" in said:
        chat |= _form(None if said["format"] == "json" else said["format"], True)
    if said.get("think"):
        chat["reasoning_effort"] = "medium"
    return openai_chat.read_request(msgspec.json.encode(chat))


def _ollama_message(message: JSON) -> JSON:
    message.pop("thinking", None)
    message.pop("tool_name", None)
    images: list[str] = message.pop("images", [])
    text = message["content"]
    if images:
        shown = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}} for data in images]
        message["content"] = [{"type": "text", "text": text}, *shown]
    for call in message.get("tool_calls", ()):
        function = call["function"]
        function["arguments"] = msgspec.json.encode(function["arguments"]).decode()
        call["type"] = "function"
    return message


_READ: dict[str, tuple[str, Callable[[bytes, bool], Inbound]]] = {
    "openai_chat": ("openai_chat", lambda body, stream: openai_chat.read_request(body)),
    "anthropic_messages": ("anthropic_messages", lambda body, stream: anthropic_messages.read_request(body)),
    "openai_responses": ("openai_responses", lambda body, stream: openai_responses.read_request(body)),
    "gemini": ("gemini", lambda body, stream: gemini.read_request(body, "thinker", stream=stream)),
    "bedrock_converse": (
        "bedrock_converse",
        lambda body, stream: bedrock_converse.read_request(body, "thinker", stream=stream),
    ),
    "cohere_chat": ("openai_chat", _cohere),
    "ollama_chat": ("openai_chat", _ollama),
}


def read_back(protocol: str, body: bytes, *, stream: bool) -> Request:
    """`stream`: the path said it, in protocols whose body does not."""
    room, read = _READ[protocol]
    return translator(room).read_request(read(body, stream))
