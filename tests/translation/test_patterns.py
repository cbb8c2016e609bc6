"""Which patterns are tried on text that anybody may write."""

from __future__ import annotations

import re
import time

import pytest

from trunkline.translation.patterns import is_safe


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[a-z]+$",
        r"^\d{4}-\d{2}-\d{2}$",
        r"^(foo|bar)$",
        r"^[A-Z][a-z]* [0-9]+$",
        r"^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$",
        r"x?",
        "",
    ],
)
def test_ordinary_patterns_are_tried(pattern: str) -> None:
    assert is_safe(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$",
        r"(a|aa)+$",
        r"(a|b|ab)*c",
        r"(.*a){12}",
        r"(?:(?:a*)*)*b",
        r"(a*)\1+$",
        r".*.*.*.*=",
        r"((a+)b?)+c",
        "(",
        "a" * 2000,
    ],
)
def test_those_that_could_take_for_ever_are_not(pattern: str) -> None:
    assert not is_safe(pattern)


@pytest.mark.parametrize("pattern", [r"^[a-z]+$", r"^\w+@\w+\.com$", r"a*b*c*$"])
def test_what_is_tried_ends_soon(pattern: str) -> None:
    assert is_safe(pattern)
    began = time.process_time()
    re.search(pattern, "a" * 300 + "!")
    assert time.process_time() - began < 1
