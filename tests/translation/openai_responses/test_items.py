"""Items into turns: what belongs together, and what only this protocol knows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.translation.openai_responses.exchanges import TARGET, asked
from trunkline.translation import envelope
from trunkline.translation.exchange import Opaque, Reasoning, State, Text, ToolCall
from trunkline.translation.losses import Losses
from trunkline.translation.openai_responses.request import write_request


def shape(*items: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [
        (turn.role, [part.kind if isinstance(part, Opaque) else type(part).__name__ for part in turn.parts])
        for turn in asked(input=list(items)).turns
    ]


def call(number: int, **fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": f"call_{number}", "name": "f", "arguments": "{}", **fields}


def result(number: int) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": f"call_{number}", "output": "1"}


SAID = {"role": "assistant", "content": "a"}
ASKED = {"role": "user", "content": "q"}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
REASONING = {"type": "reasoning", "summary": [], "encrypted_content": "x"}


def test_what_the_model_said_is_one_turn_and_so_are_the_results() -> None:
    assert shape(ASKED, REASONING, SAID, call(1), call(2), result(1), result(2), ASKED, ASKED) == [
        ("user", ["Text"]),
        ("assistant", ["Reasoning", "Text", "ToolCall", "ToolCall"]),
        ("user", ["ToolResult", "ToolResult"]),
        ("user", ["Text"]),
        ("user", ["Text"]),
    ]


@pytest.mark.parametrize(
    ("item", "role"),
    [
        (SEARCH, "assistant"),
        ({"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}, "assistant"),
        ({"type": "tool_search_output", "tools": []}, "assistant"),
        ({"type": "shell_call_output", "call_id": "c", "output": []}, "user"),
        ({"type": "computer_call_output", "call_id": "c", "output": {}}, "user"),
        ({"type": "mcp_approval_response", "approval_request_id": "a", "approve": True}, "user"),
        ({"type": "compaction", "encrypted_content": "x"}, "user"),
        ({"type": "something_of_next_year", "arguments": {}}, "assistant"),
    ],
)
def test_items_of_this_protocol_alone_stay_as_they_came(item: dict[str, Any], role: str) -> None:
    request = asked(input=[ASKED, item, ASKED])
    turn = request.turns[1]
    assert turn.role == role
    (part,) = turn.parts
    assert isinstance(part, Opaque)
    assert msgspec.json.decode(part.raw) == item
    body = msgspec.json.decode(write_request(request, TARGET, Losses("m", {})))
    assert body["input"][1] == item


def test_an_empty_reasoning_item_says_nothing() -> None:
    assert shape({"type": "reasoning", "id": "rs_1", "summary": []}) == []


def test_state_of_ours_comes_back_to_its_maker_and_to_its_call() -> None:
    whole = envelope.wrap(State("google", "sig"))
    carried = envelope.wrap(State("google", "call:call_2:sig2"))
    request = asked(
        input=[
            ASKED,
            {"type": "reasoning", "summary": [], "encrypted_content": whole},
            call(1),
            call(2),
            {"type": "reasoning", "summary": [], "encrypted_content": carried},
            result(1),
        ]
    )
    reasoning, first, second = request.turns[1].parts
    assert isinstance(reasoning, Reasoning)
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert reasoning.state == State("google", "sig")
    assert (first.state, second.state) == (None, State("google", "sig2"))


def test_a_providers_own_state_is_of_unknown_origin_and_crosses_nowhere() -> None:
    request = asked(input=[ASKED, REASONING, SAID, ASKED])
    (part, _) = request.turns[1].parts
    assert isinstance(part, Reasoning)
    assert part.state == State("", "x")
    assert b'"x"' not in write_request(request, TARGET, Losses("m", {}))


def test_phases_go_back_as_they_came() -> None:
    request = asked(input=[ASKED, {**SAID, "phase": "commentary"}, {**SAID, "phase": "final_answer"}, ASKED])
    assert shape(ASKED, {**SAID, "phase": "commentary"})[1] == ("assistant", ["phase", "Text"])
    body = msgspec.json.decode(write_request(request, TARGET, Losses("m", {})))
    assert [item.get("phase") for item in body["input"]] == [None, "commentary", "final_answer", None]


def test_calls_keep_their_namespace() -> None:
    request = asked(input=[ASKED, call(1, namespace="docs"), result(1)])
    (part,) = request.turns[1].parts
    assert isinstance(part, ToolCall)
    assert part.name == "docs__f"
    body = msgspec.json.decode(write_request(request, TARGET, Losses("m", {})))
    assert (body["input"][1]["name"], body["input"][1]["namespace"]) == ("f", "docs")


def test_annotations_go_back_to_this_protocol() -> None:
    note = {"type": "file_path", "file_id": "f", "index": 0}
    said = {"role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": [note]}]}
    request = asked(input=[ASKED, said, ASKED])
    assert isinstance(request.turns[1].parts[0], Text)
    body = msgspec.json.decode(write_request(request, TARGET, Losses("m", {})))
    assert body["input"][1]["content"][0]["annotations"] == [note]


def test_a_text_is_a_turn_of_the_user() -> None:
    (turn,) = asked(input="Hi \u2028").turns
    assert (turn.role, turn.parts) == ("user", [Text(text="Hi \u2028")])
