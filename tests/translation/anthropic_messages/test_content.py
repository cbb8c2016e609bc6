"""A caller's blocks, each read to its part; and written back as they came where this protocol answers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.translation.anthropic_messages.targets import read, written
from trunkline.errors import InvalidRequest
from trunkline.translation import envelope
from trunkline.translation.anthropic_messages import state as states
from trunkline.translation.anthropic_messages.content import Kept, read_parts
from trunkline.translation.exchange import Media, Opaque, Part, Reasoning, State, Text, ToolCall, ToolResult

CACHED = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
CITATIONS = [{"type": "char_location", "cited_text": "x", "document_index": 0}]
SEARCH = {
    "type": "search_result",
    "source": "https://a.example",
    "title": "A",
    "content": [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}],
    "citations": {"enabled": True},
}


def parts(*blocks: dict[str, Any]) -> list[Part]:
    return read_parts(Raw(msgspec.json.encode(blocks)), "messages.0.content", Kept())


def image(**source: str) -> dict[str, Any]:
    return {"type": "image", "source": source}


def document(**source: Any) -> dict[str, Any]:
    return {"type": "document", "source": source}


KINDS: list[tuple[dict[str, Any], Part]] = [
    ({"type": "text", "text": "Hi", **CACHED}, Text(text="Hi", cache="1h")),
    ({"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}, Text(text="Hi", cache="5m")),
    ({"type": "text", "text": "Hi", "cache_control": None, "citations": None}, Text(text="Hi")),
    (
        image(type="base64", media_type="image/png", data="AAAA"),
        Media(kind="image", media_type="image/png", data="AAAA"),
    ),
    (image(type="url", url="https://a.example/i"), Media(kind="image", url="https://a.example/i")),
    (image(type="file", file_id="file_1"), Media(kind="image", file_id="file_1")),
    (
        {**document(type="base64", media_type="application/pdf", data="JVBERi"), "title": "T", **CACHED},
        Media(kind="document", media_type="application/pdf", data="JVBERi", name="T", cache="1h"),
    ),
    (document(type="url", url="https://a.example/d"), Media(kind="document", url="https://a.example/d")),
    (document(type="file", file_id="file_2"), Media(kind="document", file_id="file_2")),
    (
        document(type="text", media_type="text/plain", data="words"),
        Media(kind="document", media_type="text/plain", text="words"),
    ),
    (
        document(type="content", content="words"),
        Media(kind="document", media_type="text/plain", text="words"),
    ),
    (
        document(type="content", content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        Media(kind="document", media_type="text/plain", text="a\n\nb"),
    ),
    (
        {"type": "tool_use", "id": "t", "name": "n", "input": {"a": 1}, **CACHED},
        ToolCall(id="t", name="n", arguments='{"a":1}', cache="1h"),
    ),
    (
        {"type": "tool_result", "tool_use_id": "t", "content": "out"},
        ToolResult(call_id="t", parts=[Text(text="out")]),
    ),
    (
        {
            "type": "tool_result",
            "tool_use_id": "t",
            "is_error": True,
            "content": [{"type": "text", "text": "a"}, image(type="url", url="https://a.example/i")],
            **CACHED,
        },
        ToolResult(
            call_id="t",
            parts=[Text(text="a"), Media(kind="image", url="https://a.example/i")],
            is_error=True,
            cache="1h",
        ),
    ),
    ({"type": "tool_result", "tool_use_id": "t"}, ToolResult(call_id="t", parts=[])),
    (
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        Reasoning(text="hm", state=State("", "sig")),
    ),
    ({"type": "thinking", "thinking": "hm", "signature": ""}, Reasoning(text="hm")),
    (
        {"type": "thinking", "thinking": "hm", "signature": envelope.wrap(State("openai", "x"))},
        Reasoning(text="hm", state=State("openai", "x")),
    ),
    ({"type": "redacted_thinking", "data": "d"}, Reasoning(state=State("", "d"))),
]


@pytest.mark.parametrize(("block", "part"), KINDS)
def test_every_kind_of_block(block: dict[str, Any], part: Part) -> None:
    assert parts(block) == [part]


@pytest.mark.parametrize(
    "kind", ["server_tool_use", "web_search_tool_result", "container_upload", "mcp_tool_use", "new"]
)
def test_what_only_this_protocol_knows_is_kept_whole(kind: str) -> None:
    block = {"type": kind, "id": "x", "input": {"a": 1.0}}
    (part,) = parts(block)
    assert isinstance(part, Opaque)
    assert (part.protocol, part.kind) == ("anthropic_messages", kind)
    assert msgspec.json.decode(part.raw) == block


def test_citations_are_kept_whole() -> None:
    (part,) = parts({"type": "text", "text": "x", "citations": CITATIONS})
    assert isinstance(part, Text)
    assert part.citations is not None
    assert msgspec.json.decode(part.citations) == CITATIONS


def test_a_search_result_is_text_for_others() -> None:
    (part,) = parts(SEARCH)
    assert isinstance(part, Text)
    assert part.text == "A\nhttps://a.example\nOne.\nTwo."


def test_images_in_a_document_follow_it() -> None:
    inner = [{"type": "text", "text": "a"}, image(type="url", url="https://a.example/i")]
    assert parts(document(type="content", content=inner)) == [
        Media(kind="document", media_type="text/plain", text="a"),
        Media(kind="image", url="https://a.example/i"),
    ]


def test_everything_goes_back_as_it_came() -> None:
    user = [
        {
            "type": "tool_result",
            "tool_use_id": "t",
            "toolset_name": "computer",
            "content": [SEARCH, {"type": "tool_reference", "tool_name": "look"}],
        },
        {"type": "text", "text": "Hi", "citations": CITATIONS},
        SEARCH,
        {**image(type="file", file_id="f"), "transformations": {"oversized_image": "error"}},
        {
            **document(type="content", content=[{"type": "text", "text": "a"}]),
            "title": "T",
            "context": "C",
            "citations": {"enabled": True},
        },
        {"type": "container_upload", "file_id": "f"},
    ]
    assistant = [
        {"type": "text", "text": "So.", "citations": CITATIONS},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {
            "type": "tool_use",
            "id": "t",
            "name": "n",
            "input": {"a": 1.0},
            "caller": {"type": "direct"},
            "toolset_name": "computer",
        },
    ]
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": assistant},
        {"role": "user", "content": user},
    ]
    assert written(read({"messages": messages}))["messages"] == messages


def test_state_of_a_call_and_of_a_text_finds_its_part() -> None:
    call = ToolCall(id="t:1", name="n", arguments="{}")
    found = parts(
        {"type": "text", "text": "So."},
        {"type": "redacted_thinking", "data": states.of_text(State("gemini", "a"))},
        {"type": "redacted_thinking", "data": states.of_call(call, State("gemini", "b"))},
        {"type": "tool_use", "id": "t:1", "name": "n", "input": {}},
        {"type": "redacted_thinking", "data": states.of_call(ToolCall(id="gone", name="n"), State("gemini", "c"))},
    )
    assert found == [
        Text(text="So.", state=State("gemini", "a")),
        ToolCall(id="t:1", name="n", arguments="{}", state=State("gemini", "b")),
    ]


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({"type": "text"}, "text"),
        ({"type": "text", "text": 1}, "text"),
        ({"type": "image"}, "source"),
        (image(type="base64", data="AAAA"), "source.media_type"),
        (image(type="base64", media_type="image/png"), "source.data"),
        (image(type="url"), "source.url"),
        (image(type="text", data="x"), "source"),
        (document(type="new"), "source"),
        ({"type": "tool_use", "name": "n", "input": {}}, "id"),
        ({"type": "tool_use", "id": "t", "input": {}}, "name"),
        ({"type": "tool_use", "id": "t", "name": "n", "input": []}, "input"),
        ({"type": "tool_use", "id": "t", "name": "n"}, "input"),
        ({"type": "tool_result", "content": "x"}, "tool_use_id"),
        ({"type": "tool_result", "tool_use_id": "t", "content": 1}, "content"),
        ({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text"}]}, "content.0.text"),
        ({"type": "thinking", "signature": "x"}, "thinking"),
        ({"type": "redacted_thinking"}, "data"),
    ],
)
def test_what_is_wrong_is_named(block: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parts({"type": "text", "text": "first"}, block)
    assert caught.value.param == f"messages.0.content.1.{param}"
