"""What the document says of the protocols beside OpenAI's. For reading only, as the rest of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trunkline.http.operations import Json, answers, json_content, operation, path_id


class MessageTurn(msgspec.Struct):
    """`content` is text or a list of blocks (`text`, `image`, `tool_use`, `tool_result`, `thinking`, ...)."""

    role: Annotated[str, Meta(description="`user` or `assistant`.")]
    content: str | list[dict[str, Any]]


class MessagesCountRequest(msgspec.Struct):
    """A request of which only the input is looked at."""

    model: Annotated[str, Meta(min_length=1, description="A model id or an alias; `GET /v1/models` lists them.")]
    messages: Annotated[
        list[MessageTurn], Meta(min_length=1, description="The conversation so far, oldest turn first.")
    ]
    system: str | list[dict[str, Any]] | UnsetType = UNSET
    tools: list[dict[str, Any]] | UnsetType = UNSET
    thinking: dict[str, Any] | UnsetType = UNSET


class MessagesRequest(MessagesCountRequest, kw_only=True):
    """Anthropic's request. Fields that are not listed here are as Anthropic describes them."""

    max_tokens: Annotated[int, Meta(ge=1, description="The longest answer, in tokens.")]
    stream: Annotated[bool, Meta(description="Answer with server-sent events.")] = False
    tool_choice: dict[str, Any] | UnsetType = UNSET
    stop_sequences: list[str] | UnsetType = UNSET
    temperature: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET


class MessageUsage(msgspec.Struct):
    """Counts of tokens; `input_tokens` has neither what was read from a cache nor what was written to one."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class AnthropicMessage(msgspec.Struct):
    """Anthropic's Message object."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    stop_reason: Annotated[
        str | None,
        Meta(description="`end_turn`, `max_tokens`, `stop_sequence`, `tool_use`, `pause_turn` or `refusal`."),
    ]
    stop_sequence: str | None
    usage: MessageUsage


class MessageTokensCount(msgspec.Struct):
    input_tokens: int


class GenerateContentRequest(msgspec.Struct, rename="camel"):
    """Google's request. Fields that are not listed here are as Google describes them."""

    contents: Annotated[list[dict[str, Any]], Meta(min_length=1, description="The conversation so far, oldest first.")]
    system_instruction: dict[str, Any] | UnsetType = UNSET
    tools: list[dict[str, Any]] | UnsetType = UNSET
    generation_config: dict[str, Any] | UnsetType = UNSET


class GenerateContentResponse(msgspec.Struct, rename="camel"):
    """Google's answer; `countTokens` answers `totalTokens` alone."""

    candidates: list[dict[str, Any]] | UnsetType = UNSET
    usage_metadata: dict[str, Any] | UnsetType = UNSET
    model_version: str | UnsetType = UNSET
    response_id: str | UnsetType = UNSET
    total_tokens: int | UnsetType = UNSET


STRUCTS = (
    MessagesRequest,
    MessagesCountRequest,
    AnthropicMessage,
    MessageTokensCount,
    GenerateContentRequest,
    GenerateContentResponse,
)


def paths() -> Json:
    events = {"text/event-stream": {"schema": {"type": "string"}}}
    return {
        "/v1/messages": {
            "post": operation(
                "inference",
                "createMessage",
                "Answer a conversation in Anthropic's protocol, whole or as a stream.",
                answers(
                    "A message; with `stream: true`, events until `message_stop`.",
                    {**json_content("AnthropicMessage"), **events},
                ),
                requestBody={"required": True, "content": json_content("MessagesRequest")},
            )
        },
        "/v1beta/models/{id}": {
            "post": operation(
                "inference",
                "generateContent",
                "Answer a conversation in Google's protocol: `{model}:generateContent`, `:streamGenerateContent`"
                " (with `?alt=sse` as events), `:countTokens`. The same under `/v1` and `/v1alpha`.",
                answers("The answer, or the count.", {**json_content("GenerateContentResponse"), **events}),
                parameters=[path_id("id", "The model and, after a colon, the method.")],
                requestBody={"required": True, "content": json_content("GenerateContentRequest")},
            )
        },
        "/v1/messages/count_tokens": {
            "post": operation(
                "inference",
                "countMessageTokens",
                "Count the tokens of a request; a warning header says when the count is an estimate.",
                answers("The count.", json_content("MessageTokensCount")),
                requestBody={"required": True, "content": json_content("MessagesCountRequest")},
            )
        },
    }
