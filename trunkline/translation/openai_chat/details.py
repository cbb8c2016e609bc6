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


class Groups:
    """Entries of one message by the part they belong to: those of one id, else of one index. Pieces of one entry, as a
    stream has them, are put together."""

    __slots__ = ("_by_entry", "_by_id", "_by_index", "groups")

    def __init__(self) -> None:
        self.groups: list[list[Detail]] = []
        self._by_id: dict[str, int] = {}
        self._by_index: dict[int, int] = {}
        self._by_entry: dict[tuple[str, int], int] = {}

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._by_id

    def take(self, piece: Detail) -> tuple[int, int]:
        """The number of its group, and its entry's place in it."""
        number = self._number(piece)
        if number is None:
            number = len(self.groups)
            self.groups.append([])
        if piece.id:
            self._by_id[piece.id] = number
        if piece.index is not None:
            self._by_index[piece.index] = number
            self._by_entry[piece.type, piece.index] = number
        return number, add(self.groups[number], piece)

    def _number(self, piece: Detail) -> int | None:
        if piece.id:
            return self._by_id.get(piece.id)
        if piece.index is None:
            return None
        return self._by_entry.get((piece.type, piece.index), self._by_index.get(piece.index))


def groups(entries: Iterable[Detail]) -> list[list[Detail]]:
    """In the order of appearance."""
    found = Groups()
    for entry in entries:
        found.take(entry)
    return found.groups


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
    """Numbers the entries of one choice on their way to the caller. Only the first piece of an entry names its part:
    clients that put pieces together join the texts of every field."""

    __slots__ = ("_indices",)

    def __init__(self) -> None:
        self._indices: dict[tuple[int, int | None], int] = {}

    def piece(self, part: int, text: str, summary: int | None) -> Detail:
        key = part, summary
        index = self._indices.get(key)
        named = None
        if index is None:
            index = self._indices[key] = len(self._indices)
            named = f"reasoning-{part}"
        if summary is None:
            return Detail(type=TEXT, text=text, id=named, index=index)
        return Detail(type=SUMMARY, summary=text, id=named, index=index)

    def state(self, part: int, state: State) -> Detail:
        """Of reasoning. Where it has text, its signature."""
        index = self._indices.get((part, None))
        if index is not None:
            return Detail(type=TEXT, signature=envelope.wrap(state), index=index)
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
    match part:
        case ToolCall():
            entry = Detail(type=ENCRYPTED, data=state.data, id=part.id)
        case Text():
            entry = Detail(type=ENCRYPTED, data=state.data, id=ID_OF_TEXT)
        case Reasoning(text=""):
            entry = Detail(type=ENCRYPTED, data=state.data)
        case _:
            entry = Detail(type=TEXT, text=part.text, signature=state.data)
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
