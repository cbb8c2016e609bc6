"""A caller's messages as turns."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import (
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.translation.openai_chat import details, media
from trunkline.translation.openai_chat.shapes import Call, ContentPart, Function, Message, decoded, lifetime

PROTOCOL = "openai_chat"


class _RawMessage(msgspec.Struct):
    content: list[Raw] | str | None = None


_messages = msgspec.json.Decoder(list[Message])
_raw_messages = msgspec.json.Decoder(list[_RawMessage])


class Turns:
    """Reads the messages of one request. `list` has one turn for each."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._opaque: list[_RawMessage] | None = None
        self._custom_calls: set[str] = set()
        self._legacy_ids: dict[str, str] = {}
        messages = decoded(_messages, raw, "messages")
        self.list = [self._turn(at, message) for at, message in enumerate(messages)]

    def _turn(self, at: int, message: Message) -> Turn:
        match message.role:
            case "assistant":
                turn = Turn(role="assistant", parts=self._answered(at, message), name=message.name)
            case "tool" | "function":
                return Turn(role="user", parts=[self._result(at, message)])
            case role:
                turn = Turn(role=role, parts=self._content(at, message.content), name=message.name)
        hint = lifetime(message.cache_control)
        if hint is not None:
            hinted = next((part for part in reversed(turn.parts) if isinstance(part, Text | Media | ToolCall)), None)
            if hinted is not None:
                hinted.cache = hinted.cache or hint
        return turn

    def _content(self, at: int, content: str | list[ContentPart] | None) -> list[Part]:
        if content is None:
            return []
        if isinstance(content, str):
            return [Text(text=content)]
        parts: list[Part] = []
        for number, said in enumerate(content):
            part = media.read_part(said, f"messages[{at}].content[{number}]")
            parts.append(part if part is not None else self._unknown(at, number, said.type))
        return parts

    def _unknown(self, at: int, number: int, kind: str) -> Opaque:
        if self._opaque is None:
            self._opaque = _raw_messages.decode(self._raw)
        content = self._opaque[at].content
        assert isinstance(content, list), "it was read as a list before"
        return Opaque(PROTOCOL, content[number], kind)

    def _answered(self, at: int, message: Message) -> list[Part]:
        calls = [self._call(at, number, call) for number, call in enumerate(message.tool_calls or ())]
        if message.function_call is not None:
            calls.append(self._legacy_call(at, message.function_call))
        content = self._content(at, message.content)
        if calls and message.content == "":
            content = []
        if message.refusal is not None:
            content.append(Refusal(message.refusal))
        if message.audio is not None:
            content.append(Media(kind="audio", file_id=message.audio.id, text=message.audio.transcript))
        for number, image in enumerate(message.images or ()):
            part = media.read_part(image, f"messages[{at}].images[{number}]")
            if part is not None:
                content.append(part)
        parts: list[Part] = list(self._reasoning(message, content, calls))
        return [*parts, *content, *calls]

    def _reasoning(self, message: Message, content: list[Part], calls: list[ToolCall]) -> list[Reasoning]:
        if message.reasoning_details:
            carried = details.Carried(message.reasoning_details, {call.id for call in calls})
            for call in calls:
                call.state = carried.calls.get(call.id)
            text = next((part for part in content if isinstance(part, Text)), None)
            if text is not None:
                text.state = carried.text
            if carried.parts:
                return carried.parts
        plain = message.reasoning_content or message.reasoning
        return [Reasoning(text=plain)] if plain else []

    def _call(self, at: int, number: int, call: Call) -> ToolCall:
        where = f"messages[{at}].tool_calls[{number}]"
        if not call.id:
            raise InvalidRequest(f"'{where}.id' is required.", code="missing_required_parameter", param=f"{where}.id")
        if call.custom is not None:
            self._custom_calls.add(call.id)
            return ToolCall(id=call.id, name=call.custom.name, arguments=call.custom.input, custom=True)
        if call.function is None:
            raise InvalidRequest(
                f"'{where}.function' is required.", code="missing_required_parameter", param=f"{where}.function"
            )
        return ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments)

    def _legacy_call(self, at: int, function: Function) -> ToolCall:
        """The protocol's first form of calls has no ids: the same conversation gives the same ones here."""
        said = f"{at}\n{function.name}\n{function.arguments}"
        call_id = "call_" + hashlib.sha256(said.encode()).hexdigest()[:24]
        self._legacy_ids[function.name] = call_id
        return ToolCall(id=call_id, name=function.name, arguments=function.arguments)

    def _result(self, at: int, message: Message) -> ToolResult:
        parts: list[Text | Media] = []
        for part in self._content(at, message.content):
            if not isinstance(part, Text | Media):
                raise InvalidRequest(
                    f"'messages[{at}].content' of a tool must be text.",
                    code="invalid_value",
                    param=f"messages[{at}].content",
                )
            parts.append(part)
        call_id = message.tool_call_id
        if message.role == "function":
            call_id = self._legacy_ids.get(message.name or "", message.name)
        if not call_id:
            field = f"messages[{at}].{'tool_call_id' if message.role == 'tool' else 'name'}"
            raise InvalidRequest(f"'{field}' is required.", code="missing_required_parameter", param=field)
        return ToolResult(
            call_id=call_id,
            parts=parts,
            custom=call_id in self._custom_calls,
            cache=lifetime(message.cache_control),
        )
