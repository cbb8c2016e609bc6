"""Events put together are the answer they tell of."""

from __future__ import annotations

from hypothesis import given, settings

from tests.translation import strategies
from trunkline.translation.collect import Collector
from trunkline.translation.exchange import Answer, Event


@settings(max_examples=60)
@given(strategies.told())
def test_however_an_answer_comes_it_is_the_same_answer(told: tuple[Answer, list[Event]]) -> None:
    answer, events = told
    collector = Collector()
    for event in events:
        collector.take([event])
    assert collector.answer() == answer
    assert collector.ended
