"""`reasoning_details`: how reasoning and its state travel in chat messages.

To and from a caller, every reasoning part is a group of entries with one id, `reasoning-N`; the state is the
`signature` of its text or an entry of its own, wrapped (see translation/envelope.py). The state of a tool call is an
encrypted entry under the call's id, that of the text one under the id `text`.

From a provider the entries of a group are, as they came, the state of the part; they go back to it the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Raw

from trunkline.translation import envelope
from trunkline.translation.exchange import Reasoning, State, Text, ToolCall
from trunkline.translation.openai_chat.shapes import Detail
from trunkline.wire import codec

TEXT = "reasoning.text"
SUMMARY = "reasoning.summary"
ENCRYPTED = "reasoning.encrypted"
# In state only: reasoning that its provider wants back in the field `reasoning_content`.
PLAIN = "reasoning_content"
ID_OF_TEXT = "text"
_decode_entries = msgspec.json.Decoder(list[Detail]).decode
_decode_raws = msgspec.json.Decoder(list[Raw]).decode


def joined(pieces: Iterable[str]) -> str:
    """Separate reasoning and summaries as one text."""
    return "\n\n".join(piece for piece in pieces if piece)


def plain_text(part: Reasoning) -> str:
    return joined((part.text, *part.summaries))


def group_key(entry: Detail, alone: int) -> str | int:
    """What entries of one part have in common: their id, else their index. `alone` is for those with neither."""
    if entry.id:
        return entry.id
    return -1 - alone if entry.index is None else entry.index


def groups(entries: Iterable[Detail]) -> list[list[Detail]]:
    """In the order of appearance; pieces of one entry, as a stream has them, put together."""
    found: dict[str | int, list[Detail]] = {}
    for alone, entry in enumerate(entries):
        add(found.setdefault(group_key(entry, alone), []), entry)
    return list(found.values())


def add(group: list[Detail], piece: Detail) -> int:
    """A further piece of an entry that is there, or one more entry. Its place in the group."""
    for at, entry in enumerate(group):
        if entry.type == piece.type and entry.index == piece.index and entry.index is not None:
            entry.text = _together(entry.text, piece.text)
            entry.summary = _together(entry.summary, piece.summary)
            entry.data = _together(entry.data, piece.data)
            entry.signature = piece.signature or entry.signature
            entry.format = piece.format or entry.format
            return at
    group.append(msgspec.structs.replace(piece))
    return len(group) - 1


def _together(before: str | None, piece: str | None) -> str | None:
    return piece if before is None else before + (piece or "")


def provider_state(group: Sequence[Detail], origin: str, *, text_too: bool = False) -> State | None:
    """The state of a part; None where its entries hold nothing opaque. `text_too`: the text must return even so."""
    if any(entry.signature or entry.data or entry.type not in (TEXT, SUMMARY) for entry in group) or text_too:
        return State(origin, codec.encode(group).decode())
    return None


def reasoning(group: Sequence[Detail], state: State | None) -> Reasoning:
    return Reasoning(
        text="".join(entry.text or "" for entry in group),
        summaries=[entry.summary for entry in group if entry.summary],
        state=state,
    )


class Carried:
    """What a caller's message brings of reasoning: its parts, and the states of its calls and its text."""

    __slots__ = ("calls", "parts", "text")

    def __init__(self, entries: Iterable[Detail], call_ids: set[str]) -> None:
        self.calls: dict[str, State] = {}
        self.text: State | None = None
        self.parts: list[Reasoning] = []
        own: list[Detail] = []
        for entry in entries:
            if entry.data is not None and entry.id in call_ids:
                self.calls[entry.id or ""] = envelope.unwrap(entry.data)
            elif entry.data is not None and entry.id == ID_OF_TEXT:
                self.text = envelope.unwrap(entry.data)
            else:
                own.append(entry)
        for group in groups(own):
            data = next((opaque for entry in group if (opaque := entry.signature or entry.data)), None)
            self.parts.append(reasoning(group, None if data is None else envelope.unwrap(data)))


class ToCaller:
    """Numbers the entries of one choice on their way to the caller."""

    __slots__ = ("_indices",)

    def __init__(self) -> None:
        self._indices: dict[tuple[int, int | None], int] = {}

    def piece(self, part: int, text: str, summary: int | None) -> Detail:
        index = self._indices.setdefault((part, summary), len(self._indices))
        if summary is None:
            return Detail(type=TEXT, text=text, id=f"reasoning-{part}", index=index)
        return Detail(type=SUMMARY, summary=text, id=f"reasoning-{part}", index=index)

    def state(self, part: int, state: State) -> Detail:
        """Of reasoning. Where it has text, its signature."""
        data = envelope.wrap(state)
        index = self._indices.get((part, None))
        if index is not None:
            return Detail(type=TEXT, signature=data, id=f"reasoning-{part}", index=index)
        return self.hidden(part, state, f"reasoning-{part}")

    def hidden(self, part: int, state: State, named: str) -> Detail:
        index = self._indices.setdefault((part, -1), len(self._indices))
        return Detail(type=ENCRYPTED, data=envelope.wrap(state), id=named, index=index)

    def whole(self, number: int, part: Reasoning | Text | ToolCall) -> list[Detail]:
        """All entries of a part of an answer, `number` in its choice."""
        if not isinstance(part, Reasoning):
            named = part.id if isinstance(part, ToolCall) else ID_OF_TEXT
            return [] if part.state is None else [self.hidden(number, part.state, named)]
        group: list[Detail] = []
        if part.text:
            add(group, self.piece(number, part.text, None))
        for at, summary in enumerate(part.summaries):
            add(group, self.piece(number, summary, at))
        if part.state is not None:
            add(group, self.state(number, part.state))
        return group


def to_provider(part: Reasoning | Text | ToolCall, state: State) -> list[Raw]:
    """The entries that the provider made, as it made them. State that no chat answer brought is told as plainly as the
    protocol allows."""
    try:
        return _decode_raws(state.data)
    except codec.UNREADABLE:
        pass
    if isinstance(part, Reasoning) and part.text:
        entry = Detail(type=TEXT, text=part.text, signature=state.data)
    else:
        entry = Detail(type=ENCRYPTED, data=state.data, id=part.id if isinstance(part, ToolCall) else None)
    return [Raw(codec.encode(entry))]


def wanted_back(part: Reasoning) -> str:
    """The text for `reasoning_content`: what the provider said, however it came back."""
    if part.state is not None:
        try:
            kept = "".join(entry.text or "" for entry in _decode_entries(part.state.data) if entry.type == PLAIN)
        except codec.UNREADABLE:
            kept = ""
        if kept:
            return kept
    return plain_text(part)
