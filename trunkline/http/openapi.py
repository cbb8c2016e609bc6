"""What the gateway serves, as OpenAPI 3.1 and as text for language models.

The admin API describes itself; the inference routes are plain ASGI and are described by the structs below. These are
for reading only: the routes check bodies themselves and pass on fields that are not named here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

import trunkline
from trunkline.http import openapi_endpoints, openapi_protocols, openapi_responses, openapi_stored
from trunkline.http.model_filter import CAPABILITIES
from trunkline.http.operations import REF, Json
from trunkline.http.operations import answers as _answers
from trunkline.http.operations import json_content as _json
from trunkline.http.operations import operation as _operation

OPERATION_KEYS = ("get", "put", "post", "delete", "patch", "head")


class Message(msgspec.Struct):
    """One turn. `content` is text or a list of parts (`text`, `image_url`, ...)."""

    role: Annotated[str, Meta(description="`system`, `developer`, `user`, `assistant` or `tool`.")]
    content: str | list[dict[str, Any]] | None = None
    name: str | UnsetType = UNSET
    tool_calls: list[dict[str, Any]] | UnsetType = UNSET
    tool_call_id: str | UnsetType = UNSET


class StreamOptions(msgspec.Struct):
    include_usage: Annotated[
        bool, Meta(description="Send the usage as a chunk of its own, with `choices: []`, before `[DONE]`.")
    ] = False


class ChatCompletionRequest(msgspec.Struct):
    """Fields that are not listed here go to the provider as they came."""

    model: Annotated[str, Meta(min_length=1, description="A model id or an alias; `GET /v1/models` lists them.")]
    messages: Annotated[list[Message], Meta(min_length=1, description="The conversation so far, oldest turn first.")]
    stream: Annotated[bool, Meta(description="Answer with server-sent events.")] = False
    stream_options: Annotated[StreamOptions | UnsetType, Meta(description="With `stream` only.")] = UNSET
    temperature: Annotated[float, Meta(ge=0, le=2, description="How freely tokens are drawn.")] | UnsetType = UNSET
    top_p: (
        Annotated[float, Meta(ge=0, le=1, description="Draw from the likeliest tokens up to this share.")] | UnsetType
    ) = UNSET
    frequency_penalty: (
        Annotated[float, Meta(ge=-2, le=2, description="Against repeating, by how often.")] | UnsetType
    ) = UNSET
    presence_penalty: Annotated[float, Meta(ge=-2, le=2, description="Against repeating at all.")] | UnsetType = UNSET
    max_tokens: Annotated[int, Meta(ge=1, description="The longest answer, in tokens.")] | UnsetType = UNSET
    max_completion_tokens: Annotated[int, Meta(ge=1, description="The same, reasoning included.")] | UnsetType = UNSET
    n: Annotated[int, Meta(ge=1, le=128, description="How many answers.")] | UnsetType = UNSET
    stop: Annotated[str | list[str] | UnsetType, Meta(description="Text that ends the answer.")] = UNSET
    seed: Annotated[int, Meta(description="For answers that repeat, where the provider can.")] | UnsetType = UNSET
    tools: Annotated[list[dict[str, Any]] | UnsetType, Meta(description="What the model may call.")] = UNSET
    tool_choice: Annotated[
        str | dict[str, Any] | UnsetType, Meta(description="`auto`, `none`, `required` or one tool.")
    ] = UNSET
    response_format: Annotated[dict[str, Any] | UnsetType, Meta(description="Text, JSON, or JSON of a schema.")] = UNSET


class TokenUsage(msgspec.Struct):
    """Counts of tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, Any] | UnsetType = UNSET
    completion_tokens_details: dict[str, Any] | UnsetType = UNSET


class Choice(msgspec.Struct):
    index: int
    message: Message
    finish_reason: Annotated[str, Meta(description="`stop`, `length`, `tool_calls` or `content_filter`.")]


class ChatCompletion(msgspec.Struct):
    id: str
    object: Literal["chat.completion"]
    created: Annotated[int, Meta(description="Unix seconds.")]
    model: Annotated[str, Meta(description="What the provider reported.")]
    choices: list[Choice]
    usage: TokenUsage | UnsetType = UNSET


class ChunkChoice(msgspec.Struct):
    index: int
    delta: dict[str, Any]
    finish_reason: str | None = None


class ChatCompletionChunk(msgspec.Struct):
    """One server-sent event; after the last one comes `data: [DONE]`."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: TokenUsage | UnsetType | None = UNSET


class ModelCard(msgspec.Struct):
    """A model that can be called. A fact that is not known is null."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    provider: str
    context_window: Annotated[int | None, Meta(description="Tokens that it reads and writes in one call.")] = None
    context_length: Annotated[int | None, Meta(description="The same under OpenRouter's name.")] = None
    max_output_tokens: int | None = None
    pricing: Annotated[
        dict[str, Any] | None,
        Meta(
            description="What your account pays: USD per million tokens of each kind, such as `input`, `output` or "
            "`cached_input`, USD for each `request` and `image`; `tiers` are those of long inputs, `variants` those of "
            "batches and service tiers. Null: the model has no price, and keys with a budget cannot call it."
        ),
    ] = None
    pricing_version: Annotated[
        str | None, Meta(description="Names these figures; each call is recorded with the version it was charged by.")
    ] = None
    modalities: Annotated[dict[str, Any] | None, Meta(description="What it takes and gives.")] = None
    capabilities: Annotated[dict[str, Any] | None, Meta(description="True, false, or null for not known.")] = None


class ModelList(msgspec.Struct):
    object: Literal["list"]
    data: list[ModelCard]


class ErrorDetail(msgspec.Struct):
    message: str
    type: str
    param: Annotated[str | None, Meta(description="The field that the error is about.")]
    code: Annotated[str | None, Meta(description="A stable name to act on.")]


class Error(msgspec.Struct):
    """Every refusal has this body. On routes under /v1/messages it is `{"type": "error", "error": {...}}`."""

    error: ErrorDetail


class Health(msgspec.Struct):
    status: str


STRUCTS = (
    ChatCompletionRequest,
    ChatCompletion,
    ChatCompletionChunk,
    ModelCard,
    ModelList,
    Error,
    Health,
    *openapi_endpoints.STRUCTS,
    *openapi_protocols.STRUCTS,
    *openapi_responses.STRUCTS,
    *openapi_stored.STRUCTS,
)


def document(own: Json) -> Json:
    """`own` is the admin API's document, as Litestar writes it; the inference routes and their schemas join it."""
    _, described = msgspec.json.schema_components(STRUCTS, ref_template=REF)
    components = own.get("components", {})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Trunkline",
            "version": trunkline.__version__,
            "summary": "An AI gateway: one address and one key for every model.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "inference", "description": "What applications call, as OpenAI, Anthropic and Google shape it."},
            {"name": "health", "description": "What load balancers and monitoring call."},
            {"name": "admin", "description": "What operators call, with an admin key."},
            {"name": "reference", "description": "What describes the rest. No key needed."},
        ],
        "security": [{"bearer": []}, {"apiKey": []}],
        "paths": {
            **_inference_paths(),
            **openapi_endpoints.paths(),
            **openapi_protocols.paths(),
            **openapi_responses.paths(),
            **openapi_stored.paths(),
            **_health_paths(),
            **_own_paths(own),
        },
        "components": {
            "schemas": {**components.get("schemas", {}), **described},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _own_paths(own: Json) -> Json:
    """Litestar leaves out an empty `security`, which is how OpenAPI says that no key is needed."""
    return {
        path: {
            method: {**operation, "security": []} if "reference" in operation.get("tags", ()) else operation
            for method, operation in item.items()
        }
        for path, item in own.get("paths", {}).items()
    }


def operations(spec: Json) -> list[tuple[str, str, Json]]:
    """(METHOD, path, operation) in the document's order."""
    return [
        (method.upper(), path, item[method])
        for path, item in spec["paths"].items()
        for method in OPERATION_KEYS
        if method in item
    ]


def llms_text(spec: Json, address: str) -> str:
    """A page for language models (llmstxt.org). `address` is scheme and host, as the reader reached us."""
    lines = [
        "# Trunkline",
        "",
        "> An AI gateway: one address and one key for every model it serves, over OpenAI's Chat Completions protocol.",
        "",
        f"Use any OpenAI SDK with `base_url` `{address}/v1` and a key of this gateway. Without an SDK:",
        "",
        f"    curl {address}/v1/chat/completions \\",
        '      -H "Authorization: Bearer $TRUNKLINE_KEY" -H "Content-Type: application/json" \\',
        '      -d \'{"model": "sandbox/echo", "messages": [{"role": "user", "content": "hello"}]}\'',
        "",
        "- The key goes in `Authorization: Bearer`, `x-api-key`, `api-key` or `x-goog-api-key`; never in the address.",
        "- `GET /v1/models` lists the models that this key can call. Ids look like `provider/model`.",
        "- Models under `sandbox/` need no provider and cost nothing; they are deterministic, not language models.",
        '- Errors are `{"error": {"message", "type", "param", "code"}}`; act on `code`.',
        f"- The whole interface is described at {address}/openapi.json.",
        "",
        "## Operations",
        "",
    ]
    lines += [f"- `{method} {path}`: {one.get('summary', '')}" for method, path, one in operations(spec)]
    return "\n".join(lines) + "\n"


def _inference_paths() -> Json:
    chat_answers = _answers(
        "A completion; with `stream: true`, events until `data: [DONE]`.",
        {
            **_json("ChatCompletion"),
            "text/event-stream": {"schema": {"$ref": REF.format(name="ChatCompletionChunk")}},
        },
    )
    every = {
        "name": "all",
        "in": "query",
        "description": "List the whole catalog, not only what this key can call now.",
        "schema": {"type": "boolean", "default": False},
    }
    model_id = {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The whole rest of the path; a `/` in it may stand as it is or as `%2F`.",
        "schema": {"type": "string"},
    }
    return {
        "/v1/chat/completions": {
            "post": _operation(
                "inference",
                "createChatCompletion",
                "Answer a conversation, whole or as a stream.",
                chat_answers,
                requestBody={"required": True, "content": _json("ChatCompletionRequest")},
            )
        },
        "/v1/models": {
            "get": _operation(
                "inference",
                "listModels",
                "The models that this key can call.",
                _answers("The models.", _json("ModelList")),
                parameters=[every, *_model_filters()],
            )
        },
        "/v1/models/{id}": {
            "get": _operation(
                "inference",
                "getModel",
                "One model.",
                _answers("The model.", _json("ModelCard")),
                parameters=[model_id],
            )
        },
    }


def _model_filters() -> list[Json]:
    described = {
        "provider": "Only models of this provider.",
        "modality": "Only models that take or give it, such as `image`.",
        "capability": "Only models that can: " + ", ".join(f"`{name}`" for name in CAPABILITIES) + ".",
    }
    several = " Several with commas between."
    return [
        {"name": name, "in": "query", "description": told + several, "schema": {"type": "string"}}
        for name, told in described.items()
    ]


def _health_paths() -> Json:
    text = {"text/plain": {"schema": {"type": "string"}}}
    not_ready = {"503": {"description": "Starting or draining.", "content": _json("Health")}}
    return {
        "/healthz": {
            "get": _operation("health", "isUp", "The process is up.", _answers("It is.", _json("Health")), security=[])
        },
        "/readyz": {
            "get": _operation(
                "health",
                "isReady",
                "The process takes calls.",
                {**_answers("It does.", _json("Health")), **not_ready},
                security=[],
            )
        },
        "/metrics": {
            "get": _operation(
                "health",
                "metrics",
                "Figures for Prometheus: with an admin key, or from this machine when no proxy stands before it.",
                _answers("The figures.", text),
            )
        },
    }
