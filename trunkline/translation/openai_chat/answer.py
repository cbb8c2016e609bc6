"""A whole chat answer: a provider's read, the caller's written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest, UpstreamFailed
from trunkline.translation.exchange import (
    Answer,
    Choice,
    Media,
    Part,
    Reasoning,
    Refusal,
    Request,
    State,
    Stop,
    Text,
    ToolCall,
)
from trunkline.translation.openai_chat import details, media
from trunkline.translation.openai_chat.shapes import Audio, ContentPart, Detail, Logprobs, Said, SaidCall
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.codec import encode
from trunkline.wire.openai_chat_answer import read_usage, write_usage
from trunkline.wire.provider_errors import error_in, is_error

_STOPS: dict[str, Stop] = {
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool",
    "function_call": "tool",
    "content_filter": "filter",
}
_FINISH_REASONS: dict[Stop, str] = {
    "end": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool": "tool_calls",
    "filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
}
_TIERS = {name: name for name in ("auto", "default", "flex", "scale", "priority", "fast")} | {"standard": "default"}
ID_PREFIX = "chatcmpl-"
_OTHER_PREFIX = re.compile(r"(msg|resp)_")
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_.:-]")


class _Choice(msgspec.Struct):
    """`stop_reason` is vLLM's: the stop string that was met."""

    message: Said
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    logprobs: Logprobs | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    id: str | None = None
    model: str | None = None
    created: float | None = None
    usage: Raw = Raw()
    error: Raw = Raw()
    service_tier: str | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode


def read_answer(body: bytes, target: Target) -> Answer:
    """Raises UpstreamFailed when it is no chat completion, or one that tells of an error."""
    try:
        if not body.isascii():
            body.decode()
        said = _decode_answer(body)
    except codec.UNREADABLE:
        _look_for_error(body)
        raise UpstreamFailed("The provider's answer is not a chat completion.") from None
    if is_error(said.error):
        _look_for_error(body)
    return Answer(
        id=said.id or "",
        model=said.model or "",
        created=int(said.created or 0),
        choices=[_read_choice(choice, at, said.id or "", target) for at, choice in enumerate(said.choices)],
        usage=read_usage(said.usage) if said.usage else None,
        service_tier=said.service_tier,
    )


def _look_for_error(body: bytes) -> None:
    facts = error_in(codec.answer_fields(body) or {})
    if facts is not None:
        raise UpstreamFailed("The provider's answer tells of an error.", status=facts.status)


def _read_choice(choice: _Choice, at: int, answer_id: str, target: Target) -> Choice:
    said = choice.message
    calls = read_calls(said, f"{answer_id}/{at}")
    content = read_content(said)
    parts: list[Part] = [*_read_reasoning(said, content, calls, target), *content, *calls]
    stop, sequence = read_stop(
        choice.finish_reason or "", choice.stop_reason, called=bool(calls), refused=bool(said.refusal)
    )
    logprobs = choice.logprobs.content if choice.logprobs is not None else Raw()
    return Choice(
        parts=parts,
        stop=stop,
        stop_sequence=sequence,
        logprobs=logprobs if logprobs and bytes(logprobs) not in (b"null", b"[]") else None,
    )


def read_stop(reason: str, matched: str | int | None, *, called: bool, refused: bool) -> tuple[Stop, str | None]:
    """What was said counts: some engines write `stop` though there are tool calls."""
    stop = _STOPS.get(reason, "end")
    if stop not in ("end", "tool"):
        return stop, None
    if called or refused:
        return "tool" if called else "refusal", None
    return ("stop_sequence", matched) if isinstance(matched, str) else ("end", None)


def made_call_id(place: str) -> str:
    """For a provider that gives its calls none. `place` is unique in the conversation as far as can be told."""
    return "call_" + hashlib.sha256(place.encode()).hexdigest()[:24]


def read_calls(said: Said, place: str) -> list[ToolCall]:
    calls: list[ToolCall] = []
    for number, call in enumerate(said.tool_calls or ()):
        call_id = call.id or made_call_id(f"{place}/{number}")
        name, arguments = call_said(call)
        calls.append(ToolCall(id=call_id, name=name, arguments=arguments, custom=call.custom is not None))
    if said.function_call is not None:
        function = said.function_call
        calls.append(ToolCall(id=made_call_id(place), name=function.name or "", arguments=function.text()))
    return calls


def call_said(call: SaidCall) -> tuple[str, str]:
    """(name, arguments), each "" where this does not say it."""
    if call.custom is not None:
        return call.custom.name or "", call.custom.input or ""
    if call.function is not None:
        return call.function.name or "", call.function.text()
    return "", ""


def split_content(content: list[ContentPart]) -> tuple[str, str]:
    """(reasoning, text) where a provider writes both as parts, as Mistral does."""
    thoughts: list[str] = []
    texts: list[str] = []
    for part in content:
        if part.type == "thinking":
            inside = part.thinking
            if isinstance(inside, list):
                inside = "".join(str(one.get("text", "")) for one in inside if isinstance(one, dict))
            thoughts.append(inside or "")
        else:
            texts.append(part.text or "")
    return "".join(thoughts), "".join(texts)


def read_content(said: Said) -> list[Part]:
    parts: list[Part] = []
    text = split_content(said.content)[1] if isinstance(said.content, list) else said.content
    if text:
        parts.append(Text(text=text, citations=_citations(said.annotations)))
    if said.refusal:
        parts.append(Refusal(said.refusal))
    if said.audio is not None:
        parts.append(spoken(said.audio))
    parts += pictures(said.images)
    return parts


def _citations(raw: Raw) -> Raw | None:
    return raw if raw and bytes(raw) not in (b"null", b"[]") else None


def spoken(audio: Audio) -> Media:
    return Media(kind="audio", data=audio.data or "", file_id=audio.id or None, text=audio.transcript or None)


def pictures(images: list[ContentPart] | None) -> list[Media]:
    found: list[Media] = []
    for image in images or ():
        try:
            part = media.read_part(image, "images")
        except InvalidRequest:
            raise UpstreamFailed("The provider sent an image without its URL.") from None
        if isinstance(part, Media):
            found.append(part)
    return found


def says_reasoning(entries: Sequence[Detail] | None) -> bool:
    """Then the plain fields beside them say the same."""
    return bool(entries) and any(entry.text or entry.summary for entry in entries or ())


def _read_reasoning(said: Said, content: Sequence[Part], calls: Sequence[ToolCall], target: Target) -> list[Reasoning]:
    parts: list[Reasoning] = []
    plain = said.reasoning_content or said.reasoning
    if isinstance(said.content, list):
        plain = plain or split_content(said.content)[0]
    if plain and not says_reasoning(said.reasoning_details):
        parts.append(Reasoning(text=plain, state=plain_state(plain, target)))
    owners: dict[str | None, Text | ToolCall] = {call.id: call for call in calls}
    owners.update((details.ID_OF_TEXT, part) for part in content if isinstance(part, Text))
    own: list[Detail] = []
    for entry in said.reasoning_details or ():
        owner = owners.get(entry.id)
        if owner is not None and entry.data is not None:
            owner.state = details.provider_state([entry], target.provider_id)
        else:
            own.append(entry)
    for group in details.groups(own):
        parts.append(details.reasoning(group, details.provider_state(group, target.provider_id)))
    return parts


def plain_state(text: str, target: Target) -> State | None:
    """What makes a provider that wants its reasoning back get it through clients that cannot carry it."""
    if not target.returns_reasoning:
        return None
    return details.provider_state([Detail(type=details.PLAIN, text=text)], target.provider_id)


def answer_id(given: str, *made_of: object) -> str:
    """An id as this protocol's look. `made_of`: what to make it of when the provider gave none."""
    if given.startswith(ID_PREFIX):
        return given
    rest = _NOT_IN_IDS.sub("", _OTHER_PREFIX.sub("", given, count=1))
    return ID_PREFIX + (rest or hashlib.sha256(repr(made_of).encode()).hexdigest()[:24])


def finish_reason(stop: Stop, request: Request, *, refused_in_words: bool) -> str:
    """A refusal that has a text of its own is told there."""
    if stop == "tool" and request.legacy_functions:
        return "function_call"
    if stop == "refusal" and refused_in_words:
        return "stop"
    return _FINISH_REASONS[stop]


def write_answer(answer: Answer, request: Request) -> bytes:
    """The body for the caller."""
    body: dict[str, Any] = {
        "id": answer_id(answer.id, answer.model, answer.created),
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model or request.model,
        "choices": [_write_choice(at, choice, answer, request) for at, choice in enumerate(answer.choices)],
    }
    if answer.usage is not None:
        body["usage"] = Raw(write_usage(answer.usage))
    tier = known_tier(answer.service_tier)
    if tier is not None:
        body["service_tier"] = tier
    return encode(body)


def known_tier(tier: str | None) -> str | None:
    """As this protocol calls it; None for a tier that it does not know."""
    return _TIERS.get(tier or "")


def _write_choice(at: int, choice: Choice, answer: Answer, request: Request) -> dict[str, Any]:
    refused = any(isinstance(part, Refusal) for part in choice.parts)
    return {
        "index": at,
        "message": _message(choice.parts, answer, request),
        "logprobs": None if choice.logprobs is None else {"content": choice.logprobs, "refusal": None},
        "finish_reason": finish_reason(choice.stop, request, refused_in_words=refused),
    }


def _message(parts: Sequence[Part], answer: Answer, request: Request) -> dict[str, Any]:
    texts = [part.text for part in parts if isinstance(part, Text)]
    refusals = [part.text for part in parts if isinstance(part, Refusal)]
    calls = [part for part in parts if isinstance(part, ToolCall)]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts else None, "refusal": None}
    if refusals:
        message["refusal"] = "".join(refusals)
    for part in parts:
        if isinstance(part, Media):
            add_media(message, part, answer.created)
    if request.reasoning.shown:
        _write_reasoning(message, parts)
    if calls and request.legacy_functions:
        message["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments or "{}"}
    elif calls:
        message["tool_calls"] = [_write_call(call) for call in calls]
    elif message["content"] is None and not refusals and "audio" not in message:
        message["content"] = ""
    return message


def _write_reasoning(message: dict[str, Any], parts: Sequence[Part]) -> None:
    plain = details.joined(details.plain_text(part) for part in parts if isinstance(part, Reasoning))
    if plain:
        message["reasoning_content"] = plain
    numbered = details.ToCaller()
    entries: list[Detail] = []
    for number, part in enumerate(parts):
        if isinstance(part, Reasoning | Text | ToolCall):
            entries += numbered.whole(number, part)
    if entries:
        message["reasoning_details"] = entries


def add_media(message: dict[str, Any], part: Media, created: int) -> bool:
    """False when a message has no field for it."""
    if part.kind == "audio" and part.data is not None:
        message["audio"] = audio_field(part, created)
    elif part.kind == "image" and (part.url is not None or part.data is not None):
        url = part.url or f"data:{part.media_type or 'image/png'};base64,{part.data}"
        images = message.setdefault("images", [])
        images.append({"type": "image_url", "image_url": {"url": url}, "index": len(images)})
    else:
        return False
    return True


def audio_field(part: Media, created: int) -> dict[str, Any]:
    """Nobody keeps the sound for later, so it has expired when it comes; the field must be there."""
    made = "audio_" + hashlib.sha256((part.data or "").encode()).hexdigest()[:24]
    return {"id": part.file_id or made, "data": part.data, "expires_at": created, "transcript": part.text or ""}


def _write_call(call: ToolCall) -> dict[str, Any]:
    if call.custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    # The SDKs parse it; a call without arguments has an empty object.
    written = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": call.id, "type": "function", "function": written}
