"""How an answer passes in time: its pace, and the faults of `faulty` inside it. A position is a number of tokens."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator

import msgspec

from trunkline.providers.sandbox.directives import Directives
from trunkline.providers.sandbox.response import Cut, Step, Wait


class Broken(msgspec.Struct, frozen=True):
    """What a protocol sends when something goes wrong: bytes that are no event, and an event that tells an error."""

    garbled: bytes
    error: bytes


def paced(told: Directives, rounds: Iterable[list[bytes]], broken: Broken) -> Generator[Step, None, bool]:
    """The steps of a stream, and whether it ended early. The first round opens the answer, then each is one token.

    A round may be empty: its token is made, but is not shown.
    """
    for number, events in enumerate(rounds):
        position = number - 1 if number > 1 else None if number else 0
        if position is not None:
            yield from _mishaps(told, position, broken)
            if told.error_after == position:
                yield broken.error
                return True
        if told.delay_ms and number > 1:
            yield Wait(told.delay_ms / 1000)
        yield from events
    return False


def _mishaps(told: Directives, position: int, broken: Broken) -> Iterator[Step]:
    if told.stall_ms is not None and told.stall_after == position:
        yield Wait(told.stall_ms / 1000)
    if told.garble_after == position:
        yield broken.garbled
    if told.cut_after == position:
        yield Cut()


def errs(told: Directives, tokens: int) -> bool:
    """Whether a whole answer of so many tokens is an error instead."""
    return told.error_after is not None and told.error_after <= tokens


def whole_s(told: Directives, tokens: int) -> float:
    """A whole answer comes when its last token is made."""
    stalled = told.stall_ms if told.stall_ms is not None and (told.stall_after or 0) <= tokens else 0
    return (told.first_ms + told.delay_ms * max(tokens - 1, 0) + stalled) / 1000


def whole(told: Directives, tokens: int, body: bytes) -> Iterator[Step]:
    """A whole body is garbled or cut in its middle, wherever in the answer the fault stands."""
    if told.cut_after is not None and told.cut_after <= tokens:
        if told.cut_after:
            yield body[: len(body) // 2]
        yield Cut()
    elif told.garble_after is not None and told.garble_after <= tokens:
        yield body[: len(body) // 2] + b"\xff\xfe"
    else:
        yield body
