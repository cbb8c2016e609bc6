"""What the tests of this room share: requests, streams taken apart, and the SDK that judges them."""

from __future__ import annotations

from typing import Any

import msgspec
from openai._models import construct_type_unchecked
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.translation import strategies
from trunkline.errors import UpstreamError, UpstreamFailed
from trunkline.translation.collect import Collector
from trunkline.translation.exchange import Answer, Event, ReasoningAsked, Request, Text, Turn
from trunkline.translation.openai_responses.asked import Asked
from trunkline.translation.openai_responses.request import read_request
from trunkline.translation.target import Target
from trunkline.wire import openai_responses
from trunkline.wire.codec import encode
from trunkline.wire.provider_errors import ErrorFacts

TARGET = Target(provider_id="made-by", model_id="maker/thinker", upstream="thinker", thinking="effort")
SCOPE = msgspec.structs.replace(
    strategies.ANYTHING, protocol="openai_responses", choices=1, text_state=False, media_in_answers=("image",)
)
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def said(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed(facts.message, status=facts.status, code=facts.code)


def asked(**fields: Any) -> Asked:
    """A request as a caller sends it."""
    body = {"model": "maker/thinker", "input": "Hello", **fields}
    return read_request(openai_responses.read_request(encode(body)))


def plain(*, shown: bool = True, state_wanted: bool = True, summary: str | None = None) -> Request:
    """A request that no body was read for."""
    reasoning = ReasoningAsked(shown=shown, state_wanted=state_wanted, summary=summary)
    return Request(
        protocol="openai_responses",
        model="maker/thinker",
        turns=[Turn(role="user", parts=[Text(text="Hello")])],
        reasoning=reasoning,
    )


def events_in(data: bytes) -> list[dict[str, Any]]:
    """The data of server-sent events that all have their type as name."""
    found = []
    for block in data.split(b"\n\n")[:-1]:
        name, _, payload = block.partition(b"\ndata: ")
        event: dict[str, Any] = msgspec.json.decode(payload)
        assert name == b"event: " + event["type"].encode()
        found.append(event)
    return found


def judged(data: bytes) -> list[dict[str, Any]]:
    """The same, each held to the SDK's type and all of them to its accumulator."""
    events = events_in(data)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    for event in events:
        EVENTS.validate_python(event)
        state.handle_event(construct_type_unchecked(type_=ResponseStreamEvent, value=event))  # type: ignore[arg-type]
    return events


def response_of(body: bytes) -> dict[str, Any]:
    """A Response object that the SDK takes, with a whole second for its time."""
    whole: dict[str, Any] = msgspec.json.decode(body)
    Response.model_validate(whole)
    assert isinstance(whole["created_at"], int)
    return whole


def collected(events: list[Event]) -> Answer:
    collector = Collector()
    collector.take(events)
    assert collector.ended
    return collector.answer()
