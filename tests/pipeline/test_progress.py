"""What a call says of itself on its way."""

from __future__ import annotations

import pytest

from tests.pipeline.scripted import new_call
from trunkline.errors import InvalidRequest


def test_who_answers_is_decided_by_an_answer_or_an_error() -> None:
    assert not new_call().is_decided
    answered = new_call()
    answered.answered_at = 1.0
    assert answered.is_decided
    refused = new_call()
    refused.answered_at, refused.error = 1.0, InvalidRequest("x")
    assert refused.is_decided


@pytest.mark.parametrize(
    ("read_at", "upstream_s", "until", "ours"), [(0.0, 0.0, 9.0, 0.0), (2.0, 3.0, 9.0, 4.0), (2.0, 9.0, 9.0, 0.0)]
)
def test_overhead_is_what_no_provider_took(read_at: float, upstream_s: float, until: float, ours: float) -> None:
    call = new_call()
    call.read_at, call.upstream_s = read_at, upstream_s
    assert call.overhead_until(until) == ours
