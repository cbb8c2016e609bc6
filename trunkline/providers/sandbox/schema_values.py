"""Values that are valid under a JSON Schema: a tool's arguments, or an answer of a demanded form.

A value is built from the schema and then checked against it (`schema_check`), so what comes out is valid, or it is a
refusal that says why. Work, depth and size are bounded whatever the schema is.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from fractions import Fraction

import msgspec

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import schema_check
from trunkline.providers.sandbox.pattern_values import Unfillable
from trunkline.providers.sandbox.schema_check import (
    Document,
    bound_of,
    breadth,
    items_of,
    members_of,
    names_of,
    size_of,
)
from trunkline.providers.sandbox.schema_union import both, ways_of
from trunkline.providers.sandbox.words import LEXICON

_DEPTHS = (6, 12, 24, 40)
_MOST_NODES = 2_000
_MOST_SCHEMA_NODES = 10_000
_WAYS_A_STEP = 2_000
_BRANCHING = frozenset(("allOf", "anyOf", "oneOf", "if"))
_MOST_CHARACTERS = 100_000
_LONGEST_STRING = 10_000
_MOST_ITEMS = 1_000
_OPTIONAL_DEPTH = 4
_ITEM_TRIES = 50
_INTEGERS = range(-(2**63), 2**63)
_GREATEST = Fraction(10) ** 300
_NUMBER_SPAN = 100

_NUMBERS = re.compile(r"(?<![\w.])-?\d{1,9}(?!\w|\.\d)", re.ASCII)
_NAMES = re.compile(r"(?<=[\w,;:] )[A-Z][A-Za-z-]{1,30}\b", re.ASCII)
_HINTED_TEXT = 4_000
_MOST_HINTS = 16


class Hints(msgspec.Struct, frozen=True):
    """What the prompt offers to put into the values, in its order: whole numbers and capitalised names."""

    numbers: list[int] = []
    names: list[str] = []


def hints_of(text: str) -> Hints:
    head = text[:_HINTED_TEXT]
    return Hints([int(found) for found in _NUMBERS.findall(head)[:_MOST_HINTS]], _NAMES.findall(head)[:_MOST_HINTS])


class _Try(msgspec.Struct, frozen=True):
    """How one attempt goes: how deep, with the members that may be left out or not, from which alternative on."""

    depth: int
    optional: bool
    first_way: int


def fill(schema: object, hints: Hints, seed: int, where: str) -> object:
    """A JSON value that is valid under `schema`; the same arguments give the same value.

    Raises InvalidRequest about `where` when the schema is none, has no finite value, or asks for what is not made here.
    """
    try:
        _refuse_large(schema)
        return _filled(schema, hints, seed)
    except Unfillable as reason:
        trouble = str(reason)
    except RecursionError:
        trouble = "is nested too deeply"
    raise InvalidRequest(f"the schema {trouble}", code="invalid_schema", param=where)


def _refuse_large(schema: object) -> None:
    left = [schema]
    nodes = 0
    while left:
        node = left.pop()
        nodes += 1
        if isinstance(node, dict):
            left += node.values()
        elif isinstance(node, list):
            left += node
        if nodes + len(left) > _MOST_SCHEMA_NODES:
            raise Unfillable(f"has over {_MOST_SCHEMA_NODES:,} parts")


def _filled(schema: object, hints: Hints, seed: int) -> object:
    document = Document(schema)
    trouble = Unfillable("has no value that the sandbox finds")
    for depth in _DEPTHS:
        for number, (optional, first_way) in enumerate(((True, 0), (False, 0), (False, 1), (True, 2))):
            rng = random.Random(f"{seed}.{number}")  # noqa: S311 - no secret
            try:
                value = _Filler(document, hints, rng, _Try(depth, optional, first_way)).value(schema, 0)
            except _TooDeep as reason:
                trouble = reason
                break
            if document.accepts(schema, value):
                return value
    raise trouble


class _TooDeep(Unfillable):
    """A greater depth may do."""


class _Filler:
    """One attempt. What refers to itself is followed until the depth is spent; then another alternative must do."""

    def __init__(self, document: Document, hints: Hints, rng: random.Random, attempt: _Try) -> None:
        self._document = document
        self._rng = rng
        self._try = attempt
        self._nodes = 0
        self._characters = 0
        self._open: list[object] = []
        self._numbers = list(hints.numbers)
        self._names = list(hints.names)

    def value(self, schema: object, depth: int) -> object:
        self._document.budget.spend(1)
        self._nodes += 1
        if depth > self._try.depth or self._nodes > _MOST_NODES:
            raise _TooDeep(f"has no value within {self._try.depth} levels and {_MOST_NODES} parts")
        if schema is True or schema == {}:
            return self._word()
        if schema is False:
            raise Unfillable("allows no value at some place")
        if not isinstance(schema, dict):
            raise Unfillable("has a part that is neither an object nor a boolean")
        if "$ref" in schema:
            return self._referred(schema, depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._listed(schema)
        if not _BRANCHING.isdisjoint(schema):
            # Alternatives are joined with what holds beside them, each with all of it.
            self._document.budget.spend(breadth(schema) ** 2 // _WAYS_A_STEP)
        ways = ways_of(schema)
        return self._typed(schema, depth) if ways is None else self._first(ways, depth)

    def _referred(self, schema: dict[str, object], depth: int) -> object:
        target = self._document.resolve(schema["$ref"])
        rest = {keyword: rule for keyword, rule in schema.items() if keyword not in ("$ref", "$defs", "definitions")}
        self._open.append(schema["$ref"])
        try:
            return self.value(both(target, rest) if rest else target, depth + 1)
        finally:
            self._open.pop()

    def _listed(self, schema: dict[str, object]) -> object:
        choices = items_of(schema, "enum")[:_MOST_ITEMS]
        rest = {keyword: rule for keyword, rule in schema.items() if keyword != "enum"}
        fitting = [choice for choice in choices if self._document.accepts(rest, choice)]
        if not fitting:
            raise Unfillable("has an `enum` of which nothing is valid")
        return self._rng.choice(fitting)

    def _first(self, ways: list[object], depth: int) -> object:
        """The first way that can be filled, begun at another one in a later attempt."""
        if not ways:
            raise Unfillable("has an empty list of alternatives")
        turned = self._try.first_way % len(ways)
        trouble: Unfillable | None = None
        for way in ways[turned:] + ways[:turned]:
            try:
                return self.value(way, depth + 1)
            except Unfillable as reason:
                trouble = trouble if isinstance(trouble, _TooDeep) else reason
        assert trouble is not None
        raise trouble

    def _leads_back(self, schema: object) -> bool:
        """Whether it is a reference that is being followed already: what may be left out is then left out."""
        return isinstance(schema, dict) and schema.get("$ref") in self._open

    def _typed(self, schema: dict[str, object], depth: int) -> object:
        makers: dict[str, Callable[[], object]] = {
            "object": lambda: self._object(schema, depth),
            "array": lambda: self._array(schema, depth),
            "string": lambda: self._string(schema),
            "integer": lambda: self._integer(schema),
            "number": lambda: self._number(schema),
            "boolean": lambda: self._rng.random() < 0.5,
            "null": lambda: None,
        }
        names = schema_check.types_of(schema) or [_implied_type(schema)]
        trouble: Unfillable | None = None
        for name in sorted(names, key=lambda name: name == "null"):
            try:
                return makers[name]()
            except Unfillable as reason:
                trouble = trouble if isinstance(trouble, _TooDeep) else reason
        assert trouble is not None
        raise trouble

    def _object(self, schema: dict[str, object], depth: int) -> dict[str, object]:
        required = names_of(schema, "required")
        least = size_of(schema, "minProperties", 0)
        most = size_of(schema, "maxProperties", _MOST_ITEMS)
        optional = self._try.optional and depth < _OPTIONAL_DEPTH
        made: dict[str, object] = {}
        needed = frozenset(required)
        for name in dict.fromkeys([*members_of(schema, "properties"), *required]):
            rules = schema_check.rules_of(self._document, schema, name)
            if name in needed:
                made[name] = self.value(_all(rules), depth + 1)
            elif optional and len(made) + len(required) < most and not any(map(self._leads_back, rules)):
                self._add_if_fillable(made, name, _all(rules), depth)
        for number in range(_MOST_ITEMS):
            if len(made) >= least:
                break
            name = f"{LEXICON[number % len(LEXICON)]}_{number}"
            made[name] = self.value(_all(schema_check.rules_of(self._document, schema, name)), depth + 1)
        return made

    def _add_if_fillable(self, made: dict[str, object], name: str, rule: object, depth: int) -> None:
        try:
            made[name] = self.value(rule, depth + 1)
        except Unfillable:
            return

    def _array(self, schema: dict[str, object], depth: int) -> list[object]:
        places, rest = schema_check.places_of(schema)
        if "contains" in schema and not places:
            places = [_all([schema["contains"], rest])] * min(size_of(schema, "minContains", 1), _MOST_ITEMS)
        least, most = size_of(schema, "minItems", 0), size_of(schema, "maxItems", _MOST_ITEMS)
        if least > _MOST_ITEMS:
            raise Unfillable(f"wants an array of over {_MOST_ITEMS} items")
        unique = schema.get("uniqueItems") is True
        made: list[object] = []
        for at in range(min(max(least, len(places), 1), most)):
            rule = places[at] if at < len(places) else rest
            if at < least:
                made.append(self._item(rule, made if unique else [], depth))
            elif not self._leads_back(rule):
                try:
                    made.append(self._item(rule, made if unique else [], depth))
                except Unfillable:
                    break
        return made

    def _item(self, schema: object, others: list[object], depth: int) -> object:
        for _ in range(_ITEM_TRIES):
            made = self.value(schema, depth + 1)
            self._document.budget.spend(len(others))
            if not any(schema_check.same(made, other) for other in others):
                return made
        raise Unfillable("wants more different items than were found")

    def _string(self, schema: dict[str, object]) -> str:
        least, most = size_of(schema, "minLength", 0), size_of(schema, "maxLength", _LONGEST_STRING)
        if least > _LONGEST_STRING:
            raise Unfillable(f"wants a string of over {_LONGEST_STRING} characters")
        form = schema.get("format")
        if "pattern" in schema:
            made = self._document.pattern(schema["pattern"]).example(self._rng, least, most)
        elif isinstance(form, str) and form in _FORMATS:
            made = _FORMATS[form](self._rng)
        else:
            made = self._word()
            while len(made) < least:
                made += " " + self._rng.choice(LEXICON)
            made = made[: max(least, most)]
        if not least <= len(made) <= most:
            raise Unfillable(f"has a string for which no text of {least} to {most} characters was found")
        self._characters += len(made)
        if self._characters > _MOST_CHARACTERS:
            raise Unfillable(f"wants over {_MOST_CHARACTERS} characters in all")
        return made

    def _word(self) -> str:
        return self._names.pop(0) if self._names else self._rng.choice(LEXICON)

    def _integer(self, schema: dict[str, object]) -> int:
        step = bound_of(schema, "multipleOf") or Fraction(1)
        # The whole multiples of p/q (in lowest terms) are the multiples of p.
        made = int(self._multiple(_span(schema), Fraction(step.numerator)))
        if made not in _INTEGERS:
            raise Unfillable("wants an integer of over 64 bits")
        return made

    def _number(self, schema: dict[str, object]) -> float:
        span = _span(schema)
        step = bound_of(schema, "multipleOf") or min(Fraction(1, 2), (span.high - span.low) / 4) or Fraction(1)
        made = self._multiple(span, step)
        return int(made) if made.denominator == 1 and int(made) in _INTEGERS else float(made)

    def _multiple(self, span: _Span, step: Fraction) -> Fraction:
        if step <= 0:
            raise Unfillable("has `multipleOf` that is not above 0")
        for number in self._numbers:
            if span.has(Fraction(number)) and number % step == 0:
                self._numbers.remove(number)
                return Fraction(number)
        first, last = math.ceil(span.low / step), math.floor(span.high / step)
        first += not span.has(first * step)
        last -= not span.has(last * step)
        if first > last:
            raise Unfillable("allows no number at some place")
        return self._rng.randint(first, min(last, first + _NUMBER_SPAN)) * step


class _Span(msgspec.Struct, frozen=True):
    """The numbers from `low` to `high`; an end may be excluded."""

    low: Fraction
    high: Fraction
    above: Fraction | None
    below: Fraction | None

    def has(self, number: Fraction) -> bool:
        return (
            self.low <= number <= self.high
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )


def _span(schema: dict[str, object]) -> _Span:
    """What the bounds leave; where one side is open, some numbers next to the other."""
    above, below = bound_of(schema, "exclusiveMinimum"), bound_of(schema, "exclusiveMaximum")
    lows = [bound for bound in (bound_of(schema, "minimum"), above) if bound is not None]
    highs = [bound for bound in (bound_of(schema, "maximum"), below) if bound is not None]
    if any(abs(bound) > _GREATEST for bound in lows + highs):
        raise Unfillable("has a bound of over 1e300")
    step = abs(bound_of(schema, "multipleOf") or Fraction(1))
    reach = _NUMBER_SPAN * max(step, Fraction(1))
    low = max(lows) if lows else min(Fraction(0), min(highs) - reach) if highs else Fraction(0)
    high = min(highs) if highs else max(low, Fraction(0)) + reach
    return _Span(low, high, above, below)


def _all(rules: list[object]) -> object:
    return rules[0] if len(rules) == 1 else {"allOf": rules}


def _implied_type(schema: dict[str, object]) -> str:
    """The type that a schema without `type` is about."""
    for name, keywords in _KEYWORDS.items():
        if any(keyword in schema for keyword in keywords):
            return name
    return "string"


_KEYWORDS = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "minProperties", "propertyNames"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


def _date(rng: random.Random) -> str:
    return f"{rng.randint(2000, 2029)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def _time(rng: random.Random) -> str:
    return f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}Z"


def _uuid(rng: random.Random) -> str:
    """Version 4, variant 1 (RFC 9562 section 5.4), of seeded bits."""
    bits = rng.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | (4 << 76) | (2 << 62)
    digits = f"{bits:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _host(rng: random.Random) -> str:
    return f"{rng.choice(LEXICON)}.example.com"  # RFC 2606 keeps example.com free


def _path(rng: random.Random) -> str:
    return f"/{rng.choice(LEXICON)}/{rng.choice(LEXICON)}"


_FORMATS: dict[str, Callable[[random.Random], str]] = {
    "date-time": lambda rng: f"{_date(rng)}T{_time(rng)}",
    "date": _date,
    "time": _time,
    "duration": lambda rng: f"P{rng.randint(1, 30)}D",
    "email": lambda rng: f"{rng.choice(LEXICON)}@{_host(rng)}",
    "idn-email": lambda rng: f"{rng.choice(LEXICON)}@{_host(rng)}",
    "hostname": _host,
    "idn-hostname": _host,
    "ipv4": lambda rng: f"192.0.2.{rng.randint(1, 254)}",  # RFC 5737: for documentation
    "ipv6": lambda rng: f"2001:db8::{rng.randint(1, 0xFFFF):x}",  # RFC 3849: for documentation
    "uri": lambda rng: f"https://{_host(rng)}{_path(rng)}",
    "url": lambda rng: f"https://{_host(rng)}{_path(rng)}",
    "iri": lambda rng: f"https://{_host(rng)}{_path(rng)}",
    "uri-reference": _path,
    "iri-reference": _path,
    "json-pointer": _path,
    "uuid": _uuid,
    "regex": lambda rng: f"^{rng.choice(LEXICON)}$",
}
