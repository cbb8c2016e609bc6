"""How many tokens a request has, about, where nobody can be asked who knows.

Four characters of ASCII are a token, one character of another script is. A picture counts 1,000: Anthropic bills
width x height / 750, at most 1,600 (https://platform.claude.com/docs/en/build-with-claude/vision). A page counts 2,000
of its 1,500 to 3,000 (https://platform.claude.com/docs/en/build-with-claude/pdf-support), a second of sound 32
(https://ai.google.dev/gemini-api/docs/audio); how many there are is guessed from the size of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import (
    Answer,
    Media,
    Opaque,
    Part,
    Reasoning,
    Request,
    Tool,
    ToolCall,
    ToolResult,
)
from trunkline.wire.inbound import Inbound
from trunkline.wire.seen import tokens_of

TURN_TOKENS = 4
TOOL_TOKENS = 8
IMAGE_TOKENS = 1000
PAGE_TOKENS = 2000
PAGE_BYTES = 3000
SOUND_TOKENS = 32
SOUND_BYTES = 16_000
REMOTE_TOKENS = 2000
"""A document or sound of which only the address is known."""


def tokens(request: Request) -> int:
    """At least 1."""
    counted = sum(TURN_TOKENS + _parts(turn.parts) for turn in request.turns)
    for tool in request.tools:
        counted += TOOL_TOKENS + (_tool(tool) if isinstance(tool, Tool) else _text(bytes(tool.raw).decode()))
    if request.output_format is not None and request.output_format.schema is not None:
        counted += _text(bytes(request.output_format.schema).decode())
    return max(1, counted)


def estimate_input(inbound: Inbound, read: Callable[[Inbound], Request]) -> int:
    """The same of a request that may have been passed on unread; `read` is its protocol's. At least 1."""
    try:
        return tokens(read(inbound))
    except InvalidRequest:
        # Its provider understood more of it than is known here.
        return max(1, tokens_of(sum(map(len, inbound.fields.values()))))


def output_tokens(answer: Answer) -> int:
    """Of a whole answer; 0 when it says nothing."""
    return sum(_parts(choice.parts) for choice in answer.choices)


def _parts(parts: Iterable[Part]) -> int:
    return sum(map(_part, parts))


def _part(part: Part) -> int:
    if isinstance(part, Media):
        return _media(part)
    if isinstance(part, ToolCall):
        return TOOL_TOKENS + _text(part.name) + _text(part.arguments)
    if isinstance(part, ToolResult):
        return TOOL_TOKENS + _parts(part.parts)
    if isinstance(part, Reasoning):
        return _text(part.text) + sum(map(_text, part.summaries))
    if isinstance(part, Opaque):
        return _text(bytes(part.raw).decode())
    return _text(part.text)


def _media(part: Media) -> int:
    if part.kind == "image":
        return IMAGE_TOKENS
    if part.text is not None:
        return _text(part.text)
    if part.data is None:
        return REMOTE_TOKENS
    size = len(part.data) * 3 // 4
    if part.kind == "document":
        return PAGE_TOKENS * (1 + size // PAGE_BYTES)
    return SOUND_TOKENS * (1 + size // SOUND_BYTES)


def _tool(tool: Tool) -> int:
    schema = bytes(tool.parameters).decode() if tool.parameters is not None else ""
    return _text(tool.name) + _text(tool.description or "") + _text(schema)


def _text(text: str) -> int:
    if text.isascii():
        return (len(text) + 3) // 4
    plain = len(text.encode("ascii", "ignore"))
    return (plain + 3) // 4 + len(text) - plain
