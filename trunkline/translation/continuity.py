"""Reasoning that must return to its provider although the caller's client cannot carry it.

What an answer's tool calls need is kept under their ids beside the call; when a later request brings such a call back
without its reasoning, it is put in its place again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from trunkline.translation.exchange import Answer, Reasoning, Request, State, ToolCall, Turn
from trunkline.wire import codec


class Kept(msgspec.Struct):
    """`before`: the reasoning that stood before the call in its turn; `state`: the call's own."""

    before: list[Reasoning] = []
    state: State | None = None


_decode = msgspec.json.Decoder(Kept).decode


def to_keep(answer: Answer) -> dict[str, bytes]:
    """Tool call id -> what to keep for it; empty for most answers. Of several calls the first carries the reasoning."""
    kept: dict[str, bytes] = {}
    for choice in answer.choices:
        before: list[Reasoning] = []
        for part in choice.parts:
            if isinstance(part, Reasoning):
                before.append(part)
            elif isinstance(part, ToolCall) and (part.state is not None or any(one.state for one in before)):
                kept[part.id] = codec.encode(Kept(before, part.state))
                before = []
    return kept


def missing(request: Request) -> list[str]:
    """The ids of tool calls in the conversation that came back bare."""
    return [call.id for _, call in _bare(request)]


def restore(request: Request, found: Mapping[str, bytes]) -> None:
    """Puts back what was found, before the call it belongs to."""
    for turn, call in list(_bare(request)):
        data = found.get(call.id)
        if data is None:
            continue
        kept = _decode(data)
        call.state = kept.state
        at = next(index for index, part in enumerate(turn.parts) if part is call)
        if kept.before:
            # Reasoning that came back without its state is the same text again.
            bare = {index for index, part in enumerate(turn.parts[:at]) if isinstance(part, Reasoning)}
            before = [part for index, part in enumerate(turn.parts[:at]) if index not in bare]
            turn.parts[:at] = [*before, *kept.before]


def _bare(request: Request) -> Iterator[tuple[Turn, ToolCall]]:
    for turn in request.turns:
        if turn.role != "assistant":
            continue
        carried = False
        for part in turn.parts:
            if isinstance(part, Reasoning):
                carried = carried or part.state is not None
            elif isinstance(part, ToolCall) and part.state is None and not carried:
                yield turn, part
