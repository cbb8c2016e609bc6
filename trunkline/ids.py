"""Identifiers and random secrets: base62, made from the operating system's randomness."""

from __future__ import annotations

import secrets
from typing import NewType

AccountId = NewType("AccountId", str)
KeyId = NewType("KeyId", str)
CallId = NewType("CallId", str)

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ROOT_ACCOUNT = AccountId("acct_root")


def base62(number: int, width: int) -> str:
    """`number` in base 62, left-padded with zeros to `width` characters."""
    digits: list[str] = []
    while number:
        number, rest = divmod(number, 62)
        digits.append(ALPHABET[rest])
    return "".join(reversed(digits)).rjust(width, "0")


def random_base62(width: int) -> str:
    """`width` characters, each drawn evenly from the 62."""
    return "".join(secrets.choice(ALPHABET) for _ in range(width))


def new_account_id() -> AccountId:
    return AccountId("acct_" + random_base62(16))


def new_stored_id(prefix: str) -> str:
    """The id of something that is kept for a caller, such as `resp_…`: 192 bits in hexadecimal digits, as OpenAI's own
    ids look. Takes 0.5 us."""
    return f"{prefix}_{secrets.token_hex(24)}"


class CallIds:
    """Ids of calls: a random prefix per process and a counter. Unique without a system call each (0.2 us)."""

    __slots__ = ("_next", "_prefix")

    def __init__(self) -> None:
        self._prefix = "call_" + random_base62(14)
        self._next = 0

    def new(self) -> CallId:
        self._next = number = self._next + 1
        return CallId(f"{self._prefix}{number:08x}")
