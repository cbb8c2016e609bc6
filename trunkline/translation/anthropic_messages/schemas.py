"""Schemas that a model of this protocol keeps to by itself: less than JSON Schema has.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs (JSON Schema limitations)
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from trunkline.wire import codec
from trunkline.wire.codec import encode

_NOT_TAKEN = frozenset(
    ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems")
) | {"uniqueItems", "contains", "minContains", "maxContains", "minProperties", "maxProperties"}
_NOT_TAKEN |= {"patternProperties", "propertyNames"}
_ONE, _LISTS, _MAPS = (
    ("items", "not"),
    ("anyOf", "allOf", "oneOf", "prefixItems"),
    ("properties", "$defs", "definitions"),
)


def native(schema: Raw) -> Raw | None:
    """The schema as it may be sent, None when it may not. An object that says nothing of other properties gets none:
    what fits the narrower schema fits the caller's too."""
    try:
        whole = msgspec.json.decode(schema)
        closed = _closed(whole)
    except (*codec.UNREADABLE, _NotTakenError):
        return None
    return schema if closed == whole else Raw(encode(closed))


class _NotTakenError(Exception):
    """A part that Anthropic refuses."""


def _closed(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    if _NOT_TAKEN.intersection(schema) or schema.get("minItems") not in (None, 0, 1):
        raise _NotTakenError
    made = dict(schema)
    kinds = schema.get("type")
    if kinds == "object" or (isinstance(kinds, list) and "object" in kinds):
        if "additionalProperties" not in schema and schema.get("properties"):
            made["additionalProperties"] = False
        elif schema.get("additionalProperties") is not False:
            raise _NotTakenError
    for name in _ONE:
        if name in made:
            made[name] = _closed(made[name])
    for name in _LISTS:
        if isinstance(made.get(name), list):
            made[name] = [_closed(one) for one in made[name]]
    for name in _MAPS:
        if isinstance(made.get(name), dict):
            made[name] = {key: _closed(one) for key, one in made[name].items()}
    return made
