"""A whole answer: a provider's read, the caller's written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import UpstreamError, UpstreamFailed
from trunkline.translation.collect import Collector
from trunkline.translation.exchange import (
    Answer,
    Choice,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Request,
    State,
    Text,
    ToolCall,
)
from trunkline.translation.gemini.logprobs import write_logprobs
from trunkline.translation.gemini.reader import Chunks
from trunkline.translation.gemini.state import wrapped
from trunkline.translation.gemini.vocabulary import PROTOCOL, finish_reason, mended, response_id
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode
from trunkline.wire.gemini_answer import write_usage
from trunkline.wire.provider_errors import ErrorFacts

_decode_object = msgspec.json.Decoder(Fields).decode


def _hidden(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed("The provider's answer tells of an error.", status=facts.status)


def read_answer(body: bytes, target: Target) -> Answer:
    """Raises UpstreamFailed when it is none, or one that tells of an error."""
    chunks = Chunks(target.provider_id)
    chunks.take(body, _hidden)
    if not chunks.any_said:
        raise UpstreamFailed("The provider's answer has no candidates.")
    chunks.end()
    collector = Collector()
    collector.take(chunks.out)
    return collector.answer()


def write_answer(answer: Answer, request: Request) -> bytes:
    """The body for the caller."""
    model = answer.model or request.model
    body: dict[str, Any] = {
        "candidates": [_write_choice(at, choice, request) for at, choice in enumerate(answer.choices)]
    }
    if answer.usage is not None:
        body["usageMetadata"] = Raw(write_usage(answer.usage))
    body["modelVersion"] = model
    body["responseId"] = response_id(answer.id, model)
    return encode(body)


def _write_choice(at: int, choice: Choice, request: Request) -> dict[str, Any]:
    parts = write_parts(choice.parts, shown=request.reasoning.shown)
    # As Google does: where nothing was said there is a content without parts.
    content: dict[str, Any] = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    candidate: dict[str, Any] = {"content": content, "finishReason": finish_reason(choice.stop), "index": at}
    written = write_logprobs(choice.logprobs) if choice.logprobs is not None else None
    if written is not None:
        candidate["avgLogprobs"] = written[1]
        candidate["logprobsResult"] = written[0]
    return candidate


def write_parts(parts: Iterable[Part], *, shown: bool) -> list[Any]:
    written: list[Any] = []
    for part in parts:
        one = write_part(part, shown=shown)
        if one is not None:
            written.append(one)
    return written


def write_part(part: Part, *, shown: bool) -> Any:
    """None for what has no place here, or was not asked for."""
    if isinstance(part, Text):
        return _signed({"text": part.text}, part.state)
    if isinstance(part, Refusal):
        return {"text": part.text}
    if isinstance(part, ToolCall):
        return call_part(part)
    if isinstance(part, Reasoning):
        text = "\n\n".join(one for one in (part.text, *part.summaries) if one)
        return _signed({"text": text, "thought": True}, part.state) if shown else None
    if isinstance(part, Media):
        return _media_part(part)
    return part.raw if isinstance(part, Opaque) and part.protocol == PROTOCOL else None


def call_part(call: ToolCall) -> dict[str, Any]:
    return _signed({"functionCall": {"id": call.id, "name": call.name, "args": _args(call)}}, call.state)


def _args(call: ToolCall) -> Any:
    """Text that is no JSON object could not stand in this field."""
    text = call.arguments
    if not call.custom:
        if not text.strip():
            return Raw(b"{}")
        raw = Raw(mended(text).encode("utf-8", "replace"))
        try:
            _decode_object(raw)
        except codec.UNREADABLE:
            pass
        else:
            return raw
    return {"input": text}


def _signed(part: dict[str, Any], state: State | None) -> dict[str, Any]:
    return part if state is None else {**part, "thoughtSignature": wrapped(state)}


def _media_part(media: Media) -> dict[str, Any] | None:
    if media.data is not None:
        default = {"image": "image/png", "audio": "audio/wav", "video": "video/mp4"}.get(media.kind, "application/pdf")
        return {"inlineData": {"mimeType": media.media_type or default, "data": media.data}}
    if media.url is not None:
        file = {"mimeType": media.media_type} if media.media_type is not None else {}
        return {"fileData": {**file, "fileUri": media.url}}
    return {"text": media.text} if media.text is not None else None
