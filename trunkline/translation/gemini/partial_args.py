"""Arguments of a function call that come in pieces, each with the place it belongs to.

Vertex AI streams them so when asked to. A place is a path such as `$.questions[0].label` (RFC 9535, of which only names
and indices are used); a text may come in several pieces for one place.
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc
"""

from __future__ import annotations

import itertools
import re
from typing import Any

from trunkline.errors import UpstreamFailed
from trunkline.translation.gemini.shapes import PartialArg
from trunkline.wire.codec import encode

MOST_GAPS = 1000
"""An index may be this far beyond the end of its list; the nearer ones are null."""

_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,6})\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class Arguments:
    """Of one call, as far as they have come."""

    def __init__(self) -> None:
        self._root: Any = {}

    def take(self, piece: PartialArg) -> None:
        """Raises UpstreamFailed for a place that cannot be."""
        steps = _steps(piece.json_path)
        value = _value(piece)
        if not steps:
            raise UpstreamFailed("The provider sent a piece of an argument without its place.")
        inside = self._root
        for step, following in itertools.pairwise(steps):
            there = _get(inside, step)
            if not isinstance(there, dict | list):
                there = [] if isinstance(following, int) else {}
                _set(inside, step, there)
            inside = there
        before = _get(inside, steps[-1])
        if isinstance(before, str) and isinstance(value, str):
            value = before + value
        _set(inside, steps[-1], value)

    def text(self) -> str:
        return encode(self._root).decode()


def _value(piece: PartialArg) -> Any:
    if piece.string_value is not None:
        return piece.string_value
    if piece.number_value:
        return piece.number_value
    return piece.bool_value


def _steps(path: str) -> list[str | int]:
    if not path.startswith("$"):
        raise UpstreamFailed("The provider sent a piece of an argument whose place is no path.")
    steps: list[str | int] = []
    position = 1
    while position < len(path):
        found = _STEP.match(path, position)
        if found is None:
            raise UpstreamFailed("The provider sent a piece of an argument whose place is no path.")
        name, index, single, double = found.groups()
        quoted = single if single is not None else double
        steps.append(int(index) if index is not None else name if name is not None else _ESCAPED.sub(r"\1", quoted))
        position = found.end()
    return steps


def _get(inside: Any, step: str | int) -> Any:
    if isinstance(inside, list):
        return inside[step] if isinstance(step, int) and step < len(inside) else None
    return inside.get(str(step)) if isinstance(inside, dict) else None


def _set(inside: Any, step: str | int, value: Any) -> None:
    if isinstance(inside, dict):
        inside[str(step)] = value
        return
    if not isinstance(step, int) or step > len(inside) + MOST_GAPS:
        raise UpstreamFailed("The provider sent a piece of an argument whose place cannot be.")
    inside.extend([None] * (step + 1 - len(inside)))
    inside[step] = value
