"""Vectors of texts: words and runs of three letters, hashed to places. Like spelling is near, meaning is not known."""

from __future__ import annotations

import itertools
import math
import struct
import zlib
from collections import defaultdict

DEFAULT_DIMENSIONS = 256
MOST_DIMENSIONS = 1_536

_SPREAD = 2_654_435_761
"""Knuth's multiplicative hash: neighbouring checksums get far places."""
_WORD_WEIGHT = 2.0


def of_text(text: str, dimensions: int) -> list[float]:
    """Of length 1, in single precision. Letter case and the amount of whitespace do not count."""
    weights: dict[str, float] = defaultdict(float)
    for word in text.casefold().split():
        framed = f" {word} "
        weights[framed] += _WORD_WEIGHT
        for at in range(len(framed) - 2):
            weights[framed[at : at + 3]] += 1
    return _placed(weights, dimensions)


def of_tokens(tokens: list[int], dimensions: int) -> list[float]:
    """Of token ids, by themselves and in pairs: no vocabulary says which text they are."""
    pairs = (f"{one} {other}" for one, other in itertools.pairwise(tokens))
    weights: dict[str, float] = defaultdict(float)
    for feature in itertools.chain(map(str, tokens), pairs):
        weights[feature] += 1
    return _placed(weights, dimensions)


def similarity(one: list[float], other: list[float]) -> float:
    """The cosine: 1 for the same direction, 0 for nothing in common."""
    return sum(left * right for left, right in zip(one, other, strict=True))


def packed(vector: list[float]) -> bytes:
    """Little-endian single precision, as OpenAI's base64 format has it."""
    return struct.pack(f"<{len(vector)}f", *vector)


def _placed(weights: dict[str, float], dimensions: int) -> list[float]:
    found = [0.0] * dimensions
    for feature, weight in weights.items():
        checksum = zlib.crc32(feature.encode())
        place = (checksum * _SPREAD & 0xFFFFFFFF) * dimensions >> 32
        found[place] += weight if checksum & 1 else -weight
    length = math.sqrt(sum(value * value for value in found))
    if not length:
        found[0] = length = 1.0
    return list(struct.unpack(f"<{dimensions}f", packed([value / length for value in found])))
