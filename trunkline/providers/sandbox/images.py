"""The type and size of an image, from the first bytes of its file. Nothing is decoded and nothing is fetched."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode

import msgspec

from trunkline.errors import InvalidRequest

_HEADER_CHARACTERS = 1_048_576
"""Of the base64 text; a JPEG's size may stand behind metadata of several 64 KB segments."""

_DATA_URL = re.compile(r"data:(image/[\w.+-]{1,40})?(?:;[\w=.+-]{1,60}){0,4};base64,", re.IGNORECASE | re.ASCII)
# Start-of-frame markers, ITU-T T.81 table B.1: C4, C8 and CC are none.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
_JPEG_MOST_SEGMENTS = 1_000


class ImageFacts(msgspec.Struct, frozen=True):
    """`bytes` is the size of the file; width and height are in pixels."""

    kind: str
    width: int
    height: int
    bytes: int


def describe(url: str, where: str) -> str:
    """A sentence about the image; InvalidRequest about `where` when it is none."""
    if url[:8].lower().startswith(("http://", "https://")):
        return "an http URL, which the sandbox does not fetch."
    facts = read_data_url(url, where)
    return f"{facts.kind}, {facts.width} x {facts.height} pixels, {facts.bytes} bytes."


def read_data_url(url: str, where: str) -> ImageFacts:
    found = _DATA_URL.match(url)
    if not found:
        raise _bad("an image is an http(s) URL or a base64 data: URL of an image", where)
    start = found.end()
    length = len(url) - start
    padding = 0 if length < 2 else 2 if url.endswith("==") else 1 if url.endswith("=") else 0
    try:
        head = b64decode(url[start : start + _HEADER_CHARACTERS], validate=True)
    except (binascii.Error, ValueError):
        raise _bad("the image's data is not base64", where) from None
    size = read_size(head)
    if size is None:
        raise _bad("the image is neither PNG, JPEG, GIF nor WebP, or its header is cut", where)
    kind, width, height = size
    return ImageFacts(kind, width, height, length // 4 * 3 - padding)


def read_size(head: bytes) -> tuple[str, int, int] | None:
    """(type, width, height), or None for what is no image the sandbox knows."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ("PNG", _big(head, 16, 4), _big(head, 20, 4)) if head[12:16] == b"IHDR" and len(head) >= 24 else None
    if head.startswith((b"GIF87a", b"GIF89a")):
        return ("GIF", _little(head, 6, 2), _little(head, 8, 2)) if len(head) >= 10 else None
    if head.startswith(b"\xff\xd8"):
        return _jpeg(head)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp(head)
    return None


def _jpeg(head: bytes) -> tuple[str, int, int] | None:
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


def _webp(head: bytes) -> tuple[str, int, int] | None:
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


def _big(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _little(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _bad(message: str, where: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_image", param=where)
