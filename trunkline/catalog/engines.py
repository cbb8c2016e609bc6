"""Rows of the engines that people run themselves, and of the sandbox inside the gateway.

An engine wants no key unless it was started with one; a key in the settings is sent as a bearer token.
"""

from __future__ import annotations

from trunkline.catalog.provider_row import ENDPOINTS, Dialect, Face, Protocol, Provider

ENGINES: tuple[Provider, ...] = (
    Provider(
        id="vllm",
        name="vLLM",
        base_url="http://127.0.0.1:8000/v1",
        credential="none",
        local_port=8000,
        offers=("embeddings", "transcriptions", "translations", "rerank"),
        source="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    ),
    Provider(
        id="ollama",
        name="Ollama",
        base_url="http://127.0.0.1:11434/v1",
        credential="none",
        local_port=11434,
        offers=("embeddings",),
        source="https://docs.ollama.com/api/openai-compatibility",
    ),
    Provider(
        id="ollama-native",
        name="Ollama, its own API",
        base_url="http://127.0.0.1:11434",
        speaks=(Face("ollama_chat"),),
        credential="none",
        # Its examples send the message back whole, thinking included: https://docs.ollama.com/capabilities/tool-calling
        dialect=Dialect(returns_reasoning=True),
        source="https://docs.ollama.com/api/chat",
    ),
    Provider(
        id="llamacpp",
        name="llama.cpp",
        base_url="http://127.0.0.1:8080/v1",
        credential="none",
        other_names=("llama.cpp", "llama-cpp"),
        local_port=8080,
        offers=("embeddings", "rerank"),
        source="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
    ),
    Provider(
        id="lmstudio",
        name="LM Studio",
        base_url="http://127.0.0.1:1234/v1",
        credential="none",
        other_names=("lm-studio", "lm_studio"),
        local_port=1234,
        offers=("embeddings",),
        source="https://lmstudio.ai/docs/developer/openai-compat",
    ),
    Provider(
        id="sglang",
        name="SGLang",
        base_url="http://127.0.0.1:30000/v1",
        credential="none",
        local_port=30000,
        offers=("embeddings", "rerank"),
        source="https://docs.sglang.ai/basic_usage/openai_api_completions.html",
    ),
    Provider(
        id="tgi",
        name="Text Generation Inference",
        base_url=None,
        credential="none",
        source="https://huggingface.co/docs/text-generation-inference/basic_tutorials/consuming_tgi",
        base_url_looks_like="http://127.0.0.1:3000/v1",
    ),
    # `error` is a bare string and every chunk repeats the role: seen in mlx_lm server's answers.
    Provider(
        id="mlx",
        name="MLX LM",
        base_url=None,
        credential="none",
        other_names=("mlx-lm", "mlx_lm"),
        dialect=Dialect(role_in_every_chunk=True),
        source="https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/SERVER.md",
        base_url_looks_like="http://127.0.0.1:8081/v1",
    ),
    # No [DONE], usage in the finish chunk unasked, 422 for any field it does not know: seen in its answers.
    Provider(
        id="transformers",
        name="transformers serve",
        base_url=None,
        credential="none",
        source="https://huggingface.co/docs/transformers/serving",
        base_url_looks_like="http://127.0.0.1:8000/v1",
    ),
    Provider(
        id="openai-compatible",
        name="OpenAI-compatible server",
        base_url=None,
        other_names=("openai_compatible", "generic"),
        # What such a server has is known to whoever runs it; it says so itself when it lacks one.
        offers=ENDPOINTS,
        source="https://platform.openai.com/docs/api-reference/chat",
        base_url_looks_like="https://llm.example.com/v1",
    ),
)

SANDBOX = Provider(
    id="sandbox",
    name="Sandbox",
    base_url=None,
    credential="none",
    offers=ENDPOINTS,
    closed=True,
    source="trunkline/providers/sandbox",
)


def _sandbox(provider_id: str, name: str, protocol: Protocol, version: str = "") -> Provider:
    return Provider(
        id=provider_id,
        name=name,
        base_url=None,
        speaks=(Face(protocol, version=version),),
        credential="none",
        closed=True,
        source="trunkline/providers/sandbox",
    )


SANDBOXES: tuple[Provider, ...] = (
    SANDBOX,
    _sandbox("sandbox-messages", "Sandbox, speaking Messages", "anthropic_messages", "2023-06-01"),
    _sandbox("sandbox-responses", "Sandbox, speaking Responses", "openai_responses"),
    _sandbox("sandbox-gemini", "Sandbox, speaking Gemini", "gemini"),
)
"""The same programs behind every protocol, so that each crossing has an upstream."""
