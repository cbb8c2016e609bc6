"""JSON Schemas joined and taken apart: what must hold together as one schema, what may hold instead as a list.

The joined schema guides the making of a value; whether the value is valid is asked of the original (`schema_check`).
"""

from __future__ import annotations

from collections.abc import Callable

from trunkline.providers.sandbox.schema_check import is_number, items_of, key_of, same

_GREATER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_LESSER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_NESTED = ("items", "additionalProperties", "additionalItems", "propertyNames", "contains")
_BRANCHING = ("$ref", "anyOf", "oneOf", "if")


def both(one: object, other: object) -> object:
    """A schema of what is valid under both, but for keywords that cannot be joined: the first's are kept."""
    if one is True or other is False:
        return other
    if other is True or not isinstance(one, dict) or not isinstance(other, dict):
        return one
    joined = _without_strays(one)
    for keyword, rule in _without_strays(other).items():
        if keyword in ("then", "else") and "if" in one:
            continue  # went along with its `if`
        if keyword not in joined:
            joined[keyword] = rule
        elif not same(joined[keyword], rule):
            joined.update(_joined(joined, keyword, rule, other))
    return joined


def _without_strays(schema: dict[str, object]) -> dict[str, object]:
    """`then` and `else` say nothing without their `if`, and must not find another's."""
    if "if" in schema:
        return dict(schema)
    return {keyword: rule for keyword, rule in schema.items() if keyword not in ("then", "else")}


def _joined(joined: dict[str, object], keyword: str, rule: object, other: dict[str, object]) -> dict[str, object]:
    """The changed members of `joined` when `keyword` says `rule` besides."""
    mine = joined[keyword]
    if keyword in _BRANCHING:
        parts = ("if", "then", "else") if keyword == "if" else (keyword,)
        return {"allOf": [*items_of(joined, "allOf"), {part: other[part] for part in parts if part in other}]}
    if is_number(mine) and is_number(rule) and keyword in _GREATER + _LESSER:
        choose: Callable[..., object] = max if keyword in _GREATER else min
        return {keyword: choose(mine, rule)}
    if isinstance(mine, dict) and isinstance(rule, dict) and keyword in ("properties", "patternProperties"):
        shared = {name: {"allOf": [mine[name], rule[name]]} for name in mine if name in rule}
        return {keyword: {**mine, **rule, **shared}}
    if keyword == "type":
        return {keyword: _types(mine, rule)}
    if isinstance(mine, list) and isinstance(rule, list):
        if keyword in ("required", "allOf"):
            return {keyword: mine + rule}
        if keyword == "enum":
            theirs = set(map(key_of, rule))
            return {keyword: [each for each in mine if key_of(each) in theirs]}
    return {keyword: {"allOf": [mine, rule]}} if keyword in _NESTED else {}


def _types(one: object, other: object) -> object:
    mine = one if isinstance(one, list) else [one]
    yours = other if isinstance(other, list) else [other]
    shared = [name for name in mine if name in yours or (name == "integer" and "number" in yours)]
    shared += [name for name in yours if name == "integer" and "number" in mine and name not in mine]
    return shared or one


def ways_of(schema: dict[str, object]) -> list[object] | None:
    """The alternatives of a schema that branches, each joined with what always holds; None when it does not branch."""
    for keyword in ("allOf", "anyOf", "oneOf"):
        if keyword in schema:
            rest = {name: rule for name, rule in schema.items() if name != keyword}
            ways = items_of(schema, keyword)
            if keyword != "allOf":
                return [both(rest, way) for way in ways] if rest else ways
            joined: object = rest
            for way in ways:
                joined = both(joined, way)
            return [joined]
    if "if" in schema:
        rest = {name: rule for name, rule in schema.items() if name not in ("if", "then", "else")}
        return [
            both(both(rest, schema["if"]), schema.get("then", True)),
            both(rest, schema.get("else", True)),
        ]
    return None
