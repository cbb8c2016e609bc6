from __future__ import annotations

import random
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.sandbox.pattern_values import Budget, Pattern, Unfillable

STEPS = 60_000


def pattern(text: str) -> Pattern:
    return Pattern(text, Budget(STEPS))


ATOMS = st.sampled_from(
    ["a", "b", "0", r"\d", r"\w", r"\s", ".", "[ab]", "[^a]", "[a-c0-2_]", r"[\d.-]", r"\.", r"\u0061"]
)
COUNTS = st.sampled_from(["", "?", "*", "+", "{2}", "{1,3}", "{0,}", "*?"])
# A group repeated without end would keep the library busy for ever, which is why it only judges here.
GROUP_COUNTS = st.sampled_from(["", "?", "{2}", "{0,2}"])


def sequences(parts: st.SearchStrategy[str], counts: st.SearchStrategy[str], most: int) -> st.SearchStrategy[str]:
    return st.lists(st.builds("{}{}".format, parts, counts), min_size=1, max_size=most).map("".join)


WAYS = st.lists(sequences(ATOMS, COUNTS, 2), min_size=1, max_size=3).map("|".join)
GROUPS = st.builds("{}{}){}".format, st.sampled_from(["(", "(?:", "(?P<n>"]), WAYS, GROUP_COUNTS)
PATTERNS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "^"]),
    st.one_of(sequences(ATOMS, COUNTS, 4), sequences(GROUPS, st.just(""), 2)),
    st.sampled_from(["", "$"]),
)


def compiled(text: str) -> re.Pattern[str]:
    """As ECMA-262 has it: a name may come twice here, and $ is the very end."""
    return re.compile(text.replace("(?P<n>", "(?:").removesuffix("$") + (r"\Z" if text.endswith("$") else ""), re.ASCII)


@given(PATTERNS, st.integers())
def test_examples_match_by_both_judges(text: str, seed: int) -> None:
    made = pattern(text).example(random.Random(seed), 0, 10_000)
    assert compiled(text).search(made)
    assert pattern(text).matches(made)


@given(PATTERNS, st.text(st.sampled_from("abc01_. \n-"), max_size=8))
def test_matching_agrees_with_the_library(text: str, candidate: str) -> None:
    assert pattern(text).matches(candidate) == bool(compiled(text).search(candidate))


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [("^a+$", 50, 50), (r"^\d{3}-\d{4}$", 8, 8), ("^(ab)*$", 7, 8), ("^[A-Z]{2,5}$", 5, 9), ("^.*$", 5_000, 10_000)],
)
def test_lengths_are_met(text: str, least: int, most: int) -> None:
    made = pattern(text).example(random.Random(1), least, most)
    assert least <= len(made) <= most
    assert compiled(text).search(made)


@pytest.mark.parametrize(
    "text",
    ["(?=a)", "(?!a)", "(?<=a)", r"(a)\1", r"\bword", r"\p{L}", "a**", "(a", "a)", "[a", "a{2,1}", "a{x}", "a^b", "a$b",
     "(^a)", "*", "\\", r"\u12", "[b-a]", "(" * 25 + ")" * 25, "a" * 1_001, "[^\\W]"],
)  # fmt: skip
def test_what_is_not_read_is_refused(text: str) -> None:
    with pytest.raises(Unfillable, match="`pattern`"):
        pattern(text)


@pytest.mark.parametrize("text", ["^a$", "[]", "(a|bb){3}$"])
def test_what_has_no_match_of_that_length_is_refused(text: str) -> None:
    with pytest.raises(Unfillable):
        pattern("^" + text.removeprefix("^")).example(random.Random(1), 50, 60)


@given(st.text(st.sampled_from("ab()[]{}|*+?^$\\.-,019dwu<:!="), max_size=12), st.text(max_size=5))
def test_any_pattern_is_read_or_refused(text: str, candidate: str) -> None:
    try:
        found = pattern(text)
        found.matches(candidate)
        found.example(random.Random(0), 0, 100)
    except Unfillable:
        pass


@pytest.mark.parametrize(
    "text", ["^(a+)+$", "^(a|a)*$", r"^(\w*)*(\w*)*x$", "((((a{1000}){1000}){1000}){1000})", "(a*){1000}"]
)
def test_hostile_patterns_cost_no_more_than_the_budget(text: str) -> None:
    began = time.process_time()
    try:
        found = pattern(text)
        found.matches("a" * 2_000 + "!")
        found.example(random.Random(0), 20_000, 30_000)
    except Unfillable:
        pass
    assert time.process_time() - began < 2
