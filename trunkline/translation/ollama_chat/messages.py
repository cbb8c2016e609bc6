"""Turns as the messages that Ollama is sent: a text each, with images beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import (
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Request,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.translation.losses import Losses
from trunkline.translation.ollama_chat.vocabulary import mended
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.codec import Fields

ERROR = "Error: "
Message = dict[str, Any]
_decode_object = msgspec.json.Decoder(Fields).decode


class Messages:
    """Writes the conversation of one request."""

    def __init__(self, request: Request, target: Target, losses: Losses) -> None:
        self._target = target
        self._losses = losses
        self._names: dict[str, str] = {}
        self.list: list[Message] = []
        for turn in request.turns:
            if turn.name is not None:
                losses.dropped("turns.name")
            if turn.role == "assistant":
                self._assistant(turn)
            else:
                self._other("user" if turn.role == "user" else "system", turn.parts)
        if not self.list:
            raise InvalidRequest("The conversation holds nothing to answer: every message is empty.", param="messages")

    def _other(self, role: str, parts: Sequence[Part]) -> None:
        rest: list[Part] = []
        for part in parts:
            if isinstance(part, ToolResult):
                self._result(part)
            else:
                rest.append(part)
        message = self._said(role, rest)
        if message["content"] or "images" in message:
            self.list.append(message)

    def _said(self, role: str, parts: Sequence[Part]) -> Message:
        texts: list[str] = []
        images: list[str] = []
        for part in parts:
            if isinstance(part, Text | Refusal):
                texts.append(self._text(part))
            elif isinstance(part, Media):
                if part.cache is not None:
                    self._losses.dropped("cache")
                if part.kind == "document" and part.text is not None:
                    texts.append(self._document(part))
                else:
                    images.append(self._image(part))
            elif isinstance(part, Opaque):
                self._losses.dropped(part.kind or "turns")
        message: Message = {"role": role, "content": "\n\n".join(text for text in texts if text)}
        if images:
            message["images"] = images
        return message

    def _text(self, part: Text | Refusal) -> str:
        if isinstance(part, Text):
            if part.citations is not None:
                self._losses.dropped("citations")
            if part.cache is not None:
                self._losses.dropped("cache")
        return part.text

    def _document(self, media: Media) -> str:
        self._losses.changed("media.document", "a document of plain text is sent as text")
        return (f"{media.name}\n\n" if media.name else "") + (media.text or "")

    def _image(self, media: Media) -> str:
        name = f"media.{media.kind}"
        if media.kind != "image":
            raise self._losses.refused(
                name, f"cannot be sent to {self._target.model_id}: Ollama takes text and images."
            )
        if media.data is None:
            raise self._losses.refused(name, "must be given as data: Ollama fetches no URLs.")
        if media.detail not in (None, "auto"):
            self._losses.dropped("media.detail")
        return media.data

    def _result(self, result: ToolResult) -> None:
        if result.cache is not None:
            self._losses.dropped("cache")
        message = self._said("tool", result.parts)
        if result.is_error:
            self._losses.changed("tool_result.is_error", f"the result's text begins with '{ERROR}'")
            message["content"] = ERROR + message["content"]
        if result.call_id in self._names:
            message["tool_name"] = self._names[result.call_id]
        message["tool_call_id"] = result.call_id
        self.list.append(message)

    def _assistant(self, turn: Turn) -> None:
        calls = [part for part in turn.parts if isinstance(part, ToolCall)]
        rest = [part for part in turn.parts if not isinstance(part, ToolCall | Reasoning)]
        self._order(turn.parts)
        message = self._said("assistant", rest)
        thoughts = [thought for part in turn.parts if isinstance(part, Reasoning) and (thought := self._thought(part))]
        if thoughts:
            message["thinking"] = "\n\n".join(thoughts)
        if calls:
            message["tool_calls"] = [self._call(call) for call in calls]
        if message["content"] or len(message) > 2:
            self.list.append(message)

    def _order(self, parts: Sequence[Part]) -> None:
        called = False
        for part in parts:
            called = called or isinstance(part, ToolCall)
            if called and isinstance(part, Text | Refusal) and part.text:
                self._losses.changed("turns.order", "what is said after a call is sent before it")
                return

    def _thought(self, part: Reasoning) -> str:
        """Only the provider's own goes back to it."""
        if part.state is not None and part.state.origin == self._target.provider_id:
            return part.state.data
        if part.text or part.summaries:
            self._losses.dropped("reasoning")
        return ""

    def _call(self, call: ToolCall) -> Message:
        self._names[call.id] = call.name
        if call.cache is not None:
            self._losses.dropped("cache")
        given: Any = {"input": call.arguments} if call.custom else self._arguments(call)
        return {"id": call.id, "function": {"name": call.name, "arguments": given}}

    def _arguments(self, call: ToolCall) -> Raw:
        """As the model wrote them, numbers digit for digit."""
        text = call.arguments
        if not text.strip():
            return Raw(b"{}")
        whole = mended(text)
        if whole != text:
            self._losses.changed("tool_calls.arguments", "half a surrogate pair is sent as U+FFFD")
        raw = Raw(whole.encode("utf-8", "replace"))
        try:
            _decode_object(raw)
        except codec.UNREADABLE:
            raise self._losses.refused(
                "tool_calls.arguments", f"must be a JSON object; those of '{call.name}' are not"
            ) from None
        return raw
