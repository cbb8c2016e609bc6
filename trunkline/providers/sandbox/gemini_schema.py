"""Google's own schema objects, read as strictly as Google reads them, and made JSON Schemas that can be filled.

Sources: https://ai.google.dev/api/caching#Schema for the fields; what is refused beyond them as Google's API words it.
"""

from __future__ import annotations

import re

from trunkline.errors import InvalidRequest

PAYLOAD = "invalid_payload"
"""The code of errors that Google lists as field violations."""

_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_COUNTS = frozenset({"maxItems", "minItems", "minProperties", "maxProperties", "minLength", "maxLength"})
_PLAIN = frozenset(
    {"title", "description", "nullable", "required", "pattern", "example", "propertyOrdering", "default"}
    | {"minimum", "maximum", "enum"}
)
_NESTED = frozenset({"properties", "anyOf", "items", "type", "format"})
_STRING_FORMATS = ("enum", "date-time")
_UPPER = re.compile(r"(?<=[a-z0-9])([A-Z])")


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def snake(path: str) -> str:
    """A path as Google's errors spell it."""
    return _UPPER.sub(lambda found: "_" + found[1].lower(), path)


def json_schema(schema: object, where: str) -> dict[str, object]:
    """Raises InvalidRequest about `where`, or about all fields inside that Google's schemas do not have."""
    strays: list[str] = []
    found = _read(schema, where, strays)
    if strays:
        raise InvalidRequest("\n".join(strays[:20]), code=PAYLOAD, param=where)
    return found


def _read(schema: object, where: str, strays: list[str]) -> dict[str, object]:
    if not isinstance(schema, dict):
        raise InvalidRequest(f"Invalid value at '{snake(where)}': a schema is an object", code=PAYLOAD, param=where)
    found: dict[str, object] = {}
    for given, value in schema.items():
        name = camel(given)
        if value is None:
            continue
        if name in _NESTED:
            found |= _nested(name, value, where, strays)
        elif name in _COUNTS:
            found[name] = _count(value, f"{where}.{name}")
        elif name in _PLAIN:
            found[name] = value
        else:
            strays.append(unknown(given, where))
    _check(found, where)
    return {name: value for name, value in found.items() if name not in ("propertyOrdering", "example", "format")}


def _nested(name: str, value: object, where: str, strays: list[str]) -> dict[str, object]:
    place = f"{where}.{name}"
    if name == "type":
        return _type(value, place, strays, where)
    if name == "format":
        return {"format": value}
    if name == "items":
        return {"items": _read(value, place, strays)}
    if name == "anyOf":
        listed = value if isinstance(value, list) else [value]
        return {"anyOf": [_read(each, f"{place}[{at}]", strays) for at, each in enumerate(listed)]}
    if not isinstance(value, dict):
        raise InvalidRequest(f"Invalid value at '{snake(place)}': a map is an object", code=PAYLOAD, param=place)
    named = enumerate(value.items())
    return {"properties": {key: _read(inner, f"{place}[{at}].value", strays) for at, (key, inner) in named}}


def _type(value: object, place: str, strays: list[str], where: str) -> dict[str, object]:
    if isinstance(value, list):
        strays.append(
            f"Invalid JSON payload received. Unknown name \"type\" at '{snake(where)}': Proto field is not repeating, "
            "cannot start list."
        )
        return {}
    kind = str(value).lower()
    if kind not in _TYPES:
        raise InvalidRequest(
            f"Invalid value at '{snake(place)}' (type.googleapis.com/google.ai.generativelanguage.v1beta.Type), "
            f'"{str(value)[:60]}"',
            code=PAYLOAD,
            param=place,
        )
    return {"type": kind}


def _count(value: object, place: str) -> int:
    """An int64, which JSON may spell as a string."""
    if isinstance(value, (str, int)) and re.fullmatch(r"\d{1,18}", str(value), re.ASCII):
        return int(value)
    raise InvalidRequest(f"Invalid value at '{snake(place)}' (TYPE_INT64), {str(value)[:60]}", code=PAYLOAD)


def _check(schema: dict[str, object], where: str) -> None:
    kind, properties = schema.get("type"), schema.get("properties")
    names = properties if isinstance(properties, dict) else {}
    if kind == "object" and "properties" in schema and not names:
        raise _bad(f"{where}.properties", "should be non-empty for OBJECT type")
    required = schema.get("required")
    for at, name in enumerate(required if isinstance(required, list) else []):
        if name not in names:
            raise _bad(f"{where}.required[{at}]", "property is not defined")
    if kind == "array" and "items" not in schema:
        raise _bad(f"{where}.items", "missing field.")
    if kind == "string" and schema.get("format") not in (None, *_STRING_FORMATS):
        raise _bad(f"{where}.format", "only 'enum' and 'date-time' are supported for STRING type")
    listed = schema.get("enum", [])
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise InvalidRequest(f"Invalid value at '{snake(where)}.enum[0]' (TYPE_STRING)", code=PAYLOAD, param=where)


def _bad(where: str, said: str) -> InvalidRequest:
    return InvalidRequest(f"* GenerateContentRequest.{snake(where)}: {said}", param=where)


def unknown(name: str, where: str) -> str:
    """Google's sentence about a field that it does not know."""
    at = f" at '{snake(where)}'" if where else ""
    return f'Invalid JSON payload received. Unknown name "{name[:100]}"{at}: Cannot find field.'
