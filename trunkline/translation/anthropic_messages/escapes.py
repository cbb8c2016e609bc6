"""Halves of surrogate pairs in JSON text: valid JSON, and no Unicode.

A model may write `"\\ud83d"` alone. Anthropic refuses a request that holds one, and so do its clients' parsers with an
answer. So U+FFFD stands in its place.
"""

from __future__ import annotations

import re

_PAIR, _HALF = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}", r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf"{_PAIR}|({_HALF})|\\u[0-9a-fA-F]{{4}}|\\[^u]", re.DOTALL)
_FIRST_HALF = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}")
_REPLACEMENT = "\\ufffd"
_PAIR_LENGTH = 12


def _mended(escape: re.Match[str]) -> str:
    return _REPLACEMENT if escape[1] else escape[0]


def mended(text: str) -> str:
    """The same JSON text without halves."""
    return _ESCAPE.sub(_mended, text) if "\\u" in text else text


class Mender:
    """The same for text in pieces: what may be half of a pair waits for the next piece."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting = ""

    def feed(self, piece: str) -> str:
        if not self._waiting and "\\" not in piece:
            return piece
        text = self._waiting + piece
        whole = self._end_of_whole(text)
        self._waiting = text[whole:]
        return mended(text[:whole])

    def end(self) -> str:
        rest, self._waiting = self._waiting, ""
        return mended(rest)

    @staticmethod
    def _end_of_whole(text: str) -> int:
        """Where that begins which the next piece may go on with: an escape that is cut, or the first half of a pair."""
        end, half_at = 0, None
        for escape in _ESCAPE.finditer(text):
            end = escape.end()
            half_at = escape.start() if _FIRST_HALF.fullmatch(escape[0]) else None
        cut = text.find("\\", end)
        begin = cut if cut >= 0 else len(text)
        if half_at is not None and end == begin:
            begin = half_at
        return begin if len(text) - begin < _PAIR_LENGTH else len(text)
