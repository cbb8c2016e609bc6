"""Whether a JSON value is valid under a JSON Schema (the keywords of 2020-12 that say something about values).

`format` is an annotation, as the specification has it by default. References stay inside the schema.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from urllib.parse import unquote

from trunkline.providers.sandbox.pattern_values import Budget, Pattern, Unfillable

_DEEPEST = 120
_BREADTH_A_STEP = 20

TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
_UNREAD = ("$dynamicRef", "$recursiveRef", "unevaluatedProperties", "unevaluatedItems", "dependencies")


class Document:
    """The schema as a whole: what `$ref` points into, its patterns read once, and the work it may cost."""

    __slots__ = ("_patterns", "budget", "root")

    def __init__(self, root: object, steps: int = 25_000) -> None:
        self.root = root
        self.budget = Budget(steps)
        self._patterns: dict[str, Pattern] = {}

    def pattern(self, text: object) -> Pattern:
        if not isinstance(text, str):
            raise Unfillable("has a `pattern` that is not a string")
        found = self._patterns.get(text)
        if found is None:
            found = self._patterns[text] = Pattern(text, self.budget)
        return found

    def resolve(self, reference: object) -> object:
        """The schema at a `#` or `#/a/b` reference (RFC 6901)."""
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise Unfillable("has a `$ref` to something outside of it")
        place = self.root
        for token in reference.split("/")[1:]:
            self.budget.spend(1)
            name = unquote(token).replace("~1", "/").replace("~0", "~")
            if isinstance(place, dict) and name in place:
                place = place[name]
            elif isinstance(place, list) and name.isascii() and name.isdigit() and int(name[:9]) < len(place):
                place = place[int(name[:9])]
            else:
                raise Unfillable(f"has a `$ref` to nothing: {reference[:100]}")
        return place

    def accepts(self, schema: object, value: object, depth: int = 0) -> bool:
        """Raises Unfillable for a schema that is none, or that uses what is not checked here."""
        self.budget.spend(1 + breadth(schema) // _BREADTH_A_STEP)
        if depth > _DEEPEST:
            raise Unfillable("refers to itself without end")
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise Unfillable("has a part that is neither an object nor a boolean")
        for keyword in _UNREAD:
            if keyword in schema:
                raise Unfillable(f"uses `{keyword}`, which the sandbox does not fill")
        return (
            _is_typed(schema, value)
            and _is_listed(schema, value)
            and _BY_TYPE.get(type(value), _anything)(self, schema, value, depth + 1)
            and _combines(self, schema, value, depth + 1)
        )


def breadth(schema: object) -> int:
    """How much its keywords list: what they name is gone through for every value."""
    if not isinstance(schema, dict):
        return 0
    return sum(len(rule) for rule in schema.values() if isinstance(rule, (dict, list)))


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def same(one: object, other: object) -> bool:
    """Equality of JSON values: 1 is 1.0, but true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return one == other


def key_of(value: object) -> object:
    """Equal for what is the `same`, and fit for a set."""
    if isinstance(value, dict):
        return frozenset((name, key_of(member)) for name, member in value.items())
    if isinstance(value, list):
        return tuple(map(key_of, value))
    return (bool, value) if isinstance(value, bool) else value


def types_of(schema: dict[str, object]) -> list[str]:
    """The types that `type` names, [] when it is absent. `nullable` is OpenAPI 3.0's way to add null."""
    if "type" not in schema:
        return []
    named = schema["type"]
    found = [str(name) for name in (named if isinstance(named, list) else [named])]
    if not found or any(name not in TYPES for name in found):
        raise Unfillable("has a `type` that is none of " + ", ".join(TYPES))
    return [*found, "null"] if schema.get("nullable") is True else found


def _is_typed(schema: dict[str, object], value: object) -> bool:
    names = types_of(schema)
    return not names or any(_is(value, name) for name in names)


def _is(value: object, name: str) -> bool:
    if name == "integer":
        return is_number(value) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    if name == "number":
        return is_number(value)
    kinds: dict[str, type] = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    return isinstance(value, kinds[name])


def _is_listed(schema: dict[str, object], value: object) -> bool:
    if "const" in schema and not same(schema["const"], value):
        return False
    if "enum" not in schema:
        return True
    return any(same(each, value) for each in items_of(schema, "enum"))


def items_of(schema: dict[str, object], keyword: str) -> list[object]:
    found = schema.get(keyword, [])
    if not isinstance(found, list):
        raise Unfillable(f"has `{keyword}` that is not an array")
    return found


def members_of(schema: dict[str, object], keyword: str) -> dict[str, object]:
    found = schema.get(keyword, {})
    if not isinstance(found, dict):
        raise Unfillable(f"has `{keyword}` that is not an object")
    return found


def names_of(schema: dict[str, object], keyword: str) -> list[str]:
    found = items_of(schema, keyword)
    if not all(isinstance(name, str) for name in found):
        raise Unfillable(f"has `{keyword}` that is not an array of strings")
    return [name for name in found if isinstance(name, str)]


def size_of(schema: dict[str, object], keyword: str, default: int) -> int:
    found = schema.get(keyword, default)
    if not isinstance(found, (int, float)) or isinstance(found, bool) or found < 0 or found != int(found):
        raise Unfillable(f"has `{keyword}` that is not a whole number from 0 on")
    return int(found)


def bound_of(schema: dict[str, object], keyword: str) -> Fraction | None:
    """The exact value of a numeric keyword, None when it is absent."""
    found = schema.get(keyword)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise Unfillable(f"has `{keyword}` that is not a number")
    return exact(found)


def exact(number: float) -> Fraction:
    """The decimal number that was written, so that 0.3 is a multiple of 0.1."""
    return Fraction(str(number))


def _anything(document: Document, schema: dict[str, object], value: object, depth: int) -> bool:
    return True


def _string(document: Document, schema: dict[str, object], value: object, depth: int) -> bool:
    assert isinstance(value, str)
    if not size_of(schema, "minLength", 0) <= len(value) <= size_of(schema, "maxLength", len(value)):
        return False
    return "pattern" not in schema or document.pattern(schema["pattern"]).matches(value)


def _number(document: Document, schema: dict[str, object], value: object, depth: int) -> bool:
    assert isinstance(value, (int, float))
    number = exact(value)
    least, most = bound_of(schema, "minimum"), bound_of(schema, "maximum")
    above, below = bound_of(schema, "exclusiveMinimum"), bound_of(schema, "exclusiveMaximum")
    step = bound_of(schema, "multipleOf")
    if step is not None and step <= 0:
        raise Unfillable("has `multipleOf` that is not above 0")
    return (
        (least is None or number >= least)
        and (most is None or number <= most)
        and (above is None or number > above)
        and (below is None or number < below)
        and (step is None or number % step == 0)
    )


def _array(document: Document, schema: dict[str, object], value: object, depth: int) -> bool:
    assert isinstance(value, list)
    if not size_of(schema, "minItems", 0) <= len(value) <= size_of(schema, "maxItems", len(value)):
        return False
    if schema.get("uniqueItems") is True and not _are_unique(document, value):
        return False
    places, rest = places_of(schema)
    for at, item in enumerate(value):
        if not document.accepts(places[at] if at < len(places) else rest, item, depth):
            return False
    if "contains" not in schema:
        return True
    fitting = sum(document.accepts(schema["contains"], item, depth) for item in value)
    return size_of(schema, "minContains", 1) <= fitting <= size_of(schema, "maxContains", len(value))


def places_of(schema: dict[str, object]) -> tuple[list[object], object]:
    """The schemas of an array's first items and of all others, as 2020-12 or as draft 7 writes them."""
    if isinstance(schema.get("items"), list):
        return items_of(schema, "items"), schema.get("additionalItems", True)
    return items_of(schema, "prefixItems"), schema.get("items", True)


def _are_unique(document: Document, items: list[object]) -> bool:
    for at, item in enumerate(items):
        document.budget.spend(1 + at)
        if any(same(item, earlier) for earlier in items[:at]):
            return False
    return True


def _object(document: Document, schema: dict[str, object], value: object, depth: int) -> bool:
    assert isinstance(value, dict)
    if not size_of(schema, "minProperties", 0) <= len(value) <= size_of(schema, "maxProperties", len(value)):
        return False
    if any(name not in value for name in names_of(schema, "required")):
        return False
    for trigger, needed in members_of(schema, "dependentRequired").items():
        if trigger in value and any(name not in value for name in names_of({"of": needed}, "of")):
            return False
    for trigger, more in members_of(schema, "dependentSchemas").items():
        if trigger in value and not document.accepts(more, value, depth):
            return False
    for name, member in value.items():
        if "propertyNames" in schema and not document.accepts(schema["propertyNames"], name, depth):
            return False
        if not all(document.accepts(rule, member, depth) for rule in rules_of(document, schema, name)):
            return False
    return True


def rules_of(document: Document, schema: dict[str, object], name: str) -> list[object]:
    """The schemas that the member `name` of an object must satisfy."""
    rules = []
    properties = members_of(schema, "properties")
    if name in properties:
        rules.append(properties[name])
    for pattern, rule in members_of(schema, "patternProperties").items():
        if document.pattern(pattern).matches(name):
            rules.append(rule)
    return rules or [schema.get("additionalProperties", True)]


def _combines(document: Document, schema: dict[str, object], value: object, depth: int) -> bool:
    if "$ref" in schema and not document.accepts(document.resolve(schema["$ref"]), value, depth):
        return False
    if not all(document.accepts(each, value, depth) for each in items_of(schema, "allOf")):
        return False
    if "anyOf" in schema and not any(document.accepts(each, value, depth) for each in items_of(schema, "anyOf")):
        return False
    if "oneOf" in schema:
        fitting = sum(document.accepts(each, value, depth) for each in items_of(schema, "oneOf"))
        if fitting != 1:
            return False
    if "not" in schema and document.accepts(schema["not"], value, depth):
        return False
    if "if" not in schema:
        return True
    then = "then" if document.accepts(schema["if"], value, depth) else "else"
    return document.accepts(schema.get(then, True), value, depth)


_BY_TYPE: dict[type, Callable[[Document, dict[str, object], object, int], bool]] = {
    str: _string,
    int: _number,
    float: _number,
    list: _array,
    dict: _object,
}
