"""Events put together are the answer they tell of."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from msgspec import Raw

from tests.thoroughness import examples
from tests.translation import strategies
from trunkline.translation.collect import Collector
from trunkline.translation.exchange import (
    Answer,
    Began,
    CallBegan,
    Choice,
    Ended,
    Event,
    Finished,
    Opaque,
    PartCame,
    PartEnded,
    Reasoning,
    ReasoningDelta,
    State,
    StateCame,
    Text,
    TextDelta,
    ToolCall,
    Usage,
    Used,
)


def collected(*events: Event) -> Answer:
    collector = Collector()
    collector.take(events)
    return collector.answer()


@settings(max_examples=examples(60))
@given(strategies.told())
def test_however_an_answer_comes_it_is_the_same_answer(told: tuple[Answer, list[Event]]) -> None:
    answer, events = told
    collector = Collector()
    for event in events:
        assert not collector.ended
        collector.take([event])
    assert collector.answer() == answer
    assert collector.ended
    assert collector.answer() == answer, "asking twice changes nothing"


def test_an_answer_that_broke_off_is_what_came_of_it() -> None:
    answer = collected(Began("a", "m"), TextDelta(0, 0, "Hel"), CallBegan(0, 1, "c1", "f"))
    assert answer.choices == [Choice(parts=[Text(text="Hel"), ToolCall(id="c1", name="f")], stop="end")]
    assert collected() == Answer(id="", model="", choices=[])


def test_a_choice_that_said_nothing_is_there() -> None:
    answer = collected(Began("a", "m"), Finished(1, "filter"), TextDelta(0, 0, "x"), Finished(0, "stop_sequence", "#"))
    assert answer.choices == [
        Choice(parts=[Text(text="x")], stop="stop_sequence", stop_sequence="#"),
        Choice(parts=[], stop="filter"),
    ]


def test_the_last_usage_counts_and_the_first_tier() -> None:
    early, late = Usage(input_tokens=1, output_tokens=0), Usage(input_tokens=1, output_tokens=9)
    began = Began("a", "m", 5, early, "priority")
    assert collected(began).usage == early
    answer = collected(began, Used(late), Ended())
    assert (answer.usage, answer.service_tier, answer.created) == (late, "priority", 5)


def test_logprobs_of_all_pieces_are_one_list() -> None:
    answer = collected(
        TextDelta(0, 0, "a", Raw(b' [{"token":"a"}] ')),
        TextDelta(0, 0, "b", Raw(b"[]")),
        TextDelta(0, 0, "c", Raw(b'[{"token":"b"},{"token":"c"}]')),
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert [token["token"] for token in msgspec.json.decode(logprobs)] == ["a", "b", "c"]


def test_summaries_come_in_any_order_and_hidden_reasoning_is_reasoning() -> None:
    answer = collected(
        ReasoningDelta(0, 0, "two", 1),
        ReasoningDelta(0, 0, "one", 0),
        PartEnded(0, 0),
        StateCame(0, 1, State("p", "x")),
    )
    assert answer.choices[0].parts == [Reasoning(summaries=["one", "two"]), Reasoning(state=State("p", "x"))]


def test_what_comes_whole_is_kept_as_it_is() -> None:
    opaque = Opaque("anthropic_messages", Raw(b'{"type":"x"}'), "x")
    assert collected(PartCame(0, 0, opaque)).choices[0].parts == [opaque]
