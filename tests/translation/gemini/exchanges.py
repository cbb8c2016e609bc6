"""What the tests of this room share: targets, and the ways into it and out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from trunkline.errors import UpstreamError, UpstreamFailed
from trunkline.translation.collect import Collector
from trunkline.translation.exchange import Answer, Event, Request
from trunkline.translation.gemini.translator import TRANSLATOR
from trunkline.translation.losses import Losses
from trunkline.translation.target import Target
from trunkline.wire import gemini
from trunkline.wire.provider_errors import ErrorFacts

CORPUS = Path(__file__).parents[2] / "corpus" / "gemini"
GEMINI_3 = Target(
    provider_id="google", model_id="google/gemini-3-flash", upstream="gemini-3-flash-preview", thinking="effort"
)
GEMINI_25 = Target(
    provider_id="google", model_id="google/gemini-2.5-flash", upstream="gemini-2.5-flash", thinking="budget"
)
VERTEX = msgspec.structs.replace(
    GEMINI_3, provider_id="vertex", model_id="vertex/gemini-3-flash", drops=("tool_calls.id",)
)


def said(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed(facts.message, status=facts.status)


def asked(**body: Any) -> Request:
    """A caller's request; without contents it says Hi."""
    whole = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], **body}
    return TRANSLATOR.read_request(gemini.read_request(msgspec.json.encode(whole), "m"))


def sent(request: Request, target: Target = GEMINI_3, losses: Losses | None = None) -> dict[str, Any]:
    """The body for a provider."""
    losses = losses or Losses(target.model_id, request.names)
    body: dict[str, Any] = msgspec.json.decode(TRANSLATOR.write_request(request, target, losses))
    return body


def warnings_of(request: Request, target: Target = GEMINI_3) -> list[str]:
    losses = Losses(target.model_id, request.names)
    sent(request, target, losses)
    return losses.warnings


def read_stream(pieces: list[bytes], target: Target = GEMINI_3) -> list[Event]:
    reader = TRANSLATOR.reader(target, said)
    return [event for piece in pieces for event in reader.feed(piece)] + reader.end()


def collected(events: list[Event]) -> Answer:
    collector = Collector()
    collector.take(events)
    return collector.answer()


def answered(*parts: dict[str, Any], **candidate: Any) -> Answer:
    """A provider's whole answer of one candidate."""
    content = {"role": "model", **({"parts": list(parts)} if parts else {})}
    body = {"candidates": [{"content": content, "finishReason": "STOP", **candidate}], "responseId": "r"}
    return TRANSLATOR.read_answer(msgspec.json.encode(body), GEMINI_3)
