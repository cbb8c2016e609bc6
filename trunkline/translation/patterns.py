"""How long a regular expression may take on a text, before it is tried.

What is repeated, optional or an alternative can be matched in several ways, and what follows may make the matcher try
them all: so many that a short text takes for ever. The pattern comes from a caller, and nothing else runs meanwhile.
"""

from __future__ import annotations

import functools
import re
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, Final

LONGEST_PATTERN: Final = 1000
MOST_MATCHES: Final = 1_000_000
"""Some 10 ms."""

_ONCE = frozenset(
    (codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN, codes.AT, codes.CATEGORY, codes.RANGE, codes.NEGATE)
)
_REPEATS = frozenset((codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT))
_ANCHORS = frozenset((codes.AT_BEGINNING, codes.AT_BEGINNING_STRING))


def matches_at_most(pattern: str, characters: int) -> int | None:
    """No more than so many matches are tried on a text of so many characters; None: of more than MOST_MATCHES, or what
    is no pattern."""
    parsed = _parsed(pattern)
    if parsed is None:
        return None
    ways = _ways(parsed, characters)
    # Each position where a match may begin is tried; a repetition looks at every character before it gives one back.
    starts = 1 if _begins_at_the_beginning(parsed) else characters + 1
    tried = ways * starts
    return int(tried) if tried <= MOST_MATCHES else None


@functools.lru_cache(256)
def _parsed(pattern: str) -> Any:
    """None for what is no pattern, and for one with flags: without regard to case, large classes take long to build."""
    if len(pattern) > LONGEST_PATTERN:
        return None
    try:
        parsed = parser.parse(pattern)
    except (re.error, RecursionError, OverflowError):
        return None
    return None if "(?" in pattern and _has_flags(parsed) else parsed


def _has_flags(parsed: Any) -> bool:
    if parsed.state.flags & ~re.UNICODE:
        return True
    return any(
        bool(argument[1] or argument[2]) for operation, argument in _steps(parsed) if operation is codes.SUBPATTERN
    )


def _steps(parsed: Any) -> Any:
    for operation, argument in parsed:
        yield operation, argument
        for inner in _inside(operation, argument):
            yield from _steps(inner)


def _inside(operation: Any, argument: Any) -> list[Any]:
    if operation is codes.SUBPATTERN:
        return [argument[-1]]
    if operation in _REPEATS:
        return [argument[2]]
    if operation is codes.BRANCH:
        return list(argument[1])
    if operation in (codes.ASSERT, codes.ASSERT_NOT):
        return [argument[1]]
    if operation is codes.ATOMIC_GROUP:
        return [argument]
    return []


def _ways(parsed: Any, characters: int) -> float:
    """In how many ways this can be matched from one position on, at most."""
    ways = 1.0
    for operation, argument in parsed:
        ways *= _ways_of_step(operation, argument, characters)
        if ways > MOST_MATCHES:
            return float("inf")
    return ways


def _ways_of_step(operation: Any, argument: Any, characters: int) -> float:
    if operation in _ONCE:
        return 1.0
    inner = [_ways(each, characters) for each in _inside(operation, argument)]
    if operation in _REPEATS:
        least, most = argument[0], min(argument[1], characters + 1)
        return _repeated(max(most - least, 0) + 1, max(least, most), inner[0])
    if operation is codes.BRANCH:
        return sum(inner)
    if operation in (codes.SUBPATTERN, codes.ASSERT, codes.ASSERT_NOT, codes.ATOMIC_GROUP):
        return inner[0]
    return float("inf")  # what refers to an earlier group


def _repeated(choices: int, most: int, inner: float) -> float:
    """`choices` numbers of repetitions, at most `most` of them, each in `inner` ways."""
    if inner <= 1.0:
        return float(choices)
    try:
        return float(choices) * inner**most
    except OverflowError:
        return float("inf")


def _begins_at_the_beginning(parsed: Any) -> bool:
    first = parsed[0] if len(parsed) else (None, None)
    return first[0] is codes.AT and first[1] in _ANCHORS
