"""What a sandbox model says, and the same cut to what the caller allows: stop strings and the greatest length."""

from __future__ import annotations

from typing import Literal

import msgspec

from trunkline.providers.sandbox import words

Finish = Literal["stop", "length", "calls"]

MOST_CHARACTERS = 1_000_000
"""The longest text of an answer, all choices together."""


class Call(msgspec.Struct, frozen=True):
    """A tool call. `arguments` is JSON text."""

    name: str
    arguments: str


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    reasoning: str = ""
    text: str = ""
    calls: list[Call] = []


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """`tokens` counts reasoning, text and calls together; a call costs a token for its name and its arguments'."""

    tokens: int = words.MOST_TOKENS
    characters: int = MOST_CHARACTERS
    stops: list[str] = []


class CallPieces(msgspec.Struct, frozen=True):
    name: str
    arguments: list[str]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One choice, in pieces of one token each. `stop` is the stop string that ended it."""

    reasoning: list[str]
    text: list[str]
    calls: list[CallPieces]
    finish: Finish
    tokens: int
    reasoning_tokens: int
    stop: str | None = None


def cut_to_size(reply: Reply, bounds: Bounds) -> Answer:
    """What of `reply` fits, and why it ends: completed, stopped by a stop string, or too long."""
    purse = _Purse(bounds)
    reasoning = purse.take(reply.reasoning)
    thought = purse.spent
    before, stop = _stopped(reply.text, bounds.stops)
    text = purse.take(before)
    calls = []
    for call in reply.calls:
        if not purse.afford_name():
            break
        calls.append(CallPieces(call.name, purse.take(call.arguments)))
    finish: Finish = "length" if purse.short else "calls" if calls else "stop"
    return Answer(
        reasoning=reasoning,
        text=text,
        calls=calls,
        finish=finish,
        tokens=purse.spent,
        reasoning_tokens=thought,
        stop=stop if finish == "stop" else None,
    )


def _stopped(text: str, stops: list[str]) -> tuple[str, str | None]:
    """What stands before the first stop string, and which that is."""
    ends = [(at, stop) for stop in stops if stop and (at := text.find(stop)) >= 0]
    return (text[: min(ends)[0]], min(ends)[1]) if ends else (text, None)


class _Purse:
    """The tokens and characters an answer may still spend; `short` once something did not fit."""

    __slots__ = ("_characters", "_tokens", "short", "spent")

    def __init__(self, bounds: Bounds) -> None:
        self._tokens = bounds.tokens
        self._characters = bounds.characters
        self.spent = 0
        self.short = False

    def take(self, text: str) -> list[str]:
        if self.short or not text:
            return []
        if len(text) > self._characters:
            text, self.short = text[: self._characters], True
        self._characters -= len(text)
        found = words.pieces(text)
        cost = 0 if text.isspace() else len(found)
        if cost > self._tokens:
            cost = self._tokens
            del found[cost:]
            self.short = True
        self._tokens -= cost
        self.spent += cost
        return found

    def afford_name(self) -> bool:
        if self.short or self._tokens < 1:
            self.short = True
            return False
        self._tokens -= 1
        self.spent += 1
        return True
