"""The items of an answer as the caller sees them, whether they come whole or in a stream.

Source: the `openai` package's types/responses/response_output_item.py.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from trunkline.translation import envelope
from trunkline.translation.exchange import Request, State, ToolCall
from trunkline.translation.openai_responses.asked import split
from trunkline.wire import codec
from trunkline.wire.codec import encode

NOTHING = Raw(b"[]")
CARRIER = "rs.c"
"""The prefix of reasoning items that only carry the state of a call."""
ItemStatus = Literal["in_progress", "completed", "incomplete"]


class OutputText(msgspec.Struct, tag_field="type", tag="output_text"):
    text: str
    annotations: Raw = NOTHING
    logprobs: Raw = NOTHING


class OutputRefusal(msgspec.Struct, tag_field="type", tag="refusal"):
    refusal: str


class SummaryText(msgspec.Struct, tag_field="type", tag="summary_text"):
    text: str


class ReasoningText(msgspec.Struct, tag_field="type", tag="reasoning_text"):
    text: str


class MessageItem(msgspec.Struct, tag_field="type", tag="message"):
    id: str
    status: ItemStatus
    content: list[OutputText | OutputRefusal]
    role: str = "assistant"
    phase: Raw | UnsetType = UNSET


class ReasoningItem(msgspec.Struct, tag_field="type", tag="reasoning"):
    """Without a status: OpenAI refuses one in what is sent back to it. `hidden`: it is kept for the next call, and the
    caller never sees it."""

    id: str
    summary: list[SummaryText]
    content: list[ReasoningText] | UnsetType = UNSET
    encrypted_content: str | UnsetType = UNSET
    hidden: bool | UnsetType = UNSET


class FunctionCallItem(msgspec.Struct, tag_field="type", tag="function_call"):
    id: str
    status: ItemStatus
    arguments: str
    call_id: str
    name: str
    namespace: str | UnsetType = UNSET


class CustomCallItem(msgspec.Struct, tag_field="type", tag="custom_tool_call"):
    id: str
    call_id: str
    input: str
    name: str
    namespace: str | UnsetType = UNSET


class ImageItem(msgspec.Struct, tag_field="type", tag="image_generation_call"):
    """`result` is base64."""

    id: str
    result: str
    status: str = "completed"


Item = MessageItem | ReasoningItem | FunctionCallItem | CustomCallItem | ImageItem


def call_item(request: Request, item_id: str, call: ToolCall, status: ItemStatus) -> FunctionCallItem | CustomCallItem:
    namespace, name = split(request, call.name)
    space: str | UnsetType = UNSET if namespace is None else namespace
    if call.custom:
        return CustomCallItem(id=item_id, call_id=call.id, input=call.arguments, name=name, namespace=space)
    return FunctionCallItem(
        id=item_id, status=status, arguments=call.arguments, call_id=call.id, name=name, namespace=space
    )


def encrypted(state: State | None) -> str | UnsetType:
    return UNSET if state is None else envelope.wrap(state)


class _FileCitation(msgspec.Struct, tag_field="type", tag="file_citation"):
    file_id: str
    filename: str
    index: int


class _UrlCitation(msgspec.Struct, tag_field="type", tag="url_citation"):
    url: str
    title: str
    start_index: int
    end_index: int


class _ContainerFileCitation(msgspec.Struct, tag_field="type", tag="container_file_citation"):
    container_id: str
    file_id: str
    filename: str
    start_index: int
    end_index: int


class _FilePath(msgspec.Struct, tag_field="type", tag="file_path"):
    file_id: str
    index: int


_decode_annotation = msgspec.json.Decoder(_FileCitation | _UrlCitation | _ContainerFileCitation | _FilePath).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode


def fitting_annotations(citations: Raw | None) -> list[Raw]:
    """Those that are of this protocol: another's say other things and mean nothing here."""
    if citations is None:
        return []
    try:
        entries = _decode_list(citations)
    except codec.UNREADABLE:
        return []
    return [entry for entry in entries if _is_annotation(entry)]


def _is_annotation(entry: Raw) -> bool:
    try:
        _decode_annotation(entry)
    except codec.UNREADABLE:
        return False
    return True


class _Logprob(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list[_Logprob] | UnsetType = UNSET


_decode_logprobs = msgspec.json.Decoder(list[_Logprob]).decode


def fitting_logprobs(told: Raw | None, request: Request) -> Raw:
    """The tokens of a text, with the bytes that Chat Completions may leave out; none unless the caller asked."""
    if told is None or not request.logprobs:
        return NOTHING
    try:
        tokens = _decode_logprobs(told)
    except codec.UNREADABLE:
        return NOTHING
    for token in tokens:
        if token.top_logprobs is UNSET:
            token.top_logprobs = []
        for one in (token, *token.top_logprobs):
            if one.bytes is None:
                one.bytes = list(one.token.encode("utf-8", "surrogatepass"))
    return Raw(encode(tokens))


def joined(pieces: list[Any]) -> Raw:
    """A JSON array of values that are JSON already."""
    return Raw(b"[" + b",".join(map(bytes, pieces)) + b"]") if pieces else NOTHING
