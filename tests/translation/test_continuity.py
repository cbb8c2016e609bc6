"""Reasoning that a client cannot carry returns all the same, and nothing else does."""

from __future__ import annotations

import copy

from hypothesis import given, settings

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.strategies import Scope
from trunkline.translation import continuity
from trunkline.translation.exchange import (
    Answer,
    Choice,
    Part,
    Reasoning,
    Request,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)

STATE = State("p", "opaque")
SIGNED = Reasoning(text="Hm", state=STATE)


def answer(*parts: Part) -> Answer:
    return Answer(id="a", model="m", choices=[Choice(parts=list(parts), stop="tool")])


def asks(*parts: Part) -> Request:
    """The answer's turn as a client sends it back, with the results of its calls."""
    results = [ToolResult(call_id=part.id, parts=[]) for part in parts if isinstance(part, ToolCall)]
    turns = [Turn(role="assistant", parts=list(parts)), *(Turn(role="user", parts=[result]) for result in results)]
    return Request(protocol="openai_chat", model="m", turns=turns)


def call(call_id: str = "c1", state: State | None = None) -> ToolCall:
    return ToolCall(id=call_id, name="f", arguments="{}", state=state)


def stripped(parts: list[Part]) -> list[Part]:
    """What is left by a client that knows neither reasoning nor state."""
    left: list[Part] = [copy.deepcopy(part) for part in parts if not isinstance(part, Reasoning)]
    for part in left:
        if isinstance(part, Text | ToolCall):
            part.state = None
    return left


@settings(max_examples=examples(60))
@given(strategies.answered_parts(Scope(summaries=True, call_state=True)))
def test_what_a_client_lost_is_put_back(parts: list[Part]) -> None:
    kept = continuity.to_keep(answer(*parts))
    request = asks(*stripped(parts))
    assert set(kept) <= set(continuity.missing(request))
    continuity.restore(request, kept)
    if kept:
        back = request.turns[0].parts
        assert [part for part in back if isinstance(part, ToolCall)] == [
            part for part in parts if isinstance(part, ToolCall)
        ]
        reasoning = [part for part in parts if isinstance(part, Reasoning)]
        if any(part.state for part in reasoning):
            assert [part for part in back if isinstance(part, Reasoning)] == reasoning
    else:
        assert request == asks(*stripped(parts))


def test_only_what_a_provider_wants_back_is_kept() -> None:
    assert continuity.to_keep(answer(Reasoning(text="Hm"), call())) == {}
    assert continuity.to_keep(answer(SIGNED, Text(text="a"))) == {}
    assert continuity.to_keep(answer(SIGNED, call("c1"), call("c2"))).keys() == {"c1"}
    assert continuity.to_keep(answer(SIGNED, call("c1"), SIGNED, call("c2"))).keys() == {"c1", "c2"}
    assert continuity.to_keep(answer(call("c1"), call("c2", STATE))).keys() == {"c2"}


def test_what_came_back_with_its_state_is_not_looked_for() -> None:
    assert continuity.missing(asks(SIGNED, call("c1"), call("c2"))) == []
    assert continuity.missing(asks(call("c1", STATE), call("c2"))) == ["c2"]
    assert continuity.missing(asks(Reasoning(text="Hm"), call("c1"))) == ["c1"]
    assert continuity.missing(Request(protocol="p", model="m", turns=[Turn(role="user", parts=[Text(text="a")])])) == []


def test_text_that_came_back_alone_is_replaced_by_the_whole() -> None:
    kept = continuity.to_keep(answer(SIGNED, call()))
    request = asks(Reasoning(text="Hm"), Text(text="Looking."), call())
    continuity.restore(request, kept)
    assert request.turns[0].parts == [Text(text="Looking."), SIGNED, call()]


def test_what_was_not_found_changes_nothing() -> None:
    request = asks(Text(text="a"), call("c1"), call("c2"))
    before = copy.deepcopy(request)
    continuity.restore(request, {})
    continuity.restore(request, continuity.to_keep(answer(SIGNED, call("other"))))
    assert request == before
