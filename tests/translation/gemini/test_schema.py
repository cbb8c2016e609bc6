"""Google's schema objects as JSON schemas."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.gemini.schema import json_schema

CASES: list[tuple[Any, Any]] = [
    ({"type": "STRING"}, {"type": "string"}),
    ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
    ({"type": "STRING", "nullable": False}, {"type": "string"}),
    ({"type": "STRING", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
    ({"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1", "max_items": 3},
     {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3}),
    ({"type": "OBJECT", "properties": {"type": {"type": "NUMBER"}, "max_items": {"type": "BOOLEAN"}},
      "required": ["type"], "propertyOrdering": ["type"], "example": {"type": 1}},
     {"type": "object", "properties": {"type": {"type": "number"}, "max_items": {"type": "boolean"}},
      "required": ["type"]}),
    ({"any_of": [{"type": "STRING"}, {"type": "NULL"}], "nullable": True, "description": None},
     {"anyOf": [{"type": "string"}, {"type": "null"}, {"type": "null"}]}),
    ({"defs": {"A": {"type": "STRING"}}, "ref": "#/defs/A"}, {"$defs": {"A": {"type": "string"}}, "$ref": "#/$defs/A"}),
    ({"type": "OBJECT", "additionalProperties": {"type": "INTEGER"}},
     {"type": "object", "additionalProperties": {"type": "integer"}}),
    ({"type": "STRING", "format": "date-time", "title": "T", "default": "x", "minLength": "x"},
     {"type": "string", "format": "date-time", "title": "T", "default": "x", "minLength": "x"}),
    ({"type": 5, "properties": 1, "anyOf": 2}, {"type": 5, "properties": 1, "anyOf": 2}),
    (True, True),
]  # fmt: skip


@pytest.mark.parametrize(("given", "made"), CASES)
def test_schemas(given: Any, made: Any) -> None:
    assert msgspec.json.decode(json_schema(Raw(msgspec.json.encode(given)), "x")) == made


def test_what_is_made_can_be_checked_against() -> None:
    schema = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}, "required": ["a"]}
    made = Draft202012Validator(msgspec.json.decode(json_schema(Raw(msgspec.json.encode(schema)), "x")))
    assert made.is_valid({"a": None})
    assert made.is_valid({"a": "b"})
    assert not made.is_valid({"a": 1})


def test_depth_is_refused() -> None:
    deep = b'{"items":' * 20_000 + b"{}" + b"}" * 20_000
    with pytest.raises(InvalidRequest, match="nested too deeply") as caught:
        json_schema(Raw(deep), "here")
    assert caught.value.param == "here"
