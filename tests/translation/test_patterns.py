"""Which patterns are tried on text that anybody may write."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thoroughness import examples
from trunkline.translation.patterns import MOST_MATCHES, matches_at_most

LONGEST_S = 1.0


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[a-z]+$",
        r"^\d{4}-\d{2}-\d{2}$",
        r"^(foo|bar)$",
        r"^[A-Z][a-z]* [0-9]+$",
        r"^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$",
        r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
        r"(?P<year>\d+)",
        r"^(?!x)a",
        r"x?",
        "",
    ],
)
def test_ordinary_patterns_are_tried(pattern: str) -> None:
    assert matches_at_most(pattern, 60) is not None


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
        "a?" * 30 + "a" * 30,
        r"(?:a?){30}a{30}",
        r"(?:a|a){30}b",
        "a{0,99}" * 5,
        "(?:ab|a)" * 25 + "c",
        r"(?=(a+)+$)b",
        r"(?>a*)*(?>a*)*(?>a*)*(?>a*)*b",
        "(?i)[a-\U0010ffff]",
        "(?i:[a-\U0010ffff])",
        "(",
        "a" * 2000,
        "(" * 900 + ")" * 900,
    ],
)
def test_those_that_could_take_for_ever_are_not(pattern: str) -> None:
    assert matches_at_most(pattern, 60) is None


@pytest.mark.parametrize("pattern", [r"[a-z]+x", r"^\w+@\w+\.com$", r"a*b*c*$"])
def test_a_longer_text_takes_longer(pattern: str) -> None:
    short, long = matches_at_most(pattern, 10), matches_at_most(pattern, 25)
    assert short is not None
    assert long is not None
    assert short < long
    assert matches_at_most(pattern, 10**6) is None


atoms = st.sampled_from(["a", "b", "[ab]", ".", "^", "$", r"\w", r"\b"])
quantifiers = st.sampled_from(["", "", "*", "+", "?", "{2,9}", "*?", "{3}"])
patterns = st.recursive(
    st.tuples(atoms, quantifiers).map("".join),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4).map("".join)
        | st.tuples(st.lists(inner, min_size=1, max_size=3).map("|".join), quantifiers).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        )
    ),
    max_leaves=8,
)


@given(patterns, st.sampled_from(["a" * 40, "ab" * 30 + "c", "a" * 900, "b" * 60 + "\n"]))
@settings(max_examples=examples(150), deadline=None)
def test_what_is_tried_ends_soon(pattern: str, text: str) -> None:
    tried = matches_at_most(pattern, len(text))
    if tried is None:
        return
    assert 0 < tried <= MOST_MATCHES
    began = time.process_time()
    re.search(pattern, text)
    assert time.process_time() - began < LONGEST_S
