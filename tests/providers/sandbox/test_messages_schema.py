from __future__ import annotations

from typing import Any

import pytest

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.messages_schema import check

CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}


@pytest.mark.parametrize(
    "schema",
    [
        CLOSED,
        {"type": "array", "items": CLOSED, "minItems": 1},
        {"anyOf": [CLOSED, {"type": ["string", "null"], "pattern": "a+", "format": "email"}]},
        {"$defs": {"x": CLOSED}, "$ref": "#/$defs/x"},
        {"enum": ["a", 1]},
        True,
    ],
)
def test_what_anthropic_takes(schema: Any) -> None:
    check(schema, "where")


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "object"}, "'additionalProperties' must be explicitly set to false"),
        ({**CLOSED, "additionalProperties": True}, "must be explicitly set to false"),
        ({**CLOSED, "properties": {"a": {"type": "object"}}}, "must be explicitly set to false"),
        ({"type": ["object", "null"]}, "must be explicitly set to false"),
        ({"type": "integer", "minimum": 1, "maximum": 2}, "For 'integer' type, properties minimum, maximum are not"),
        ({"anyOf": [{"type": "string", "maxLength": 2}]}, "maxLength"),
        ({"type": "array", "items": {"type": "number", "multipleOf": 2}}, "multipleOf"),
        ({"type": "array", "maxItems": 2}, "maxItems"),
        ({"type": "array", "minItems": 2}, "'minItems' values other than 0 or 1"),
        ({"$defs": {"x": {"type": "object"}}}, "explicitly set to false"),
    ],
)
def test_what_anthropic_refuses(schema: Any, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check(schema, "where")
    assert said in caught.value.message


def test_depth_is_no_trouble() -> None:
    schema: Any = CLOSED
    for _ in range(50_000):
        schema = {"not": schema}
    check(schema, "where")
