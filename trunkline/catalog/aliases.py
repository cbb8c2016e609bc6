"""Names that people still write, and what answers to them now. Each with the page that says so.

The first target whose provider is configured serves the name. Keys are in lower case.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec


class ShippedAlias(msgspec.Struct, frozen=True):
    """`targets` are `provider/rest`, best first."""

    targets: tuple[str, ...]
    source: str


# DeepSeek retired `deepseek-chat` (V3) and `deepseek-reasoner` (R1) on 2026-07-24 and names what took their place;
# elsewhere the old weights are still served under these names.
_DEEPSEEK = "https://api-docs.deepseek.com/"
_V3 = ShippedAlias(
    (
        "deepseek/deepseek-flash",
        "openrouter/deepseek/deepseek-chat",
        "huggingface/deepseek-ai/DeepSeek-V3:together",
    ),
    _DEEPSEEK,
)
_R1 = ShippedAlias(
    (
        "deepseek/deepseek-flash",
        "openrouter/deepseek/deepseek-r1",
        "novita/deepseek/deepseek-r1",
        "huggingface/deepseek-ai/DeepSeek-R1:together",
    ),
    _DEEPSEEK,
)
_SONNET_4 = ShippedAlias(
    ("anthropic/claude-sonnet-4-20250514", "openrouter/anthropic/claude-sonnet-4"),
    "https://platform.claude.com/docs/en/about-claude/model-deprecations",
)
_KIMI_K2_6 = ShippedAlias(
    (
        "moonshotai/kimi-k2.6",
        "openrouter/moonshotai/kimi-k2.6",
        "baseten/moonshotai/Kimi-K2.6",
        "novita/moonshotai/kimi-k2.6",
        "avian/moonshotai/kimi-k2.6",
    ),
    "https://platform.kimi.ai/docs/models.md",
)

SHIPPED: Final[Mapping[str, ShippedAlias]] = MappingProxyType(
    {
        "deepseek-v3": _V3,
        "deepseek-chat": _V3,
        "deepseek/deepseek-v3": _V3,
        "deepseek-r1": _R1,
        "deepseek-reasoner": _R1,
        "deepseek/deepseek-r1": _R1,
        "claude-sonnet-4": _SONNET_4,
        "claude-sonnet-4-20250514": _SONNET_4,
        "anthropic/claude-sonnet-4-20250514": _SONNET_4,
        "kimi-k2.6": _KIMI_K2_6,
        "moonshot/kimi-k2.6": _KIMI_K2_6,
        "gpt-4o-realtime": ShippedAlias(
            ("openai/gpt-4o-realtime-preview",), "https://developers.openai.com/api/docs/models/gpt-4o-realtime-preview"
        ),
        "gpt-35-turbo": ShippedAlias(
            ("openai/gpt-3.5-turbo", "openrouter/openai/gpt-3.5-turbo"),
            "https://learn.microsoft.com/azure/foundry/openai/concepts/models",
        ),
    }
)
