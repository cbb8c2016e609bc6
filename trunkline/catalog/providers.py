"""One row per provider that speaks a protocol we know. A new provider is a new row.

`source` is the vendor's own page for base URL and credential; a row without one would be a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from trunkline.catalog.clouds import CLOUDS
from trunkline.catalog.engines import ENGINES, SANDBOXES
from trunkline.catalog.hosts import CUSTOMER_HOSTS, HOSTS
from trunkline.catalog.provider_row import ENDPOINTS, Endpoint, Face, PriceList
from trunkline.catalog.provider_row import Dialect as Dialect
from trunkline.catalog.provider_row import Provider as Provider

OPENAI_LACKS: tuple[Endpoint, ...] = ("rerank",)

MAKERS: tuple[Provider, ...] = (
    Provider(
        id="openai",
        name="OpenAI",
        base_url="https://api.openai.com/v1",
        key_names=("OPENAI_API_KEY",),
        speaks=(Face("openai_chat"), Face("openai_responses")),
        offers=tuple(endpoint for endpoint in ENDPOINTS if endpoint not in OPENAI_LACKS),
        source="https://platform.openai.com/docs/api-reference",
        makes=("gpt-", "chatgpt-", "o1", "o3", "o4", "codex-", "text-embedding-", "whisper-", "tts-", "computer-use"),
        # Open weights are priced there but not served: https://help.openai.com/en/articles/11870455
        prices=(PriceList("openai", omits=("gpt-oss",), patterns=("ft:", "gpt-4o-mini-2024-07-18.ft-")),),
    ),
    # The older version, because the newer one refuses temperature, top_p and top_k.
    Provider(
        id="anthropic",
        name="Anthropic",
        base_url="https://api.anthropic.com/v1",
        speaks=(Face("anthropic_messages", version="2023-06-01"),),
        credential="x-api-key",
        key_names=("ANTHROPIC_API_KEY",),
        source="https://platform.claude.com/docs/en/api/messages",
        makes=("claude",),
        prices=(PriceList("anthropic"),),
    ),
    Provider(
        id="google",
        name="Google Gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta",
        speaks=(Face("gemini"), Face("openai_chat", "/openai", credential="bearer")),
        credential="x-goog-api-key",
        offers=("embeddings",),
        embeddings_at_once=100,
        key_names=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        other_names=("gemini",),
        # The list of inputs is bounded there: https://ai.google.dev/api/embeddings#method:-models.batchembedcontents
        source="https://ai.google.dev/api/generate-content and https://ai.google.dev/gemini-api/docs/openai",
        makes=("gemini", "gemma"),
        # Claude is sold through Vertex AI, which is another URL.
        prices=(PriceList("google", omits=("claude",)),),
    ),
    Provider(
        id="deepseek",
        name="DeepSeek",
        base_url="https://api.deepseek.com",
        key_names=("DEEPSEEK_API_KEY",),
        # In a tool loop its models want their reasoning back: https://api-docs.deepseek.com/guides/thinking_mode
        dialect=Dialect(returns_reasoning=True),
        # https://api-docs.deepseek.com/guides/anthropic_api
        speaks=(
            Face("openai_chat"),
            Face("anthropic_messages", "/anthropic/v1", credential="x-api-key", version="2023-06-01"),
        ),
        source="https://api-docs.deepseek.com/",
        makes=("deepseek",),
        prices=(PriceList("deepseek"),),
    ),
    # 422 "extra_forbidden" for stream_options.include_usage and for any field that its page does not list; the last
    # chunk has the usage unasked: https://github.com/openai/openai-agents-python/issues/442
    Provider(
        id="mistral",
        name="Mistral",
        base_url="https://api.mistral.ai/v1",
        key_names=("MISTRAL_API_KEY",),
        other_names=("mistralai",),
        dialect=Dialect(
            refuses_stream_options=True,
            max_tokens_only=True,
            drops=("logit_bias", "logprobs", "seed", "service_tier", "store", "top_logprobs", "user"),
        ),
        # 257 inputs are refused: https://github.com/0xPlaygrounds/rig/tree/main/rig-core/src/providers/mistral
        offers=("embeddings", "moderations"),
        embeddings_at_once=256,
        source="https://docs.mistral.ai/api/",
        makes=(
            "mistral",
            "ministral",
            "magistral",
            "codestral",
            "devstral",
            "mixtral",
            "pixtral",
            "voxtral",
            "open-mi",
        ),
        prices=(PriceList("mistral", omits=("mistral-ocr",)),),
    ),
    Provider(
        id="xai",
        name="xAI",
        base_url="https://api.x.ai/v1",
        key_names=("XAI_API_KEY",),
        other_names=("x-ai",),
        offers=("images",),
        source="https://docs.x.ai/docs/api-reference",
        makes=("grok",),
        prices=(PriceList("x-ai"),),
    ),
    Provider(
        id="moonshotai",
        name="Moonshot AI",
        base_url="https://api.moonshot.ai/v1",
        key_names=("MOONSHOT_API_KEY",),
        other_names=("moonshot", "kimi"),
        # https://platform.moonshot.ai/docs/guide/use-kimi-k2-thinking-model
        dialect=Dialect(returns_reasoning=True),
        source="https://platform.moonshot.ai/docs/api/chat",
        makes=("kimi", "moonshot"),
        prices=(PriceList("moonshotai"),),
    ),
    Provider(
        id="zai",
        name="Z.AI",
        base_url="https://api.z.ai/api/paas/v4",
        key_names=("ZAI_API_KEY",),
        other_names=("z-ai",),
        source="https://docs.z.ai/guides/overview/quick-start",
        makes=("glm",),
        prices=(PriceList("zai"),),
        lower_case=True,
    ),
    Provider(
        id="zhipuai",
        name="Zhipu AI",
        base_url="https://open.bigmodel.cn/api/paas/v4",
        key_names=("ZHIPUAI_API_KEY", "ZHIPU_API_KEY"),
        other_names=("zhipu", "bigmodel"),
        source="https://docs.bigmodel.cn/cn/guide/develop/openai/introduction",
        makes=("glm",),
        prices=(PriceList("zhipuai"),),
        lower_case=True,
    ),
    Provider(
        id="minimax",
        name="MiniMax",
        base_url="https://api.minimax.io/v1",
        key_names=("MINIMAX_API_KEY",),
        source="https://platform.minimax.io/docs/api-reference/text-openai-api",
        makes=("minimax", "m2-her"),
        prices=(PriceList("minimax"),),
    ),
    Provider(
        id="cohere",
        name="Cohere",
        base_url="https://api.cohere.com",
        speaks=(Face("openai_chat", "/compatibility/v1"), Face("cohere_chat", "/v2")),
        # https://docs.cohere.com/reference/embed and https://docs.cohere.com/reference/rerank
        offers=("embeddings", "rerank"),
        elsewhere=(("rerank", "/v2/rerank"),),
        embeddings_at_once=96,
        key_names=("COHERE_API_KEY", "CO_API_KEY"),
        source="https://docs.cohere.com/docs/compatibility-api and https://docs.cohere.com/reference/chat",
        makes=("command", "c4ai-", "embed-v"),
        prices=(PriceList("cohere"),),
    ),
    # Meta's quickstart also reads MODEL_API_KEY, a name too common to take for Meta's.
    Provider(
        id="meta",
        name="Meta",
        base_url="https://api.meta.ai/v1",
        key_names=("META_MODEL_API_KEY",),
        source="https://dev.meta.ai/docs/protocols/chat-completions",
        makes=("muse-",),
        prices=(PriceList("meta"),),
    ),
    Provider(
        id="arcee",
        name="Arcee AI",
        base_url="https://api.arcee.ai/api/v1",
        key_names=("ARCEE_API_KEY", "ARCEEAI_API_KEY"),
        source="https://docs.arcee.ai/api-reference/your-first-api-call",
        makes=("trinity",),
        prices=(PriceList("arcee"),),
    ),
    Provider(
        id="alibaba",
        name="Alibaba Cloud Model Studio",
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        key_names=("DASHSCOPE_API_KEY",),
        other_names=("dashscope",),
        # https://www.alibabacloud.com/help/en/model-studio/embedding
        offers=("embeddings",),
        embeddings_at_once=10,
        source="https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
        makes=("qwen", "qwq"),
    ),
    Provider(
        id="inception",
        name="Inception",
        base_url="https://api.inceptionlabs.ai/v1",
        key_names=("INCEPTION_API_KEY",),
        source="https://docs.inceptionlabs.ai/api-reference/chat/create-a-chat-completion",
        makes=("mercury",),
    ),
    Provider(
        id="upstage",
        name="Upstage",
        base_url="https://api.upstage.ai/v1/solar",
        key_names=("UPSTAGE_API_KEY",),
        source="https://developers.upstage.ai/docs/apis/chat",
        makes=("solar-",),
    ),
)
"""Those that make models. Their order is the order of preference where two sell the same family."""

PROVIDERS: Final[Mapping[str, Provider]] = MappingProxyType(
    {row.id: row for row in (*SANDBOXES, *MAKERS, *HOSTS, *CLOUDS, *CUSTOMER_HOSTS, *ENGINES)}
)

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {name: row.id for row in PROVIDERS.values() for name in (row.id, *row.other_names)}
)
"""Every name that means a provider, in lower case -> its id."""

WITHOUT_A_ROW: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cursor": "api.cursor.com manages agents and teams; it has no inference endpoint.",
        "elevenlabs": "speech and sound in a protocol of its own.",
        "github-copilot": "wants a token exchanged for a person's sign-in every half hour, for use in editors.",
        "modal": 'each customer deploys servers under URLs of his own: kind = "openai-compatible" with its base_url.',
        "openai-decisions": "another endpoint of OpenAI's URL, which is not chat.",
        "perplexity": "ended Chat Completions on 2026-09-27; it answers Responses:"
        " https://docs.perplexity.ai/docs/agent-api/migrate-from-sonar/overview",
        "typesafe": "decision models behind /v1/systemone: https://docs.litellm.ai/docs/pass_through/typesafe",
        "voyageai": "embeddings and reranking only.",
    }
)
"""Providers in genai-prices that no row here can serve, and why."""


def find(name: str) -> Provider | None:
    """The row that is called `name`, by id or other name, in any case."""
    provider_id = NAMES.get(name.casefold())
    return PROVIDERS[provider_id] if provider_id is not None else None
