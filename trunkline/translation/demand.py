"""What a request may use at most, whatever protocol it came in and whichever model is to answer it.

`demand` is the same for every candidate and costs two microseconds where there is nothing to look at; `for_model` adds
what depends on who answers: how long he may, and how many tokens a picture is to him.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from trunkline.errors import InvalidRequest
from trunkline.translation import media_tokens
from trunkline.translation.exchange import Media, Opaque, Part, Request, ToolResult
from trunkline.wire import media_header
from trunkline.wire.demand import Demand, Medium
from trunkline.wire.demanded import MEDIA_FIELDS, SPELLINGS, is_disguised, may_hold_media
from trunkline.wire.inbound import Inbound

UNKNOWN_CONTEXT: Final = 1_048_576
"""Tokens that a model reads at once of which nothing is known."""
HEADER_CHARACTERS: Final = 1_048_576
"""Of a picture's base64 text: a JPEG's size may stand behind metadata of several 64 KB segments."""
LEAST_SOUND_BYTES: Final = 750
"""Of a second: Opus goes down to 6 kbit/s (RFC 6716, 2.1.1), MP3 to 8."""
RAW_SOUND_BYTES: Final = 16_000
"""Of a second of samples without a header: 16 bits at 8 kHz, the lowest rate in use."""

CLAUDE_TOOLS_TOKENS: Final = 804
"""What Claude is told of tools as such, the most of any model, and of one of Anthropic's own tools besides:
https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview#pricing"""
CLAUDE_TOOL_TOKENS: Final = 1234
"""Its computer tool: 735, and 499 in the system prompt."""

_UNKNOWN = Medium(kind="document")


def demand(protocol: str, inbound: Inbound, read: Callable[[Inbound], Request]) -> Demand:
    """`read` is the protocol's own reader; only what may hold media is read by it, some 100 us for 10 KB and a
    millisecond for each megabyte of a picture."""
    asked = SPELLINGS[protocol].demand(inbound)
    if not may_hold_media(protocol, inbound):
        return asked if not _borrows(inbound) else msgspec.structs.replace(asked, media=(_UNKNOWN,))
    if is_disguised(bytes(inbound.fields[MEDIA_FIELDS[protocol]])):
        asked = msgspec.structs.replace(asked, cache_marked="1h")
    media, sent = _media(inbound, read)
    if _borrows(inbound):
        media = (*media, _UNKNOWN)
    return msgspec.structs.replace(asked, text_bytes=max(0, asked.text_bytes - sent), media=media)


def for_model(
    asked: Demand, model: str, *, max_output_tokens: int | None, context_window: int | None, default_max_output: int
) -> Demand:
    """`asked` of the model that its provider knows by this name, whose limits may be unknown."""
    if not asked.open_ended and not asked.media and asked.tools is None:
        return asked
    changed: dict[str, int | bool | tuple[Medium, ...]] = {}
    if asked.open_ended:
        most = default_max_output if max_output_tokens is None else min(max_output_tokens, default_max_output)
        changed = {"max_output": most, "open_ended": False}
    if asked.media:
        changed |= _counted(asked.media, model, context_window or UNKNOWN_CONTEXT)
    if asked.tools is not None and "claude" in model:
        told = CLAUDE_TOOLS_TOKENS + asked.tools * CLAUDE_TOOL_TOKENS
        changed |= {"text_bytes": asked.text_bytes + told}
    return msgspec.structs.replace(asked, **changed) if changed else asked


def with_max_output(protocol: str, inbound: Inbound, most: int) -> None:
    """Writes the longest answer into the request, in the caller's own field where he used one; all else keeps its
    bytes."""
    SPELLINGS[protocol].with_max_output(inbound, most)


def _counted(media: Iterable[Medium], model: str, context: int) -> dict[str, int]:
    vision = media_tokens.vision_of(model)
    seen = heard = 0
    for medium in media:
        tokens = media_tokens.input_tokens(medium, vision, context)
        if medium.kind == "audio":
            heard += tokens
        else:
            seen += tokens
    heard = min(heard, context)
    return {"media_tokens": min(seen, context), "audio_tokens": heard}


def _borrows(inbound: Inbound) -> bool:
    """Whether a part of the input is kept by the provider: Gemini's cached content, OpenAI's prompt templates."""
    fields = inbound.fields
    for name in ("cachedContent", "cached_content", "prompt"):
        if name in fields and bytes(memoryview(fields[name])[:4]) != b"null":
            return True
    return False


def _media(inbound: Inbound, read: Callable[[Inbound], Request]) -> tuple[tuple[Medium, ...], int]:
    """The media of a request, and how many of its bytes are theirs."""
    try:
        request = read(inbound)
    except InvalidRequest:
        # Whoever passes it on may take what the reader does not; then its bytes are counted, and one thing unknown.
        return (_UNKNOWN,), 0
    found: list[Medium] = []
    sent = 0
    ultra = b"ultra_high" in b"".join(bytes(raw).lower() for raw in _configuration(inbound))
    for part in _walk(part for turn in request.turns for part in turn.parts):
        if isinstance(part, Opaque):
            if may_hold_media_in(part):
                found.append(_UNKNOWN)
        elif part.text is None and not (part.media_type or "").startswith("text/"):
            found.append(_medium(part, ultra=ultra))
            sent += len(part.data or "")
    return tuple(found), sent


def _configuration(inbound: Inbound) -> Iterator[bytes]:
    for name in ("generationConfig", "generation_config", "contents"):
        if name in inbound.fields:
            yield bytes(inbound.fields[name])


_OPAQUE_MEDIA = (b"image", b"audio", b"video", b"file", b"document")


def may_hold_media_in(part: Opaque) -> bool:
    """A part that only its protocol knows."""
    data = bytes(part.raw)
    return any(word in data for word in _OPAQUE_MEDIA)


def _walk(parts: Iterable[Part]) -> Iterator[Media | Opaque]:
    for part in parts:
        if isinstance(part, Media | Opaque):
            yield part
        elif isinstance(part, ToolResult):
            yield from _walk(part.parts)


def _medium(part: Media, *, ultra: bool) -> Medium:
    detail = "ultra" if ultra else part.detail
    if part.data is None:
        return Medium(kind=part.kind, detail=detail)
    if part.kind == "image":
        size = media_header.image_size(_decoded(part.data[:HEADER_CHARACTERS]))
        width, height = size[1:] if size is not None else (None, None)
        return Medium(kind="image", width=width, height=height, detail=detail)
    if part.kind == "document":
        return Medium(kind="document", pages=media_header.document_pages(_decoded(part.data)))
    if part.kind == "video":
        return Medium(kind="video", seconds=media_header.film_seconds(_decoded(part.data)))
    return Medium(kind="audio", seconds=_sound_seconds(part.data, part.media_type or ""))


def _sound_seconds(data: str, media_type: str) -> int:
    size = len(data) * 3 // 4
    rate = media_header.wav_bytes_per_second(_decoded(data[:4096]))
    if rate is None:
        rate = RAW_SOUND_BYTES if "pcm" in media_type or "l16" in media_type.lower() else LEAST_SOUND_BYTES
    return -(-size // rate)


def _decoded(data: str) -> bytes:
    """As far as it is base64; b"" for what is not."""
    whole = data[: len(data) // 4 * 4] if len(data) >= 4 else ""
    try:
        return b64decode(whole.translate(_URL_SAFE))
    except (binascii.Error, ValueError):
        return b""


_URL_SAFE = str.maketrans("-_", "+/")
