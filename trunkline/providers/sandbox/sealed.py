"""Sealed text: what a caller keeps for the sandbox without reading it, and may not change. It is no secret."""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

_KEY = b"trunkline sandbox sealed text"
_TAG_BYTES = 16


def seal(purpose: str, text: str) -> str:
    """URL-safe base64. The same text for the same purpose is sealed alike."""
    plain = text.encode()
    tag = hmac.digest(_KEY, purpose.encode() + b"\0" + plain, "sha256")[:_TAG_BYTES]
    return urlsafe_b64encode(tag + _masked(tag, plain)).decode()


def unseal(purpose: str, sealed: str) -> str | None:
    """The text, or None for what was not sealed for this purpose, or was changed since, be it by a character."""
    try:
        data = urlsafe_b64decode(sealed.encode("ascii"))
        text = _masked(data[:_TAG_BYTES], data[_TAG_BYTES:]).decode()
    except (binascii.Error, ValueError):
        return None
    return text if hmac.compare_digest(seal(purpose, text), sealed) else None


def _masked(tag: bytes, data: bytes) -> bytes:
    """Its own inverse."""
    mask = hashlib.shake_256(_KEY + tag).digest(len(data))
    return (int.from_bytes(data, "big") ^ int.from_bytes(mask, "big")).to_bytes(len(data), "big")
