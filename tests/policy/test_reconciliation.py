from __future__ import annotations

import pytest

from trunkline.policy.reconciliation import EVERY_MODEL, Mismatch, compare, known_name
from trunkline.ports.reports import Sums, UsageResult
from trunkline.wire.usage_exports import BilledLine

DAY = "2026-04-30"


def ours(model: str = "openai/gpt-4o", day: str = DAY, **sums: int) -> UsageResult:
    return UsageResult(day=day, model=model, sums=Sums(**{"requests": 1} | sums))


def theirs(model: str | None = "gpt-4o-2024-08-06", day: str = DAY, **figures: int) -> BilledLine:
    return BilledLine(day=day, model=model, **figures)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("openai/gpt-4o", "gpt-4o-2024-08-06"),
        ("openrouter/meta-llama/llama-3.3-70b:free", "meta-llama/Llama-3.3-70B:free"),
        ("anthropic/claude-haiku-4-5-20251001", "Claude Haiku 4.5"),
        ("claude-3-5-sonnet-20241022", "Claude Sonnet 3.5"),
        ("openai/gpt-4.1-2025-04-14:free", "gpt-4.1:free"),
    ],
)
def test_names_of_one_model_are_one(one: str, other: str) -> None:
    assert known_name(one) == known_name(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("gpt-4o", "gpt-4o-mini"), ("gpt-4.1", "gpt-4"), ("llama:free", "llama"), ("claude-opus-4", "claude-sonnet-4")],
)
def test_names_of_two_models_are_two(one: str, other: str) -> None:
    assert known_name(one) != known_name(other)


def test_what_agrees_is_not_listed() -> None:
    assert not compare(
        [ours(input_tokens=30, output_tokens=5, upstream_cost_nanos=7)],
        [theirs(input_tokens=10), theirs("gpt-4o", input_tokens=20, output_tokens=5, cost_nanos=7)],
    )


def test_every_difference_is_listed_by_day_and_model() -> None:
    found = compare(
        [ours(input_tokens=30, output_tokens=5), ours("openai/o3", output_tokens=9), ours(day="2026-05-01")],
        [
            theirs(input_tokens=31, output_tokens=5),
            theirs("o4", input_tokens=2, output_tokens=0),
            theirs(day="2026-05-01", input_tokens=0, output_tokens=4),
        ],
    )
    assert found == [
        Mismatch(day=DAY, model="gpt-4o-2024-08-06", what="input_tokens", ours=30, theirs=31),
        Mismatch(day=DAY, model="openai/o3", what="output_tokens", ours=9, theirs=0),
        Mismatch(day=DAY, model="o4", what="input_tokens", ours=0, theirs=2),
        Mismatch(day="2026-05-01", model="gpt-4o-2024-08-06", what="output_tokens", ours=0, theirs=4),
    ]
    assert [one.difference for one in found] == [1, -9, 2, 4]


def test_what_an_export_does_not_say_is_not_compared() -> None:
    assert not compare([ours(input_tokens=5, upstream_cost_nanos=99)], [theirs(input_tokens=5)])
    assert not compare([ours(input_tokens=5, upstream_cost_nanos=99)], [theirs(cost_nanos=99)])


def test_without_models_days_are_compared() -> None:
    known = [ours(upstream_cost_nanos=60), ours("openai/o3", upstream_cost_nanos=40)]
    assert not compare(known, [theirs(None, cost_nanos=100)])
    [found] = compare(known, [theirs(None, cost_nanos=150)])
    assert (found.model, found.ours, found.theirs) == (EVERY_MODEL, 100, 150)


@pytest.mark.parametrize(
    ("cost", "tolerance", "listed"), [(104, 0, False), (105, 0, True), (105, 1, False), (95, 0, True)]
)
def test_costs_may_differ_by_what_was_rounded(cost: int, tolerance: int, listed: bool) -> None:
    """A nano-dollar for each of our two requests, and what the lines' digits leave open."""
    known = [ours(upstream_cost_nanos=100, requests=1, errors=1)]
    said = [theirs(cost_nanos=cost - 3, slack_nanos=1), theirs(cost_nanos=3, slack_nanos=1)]
    assert bool(compare(known, said, tolerance)) == listed


def test_nothing_agrees_with_nothing() -> None:
    assert compare([], []) == []
