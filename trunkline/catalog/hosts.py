"""Rows of providers that serve other people's models."""

from __future__ import annotations

from trunkline.catalog.provider_row import Dialect, Face, PriceList, Provider

HUGGINGFACE_PARTNERS = (
    "cerebras",
    "fireworks-ai",
    "groq",
    "hyperbolic",
    "nebius",
    "novita",
    "nscale",
    "ovhcloud",
    "publicai",
    "sambanova",
    "together",
)

HOSTS: tuple[Provider, ...] = (
    # Each chunk has the role, errors ride inside ordinary ones: https://openrouter.ai/docs/api-reference/streaming
    Provider(
        id="openrouter",
        name="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        key_names=("OPENROUTER_API_KEY",),
        # https://openrouter.ai/docs/features/prompt-caching
        dialect=Dialect(role_in_every_chunk=True, takes_cache_control=True),
        # https://openrouter.ai/docs/api/reference/responses/overview
        # https://openrouter.ai/docs/guides/coding-agents/claude-code-integration
        speaks=(Face("openai_chat"), Face("openai_responses"), Face("anthropic_messages", version="2023-06-01")),
        # https://openrouter.ai/docs/api/reference/embeddings
        offers=("embeddings",),
        source="https://openrouter.ai/docs/quickstart",
        prices=(PriceList("openrouter"),),
    ),
    # 400 when one of the dropped fields is sent: the page that is its source.
    Provider(
        id="groq",
        name="Groq",
        base_url="https://api.groq.com/openai/v1",
        key_names=("GROQ_API_KEY",),
        dialect=Dialect(drops=("logprobs", "logit_bias", "top_logprobs")),
        offers=("speech", "transcriptions", "translations"),
        source="https://console.groq.com/docs/openai",
        prices=(PriceList("groq"),),
    ),
    Provider(
        id="together",
        name="Together AI",
        base_url="https://api.together.xyz/v1",
        key_names=("TOGETHER_API_KEY",),
        other_names=("togetherai", "together-ai", "together_ai"),
        # https://docs.together.ai/docs/openai-api-compatibility and https://docs.together.ai/reference/rerank
        offers=("embeddings", "images", "speech", "transcriptions", "translations", "rerank"),
        source="https://docs.together.ai/docs/openai-api-compatibility",
        prices=(PriceList("together"),),
    ),
    Provider(
        id="fireworks",
        name="Fireworks AI",
        base_url="https://api.fireworks.ai/inference/v1",
        key_names=("FIREWORKS_API_KEY",),
        other_names=("fireworks-ai", "fireworks_ai"),
        # https://docs.fireworks.ai/guides/querying-embeddings-models
        offers=("embeddings", "rerank"),
        source="https://docs.fireworks.ai/tools-sdks/openai-compatibility",
        prices=(PriceList("fireworks"),),
    ),
    Provider(
        id="cerebras",
        name="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        key_names=("CEREBRAS_API_KEY",),
        source="https://inference-docs.cerebras.ai/resources/openai",
        prices=(PriceList("cerebras"),),
    ),
    Provider(
        id="novita",
        name="Novita AI",
        base_url="https://api.novita.ai/openai/v1",
        key_names=("NOVITA_API_KEY",),
        other_names=("novita-ai",),
        source="https://novita.ai/docs/api-reference/model-apis-llm-create-chat-completion",
        prices=(PriceList("novita"),),
    ),
    Provider(
        id="avian",
        name="Avian",
        base_url="https://api.avian.io/v1",
        key_names=("AVIAN_API_KEY",),
        source="https://avian.io/docs/",
        prices=(PriceList("avian"),),
    ),
    Provider(
        id="baseten",
        name="Baseten",
        base_url="https://inference.baseten.co/v1",
        key_names=("BASETEN_API_KEY",),
        source="https://docs.baseten.co/inference/model-apis/overview",
        prices=(PriceList("baseten"),),
    ),
    Provider(
        id="doubleword",
        name="Doubleword",
        base_url="https://api.doubleword.ai/v1",
        key_names=("DOUBLEWORD_API_KEY",),
        source="https://docs.doubleword.ai/inference-api",
        prices=(PriceList("doubleword"),),
    ),
    Provider(
        id="quicksilverpro",
        name="QuickSilver Pro",
        base_url="https://api.quicksilverpro.io/v1",
        key_names=("QUICKSILVERPRO_API_KEY",),
        source="https://quicksilverpro.io/",
        prices=(PriceList("quicksilverpro"),),
    ),
    Provider(
        id="ovhcloud",
        name="OVHcloud AI Endpoints",
        base_url="https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
        key_names=("OVH_AI_ENDPOINTS_ACCESS_TOKEN", "OVHCLOUD_API_KEY"),
        other_names=("ovh",),
        source="https://help.ovhcloud.com/csm/en-public-cloud-ai-endpoints-getting-started",
        prices=(PriceList("ovhcloud"),),
    ),
    # The model's name may end in `:provider`, and each of those has prices of its own.
    Provider(
        id="huggingface",
        name="Hugging Face Inference Providers",
        base_url="https://router.huggingface.co/v1",
        key_names=("HF_TOKEN",),
        other_names=("hf",),
        source="https://huggingface.co/docs/inference-providers",
        prices=tuple(PriceList(f"huggingface_{partner}", suffix=f":{partner}") for partner in HUGGINGFACE_PARTNERS),
    ),
    Provider(
        id="nebius",
        name="Nebius Token Factory",
        base_url="https://api.tokenfactory.nebius.com/v1",
        key_names=("NEBIUS_API_KEY",),
        source="https://docs.tokenfactory.nebius.com/api-reference/inference/create-chat-completion",
    ),
    Provider(
        id="sambanova",
        name="SambaNova",
        base_url="https://api.sambanova.ai/v1",
        key_names=("SAMBANOVA_API_KEY",),
        source="https://docs.sambanova.ai/docs",
    ),
    Provider(
        id="hyperbolic",
        name="Hyperbolic",
        base_url="https://api.hyperbolic.xyz/v1",
        key_names=("HYPERBOLIC_API_KEY",),
        source="https://docs.hyperbolic.xyz/docs/rest-api",
    ),
    Provider(
        id="deepinfra",
        name="DeepInfra",
        base_url="https://api.deepinfra.com/v1/openai",
        key_names=("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"),
        # https://deepinfra.com/docs/openai_api
        offers=("embeddings", "images"),
        source="https://docs.deepinfra.com/api-reference/chat-completions/openai-chat-completions",
    ),
    Provider(
        id="nvidia",
        name="NVIDIA",
        base_url="https://integrate.api.nvidia.com/v1",
        key_names=("NVIDIA_API_KEY",),
        source="https://docs.api.nvidia.com/nim/reference/llm-apis",
    ),
    Provider(
        id="parasail",
        name="Parasail",
        base_url="https://api.parasail.io/v1",
        key_names=("PARASAIL_API_KEY",),
        source="https://docs.parasail.io/parasail-docs/api-reference/authentication",
    ),
    Provider(
        id="chutes",
        name="Chutes",
        base_url="https://llm.chutes.ai/v1",
        key_names=("CHUTES_API_KEY",),
        source="https://chutes.ai/docs",
    ),
    Provider(
        id="featherless",
        name="Featherless",
        base_url="https://api.featherless.ai/v1",
        key_names=("FEATHERLESS_API_KEY",),
        source="https://featherless.ai/docs",
    ),
    Provider(
        id="friendli",
        name="Friendli",
        base_url="https://api.friendli.ai/serverless/v1",
        key_names=("FRIENDLI_TOKEN",),
        source="https://friendli.ai/docs/openapi/model-apis/chat-completions",
    ),
    Provider(
        id="scaleway",
        name="Scaleway",
        base_url="https://api.scaleway.ai/v1",
        key_names=("SCALEWAY_API_KEY",),
        source="https://www.scaleway.com/en/docs/generative-apis/",
    ),
    Provider(
        id="siliconflow",
        name="SiliconFlow",
        base_url="https://api.siliconflow.com/v1",
        key_names=("SILICONFLOW_API_KEY",),
        # https://docs.siliconflow.com/en/api-reference/embeddings/create-embeddings and the pages beside it
        offers=("embeddings", "images", "rerank"),
        source="https://docs.siliconflow.com/en/api-reference/chat-completions/chat-completions",
    ),
)

CUSTOMER_HOSTS: tuple[Provider, ...] = (
    Provider(
        id="cloudflare",
        name="Cloudflare Workers AI",
        base_url=None,
        key_names=("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY"),
        offers=("embeddings",),
        source="https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/",
        prices=(PriceList("cloudflare"),),
        base_url_looks_like="https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai/v1",
    ),
    Provider(
        id="databricks",
        name="Databricks",
        base_url=None,
        key_names=("DATABRICKS_TOKEN",),
        source="https://docs.databricks.com/machine-learning/model-serving/score-foundation-models.html",
        prices=(PriceList("databricks"),),
        base_url_looks_like="https://WORKSPACE.cloud.databricks.com/serving-endpoints",
    ),
)
"""Those that give each customer a URL of his own: the settings must name it."""
