"""Text as the sandbox counts it: a token is one whitespace-delimited word. Also its vocabulary and its stories."""

from __future__ import annotations

import random
import re

MOST_TOKENS = 100_000
"""The longest answer, all choices together."""

LEXICON = (  # noqa: SIM905 - ninety quoted words read worse
    "amber anchor autumn basket beacon bridge candle canyon carpet cedar cellar circle copper corner cotton "
    "crystal dinner dragon evening falcon feather fiddle forest garden ginger granite hammer harbor hazel honey "
    "island ivory jacket kettle ladder lantern lemon letter linen magnet marble market meadow mirror morning "
    "needle nickel orchard oyster paper pebble pepper pillow planet pocket quarry rabbit ribbon river saddle "
    "salmon shadow silver spider spring stone summer tailor thunder ticket timber tunnel valley velvet violin "
    "walnut water willow window winter yellow"
).split()

_WORD_END = re.compile(r"(?<=\S)(?=\s)")
_SLICE = 65_536
_SENTENCE_WORDS = 9


def count(text: str) -> int:
    """Words in `text`, in slices: the words of a 32 MiB body as one list would take a gigabyte."""
    if len(text) <= _SLICE:
        return len(text.split())
    total, inside = 0, False
    for start in range(0, len(text), _SLICE):
        part = text[start : start + _SLICE]
        total += len(part.split())
        if inside and not part[0].isspace():
            total -= 1
        inside = not part[-1].isspace()
    return total


def pieces(text: str) -> list[str]:
    """`text` cut into its words, each with the whitespace before it; the joined pieces are `text` again."""
    if not text:
        return []
    found = _WORD_END.split(text)
    if len(found) > 1 and found[-1].isspace():
        found[-2:] = [found[-2] + found[-1]]
    return found


def fit(text: str, tokens: int | None) -> str:
    """`text` as it is, or its words cut or repeated to exactly `tokens`."""
    if tokens is None:
        return text
    found = pieces(text)
    if not found or found[0].isspace():
        return text
    if len(found) >= tokens:
        return "".join(found[:tokens])
    stripped = [piece.strip() for piece in found]
    rounds, rest = divmod(tokens, len(stripped))
    return " ".join(stripped * rounds + stripped[:rest])


def story(seed: int, tokens: int) -> str:
    """Sentences of words drawn from the lexicon: the same `seed` and `tokens` give the same text."""
    words = random.Random(seed).choices(LEXICON, k=tokens)  # noqa: S311 - no secret
    for start in range(0, tokens, _SENTENCE_WORDS):
        words[start] = words[start].capitalize()
        end = min(start + _SENTENCE_WORDS, tokens) - 1
        words[end] += "."
    return " ".join(words)
