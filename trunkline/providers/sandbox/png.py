"""PNG images with a palette, written by hand: a pattern of squares that a seed draws."""

from __future__ import annotations

import hashlib
import struct
import zlib

_SQUARES = 8
_COLORS = 4


def pattern(seed: bytes, width: int, height: int, *, transparent: bool = False) -> bytes:
    """A whole file of `width` x `height` pixels; the same arguments give the same bytes.

    With `transparent`, the first of the four colours is see-through.
    """
    drawn = hashlib.blake2b(seed, digest_size=_SQUARES * _SQUARES // 4 + 3 * _COLORS).digest()
    palette, bits = drawn[: 3 * _COLORS], drawn[3 * _COLORS :]
    rows = []
    for row in range(_SQUARES):
        squares = [bits[(row * _SQUARES + column) // 4] >> (column % 4 * 2) & 3 for column in range(_SQUARES)]
        line = b"".join(bytes([color]) * _extent(column, width) for column, color in enumerate(squares))
        rows.append((b"\0" + line) * _extent(row, height))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = [_chunk(b"IHDR", header), _chunk(b"PLTE", palette)]
    if transparent:
        parts.append(_chunk(b"tRNS", b"\0"))
    parts += [_chunk(b"IDAT", zlib.compress(b"".join(rows), 6)), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _extent(square: int, pixels: int) -> int:
    """Of one square, so that all of them make `pixels`."""
    return pixels * (square + 1) // _SQUARES - pixels * square // _SQUARES


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
