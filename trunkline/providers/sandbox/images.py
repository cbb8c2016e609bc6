"""The type and size of an image, from the first bytes of its file. Nothing is decoded and nothing is fetched."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode

import msgspec

from trunkline.errors import InvalidRequest
from trunkline.wire.media_header import image_size

_HEADER_CHARACTERS = 1_048_576
"""Of the base64 text; a JPEG's size may stand behind metadata of several 64 KB segments."""

_DATA_URL = re.compile(r"data:(image/[\w.+-]{1,40})?(?:;[\w=.+-]{1,60}){0,4};base64,", re.IGNORECASE | re.ASCII)


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
    return image_size(head)


def _bad(message: str, where: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_image", param=where)
