"""Names that a catalog knows without listing each: rules such as `begins with claude-sonnet-4-2025`."""

from __future__ import annotations

import re

from trunkline.catalog.snapshot import Node

Rule = tuple[str, str] | tuple[str, tuple["Rule", ...]]
"""(kind, text in lower case), or ("any" | "all", rules)."""

_SIMPLE = {"ClauseStartsWith": "starts_with", "ClauseEndsWith": "ends_with", "ClauseContains": "contains"}


def rule_of(match: Node) -> Rule | None:
    """The rule without the names that it spells out, which are looked up; None when nothing else is left.

    A clause of a kind that is not known matches nothing.
    """
    kind, fields = match
    if kind in _SIMPLE:
        return kind, fields[_SIMPLE[kind]].lower()
    if kind == "ClauseRegex":
        return kind, fields["regex"]
    if kind == "ClauseOr":
        rules = tuple(rule for clause in fields["or_"] if (rule := rule_of(clause)) is not None)
        if len(rules) == 1:
            return rules[0]
        return ("any", rules) if rules else None
    if kind == "ClauseAnd":
        rules = tuple(rule for clause in fields["and_"] if (rule := _whole(clause)) is not None)
        return ("all", rules) if len(rules) == len(fields["and_"]) else None
    return None


def _whole(match: Node) -> Rule | None:
    kind, fields = match
    return ("equals", fields["equals"].lower()) if kind == "ClauseEquals" else rule_of(match)


def matches(rule: Rule, name: str) -> bool:
    """`name` is in lower case."""
    kind, what = rule
    if isinstance(what, tuple):
        return any(matches(part, name) for part in what) if kind == "any" else all(matches(part, name) for part in what)
    if kind == "ClauseStartsWith":
        return name.startswith(what)
    if kind == "ClauseEndsWith":
        return name.endswith(what)
    if kind == "ClauseContains":
        return what in name
    if kind == "ClauseRegex":
        return re.search(what, name) is not None
    return name == what
