from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.thoroughness import examples
from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.schema_check import Document
from trunkline.providers.sandbox.schema_values import Hints, fill, hints_of

Judge = Callable[[Any], bool]
NO_HINTS = Hints()


def filled(schema: object, seed: int = 0, hints: Hints = NO_HINTS) -> Any:
    return fill(schema, hints, seed, "tools[0].function.parameters")


# Each schema comes with a judge written beside it, so that the values are not judged by the code that made them.
def bounded(low: int, span: int, exclusive: bool) -> tuple[dict[str, Any], Judge]:
    high = low + span
    if exclusive:
        schema = {"type": "integer", "exclusiveMinimum": low, "exclusiveMaximum": high + 2}
        return schema, lambda value: type(value) is int and low < value < high + 2
    return {
        "type": "integer",
        "minimum": low,
        "maximum": high,
    }, lambda value: type(value) is int and low <= value <= high


def real(low: float, span: float) -> tuple[dict[str, Any], Judge]:
    schema = {"type": "number", "minimum": low, "exclusiveMaximum": low + span}
    return schema, lambda value: not isinstance(value, bool) and low <= value < low + span


def text(least: int, span: int) -> tuple[dict[str, Any], Judge]:
    schema = {"type": "string", "minLength": least, "maxLength": least + span}
    return schema, lambda value: isinstance(value, str) and least <= len(value) <= least + span


def listed(values: list[Any]) -> tuple[dict[str, Any], Judge]:
    return {"enum": values}, lambda value: any(value is each or value == each for each in values)


Pair = tuple[dict[str, Any], Judge]
LEAVES: st.SearchStrategy[Pair] = st.one_of(
    st.builds(bounded, st.integers(-1_000, 1_000), st.integers(0, 50), st.booleans()),
    st.builds(real, st.integers(-9, 9).map(float), st.sampled_from([0.125, 1.0, 40.0])),
    st.builds(text, st.integers(0, 60), st.integers(0, 5)),
    st.builds(listed, st.lists(st.sampled_from(["a", "b", 1, None, {"k": [1]}]), min_size=1, max_size=3)),
    st.just(({"type": "boolean"}, lambda value: isinstance(value, bool))),
    st.just(({"type": "null"}, lambda value: value is None)),
    st.just(({"const": {"deep": [1, None]}}, lambda value: value == {"deep": [1, None]})),
)


def objects(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    def build(members: dict[str, Pair], required: set[str], closed: bool) -> Pair:
        needed = sorted(required & set(members))
        schema: dict[str, Any] = {"type": "object", "properties": {n: s for n, (s, _) in members.items()}}
        schema |= {"required": needed} | ({"additionalProperties": False} if closed else {})
        judges = {name: judge for name, (_, judge) in members.items()}

        def judge(value: Any) -> bool:
            return (
                isinstance(value, dict)
                and set(needed) <= set(value)
                and (not closed or set(value) <= set(judges))
                and all(judges[name](value[name]) for name in value if name in judges)
            )

        return schema, judge

    names = st.sampled_from(["id", "unit", "größe", "a/b"])
    return st.builds(build, st.dictionaries(names, inner, max_size=4), st.sets(names), st.booleans())


def arrays(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    def build(item: Pair, least: int, span: int) -> Pair:
        schema = {"type": "array", "items": item[0], "minItems": least, "maxItems": least + span}
        return (
            schema,
            lambda value: isinstance(value, list) and least <= len(value) <= least + span and all(map(item[1], value)),
        )

    return st.builds(build, inner, st.integers(0, 4), st.integers(0, 2))


def any_of(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    def build(ways: list[Pair], keyword: str) -> Pair:
        judges = [judge for _, judge in ways]
        return {keyword: [schema for schema, _ in ways]}, lambda value: any(judge(value) for judge in judges)

    return st.builds(build, st.lists(inner, min_size=1, max_size=3), st.just("anyOf"))


def referred(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    return inner.map(lambda pair: ({"allOf": [pair[0], {"title": "referred"}]}, pair[1]))


PAIRS = st.recursive(
    LEAVES, lambda inner: objects(inner) | arrays(inner) | any_of(inner) | referred(inner), max_leaves=8
)


@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.too_slow])
@given(PAIRS, st.integers(0, 3))
def test_values_are_valid_by_an_independent_judge(pair: Pair, seed: int) -> None:
    schema, judge = pair
    value = filled(schema, seed, Hints([3, 77], ["Paris"]))
    assert judge(value), (schema, value)
    assert judge(msgspec.json.decode(msgspec.json.encode(value)))
    assert filled(schema, seed, Hints([3, 77], ["Paris"])) == value


@settings(max_examples=examples(100))
@given(PAIRS)
def test_a_schema_behind_a_reference_is_the_same_schema(pair: Pair) -> None:
    schema, judge = pair
    assert judge(filled({"$defs": {"it": schema}, "$ref": "#/$defs/it"}))


FORMATS = {
    "date-time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "date": r"\d{4}-\d\d-\d\d",
    "time": r"\d\d:\d\d:\d\dZ",
    "duration": r"P\d+D",
    "email": r"\w+@\w+\.example\.com",
    "hostname": r"\w+\.example\.com",
    "ipv4": r"192\.0\.2\.\d+",
    "ipv6": r"2001:db8::[0-9a-f]+",
    "uri": r"https://\w+\.example\.com/\w+/\w+",
    "uri-reference": r"/\w+/\w+",
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "json-pointer": r"/\w+/\w+",
    "regex": r"\^\w+\$",
    "something-new": r"\w+",
}


@pytest.mark.parametrize("name", list(FORMATS))
def test_formats(name: str) -> None:
    values = {filled({"type": "string", "format": name}, seed) for seed in range(20)}
    assert all(re.fullmatch(FORMATS[name], value) for value in values)
    assert len(values) > 3, "seeded"


TREE = {"type": "object", "properties": {"v": {"type": "integer"}, "kids": {"type": "array", "items": {"$ref": "#"}}}}
TREE_BY_NAME = {
    "type": "object",
    "properties": {"next": {"$ref": "#/$defs/t"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/t"}}},
}
SUM = {"type": "object", "properties": {"l": {"$ref": "#/$defs/e"}, "r": {"$ref": "#/$defs/e"}}, "required": ["l", "r"]}
EXPRESSION = {"$defs": {"e": {"anyOf": [SUM, {"type": "integer"}]}}, "$ref": "#/$defs/e"}
SHAPES = {
    "oneOf": [
        {"properties": {"kind": {"const": "circle"}, "r": {"type": "number"}}, "required": ["kind", "r"]},
        {"properties": {"kind": {"const": "square"}, "a": {"type": "number"}}, "required": ["kind", "a"]},
    ],
    "type": "object",
}


@pytest.mark.parametrize(
    "schema",
    [
        TREE,
        TREE | {"required": ["v", "kids"]},
        EXPRESSION,
        SHAPES,
        True,
        {},
        {"not": {"type": "null"}},
        {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"},
        {"type": "string", "pattern": "^[a-z]+$", "minLength": 12, "maxLength": 12},
        {"oneOf": [{"type": "integer"}, {"type": "integer", "minimum": 3}], "maximum": 2},
        {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}], "$defs": {"a": {"minimum": 3}, "b": {"maximum": 3}}},
        {"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}, "type": "object", "required": ["a"]},
        {"type": "array", "contains": {"const": 7}, "minContains": 2, "items": {"type": "integer"}},
        {"type": "array", "prefixItems": [{"const": 1}, {"type": "string"}], "items": False, "minItems": 2},
        {"type": "array", "uniqueItems": True, "minItems": 3, "items": {"enum": [1, 2, 3]}},
        {"type": "object", "minProperties": 3, "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "dependentRequired": {"a": ["b"]}},
        {"type": "number", "multipleOf": 0.1, "minimum": 0.25, "maximum": 0.35},
        {"type": "integer", "multipleOf": 2.5, "minimum": 1},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=x)"}}},
        {"anyOf": [{"required": ["a"]}, {"required": ["b"]}], "properties": {"a": {"const": 1}}},
        {"type": ["null", "string"], "maxLength": 0},
    ],
)
def test_difficult_schemas_are_filled(schema: object) -> None:
    for seed in range(3):
        value = filled(schema, seed)
        assert Document(schema).accepts(schema, value), value


@pytest.mark.parametrize(
    "schema",
    [
        5,
        None,
        [],
        False,
        {"type": "text"},
        {"not": {}},
        {"$ref": "#"},
        {"$ref": "#/nowhere"},
        {"$ref": "http://example.com/"},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"anyOf": []},
        {"enum": []},
        {"type": "object", "properties": {"again": {"$ref": "#"}}, "required": ["again"]},
        {"type": "array", "minItems": 1, "items": {"$ref": "#"}},
        {"type": "array", "minItems": 10**9, "items": {}},
        {"type": "array", "uniqueItems": True, "minItems": 3, "items": {"type": "boolean"}},
        {"type": "string", "minLength": 10**12},
        {"type": "string", "minLength": 5, "maxLength": 4},
        {"type": "string", "format": "uuid", "maxLength": 3},
        {"type": "integer", "minimum": 2, "maximum": 1},
        {"type": "integer", "minimum": 2**64 - 1},
        {"type": "number", "minimum": 1.7e308},
        {"type": "number", "multipleOf": 0},
        {"type": "object", "properties": {"a": {"pattern": "(?=x)"}}, "required": ["a"]},
        {"type": "array", "minItems": 1000, "items": {"type": "array", "minItems": 1000, "items": {}}},
        {"type": "array", "minItems": 900, "items": {"type": "string", "minLength": 9000}},
        {"type": "object", "minProperties": 10**9},
        {"properties": {"a": {"allOf": {"not": "a list"}}}, "required": ["a"]},
        {"type": "object", "properties": {f"p{n}": {} for n in range(20_000)}},
        {"required": [f"q{n}" for n in range(4000)], "properties": {f"p{n}": {} for n in range(4000)}},
        {"type": "array", "minItems": 900, "items": {"type": "string", "not": {"enum": [f"{n}" for n in range(9000)]}}},
        {"allOf": [{"enum": list(range(4000))}, {"enum": list(range(4000, 8000))}]},
    ],
)
def test_what_cannot_be_filled_is_refused_in_bounded_time(schema: object) -> None:
    began = time.process_time()
    with pytest.raises(InvalidRequest) as caught:
        filled(schema)
    assert time.process_time() - began < 0.7
    assert caught.value.param == "tools[0].function.parameters"
    assert caught.value.code == "invalid_schema"
    assert caught.value.message.startswith("the schema ")


def test_large_schemas_are_filled() -> None:
    names = [f"p{n}" for n in range(300)]
    assert set(filled({"properties": {name: {"type": "integer"} for name in names}, "required": names})) == set(names)
    assert len(filled({"type": "array", "minItems": 10, "items": {"enum": list(range(1000))}})) == 10


def test_recursion_that_may_be_left_out_is_left_out() -> None:
    assert set(filled(TREE)) == {"v", "kids"}
    assert filled({"$defs": {"t": TREE_BY_NAME}, "$ref": "#/$defs/t"}) == {"kids": []}


def test_a_schema_nested_as_deep_as_the_decoder_lets_it_is_refused() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(900):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    with pytest.raises(InvalidRequest):
        filled(schema)
    with pytest.raises(InvalidRequest):
        filled({"enum": [schema], "const": schema, "not": {"enum": [schema]}})


SPELLED = """
    type properties required items anyOf oneOf allOf not $ref $defs enum const minimum maximum multipleOf minLength
    maxLength pattern format minItems uniqueItems additionalProperties patternProperties if then prefixItems contains
    minProperties
"""
KEYWORDS = st.sampled_from(SPELLED.split())
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**40) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["string", "object", "array", "integer", "#", "#/$defs/a", "date", "^a+$", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS | st.just("a"), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.too_slow])
@given(ANYTHING)
def test_anything_is_filled_or_refused(schema: object) -> None:
    try:
        value = filled(schema)
    except InvalidRequest:
        return
    msgspec.json.encode(value)
    assert Document(schema).accepts(schema, value)


def test_hints_are_the_numbers_and_names_of_the_prompt() -> None:
    assert hints_of("What is magic_function(3)? Use -7, not 2.5 or v1.") == Hints([3, -7], [])
    assert hints_of("The weather in Paris, New-York and I: Rome") == Hints([], ["Paris", "New-York", "Rome"])


def test_hints_are_used_where_they_are_valid() -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "maximum": 9}, "n": {"type": "number"}},
        "required": ["city", "days", "n"],
    }
    assert filled(schema, hints=hints_of("The weather in Paris for 40 or 7 days")) == {
        "city": "Paris",
        "days": 7,
        "n": 40,
    }


@pytest.mark.parametrize("prompt", ["1" * 100_000, "-" * 100_000, "A " * 50_000, "a.1" * 40_000])
def test_hostile_prompts_take_bounded_time(prompt: str) -> None:
    began = time.process_time()
    hints_of(prompt)
    assert time.process_time() - began < 0.5
