"""Whole answers. Citations stay out: no other protocol has a word for Cohere's."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from trunkline.errors import UpstreamFailed, UpstreamTimeout
from trunkline.translation.cohere_chat.vocabulary import Logprob, kept, stop_of, tokens
from trunkline.translation.exchange import Answer, Choice, Part, Reasoning, Text, ToolCall
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.cohere_chat import failure, read_usage
from trunkline.wire.provider_errors import error_in


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str = ""


class Call(msgspec.Struct):
    id: str
    function: _Function = msgspec.field(default_factory=_Function)


class _Content(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""


class _Message(msgspec.Struct):
    content: list[_Content] | None = None
    tool_plan: str | None = None
    tool_calls: list[Call] | None = None


class _Answer(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    id: str = ""
    usage: Raw = Raw()
    logprobs: list[Logprob] | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode


def read_answer(body: bytes, target: Target) -> Answer:
    """Raises UpstreamFailed when it is none, and when it finished with an error."""
    try:
        if not body.isascii():
            body.decode()
        answer = _decode_answer(body)
    except codec.UNREADABLE:
        facts = error_in(codec.answer_fields(body) or {})
        raise UpstreamFailed(
            facts.message if facts is not None else "The provider's answer is not one of Cohere's chat."
        ) from None
    facts = failure(answer.finish_reason, None)
    if facts is not None:
        kind = UpstreamTimeout if facts.status == 504 else UpstreamFailed
        raise kind(facts.message, status=facts.status, code=facts.code)
    parts = _parts(answer.message, target)
    called = any(isinstance(part, ToolCall) for part in parts)
    choice = Choice(
        parts=parts,
        stop=stop_of(answer.finish_reason, called=called),
        logprobs=tokens(answer.logprobs) if answer.logprobs else None,
    )
    return Answer(id=answer.id, model="", choices=[choice], usage=read_usage(answer.usage) if answer.usage else None)


def _parts(message: _Message, target: Target) -> list[Part]:
    parts: list[Part] = []
    for content in message.content or ():
        if content.type == "thinking" and content.thinking:
            parts.append(kept(Reasoning(text=content.thinking), target))
        elif content.text:
            parts.append(Text(text=content.text))
    if message.tool_plan:
        parts.append(Text(text=message.tool_plan))
    for call in message.tool_calls or ():
        parts.append(ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments or "{}"))
    return parts
