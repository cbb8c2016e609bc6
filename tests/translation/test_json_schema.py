"""Schemas of callers: what is one, what fits it, and that neither the schema nor the text can make the check long."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.thoroughness import examples
from trunkline.errors import InvalidRequest
from trunkline.translation.json_schema import LONGEST_SCHEMA_BYTES, Schema
from trunkline.wire.codec import Raw, encode

PARAM = "response_format.json_schema.schema"
LONGEST_S = 0.4
"""Ten times what one check may take, for a machine that is busy with others."""
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
TREE = {"$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"}
OLDER = "http://json-schema.org/draft-07/schema#"


def schema_of(schema: Any) -> Schema:
    return Schema(Raw(encode(schema)), PARAM)


def problem(schema: Any, value: Any) -> str | None:
    return schema_of(schema).problem(json.dumps(value))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"name":"Ada","age":36}', None),
        ('{"name":"Ada"}', "At the whole answer: 'age' is a required property."),
        ('{"name":"Ada","age":"old"}', "At age: 'old' is not of type 'integer'."),
        ('{"name":"ada","age":1}', "At name: 'ada' does not match '^[A-Z]'."),
        ("Ada, 36", "It is not JSON: invalid character (byte 0)."),
        ('{"name":"Ada","age":1', "It is not JSON: Input data was truncated."),
    ],
)
def test_what_is_wrong_is_told(text: str, wrong: str | None) -> None:
    assert schema_of(PERSON).problem(text) == wrong


@pytest.mark.parametrize(
    "schema",
    [
        7,
        "x",
        [],
        {"type": "nothing"},
        {"properties": 3},
        {"properties": {"a": {"required": True}}},
        {"multipleOf": 0},
        {"minLength": -1},
        {"items": {"allOf": {}}},
        {"enum": 1},
        {"$ref": 1},
    ],
)
def test_what_is_no_schema_is_refused_by_name(schema: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        schema_of(schema)
    assert caught.value.param == PARAM


def test_no_schema_fits_everything() -> None:
    assert Schema(None, PARAM).problem("[1]") is None


@pytest.mark.parametrize(
    ("schema", "fits", "does_not"),
    [
        (TREE, {"next": {"next": {}}}, {"next": {"next": 7}}),
        ({"$schema": OLDER, "items": [{"type": "string"}], "additionalItems": False}, ["a"], ["a", 1]),
        ({"items": [{"type": "string"}]}, ["a", 1], [1]),
        ({"prefixItems": [{"type": "string"}], "items": False}, ["a"], ["a", 1]),
        ({"uniqueItems": True}, [1, True, "1", [1], {"a": 1}], [{"a": [1]}, {"a": [1.0]}]),
        ({"multipleOf": 0.25}, 0.75, 0.8),
        ({"multipleOf": 0.5}, 1.5, 10**400 + 1),
        ({"patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": False}, {"a1": 1}, {"b": 1}),
        ({"patternProperties": {"^a": {"type": "integer"}}}, {"b": "x"}, {"a1": "x"}),
        ({"properties": {"a": True}, "additionalProperties": {"type": "integer"}}, {"a": "x", "b": 1}, {"b": "x"}),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1, "b": 1}, {"a": 1}),
        ({"properties": {"$ref": {"type": "string"}}}, {"$ref": "x"}, {"$ref": 1}),
    ],
)
def test_keywords(schema: Any, fits: Any, does_not: Any) -> None:
    assert problem(schema, fits) is None
    assert problem(schema, does_not) is not None


@pytest.mark.parametrize(
    "reference",
    [
        "http://127.0.0.1:1/x",
        "other.json",
        "#there",
        "#/$defs",
        "#/$defs/none",
        "#/properties",
        "#/const",
        "#/enum/0",
        "#/allOf/x",
        "#/" + "not/" * 200 + "not",
    ],
)
def test_references_lead_to_schemas_of_the_schema_alone(reference: str) -> None:
    schema = {"$ref": reference, "$defs": {}, "properties": {"pattern": {}, "type": {}}, "enum": [{"a": {"$ref": 7}}]}
    assert problem(schema, {"a": {"$ref": 7}}) is None


def test_a_schema_within_brings_no_rules_of_its_own() -> None:
    """The library would take its own unbounded keywords for a part with a `$schema`."""
    draft = "https://json-schema.org/draft/2020-12/schema"
    schema = {"$schema": draft, "items": {"$schema": draft, "pattern": "(a+)+$"}, "not": {"$ref": "#/not"}}
    assert problem({**schema, "not": False}, ["a" * 40 + "!"]) is None


def large(count: int) -> dict[str, Any]:
    return {f"p{number}": {"type": "string"} for number in range(count)}


def doubling(depth: int, how: str) -> dict[str, Any]:
    twice = {f"d{at}": {how: [{"$ref": f"#/$defs/d{at + 1}"}] * 2} for at in range(depth)}
    return {"$defs": {**twice, f"d{depth}": {"type": "object"}}, "$ref": "#/$defs/d0"}


# Each of them would take seconds or for ever: (schema, answer)
COSTLY: dict[str, Callable[[], tuple[Any, Any]]] = {
    "a large schema": lambda: ({"properties": large(4900)}, dict.fromkeys(large(4900), "x")),
    "references that double": lambda: (doubling(40, "allOf"), {}),
    "alternatives that double": lambda: (doubling(40, "anyOf"), 1),
    "a reference to itself": lambda: ({"$ref": "#"}, 1),
    "references in a ring": lambda: ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
                                      "$ref": "#/$defs/a"}, 1),
    "a slow pattern": lambda: ({"pattern": "(a+)+$"}, "a" * 10_000 + "!"),
    "optional letters": lambda: ({"pattern": "a?" * 30 + "a" * 30}, "a" * 30),
    "bounded repetitions": lambda: ({"pattern": "a{0,100}" * 6 + "b"}, "a" * 600),
    "many repetitions": lambda: ({"pattern": "a*a*a*b"}, "a" * 10_000),
    "a slow pattern of names": lambda: ({"patternProperties": {"(a+)+$": {}}, "additionalProperties": False},
                                        {"a" * 5000 + "!": 1}),
    "patterns beside what is unevaluated": lambda: ({"patternProperties": {"(a+)+$": {}},
                                                     "unevaluatedProperties": False}, {"a" * 5000 + "!": 1}),
    "many patterns of names": lambda: ({"patternProperties": {f"{n}x": {} for n in range(1000)}},
                                       dict.fromkeys(large(5000))),
    "a long answer": lambda: ({"items": {"items": {"type": "string"}}}, [["x"] * 1000] * 200),
    "long errors": lambda: ({"anyOf": [{"type": "object"}] * 2000}, ["x" * 1000] * 200),
    "what is unique": lambda: ({"uniqueItems": True}, [{"a": [number]} for number in range(20_000)]),
    "a long list of values": lambda: ({"items": {"enum": [{"a": number} for number in range(4000)]}},
                                      [{"a": 4001}] * 4000),
    "much that is required": lambda: ({"items": {"required": [f"r{n}" for n in range(20_000)]}}, [{}] * 2000),
    "what is contained": lambda: ({"items": {"contains": {"const": 1}}}, [[0] * 1000] * 200),
    "a deep answer": lambda: (TREE, json.loads('{"next":' * 300 + "7" + "}" * 300)),
    "deep on both sides": lambda: (
        json.loads('{"items":' * 300 + "true" + "}" * 300),
        json.loads("[" * 300 + "]" * 300),
    ),
    "many references into the depth": lambda: (
        {"items": {"allOf": [{"$ref": "#" + "/not" * 90}] * 500}, **json.loads('{"not":' * 95 + "true" + "}" * 95)},
        [1] * 1000,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COSTLY)
def test_no_check_takes_long(name: str) -> None:
    schema, value = COSTLY[name]()
    source, text = Raw(encode(schema)), json.dumps(value)
    began = time.process_time()
    said = Schema(source, PARAM).problem(text)
    assert time.process_time() - began < LONGEST_S
    assert said is None or len(said) < 1200


@pytest.mark.parametrize(
    "source",
    [
        encode({"properties": large(6000)}),
        encode({"enum": ["x" * LONGEST_SCHEMA_BYTES]}),
        b'{"not":' * 4000 + b"{}" + b"}" * 4000,
    ],
)
def test_what_is_too_large_is_refused_at_once(source: bytes) -> None:
    began = time.process_time()
    with pytest.raises(InvalidRequest) as caught:
        Schema(Raw(source), PARAM)
    assert time.process_time() - began < LONGEST_S
    assert caught.value.param == PARAM
    assert len(caught.value.message) < 300


scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.sampled_from(["", "a", "ab", "b1"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
types = st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"])


def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "contains": inner,
            "properties": named,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$", "[ac]"]), inner, max_size=2),
            "additionalProperties": inner,
            "propertyNames": inner,
            "required": st.lists(st.sampled_from("abc"), max_size=2),
            "dependentSchemas": named,
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
        },
    )


simple = st.booleans() | st.fixed_dictionaries(
    {},
    optional={
        "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
        "enum": st.lists(values, max_size=3),
        "const": values,
        "minimum": st.integers(-2, 2),
        "exclusiveMaximum": st.floats(-2, 2),
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "minLength": st.integers(0, 2),
        "pattern": st.sampled_from(["^a", "b$", "[0-9]+", "a|b"]),
        "maxItems": st.integers(0, 2),
        "uniqueItems": st.booleans(),
        "minProperties": st.integers(0, 2),
        "$ref": st.just("#/$defs/other"),
        "description": st.just("says nothing"),
    },
)
schemas = st.recursive(simple, deeper, max_leaves=5)


others = simple.filter(lambda schema: isinstance(schema, bool) or "$ref" not in schema)


@given(schemas, others, values)
@settings(max_examples=examples(150))
def test_what_fits_is_what_the_library_says(schema: Any, other: Any, value: Any) -> None:
    whole = {"$defs": {"other": other}, **schema} if isinstance(schema, dict) else schema
    fits = Draft202012Validator(whole).is_valid(value)
    assert (schema_of(whole).problem(json.dumps(value)) is None) is fits
