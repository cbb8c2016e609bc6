"""Facts about models that genai-prices lacks, each entry with its source. What is not known is left out.

A profile of a provider holds for its own models by their catalog names. One without a provider is about weights that
many hosts serve: it is looked up by the last part of the name, and says nothing that a host decides.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from trunkline.catalog.models import Capabilities


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """`names` are in lower case. Tokens are counted in tokens."""

    provider: str = ""
    names: tuple[str, ...]
    source: str
    input: tuple[str, ...] | None = None
    output: tuple[str, ...] | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    capabilities: Capabilities = Capabilities()
    released: dt.date | None = None

    @property
    def created(self) -> int | None:
        """The day of the release in Unix seconds."""
        if self.released is None:
            return None
        return int(dt.datetime(self.released.year, self.released.month, self.released.day, tzinfo=dt.UTC).timestamp())


TEXT = ("text",)
SEES = ("text", "image")
HEARS = ("text", "image", "audio", "video")
CHAT = Capabilities(tools=True, vision=True, json_schema=True, reasoning=False, streaming=True)
THINKS = Capabilities(tools=True, vision=True, json_schema=True, reasoning=True, streaming=True)
THINKS_BLIND = Capabilities(tools=True, vision=False, json_schema=True, reasoning=True, streaming=True)
# Where the pages say nothing of JSON schemas at the endpoint that the row names.
TOOLS = Capabilities(tools=True, vision=True, reasoning=True, streaming=True)
TOOLS_BLIND = Capabilities(tools=True, vision=False, reasoning=True, streaming=True)


def _openai(name: str, released: dt.date, context: int, most: int, can: Capabilities = THINKS) -> Profile:
    return Profile(
        provider="openai",
        names=(name,),
        source=f"https://developers.openai.com/api/docs/models/{name}",
        input=SEES if can.vision else TEXT,
        output=TEXT,
        context_window=context,
        max_output_tokens=most,
        capabilities=can,
        released=released,
    )


def _claude(name: str, released: dt.date, context: int, most: int) -> Profile:
    return Profile(
        provider="anthropic",
        names=(name,),
        source="https://platform.claude.com/docs/en/about-claude/models/overview",
        input=SEES,
        output=TEXT,
        context_window=context,
        max_output_tokens=most,
        capabilities=TOOLS,
        released=released,
    )


def _gemini(name: str, released: dt.date) -> Profile:
    return Profile(
        provider="google",
        names=(name,),
        source=f"https://ai.google.dev/gemini-api/docs/models/{name}",
        input=HEARS,
        output=TEXT,
        context_window=1_048_576,
        max_output_tokens=65_536,
        capabilities=THINKS,
        released=released,
    )


def _embedding(name: str) -> Profile:
    return Profile(
        provider="openai",
        names=(name,),
        source=f"https://developers.openai.com/api/docs/models/{name}",
        input=TEXT,
        output=("embedding",),
        capabilities=Capabilities(tools=False, vision=False, json_schema=False, reasoning=False, streaming=False),
        released=dt.date(2024, 1, 25),
    )


def _text_weights(source: str, *names: str) -> Profile:
    return Profile(names=names, source=source, input=TEXT, output=TEXT)


ALL: tuple[Profile, ...] = (
    _openai("gpt-4o", dt.date(2024, 5, 13), 128_000, 16_384, CHAT),
    _openai("gpt-4o-mini", dt.date(2024, 7, 18), 128_000, 16_384, CHAT),
    _openai("gpt-4.1", dt.date(2025, 4, 14), 1_047_576, 32_768, CHAT),
    _openai("gpt-4.1-mini", dt.date(2025, 4, 14), 1_047_576, 32_768, CHAT),
    _openai("gpt-4.1-nano", dt.date(2025, 4, 14), 1_047_576, 32_768, CHAT),
    _openai("o1", dt.date(2024, 12, 17), 200_000, 100_000),
    _openai("o3-mini", dt.date(2025, 1, 31), 200_000, 100_000, THINKS_BLIND),
    _openai("o3", dt.date(2025, 4, 16), 200_000, 100_000),
    _openai("o4-mini", dt.date(2025, 4, 16), 200_000, 100_000),
    _openai("gpt-5", dt.date(2025, 8, 7), 400_000, 128_000),
    _openai("gpt-5-mini", dt.date(2025, 8, 7), 400_000, 128_000),
    _openai("gpt-5-nano", dt.date(2025, 8, 7), 400_000, 128_000),
    _openai("gpt-5.1", dt.date(2025, 11, 13), 400_000, 128_000),
    _openai("gpt-5.2", dt.date(2025, 12, 11), 400_000, 128_000),
    _openai("gpt-5.4", dt.date(2026, 3, 5), 1_050_000, 128_000),
    _openai("gpt-5.5", dt.date(2026, 4, 23), 1_050_000, 128_000),
    _openai("gpt-6-sol", dt.date(2026, 9, 22), 1_050_000, 128_000),
    _embedding("text-embedding-3-small"),
    _embedding("text-embedding-3-large"),
    _claude("claude-sonnet-4-0", dt.date(2025, 5, 22), 200_000, 64_000),
    _claude("claude-opus-4-0", dt.date(2025, 5, 22), 200_000, 32_000),
    _claude("claude-opus-4-1", dt.date(2025, 8, 5), 200_000, 32_000),
    _claude("claude-sonnet-4-5", dt.date(2025, 9, 29), 200_000, 64_000),
    _claude("claude-haiku-4-5", dt.date(2025, 10, 15), 200_000, 64_000),
    _claude("claude-opus-4-5", dt.date(2025, 11, 24), 200_000, 64_000),
    _claude("claude-opus-4-8", dt.date(2026, 5, 28), 1_000_000, 128_000),
    _gemini("gemini-2.5-pro", dt.date(2025, 6, 17)),
    _gemini("gemini-2.5-flash", dt.date(2025, 6, 17)),
    _gemini("gemini-3.8-flash", dt.date(2026, 9, 2)),
    Profile(
        provider="deepseek",
        names=("deepseek-flash", "deepseek-v4-flash"),
        source="https://api-docs.deepseek.com/quick_start/pricing",
        input=SEES,
        output=TEXT,
        context_window=1_000_000,
        max_output_tokens=393_216,
        capabilities=TOOLS,
        released=dt.date(2026, 9, 10),
    ),
    Profile(
        provider="moonshotai",
        names=("kimi-k2.6",),
        source="https://platform.kimi.ai/docs/models.md",
        input=("text", "image", "video"),
        output=TEXT,
        context_window=262_144,
        max_output_tokens=262_144,
        capabilities=THINKS,
        released=dt.date(2026, 4, 21),
    ),
    Profile(
        provider="moonshotai",
        names=("kimi-k3",),
        source="https://platform.kimi.ai/docs/models.md",
        input=("text", "image", "video"),
        output=TEXT,
        context_window=1_048_576,
        max_output_tokens=1_048_576,
        capabilities=THINKS,
        released=dt.date(2026, 7, 16),
    ),
    Profile(
        provider="mistral",
        names=("mistral-large-2512",),
        source="https://docs.mistral.ai/getting-started/models/",
        input=SEES,
        output=TEXT,
        context_window=262_144,
        max_output_tokens=262_144,
        capabilities=CHAT,
        released=dt.date(2025, 12, 2),
    ),
    Profile(
        provider="xai",
        names=("grok-4.5",),
        source="https://docs.x.ai/docs/models",
        input=SEES,
        output=TEXT,
        context_window=500_000,
        capabilities=THINKS,
        released=dt.date(2026, 6, 29),
    ),
    Profile(
        provider="zai",
        names=("glm-5.3",),
        source="https://docs.z.ai/guides/overview/pricing",
        input=TEXT,
        output=TEXT,
        context_window=1_000_000,
        max_output_tokens=131_072,
        capabilities=TOOLS_BLIND,
        released=dt.date(2026, 8, 14),
    ),
    _text_weights(
        "https://github.com/meta-llama/llama-models/blob/main/models/llama3_3/MODEL_CARD.md",
        "llama-3.3-70b-instruct",
        "llama-3.3-70b-instruct-turbo",
        "llama-3.3-70b-versatile",
        "llama-3.3-70b-instruct-fp8-fast",
    ),
    _text_weights(
        "https://github.com/meta-llama/llama-models/blob/main/models/llama3_1/MODEL_CARD.md",
        "llama-3.1-8b-instruct",
        "llama-3.1-8b-instant",
        "meta-llama-3.1-8b-instruct-turbo",
        "meta-llama-3.1-70b-instruct-turbo",
        "meta-llama-3.1-405b-instruct-turbo",
    ),
    _text_weights("https://huggingface.co/deepseek-ai/DeepSeek-V3", "deepseek-v3", "deepseek-v3-0324"),
    _text_weights("https://huggingface.co/deepseek-ai/DeepSeek-R1", "deepseek-r1", "deepseek-r1-0528"),
    _text_weights("https://huggingface.co/Qwen/Qwen3-32B", "qwen3-32b", "qwen3-14b", "qwen3-8b"),
    _text_weights("https://huggingface.co/Qwen/Qwen3-235B-A22B-Instruct-2507", "qwen3-235b-a22b-instruct-2507"),
    _text_weights("https://huggingface.co/openai/gpt-oss-120b", "gpt-oss-120b", "gpt-oss-20b"),
)

_FOUND: Final[Mapping[tuple[str, str], Profile]] = MappingProxyType(
    {(profile.provider, name): profile for profile in ALL for name in profile.names}
)


def find(provider_id: str, rest: str) -> Profile | None:
    """`rest` is the model's id without the provider, in any case."""
    name = rest.casefold()
    own = _FOUND.get((provider_id, name))
    if own is not None:
        return own
    last = name.rpartition("/")[2].partition(":")[0]
    return _FOUND.get(("", last))
