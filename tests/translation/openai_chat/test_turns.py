"""Messages of callers, in every form they have had, as turns."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation import envelope
from trunkline.translation.exchange import (
    Media,
    Opaque,
    Reasoning,
    Refusal,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.translation.openai_chat.turns import Turns

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":"\\u2028"}'}}


def turns(*messages: dict[str, Any]) -> list[Turn]:
    return Turns(Raw(msgspec.json.encode(list(messages)))).list


def test_roles_and_names_stay() -> None:
    assert turns(
        {"role": "system", "content": "S"},
        {"role": "developer", "content": "D"},
        {"role": "user", "content": "U", "name": "ada"},
        {"role": "assistant", "content": "A", "name": "bot"},
    ) == [
        Turn(role="system", parts=[Text(text="S")]),
        Turn(role="developer", parts=[Text(text="D")]),
        Turn(role="user", parts=[Text(text="U")], name="ada"),
        Turn(role="assistant", parts=[Text(text="A")], name="bot"),
    ]


def test_calls_and_results() -> None:
    custom = {"id": "c2", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    assert turns(
        {"role": "assistant", "content": "", "tool_calls": [CALL, custom]},
        {"role": "tool", "tool_call_id": "c1", "content": "Error: no", "cache_control": {"type": "ephemeral"}},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "x"}]},
    ) == [
        Turn(
            role="assistant",
            parts=[
                ToolCall(id="c1", name="f", arguments='{"a":"\\u2028"}'),
                ToolCall(id="c2", name="sh", arguments="ls", custom=True),
            ],
        ),
        Turn(role="user", parts=[ToolResult(call_id="c1", parts=[Text(text="Error: no")], cache="5m")]),
        Turn(role="user", parts=[ToolResult(call_id="c2", parts=[Text(text="x")], custom=True)]),
    ]


def test_everything_an_assistant_may_have_said() -> None:
    (turn,) = turns(
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "A"}, {"type": "refusal", "refusal": "B"}],
            "refusal": "No.",
            "audio": {"id": "audio_1"},
            "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
            "annotations": [],
            "tool_calls": [CALL],
        }
    )
    assert turn.parts == [
        Text(text="A"),
        Refusal("B"),
        Refusal("No."),
        Media(kind="audio", file_id="audio_1"),
        Media(kind="image", media_type="image/png", data="AAAA"),
        ToolCall(id="c1", name="f", arguments='{"a":"\\u2028"}'),
    ]
    assert turns({"role": "assistant", "content": None}) == [Turn(role="assistant", parts=[])]


def test_reasoning_comes_back_in_any_field() -> None:
    for field in ("reasoning_content", "reasoning"):
        (turn,) = turns({"role": "assistant", "content": "A", field: "Hm"})
        assert turn.parts == [Reasoning(text="Hm"), Text(text="A")]
    details = [
        {"type": "reasoning.text", "text": "Hm", "signature": envelope.wrap(State("p", "s")), "index": 0},
        {"type": "reasoning.encrypted", "data": "native", "index": 1},
        {"type": "reasoning.encrypted", "data": envelope.wrap(State("p", "of-call")), "id": "c1", "index": 2},
        {"type": "reasoning.encrypted", "data": envelope.wrap(State("p", "of-text")), "id": "text", "index": 3},
    ]
    (turn,) = turns({"role": "assistant", "content": "A", "tool_calls": [CALL], "reasoning_details": details})
    assert turn.parts[:3] == [
        Reasoning(text="Hm", state=State("p", "s")),
        Reasoning(state=State("", "native")),
        Text(text="A", state=State("p", "of-text")),
    ]
    call = turn.parts[3]
    assert isinstance(call, ToolCall)
    assert call.state == State("p", "of-call")


def test_details_of_calls_alone_leave_the_plain_text() -> None:
    details = [{"type": "reasoning.encrypted", "data": "x", "id": "c1"}]
    message = {"role": "assistant", "tool_calls": [CALL], "reasoning_content": "Hm", "reasoning_details": details}
    assert turns(message)[0].parts[0] == Reasoning(text="Hm")


def test_hints_for_the_cache() -> None:
    part = {"type": "text", "text": "A"}
    kinds = [
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, "1h"),
        ({"cache_control": {"type": "ephemeral"}}, "5m"),
        ({"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}, "1h"),
        ({"prompt_cache_breakpoint": {"mode": "explicit"}}, "5m"),
        ({}, None),
    ]
    for hint, expected in kinds:
        ((text,),) = [turn.parts for turn in turns({"role": "user", "content": [{**part, **hint}]})]
        assert isinstance(text, Text)
        assert text.cache == expected
    # On a message it is meant for all of it, so it stands on its last part.
    (turn,) = turns({"role": "system", "content": [part, part], "cache_control": {"type": "ephemeral"}})
    assert [part.cache for part in turn.parts if isinstance(part, Text)] == [None, "5m"]


def test_the_first_form_of_calls_gets_ids() -> None:
    """The same conversation the same ones, so that a longer one begins with the same bytes."""
    messages: list[dict[str, Any]] = [
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "2"},
    ]
    read = [turn.parts[0] for turn in turns(*messages)]
    ids = [
        part.id if isinstance(part, ToolCall) else part.call_id
        for part in read
        if not isinstance(part, Text | Media | Opaque | Reasoning | Refusal)
    ]
    assert ids[0] == ids[1] != ids[2] == ids[3]
    assert [turn.parts[0] for turn in turns(*messages[:2])] == read[:2]


def test_a_part_of_no_known_kind_is_kept() -> None:
    (turn,) = turns({"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "hologram", "x": 1}]})
    assert turn.parts[1] == Opaque("openai_chat", Raw(b'{"type":"hologram","x":1}'), "hologram")


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}, "messages[0].tool_calls[0].id"),
        ({"role": "assistant", "tool_calls": [{"id": "c"}]}, "messages[0].tool_calls[0].function"),
        (
            {"role": "tool", "tool_call_id": "c", "content": [{"type": "refusal", "refusal": "x"}]},
            "messages[0].content",
        ),
        ({"role": "function", "content": "x"}, "messages[0].name"),
        ({"role": "user", "content": [{"type": "image_url"}]}, "messages[0].content[0].image_url"),
        ({"role": "user", "content": [{"type": "file", "file": {}}]}, "messages[0].content[0].file.file_id"),
        ({"role": "judge", "content": "x"}, "messages[0].role"),
    ],
)
def test_what_is_wrong_is_named(message: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        turns(message)
    assert refused.value.param == param
