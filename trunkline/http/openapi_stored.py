"""What the document says of stored responses and of conversations. For reading only, as the rest of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trunkline.http.operations import REF, Json, answers, json_content, operation, path_id, query
from trunkline.wire.openai_items import INCLUDABLE


class Response(msgspec.Struct):
    """OpenAI's Response object; fields that are not listed here are as OpenAI describes them."""

    id: str
    object: Literal["response"]
    created_at: Annotated[int, Meta(description="Unix seconds.")]
    status: Annotated[
        str, Meta(description="`queued`, `in_progress`, `completed`, `incomplete`, `failed` or `cancelled`.")
    ]
    model: str
    output: list[dict[str, Any]]


class DeletedResponse(msgspec.Struct):
    id: str
    object: Literal["response"]
    deleted: bool


class Conversation(msgspec.Struct):
    """Items in order, which responses made with `conversation` read and add to."""

    id: str
    object: Literal["conversation"]
    created_at: Annotated[int, Meta(description="Unix seconds.")]
    metadata: dict[str, str]


class DeletedConversation(msgspec.Struct):
    id: str
    object: Literal["conversation.deleted"]
    deleted: bool


class ConversationRequest(msgspec.Struct):
    items: Annotated[list[dict[str, Any]] | UnsetType | None, Meta(description="What it begins with, 20 at most.")] = (
        UNSET
    )
    metadata: Annotated[
        dict[str, str] | UnsetType | None,
        Meta(description="At most 16 pairs: names of 64 characters, values of 512."),
    ] = UNSET


class ConversationUpdate(msgspec.Struct):
    metadata: Annotated[dict[str, str] | None, Meta(description="Takes the place of what there is.")]


class ItemsRequest(msgspec.Struct):
    items: Annotated[
        list[dict[str, Any]], Meta(min_length=1, max_length=20, description="Messages, tool calls, their outputs, ...")
    ]


class Item(msgspec.Struct):
    """A message, a tool call, its output, reasoning: `type` says which."""

    id: str
    type: str


class ItemList(msgspec.Struct):
    object: Literal["list"]
    data: list[Item]
    first_id: str
    last_id: str
    has_more: bool


STRUCTS = (
    Response,
    DeletedResponse,
    Conversation,
    DeletedConversation,
    ConversationRequest,
    ConversationUpdate,
    ItemsRequest,
    Item,
    ItemList,
)

_RESPONSE = path_id("id", "The response's id, `resp_…`.")
_CONVERSATION = path_id("id", "The conversation's id, `conv_…`.")
_ITEM = path_id("item_id", "The item's id.")
_INCLUDE = query(
    "include",
    "What is left out unless it is asked for.",
    {"type": "array", "items": {"type": "string", "enum": sorted(INCLUDABLE)}},
)
_PAGING = [
    query("limit", "How many.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
    query("order", "Newest or oldest first.", {"type": "string", "enum": ["asc", "desc"], "default": "desc"}),
    query("after", "The id of the item behind which to go on.", {"type": "string"}),
    _INCLUDE,
]
_STREAMING = [
    query("stream", "The events of a background response.", {"type": "boolean", "default": False}),
    query("starting_after", "With `stream`: the number of the last event that you have.", {"type": "integer"}),
    _INCLUDE,
]


def paths() -> Json:
    return {**_response_paths(), **_conversation_paths(), **_item_paths()}


def _response_paths() -> Json:
    found = answers(
        "The response.",
        {**json_content("Response"), "text/event-stream": {"schema": {"$ref": REF.format(name="Response")}}},
    )
    return {
        "/v1/responses/{id}": {
            "get": operation(
                "inference",
                "getResponse",
                "A stored response, or the stream of one that runs in the background.",
                found,
                parameters=[_RESPONSE, *_STREAMING],
            ),
            "delete": operation(
                "inference",
                "deleteResponse",
                "Delete a stored response.",
                answers("It is deleted.", json_content("DeletedResponse")),
                parameters=[_RESPONSE],
            ),
        },
        "/v1/responses/{id}/input_items": {
            "get": operation(
                "inference",
                "listInputItems",
                "What a stored response was asked with.",
                answers("The items.", json_content("ItemList")),
                parameters=[_RESPONSE, *_PAGING],
            )
        },
        "/v1/responses/{id}/cancel": {
            "post": operation(
                "inference",
                "cancelResponse",
                "Stop a response that runs in the background.",
                answers("The response as it stands then.", json_content("Response")),
                parameters=[_RESPONSE],
            )
        },
    }


def _conversation_paths() -> Json:
    conversation = answers("The conversation.", json_content("Conversation"))
    return {
        "/v1/conversations": {
            "post": operation(
                "inference",
                "createConversation",
                "Begin a conversation.",
                conversation,
                requestBody={"required": True, "content": json_content("ConversationRequest")},
            )
        },
        "/v1/conversations/{id}": {
            "get": operation(
                "inference", "getConversation", "A conversation.", conversation, parameters=[_CONVERSATION]
            ),
            "post": operation(
                "inference",
                "updateConversation",
                "Change a conversation's metadata.",
                conversation,
                parameters=[_CONVERSATION],
                requestBody={"required": True, "content": json_content("ConversationUpdate")},
            ),
            "delete": operation(
                "inference",
                "deleteConversation",
                "Delete a conversation and its items; responses that were made in it stay.",
                answers("It is deleted.", json_content("DeletedConversation")),
                parameters=[_CONVERSATION],
            ),
        },
    }


def _item_paths() -> Json:
    items = answers("The items.", json_content("ItemList"))
    return {
        "/v1/conversations/{id}/items": {
            "get": operation(
                "inference",
                "listConversationItems",
                "A conversation's items.",
                items,
                parameters=[_CONVERSATION, *_PAGING],
            ),
            "post": operation(
                "inference",
                "createConversationItems",
                "Add items to the end of a conversation.",
                items,
                parameters=[_CONVERSATION, _INCLUDE],
                requestBody={"required": True, "content": json_content("ItemsRequest")},
            ),
        },
        "/v1/conversations/{id}/items/{item_id}": {
            "get": operation(
                "inference",
                "getConversationItem",
                "One item of a conversation.",
                answers("The item.", json_content("Item")),
                parameters=[_CONVERSATION, _ITEM, _INCLUDE],
            ),
            "delete": operation(
                "inference",
                "deleteConversationItem",
                "Delete one item of a conversation.",
                answers("The conversation that it was in.", json_content("Conversation")),
                parameters=[_CONVERSATION, _ITEM],
            ),
        },
    }
