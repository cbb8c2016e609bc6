from __future__ import annotations

import pytest

from trunkline import clock
from trunkline.providers.sandbox import faults
from trunkline.providers.sandbox.directives import NONE, Directives
from trunkline.providers.sandbox.faults import FaultCounts

TWICE = Directives(status=429, times=2)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [1_000.0]
    monkeypatch.setattr(clock, "monotonic_s", lambda: time[0])
    return time


def fail(counts: FaultCounts, tries: int, account: bytes = b"", message: str = "m") -> list[bool]:
    return [counts.fails(TWICE, account, message) for _ in range(tries)]


def test_it_fails_so_often_and_then_answers(now: list[float]) -> None:
    assert fail(FaultCounts(), 5) == [True, True, False, False, False]


def test_without_times_it_always_fails_and_without_status_never() -> None:
    counts = FaultCounts()
    assert all(counts.fails(Directives(status=500), b"", "m") for _ in range(5))
    assert not any(counts.fails(NONE, b"", "m") for _ in range(5))
    assert len(counts) == 0


def test_accounts_and_messages_count_apart(now: list[float]) -> None:
    counts = FaultCounts()
    assert fail(counts, 3, b"a") == [True, True, False]
    assert fail(counts, 3, b"b") == [True, True, False]
    assert fail(counts, 3, b"a", "other") == [True, True, False]


def test_it_is_forgotten_a_minute_after_its_last_use(now: list[float]) -> None:
    counts = FaultCounts()
    assert fail(counts, 3) == [True, True, False]
    now[0] += 59.9
    assert fail(counts, 1) == [False]
    now[0] += 60
    assert fail(counts, 3) == [True, True, False]


def test_the_table_is_bounded_and_sheds_the_oldest(now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "_MOST_COUNTS", 3)
    counts = FaultCounts()
    for message in "abc":
        fail(counts, 2, message=message)
    fail(counts, 1, message="a")
    fail(counts, 1, message="d")
    assert len(counts) == 3
    assert fail(counts, 1, message="a") == [False], "used lately, so kept"
    assert fail(counts, 1, message="b") == [True], "the oldest, so forgotten"
    now[0] += 60
    fail(counts, 1, message="e")
    assert len(counts) == 1
