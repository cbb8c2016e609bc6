"""What the document says of calls of Responses. For reading only, as the rest of it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trunkline.http.operations import REF, Json, answers, json_content, operation


class ResponsesInput(msgspec.Struct):
    """What a model is to see."""

    model: Annotated[str, Meta(min_length=1, description="A model id or an alias; `GET /v1/models` lists them.")]
    input: Annotated[str | list[dict[str, Any]] | UnsetType, Meta(description="A text or items, oldest first.")] = UNSET
    instructions: Annotated[str | UnsetType, Meta(description="Stand before all else, for this call.")] = UNSET
    previous_response_id: Annotated[
        str | UnsetType, Meta(description="The stored response that this goes on from.")
    ] = UNSET
    tools: Annotated[list[dict[str, Any]] | UnsetType, Meta(description="What the model may call.")] = UNSET


class ResponsesRequest(ResponsesInput, kw_only=True):
    """OpenAI's request. Fields that are not listed here are as OpenAI describes them."""

    conversation: Annotated[
        str | dict[str, Any] | UnsetType, Meta(description="The conversation that is read and added to.")
    ] = UNSET
    stream: Annotated[bool, Meta(description="Answer with server-sent events.")] = False
    store: Annotated[
        bool | UnsetType, Meta(description="Keep the response; `[responses] store_default` otherwise.")
    ] = UNSET
    background: Annotated[bool, Meta(description="Answer at once with the queued response, and run it then.")] = False
    include: Annotated[
        list[str] | UnsetType, Meta(description="`reasoning.encrypted_content` and other parts to be shown.")
    ] = UNSET
    reasoning: Annotated[dict[str, Any] | UnsetType, Meta(description="`effort` and `summary`.")] = UNSET
    text: Annotated[dict[str, Any] | UnsetType, Meta(description="`format`: text, JSON, or JSON of a schema.")] = UNSET
    tool_choice: Annotated[
        str | dict[str, Any] | UnsetType, Meta(description="`auto`, `none`, `required` or tools.")
    ] = UNSET
    max_output_tokens: Annotated[int, Meta(ge=1, description="The longest answer, in tokens.")] | UnsetType = UNSET
    temperature: Annotated[float, Meta(ge=0, le=2)] | UnsetType = UNSET
    top_p: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    metadata: Annotated[dict[str, str] | UnsetType, Meta(description="At most 16 pairs.")] = UNSET


class InputTokens(msgspec.Struct):
    object: str
    input_tokens: int


class CompactedResponse(msgspec.Struct):
    """A shorter conversation, to be sent as `input`. Its compaction items go back to the provider that made them."""

    id: str
    object: str
    created_at: Annotated[int, Meta(description="Unix seconds.")]
    output: list[dict[str, Any]]


STRUCTS = (ResponsesInput, ResponsesRequest, InputTokens, CompactedResponse)


def paths() -> Json:
    made = answers(
        "The response, or its events.",
        {**json_content("Response"), "text/event-stream": {"schema": {"$ref": REF.format(name="Response")}}},
    )
    return {
        "/v1/responses": {
            "post": operation(
                "inference",
                "createResponse",
                "A response of any model. A WebSocket on the same path takes the same bodies as frames.",
                made,
                requestBody={"required": True, "content": json_content("ResponsesRequest")},
            )
        },
        "/v1/responses/input_tokens": {
            "post": operation(
                "inference",
                "countResponseInputTokens",
                "Count a request's input, at the provider where it counts, else by estimate.",
                answers("The count.", json_content("InputTokens")),
                requestBody={"required": True, "content": json_content("ResponsesInput")},
            )
        },
        "/v1/responses/compact": {
            "post": operation(
                "inference",
                "compactResponse",
                "Make a conversation shorter, where the provider of the model can.",
                answers("The shorter conversation.", json_content("CompactedResponse")),
                requestBody={"required": True, "content": json_content("ResponsesInput")},
            )
        },
    }
