"""Turns as the messages that a provider is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Raw

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
from trunkline.translation.openai_chat import details
from trunkline.translation.openai_chat.media import write_media
from trunkline.translation.openai_chat.tools import cache_control
from trunkline.translation.openai_chat.turns import PROTOCOL
from trunkline.translation.target import Target
from trunkline.translation.tool_ids import fitted

# OpenAI has refused ids of calls that are longer, and some of its models behind other doors still do:
# https://github.com/vercel/ai/issues/5171, https://github.com/BerriAI/litellm/issues/17343
MAX_CALL_ID = 40
ERROR = "Error: "


def call_id(given: str) -> str:
    """Ids with other letters are left alone: some models' templates make sense of them."""
    return given if len(given) <= MAX_CALL_ID else fitted(given, MAX_CALL_ID)


class Messages:
    """Writes the conversation of one request.

    Between protocols a message's text parts become one string, for providers that know nothing else
    (https://github.com/QwenLM/qwen-code/pull/2320); a chat caller's stay as they were. Media in tool results follow in
    a message of the user, after all the results they came with.
    """

    def __init__(self, request: Request, target: Target, losses: Losses) -> None:
        self._target = target
        self._losses = losses
        self._own = request.protocol == PROTOCOL
        self._legacy = request.legacy_functions and self._own
        self._names: dict[str, str] = {}
        self._shown_later: list[dict[str, Any]] = []
        self.list: list[dict[str, Any]] = []
        wanted = _wanted_back(request.turns) if target.returns_reasoning else set()
        for turn, number in self._merged(request.turns):
            if turn.role == "assistant":
                self._show()
                self._assistant(turn, want_reasoning=number in wanted)
            elif turn.role == "user":
                self._user(turn)
            else:
                self._show()
                # The same to OpenAI, and most others know only this one.
                role = turn.role if self._own else "system"
                self._say(role, turn, self._content(turn.parts))
        self._show()

    def _merged(self, turns: Sequence[Turn]) -> Iterator[tuple[Turn, int]]:
        """Each with the number of its first. Calls of one answer that came as turns of their own are one message."""
        at = 0
        while at < len(turns):
            turn, number = turns[at], at
            at += 1
            while not self._own and turn.role == "assistant" and at < len(turns) and turns[at].role == "assistant":
                turn = Turn(role="assistant", parts=[*turn.parts, *turns[at].parts], name=turn.name)
                at += 1
            yield turn, number

    def _say(self, role: str, turn: Turn, content: Any) -> None:
        message: dict[str, Any] = {"role": role, "content": content}
        if turn.name is not None:
            message["name"] = turn.name
        self.list.append(message)

    def _show(self) -> None:
        """The media of tool results that were held back."""
        if self._shown_later:
            self.list.append({"role": "user", "content": self._shown_later})
            self._shown_later = []

    def _user(self, turn: Turn) -> None:
        rest: list[Part] = []
        for part in turn.parts:
            if isinstance(part, ToolResult):
                self._result(part)
            else:
                rest.append(part)
        content = self._content(rest)
        nothing_left = content == "" and any(isinstance(part, Opaque) for part in rest)
        if (rest or not turn.parts) and not nothing_left:
            self._say("user", turn, content)
            if self._shown_later:
                message = self.list[-1]
                said = message["content"]
                own = [{"type": "text", "text": said}] if isinstance(said, str) else said
                message["content"] = [*self._shown_later, *own]
                self._shown_later = []

    def _result(self, result: ToolResult) -> None:
        texts: list[Part] = [part for part in result.parts if isinstance(part, Text)]
        shown = [part for part in result.parts if isinstance(part, Media)]
        named = call_id(result.call_id)
        if shown:
            self._losses.changed("tool_result.media", "sent as a message of the user after the tool's")
            self._shown_later.append({"type": "text", "text": f"What tool call {named} returned:"})
            for part in shown:
                self._shown_later += self._part(part)
        content = self._content(texts)
        if result.is_error:
            self._losses.changed("tool_result.is_error", f"the result's text begins with '{ERROR}'")
            content = _marked(content)
        if self._legacy:
            self.list.append({"role": "function", "name": self._names.get(result.call_id, named), "content": content})
            return
        message: dict[str, Any] = {"role": "tool", "tool_call_id": named, "content": content}
        self._hint(message, result.cache)
        self.list.append(message)

    def _hint(self, written: dict[str, Any], cache: str | None) -> None:
        if cache is None:
            return
        if self._target.takes_cache_control:
            written["cache_control"] = cache_control(cache)
        else:
            self._losses.dropped("cache")

    def _content(self, parts: Sequence[Part]) -> Any:
        """A string where one says it, else the list of parts."""
        if len(parts) == 1 and isinstance(parts[0], Text) and not (parts[0].cache and self._target.takes_cache_control):
            self._hint({}, parts[0].cache)
            return parts[0].text
        written: list[Any] = []
        for part in parts:
            written += self._part(part)
        plain = all(isinstance(part, dict) and part.keys() == {"type", "text"} for part in written)
        if plain and (not self._own or not written):
            return "\n\n".join(part["text"] for part in written)
        return written

    def _part(self, part: Part) -> list[Any]:
        if isinstance(part, Opaque):
            if part.protocol == PROTOCOL:
                return [part.raw]
            self._losses.dropped(part.kind or "content")
            return []
        if isinstance(part, Text):
            said: dict[str, Any] = {"type": "text", "text": part.text}
        elif isinstance(part, Media):
            said = write_media(part, self._losses)
        elif isinstance(part, Refusal):
            said = {"type": "refusal", "refusal": part.text}
        else:
            return []
        self._hint(said, None if isinstance(part, Refusal) else part.cache)
        return [said]

    def _assistant(self, turn: Turn, *, want_reasoning: bool) -> None:
        message: dict[str, Any] = {"role": "assistant"}
        said: list[Part] = []
        calls = [part for part in turn.parts if isinstance(part, ToolCall)]
        for part in turn.parts:
            if isinstance(part, Text | Refusal | Opaque):
                said.append(part)
            elif isinstance(part, Media):
                said += self._answered_media(message, part)
        self._order(turn.parts)
        message["content"] = self._answered(message, said) if said else (None if calls or len(message) > 1 else "")
        if turn.name is not None:
            message["name"] = turn.name
        self._reasoning(message, turn.parts, want=want_reasoning)
        if calls:
            self._calls(message, calls)
        # Nothing is left of a turn that was only another provider's reasoning.
        if said or len(message) > 2:
            self.list.append(message)

    def _answered(self, message: dict[str, Any], said: list[Part]) -> Any:
        """The content. A refusal has a field of its own; among text it is a part."""
        if len(said) == 1 and isinstance(said[0], Refusal):
            message["refusal"] = said[0].text
            return None
        return self._content(said)

    def _answered_media(self, message: dict[str, Any], part: Media) -> list[Part]:
        """Media of an earlier answer have fields of their own; what they are told by instead, if anything."""
        if part.kind == "audio" and part.file_id is not None and self._own:
            message["audio"] = {"id": part.file_id}
        elif part.kind == "image" and self._own:
            message.setdefault("images", []).append(write_media(part, self._losses))
        elif part.kind == "audio" and part.text is not None:
            self._losses.changed("media.audio", "an earlier spoken answer is sent as its transcript")
            return [Text(text=part.text)]
        else:
            self._losses.dropped(f"media.{part.kind}")
        return []

    def _order(self, parts: Sequence[Part]) -> None:
        called = False
        for part in parts:
            if isinstance(part, ToolCall):
                called = True
            elif called and isinstance(part, Text):
                self._losses.changed("turns.order", "text after a tool call is sent before it")
                return

    def _reasoning(self, message: dict[str, Any], parts: Sequence[Part], *, want: bool) -> None:
        entries: list[Raw] = []
        back: list[str] = []
        for part in parts:
            if not isinstance(part, Reasoning | Text | ToolCall):
                continue
            if isinstance(part, Reasoning) and self._target.returns_reasoning:
                back.append(details.wanted_back(part))
            elif part.state is not None and part.state.origin == self._target.provider_id:
                entries += details.to_provider(part, part.state)
            elif isinstance(part, Reasoning) and (part.text or part.summaries):
                self._losses.dropped("reasoning")
        if want:
            message["reasoning_content"] = details.joined(back)
        if entries:
            message["reasoning_details"] = entries

    def _calls(self, message: dict[str, Any], calls: list[ToolCall]) -> None:
        self._names.update((call.id, call.name) for call in calls)
        if self._legacy:
            message["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments}
            return
        message["tool_calls"] = [self._call(call) for call in calls]

    def _call(self, call: ToolCall) -> dict[str, Any]:
        if call.custom:
            return {
                "id": call_id(call.id),
                "type": "custom",
                "custom": {"name": call.name, "input": call.arguments},
            }
        # Providers parse it: of a call without arguments they want an empty object.
        written = {"name": call.name, "arguments": call.arguments or "{}"}
        said = {"id": call_id(call.id), "type": "function", "function": written}
        self._hint(said, call.cache)
        return said


def _marked(content: Any) -> Any:
    if isinstance(content, str):
        return content if content.startswith(ERROR) else ERROR + content
    return [{"type": "text", "text": ERROR.strip()}, *content]


def _wanted_back(turns: Sequence[Turn]) -> set[int]:
    """The assistant's turns whose reasoning must return: all since the last question, and of earlier questions those
    that took tools to answer (https://api-docs.deepseek.com/guides/thinking_mode#tool-calls)."""
    wanted: set[int] = set()
    answering: list[int] = []
    called = False
    for number, turn in enumerate(turns):
        if turn.role == "assistant":
            answering.append(number)
            called = called or any(isinstance(part, ToolCall) for part in turn.parts)
        elif turn.role == "user" and any(not isinstance(part, ToolResult) for part in turn.parts):
            if called:
                wanted.update(answering)
            answering, called = [], False
    return wanted.union(answering)
