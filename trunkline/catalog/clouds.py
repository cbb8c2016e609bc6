"""Rows of the clouds: each customer has an address of his own there, and more than one way to show who he is."""

from __future__ import annotations

from trunkline.catalog.provider_row import Dialect, Face, PriceList, Provider

CLOUDS: tuple[Provider, ...] = (
    Provider(
        id="azure",
        name="Azure OpenAI",
        base_url=None,
        speaks=(Face("openai_chat"), Face("openai_responses")),
        offers=("embeddings", "images", "image_edits", "speech", "transcriptions", "translations"),
        credential="azure",
        key_names=("AZURE_OPENAI_API_KEY",),
        other_names=("azure-openai", "azure_openai"),
        source="https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle",
        prices=(PriceList("azure"),),
        base_url_looks_like="https://RESOURCE.openai.azure.com/openai/v1",
    ),
    # Converse answers for every model. Chat Completions and Responses under /openai/v1 do so for some makers alone:
    # https://docs.aws.amazon.com/bedrock/latest/userguide/models-api-compatibility.html
    Provider(
        id="aws",
        name="Amazon Bedrock",
        base_url=None,
        speaks=(Face("bedrock_converse"),),
        credential="aws",
        key_names=("AWS_BEARER_TOKEN_BEDROCK",),
        other_names=("bedrock", "amazon-bedrock", "amazon_bedrock"),
        source="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
        prices=(PriceList("aws", omits=("regional.",)),),
        base_url_looks_like="https://bedrock-runtime.REGION.amazonaws.com",
    ),
    # Each maker's models are spoken to in his own protocol. The key is one of express mode:
    # https://docs.cloud.google.com/vertex-ai/generative-ai/docs/start/express-mode/overview
    # and has the name that https://ai-sdk.dev/providers/ai-sdk-providers/google-vertex gave it.
    Provider(
        id="vertex",
        name="Google Vertex AI",
        base_url=None,
        speaks=(
            Face("gemini", "/publishers/google"),
            Face("anthropic_messages", "/publishers/anthropic", version="vertex-2023-10-16", only=("claude",)),
        ),
        credential="google",
        # Its v1 refuses ids of calls: https://github.com/vercel/ai/issues/15664
        dialect=Dialect(drops=("tool_calls.id",)),
        key_names=("GOOGLE_VERTEX_API_KEY",),
        other_names=("vertexai", "vertex-ai", "vertex_ai", "google-vertex"),
        source="https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference",
        prices=(PriceList("google"),),
        base_url_looks_like="https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/LOCATION",
    ),
)
