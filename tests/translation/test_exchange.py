"""The neutral form: values that compare, and a request that says nothing by itself."""

from __future__ import annotations

from typing import get_args

import msgspec
from hypothesis import given, settings

from tests.thoroughness import examples
from tests.translation import strategies
from trunkline.translation import exchange
from trunkline.translation.exchange import Answer, Event, Part, ReasoningAsked, Request


def test_a_request_that_says_nothing_asks_for_nothing() -> None:
    request = Request(protocol="p", model="m", turns=[])
    assert {
        name: value
        for name in request.__struct_fields__
        if (value := getattr(request, name)) and name not in ("protocol", "model")
    } == {"reasoning": ReasoningAsked(), "n": 1}
    assert not any(getattr(request.reasoning, name) for name in request.reasoning.__struct_fields__)


def test_requests_share_nothing() -> None:
    first, second = (Request(protocol="p", model="m", turns=[]) for _ in range(2))
    first.tools.append(exchange.Tool(name="f"))
    first.reasoning.shown = True
    first.stop.append("x")
    assert (second.tools, second.reasoning.shown, second.stop) == ([], False, [])
    assert exchange.Reasoning().summaries is not exchange.Reasoning().summaries


@settings(max_examples=examples(30))
@given(strategies.answers())
def test_parts_can_be_kept_as_json(answer: Answer) -> None:
    """The sidecar and stored answers rely on it. Which kind a part is must be known there."""
    for choice in answer.choices:
        for part in choice.parts:
            assert msgspec.json.decode(msgspec.json.encode(part), type=type(part)) == part


def test_the_strategies_make_every_kind_of_event_and_part() -> None:
    """So that laws over them leave none out. Opaque parts and ends of parts are a protocol's own."""
    made: set[type] = set()

    @settings(max_examples=examples(50), derandomize=True)
    @given(strategies.told(), strategies.requests())
    def look(told: tuple[Answer, list[Event]], request: Request) -> None:
        made.update(map(type, told[1]))
        made.update(type(part) for turn in request.turns for part in turn.parts)

    look()
    assert made == {*get_args(Event), *get_args(Part)} - {exchange.PartEnded, exchange.Opaque}
