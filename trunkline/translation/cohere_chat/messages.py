"""Turns as the messages that Cohere is sent.

What an assistant says before its calls is its `tool_plan`: https://docs.cohere.com/docs/tool-use-overview
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from trunkline.translation.target import Target
from trunkline.wire.codec import encode

ERROR = "Error: "
Message = dict[str, Any]


class Messages:
    """Writes the conversation of one request. Media in tool results follow in a message of the user."""

    def __init__(self, request: Request, target: Target, losses: Losses) -> None:
        self._target = target
        self._losses = losses
        self._shown_later: list[Message] = []
        self.list: list[Message] = []
        for turn in request.turns:
            if turn.name is not None:
                losses.dropped("turns.name")
            self._marks(turn.parts)
            if turn.role == "user":
                self._user(turn)
            else:
                self._show()
                if turn.role == "assistant":
                    self._assistant(turn)
                else:
                    self._system(turn)
        self._show()
        if not self.list:
            raise InvalidRequest("The conversation holds nothing to answer: every message is empty.", param="messages")

    def _marks(self, parts: Sequence[Part]) -> None:
        for part in parts:
            inner = part.parts if isinstance(part, ToolResult) else []
            if any(getattr(one, "cache", None) for one in (part, *inner)):
                self._losses.dropped("cache")

    def _show(self) -> None:
        if self._shown_later:
            self.list.append({"role": "user", "content": self._shown_later})
            self._shown_later = []

    def _system(self, turn: Turn) -> None:
        if content := self._content(turn.parts):
            self.list.append({"role": "system", "content": content})

    def _user(self, turn: Turn) -> None:
        rest: list[Part] = []
        for part in turn.parts:
            if isinstance(part, ToolResult):
                self._result(part)
            else:
                rest.append(part)
        content = self._content(rest)
        if content and self._shown_later:
            own = [{"type": "text", "text": content}] if isinstance(content, str) else content
            content, self._shown_later = [*self._shown_later, *own], []
        if content:
            self.list.append({"role": "user", "content": content})

    def _result(self, result: ToolResult) -> None:
        """A list of texts: a string would have to be JSON."""
        content = [{"type": "text", "text": part.text} for part in result.parts if isinstance(part, Text)]
        shown = [part for part in result.parts if isinstance(part, Media)]
        if shown:
            self._losses.changed("tool_result.media", "sent as a message of the user after the tool's")
            self._shown_later.append({"type": "text", "text": f"What tool call {result.call_id} returned:"})
            self._shown_later += [self._media(part) for part in shown]
        if result.is_error:
            self._losses.changed("tool_result.is_error", f"the result's text begins with '{ERROR}'")
            first = content[0]["text"] if content else ""
            content[:1] = [{"type": "text", "text": ERROR + first}]
        if not content:
            content = [{"type": "text", "text": ""}]
        self.list.append({"role": "tool", "tool_call_id": result.call_id, "content": content})

    def _assistant(self, turn: Turn) -> None:
        message: Message = {"role": "assistant"}
        calls = [self._call(part) for part in turn.parts if isinstance(part, ToolCall)]
        thoughts: list[Message] = []
        texts: list[str] = []
        for part in turn.parts:
            if isinstance(part, Media):
                raise self._losses.refused(f"media.{part.kind}", "cannot stand in a turn of the assistant.")
            if isinstance(part, Reasoning):
                thoughts += self._thought(part)
            elif isinstance(part, Text | Refusal):
                self._cited(part)
                texts.append(part.text)
            elif isinstance(part, Opaque):
                self._losses.dropped(part.kind or "turns")
        said = "\n\n".join(text for text in texts if text)
        if calls:
            self._order(turn.parts)
            message["tool_calls"] = calls
            if said:
                message["tool_plan"] = said
            if thoughts:
                message["content"] = thoughts
        elif thoughts:
            message["content"] = [*thoughts, *([{"type": "text", "text": said}] if said else [])]
        else:
            message["content"] = said
        if calls or message["content"]:
            self.list.append(message)

    def _order(self, parts: Sequence[Part]) -> None:
        called = False
        for part in parts:
            called = called or isinstance(part, ToolCall)
            if called and isinstance(part, Text | Refusal) and part.text:
                self._losses.changed("turns.order", "what is said after a call is sent before it")
                return

    def _call(self, call: ToolCall) -> Message:
        arguments = encode({"input": call.arguments}).decode() if call.custom else call.arguments or "{}"
        return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}

    def _thought(self, part: Reasoning) -> list[Message]:
        """Only the provider's own goes back to it."""
        if part.state is not None and part.state.origin == self._target.provider_id:
            return [{"type": "thinking", "thinking": part.state.data}]
        if part.text or part.summaries:
            self._losses.dropped("reasoning")
        return []

    def _cited(self, part: Text | Refusal) -> None:
        if isinstance(part, Text) and part.citations is not None:
            self._losses.dropped("citations")

    def _content(self, parts: Sequence[Part]) -> str | list[Message]:
        """A string where there is only text."""
        written: list[Message] = []
        for part in parts:
            if isinstance(part, Text | Refusal):
                self._cited(part)
                if part.text:
                    written.append({"type": "text", "text": part.text})
            elif isinstance(part, Media):
                written.append(self._media(part))
            elif isinstance(part, Opaque):
                self._losses.dropped(part.kind or "turns")
        if len(written) == 1 and written[0]["type"] == "text":
            text: str = written[0]["text"]
            return text
        return written

    def _media(self, media: Media) -> Message:
        name = f"media.{media.kind}"
        if media.kind == "document" and media.text is not None:
            self._losses.changed(name, "a document of plain text is sent as a text part")
            title = f"{media.name}\n\n" if media.name else ""
            return {"type": "text", "text": title + media.text}
        if media.kind != "image":
            raise self._losses.refused(
                name, f"cannot be sent to {self._target.model_id}: Cohere takes text and images."
            )
        if media.url is None and media.data is None:
            raise self._losses.refused(name, "must be given by URL or as data.")
        if media.url is None and media.media_type is None:
            raise self._losses.refused(name, "needs its media type, such as image/png.")
        link = {"url": media.url if media.url is not None else f"data:{media.media_type};base64,{media.data}"}
        if media.detail in ("auto", "low", "high"):
            link["detail"] = media.detail
        elif media.detail is not None:
            self._losses.dropped("media.detail")
        return {"type": "image_url", "image_url": link}
