"""The item that a stream is in the middle of: its events up to its end, and then the item itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET, Raw

from trunkline.translation.exchange import Request, State, ToolCall
from trunkline.translation.openai_responses.output import (
    CustomCallItem,
    FunctionCallItem,
    ItemStatus,
    MessageItem,
    OutputRefusal,
    OutputText,
    ReasoningItem,
    ReasoningText,
    SummaryText,
    call_item,
    encrypted,
    joined,
)
from trunkline.wire.codec import encode

Emit = Callable[[bytes, bytes], None]
"""Takes an event's type and its fields behind the sequence number: JSON without the braces."""

_ADDED = b"response.output_item.added"
_DONE = b"response.output_item.done"


class Place:
    """Where an item stands: its events all say so."""

    __slots__ = ("emit", "fields", "id", "output_index", "request")

    def __init__(self, emit: Emit, request: Request, item_id: str, output_index: int) -> None:
        self.emit = emit
        self.request = request
        self.id = item_id
        self.output_index = b'"output_index":%d' % output_index
        self.fields = b'"item_id":' + encode(item_id) + b"," + self.output_index

    def added(self, item: Any) -> None:
        self.emit(_ADDED, self.output_index + b',"item":' + encode(item))

    def done(self, item: Any) -> bytes:
        """Returns the item as it stands in the response."""
        whole = encode(item)
        self.emit(_DONE, self.output_index + b',"item":' + whole)
        return whole


class OpenMessage:
    """Texts and refusals that follow each other are the parts of one message."""

    __slots__ = ("_annotations", "_content", "_kind", "_logprobs", "_part", "_phase", "_pieces", "_place", "_prefix")

    def __init__(self, place: Place, phase: Raw | None) -> None:
        self._place = place
        self._phase = phase
        self._content: list[OutputText | OutputRefusal] = []
        self._part = -1
        self._kind = ""
        self._prefix = b""
        self._pieces: list[str] = []
        self._annotations: list[Raw] = []
        self._logprobs: list[bytes] = []
        place.added(self._item("in_progress"))

    def _item(self, status: ItemStatus) -> MessageItem:
        phase = UNSET if self._phase is None else self._phase
        return MessageItem(id=self._place.id, status=status, content=self._content, phase=phase)

    def text(self, part: int, delta: str, logprobs: Raw) -> None:
        if self._part != part or self._kind != "text":
            self._open(part, "text")
        if not delta:
            return
        self._pieces.append(delta)
        told = bytes(logprobs)
        if told != b"[]":
            self._logprobs.append(told[1:-1])
        fields = self._prefix + encode(delta) + b',"logprobs":' + told
        self._place.emit(b"response.output_text.delta", fields)

    def refusal(self, part: int, delta: str) -> None:
        if self._part != part or self._kind != "refusal":
            self._open(part, "refusal")
        self._pieces.append(delta)
        self._place.emit(b"response.refusal.delta", self._prefix + encode(delta))

    def annotate(self, part: int, annotations: list[Raw]) -> None:
        if self._part != part or self._kind != "text":
            self._open(part, "text")
        for annotation in annotations:
            fields = b'%s,"annotation_index":%d,"annotation":%s' % (
                self._at(),
                len(self._annotations),
                bytes(annotation),
            )
            self._annotations.append(annotation)
            self._place.emit(b"response.output_text.annotation.added", fields)

    def _at(self) -> bytes:
        return self._place.fields + b',"content_index":%d' % len(self._content)

    def _open(self, part: int, kind: str) -> None:
        self._close_part()
        self._part, self._kind = part, kind
        self._prefix = self._at() + b',"delta":'
        empty: OutputText | OutputRefusal = OutputText("") if kind == "text" else OutputRefusal("")
        self._place.emit(b"response.content_part.added", self._at() + b',"part":' + encode(empty))

    def _close_part(self) -> None:
        if not self._kind:
            return
        text = "".join(self._pieces)
        at = self._at()
        part: OutputText | OutputRefusal
        if self._kind == "text":
            part = OutputText(text, joined(self._annotations), joined(self._logprobs))
            fields = at + b',"text":' + encode(text) + b',"logprobs":' + bytes(part.logprobs)
            self._place.emit(b"response.output_text.done", fields)
        else:
            part = OutputRefusal(text)
            self._place.emit(b"response.refusal.done", at + b',"refusal":' + encode(text))
        self._place.emit(b"response.content_part.done", at + b',"part":' + encode(part))
        self._content.append(part)
        self._kind = ""
        self._pieces, self._annotations, self._logprobs = [], [], []

    def close(self, status: ItemStatus) -> bytes:
        self._close_part()
        return self._place.done(self._item(status))


class OpenReasoning:
    """Summaries, or the reasoning itself: `as_summary` shows the one as the other."""

    __slots__ = ("_as_summary", "_content", "_key", "_pieces", "_place", "_summary", "part", "state")

    def __init__(self, place: Place, part: int, *, as_summary: bool) -> None:
        self._place = place
        self._as_summary = as_summary
        self._summary: list[SummaryText] = []
        self._content: list[ReasoningText] = []
        self._key: int | None = None
        self._pieces: list[str] = []
        self.part = part
        self.state: State | None = None
        place.added(ReasoningItem(id=place.id, summary=[]))

    def delta(self, text: str, summary: int | None) -> None:
        """`summary` None: the reasoning itself."""
        key = -1 if summary is None else summary
        if key != self._key:
            self._close_part()
            self._open(key)
        self._pieces.append(text)
        name = b"response.reasoning_summary_text.delta" if self._told_as_summary() else b"response.reasoning_text.delta"
        self._place.emit(name, self._at() + b',"delta":' + encode(text))

    def _told_as_summary(self) -> bool:
        return self._key != -1 or self._as_summary

    def _at(self) -> bytes:
        if self._told_as_summary():
            return self._place.fields + b',"summary_index":%d' % len(self._summary)
        return self._place.fields + b',"content_index":%d' % len(self._content)

    def _open(self, key: int) -> None:
        self._key = key
        if self._told_as_summary():
            fields = self._at() + b',"part":' + encode(SummaryText(""))
            self._place.emit(b"response.reasoning_summary_part.added", fields)
        else:
            self._place.emit(b"response.content_part.added", self._at() + b',"part":' + encode(ReasoningText("")))

    def _close_part(self) -> None:
        if self._key is None:
            return
        text = "".join(self._pieces)
        at = self._at()
        said = at + b',"text":' + encode(text)
        if self._told_as_summary():
            self._place.emit(b"response.reasoning_summary_text.done", said)
            summary = SummaryText(text)
            self._place.emit(b"response.reasoning_summary_part.done", at + b',"part":' + encode(summary))
            self._summary.append(summary)
        else:
            self._place.emit(b"response.reasoning_text.done", said)
            content = ReasoningText(text)
            self._place.emit(b"response.content_part.done", at + b',"part":' + encode(content))
            self._content.append(content)
        self._key = None
        self._pieces = []

    def close(self, status: ItemStatus) -> bytes:
        self._close_part()
        state = self.state if self._place.request.reasoning.state_wanted else None
        item = ReasoningItem(
            id=self._place.id,
            summary=self._summary,
            content=self._content or UNSET,
            encrypted_content=encrypted(state),
        )
        return self._place.done(item)


class OpenCall:
    __slots__ = ("_name", "_pieces", "_place", "_prefix", "call", "ended", "part")

    def __init__(self, place: Place, part: int, call: ToolCall) -> None:
        self._place = place
        self.call = call
        self._pieces: list[str] = []
        kind = b"custom_tool_call_input" if call.custom else b"function_call_arguments"
        self._name = b"response." + kind + b".delta"
        self._prefix = place.fields + b',"delta":'
        self.part = part
        self.ended = False
        place.added(self._item("in_progress"))

    def _item(self, status: ItemStatus) -> FunctionCallItem | CustomCallItem:
        return call_item(self._place.request, self._place.id, self.call, status)

    def delta(self, text: str) -> None:
        self._pieces.append(text)
        self._place.emit(self._name, self._prefix + encode(text))

    def arguments(self) -> str:
        return "".join(self._pieces)

    @property
    def custom(self) -> bool:
        return self.call.custom

    @property
    def may_be_complete(self) -> bool:
        return bool(self._pieces) and self._pieces[-1].rstrip().endswith("}")

    def close(self, status: ItemStatus) -> bytes:
        self.call.arguments = self.arguments()
        item = self._item(status)
        if isinstance(item, CustomCallItem):
            fields = self._place.fields + b',"input":' + encode(item.input)
            self._place.emit(b"response.custom_tool_call_input.done", fields)
        else:
            fields = self._place.fields + b',"name":' + encode(item.name) + b',"arguments":' + encode(item.arguments)
            self._place.emit(b"response.function_call_arguments.done", fields)
        return self._place.done(item)


OpenItem = OpenMessage | OpenReasoning | OpenCall
