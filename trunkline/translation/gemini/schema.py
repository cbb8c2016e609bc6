"""Google's own schema objects as JSON schemas.

They are a part of OpenAPI's: types in capitals, `nullable`, numbers that are strings
(https://ai.google.dev/api/caching#Schema). What is not one of theirs stays as it is.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.gemini.spelling import camel
from trunkline.wire.codec import encode

_COUNTS = frozenset(("maxItems", "minItems", "minProperties", "maxProperties", "minLength", "maxLength"))
_OF_GOOGLE_ALONE = frozenset(("propertyOrdering", "example", "nullable"))


def json_schema(raw: Raw, where: str) -> Raw:
    """Raises InvalidRequest when it is nested too deeply."""
    try:
        return Raw(encode(_schema(msgspec.json.decode(raw))))
    except RecursionError:
        raise InvalidRequest(f"Invalid value at '{where}': nested too deeply.", param=where) from None


def _schema(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    given = {camel(name) if not name.startswith("$") else name: inner for name, inner in value.items()}
    for name, inner in given.items():
        if name == "type":
            found[name] = inner.lower() if isinstance(inner, str) else inner
        elif name in ("properties", "defs", "$defs"):
            found["$defs" if name == "defs" else name] = _named(inner)
        elif name in ("items", "additionalProperties"):
            found[name] = _schema(inner)
        elif name == "anyOf":
            found[name] = [_schema(one) for one in inner] if isinstance(inner, list) else inner
        elif name == "ref":
            found["$ref"] = inner.replace("#/defs/", "#/$defs/") if isinstance(inner, str) else inner
        elif name in _COUNTS:
            found[name] = int(inner) if isinstance(inner, str) and inner.isdecimal() else inner
        elif name not in _OF_GOOGLE_ALONE and inner is not None:
            found[name] = inner
    if given.get("nullable") is True:
        _allow_null(found)
    return found


def _named(value: Any) -> Any:
    return {name: _schema(inner) for name, inner in value.items()} if isinstance(value, dict) else value


def _allow_null(schema: dict[str, Any]) -> None:
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    if isinstance(schema.get("anyOf"), list):
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    if isinstance(schema.get("enum"), list):
        schema["enum"] = [*schema["enum"], None]
