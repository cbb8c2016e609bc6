"""The sums of a call's counts."""

from __future__ import annotations

from trunkline.wire.usage import Usage


def test_sums() -> None:
    usage = Usage(input_tokens=10, output_tokens=5, cached_input_tokens=3, cache_write_tokens=4, reasoning_tokens=2)
    assert usage.total_tokens == 15
    assert usage.fresh_input_tokens == 3


def test_answers_of_one_call_are_counted_together() -> None:
    one = Usage(input_tokens=10, output_tokens=5, cached_input_tokens=3)
    assert one.plus(Usage(input_tokens=1, output_tokens=2, reasoning_tokens=2)) == Usage(
        input_tokens=11, output_tokens=7, cached_input_tokens=3, reasoning_tokens=2
    )


def test_what_was_cached_is_never_more_than_all() -> None:
    assert Usage(input_tokens=1, output_tokens=0, cached_input_tokens=2).fresh_input_tokens == 0
