"""What the tests of this room share: who is to answer, requests, streams put together and taken apart."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Any

import msgspec

from tests.translation import strategies
from trunkline.errors import InvalidRequest, UpstreamError, UpstreamFailed
from trunkline.translation.bedrock_converse.request import write_request
from trunkline.translation.bedrock_converse.translator import TRANSLATOR
from trunkline.translation.collect import Collector
from trunkline.translation.exchange import Answer, Event, ReasoningAsked, Request, Text, Turn
from trunkline.translation.losses import Losses
from trunkline.translation.target import Target
from trunkline.wire import bedrock_converse, eventstream
from trunkline.wire.provider_errors import ErrorFacts

CORPUS = Path(__file__).parents[2] / "corpus" / "bedrock_converse"
PROVIDER = "made-by"
CLAUDE = Target(provider_id=PROVIDER, model_id="aws/claude", upstream="eu.anthropic.claude-sonnet-4-5-20250929-v1:0")
LLAMA = Target(provider_id=PROVIDER, model_id="aws/llama", upstream="us.meta.llama3-3-70b-instruct-v1:0")
NOVA = Target(provider_id=PROVIDER, model_id="aws/nova", upstream="us.amazon.nova-2-lite-v1:0")
SHOWN = ReasoningAsked(shown=True, state_wanted=True)
ASKED = Request(protocol="bedrock_converse", model="m", turns=[], reasoning=SHOWN)
SAYABLE = strategies.Scope(
    protocol="bedrock_converse",
    media=("image", "document", "audio", "video"),
    media_sources=("data",),
    media_in_results=True,
    errors_in_results=True,
    custom_tools=False,
    names=False,
    refusals=False,
    choices=1,
    stops=("end", "length", "filter"),
    state_origin=PROVIDER,
    media_in_answers=("image",),
)


class ToldLosses(Losses):
    """Losses that remember under which neutral name each was told."""

    __slots__ = ("told",)

    def __init__(self) -> None:
        super().__init__("aws/claude", {})
        self.told: set[tuple[str, str]] = set()

    def _lost(self, name: str, how: str, why: str) -> None:
        self.told.add((name, how))
        super()._lost(name, how, why)

    def refused(self, name: str, sentence: str) -> InvalidRequest:
        self.told.add((name, "refused"))
        return super().refused(name, sentence)


def target(to: Target = CLAUDE, **more: Any) -> Target:
    return msgspec.structs.replace(to, **more)


def request(*turns: Turn, **more: Any) -> Request:
    """A chat caller's; with one question when nothing is given."""
    asked = list(turns) or [Turn(role="user", parts=[Text(text="Hi")])]
    return Request(**{"protocol": "openai_chat", "model": "m", "turns": asked, **more})


def written(asked: Request, to: Target = CLAUDE, losses: Losses | None = None) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(write_request(asked, to, losses or Losses(to.model_id, {})))
    return body


def read(**body: Any) -> Request:
    """What a caller of this protocol asks; a question is filled in."""
    asked = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}], **body}
    return TRANSLATOR.read_request(bedrock_converse.read_request(msgspec.json.encode(asked), "m", stream=False))


def said(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed(facts.message, status=facts.status, code=facts.code)


def read_stream(pieces: list[bytes], to: Target = CLAUDE) -> list[Event]:
    reader = TRANSLATOR.reader(to, said)
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events + reader.end()


def collected(events: list[Event]) -> Answer:
    collector = Collector()
    collector.take(events)
    return collector.answer()


def recorded(name: str) -> bytes:
    """A stream of the corpus: a line for each message, its name and what it holds; `raw` is sent as it is."""
    pieces = []
    for line in (CORPUS / f"{name}.events.jsonl").read_bytes().splitlines():
        kind, payload = msgspec.json.decode(line, type=tuple[str, msgspec.Raw])
        if kind == "raw":
            pieces.append(b64decode(msgspec.json.decode(payload)))
        elif kind.endswith("Exception"):
            headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
            pieces.append(eventstream.write(headers, bytes(payload)))
        else:
            pieces.append(bedrock_converse.event(kind, bytes(payload)))
    return b"".join(pieces)


def messages_in(stream: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Each message's kind and what it holds."""
    return [
        (message.text(":event-type"), msgspec.json.decode(message.payload))
        for message in eventstream.Reader().feed(stream)
    ]
