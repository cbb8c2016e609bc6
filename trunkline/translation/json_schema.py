"""A caller's JSON schema: whether it is one, and whether an answer fits it, at a cost that is bounded.

Both the schema and the text may be meant to keep this process busy. So the schema is read into a shape first, of which
nothing is left but keywords that mean something, each of its right type; then every keyword that is tried on a value
is paid for, and so is every error, which repeats the value in words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, Literal

import msgspec
from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker, exceptions, validators
from msgspec import UNSET, Meta, Raw, UnsetType
from referencing import Registry
from referencing.exceptions import Unresolvable

from trunkline.errors import InvalidRequest
from trunkline.translation import patterns
from trunkline.wire import codec

LONGEST_SCHEMA_BYTES: Final = 256 * 1024
MOST_PARTS: Final = 5000
"""As many properties as OpenAI takes: https://platform.openai.com/docs/guides/structured-outputs"""
MOST_WORK: Final = 16_000
"""Keywords tried on a value, some 3 us each."""
SHOWN_CHARACTERS: Final = 500
LONGEST_REFERENCE: Final = 100
"""In steps, each of them a name between two slashes."""
DEEPEST: Final = 120
"""Keywords inside keywords, each of them some four calls of the interpreter."""
STEPS_AN_ERROR: Final = 20
CHARACTERS_A_STEP: Final = 200
MATCHES_A_STEP: Final = 200

_Type = Literal["object", "array", "string", "integer", "number", "boolean", "null"]
_Number = int | float
_Count = Annotated[int, Meta(ge=0)]


class _Shape(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel"):
    """The keywords of draft 7 and of 2020-12 that say something about values. The rest is left out: what only
    describes, and what would lead to another place (`$id`, `$anchor`, `$dynamicRef`, `$schema` below the top)."""

    ref: str | UnsetType = msgspec.field(default=UNSET, name="$ref")
    defs: dict[str, _Shape | bool] | UnsetType = msgspec.field(default=UNSET, name="$defs")
    definitions: dict[str, _Shape | bool] | UnsetType = UNSET
    type: _Type | Annotated[list[_Type], Meta(max_length=7)] | UnsetType = UNSET
    enum: list[Any] | UnsetType = UNSET
    const: Any = UNSET
    multiple_of: Annotated[int, Meta(gt=0)] | Annotated[float, Meta(gt=0)] | UnsetType = UNSET
    minimum: _Number | UnsetType = UNSET
    maximum: _Number | UnsetType = UNSET
    exclusive_minimum: _Number | UnsetType = UNSET
    exclusive_maximum: _Number | UnsetType = UNSET
    min_length: _Count | UnsetType = UNSET
    max_length: _Count | UnsetType = UNSET
    pattern: str | UnsetType = UNSET
    items: _Shape | bool | list[_Shape | bool] | UnsetType = UNSET
    prefix_items: list[_Shape | bool] | UnsetType = UNSET
    additional_items: _Shape | bool | UnsetType = UNSET
    contains: _Shape | bool | UnsetType = UNSET
    min_contains: _Count | UnsetType = UNSET
    max_contains: _Count | UnsetType = UNSET
    min_items: _Count | UnsetType = UNSET
    max_items: _Count | UnsetType = UNSET
    unique_items: bool | UnsetType = UNSET
    properties: dict[str, _Shape | bool] | UnsetType = UNSET
    pattern_properties: dict[str, _Shape | bool] | UnsetType = UNSET
    additional_properties: _Shape | bool | UnsetType = UNSET
    property_names: _Shape | bool | UnsetType = UNSET
    required: list[str] | UnsetType = UNSET
    min_properties: _Count | UnsetType = UNSET
    max_properties: _Count | UnsetType = UNSET
    dependent_required: dict[str, list[str]] | UnsetType = UNSET
    dependent_schemas: dict[str, _Shape | bool] | UnsetType = UNSET
    dependencies: dict[str, _Shape | bool | list[str]] | UnsetType = UNSET
    all_of: list[_Shape | bool] | UnsetType = UNSET
    any_of: list[_Shape | bool] | UnsetType = UNSET
    one_of: list[_Shape | bool] | UnsetType = UNSET
    not_: _Shape | bool | UnsetType = msgspec.field(default=UNSET, name="not")
    if_: _Shape | bool | UnsetType = msgspec.field(default=UNSET, name="if")
    then: _Shape | bool | UnsetType = UNSET
    else_: _Shape | bool | UnsetType = msgspec.field(default=UNSET, name="else")


class _Head(msgspec.Struct):
    draft: str = msgspec.field(default="", name="$schema")


_decode_shape = msgspec.json.Decoder(_Shape | bool).decode
_decode_head = msgspec.json.Decoder(_Head | bool).decode
_OLDER = re.compile(r"json-schema\.org/draft-0[3-7]/")


class _TooMuch(Exception):
    """More work than one answer may cost."""


class _Work(FormatChecker):
    """What is left of the work of one check. A validator hands on nothing but this to those it makes."""

    def __init__(self) -> None:
        super().__init__(formats=())
        self.depth = 0
        self._left = MOST_WORK

    def spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise _TooMuch

    def enter(self) -> None:
        """A keyword inside a keyword. The interpreter's own limit must not be met: inside the library's maps, which are
        Rust, it is no RecursionError but a panic, and nothing that catches errors catches that."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise _TooMuch


Errors = Iterator[exceptions.ValidationError]
Keyword = Callable[[Any, Any, Any, Any], Errors | None]


class Schema:
    """Raises InvalidRequest, naming `param`, when it is none, or larger than is checked here.

    References to other places are not followed; a pattern that could take for ever to match is not tried. Nor is what
    a schema says of members that no other part of it evaluates (`unevaluatedProperties`).
    """

    def __init__(self, raw: Raw | None, param: str) -> None:
        source = b"true" if raw is None else bytes(raw)
        if len(source) > LONGEST_SCHEMA_BYTES or source.count(b"{") > MOST_PARTS:
            raise InvalidRequest(
                f"'{param}' is too large to be kept to: a schema has at most {LONGEST_SCHEMA_BYTES:,} bytes and"
                f" {MOST_PARTS:,} objects.",
                param=param,
            )
        try:
            self._schema: Any = msgspec.to_builtins(_decode_shape(source))
            head = _decode_head(source)
        except RecursionError:
            raise InvalidRequest(f"'{param}' is nested too deeply.", param=param) from None
        except codec.UNREADABLE as error:
            raise InvalidRequest(f"'{param}' is no JSON schema: {error}", param=param) from None
        older = isinstance(head, _Head) and _OLDER.search(head.draft) is not None
        self._kind: Any = _OLDER_KIND if older else _KIND

    def problem(self, text: str) -> str | None:
        """What is wrong with an answer, in a sentence; None when it fits."""
        try:
            value = msgspec.json.decode(text.encode("utf-8", "surrogatepass"))
        except codec.UNREADABLE as error:
            return f"It is not JSON: {str(error).removeprefix('JSON is malformed: ')}."
        validator = self._kind(self._schema, registry=Registry(), format_checker=_Work())
        try:
            wrong = exceptions.best_match(validator.iter_errors(value))
        except _TooMuch:
            return "It is too large, or its schema too involved, for it to be checked."
        if wrong is None:
            return None
        place = wrong.json_path.removeprefix("$").lstrip(".") or "the whole answer"
        return f"At {place[:SHOWN_CHARACTERS]}: {wrong.message[:SHOWN_CHARACTERS]}."


def _paid(keyword: Keyword) -> Keyword:
    """The same, for what it costs: a step, more where the keyword holds much, and more for errors, which are long."""

    def check(validator: Any, rule: Any, instance: Any, schema: Any) -> Errors:
        work: _Work = validator.format_checker
        work.spend(1 + (len(rule) // 20 if isinstance(rule, dict | list) else 0))
        work.enter()
        try:
            for error in keyword(validator, rule, instance, schema) or ():
                work.spend(STEPS_AN_ERROR + len(error.message) // CHARACTERS_A_STEP)
                yield error
        finally:  # who asks for the first error alone leaves the rest
            work.depth -= 1

    return check


def _matches(validator: Any, pattern: str, text: str) -> bool | None:
    """None for a pattern that would take too long on this text, or is none."""
    matches = patterns.matches_at_most(pattern, len(text))
    if matches is None:
        return None
    validator.format_checker.spend(matches // MATCHES_A_STEP)
    return re.search(pattern, text) is not None


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Errors:
    if isinstance(instance, str) and _matches(validator, pattern, instance) is False:
        yield exceptions.ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, rules: dict[str, Any], instance: Any, schema: Any) -> Errors:
    if not isinstance(instance, dict):
        return
    for pattern, rule in rules.items():
        for name, value in instance.items():
            validator.format_checker.spend(1)
            if _matches(validator, pattern, name):
                yield from validator.descend(value, rule, path=name, schema_path=pattern)


def _additional_properties(validator: Any, rule: Any, instance: Any, schema: Any) -> Errors:
    """A name that a pattern may be meant for is not additional."""
    if not isinstance(instance, dict):
        return
    named, meant = schema.get("properties", {}), schema.get("patternProperties", {})
    validator.format_checker.spend(len(instance) // 20)
    extra = [
        name
        for name in instance
        if name not in named and all(_matches(validator, pattern, name) is False for pattern in meant)
    ]
    if rule is False and extra:
        listed = ", ".join(repr(name) for name in extra[:10])
        yield exceptions.ValidationError(f"Additional properties are not allowed: {listed[:SHOWN_CHARACTERS]}")
    elif isinstance(rule, dict):
        for name in extra:
            yield from validator.descend(instance[name], rule, path=name)


def _unique_items(validator: Any, rule: Any, instance: Any, schema: Any) -> Errors:
    if rule and isinstance(instance, list):
        seen = {_frozen(item, validator.format_checker) for item in instance}
        if len(seen) < len(instance):
            yield exceptions.ValidationError(f"{instance!r} has non-unique elements")


def _frozen(value: Any, work: _Work) -> Any:
    """Equal for what JSON Schema calls equal: 1 is 1.0, but true is not 1."""
    work.spend(1)
    if isinstance(value, dict):
        return frozenset((name, _frozen(member, work)) for name, member in value.items())
    if isinstance(value, list):
        return tuple(_frozen(member, work) for member in value)
    return (bool, value) if isinstance(value, bool) else value


def _multiple_of(validator: Any, step: Any, instance: Any, schema: Any) -> Errors:
    try:
        yield from _LIBRARY["multipleOf"](validator, step, instance, schema) or ()
    except OverflowError:  # a whole number that no float can hold
        yield exceptions.ValidationError(f"{str(instance)[:40]} is not a multiple of {step!r}")


def _items(validator: Any, rule: Any, instance: Any, schema: Any) -> Errors:
    """A list of schemas is the older drafts' way, which many still write."""
    library = _OLDER_LIBRARY if isinstance(rule, list) else _LIBRARY
    yield from library["items"](validator, rule, instance, schema) or ()


_HOLDS_ONE = frozenset(
    (
        "additionalItems",
        "additionalProperties",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
    )
)
_HOLDS_LIST = frozenset(("prefixItems", "allOf", "anyOf", "oneOf"))
_HOLDS_NAMED = frozenset(("$defs", "definitions", "properties", "patternProperties", "dependentSchemas"))


def _leads_to_a_schema(reference: str) -> bool:
    """Only what was read as a schema is one: a value of `const` is not, nor is the table of all properties."""
    top, *tokens = reference.split("/", LONGEST_REFERENCE)
    if top != "#" or len(tokens) == LONGEST_REFERENCE:
        return False
    left = list(reversed(tokens))
    while left:
        keyword = left.pop()
        if keyword in _HOLDS_NAMED or (keyword in _HOLDS_LIST and left and left[-1].isdigit()):
            if not left:
                return False
            left.pop()
        elif keyword == "items" and left and left[-1].isdigit():
            left.pop()
        elif keyword not in _HOLDS_ONE:
            return False
    return True


def _ref(validator: Any, reference: str, instance: Any, schema: Any) -> Errors:
    validator.format_checker.spend(reference.count("/"))
    if not _leads_to_a_schema(reference):
        return
    try:
        yield from _LIBRARY["$ref"](validator, reference, instance, schema) or ()
    except Unresolvable:
        return


_LIBRARY: Any = Draft202012Validator.VALIDATORS
_OLDER_LIBRARY: Any = Draft7Validator.VALIDATORS
_OWN: dict[str, Keyword] = {
    "$ref": _ref,
    "additionalProperties": _additional_properties,
    "items": _items,
    "multipleOf": _multiple_of,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "uniqueItems": _unique_items,
}


def _kind(base: Any, keywords: dict[str, Keyword]) -> Any:
    extend: Any = validators.extend
    return extend(base, {name: _paid(keyword) for name, keyword in {**keywords, **_OWN}.items()})


_KIND: Final = _kind(Draft202012Validator, _LIBRARY)
_OLDER_KIND: Final = _kind(Draft7Validator, _OLDER_LIBRARY)
