from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trunkline.providers.sandbox.messages_blocks import Block, texts_of

TEXT = {"type": "text", "text": "one"}
PICTURE = {"type": "image", "source": {"type": "url", "url": "https://e/x"}}


@pytest.mark.parametrize(
    ("block", "texts"),
    [
        (TEXT, ["one"]),
        (PICTURE, []),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "x"}}, []),
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, []),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "two"}}, ["two"]),
        ({"type": "document", "source": {"type": "content", "content": "three"}}, ["three"]),
        ({"type": "document", "source": {"type": "content", "content": [TEXT, PICTURE]}, "title": "t"}, ["one"]),
        ({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "x"}}, []),
        ({"type": "document", "source": {"type": "url", "url": "https://e/x"}}, []),
        ({"type": "search_result", "content": [TEXT], "source": "s", "title": "t"}, ["one"]),
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, ["hm"]),
        ({"type": "redacted_thinking", "data": "d"}, []),
        ({"type": "tool_use", "id": "a", "name": "f", "input": {}}, []),
        ({"type": "tool_result", "tool_use_id": "a"}, []),
        ({"type": "tool_result", "tool_use_id": "a", "content": "x", "is_error": True}, ["x"]),
        ({"type": "tool_result", "tool_use_id": "a",
          "content": [TEXT, PICTURE, {"type": "tool_reference", "tool_name": "f"}]}, ["one"]),
    ],
)  # fmt: skip
def test_texts(block: Any, texts: list[str]) -> None:
    assert texts_of(msgspec.convert(block, Block)) == texts


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": "x"}},
        {"type": "document", "source": {"type": "base64", "media_type": "image/png", "data": "x"}},
        {"type": "thinking", "thinking": "hm"},
        {"type": "tool_use", "id": "a b", "name": "f", "input": {}},
        {"type": "tool_use", "id": "a", "name": "f", "input": "{}"},
        {"type": "tool_use", "id": "a", "name": "", "input": {}},
        {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "tool_use"}]},
        {**TEXT, "cache_control": {"type": "persistent"}},
        {**TEXT, "cache_control": {"type": "ephemeral", "ttl": "2h"}},
    ],
)
def test_what_is_no_block_is_not_read(block: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(block, Block)
