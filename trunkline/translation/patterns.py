"""Which regular expressions can be tried on any text: those whose time cannot explode.

A repetition inside a repetition, or alternatives inside one, may be matched in so many ways that a short text takes for
ever; the pattern comes from a caller, and nothing else runs meanwhile.
"""

from __future__ import annotations

import re
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, Literal

LONGEST_PATTERN = 1000
LONGEST_REPETITION = 100
MOST_OPEN_REPETITIONS = 3

Inside = Literal["once", "fixed", "open"]
"""What of a pattern is looked at: a part that matches once, a known number of times, or any number of times."""


def is_safe(pattern: str) -> bool:
    """False also for what is no pattern."""
    if len(pattern) > LONGEST_PATTERN:
        return False
    try:
        parsed = parser.parse(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return _is_safe(parsed, "once") and _repetitions(parsed) <= MOST_OPEN_REPETITIONS


def _is_safe(parsed: Any, inside: Inside) -> bool:
    return all(_is_step_safe(operation, argument, inside) for operation, argument in parsed)


def _is_step_safe(operation: Any, argument: Any, inside: Inside) -> bool:
    if operation in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        least, most, inner = argument
        fixed = least == most <= LONGEST_REPETITION
        if most > 1 and inside != "once" and not (fixed and inside == "fixed"):
            return False
        return _is_safe(inner, inside if most <= 1 else "fixed" if fixed and inside != "open" else "open")
    if inside == "open" and operation in (codes.BRANCH, codes.GROUPREF, codes.GROUPREF_EXISTS):
        return False
    return all(_is_safe(inner, inside) for inner in _inside(operation, argument))


def _inside(operation: Any, argument: Any) -> list[Any]:
    if operation is codes.SUBPATTERN:
        return [argument[-1]]
    if operation is codes.BRANCH:
        return list(argument[1])
    if operation in (codes.ASSERT, codes.ASSERT_NOT):
        return [argument[1]]
    return []


def _repetitions(parsed: Any) -> int:
    """How many without a bound: each multiplies the time by the length of the text."""
    count = 0
    for operation, argument in parsed:
        if operation in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            count += (argument[1] > LONGEST_REPETITION) + _repetitions(argument[2])
        else:
            count += sum(map(_repetitions, _inside(operation, argument)))
    return count
