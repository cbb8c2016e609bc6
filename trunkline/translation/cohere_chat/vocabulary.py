"""Words of this protocol that several of its files need: finish reasons, tokens' probabilities."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Raw

from trunkline.translation.exchange import Reasoning, State, Stop
from trunkline.translation.target import Target
from trunkline.wire.codec import encode

PROTOCOL = "cohere_chat"
STOP_OF: dict[str, Stop] = {
    "COMPLETE": "end",
    "STOP_SEQUENCE": "stop_sequence",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool",
    "ERROR_LIMIT": "length",
    "ERROR_TOXIC": "filter",
}


def stop_of(reason: str | None, *, called: bool) -> Stop:
    stop = STOP_OF.get(reason or "", "end")
    return "tool" if called and stop == "end" else stop


class Logprob(msgspec.Struct, gc=False):
    """A piece of text and its tokens."""

    text: str | None = None
    logprobs: list[float] | None = None


class _Token(msgspec.Struct, gc=False):
    """As OpenAI's protocols write one."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[str] = []


def tokens(told: Iterable[Logprob]) -> Raw | None:
    """Each piece as one token, which it mostly is: its probability is the product of those of its tokens."""
    found = [_Token(one.text, sum(one.logprobs), list(one.text.encode())) for one in told if one.text and one.logprobs]
    return Raw(encode(found)) if found else None


def kept(part: Reasoning, target: Target) -> Reasoning:
    """With what makes it return to a provider that wants its reasoning back, through clients that cannot carry it."""
    if target.returns_reasoning and part.text:
        part.state = State(target.provider_id, part.text)
    return part
