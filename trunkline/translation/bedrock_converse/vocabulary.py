"""Words of this protocol that several of its files need: stop reasons, whose model it is, cache points."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.translation.exchange import Lifetime, Stop

PROTOCOL = "bedrock_converse"
REDACTED = "redacted:"
"""How the state of reasoning begins that came encrypted; any other is a signature."""

STOP_OF: dict[str, Stop] = {
    "end_turn": "end",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool",
    "guardrail_intervened": "filter",
    "content_filtered": "filter",
}
MALFORMED = frozenset(("malformed_model_output", "malformed_tool_use"))
"""Reasons that are failures: what the model wrote could not be read."""

_REASON_OF: dict[Stop, str] = {
    "end": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool": "tool_use",
    "filter": "content_filtered",
    "refusal": "content_filtered",
    "pause": "end_turn",
}
STOP_SEQUENCE_PATH = "/stop_sequence"
"""Where Claude tells which sequence was met, as a JSON pointer: the documentation's own example of
additionalModelResponseFieldPaths."""

_MAKER = re.compile(r"(?:^|(?<=[./:]))[a-z0-9]+(?=\.)")
_MAKERS = frozenset(
    ("ai21", "amazon", "anthropic", "cohere", "deepseek", "google", "meta", "minimax", "mistral", "moonshot")
) | {"moonshotai", "nvidia", "openai", "qwen", "writer", "zai"}


def maker(upstream: str) -> str:
    """Who made the model of this name (`eu.anthropic.claude-opus-4-6-v1`, or an ARN that ends in one); "" when the
    name does not tell, as that of an application's inference profile does not."""
    name = upstream.lower()
    found = next((maker for maker in _MAKER.findall(name) if maker in _MAKERS), "")
    return "anthropic" if not found and "claude" in name else found


def stop_reason(stop: Stop, *, called: bool) -> str:
    return "tool_use" if stop == "end" and called else _REASON_OF[stop]


# An escape of half a surrogate pair is valid JSON and no Unicode; parsers refuse it.
_PAIR, _HALF = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}", r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf"{_PAIR}|({_HALF})|\\.", re.DOTALL)


def mended(text: str) -> str:
    """The same JSON text with U+FFFD for halves of surrogate pairs."""
    return _ESCAPE.sub(lambda escape: "\\ufffd" if escape[1] else escape[0], text) if "\\u" in text else text


def said(raw: Raw) -> bool:
    """The field was sent, and is not null."""
    return bool(raw) and bytes(raw) != b"null"


class CachePoint(msgspec.Struct):
    ttl: str | None = None


def lifetime(point: CachePoint) -> Lifetime:
    return "1h" if point.ttl == "1h" else "5m"


def cache_point(kept: Lifetime) -> dict[str, Any]:
    """Five minutes are what is meant when nothing is said."""
    return {"cachePoint": {"type": "default"} if kept == "5m" else {"type": "default", "ttl": kept}}
