"""Directives: a `[[name=value ...]]` block in the last user message tells the sandbox how to behave.

A block is one whose words include a `name=value` or a known flag; other text in double brackets stays text.
"""

from __future__ import annotations

import re

import msgspec

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.words import MOST_TOKENS

LONGEST_MS = 600_000
MOST_CALLS = 32


class Directives(msgspec.Struct, frozen=True, kw_only=True):
    """What the blocks of one message say. A position is a number of tokens: 0 is before the first byte of the body."""

    tokens: int | None = None
    first_ms: int = 0
    delay_ms: int = 0
    seed: int | None = None
    calls: int = 1
    status: int | None = None
    retry_after: int | None = None
    times: int | None = None
    stall_after: int | None = None
    stall_ms: int | None = None
    cut_after: int | None = None
    garble_after: int | None = None
    error_after: int | None = None
    cached: int = 0
    no_usage: bool = False
    no_done: bool = False
    refuse: bool = False
    redacted: bool = False


NONE = Directives()

_PACE = {
    "first_ms": (0, LONGEST_MS),
    "delay_ms": (0, LONGEST_MS),
    "seed": (0, 2**63 - 1),
    "cached": (0, MOST_TOKENS),
}
_TEXT = {"tokens": (1, MOST_TOKENS), **_PACE}
_FAULTS = {
    "status": (300, 599),
    "retry_after": (0, 3_600),
    "times": (1, 1_000),
    "stall_after": (0, MOST_TOKENS),
    "stall_ms": (0, LONGEST_MS),
    "cut_after": (0, MOST_TOKENS),
    "garble_after": (0, MOST_TOKENS),
    "error_after": (0, MOST_TOKENS),
}

RANGES: dict[str, dict[str, tuple[int, int]]] = {
    "echo": _TEXT,
    "story": _TEXT,
    "think": _TEXT,
    "vision": _TEXT,
    "json": _PACE,
    "tools": {**_TEXT, "calls": (1, MOST_CALLS)},
    "faulty": {**_TEXT, **_FAULTS},
}
"""By model, the names it obeys and the least and greatest value of each."""

FLAGS: dict[str, tuple[str, ...]] = {
    "echo": ("refuse",),
    "story": ("refuse",),
    "think": ("redacted", "refuse"),
    "vision": ("refuse",),
    "json": ("refuse",),
    "tools": ("redacted", "refuse"),
    "faulty": ("no_done", "no_usage", "refuse"),
}
"""By model, the names it obeys that take no value."""

_BLOCK = re.compile(r"\[\[([^\[\]]*)\]\][ \t]?")
_PAIR = re.compile(r"[A-Za-z_]\w{0,40}=\S*", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,19}", re.ASCII)
_ALL_FLAGS = frozenset(flag for flags in FLAGS.values() for flag in flags)
_NEEDS = {"retry_after": "status", "times": "status"}


def read(texts: list[str], model: str, param: str) -> tuple[list[str], Directives]:
    """The texts of one message without their blocks, and what the blocks say; a later word overrides an earlier.

    Raises InvalidRequest, about `param`, that names a directive which `model` does not know or cannot obey.
    """
    if not any("[[" in text for text in texts):
        return texts, NONE
    told: dict[str, int | bool] = {}
    left: list[str] = []
    for text in texts:
        words = [word for block in _BLOCK.findall(text) if _is_block(block) for word in block.split()]
        for word in words:
            name, value = _read_word(word, model, param)
            told[name] = value
        left.append(_BLOCK.sub(_remove, text).strip() if words else text)
    return left, _directives(told, param)


def _is_block(block: str) -> bool:
    return any(word in _ALL_FLAGS or _PAIR.fullmatch(word) for word in block.split())


def _remove(found: re.Match[str]) -> str:
    return "" if _is_block(found[1]) else found[0]


def _read_word(word: str, model: str, param: str) -> tuple[str, int | bool]:
    name, equals, value = word.partition("=")
    if name in FLAGS[model]:
        if equals:
            raise _bad(f"directive {name!r} takes no value", param)
        return name, True
    if name not in RANGES[model]:
        known = [*RANGES[model], *FLAGS[model]]
        raise _bad(f"directive {name[:60]!r} is not one of sandbox/{model}: {', '.join(known)}", param)
    low, high = RANGES[model][name]
    if not _NUMBER.fullmatch(value):
        raise _bad(f"directive {name!r} takes a whole number, not {value[:60]!r}", param)
    if not low <= int(value) <= high:
        raise _bad(f"directive {name!r} takes {low} to {high}, not {value}", param)
    return name, int(value)


def _directives(told: dict[str, int | bool], param: str) -> Directives:
    for name, needed in _NEEDS.items():
        if name in told and needed not in told:
            raise _bad(f"directive {name!r} needs {needed!r}", param)
    if "stall_ms" in told:
        told.setdefault("stall_after", 0)
    elif "stall_after" in told:
        told["stall_ms"] = LONGEST_MS
    return msgspec.convert(told, Directives)


def _bad(message: str, param: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_directive", param=param)
