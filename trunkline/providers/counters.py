"""Providers' own counts of a request's tokens: which protocol has one, where, of what, and how it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw

from trunkline.errors import UpstreamFailed
from trunkline.providers import targets
from trunkline.providers.protocols import VERTEX
from trunkline.translation.target import Target
from trunkline.wire import anthropic_messages, anthropic_messages_answer, codec, gemini, gemini_answer, openai_responses
from trunkline.wire.codec import Fields, encode
from trunkline.wire.usage import MAX_COUNT


class Counter(msgspec.Struct, frozen=True):
    """`fields` are those of a request that it takes; `body` makes what is sent of them. `read` raises UpstreamFailed
    for an answer that is no count."""

    path: Callable[[Target], bytes]
    fields: frozenset[str]
    read: Callable[[bytes], int]
    body: Callable[[Fields, Target], bytes] = lambda fields, target: encode(fields)


_Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]


class _ResponsesCount(msgspec.Struct):
    input_tokens: _Count


_decode_responses = msgspec.json.Decoder(_ResponsesCount).decode


def _read_responses(body: bytes) -> int:
    try:
        return _decode_responses(body).input_tokens
    except codec.UNREADABLE:
        raise UpstreamFailed("The provider's answer is not a count of tokens.") from None


def _messages_path(target: Target) -> bytes:
    return targets.VERTEX_COUNT_TOKENS if target.version.startswith(VERTEX) else anthropic_messages.COUNT_TARGET


def _messages_body(fields: Fields, target: Target) -> bytes:
    """Where a call's path names the model, a count's body does all the same: the page above VERTEX_COUNT_TOKENS."""
    return encode({"model": Raw(encode(target.upstream)), **fields})


def _gemini_body(fields: Fields, target: Target) -> bytes:
    """Instructions and tools count only inside a whole request: https://ai.google.dev/api/tokens#method:-models.counttokens"""
    return encode({"generateContentRequest": {"model": Raw(encode("models/" + target.upstream)), **fields}})


COUNTERS: Final[Mapping[str, Counter]] = MappingProxyType(
    {
        # https://platform.claude.com/docs/en/api/messages-count-tokens
        "anthropic_messages": Counter(
            _messages_path,
            frozenset(
                ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "output_format")
            )
            | {"cache_control", "context_management", "mcp_servers"},
            anthropic_messages_answer.read_count,
            _messages_body,
        ),
        # https://platform.openai.com/docs/api-reference/responses/input-tokens
        "openai_responses": Counter(
            lambda target: openai_responses.INPUT_TOKENS_TARGET,
            frozenset(("model", "input", "instructions", "tools", "tool_choice", "text", "reasoning", "truncation"))
            | {"parallel_tool_calls"},
            _read_responses,
        ),
        "gemini": Counter(
            lambda target: gemini.count_path(target.upstream),
            frozenset(("contents", "systemInstruction", "tools", "toolConfig", "generationConfig")),
            gemini_answer.read_count,
            _gemini_body,
        ),
    }
)
