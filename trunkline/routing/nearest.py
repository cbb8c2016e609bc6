"""Names like a name, for the sentence that refuses it. Bounded: an asker chooses the name, not the work."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable

LONGEST = 64
SHORTLIST = 16
CLOSE_ENOUGH = 0.6


class Nearest:
    """`names` are compared without case: as a whole with a name that has a `/`, else by what follows their last `/`."""

    __slots__ = ("_known",)

    def __init__(self, names: Iterable[str]) -> None:
        self._known: list[tuple[str, str, int, int]] = []
        for name in names:
            whole = name.casefold()[:LONGEST]
            last = name.casefold().rpartition("/")[2][:LONGEST]
            self._known.append((name, last, _pairs(whole), _pairs(last)))

    def to(self, asked: str, count: int) -> tuple[str, ...]:
        """At most `count` names, nearest first; none when nothing is near."""
        wanted = asked.casefold()[:LONGEST]
        pairs = _pairs(wanted)
        by_whole = "/" in wanted
        scored = [
            ((known if by_whole else known_last) & pairs).bit_count() * 2
            - (known if by_whole else known_last).bit_count()
            for _, _, known, known_last in self._known
        ]
        short = sorted(range(len(scored)), key=scored.__getitem__, reverse=True)[:SHORTLIST]
        matcher = difflib.SequenceMatcher(b=wanted, autojunk=False)
        found = []
        for place in short:
            name, last, _, _ = self._known[place]
            matcher.set_seq1(name.casefold()[:LONGEST] if by_whole else last)
            ratio = matcher.ratio()
            if ratio >= CLOSE_ENOUGH:
                found.append((-ratio, name))
        return tuple(name for _, name in sorted(found)[:count])


def _pairs(text: str) -> int:
    """The pairs of neighbouring characters as bits: two texts are alike when they share many."""
    bits = 0
    for first, second in itertools.pairwise(text):
        bits |= 1 << ((ord(first) * 31 + ord(second)) & 127)
    return bits
