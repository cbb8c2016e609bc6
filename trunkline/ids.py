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


# A call's number and the ids of its ledger entries are one integer of 63 bits, which grows with time:
# 40 bits of milliseconds since 2025, 8 of the process's slot, 8 of a counter; 5 of the attempt, 2 of the kind of entry.
EPOCH_MS = 1_735_689_600_000
"""2025-01-01T00:00:00Z; 40 bits last for 34 years."""
NUMBER_SHIFT = 7
ENTRY_OPENED, ENTRY_ENDED, ENTRY_ADJUSTED = 0, 1, 2
MOST_ATTEMPTS = 32
SLOTS = 256


def entry_id(number: int, attempt: int, kind: int) -> int:
    """The ledger's key of one step of an attempt (1 is the first) of the call with that number."""
    return number << NUMBER_SHIFT | (attempt - 1) << 2 | kind


def number_of(entry: int) -> int:
    """The number of the call that an entry is of."""
    return entry >> NUMBER_SHIFT


def attempt_of(entry: int) -> int:
    return (entry >> 2) % MOST_ATTEMPTS + 1


def kind_of(entry: int) -> int:
    return entry & 3


def first_number(at_ms: int) -> int:
    """No call that began at that moment (milliseconds since 1970) or later has a smaller number."""
    return max(0, at_ms - EPOCH_MS) << 16


def began_at_ms(number: int) -> int:
    """When the call with that number began, in milliseconds since 1970."""
    return (number >> 16) + EPOCH_MS


def call_id(number: int) -> CallId:
    return CallId(f"call_{number:014x}")


def call_number(text: str) -> int | None:
    """The number in a call's id; None for anything else."""
    digits = text.removeprefix("call_")
    if len(digits) != 14 or digits == text or not set(digits) <= _HEXADECIMAL:
        return None
    return int(digits, 16)


_HEXADECIMAL = frozenset("0123456789abcdef")


class CallNumbers:
    """Numbers of calls, ever larger, though the clock may go back. `slot` is this process's among those alive."""

    __slots__ = ("_count", "_ms", "_slot")

    def __init__(self, slot: int = 0, after: int = 0) -> None:
        """The first number is of a later millisecond than `after`, a number that is taken."""
        self._slot = slot << 8
        self._ms = after >> 16
        self._count = 255

    def new(self, now_ms: int) -> int:
        """`now_ms`: since 1970. Takes 0.2 us."""
        ms = now_ms - EPOCH_MS
        if ms > self._ms:
            self._ms, self._count = ms, 0
        elif self._count < 255:
            self._count += 1
        else:
            self._ms, self._count = self._ms + 1, 0
        return self._ms << 16 | self._slot | self._count


class CallIds:
    """Ids of calls: a random prefix per process and a counter. Unique without a system call each (0.2 us)."""

    __slots__ = ("_next", "_prefix")

    def __init__(self) -> None:
        self._prefix = "call_" + random_base62(14)
        self._next = 0

    def new(self) -> CallId:
        self._next = number = self._next + 1
        return CallId(f"{self._prefix}{number:08x}")
