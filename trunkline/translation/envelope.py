"""A provider's opaque state in a caller's hands: wrapped, so that it is known for what it is when it comes back.

A signature or encrypted reasoning that leaves through another protocol than its own is written as
`~tl1.` + base64url of `[origin, data]`. Whoever carries it need not understand it. It is not secret: the provider that
made it checks it, and only that provider ever gets it back.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from trunkline.translation.exchange import State
from trunkline.wire import codec

MARK = "~tl1."
_MARK = MARK.encode()
_decode = msgspec.json.Decoder(tuple[str, str]).decode


def wrap(state: State) -> str:
    return MARK + urlsafe_b64encode(codec.encode((state.origin, state.data))).decode()


def is_within(data: bytes) -> bool:
    """Whether the mark stands anywhere in it. Its first character is rare in text, and looking for one character alone
    costs 1 us for 100 KB where looking for all of it costs 50."""
    return b"~" in data and _MARK in data


def unwrap(text: str) -> State:
    """What was wrapped; anything else is state of unknown origin, as it came."""
    if text.startswith(MARK):
        try:
            return State(*_decode(urlsafe_b64decode(text[len(MARK) :].encode())))
        except (binascii.Error, UnicodeError, *codec.UNREADABLE):
            pass
    return State("", text)


def is_wrapped(text: str) -> bool:
    return text.startswith(MARK) and unwrap(text).origin != ""
