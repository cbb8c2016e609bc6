"""What the tests of this room share: who is to answer, requests, and answers as Ollama gives them, whole and in a
stream."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from tests.translation import strategies
from trunkline.errors import InvalidRequest, UpstreamError, UpstreamFailed
from trunkline.translation.collect import Collector
from trunkline.translation.exchange import (
    Answer,
    CallBegan,
    Event,
    Finished,
    Reasoning,
    ReasoningDelta,
    Request,
    Text,
    TextDelta,
    ToolCall,
    Turn,
)
from trunkline.translation.losses import Losses
from trunkline.translation.ollama_chat.request import write_request
from trunkline.translation.ollama_chat.translator import TRANSLATOR
from trunkline.translation.target import Target
from trunkline.wire.provider_errors import ErrorFacts

CORPUS = Path(__file__).parents[2] / "corpus" / "ollama_chat"
PROVIDER = "made-by"
TARGET = Target(provider_id=PROVIDER, model_id="ollama/qwen3", upstream="qwen3:8b")
SAYABLE = strategies.Scope(
    media=("image",),
    media_sources=("data",),
    custom_tools=False,
    names=False,
    cache=False,
    refusals=False,
    state=False,
    choices=1,
    stops=("end", "length"),
)


class ToldLosses(Losses):
    """Losses that remember under which neutral name each was told."""

    __slots__ = ("told",)

    def __init__(self) -> None:
        super().__init__("ollama/qwen3", {})
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


def _function(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "function": {"index": 0, "name": call.name, "arguments": Raw(call.arguments.encode())}}


def _line(answer: Answer, message: dict[str, Any], **more: Any) -> bytes:
    head = {"model": answer.model, "created_at": created_at(answer)}
    return msgspec.json.encode({**head, "message": {"role": "assistant", **message}, "done": False, **more})


def created_at(answer: Answer) -> str:
    return datetime.fromtimestamp(answer.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")


def _last(answer: Answer) -> dict[str, Any]:
    """Counts of 0 are left out, as Ollama does."""
    choice, usage = answer.choices[0], answer.usage
    assert usage is not None
    counts = {
        "prompt_eval_count": usage.input_tokens,
        "eval_count": usage.output_tokens,
        "total_duration": 4_935_886_791,
    }
    counts["prompt_eval_cached_count"] = usage.cached_input_tokens
    told = {name: count for name, count in counts.items() if count}
    return {"done": True, "done_reason": "length" if choice.stop == "length" else "stop", **told}


def whole_of(answer: Answer) -> bytes:
    """As Ollama answers without a stream."""
    parts = answer.choices[0].parts
    message: dict[str, Any] = {"content": "".join(part.text for part in parts if isinstance(part, Text))}
    if thoughts := [part.text for part in parts if isinstance(part, Reasoning)]:
        message["thinking"] = "".join(thoughts)
    if calls := [_function(part) for part in parts if isinstance(part, ToolCall)]:
        message["tool_calls"] = calls
    return _line(answer, message, **_last(answer))


def stream_of(answer: Answer, events: list[Event]) -> bytes:
    """As Ollama streams it: a call comes whole, where it began."""
    out: list[bytes] = []
    parts = answer.choices[0].parts
    for told in events:
        if isinstance(told, TextDelta):
            out.append(_line(answer, {"content": told.text}))
        elif isinstance(told, ReasoningDelta):
            out.append(_line(answer, {"content": "", "thinking": told.text}))
        elif isinstance(told, CallBegan):
            call = parts[told.part]
            assert isinstance(call, ToolCall)
            out.append(_line(answer, {"content": "", "tool_calls": [_function(call)]}))
        elif isinstance(told, Finished):
            out.append(_line(answer, {"content": ""}, **_last(answer)))
    return b"".join(line + b"\n" for line in out)
