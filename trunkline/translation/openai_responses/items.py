"""The items of a conversation: read into turns, and written from them.

Source: the `openai` package's types/responses/response_input_param.py. Reasoning, messages and calls of the model that
stand together are one turn; so are the results that follow.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation import envelope, tool_ids
from trunkline.translation.exchange import (
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Request,
    Role,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.translation.losses import Losses
from trunkline.translation.openai_responses.asked import PROTOCOL, flat, refusal, split
from trunkline.translation.openai_responses.parts import Content, ContentPart, ContentWriter, read_content, read_part
from trunkline.translation.openai_responses.sealed import unseal
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.codec import encode
from trunkline.wire.openai_responses import is_reference

PHASE = "phase"
"""The kind of an opaque part that tells which phase the message behind it is of (`commentary`, `final_answer`)."""
MOST_CALL_ID = 64


class _Head(msgspec.Struct, gc=False):
    type: str | None = None
    role: str | None = None
    id: str | None = None


class _Message(msgspec.Struct, gc=False):
    role: Role
    content: Content
    phase: str | None = None


class _ReasoningItem(msgspec.Struct, gc=False):
    summary: list[ContentPart] | None = None
    content: list[ContentPart] | None = None
    encrypted_content: str | None = None
    id: str | None = None


class _Call(msgspec.Struct, gc=False):
    call_id: str
    name: str
    arguments: str
    namespace: str | None = None


class _CustomCall(msgspec.Struct, gc=False):
    call_id: str
    name: str
    input: str
    namespace: str | None = None


class _Output(msgspec.Struct, gc=False):
    call_id: str
    output: Content


_decode_text = msgspec.json.Decoder(str).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_reasoning = msgspec.json.Decoder(_ReasoningItem).decode
_decode_call = msgspec.json.Decoder(_Call).decode
_decode_custom_call = msgspec.json.Decoder(_CustomCall).decode
_decode_output = msgspec.json.Decoder(_Output).decode


class InputReader:
    """`turns` of an input, and the `namespaces` that its calls name: see Asked."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.namespaces: dict[str, tuple[str, str]] = {}
        self._open: Turn | None = None
        self._open_kind = ""

    def read(self, raw: Raw) -> None:
        """Raises InvalidRequest naming the item or its field."""
        if bytes(memoryview(raw)[:1]) == b'"':
            self.turns.append(Turn(role="user", parts=[Text(text=_decode_text(raw))]))
            return
        try:
            items = _decode_items(raw)
        except codec.UNREADABLE as error:
            raise refusal(error, "input") from None
        for index, item in enumerate(items):
            where = f"input[{index}]"
            try:
                self._item(item, where)
            except codec.UNREADABLE as error:
                raise refusal(error, where) from None
        self._attach_states()

    def _item(self, raw: Raw, where: str) -> None:
        head = _decode_head(raw)
        if is_reference(head.type, head.role, head.id):
            raise InvalidRequest(
                f"'{where}' refers to the item '{head.id}', which is not known here; send the item itself.",
                code="item_not_found",
                param=where,
            )
        if head.type in (None, "message"):
            self._message(_decode_message(raw), where)
        elif head.type == "reasoning":
            self._reasoning(_decode_reasoning(raw), where)
        elif head.type == "function_call":
            call = _decode_call(raw)
            self._call(ToolCall(id=call.call_id, name=self._name(call), arguments=call.arguments))
        elif head.type == "custom_tool_call":
            custom = _decode_custom_call(raw)
            self._call(ToolCall(id=custom.call_id, name=self._name(custom), arguments=custom.input, custom=True))
        elif head.type in ("function_call_output", "custom_tool_call_output"):
            self._result(_decode_output(raw), where, custom=head.type.startswith("custom"))
        else:
            self._opaque(raw, head.type)

    def _add(self, role: Role, kind: str, parts: list[Part]) -> None:
        if self._open is not None and self._open_kind == kind:
            self._open.parts += parts
            return
        self._open = Turn(role=role, parts=parts)
        self._open_kind = kind
        self.turns.append(self._open)

    def _message(self, message: _Message, where: str) -> None:
        parts = read_content(message.content, f"{where}.content")
        if message.role == "assistant":
            if message.phase is not None:
                parts.insert(0, Opaque(PROTOCOL, Raw(encode(message.phase)), PHASE))
            self._add("assistant", "model", parts)
        else:
            self.turns.append(Turn(role=message.role, parts=parts))
            self._open = None

    def _reasoning(self, item: _ReasoningItem, where: str) -> None:
        for name, texts in (("summary", item.summary), ("content", item.content)):
            for index, text in enumerate(texts or ()):
                read_part(text, f"{where}.{name}[{index}]")
        part = Reasoning(
            text="\n\n".join(one.text or "" for one in item.content or ()),
            summaries=[one.text or "" for one in item.summary or ()],
            state=None if item.encrypted_content is None else envelope.unwrap(item.encrypted_content),
            id=item.id,
        )
        if part.text or part.summaries or part.state is not None:
            self._add("assistant", "model", [part])

    def _name(self, call: _Call | _CustomCall) -> str:
        if call.namespace is None:
            return call.name
        name = flat(call.namespace, call.name)
        self.namespaces[name] = call.namespace, call.name
        return name

    def _call(self, call: ToolCall) -> None:
        self._add("assistant", "model", [call])

    def _result(self, output: _Output, where: str, *, custom: bool) -> None:
        parts = read_content(output.output, f"{where}.output")
        told = [part for part in parts if isinstance(part, Text | Media)]
        self._add("user", "results", [ToolResult(call_id=output.call_id, parts=told, custom=custom)])

    def _opaque(self, raw: Raw, kind: str) -> None:
        """What the caller's side adds ends in `output` or `response`, or tells the API what to do; the rest is the
        model's."""
        part = Opaque(PROTOCOL, raw, kind)
        if kind.endswith(("_output", "_response")) and kind not in ("tool_search_output", "program_output"):
            self._add("user", "results", [part])
        elif kind in ("additional_tools", "configuration_update", "compaction_trigger", "compaction"):
            self._add("user", "told", [part])
        else:
            self._add("assistant", "model", [part])

    def _attach_states(self) -> None:
        """State of a call travels as reasoning of its own: see `call_state`."""
        for turn in self.turns:
            for part in list(turn.parts):
                if not isinstance(part, Reasoning) or part.state is None or not part.state.origin:
                    continue
                for call in turn.parts:
                    prefix = call_prefix(call) if isinstance(call, ToolCall) else ""
                    if prefix and isinstance(call, ToolCall) and part.state.data.startswith(prefix):
                        call.state = State(part.state.origin, part.state.data[len(prefix) :])
                        turn.parts.remove(part)
                        break


def call_prefix(call: ToolCall) -> str:
    """What stands before the state of a call where a reasoning item carries it."""
    return f"call:{call.id}:"


class InputWriter:
    """Turns as `items`; the instructions that stand first are `instructions`."""

    def __init__(self, request: Request, target: Target, losses: Losses) -> None:
        self._request = request
        self._target = target
        self._losses = losses
        self._content = ContentWriter(request, losses)
        self.instructions: str | None = None
        self.items: list[Any] = []

    def write(self) -> None:
        """Raises InvalidRequest for what cannot be said."""
        turns = self._request.turns
        first = turns[0] if len(turns) > 1 else None
        if first is not None and first.role == "system" and len(first.parts) == 1:
            part = first.parts[0]
            if isinstance(part, Text) and part.cache is None:
                self.instructions = part.text
                turns = turns[1:]
        for turn in turns:
            if turn.name is not None:
                self._losses.dropped("turns.name")
            if turn.role == "assistant":
                self._said(turn.parts)
            else:
                self._given(turn.role, turn.parts)

    def _given(self, role: Role, parts: list[Part]) -> None:
        content: list[Part] = []
        for part in parts:
            if isinstance(part, ToolResult):
                self._flush(role, content)
                self._result(part)
            elif isinstance(part, Opaque):
                self._flush(role, content)
                self._opaque(part)
            elif isinstance(part, Text | Media | Refusal):
                content.append(part)
        self._flush(role, content)

    def _flush(self, role: Role, content: list[Part]) -> None:
        if content:
            self.items.append({"type": "message", "role": role, "content": self._content.given(list(content))})
            content.clear()

    def _result(self, part: ToolResult) -> None:
        self._content.lose_cache(part.cache)
        parts = list(part.parts)
        if part.is_error:
            self._losses.changed("tool_result.is_error", "told by 'Error: ' before the result")
            if parts and isinstance(parts[0], Text):
                parts[0] = msgspec.structs.replace(parts[0], text=f"Error: {parts[0].text}")
            else:
                parts.insert(0, Text(text="Error:"))
        kind = "custom_tool_call_output" if part.custom else "function_call_output"
        output = self._content.given(parts) if parts else ""
        self.items.append({"type": kind, "call_id": tool_ids.fitted(part.call_id, MOST_CALL_ID), "output": output})

    def _opaque(self, part: Opaque) -> None:
        if part.protocol == PROTOCOL:
            self.items.append(part.raw)
        else:
            self._losses.dropped(part.kind or "parts")

    def _said(self, parts: list[Part]) -> None:
        said: list[Text | Refusal] = []
        phase: Raw | None = None
        for part in parts:
            if isinstance(part, Text | Refusal):
                said.append(part)
                continue
            phase = self._flush_said(said, phase)
            if isinstance(part, Reasoning):
                self._reasoning(part)
            elif isinstance(part, ToolCall):
                self._call(part)
            elif isinstance(part, Media):
                raise self._losses.refused(f"media.{part.kind}", "cannot be sent back in an answer of the model.")
            elif isinstance(part, Opaque) and part.protocol == PROTOCOL and part.kind == PHASE:
                phase = part.raw
            elif isinstance(part, Opaque):
                self._opaque(part)
        self._flush_said(said, phase)

    def _flush_said(self, said: list[Text | Refusal], phase: Raw | None) -> Raw | None:
        """Returns the phase that is still to be told."""
        if not said:
            return phase
        content = self._content.said(list(said))
        item: dict[str, Any] = {"type": "message", "role": "assistant", "content": content}
        if not isinstance(content, str):
            # Parts of an answer stand in items with an id; nobody looks for one where nothing is stored.
            item.update(id=f"msg_{len(self.items)}", status="completed")
        if phase is not None:
            item["phase"] = phase
        self.items.append(item)
        said.clear()
        return None

    def _reasoning(self, part: Reasoning) -> None:
        state = part.state
        usable = state is not None and state.origin == self._target.provider_id
        if not usable and not (part.text and self._target.returns_reasoning):
            if part.text or part.summaries:
                self._losses.dropped("reasoning")
            return
        item: dict[str, Any] = {"type": "reasoning"}
        item_id, encrypted = unseal(state.data) if usable and state is not None else (f"rs_{len(self.items)}", None)
        if item_id is not None:
            item["id"] = item_id
        item["summary"] = [{"type": "summary_text", "text": text} for text in part.summaries]
        if part.text:
            item["content"] = [{"type": "reasoning_text", "text": part.text}]
        if encrypted is not None:
            item["encrypted_content"] = encrypted
        self.items.append(item)

    def _call(self, part: ToolCall) -> None:
        self._content.lose_cache(part.cache)
        namespace, name = split(self._request, part.name)
        item: dict[str, Any] = {"type": "custom_tool_call" if part.custom else "function_call"}
        item["call_id"] = tool_ids.fitted(part.id, MOST_CALL_ID)
        if namespace is not None:
            item["namespace"] = namespace
        item["name"] = name
        if part.custom:
            item["input"] = part.arguments
        else:
            item["arguments"] = part.arguments or "{}"
        self.items.append(item)
