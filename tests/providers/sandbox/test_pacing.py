from __future__ import annotations

from itertools import chain

import pytest

from trunkline.providers.sandbox.directives import NONE, Directives
from trunkline.providers.sandbox.pacing import Broken, errs, paced, whole, whole_s
from trunkline.providers.sandbox.response import Cut, Step, Wait

BROKEN = Broken(garbled=b"?", error=b"!")
ROUNDS = [[b"open"], [b"one"], [], [b"three"], [b"end", b"stop"]]


def steps(told: Directives) -> tuple[list[Step], bool]:
    """The steps, and whether the stream ended early."""
    made: list[Step] = []
    running = paced(told, ROUNDS, BROKEN)
    while True:
        try:
            made.append(next(running))
        except StopIteration as ended:
            return made, bool(ended.value)


def test_an_answer_without_faults_is_its_rounds() -> None:
    assert steps(NONE) == (list(chain.from_iterable(ROUNDS)), False)


@pytest.mark.parametrize(
    ("told", "expected", "early"),
    [
        (Directives(garble_after=0), [b"?", b"open", b"one", b"three", b"end", b"stop"], False),
        (Directives(garble_after=1), [b"open", b"one", b"?", b"three", b"end", b"stop"], False),
        (Directives(garble_after=2), [b"open", b"one", b"?", b"three", b"end", b"stop"], False),
        (Directives(garble_after=3), [b"open", b"one", b"three", b"?", b"end", b"stop"], False),
        (Directives(garble_after=4), [b"open", b"one", b"three", b"end", b"stop"], False),
        (Directives(cut_after=3), [b"open", b"one", b"three", Cut(), b"end", b"stop"], False),
        (Directives(stall_after=1, stall_ms=500), [b"open", b"one", Wait(0.5), b"three", b"end", b"stop"], False),
        (Directives(error_after=0), [b"!"], True),
        (Directives(error_after=1), [b"open", b"one", b"!"], True),
        (
            Directives(delay_ms=250),
            [b"open", b"one", Wait(0.25), Wait(0.25), b"three", Wait(0.25), b"end", b"stop"],
            False,
        ),
    ],
)
def test_faults_stand_where_they_are_told(told: Directives, expected: list[Step], early: bool) -> None:
    assert steps(told) == (expected, early)


@pytest.mark.parametrize(("at", "wrong"), [(None, False), (0, True), (5, True), (6, False)])
def test_faults_of_a_whole_answer(at: int | None, wrong: bool) -> None:
    body = b"0123456789"
    assert errs(Directives(error_after=at), 5) == wrong
    cut = list(whole(Directives(cut_after=at), 5, body))
    assert cut == ([body] if not wrong else [Cut()] if at == 0 else [body[:5], Cut()])
    garbled = list(whole(Directives(garble_after=at), 5, body))
    assert garbled == [body[:5] + b"\xff\xfe" if wrong else body]


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (NONE, 0),
        (Directives(first_ms=100, delay_ms=10), 0.14),
        (Directives(stall_after=5, stall_ms=700), 0.7),
        (Directives(stall_after=6, stall_ms=700), 0),
    ],
)
def test_a_whole_answer_takes_as_long_as_its_stream(told: Directives, seconds: float) -> None:
    assert whole_s(told, 5) == pytest.approx(seconds)
