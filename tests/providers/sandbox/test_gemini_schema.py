from __future__ import annotations

from typing import Any

import pytest

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.gemini_schema import PAYLOAD, camel, json_schema, snake, unknown


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({"type": "STRING", "description": "d"}, {"type": "string", "description": "d"}),
        ({"type": "string", "format": "date-time", "nullable": True}, {"type": "string", "nullable": True}),
        ({"type": "INTEGER", "minimum": 1, "format": "int32"}, {"type": "integer", "minimum": 1}),
        (
            {"type": "ARRAY", "items": {"type": "NUMBER"}, "min_items": "1", "maxItems": 3},
            {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 3},
        ),
        (
            {"type": "OBJECT", "properties": {"a_b": {"type": "BOOLEAN"}}, "required": ["a_b"],
             "property_ordering": ["a_b"]},
            {"type": "object", "properties": {"a_b": {"type": "boolean"}}, "required": ["a_b"]},
        ),
        ({"anyOf": [{"type": "STRING"}, {"type": "NULL"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"type": "STRING", "enum": ["a"], "format": "enum", "title": None}, {"type": "string", "enum": ["a"]}),
        ({"type": "OBJECT"}, {"type": "object"}),
    ],
)  # fmt: skip
def test_what_google_takes_is_a_json_schema(schema: Any, made: Any) -> None:
    assert json_schema(schema, "where") == made


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "STRING", "const": "a"}, "Unknown name \"const\" at 'tools[0].function_declarations[1].parameters'"),
        ({"type": "OBJECT", "additionalProperties": False}, 'Unknown name "additionalProperties"'),
        ({"$ref": "#/$defs/x"}, 'Unknown name "$ref"'),
        ({"oneOf": []}, 'Unknown name "oneOf"'),
        (
            {"type": "OBJECT", "properties": {"a": {"type": "STRING"}, "b": {"anyOf": [{"const": 1}]}}},
            "Unknown name \"const\" at 'tools[0].function_declarations[1].parameters.properties[1].value.any_of[0]'",
        ),
        ({"type": ["STRING", "NULL"]}, "Proto field is not repeating, cannot start list."),
        ({"type": "TEXT"}, "Invalid value at 'tools[0].function_declarations[1].parameters.type'"),
        ({"type": "ARRAY", "items": {"type": "STRING"}, "minItems": -1}, "(TYPE_INT64)"),
        ({"type": "OBJECT", "properties": {}}, "properties: should be non-empty for OBJECT type"),
        ({"type": "OBJECT", "properties": []}, "a map is an object"),
        ({"type": "OBJECT", "required": ["a"]}, "required[0]: property is not defined"),
        ({"type": "ARRAY"}, "items: missing field."),
        ({"type": "STRING", "format": "uri"}, "only 'enum' and 'date-time' are supported for STRING type"),
        ({"type": "INTEGER", "enum": [1]}, "(TYPE_STRING)"),
        ("STRING", "a schema is an object"),
    ],
)
def test_what_google_refuses(schema: Any, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        json_schema(schema, "tools[0].functionDeclarations[1].parameters")
    assert said in caught.value.message


def test_all_stray_fields_are_told_at_once() -> None:
    with pytest.raises(InvalidRequest) as caught:
        json_schema({"const": 1, "not": {}, "type": "OBJECT"}, "where")
    assert len(caught.value.message.split("\n")) == 2
    assert caught.value.code == PAYLOAD


def test_spellings() -> None:
    assert camel("function_call") == "functionCall"
    assert camel("functionCall") == "functionCall"
    assert snake("tools[0].functionDeclarations[1].parametersJsonSchema") == (
        "tools[0].function_declarations[1].parameters_json_schema"
    )
    assert unknown("x", "") == 'Invalid JSON payload received. Unknown name "x": Cannot find field.'
