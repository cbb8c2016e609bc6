from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.sandbox.schema_check import Document
from trunkline.providers.sandbox.schema_union import both, ways_of

NAMES = {"properties": {"a": {"minimum": 1}}, "required": ["a"]}
SCHEMAS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["integer", "number", ["integer", "null"], ["string", "number"]]),
        "minimum": st.integers(0, 3),
        "maximum": st.integers(2, 5),
        "enum": st.just([1, 2, 3, 9, "a"]),
        "anyOf": st.sampled_from([[{"minimum": 2}, {"const": 0}], [{"type": "null"}, {"multipleOf": 2}]]),
        "oneOf": st.sampled_from([[{"maximum": 2}, {"const": 9}]]),
        "allOf": st.sampled_from([[{"multipleOf": 3}]]),
        "if": st.just({"minimum": 3}),
        "then": st.just({"multipleOf": 3}),
    },
)
VALUES = [None, "a", 0, 1, 1.5, 2, 3, 4, 6, 9]


@given(SCHEMAS, SCHEMAS)
def test_a_joined_schema_admits_what_both_admit(one: dict[str, Any], other: dict[str, Any]) -> None:
    joined = both(one, other)
    for value in VALUES:
        if Document(one).accepts(one, value) and Document(other).accepts(other, value):
            assert Document(joined).accepts(joined, value), value


@given(SCHEMAS)
def test_the_ways_cover_what_the_schema_admits(schema: dict[str, Any]) -> None:
    ways = ways_of(schema)
    if ways is None:
        assert not {"allOf", "anyOf", "oneOf", "if"} & set(schema)
        return
    for value in VALUES:
        if Document(schema).accepts(schema, value):
            assert any(Document(way).accepts(way, value) for way in ways), value


@pytest.mark.parametrize(
    ("one", "other", "joined"),
    [
        (True, {"const": 1}, {"const": 1}),
        ({"const": 1}, True, {"const": 1}),
        ({"const": 1}, False, False),
        (False, {"const": 1}, False),
        ({"minimum": 1}, {"minimum": 2}, {"minimum": 2}),
        ({"maxLength": 1}, {"maxLength": 2}, {"maxLength": 1}),
        ({"type": "number"}, {"type": "integer"}, {"type": ["integer"]}),
        (NAMES, {"required": ["b"]}, {**NAMES, "required": ["a", "b"]}),
        (
            {"properties": {"a": {"minimum": 1}}},
            {"properties": {"a": {"maximum": 2}, "b": {}}},
            {"properties": {"a": {"allOf": [{"minimum": 1}, {"maximum": 2}]}, "b": {}}},
        ),
        ({"$ref": "#/a"}, {"$ref": "#/b"}, {"$ref": "#/a", "allOf": [{"$ref": "#/b"}]}),
        ({"items": {"a": 1}}, {"items": {"b": 1}}, {"items": {"allOf": [{"a": 1}, {"b": 1}]}}),
        ({"title": "kept"}, {"title": "not"}, {"title": "kept"}),
    ],
)
def test_joins(one: object, other: object, joined: object) -> None:
    assert both(one, other) == joined
