"""Whole answers, both ways.

What Bedrock's own tools did and where a text was cited stays out: no other protocol has a word for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import UpstreamFailed
from trunkline.translation import envelope
from trunkline.translation.bedrock_converse.content import as_bytes, decode_block, read_block
from trunkline.translation.bedrock_converse.vocabulary import MALFORMED, STOP_OF, mended, said, stop_reason
from trunkline.translation.exchange import (
    Answer,
    Choice,
    Media,
    Part,
    Reasoning,
    Refusal,
    Request,
    Stop,
    Text,
    ToolCall,
    ToolResult,
)
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.bedrock_converse import read_usage, write_usage
from trunkline.wire.codec import Fields, encode
from trunkline.wire.provider_errors import ErrorFacts


class _Message(msgspec.Struct):
    content: list[Raw]


class _Output(msgspec.Struct):
    message: _Message


class _Answer(msgspec.Struct, rename="camel"):
    output: _Output
    stop_reason: str | None = None
    usage: Raw = Raw()
    additional_model_response_fields: Raw = Raw()


class _ModelFields(msgspec.Struct):
    stop_sequence: str | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_model_fields = msgspec.json.Decoder(_ModelFields | None).decode
_decode_object = msgspec.json.Decoder(Fields).decode


def read_answer(body: bytes, target: Target) -> Answer:
    """Raises UpstreamFailed when it is none, and when the model wrote what Bedrock could not read."""
    try:
        if not body.isascii():
            body.decode()
        answer = _decode_answer(body)
        parts = [_read_part(raw, target) for raw in answer.output.message.content]
    except codec.UNREADABLE:
        raise UpstreamFailed("The provider's answer is not one of Converse.") from None
    told = malformed(answer.stop_reason)
    if told is not None:
        raise UpstreamFailed(told.message, code=told.code)
    stop, sequence = read_stop(answer.stop_reason, answer.additional_model_response_fields)
    return Answer(
        id="",
        model="",
        choices=[Choice(parts=[part for part in parts if part is not None], stop=stop, stop_sequence=sequence)],
        usage=read_usage(answer.usage) if answer.usage else None,
    )


def _read_part(raw: Raw, target: Target) -> Part | None:
    """None for what says nothing, or nothing that another protocol could say."""
    part = read_block(decode_block(raw), target.provider_id)
    if isinstance(part, Text):
        return part if part.text else None
    if isinstance(part, Reasoning):
        return part if part.text or part.state is not None else None
    return None if isinstance(part, ToolResult) else part


def malformed(reason: str | None) -> ErrorFacts | None:
    if reason not in MALFORMED:
        return None
    return ErrorFacts(message=f"The model's output could not be read ({reason}).", code=reason)


def read_stop(reason: str | None, model_fields: Raw) -> tuple[Stop, str | None]:
    stop = STOP_OF.get(reason or "", "end")
    if stop != "stop_sequence" or not said(model_fields):
        return stop, None
    try:
        told = _decode_model_fields(model_fields)
    except codec.UNREADABLE:
        return stop, None
    return stop, told.stop_sequence if told is not None else None


def write_answer(answer: Answer, request: Request) -> bytes:
    choice = answer.choices[0] if answer.choices else Choice(parts=[], stop="end")
    called = any(isinstance(part, ToolCall) for part in choice.parts)
    written: dict[str, Any] = {
        "metrics": {"latencyMs": 0},
        "output": {"message": {"content": write_content(choice.parts), "role": "assistant"}},
        "stopReason": stop_reason(choice.stop, called=called),
        "usage": write_usage(answer.usage),
    }
    if choice.stop_sequence is not None:
        written["additionalModelResponseFields"] = {"stop_sequence": choice.stop_sequence}
    return encode(written)


def write_content(parts: Sequence[Part]) -> list[dict[str, Any]]:
    return [block for part in parts if (block := write_part(part)) is not None]


def write_part(part: Part) -> dict[str, Any] | None:
    if isinstance(part, Text | Refusal):
        return {"text": part.text}
    if isinstance(part, ToolCall):
        return {"toolUse": {"toolUseId": part.id, "name": part.name, "input": _input(part)}}
    if isinstance(part, Reasoning):
        text = part.text or "\n\n".join(part.summaries)
        carried = None if part.state is None else envelope.wrap(part.state)
        if not text:
            return None if carried is None else {"reasoningContent": {"redactedContent": as_bytes(carried)}}
        signature = {} if carried is None else {"signature": carried}
        return {"reasoningContent": {"reasoningText": {"text": text, **signature}}}
    if isinstance(part, Media) and part.kind == "image" and part.data is not None:
        form = (part.media_type or "image/png").removeprefix("image/")
        return {"image": {"format": form, "source": {"bytes": part.data}}}
    return None


def _input(call: ToolCall) -> Any:
    """Text that is no JSON object could not stand in this field."""
    if not call.custom:
        text = mended(call.arguments) if call.arguments.strip() else "{}"
        raw = Raw(text.encode("utf-8", "replace"))
        try:
            _decode_object(raw)
        except codec.UNREADABLE:
            pass
        else:
            return raw
    return {"input": call.arguments}
