"""What the bytes of a picture, a sound, a film or a document tell of its size. Nothing is rendered or fetched."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Literal

MOST_INFLATED_BYTES = 4 * 1024 * 1024
"""Of all the packed lists of a document's objects together."""

# Start-of-frame markers, ITU-T T.81 table B.1: C4, C8 and CC are none.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
_JPEG_MOST_SEGMENTS = 1_000
# ISO 32000-1: 7.7.3.3 page objects, 7.7.3.2 the count of a page tree's leaves, 7.5.7 object streams.
_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_COUNT = re.compile(rb"/Count\s+(\d{1,7})")
_PACKED = re.compile(rb"/ObjStm[^>]{0,400}?>>\s*stream\r?\n")

ImageKind = Literal["PNG", "JPEG", "GIF", "WebP"]


def image_size(head: bytes) -> tuple[ImageKind, int, int] | None:
    """(type, width, height) of a picture that begins with these bytes; None for what is none of the four."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ("PNG", _big(head, 16, 4), _big(head, 20, 4)) if head[12:16] == b"IHDR" and len(head) >= 24 else None
    if head.startswith((b"GIF87a", b"GIF89a")):
        return ("GIF", _little(head, 6, 2), _little(head, 8, 2)) if len(head) >= 10 else None
    if head.startswith(b"\xff\xd8"):
        return _jpeg(head)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp(head)
    return None


def _jpeg(head: bytes) -> tuple[ImageKind, int, int] | None:
    at = 2
    for _ in range(_JPEG_MOST_SEGMENTS):
        if at + 9 > len(head) or head[at] != 0xFF:
            return None
        marker = head[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in _JPEG_FRAMES:
            return "JPEG", _big(head, at + 7, 2), _big(head, at + 5, 2)
        at += 2 if marker in _JPEG_BARE else 2 + max(_big(head, at + 2, 2), 2)
    return None


def _webp(head: bytes) -> tuple[ImageKind, int, int] | None:
    if len(head) < 30:
        return None
    kind = head[12:16]
    if kind == b"VP8 ":
        return "WebP", _little(head, 26, 2) & 0x3FFF, _little(head, 28, 2) & 0x3FFF
    if kind == b"VP8L":
        bits = _little(head, 21, 4)
        return "WebP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        return "WebP", _little(head, 24, 3) + 1, _little(head, 27, 3) + 1
    return None


def wav_bytes_per_second(head: bytes) -> int | None:
    """What the header of a WAV file says; None for anything else."""
    if not head.startswith(b"RIFF") or head[8:12] != b"WAVE":
        return None
    at = head.find(b"fmt ")
    rate = _little(head, at + 16, 4) if at > 0 and len(head) >= at + 20 else 0
    return rate or None


def film_seconds(data: bytes) -> int | None:
    """The length of an MP4 or QuickTime film, rounded up (ISO 14496-12, 8.2.2); None for anything else."""
    if data[4:8] != b"ftyp":
        return None
    at = data.rfind(b"mvhd")
    if at < 0 or len(data) < at + 36:
        return None
    wide = data[at + 4] == 1
    scale = _big(data, at + (24 if wide else 16), 4)
    length = _big(data, at + 28, 8) if wide else _big(data, at + 20, 4)
    return -(-length // scale) if scale else None


def document_pages(data: bytes) -> int | None:
    """The pages of a PDF, as many as it lists or claims to have; None for what is none, or tells neither."""
    if not data[:1024].lstrip().startswith(b"%PDF"):
        return None
    pages = len(_PAGE.findall(data))
    claimed = [int(count) for count in _COUNT.findall(data)]
    for listed in _packed_lists(data):
        pages += len(_PAGE.findall(listed))
        claimed += [int(count) for count in _COUNT.findall(listed)]
    return max(pages, *claimed, 0) or None


def _packed_lists(data: bytes) -> Iterator[bytes]:
    room = MOST_INFLATED_BYTES
    for found in _PACKED.finditer(data):
        if room <= 0:
            return
        try:
            listed = zlib.decompressobj().decompress(memoryview(data)[found.end() :], room)
        except zlib.error:
            continue
        room -= len(listed)
        yield listed


def _big(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _little(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")
