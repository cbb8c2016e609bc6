"""Which schemas go to the model as they are, which are closed first, and which it cannot keep to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from trunkline.providers.sandbox import messages_schema
from trunkline.translation.anthropic_messages.schemas import native

OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}
CLOSED = {**OPEN, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        (CLOSED, CLOSED),
        (OPEN, CLOSED),
        ({"anyOf": [OPEN, {"type": "null"}]}, {"anyOf": [CLOSED, {"type": "null"}]}),
        ({"type": "array", "items": OPEN, "minItems": 1}, {"type": "array", "items": CLOSED, "minItems": 1}),
        (
            {**CLOSED, "properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": OPEN}},
            {**CLOSED, "properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": CLOSED}},
        ),
        ({**OPEN, "type": ["object", "null"]}, {**CLOSED, "type": ["object", "null"]}),
    ],
)
def test_objects_are_closed(schema: dict[str, Any], sent: dict[str, Any]) -> None:
    found = native(Raw(msgspec.json.encode(schema)))
    assert found is not None
    assert msgspec.json.decode(found) == sent
    messages_schema.check(sent, "schema")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {**OPEN, "additionalProperties": True},
        {**CLOSED, "properties": {"n": {"type": "integer", "minimum": 0}}},
        {"type": "string", "maxLength": 3},
        {"type": "array", "minItems": 2},
    ],
)
def test_what_the_model_cannot_keep_to(schema: dict[str, Any]) -> None:
    assert native(Raw(msgspec.json.encode(schema))) is None


def test_bytes_stay_as_they_came() -> None:
    raw = Raw(b'{ "type":"object", "properties":{"a":{"const":1.0e2}},"additionalProperties" : false}')
    assert native(raw) is raw
    assert native(Raw(b"[" * 100_000)) is None
