"""Content blocks of Messages requests, and what stands around them.

Source: the `anthropic` package's types/*_block_param.py and *_source_param.py. Blocks of server tools are not read:
the sandbox has none, so nobody has any to bring back.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class CacheControl(msgspec.Struct):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Text(msgspec.Struct, tag_field="type", tag="text", kw_only=True):
    text: str
    citations: list[Any] | None = None
    cache_control: CacheControl | None = None


class Base64Image(msgspec.Struct, tag_field="type", tag="base64"):
    data: str
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]


class Base64PDF(msgspec.Struct, tag_field="type", tag="base64"):
    data: str
    media_type: Literal["application/pdf"]


class URLSource(msgspec.Struct, tag_field="type", tag="url"):
    url: str


class FileSource(msgspec.Struct, tag_field="type", tag="file"):
    file_id: str


class PlainText(msgspec.Struct, tag_field="type", tag="text"):
    data: str
    media_type: Literal["text/plain"]


class Image(msgspec.Struct, tag_field="type", tag="image", kw_only=True):
    source: Base64Image | URLSource | FileSource
    transformations: dict[str, Any] | None = None
    cache_control: CacheControl | None = None


class ContentSource(msgspec.Struct, tag_field="type", tag="content"):
    content: str | list[Text | Image]


class Document(msgspec.Struct, tag_field="type", tag="document", kw_only=True):
    source: Base64PDF | PlainText | ContentSource | URLSource | FileSource
    citations: dict[str, Any] | None = None
    context: str | None = None
    title: str | None = None
    cache_control: CacheControl | None = None


class SearchResult(msgspec.Struct, tag_field="type", tag="search_result", kw_only=True):
    content: list[Text]
    source: str
    title: str
    citations: dict[str, Any] | None = None
    cache_control: CacheControl | None = None


class ToolReference(msgspec.Struct, tag_field="type", tag="tool_reference", kw_only=True):
    tool_name: str
    cache_control: CacheControl | None = None


class Thinking(msgspec.Struct, tag_field="type", tag="thinking", kw_only=True):
    thinking: str
    signature: str


class RedactedThinking(msgspec.Struct, tag_field="type", tag="redacted_thinking", kw_only=True):
    data: str


ToolUseID = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]+$")]


class ToolUse(msgspec.Struct, tag_field="type", tag="tool_use", kw_only=True):
    id: ToolUseID
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    input: dict[str, Any]
    caller: dict[str, Any] | None = None
    toolset_name: str | None = None
    cache_control: CacheControl | None = None


class ToolResult(msgspec.Struct, tag_field="type", tag="tool_result", kw_only=True):
    tool_use_id: ToolUseID
    content: str | list[Text | Image | SearchResult | Document | ToolReference] | None = None
    is_error: bool | None = None
    toolset_name: str | None = None
    cache_control: CacheControl | None = None


Block = Text | Image | Document | SearchResult | Thinking | RedactedThinking | ToolUse | ToolResult


def texts_of(block: Block | ToolReference) -> list[str]:
    """Every text in a block that is said to the model or by it; a PDF, a picture and sealed reasoning have none."""
    if isinstance(block, Text):
        return [block.text]
    if isinstance(block, Thinking):
        return [block.thinking]
    if isinstance(block, SearchResult):
        return [text.text for text in block.content]
    if isinstance(block, Document):
        return _document_texts(block)
    if isinstance(block, ToolResult):
        if isinstance(block.content, str):
            return [block.content]
        return [text for each in block.content or [] for text in texts_of(each)]
    return []


def _document_texts(block: Document) -> list[str]:
    source = block.source
    if isinstance(source, PlainText):
        return [source.data]
    if not isinstance(source, ContentSource):
        return []
    if isinstance(source.content, str):
        return [source.content]
    return [text for each in source.content for text in texts_of(each)]
