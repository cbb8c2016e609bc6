"""How each caller's protocol says what it may use: its bytes, how long the answer may be, what a cache is to keep.

Nothing is parsed here that was not parsed before: the length of a field's JSON is never less than the UTF-8 bytes of
the texts in it. Only what may hold a picture or a sound is worth a closer look (`may_hold_media`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from trunkline.wire import codec
from trunkline.wire.codec import Fields, Raw, encode
from trunkline.wire.demand import CacheMark, Demand
from trunkline.wire.gemini import GeminiRequest
from trunkline.wire.inbound import Inbound
from trunkline.wire.openai_chat import ChatRequest

_NULL = b"null"
# A letter or an underscore that is written as an escape: no encoder does it, and names could hide behind it.
_DISGUISED = re.compile(rb"\\u00(?:5[fF]|[46][1-9a-fA-F]|[57][0-9aA])")
# https://platform.claude.com/docs/en/agents-and-tools/tool-use/tool-reference: `bash_20250124` and others.
_BUILT_IN = re.compile(rb'"[a-z_]+_20\d{6}"')

_MEDIA: Mapping[str, tuple[str, tuple[bytes, ...]]] = {
    "openai_chat": ("messages", (b"image_url", b"input_audio", b"video_url", b"file_data", b"file_id")),
    "anthropic_messages": ("messages", (b"source", b"container_upload")),
    "gemini": ("contents", (b"inlineData", b"inline_data", b"fileData", b"file_data")),
    "openai_responses": ("input", (b"image_url", b"input_audio", b"file_data", b"file_url", b"file_id")),
}
"""The field in which media stand, and a name that is found in it wherever they do."""
MEDIA_FIELDS: Mapping[str, str] = {protocol: field for protocol, (field, _) in _MEDIA.items()}
_WITHOUT = frozenset(words for _, words in _MEDIA.values() if any(b"_" not in word for word in words))
"""Those of which not all have an underscore."""

_CACHE = (b"cache_control",)
_decode_text = msgspec.json.Decoder(str).decode
_decode_number = msgspec.json.Decoder(float).decode
_decode_fields = msgspec.json.Decoder(Fields).decode


class Spelling(msgspec.Struct, frozen=True):
    """One protocol's. `demand` reads it, `with_max_output` writes the longest answer into the request."""

    demand: Callable[[Any], Demand]
    with_max_output: Callable[[Any, int], None]


def may_hold_media(protocol: str, inbound: Inbound) -> bool:
    """True for some that hold none: the words may stand in a text."""
    field, words = _MEDIA[protocol]
    raw = inbound.fields.get(field)
    return raw is not None and _names(bytes(raw), words)


def _names(data: bytes, words: tuple[bytes, ...]) -> bool:
    """Whether one of them is a whole string in this JSON. What is rare in a text is looked for first: an underscore, if
    all of them have one, then the bare words, then those in quotes."""
    return _has_name(data, words) or is_disguised(data)


def _has_name(data: bytes, words: tuple[bytes, ...]) -> bool:
    if b"_" in data or words in _WITHOUT:
        for word in words:
            if word in data and b'"%b"' % word in data:
                return True
    return False


def is_disguised(data: bytes) -> bool:
    """Whether a name may be spelled with escapes. A text of 100 KB takes 40 us."""
    return b"\\" in data and _DISGUISED.search(data) is not None


def _text_bytes(fields: Fields) -> int:
    return sum(map(len, fields.values()))


def _cache_mark(fields: Fields, *names: str) -> CacheMark:
    """Names in disguise are not seen in the field of the media, where `may_hold_media` looks for them."""
    mark: CacheMark = ""
    for name in names:
        raw = fields.get(name)
        if raw is None:
            continue
        data = bytes(raw)
        looks = _has_name if name in ("messages", "input") else _names
        if name == "cache_control" or looks(data, _CACHE):
            if b'"1h"' in data or b"\\u00" in data:
                return "1h"
            mark = "5m"
    return mark


def _word(fields: Fields, name: str) -> str:
    """A short text; "" for anything else, which is for the provider to refuse."""
    raw = fields.get(name)
    if raw is None:
        return ""
    try:
        return _decode_text(raw)
    except codec.UNREADABLE:
        return ""


def _is_said(fields: Fields, name: str) -> bool:
    raw = fields.get(name)
    return raw is not None and bytes(memoryview(raw)[:4]) != _NULL


def _tools(fields: Fields, name: str = "tools") -> int | None:
    raw = fields.get(name)
    if raw is None or len(raw) <= len(_NULL):
        return None
    return len(_BUILT_IN.findall(bytes(raw)))


def _number(value: int) -> Raw:
    return Raw(encode(value))


def _chat(request: ChatRequest) -> Demand:
    fields = request.fields
    return Demand(
        text_bytes=_text_bytes(fields),
        n=request.n,
        max_output=request.max_tokens or 0,
        open_ended=request.max_tokens is None,
        predicted=len(fields["prediction"]) if "prediction" in fields else 0,
        audio_output="modalities" in fields and b"audio" in bytes(fields["modalities"]),
        cache_marked=_cache_mark(fields, "messages", "tools"),
        service_tier=_word(fields, "service_tier") if "service_tier" in fields else "",
        tools=_tools(fields) if "tools" in fields else _tools(fields, "functions"),
    )


_NEWER, _OLDER = "max_completion_tokens", "max_tokens"


def _cap_chat(request: ChatRequest, most: int) -> None:
    """In the fields that the caller used; else in the newer one, of which every provider is told in his own words."""
    fields = request.fields
    said = [name for name in (_NEWER, _OLDER) if _is_said(fields, name)]
    for name in said:
        fields[name] = _number(min(most, int(_decode_number(fields[name]))))
    if not said:
        fields.pop(_OLDER, None)
        fields[_NEWER] = _number(most)
    request.max_tokens = most


def _messages(request: Inbound) -> Demand:
    """A budget of thinking is a part of `max_tokens`."""
    fields = request.fields
    tier = _word(fields, "speed") if "speed" in fields else ""
    return Demand(
        text_bytes=_text_bytes(fields),
        max_output=request.max_tokens or 0,
        open_ended=request.max_tokens is None,
        cache_marked=_cache_mark(fields, "cache_control", "messages", "system", "tools"),
        service_tier=tier or (_word(fields, "service_tier") if "service_tier" in fields else ""),
        tools=_tools(fields),
    )


def _cap_messages(request: Inbound, most: int) -> None:
    request.fields["max_tokens"] = _number(most)
    request.max_tokens = most


def _responses(request: Inbound) -> Demand:
    fields = request.fields
    return Demand(
        text_bytes=_text_bytes(fields),
        max_output=request.max_tokens or 0,
        open_ended=request.max_tokens is None,
        cache_marked=_cache_mark(fields, "input", "tools"),
        service_tier=_word(fields, "service_tier") if "service_tier" in fields else "",
        tools=_tools(fields),
    )


def _cap_responses(request: Inbound, most: int) -> None:
    request.fields["max_output_tokens"] = _number(most)
    request.max_tokens = most


def _gemini(request: GeminiRequest) -> Demand:
    fields = request.fields
    config = fields.get("generationConfig") or fields.get("generation_config")
    tier = _word(fields, "serviceTier") or _word(fields, "service_tier")
    return Demand(
        text_bytes=_text_bytes(fields),
        n=request.n,
        max_output=request.max_tokens or 0,
        open_ended=request.max_tokens is None,
        audio_output=config is not None and b"audio" in bytes(config).lower(),
        service_tier=tier.lower().removeprefix("service_tier_"),
        tools=_tools(fields),
    )


_CONFIGS = ("generationConfig", "generation_config")
_LIMITS = ("maxOutputTokens", "max_output_tokens")


def _cap_gemini(request: GeminiRequest, most: int) -> None:
    """In the spelling that the caller used. Everything else in the configuration keeps its bytes."""
    for name in [name for name in _CONFIGS if _is_said(request.fields, name)] or _CONFIGS[:1]:
        config = _decode_fields(request.fields[name]) if _is_said(request.fields, name) else {}
        for limit in [limit for limit in _LIMITS if limit in config] or _LIMITS[:1]:
            config[limit] = _number(most)
        request.fields[name] = Raw(encode(config))
    request.max_tokens = most


SPELLINGS: Mapping[str, Spelling] = {
    "openai_chat": Spelling(_chat, _cap_chat),
    "anthropic_messages": Spelling(_messages, _cap_messages),
    "gemini": Spelling(_gemini, _cap_gemini),
    "openai_responses": Spelling(_responses, _cap_responses),
}
"""By the name of the caller's protocol."""
