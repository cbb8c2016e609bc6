"""A model that leads a coding client through a task, in three protocols: one tool a step, whose result it reads.

What it says is written as each vendor writes it: calls arrive as a stream, with thinking and its signature where the
vendor has one, and the next request must bring both back.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.acceptance.scripted import DONE, Exchange, chunk, event

THOUGHT = "One step at a time."
SIGNATURE = "c2lnbmVkIGJ5IHRoZSBsZWFkZXI="


@dataclass(frozen=True)
class Step:
    tool: str
    arguments: dict[str, Any]
    brings: str
    """What the tool's result must have in it."""


@dataclass
class Task:
    """`seen` are the results that came back, in order; `wrong` says what should not have been."""

    steps: list[Step]
    last_words: str
    seen: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, tools: list[str], results: list[str]) -> Step | None:
        """The step that is due; None: all is done, or this is no request about the task."""
        with self.lock:
            if not tools:
                return None  # a client also asks for a title, without tools
            done = len(results)
            for result, step in zip(results[len(self.seen) :], self.steps[len(self.seen) :], strict=False):
                self.seen.append(result)
                if step.brings not in result:
                    self.wrong.append(f"{step.tool} brought {result[:200]!r}, without {step.brings!r}")
            if done >= len(self.steps):
                return None
            step = self.steps[done]
            if step.tool not in tools:
                self.wrong.append(f"{step.tool} is not among {', '.join(tools)}")
                return None
            return step

    def miss(self, what: str) -> None:
        with self.lock:
            self.wrong.append(what)


Speaker = Callable[[Exchange, Task], None]


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content or [] if isinstance(part, dict))


def chat(exchange: Exchange, task: Task) -> None:
    """Chat Completions. No signatures here: there is nothing to bring back."""
    asked = json.loads(exchange.body)
    tools = [tool["function"]["name"] for tool in asked.get("tools", [])]
    results = [_text_of(turn["content"]) for turn in asked["messages"] if turn["role"] == "tool"]
    step = task.next(tools, results)
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    if step is None:
        exchange.stream(
            chunk({"role": "assistant", "content": task.last_words}),
            chunk({}, "stop"),
            chunk(None, usage=usage),
            DONE,
        )
        return
    head = {"index": 0, "id": f"call_{len(results)}", "type": "function"}
    exchange.stream(
        chunk({"role": "assistant", "content": None}),
        chunk({"tool_calls": [{**head, "function": {"name": step.tool, "arguments": ""}}]}),
        *(chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in _pieces(step)),
        chunk({}, "tool_calls"),
        chunk(None, usage=usage),
        DONE,
    )


def _pieces(step: Step) -> Iterator[str]:
    text = json.dumps(step.arguments)
    for at in range(0, len(text), 7):
        yield text[at : at + 7]


def _named(kind: str, **data: Any) -> bytes:
    return f"event: {kind}\n".encode() + event({"type": kind, **data})


def messages(exchange: Exchange, task: Task) -> None:
    """Messages, with thinking where it was asked for: it must come back before its call, signed as it was."""
    asked = json.loads(exchange.body)
    tools = [tool["name"] for tool in asked.get("tools", []) if "name" in tool]
    blocks = [
        block for turn in asked["messages"] for block in (turn["content"] if isinstance(turn["content"], list) else [])
    ]
    results = [_text_of(block["content"]) for block in blocks if block["type"] == "tool_result"]
    thinks = asked.get("thinking", {}).get("type") in ("enabled", "adaptive")
    signed = [block.get("signature") for block in blocks if block["type"] == "thinking"]
    if thinks and results and SIGNATURE not in signed:
        task.miss("the thinking before a call did not come back")
    step = task.next(tools, results)
    start = {"id": "msg_p", "type": "message", "role": "assistant", "model": "m", "content": []}
    usage = {"input_tokens": 100, "output_tokens": 1}
    events = [_named("message_start", message={**start, "stop_reason": None, "stop_sequence": None, "usage": usage})]
    at = 0
    if thinks and step is not None:
        events += [
            _named("content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""}),
            _named("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": THOUGHT}),
            _named("content_block_delta", index=0, delta={"type": "signature_delta", "signature": SIGNATURE}),
            _named("content_block_stop", index=0),
        ]
        at = 1
    if step is None:
        block: dict[str, Any] = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": task.last_words}]
    else:
        block = {"type": "tool_use", "id": f"toolu_{len(results)}", "name": step.tool, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in _pieces(step)]
    events.append(_named("content_block_start", index=at, content_block=block))
    events += [_named("content_block_delta", index=at, delta=delta) for delta in deltas]
    reason = "end_turn" if step is None else "tool_use"
    exchange.stream(
        *events,
        _named("content_block_stop", index=at),
        _named("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 10}),
        _named("message_stop"),
    )


def gemini(exchange: Exchange, task: Task) -> None:
    """generateContent: every call bears a signature, without which it is refused when it comes back."""
    asked = json.loads(exchange.body)
    tools = [one["name"] for tool in asked.get("tools", []) for one in tool.get("functionDeclarations", [])]
    parts = [part for content in asked["contents"] for part in content.get("parts", [])]
    results = [json.dumps(part["functionResponse"]["response"]) for part in parts if "functionResponse" in part]
    for part in parts:
        if "functionCall" in part and part.get("thoughtSignature") != SIGNATURE:
            task.miss("a call came back without the signature it had")
    step = task.next(tools, results)
    if step is None:
        said: dict[str, Any] = {"text": task.last_words}
    else:
        said = {"functionCall": {"name": step.tool, "args": step.arguments}, "thoughtSignature": SIGNATURE}
    usage = {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 110}
    ends: dict[str, Any] = {"finishReason": "STOP", "index": 0, "content": {"role": "model", "parts": [{"text": ""}]}}
    began: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": [said]}}
    more = {"usageMetadata": usage, "modelVersion": "m", "responseId": "p"}
    exchange.stream(event({"candidates": [began], **more}), event({"candidates": [ends], **more}))


SPEAKERS: dict[str, Speaker] = {"chat": chat, "messages": messages, "gemini": gemini}
