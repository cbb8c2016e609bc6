"""Words of this protocol that several of its files need: stop reasons, ids of calls, tokens' probabilities."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec import Raw

from trunkline.translation.exchange import Stop
from trunkline.wire import codec
from trunkline.wire.codec import encode

PROTOCOL = "ollama_chat"
# An escape of half a surrogate pair is valid JSON and no Unicode; parsers refuse it.
_PAIR, _HALF = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}", r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf"{_PAIR}|({_HALF})|\\.", re.DOTALL)
_decode_time = msgspec.json.Decoder(datetime).decode


def mended(text: str) -> str:
    """The same JSON text with U+FFFD for halves of surrogate pairs."""
    return _ESCAPE.sub(lambda escape: "\\ufffd" if escape[1] else escape[0], text) if "\\u" in text else text


def stop_of(reason: str | None, *, called: bool) -> Stop:
    """`load` and `unload` answer a request without messages, which nobody sends."""
    if reason == "length":
        return "length"
    return "tool" if called else "end"


def seconds(created_at: str) -> int:
    """Unix time, 0 when it makes no sense."""
    try:
        return int(_decode_time(encode(created_at)).timestamp())
    except (*codec.UNREADABLE, ValueError, OverflowError):
        return 0


def made_call_id(created_at: str, number: int) -> str:
    """For a server that gives its calls no ids: https://github.com/ollama/ollama/pull/12956 brought them. The time is
    that of the answer's beginning, in nanoseconds."""
    return "call_" + hashlib.sha256(f"{created_at}/{number}".encode()).hexdigest()[:24]


class _Top(msgspec.Struct, gc=False):
    token: str
    logprob: float
    bytes: list[int] | None = None


class Logprob(msgspec.Struct, gc=False):
    """As OpenAI's protocols write a token, where all fields must be there."""

    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list[_Top] = []


def tokens(told: Iterable[Logprob]) -> Raw | None:
    found = list(told)
    return Raw(encode(found)) if found else None
