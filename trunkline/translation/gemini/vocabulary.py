"""Words of this protocol that several of its files need: names, finish reasons, ids, what models of which age take.

Shapes are those of https://ai.google.dev/api/generate-content and the `google-genai` package's types.py.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from msgspec import Raw

from trunkline.translation.exchange import Stop
from trunkline.translation.target import Target

PROTOCOL: Final = "gemini"
NULL: Final = b"null"

NAMES: Final[Mapping[str, str]] = {
    "turns": "contents",
    "tool_choice": "toolConfig.functionCallingConfig",
    "tool_calls.arguments": "contents.parts.functionCall.args",
    "output_format": "generationConfig.responseSchema",
    "reasoning": "generationConfig.thinkingConfig",
    "reasoning.effort": "generationConfig.thinkingConfig.thinkingLevel",
    "max_tokens": "generationConfig.maxOutputTokens",
    "temperature": "generationConfig.temperature",
    "top_p": "generationConfig.topP",
    "top_k": "generationConfig.topK",
    "presence_penalty": "generationConfig.presencePenalty",
    "frequency_penalty": "generationConfig.frequencyPenalty",
    "logprobs": "generationConfig.responseLogprobs",
    "top_logprobs": "generationConfig.logprobs",
    "seed": "generationConfig.seed",
    "stop": "generationConfig.stopSequences",
    "n": "generationConfig.candidateCount",
    "service_tier": "serviceTier",
}
"""What callers of this protocol call the neutral fields."""

# An escape of half a surrogate pair: valid JSON, and no Unicode.
_PAIR, _HALF = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}", r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf"{_PAIR}|({_HALF})|\\.", re.DOTALL)


def mended(text: str) -> str:
    """The same JSON text with U+FFFD for halves of surrogate pairs: Google refuses a body that holds one, and its
    clients cannot read one."""
    return _ESCAPE.sub(lambda escape: "\\ufffd" if escape[1] else escape[0], text) if "\\u" in text else text


_LENGTH = ("MAX_TOKENS", "CONTINUATION")
_FILTERED = (
    *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "ESCALATION"),
    *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "PUP_LIMITED_DISABLED"),
)
_STOPS: dict[str, Stop] = {**dict.fromkeys(_LENGTH, "length"), **dict.fromkeys(_FILTERED, "filter")}
FAILED: Final = frozenset(
    ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE")
)
"""Reasons of an answer that came to nothing through a mistake of the model, or of what it was asked."""

_FINISH_REASONS: dict[Stop, str] = {
    "end": "STOP",
    "stop_sequence": "STOP",
    "length": "MAX_TOKENS",
    "tool": "STOP",
    "filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "STOP",
}


def read_stop(reason: str, *, called: bool) -> Stop:
    """STOP is the reason also where the model stopped to have tools called, and at a stop sequence."""
    return _STOPS.get(reason, "tool" if called else "end")


def finish_reason(stop: Stop) -> str:
    return _FINISH_REASONS[stop]


def made_call_id(*place: object) -> str:
    """For calls that came without: the same for the same call of the same answer."""
    return "call_" + hashlib.sha256("\n".join(map(str, place)).encode("utf-8", "surrogatepass")).hexdigest()[:24]


def response_id(given: str, model: str) -> str:
    """Any text is one here."""
    return given or hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def said(raw: Raw) -> bool:
    """The field was sent, and is not null."""
    return bool(raw) and not (len(raw) == len(NULL) and bytes(raw) == NULL)


def begins(raw: Raw, start: bytes) -> bool:
    """Of a value that may be long, without a copy of it."""
    return memoryview(raw)[: len(start)] == start


_EARLIER = re.compile(r"(?:^|/)(?:gemma|.*gemini-(?:[12](?:[.-]|$)|pro|ultra|exp))")


def is_late(target: Target) -> bool:
    """Gemini 3 or later: wants signatures on function calls, takes media in function responses and a schema beside
    tools (https://ai.google.dev/gemini-api/docs/gemini-3). A name that says no number, `gemini-flash-latest`, is that
    of a new model."""
    if target.thinking is not None:
        return target.thinking == "effort"
    return "gemini" in target.upstream and _EARLIER.match(target.upstream) is None


CALL_IDS: Final = "tool_calls.id"


def takes_call_ids(target: Target) -> bool:
    """Not every host does. Results stand in the order of their calls, so that nothing hangs on ids."""
    return CALL_IDS not in target.drops


_BY_ENDING = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif",
    "heic": "image/heic", "heif": "image/heif", "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown",
    "csv": "text/csv", "html": "text/html", "json": "application/json", "xml": "text/xml", "mp4": "video/mp4",
    "webm": "video/webm", "mov": "video/quicktime", "mpeg": "video/mpeg", "wav": "audio/wav", "mp3": "audio/mpeg",
    "flac": "audio/flac", "ogg": "audio/ogg", "aac": "audio/aac", "m4a": "audio/mp4",
}  # fmt: skip
_ENDING = re.compile(r"\.([A-Za-z0-9]{2,4})(?:[?#]|$)")
_YOUTUBE = re.compile(r"https?://(?:www\.|m\.)?(?:youtube\.com|youtu\.be)/", re.IGNORECASE)


def media_type_of(url: str) -> str | None:
    """What its ending says; None where it says nothing."""
    if _YOUTUBE.match(url):
        return "video/mp4"
    ending = _ENDING.search(url)
    return _BY_ENDING.get(ending[1].lower()) if ending else None


_FIRST_LETTERS = {
    "iVBOR": "image/png", "/9j/": "image/jpeg", "R0lG": "image/gif", "JVBERi": "application/pdf",
    "SUQz": "audio/mpeg", "ZkxhQ": "audio/flac", "T2dnU": "audio/ogg",
}  # fmt: skip


def media_type_in(data: str) -> str | None:
    """What base64 begins with; None where that is not known."""
    return next((kind for start, kind in _FIRST_LETTERS.items() if data.startswith(start)), None)
