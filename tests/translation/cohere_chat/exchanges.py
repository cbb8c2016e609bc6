"""What the tests of this room share: who is to answer, requests, and answers as Cohere gives them, whole and in a
stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from tests.translation import strategies
from trunkline.errors import InvalidRequest, UpstreamError, UpstreamFailed
from trunkline.translation.cohere_chat.request import write_request
from trunkline.translation.cohere_chat.translator import TRANSLATOR
from trunkline.translation.collect import Collector
from trunkline.translation.exchange import (
    Answer,
    ArgumentsDelta,
    Began,
    CallBegan,
    Event,
    Finished,
    Reasoning,
    ReasoningDelta,
    Request,
    Stop,
    Text,
    TextDelta,
    ToolCall,
    Turn,
)
from trunkline.translation.losses import Losses
from trunkline.translation.target import Target
from trunkline.wire.provider_errors import ErrorFacts

CORPUS = Path(__file__).parents[2] / "corpus" / "cohere_chat"
PROVIDER = "made-by"
TARGET = Target(provider_id=PROVIDER, model_id="cohere/command-a", upstream="command-a-03-2025")
SAYABLE = strategies.Scope(
    media=("image",),
    media_sources=("data", "url"),
    custom_tools=False,
    names=False,
    cache=False,
    refusals=False,
    state=False,
    choices=1,
    stops=("end", "length"),
)
REASONS: dict[Stop, str] = {"end": "COMPLETE", "length": "MAX_TOKENS", "tool": "TOOL_CALL"}


class ToldLosses(Losses):
    """Losses that remember under which neutral name each was told."""

    __slots__ = ("told",)

    def __init__(self) -> None:
        super().__init__("cohere/command-a", {})
        self.told: set[tuple[str, str]] = set()

    def _lost(self, name: str, how: str, why: str) -> None:
        self.told.add((name, how))
        super()._lost(name, how, why)

    def refused(self, name: str, sentence: str) -> InvalidRequest:
        self.told.add((name, "refused"))
        return super().refused(name, sentence)


def target(**more: Any) -> Target:
    return msgspec.structs.replace(TARGET, **more)


def request(*turns: Turn, **more: Any) -> Request:
    """A chat caller's; with one question when nothing is given."""
    asked = list(turns) or [Turn(role="user", parts=[Text(text="Hi")])]
    return Request(**{"protocol": "openai_chat", "model": "m", "turns": asked, **more})


def written(asked: Request, to: Target = TARGET, losses: Losses | None = None) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(write_request(asked, to, losses or Losses(to.model_id, {})))
    return body


def said(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed(facts.message, status=facts.status, code=facts.code)


def read_stream(pieces: list[bytes], to: Target = TARGET) -> list[Event]:
    reader = TRANSLATOR.reader(to, said)
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events + reader.end()


def collected(events: list[Event]) -> Answer:
    collector = Collector()
    collector.take(events)
    return collector.answer()


def usage_of(answer: Answer) -> dict[str, Any]:
    assert answer.usage is not None
    counts = {"input_tokens": float(answer.usage.input_tokens), "output_tokens": float(answer.usage.output_tokens)}
    return {"billed_units": counts, "tokens": {"input_tokens": 1e6, "output_tokens": 1e6}}


def whole_of(answer: Answer) -> bytes:
    """As Cohere answers without a stream. What is said before calls is their plan."""
    choice = answer.choices[0]
    calls = [part for part in choice.parts if isinstance(part, ToolCall)]
    message: dict[str, Any] = {"role": "assistant"}
    content: list[dict[str, str]] = []
    for part in choice.parts:
        if isinstance(part, Reasoning):
            content.append({"type": "thinking", "thinking": part.text})
        elif isinstance(part, Text) and calls:
            message["tool_plan"] = part.text
        elif isinstance(part, Text):
            content.append({"type": "text", "text": part.text})
    if content:
        message["content"] = content
    if calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    reason = REASONS[choice.stop]
    return msgspec.json.encode(
        {"id": answer.id, "finish_reason": reason, "message": message, "usage": usage_of(answer)}
    )


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **fields}))


def _in_message(**message: Any) -> dict[str, Any]:
    return {"message": message}


def stream_of(answer: Answer, events: list[Event]) -> bytes:
    """As Cohere streams it: contents and calls have numbers of their own."""
    out: list[bytes] = []
    parts = answer.choices[0].parts
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    calls = {at: number for number, at in enumerate(at for at, part in enumerate(parts) if isinstance(part, ToolCall))}
    begun: set[int] = set()
    for told in events:
        if isinstance(told, Began):
            out.append(event("message-start", id=told.id, delta=_in_message(role="assistant", content=[])))
        elif isinstance(told, TextDelta) and has_calls:
            out.append(event("tool-plan-delta", delta=_in_message(tool_plan=told.text)))
        elif isinstance(told, TextDelta | ReasoningDelta):
            name = "text" if isinstance(told, TextDelta) else "thinking"
            if told.part not in begun:
                begun.add(told.part)
                start = {"type": name, name: ""}
                out.append(event("content-start", index=told.part, delta=_in_message(content=start)))
            out.append(event("content-delta", index=told.part, delta=_in_message(content={name: told.text})))
        elif isinstance(told, CallBegan):
            call = {"id": told.id, "type": "function", "function": {"name": told.name, "arguments": ""}}
            out.append(event("tool-call-start", index=calls[told.part], delta=_in_message(tool_calls=call)))
        elif isinstance(told, ArgumentsDelta):
            piece = {"function": {"arguments": told.text}}
            out.append(event("tool-call-delta", index=calls[told.part], delta=_in_message(tool_calls=piece)))
        elif isinstance(told, Finished):
            out += [event("content-end", index=at) for at in sorted(begun)]
            out += [event("tool-call-end", index=number) for number in calls.values()]
            delta = {"finish_reason": REASONS[told.stop], "usage": usage_of(answer)}
            out.append(event("message-end", id=answer.id, delta=delta))
    return b"".join(out)
