from __future__ import annotations

import genai_prices.data
import pytest

from trunkline.catalog import matching, snapshot
from trunkline.catalog.snapshot import Node

STARTS: Node = ("ClauseStartsWith", {"starts_with": "Claude-"})
ENDS: Node = ("ClauseEndsWith", {"ends_with": "-FAST"})
HOLDS: Node = ("ClauseContains", {"contains": "Sonnet"})
REGEX: Node = ("ClauseRegex", {"regex": r"^o[134]$"})
EQUALS: Node = ("ClauseEquals", {"equals": "GPT-5"})


@pytest.mark.parametrize(
    ("match", "name", "expected"),
    [
        (STARTS, "claude-x", True),
        (STARTS, "my-claude-x", False),
        (ENDS, "x-fast", True),
        (ENDS, "x-fast-1", False),
        (HOLDS, "claude-sonnet-4", True),
        (HOLDS, "claude-opus", False),
        (REGEX, "o3", True),
        (REGEX, "o2", False),
        (("ClauseOr", {"or_": [STARTS, ENDS]}), "x-fast", True),
        (("ClauseOr", {"or_": [STARTS, ENDS]}), "x", False),
        (("ClauseAnd", {"and_": [STARTS, HOLDS]}), "claude-sonnet", True),
        (("ClauseAnd", {"and_": [STARTS, HOLDS]}), "claude-opus", False),
        (("ClauseAnd", {"and_": [EQUALS, STARTS]}), "claude-", False),
    ],
)
def test_a_rule_matches_what_its_clauses_say(match: Node, name: str, expected: bool) -> None:
    rule = matching.rule_of(match)
    assert rule is not None
    assert matching.matches(rule, name) is expected


def test_names_that_are_spelled_out_are_no_rule() -> None:
    assert matching.rule_of(EQUALS) is None
    assert matching.rule_of(("ClauseOr", {"or_": [EQUALS, EQUALS]})) is None
    assert matching.rule_of(("ClauseOr", {"or_": [EQUALS, STARTS]})) == matching.rule_of(STARTS)


def test_a_clause_of_an_unknown_kind_matches_nothing() -> None:
    assert matching.rule_of(("ClauseNew", {"new": "x"})) is None
    assert matching.rule_of(("ClauseAnd", {"and_": [("ClauseNew", {"new": "x"}), STARTS]})) is None


def test_rules_and_spellings_together_decide_as_the_package_does() -> None:
    lists = snapshot.read().lists
    for provider in genai_prices.data.providers:
        names = {
            name.lower() for entry in lists[provider.id][:120] for name in (entry.id, *snapshot.spellings(entry.match))
        }
        for theirs, entry in zip(provider.models[:120], lists[provider.id], strict=False):
            spelled = {name.lower() for name in snapshot.spellings(entry.match)}
            rule = matching.rule_of(entry.match)
            for name in names:
                ours = name in spelled or (rule is not None and matching.matches(rule, name))
                assert ours is theirs.is_match(name), (provider.id, entry.id, name)
