"""What Anthropic takes of a JSON Schema that an answer must have, which is less than the sandbox could fill.

Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs, JSON Schema limitations.
"""

from __future__ import annotations

from collections.abc import Iterator

from trunkline.errors import InvalidRequest

_UNSUPPORTED = {
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength"),
    "array": ("maxItems", "uniqueItems", "contains", "minContains", "maxContains"),
    "object": ("minProperties", "maxProperties", "patternProperties", "propertyNames"),
}
_LISTS = ("anyOf", "allOf", "oneOf", "prefixItems")
_MAPS = ("properties", "$defs", "definitions")


def check(schema: object, where: str) -> None:
    """Raises InvalidRequest about `where` for what Anthropic refuses."""
    for part in _parts(schema):
        kinds = part.get("type")
        for kind in kinds if isinstance(kinds, list) else [kinds]:
            _check_kind(part, str(kind), where)


def _check_kind(part: dict[str, object], kind: str, where: str) -> None:
    if kind == "object" and part.get("additionalProperties") is not False:
        raise InvalidRequest(
            f"{where}: For 'object' type, 'additionalProperties' must be explicitly set to false", param=where
        )
    if found := [keyword for keyword in _UNSUPPORTED.get(kind, ()) if keyword in part]:
        raise InvalidRequest(
            f"{where}: For '{kind}' type, properties {', '.join(found)} are not supported", param=where
        )
    if kind == "array" and part.get("minItems") not in (None, 0, 1):
        raise InvalidRequest(f"{where}: For 'array' type, 'minItems' values other than 0 or 1 are not supported")


def _parts(schema: object) -> Iterator[dict[str, object]]:
    """The schema and every schema in it."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict):
            continue
        yield part
        waiting += [part.get("items"), part.get("not"), part.get("additionalProperties")]
        for keyword in _LISTS:
            inner = part.get(keyword)
            waiting += inner if isinstance(inner, list) else []
        for keyword in _MAPS:
            named = part.get(keyword)
            waiting += named.values() if isinstance(named, dict) else []
