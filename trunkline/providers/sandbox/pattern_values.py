"""Strings that match a JSON Schema `pattern`, made from the pattern itself.

Python's `re` is not run on a caller's pattern: a hostile one keeps it busy for ever. Read here is the part of the
language that is matched in bounded time: characters, classes, groups, alternatives, quantifiers, anchors at the ends.
"""

from __future__ import annotations

import random
import re
import string
from typing import TypeAlias

import msgspec

_LONGEST_PATTERN = 1_000
_LONGEST_TEXT = 10_000
_DEEPEST = 20

_ANY = 2**30
_DIGITS = frozenset(string.digits)
_WORD = frozenset(string.ascii_letters + string.digits + "_")
_SPACE = frozenset(" \t\n\r\f\v")
_PRINTABLE = string.ascii_lowercase + string.digits + string.ascii_uppercase + " _" + string.punctuation
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_CODE_DIGITS = {"x": 2, "u": 4}
_GROUP = re.compile(r"\((?:\?:|\?P?<[A-Za-z_]\w{0,40}>|(?!\?))")
_COUNT = re.compile(r"\{(\d{1,4})(,?)(\d{0,4})\}")


class Unfillable(Exception):
    """A schema asks for what the sandbox cannot make. The message continues a sentence that begins with the schema."""


class Budget:
    """Work that one schema may cost, so that a hostile one does not hold up the process."""

    __slots__ = ("_left",)

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise Unfillable("takes too long to work out")


class _Character(msgspec.Struct, frozen=True):
    """One of `characters`, or any other when `excluded`."""

    characters: frozenset[str]
    excluded: bool = False

    def has(self, character: str) -> bool:
        return (character in self.characters) is not self.excluded


class _Sequence(msgspec.Struct, frozen=True):
    parts: list[_Node]


class _Alternatives(msgspec.Struct, frozen=True):
    ways: list[_Node]


class _Repeat(msgspec.Struct, frozen=True):
    part: _Node
    least: int
    most: int


_Node: TypeAlias = _Character | _Sequence | _Alternatives | _Repeat


class _Way(msgspec.Struct, frozen=True):
    """One alternative of the whole pattern, and whether it is bound to the ends of the text."""

    node: _Node
    at_start: bool
    at_end: bool


class Pattern:
    """A `pattern` of a schema. Raises Unfillable for one that is not read here."""

    __slots__ = ("_budget", "_ways")

    def __init__(self, pattern: str, budget: Budget) -> None:
        if len(pattern) > _LONGEST_PATTERN:
            raise Unfillable(f"has a `pattern` of over {_LONGEST_PATTERN} characters")
        self._ways = _Reader(pattern).ways()
        self._budget = budget

    def example(self, rng: random.Random, least: int, most: int) -> str:
        """A match of `least` to `most` characters, else Unfillable. The shorter repetitions are tried first."""
        for extra in (2, 0, 1, *range(3, 65), 128, 256, 512, 1_024, 2_048, 4_096, _LONGEST_TEXT):
            for way in self._ways:
                made: list[str] = []
                self._write(way.node, rng, extra, made)
                if least <= len(made) <= most:
                    return "".join(made)
        raise Unfillable(f"has a `pattern` for which no text of {least} to {most} characters was found")

    def _write(self, node: _Node, rng: random.Random, extra: int, made: list[str]) -> None:
        """Appends the characters of a match; what may repeat does so `extra` times over its least."""
        self._budget.spend(1)
        if len(made) > _LONGEST_TEXT:
            return
        if isinstance(node, _Character):
            made.append(_example(node, rng))
        elif isinstance(node, _Sequence):
            for part in node.parts:
                self._write(part, rng, extra, made)
        elif isinstance(node, _Alternatives):
            self._write(rng.choice(node.ways), rng, extra, made)
        else:
            for _ in range(min(node.least + extra, node.most, _LONGEST_TEXT + 1 - len(made))):
                self._write(node.part, rng, extra, made)

    def matches(self, text: str) -> bool:
        """Whether the pattern is found anywhere in `text`, as JSON Schema means it."""
        for way in self._ways:
            ends = self._ends(way.node, text, {0} if way.at_start else set(range(len(text) + 1)))
            if len(text) in ends if way.at_end else ends:
                return True
        return False

    def _ends(self, node: _Node, text: str, starts: set[int]) -> set[int]:
        """Where a match of `node` that begins at one of `starts` can end."""
        self._budget.spend(1 + len(starts))
        if isinstance(node, _Character):
            return {at + 1 for at in starts if at < len(text) and node.has(text[at])}
        if isinstance(node, _Sequence):
            for part in node.parts:
                starts = self._ends(part, text, starts)
            return starts
        if isinstance(node, _Alternatives):
            return set().union(*(self._ends(way, text, starts) for way in node.ways))
        for _ in range(node.least):
            starts = self._ends(node.part, text, starts)
        reached = fresh = starts
        for _ in range(node.most - node.least):
            fresh = self._ends(node.part, text, fresh) - reached
            if not fresh:
                break
            reached = reached | fresh
        return reached


def _example(node: _Character, rng: random.Random) -> str:
    usual = [character for character in _PRINTABLE if node.has(character)]
    if usual:
        return rng.choice(usual[:36])
    if node.excluded or not node.characters:
        raise Unfillable("has a `pattern` that leaves no printable character")
    return min(node.characters)


class _Reader:
    """Recursive descent over the pattern's text."""

    __slots__ = ("_at", "_depth", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def ways(self) -> list[_Way]:
        found = [self._way()]
        while self._skip("|"):
            found.append(self._way())
        if self._at < len(self._text):
            raise self._unread()
        return found

    def _way(self) -> _Way:
        at_start = self._skip("^")
        node = self._sequence()
        return _Way(node, at_start, self._skip("$"))

    def _sequence(self) -> _Sequence:
        parts: list[_Node] = []
        while (character := self._peek()) and character not in "|)$":
            parts.append(self._quantified())
        return _Sequence(parts)

    def _quantified(self) -> _Node:
        part = self._atom()
        if self._skip("?"):
            limits = (0, 1)
        elif self._skip("*"):
            limits = (0, _ANY)
        elif self._skip("+"):
            limits = (1, _ANY)
        elif self._peek() == "{":
            limits = self._count()
        else:
            return part
        self._skip("?")  # lazy or greedy: the matches are the same
        return _Repeat(part, *limits)

    def _count(self) -> tuple[int, int]:
        found = _COUNT.match(self._text, self._at)
        if not found:
            raise self._unread()
        self._at = found.end()
        least = int(found[1])
        most = int(found[3]) if found[3] else _ANY if found[2] else least
        if most < least:
            raise self._unread()
        return least, most

    def _atom(self) -> _Node:
        character = self._peek()
        if character == "(":
            return self._group()
        if character in "*+?{^":
            raise self._unread()
        self._at += 1
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escape()
        if character == ".":
            return _Character(frozenset("\n\r"), excluded=True)
        return _Character(frozenset(character))

    def _group(self) -> _Node:
        found = _GROUP.match(self._text, self._at)
        if not found or self._depth >= _DEEPEST:
            raise self._unread()
        self._at = found.end()
        self._depth += 1
        ways: list[_Node] = [self._sequence()]
        while self._skip("|"):
            ways.append(self._sequence())
        if not self._skip(")"):
            raise self._unread()
        self._depth -= 1
        return _Alternatives(ways)

    def _class(self) -> _Character:
        excluded = self._skip("^")
        characters: set[str] = set()
        while not self._skip("]"):
            first = self._member()
            if len(first) == 1 and self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                last = self._member()
                if len(last) != 1 or min(last) < min(first):
                    raise self._unread()
                characters.update(map(chr, range(ord(min(first)), ord(min(last)) + 1)))
            else:
                characters |= first
        return _Character(frozenset(characters), excluded)

    def _member(self) -> frozenset[str]:
        """What one place of a class names: a character, or several after a backslash."""
        character = self._peek()
        if not character:
            raise self._unread()
        self._at += 1
        if character != "\\":
            return frozenset(character)
        if self._skip("b"):
            return frozenset("\b")
        named = self._escape()
        if named.excluded:
            raise self._unread()
        return named.characters

    def _escape(self) -> _Character:
        name = self._peek()
        self._at += 1
        if name in ("d", "D"):
            return _Character(_DIGITS, name == "D")
        if name in ("w", "W"):
            return _Character(_WORD, name == "W")
        if name in ("s", "S"):
            return _Character(_SPACE, name == "S")
        if name in _CONTROL:
            return _Character(frozenset(_CONTROL[name]))
        if name in _CODE_DIGITS:
            code = self._text[self._at : self._at + _CODE_DIGITS[name]]
            self._at += len(code)
            if len(code) == _CODE_DIGITS[name] and all(c in string.hexdigits for c in code):
                return _Character(frozenset(chr(int(code, 16))))
        elif name and name in string.punctuation:
            return _Character(frozenset(name))
        self._at -= 1
        raise self._unread()

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip(self, character: str) -> bool:
        if self._peek() != character:
            return False
        self._at += 1
        return True

    def _unread(self) -> Unfillable:
        return Unfillable(f"has a `pattern` that the sandbox does not read, at character {self._at + 1}")
