from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.sandbox.pattern_values import Unfillable
from trunkline.providers.sandbox.schema_check import Document, same

TREE = {
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["v"]}},
    "$ref": "#/$defs/node",
}
UNLESS = {"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 5}}


# A schema, values that are valid under it, values that are not: by the rules of JSON Schema 2020-12, one by one.
@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        (True, [1, None, {}], []),
        (False, [], [1, None, {}]),
        ({"type": "integer"}, [1, 1.0, -3], [1.5, "1", True, None]),
        ({"type": "number"}, [1, 1.5], [True, "1"]),
        ({"type": "boolean"}, [True, False], [0, 1, None]),
        ({"type": ["string", "null"]}, ["", None], [0, False]),
        ({"type": "string", "nullable": True}, ["", None], [0]),
        ({"const": 1}, [1, 1.0], [True, "1"]),
        ({"const": {"a": [1]}}, [{"a": [1]}], [{"a": [True]}, {"a": [1], "b": 2}]),
        ({"enum": [0, "a", None]}, [0, "a", None], [False, "b"]),
        ({"minimum": 1, "maximum": 3}, [1, 3, "text"], [0, 3.5]),
        ({"exclusiveMinimum": 1, "exclusiveMaximum": 3}, [2, 1.1], [1, 3]),
        ({"multipleOf": 0.1}, [0.3, 4, 0], [0.25]),
        ({"minLength": 2, "maxLength": 3}, ["ab", "abc", "🙂🙂"], ["a", "abcd", "🙂"]),
        ({"pattern": "b+$"}, ["ab", 5], ["ba"]),
        ({"minItems": 1, "maxItems": 2}, [[1], [1, 2]], [[], [1, 2, 3]]),
        ({"uniqueItems": True}, [[1, True, "1"]], [[1, 1.0]]),
        ({"items": {"type": "integer"}}, [[], [1]], [["a"]]),
        ({"prefixItems": [{"const": 1}], "items": False}, [[], [1]], [[2], [1, 2]]),
        ({"items": [{"const": 1}], "additionalItems": {"const": 2}}, [[1, 2, 2]], [[1, 1]]),
        ({"contains": {"const": 1}}, [[0, 1]], [[], [0]]),
        ({"contains": {"const": 1}, "minContains": 0, "maxContains": 1}, [[], [1]], [[1, 1]]),
        ({"required": ["a"]}, [{"a": None}, []], [{}]),
        ({"properties": {"a": {"type": "string"}}}, [{}, {"a": ""}, {"b": 1}], [{"a": 1}]),
        ({"properties": {"a": {}}, "additionalProperties": False}, [{"a": 1}], [{"b": 1}]),
        ({"patternProperties": {"^x": {"const": 1}}, "additionalProperties": False}, [{"xy": 1}], [{"x": 2}, {"y": 1}]),
        ({"minProperties": 1, "maxProperties": 1}, [{"a": 1}], [{}, {"a": 1, "b": 1}]),
        ({"propertyNames": {"maxLength": 1}}, [{"a": 1}], [{"ab": 1}]),
        ({"dependentRequired": {"a": ["b"]}}, [{}, {"b": 1}, {"a": 1, "b": 1}], [{"a": 1}]),
        ({"dependentSchemas": {"a": {"required": ["b"]}}}, [{}, {"a": 1, "b": 1}], [{"a": 1}]),
        ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1, 2], [0, 3]),
        ({"anyOf": [{"const": 1}, {"minimum": 5}]}, [1, 5], [2]),
        ({"oneOf": [{"minimum": 1}, {"maximum": 5}]}, [0, 6], [3]),
        ({"not": {"const": 1}}, [2, True], [1]),
        (UNLESS, ["ab", 5], ["a", 4]),
        (TREE, [{"v": 1, "next": {"v": 2}}], [{"v": 1, "next": {}}]),
        ({"$defs": {"a/b~": {"const": 1}}, "$ref": "#/$defs/a~1b~0"}, [1], [2]),
    ],
)
def test_the_rules_of_the_specification(schema: Any, valid: list[Any], invalid: list[Any]) -> None:
    for value in valid:
        assert Document(schema).accepts(schema, value), value
    for value in invalid:
        assert not Document(schema).accepts(schema, value), value


@pytest.mark.parametrize(
    "schema",
    [
        5,
        {"type": "text"},
        {"type": []},
        {"type": None},
        {"properties": []},
        {"required": "a"},
        {"required": [1]},
        {"minLength": -1},
        {"minLength": 1.5},
        {"pattern": 5},
        {"pattern": "(?=a)"},
        {"enum": 5},
        {"allOf": {}},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#/nowhere"},
        {"$ref": 5},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"unevaluatedProperties": False},
        {"$dynamicRef": "#a"},
    ],
)
def test_what_is_no_schema_or_has_no_end_is_refused(schema: object) -> None:
    refusals = 0
    for value in ("text", {"a": 1}):
        try:
            Document(schema).accepts(schema, value)
        except Unfillable:
            refusals += 1
    assert refusals


@pytest.mark.parametrize("schema", [{"minimum": "1"}, {"multipleOf": 0}, {"multipleOf": -1}])
def test_bounds_are_numbers(schema: object) -> None:
    with pytest.raises(Unfillable):
        Document(schema).accepts(schema, 1)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0]) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@given(VALUES, VALUES)
def test_equality_is_that_of_json(one: object, other: object) -> None:
    assert same(one, one)
    assert same(one, other) == same(other, one)
    if repr(one) == repr(other):
        assert same(one, other)
    if isinstance(one, bool) != isinstance(other, bool):
        assert not same(one, other)
