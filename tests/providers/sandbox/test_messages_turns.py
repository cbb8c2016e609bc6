from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.providers.sandbox.exchange import JSON
from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.messages_turns import Message, Turn, check_thinking, check_version_2026, turns

USER = {"role": "user", "content": "hi"}
SAID = {"role": "assistant", "content": "yes?"}
THINKING = {"type": "thinking", "thinking": "t", "signature": "s"}


def use(*ids: str, first: JSON | None = None) -> JSON:
    blocks = [{"type": "tool_use", "id": each, "name": "f", "input": {}} for each in ids]
    return {"role": "assistant", "content": [first, *blocks] if first else blocks}


def result(*ids: str, then: str | None = None) -> JSON:
    blocks: list[JSON] = [{"type": "tool_result", "tool_use_id": each, "content": "x"} for each in ids]
    return {"role": "user", "content": [*blocks, {"type": "text", "text": then}] if then else blocks}


def talk(*messages: JSON) -> list[Turn]:
    return turns(msgspec.convert(list(messages), list[Message]))


def blocks(role: str, *content: JSON) -> JSON:
    return {"role": role, "content": list(content)}


@pytest.mark.parametrize(
    ("messages", "roles"),
    [
        ([USER], "u"),
        ([USER, USER, SAID, SAID, USER], "uau"),
        ([USER, use("a", "b"), result("a"), result("b")], "uau"),
        ([USER, use("a"), result("a", then="and now?")], "uau"),
        ([USER, use("a"), result("a"), use("b"), result("b"), SAID, USER], "uauauau"),
        ([USER, {"role": "system", "content": "be kind"}, SAID, USER], "usau"),
        ([USER, {"role": "system", "content": "be kind"}], "us"),
        ([USER, blocks("assistant", THINKING, {"type": "redacted_thinking", "data": "d"}), USER], "uau"),
    ],
)
def test_turns_are_merged_by_role(messages: list[JSON], roles: str) -> None:
    assert "".join(turn.role[0] for turn in talk(*messages)) == roles


@pytest.mark.parametrize(
    ("messages", "named", "param"),
    [
        ([], "at least one message", "messages"),
        ([SAID], 'must use the "user" role', "messages.0"),
        ([{"role": "system", "content": "x"}, USER], 'must use the "user" role', "messages.0"),
        ([USER, SAID, {"role": "system", "content": "x"}], 'must follow a "user"', "messages.2"),
        ([USER, SAID], "does not support assistant message prefill", "messages"),
        ([{"role": "user", "content": ""}], "non-empty content", "messages.0"),
        ([USER, {"role": "assistant", "content": []}, USER], "non-empty content", "messages.1"),
        ([blocks("user", {"type": "text", "text": ""})], "must be non-empty", "messages.0.content.0"),
        ([{"role": "user", "content": " \n"}], "non-whitespace", "messages.0.content"),
        ([blocks("user", THINKING)], "`thinking` blocks are not allowed in user", "messages.0.content.0"),
        ([{**use("a"), "role": "user"}], "`tool_use` blocks are not allowed in user", "messages.0.content.0"),
        ([USER, {**result("a"), "role": "assistant"}, USER], "`tool_result` blocks are not", "messages.1.content.0"),
        ([USER, blocks("system", THINKING)], "`thinking` blocks are not allowed in system", "messages.1.content.0"),
        ([USER, use("a"), USER], "`tool_use` ids were found without `tool_result` blocks immediately after: a.",
         "messages.1"),
        ([USER, use("a", "b"), result("a")], "immediately after: b.", "messages.1"),
        ([USER, use("a"), blocks("user", {"type": "text", "text": "so"}, *result("a")["content"])],
         "immediately after: a.", "messages.1"),
        ([USER, use("a"), result("a"), SAID, result("a")], "unexpected `tool_use_id`", "messages.4.content.0"),
        ([result("a")], "unexpected `tool_use_id`", "messages.0.content.0"),
        ([USER, use("a"), result("a", "a")], "a single result", "messages.2.content.1"),
        ([USER, use("a", "a"), result("a")], "must be unique", "messages.1.content.0"),
        ([USER, use("a"), result("a"), use("a"), result("a")], "must be unique", "messages.3.content.0"),
    ],
)  # fmt: skip
def test_what_is_out_of_order_is_named(messages: list[JSON], named: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        talk(*messages)
    assert named in caught.value.message
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("messages", "where"),
    [
        ([USER], None),
        ([USER, SAID, USER], None),
        ([USER, use("a", first=THINKING), result("a")], None),
        ([USER, use("a", first={"type": "redacted_thinking", "data": "d"}), result("a")], None),
        ([USER, use("a"), result("a", then="and now?")], None),
        ([USER, use("a"), result("a"), SAID, USER], None),
        ([USER, use("a", first=THINKING), result("a"), use("b"), result("b")], None),
        ([USER, use("a"), result("a")], "messages.1.content.0"),
        ([USER, use("a", first={"type": "text", "text": "so"}), result("a")], "messages.1.content.0"),
        ([USER, use("a"), result("a"), use("b", first=THINKING), result("b")], "messages.1.content.0"),
        ([USER, SAID, USER, use("b"), result("b")], "messages.3.content.0"),
    ],
)
def test_the_turn_that_a_tool_loop_is_part_of_begins_with_thinking(messages: list[JSON], where: str | None) -> None:
    found = talk(*messages)
    if where is None:
        check_thinking(found)
        return
    with pytest.raises(InvalidRequest) as caught:
        check_thinking(found)
    assert caught.value.param == where


@pytest.mark.parametrize(
    ("messages", "refused"),
    [
        ([USER, SAID, USER], False),
        ([blocks("user", {"type": "document", "source": {"type": "url", "url": "https://e/x"}})], False),
        (
            [USER, blocks("assistant", {"type": "document", "source": {"type": "url", "url": "https://e/x"}}), USER],
            True,
        ),
        ([blocks("user", {"type": "text", "text": "x", "citations": [{"type": "char_location"}]})], True),
        ([blocks("user", {"type": "text", "text": "x", "citations": []})], False),
        ([USER, blocks("assistant", {"type": "text", "text": "x", "citations": [{}]}), USER], False),
    ],
)
def test_what_the_newer_version_no_longer_takes(messages: list[Any], refused: bool) -> None:
    found = talk(*messages)
    if refused:
        with pytest.raises(InvalidRequest):
            check_version_2026(found)
    else:
        check_version_2026(found)


def test_long_talks_are_checked_in_linear_time() -> None:
    ids = [f"c{number}" for number in range(20_000)]
    assert len(talk(USER, use(*ids), result(*reversed(ids)))) == 3
