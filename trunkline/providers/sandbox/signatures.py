"""Signatures of made-up reasoning: proof that a text comes back as it was given, not a secret."""

from __future__ import annotations

import hmac
from base64 import b64encode

FORMAT = "sandbox"
_KEY = b"trunkline sandbox reasoning"


def sign(text: str) -> str:
    return b64encode(hmac.digest(_KEY, text.encode(), "sha256")).decode()


def is_signed(text: str, signature: str) -> bool:
    return hmac.compare_digest(sign(text).encode(), signature.encode())
