"""Words of this protocol that several of its files need: names, stop reasons, ids, cache marks.

Shapes are those of the `anthropic` package's types and types/beta.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

import msgspec
from msgspec import Raw

from trunkline.translation.exchange import Lifetime, Part, Stop, ToolCall
from trunkline.wire import codec

PROTOCOL = "anthropic_messages"
NULL = b"null"

_NARROWER = "2026-10-21"


def is_narrower(version: str) -> bool:
    """Whether this version takes no sampling parameters, no citations in a user's text and no documents in an
    assistant's turn: https://platform.claude.com/docs/en/api/migration-2026-10-21

    Clouds put a name before the date: `vertex-2023-10-16`.
    """
    return version[-len(_NARROWER) :] >= _NARROWER


STOP_OF: dict[str, Stop] = {
    "end_turn": "end",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool",
    "refusal": "refusal",
    "pause_turn": "pause",
    "compaction": "end",
}
_REASON_OF: dict[Stop, str] = {
    "end": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool": "tool_use",
    "filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
}


TIER_OF = {"standard": "default", "priority": "priority"}
TIER_NAMED = {tier: name for name, tier in TIER_OF.items()}
"""The tiers that answers name: neutrally as OpenAI calls them."""


class _Tier(msgspec.Struct):
    service_tier: str | None = None


_decode_tier = msgspec.json.Decoder(_Tier).decode


def tier_of(usage: Raw) -> str | None:
    """It stands among the counts."""
    try:
        return TIER_OF.get(_decode_tier(usage).service_tier or "") if usage else None
    except codec.UNREADABLE:
        return None


def stop_reason(stop: Stop, sequence: str | None, *, called: bool) -> str:
    """`called`: the answer holds a tool call, which some providers do not name as the reason. A stop sequence that
    nobody can name is a natural end here."""
    if (stop == "end" and called) or stop == "tool":
        return "tool_use"
    if stop == "stop_sequence" and sequence is None:
        return "end_turn"
    return _REASON_OF[stop]


def calls_a_tool(parts: Iterable[Part]) -> bool:
    return any(isinstance(part, ToolCall) for part in parts)


_FOREIGN_ID = re.compile(r"^(?:chatcmpl|resp|gen)[-_]|[^A-Za-z0-9_-]")


def message_id(answer_id: str, model: str) -> str:
    """`msg_...`: the same for the same answer."""
    if answer_id.startswith("msg_"):
        return answer_id
    plain = _FOREIGN_ID.sub("", answer_id)
    return "msg_" + (plain or hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:24])


class _CacheControl(msgspec.Struct):
    ttl: str | None = None


_decode_cache = msgspec.json.Decoder(_CacheControl | None).decode


def said(raw: Raw) -> bool:
    """The field was sent, and is not null."""
    return bool(raw) and not (len(raw) == len(NULL) and bytes(raw) == NULL)


def begins(raw: Raw, start: bytes) -> bool:
    """Of a value that may be long, without a copy of it."""
    return memoryview(raw)[:1] == start


def lifetime(raw: Raw) -> Lifetime | None:
    """Of a `cache_control`."""
    if not raw:
        return None
    try:
        control = _decode_cache(raw)
    except codec.UNREADABLE:
        return "5m"
    if control is None:
        return None
    return "1h" if control.ttl == "1h" else "5m"


def cache_control(kept: Lifetime) -> dict[str, str]:
    return {"type": "ephemeral"} if kept == "5m" else {"type": "ephemeral", "ttl": kept}
