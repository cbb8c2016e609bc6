"""How families of models are spoken to, each fact with its source: what they refuse, and how they are told to reason.

A family is found by its provider's row and the beginning of the model's name there, so that a model of tomorrow gets
its family's treatment although no list has it yet. The first that fits wins.
"""

from __future__ import annotations

import re

import msgspec

from trunkline.translation.target import Thinking


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """`providers` are rows. `drops` are the parameters that its models refuse. `only`: they answer this protocol alone.

    `max_tokens_renamed`: they refuse `max_tokens` and want `max_completion_tokens`.
    """

    providers: tuple[str, ...]
    names: tuple[str, ...]
    source: str
    thinking: Thinking | None = None
    drops: tuple[str, ...] = ()
    only: str | None = None
    max_tokens_renamed: bool = False


SAMPLING = ("temperature", "top_p", "top_k")
DRAWN = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias")
CLAUDE = ("anthropic", "aws", "vertex")
OPENAI = ("openai", "azure")
GEMINI = ("google", "vertex")

FAMILIES: tuple[Family, ...] = (
    Family(
        providers=CLAUDE,
        names=(
            "claude-opus-4-7",
            "claude-opus-4-8",
            "claude-mythos",
            "claude-fable",
            *(f"claude-{kind}-{major}" for kind in ("opus", "sonnet", "haiku") for major in (5, 6)),
        ),
        source="https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html"
        " and https://openrouter.ai/docs/guides/evaluate-and-optimize/model-migrations/claude-4-7",
        thinking="adaptive",
        drops=SAMPLING,
    ),
    Family(
        providers=CLAUDE,
        names=("claude-opus-4-6", "claude-sonnet-4-6"),
        source="https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html",
        thinking="adaptive",
    ),
    Family(
        providers=CLAUDE,
        names=("claude-3-haiku", "claude-3-sonnet", "claude-3-opus", "claude-3-5", "claude-2", "claude-instant"),
        source="https://platform.claude.com/docs/en/build-with-claude/extended-thinking",
        thinking="never",
    ),
    Family(
        providers=CLAUDE,
        names=("claude",),
        source="https://platform.claude.com/docs/en/build-with-claude/extended-thinking",
        thinking="budget",
    ),
    Family(
        providers=OPENAI,
        names=(
            "gpt-5-pro",
            "gpt-5-codex",
            "o1-pro",
            "o3-pro",
            "o3-deep-research",
            "o4-mini-deep-research",
            "codex-mini",
        ),
        source="https://developers.openai.com/api/docs/models/gpt-5-pro and the pages of the others",
        thinking="effort",
        drops=DRAWN,
        only="openai_responses",
    ),
    Family(
        providers=OPENAI,
        names=("gpt-5.1-codex", "gpt-5.2-codex", "gpt-5.2-pro", "gpt-5.4-pro", "gpt-5.5-pro", "computer-use"),
        source="https://developers.openai.com/api/docs/models/gpt-5.2-pro and the pages of the others",
        thinking="effort",
        only="openai_responses",
    ),
    Family(
        providers=OPENAI,
        names=("gpt-5-chat", "gpt-5.1-chat", "gpt-5.2-chat"),
        source="https://developers.openai.com/api/docs/models/gpt-5-chat-latest",
        thinking="never",
    ),
    # From gpt-5.1 on they are taken as long as the effort is none, which is the default there.
    Family(
        providers=OPENAI,
        names=("gpt-5.", "gpt-6"),
        source="https://developers.openai.com/api/docs/guides/latest-model#gpt-54-parameter-compatibility",
        thinking="effort",
        max_tokens_renamed=True,
    ),
    Family(
        providers=OPENAI,
        names=("o1", "o3", "o4", "gpt-5"),
        source="https://platform.openai.com/docs/guides/reasoning#limitations",
        thinking="effort",
        drops=DRAWN,
        max_tokens_renamed=True,
    ),
    Family(
        providers=OPENAI,
        names=("gpt-4", "gpt-3.5", "chatgpt-"),
        source="https://platform.openai.com/docs/guides/reasoning",
        thinking="never",
    ),
    Family(
        providers=GEMINI,
        names=("gemini-3",),
        source="https://ai.google.dev/gemini-api/docs/thinking",
        thinking="effort",
    ),
    Family(
        providers=GEMINI,
        names=("gemini-2.5",),
        source="https://ai.google.dev/gemini-api/docs/thinking",
        thinking="budget",
    ),
    Family(
        providers=GEMINI,
        names=("gemini-2.0", "gemini-1", "gemma"),
        source="https://ai.google.dev/gemini-api/docs/thinking",
        thinking="never",
    ),
    Family(
        providers=("xai",),
        names=("grok-4", "grok-code"),
        source="https://docs.x.ai/docs/guides/reasoning",
        thinking="always",
        drops=("presence_penalty", "frequency_penalty", "stop"),
    ),
    Family(
        providers=("sandbox-messages",),
        names=("",),
        source="trunkline/providers/sandbox",
        thinking="budget",
    ),
    Family(
        providers=("sandbox", "sandbox-responses", "sandbox-gemini"),
        names=("",),
        source="trunkline/providers/sandbox",
        thinking="effort",
    ),
)

# Bedrock names where a model may run, and its maker: `eu.anthropic.claude-opus-4-6-v1`.
_PLACE = re.compile(r"(?:(?:[a-z]{2,6}(?:-gov)?|global)\.)?anthropic\.")


def find(row_id: str, upstream: str) -> Family | None:
    """`upstream` is the name that the provider knows, in any case."""
    name = _PLACE.sub("", upstream.casefold(), count=1)
    for family in FAMILIES:
        if row_id in family.providers and name.startswith(family.names):
            return family
    return None
