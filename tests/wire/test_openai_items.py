from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.conversations import ConversationItem
from openai.types.responses import ResponseIncludable, ResponseItem
from pydantic import TypeAdapter

from trunkline.errors import InvalidRequest
from trunkline.wire import openai_items
from trunkline.wire.openai_items import read_item, read_items, shown, shown_response

ALL = openai_items.INCLUDABLE
GIVEN: list[dict[str, Any]] = [
    {"role": "user", "content": "hi"},
    {"role": "system", "content": "be kind", "type": "message"},
    {"role": "developer", "content": [{"type": "input_text", "text": "a"}, {"type": "input_file", "file_id": "f"}]},
    {"role": "user", "content": [{"type": "input_image", "image_url": "data:x", "detail": None}]},
    {"role": "assistant", "content": "hello"},
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "phase": "final_answer"},
    {"type": "function_call", "call_id": "c", "name": "n", "arguments": '{"a":"\u2028"}'},
    {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "a"}]},
    {"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "x"},
    {"type": "custom_tool_call_output", "call_id": "c", "output": "x"},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "e"},
    {"type": "compaction", "encrypted_content": "e"},
    {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot", "image_url": "u"}},
    {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q", "sources": []}},
    {"type": "file_search_call", "status": "completed", "queries": ["q"], "results": []},
]


@pytest.mark.parametrize("item", GIVEN, ids=lambda item: item.get("type", item.get("role")))
@pytest.mark.parametrize("include", [frozenset(), ALL], ids=["plain", "all"])
def test_an_item_is_shown_in_the_official_shape(item: dict[str, Any], include: frozenset[str]) -> None:
    made = read_item(item, "items[0]")
    seen = TypeAdapter(ConversationItem).validate_json(shown(made.content, include))
    assert seen.id == made.id
    if item.get("role") in (None, "user", "assistant") and item.get("type") != "compaction":
        TypeAdapter(ResponseItem).validate_json(shown(made.content, include))


@pytest.mark.parametrize("item", GIVEN, ids=lambda item: item.get("type", item.get("role")))
def test_what_was_given_is_kept(item: dict[str, Any]) -> None:
    made = msgspec.json.decode(read_item(item, "items[0]").content)
    assert {name: made[name] for name in item if name != "content"} == {
        name: value for name, value in item.items() if name != "content"
    }
    again = read_item(made, "items[0]")
    assert msgspec.json.decode(again.content) == made
    assert again.given


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ("text", "items[0]"),
        ({}, "items[0].type"),
        ({"type": 1}, "items[0].type"),
        ({"type": "a b"}, "items[0].type"),
        ({"type": "item_reference", "id": "msg_1"}, "items[0].type"),
        ({"role": "user"}, "items[0].content"),
        ({"role": "tool", "content": "x"}, "items[0].role"),
        ({"type": "message", "content": "x"}, "items[0].role"),
        ({"role": "user", "content": ["x"]}, "items[0].content[0]"),
        ({"role": "user", "content": [{"type": "video"}]}, "items[0].content[0].type"),
        ({"role": "user", "content": [{"type": ["video"]}]}, "items[0].content[0].type"),
        ({"role": "user", "content": [{"type": "input_text"}]}, "items[0].content[0].text"),
        ({"role": "assistant", "content": [{"type": "refusal"}]}, "items[0].content[0].refusal"),
        ({"role": ["user"], "content": "x"}, "items[0].role"),
        ({"role": "user", "content": "x", "id": ""}, "items[0].id"),
        ({"role": "user", "content": "x", "id": "a/b"}, "items[0].id"),
        ({"role": "user", "content": "x", "id": "x" * 65}, "items[0].id"),
        ({"type": "function_call", "call_id": "c", "name": "n"}, "items[0].arguments"),
        ({"type": "function_call_output", "call_id": "c", "output": 1}, "items[0].output"),
        ({"type": "reasoning"}, "items[0].summary"),
    ],
    ids=repr,
)
def test_a_wrong_item_names_the_field(item: object, param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read_item(item, "items[0]")
    assert raised.value.param == param


@given(st.recursive(st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=3) | st.sampled_from(["message"]),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["type", "role", "content", "id", "text"]), inner, max_size=4),
                    max_leaves=8))  # fmt: skip
def test_no_value_makes_anything_but_an_item_or_a_refusal(value: object) -> None:
    try:
        made = read_item(value, "items[0]")
    except InvalidRequest as error:
        named = error.param or ""
    else:
        named = "items[0]"
        shown(made.content, frozenset())
    assert named.startswith("items[0]")


@pytest.mark.parametrize(
    "value", [b"[]", b"{}", b'"x"', b"null", b"[" * 100_000, b'[{"role":"user","content":"x"}]' * 1]
)
def test_a_list_has_bounds(value: bytes) -> None:
    if value.endswith(b"}]"):
        assert len(read_items(msgspec.Raw(value), "items", 1)) == 1
        value = b"[" + value[1:-1] + b"," + value[1:]
    with pytest.raises(InvalidRequest) as raised:
        read_items(msgspec.Raw(value), "items", 1)
    assert raised.value.param == "items"


def test_an_id_stands_once() -> None:
    one = b'{"role":"user","content":"x","id":"msg_1"}'
    with pytest.raises(InvalidRequest) as raised:
        read_items(msgspec.Raw(b"[%b,%b]" % (one, one)), "items", 20)
    assert raised.value.param == "items[1].id"


def test_what_may_be_asked_for_is_what_the_protocol_has() -> None:
    assert set(typing.get_args(ResponseIncludable)) == ALL


@pytest.mark.parametrize(
    ("item", "name", "asked"),
    [
        ({"type": "reasoning", "encrypted_content": "X"}, "X", "reasoning.encrypted_content"),
        (
            {"type": "message", "content": [{"type": "input_image", "image_url": "X"}]},
            "X",
            "message.input_image.image_url",
        ),
        (
            {"type": "message", "content": [{"type": "output_text", "logprobs": [{"token": "X"}]}]},
            "X",
            "message.output_text.logprobs",
        ),
        ({"type": "web_search_call", "action": {"sources": ["X"]}}, "X", "web_search_call.action.sources"),
        (
            {"type": "computer_call_output", "output": {"image_url": "X"}},
            "X",
            "computer_call_output.output.image_url",
        ),
        ({"type": "file_search_call", "results": ["X"]}, "X", "file_search_call.results"),
        ({"type": "code_interpreter_call", "outputs": ["X"]}, "X", "code_interpreter_call.outputs"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_must_be_asked_for_is_left_out(item: dict[str, Any], name: str, asked: str) -> None:
    content = msgspec.json.encode(item)
    assert name.encode() not in shown(content, ALL - {asked})
    assert msgspec.json.decode(shown(content, frozenset({asked}))) == item
    whole = msgspec.json.encode({"id": "resp_1", "output": [item, {"type": "other"}]})
    assert name.encode() not in shown_response(whole, ALL - {asked})
    assert msgspec.json.decode(shown_response(whole, ALL)) == msgspec.json.decode(whole)


@pytest.mark.parametrize("content", [b'{"type":"message","content":"text"}', b'{"type":"web_search_call"}', b"{}"])
def test_an_item_of_another_shape_is_shown_as_it_is(content: bytes) -> None:
    assert msgspec.json.decode(shown(content, frozenset())) == msgspec.json.decode(content)


def test_a_response_without_output_is_shown_as_it_is() -> None:
    assert shown_response(b'{"id":"resp_1"}', frozenset()) == b'{"id":"resp_1"}'
