"""Sealing what callers entrust to us: AES-256-GCM, so that the database file alone shows nothing and a row that was
altered, or put in the place of another, is refused."""

from __future__ import annotations

import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from trunkline.errors import Defect

PURPOSE: Final = b"trunkline sealed state"
KEY_ID_BYTES: Final = 8
NONCE_BYTES: Final = 12
_FORMAT: Final = b"\x01"
_HEAD_BYTES: Final = len(_FORMAT) + KEY_ID_BYTES + NONCE_BYTES


class Sealer:
    """One installation's seal. An envelope is the format's number, the id of the key, the nonce, the ciphertext with
    its tag.

    `place` says which row of which account it is. It is authenticated, and every place has a key of its own, so a nonce
    could only ever repeat among the versions of one row.
    """

    def __init__(self, pepper: bytes) -> None:
        self._root = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE).derive(pepper)
        self._head = _FORMAT + _expand(self._root, b"id")[:KEY_ID_BYTES]

    def seal(self, place: tuple[str, ...], plain: bytes) -> bytes:
        where = _bytes_of(place)
        nonce = os.urandom(NONCE_BYTES)
        return self._head + nonce + AESGCM(_expand(self._root, b"seal" + where)).encrypt(nonce, plain, where)

    def open(self, place: tuple[str, ...], sealed: bytes) -> bytes:
        """Raises Defect for what was not sealed here, for this place, by this key."""
        if not sealed.startswith(self._head) or len(sealed) < _HEAD_BYTES:
            raise Defect(f"A stored {place[0]} was sealed with another pepper than this one's.")
        where = _bytes_of(place)
        nonce = sealed[len(self._head) : _HEAD_BYTES]
        try:
            return AESGCM(_expand(self._root, b"seal" + where)).decrypt(nonce, sealed[_HEAD_BYTES:], where)
        except InvalidTag:
            raise Defect(f"A stored {place[0]} is not what was sealed in its place.") from None

    def digest(self, place: tuple[str, ...]) -> bytes:
        """32 bytes that stand for a place whose name is nobody's business, or longer than a column."""
        return _expand(self._root, b"name" + _bytes_of(place))


def _bytes_of(place: tuple[str, ...]) -> bytes:
    """Lengths before parts: no two places have the same bytes."""
    parts = [part.encode("utf-8", "surrogatepass") for part in place]
    return b"".join(b"%d:%b" % (len(part), part) for part in parts)


def _expand(root: bytes, purpose: bytes) -> bytes:
    """HKDF-Expand of 32 bytes (RFC 5869, section 2.3), which is its first block."""
    return hmac.digest(root, purpose + b"\x01", "sha256")
