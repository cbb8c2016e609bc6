"""Whole answers. One is what a stream of a single line would be."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from trunkline.errors import UpstreamFailed
from trunkline.translation.exchange import Answer, Choice, Media, Part, Reasoning, State, Text, ToolCall
from trunkline.translation.ollama_chat.vocabulary import Logprob, made_call_id, seconds, stop_of, tokens
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.ollama_chat import usage
from trunkline.wire.provider_errors import error_in, is_error


class _Function(msgspec.Struct, gc=False):
    name: str
    arguments: Raw = Raw()


class Call(msgspec.Struct, gc=False):
    function: _Function
    id: str | None = None

    @property
    def arguments(self) -> str:
        return bytes(self.function.arguments).decode() or "{}"


class Message(msgspec.Struct, gc=False):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[Call] | None = None
    images: list[str] | None = None


class Line(msgspec.Struct, gc=False):
    """An answer, or a piece of one."""

    message: Message | None = None
    model: str = ""
    created_at: str = ""
    done: bool = False
    done_reason: str | None = None
    logprobs: list[Logprob] | None = None
    prompt_eval_count: Raw = Raw()
    prompt_eval_cached_count: Raw = Raw()
    eval_count: Raw = Raw()
    error: Raw = Raw()


decode_line = msgspec.json.Decoder(Line).decode


def read_answer(body: bytes, target: Target) -> Answer:
    """Raises UpstreamFailed when it is none."""
    try:
        if not body.isascii():
            body.decode()
        line = decode_line(body)
    except codec.UNREADABLE:
        raise UpstreamFailed("The provider's answer is not one of Ollama's chat.") from None
    if line.message is None or is_error(line.error):
        facts = error_in(codec.answer_fields(body) or {})
        raise UpstreamFailed(facts.message if facts is not None else "The provider's answer has no message.")
    parts = _parts(line, line.message, target)
    called = any(isinstance(part, ToolCall) for part in parts)
    choice = Choice(parts=parts, stop=stop_of(line.done_reason, called=called), logprobs=tokens(line.logprobs or ()))
    return Answer(
        id="",
        model=line.model,
        created=seconds(line.created_at),
        choices=[choice],
        usage=usage(line.prompt_eval_count, line.eval_count, line.prompt_eval_cached_count),
    )


def _parts(line: Line, message: Message, target: Target) -> list[Part]:
    parts: list[Part] = []
    if message.thinking:
        state = State(target.provider_id, message.thinking) if target.returns_reasoning else None
        parts.append(Reasoning(text=message.thinking, state=state))
    if message.content:
        parts.append(Text(text=message.content))
    parts += [picture(data) for data in message.images or ()]
    for number, call in enumerate(message.tool_calls or ()):
        call_id = call.id or made_call_id(line.created_at, number)
        parts.append(ToolCall(id=call_id, name=call.function.name, arguments=call.arguments))
    return parts


_FIRST_LETTERS = {"iVBOR": "image/png", "/9j/": "image/jpeg", "R0lG": "image/gif", "UklG": "image/webp"}


def picture(data: str) -> Media:
    """Its type is known by how it begins."""
    kind = next((kind for start, kind in _FIRST_LETTERS.items() if data.startswith(start)), "image/png")
    return Media(kind="image", media_type=kind, data=data)
