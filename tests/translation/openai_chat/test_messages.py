"""Turns of any protocol as messages that chat providers take."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import (
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Request,
    Role,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.translation.losses import Losses
from trunkline.translation.openai_chat.messages import Messages, call_id
from trunkline.translation.target import Target

TARGET = Target(provider_id="p", model_id="p/m", upstream="m")
IMAGE = Media(kind="image", media_type="image/png", data="AAAA")
SHOWN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def turn(role: Role, *parts: Part) -> Turn:
    return Turn(role=role, parts=list(parts))


def written(
    *turns: Turn, target: Target = TARGET, protocol: str = "anthropic_messages", warned: list[str] | None = None
) -> list[dict[str, Any]]:
    request = Request(protocol=protocol, model="m", turns=list(turns))
    losses = Losses("p/m", {})
    said: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(Messages(request, target, losses).list))
    assert losses.warnings == (warned or [])
    return said


def test_texts_of_a_crossing_are_one_string() -> None:
    two = turn("user", Text(text="A"), Text(text="B"))
    assert written(turn("developer", Text(text="S")), two) == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "A\n\nB"},
    ]
    assert written(turn("developer", Text(text="S")), two, protocol="openai_chat") == [
        {"role": "developer", "content": "S"},
        {"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]},
    ]
    assert written(turn("user", Text(text="A"), IMAGE)) == [
        {"role": "user", "content": [{"type": "text", "text": "A"}, SHOWN]}
    ]


def test_results_are_messages_of_their_own_and_the_rest_follows() -> None:
    messages = written(
        turn("assistant", ToolCall(id="c1", name="f", arguments="{}"), ToolCall(id="c2", name="f")),
        turn(
            "user",
            ToolResult(call_id="c1", parts=[Text(text="1")]),
            ToolResult(call_id="c2", parts=[]),
            Text(text="Go"),
        ),
    )
    assert messages == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
        {"role": "user", "content": "Go"},
    ]


def test_media_in_results_follow_after_all_of_them() -> None:
    warned = ["changed tool_result.media: sent as a message of the user after the tool's"]
    called = turn("assistant", ToolCall(id="c1", name="f"), ToolCall(id="c2", name="f"))
    first = turn("user", ToolResult(call_id="c1", parts=[Text(text="see"), IMAGE]))
    second = turn("user", ToolResult(call_id="c2", parts=[Text(text="2")]))
    label = {"type": "text", "text": "What tool call c1 returned:"}
    messages = written(called, first, second, turn("assistant", Text(text="ok")), warned=warned)
    assert [message["role"] for message in messages] == ["assistant", "tool", "tool", "user", "assistant"]
    assert messages[3]["content"] == [label, SHOWN]
    # What the user says next is in the same message: not every provider takes two in a row.
    messages = written(called, first, second, turn("user", Text(text="Go")), warned=warned)
    assert messages[3:] == [{"role": "user", "content": [label, SHOWN, {"type": "text", "text": "Go"}]}]
    assert written(called, first, warned=warned)[-1]["content"] == [label, SHOWN]


def test_a_failed_result_says_so_in_its_text() -> None:
    warned = ["changed tool_result.is_error: the result's text begins with 'Error: '"]

    def failed(text: str) -> Any:
        result = ToolResult(call_id="c1", parts=[Text(text=text)], is_error=True)
        return written(turn("user", result), warned=warned)[0]["content"]

    assert failed("no such file") == "Error: no such file"
    assert failed("Error: no such file") == "Error: no such file"


def test_turns_of_one_answer_are_one_message() -> None:
    """As the Responses protocol tells them, item by item."""
    messages = written(
        turn("assistant", Text(text="A")),
        turn("assistant", ToolCall(id="c1", name="f")),
        turn("assistant", ToolCall(id="c2", name="f")),
        turn("user", ToolResult(call_id="c1", parts=[Text(text="1")])),
        turn("user", ToolResult(call_id="c2", parts=[Text(text="2")])),
    )
    assert [message["role"] for message in messages] == ["assistant", "tool", "tool"]
    assert len(messages[0]["tool_calls"]) == 2
    two = [turn("assistant", Text(text="A")), turn("assistant", Text(text="B"))]
    assert len(written(*two, protocol="openai_chat")) == 2


def test_ids_that_are_too_long_are_mapped_in_both_places() -> None:
    long = "toolu_" + "x" * 60
    messages = written(
        turn("assistant", ToolCall(id=long, name="f")), turn("user", ToolResult(call_id=long, parts=[Text(text="1")]))
    )
    mapped = messages[0]["tool_calls"][0]["id"]
    assert mapped == messages[1]["tool_call_id"] == call_id(long)
    assert len(mapped) <= 40
    assert call_id("functions.weather:0") == "functions.weather:0"


def test_custom_calls_stay_custom() -> None:
    (message,) = written(turn("assistant", ToolCall(id="c1", name="sh", arguments="ls", custom=True)))
    assert message["tool_calls"] == [{"id": "c1", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]


def test_reasoning_goes_back_to_who_made_it_and_nobody_else() -> None:
    entries = '[{"type":"reasoning.text","text":"Hm","signature":"s","format":"x","index":0}]'
    mine = Reasoning(text="Hm", state=State("p", entries))
    theirs = Reasoning(text="Hm", state=State("q", entries))
    hidden = Reasoning(state=State("q", "secret"))
    unknown = Reasoning(state=State("", "native"))
    (message,) = written(
        turn("assistant", mine, theirs, hidden, unknown, Text(text="A")),
        warned=["dropped reasoning: not supported by p/m"],
    )
    assert message["reasoning_details"] == msgspec.json.decode(entries)
    assert "reasoning_content" not in message
    # What is hidden could never cross: nothing is said of it.
    assert written(turn("assistant", hidden, Text(text="A"))) == [{"role": "assistant", "content": "A"}]
    assert written(turn("assistant", hidden), turn("user", Text(text="A"))) == [{"role": "user", "content": "A"}]


def test_state_of_calls_goes_back_with_them() -> None:
    state = State("p", '[{"type":"reasoning.encrypted","data":"s","id":"c1","index":0}]')
    (message,) = written(turn("assistant", ToolCall(id="c1", name="f", state=state)))
    assert message["reasoning_details"] == [{"type": "reasoning.encrypted", "data": "s", "id": "c1", "index": 0}]
    other = written(turn("assistant", ToolCall(id="c1", name="f", state=State("q", "x"))))
    assert "reasoning_details" not in other[0]


def test_a_provider_that_wants_its_reasoning_back_gets_that_of_the_round() -> None:
    target = msgspec.structs.replace(TARGET, returns_reasoning=True)
    thought = Reasoning(text="Hm")
    kept = Reasoning(summaries=["short"], state=State("p", '[{"type":"reasoning_content","text":"as it was"}]'))
    messages = written(
        turn("user", Text(text="1")),
        turn("assistant", thought, ToolCall(id="c1", name="f")),
        turn("user", ToolResult(call_id="c1", parts=[Text(text="x")])),
        turn("assistant", thought, Text(text="done")),
        turn("user", Text(text="2")),
        turn("assistant", thought, Text(text="plain")),
        turn("user", Text(text="3")),
        turn("assistant", kept, ToolCall(id="c2", name="f")),
        turn("user", ToolResult(call_id="c2", parts=[Text(text="x")])),
        turn("assistant", ToolCall(id="c3", name="f")),
        target=target,
    )
    back = [message.get("reasoning_content") for message in messages if message["role"] == "assistant"]
    # The second question was answered without tools, and its reasoning is not wanted; the field is, even when empty.
    assert back == ["Hm", "Hm", None, "as it was", ""]


def test_text_after_a_call_is_sent_before_it() -> None:
    (message,) = written(
        turn("assistant", ToolCall(id="c1", name="f"), Text(text="after")),
        warned=["changed turns.order: text after a tool call is sent before it"],
    )
    assert message["content"] == "after"


def test_refusals_and_earlier_media() -> None:
    assert written(turn("assistant", Refusal("No."))) == [{"role": "assistant", "refusal": "No.", "content": None}]
    spoken = Media(kind="audio", file_id="audio_1")
    assert written(turn("assistant", spoken), protocol="openai_chat") == [
        {"role": "assistant", "audio": {"id": "audio_1"}, "content": None}
    ]
    assert written(
        turn("assistant", Media(kind="audio", data="AAAA", text="Hi")),
        warned=["changed media.audio: an earlier spoken answer is sent as its transcript"],
    ) == [{"role": "assistant", "content": "Hi"}]
    assert written(turn("assistant", Text(text="A"), IMAGE), warned=["dropped media.image: not supported by p/m"]) == [
        {"role": "assistant", "content": "A"}
    ]


def test_parts_that_only_another_protocol_knows() -> None:
    search = Opaque("anthropic_messages", Raw(b'{"type":"server_tool_use"}'), "server_tool_use")
    own = Opaque("openai_chat", Raw(b'{"type":"hologram"}'), "hologram")
    warned = ["dropped server_tool_use: not supported by p/m"]
    assert written(turn("assistant", search, Text(text="A")), warned=warned) == [{"role": "assistant", "content": "A"}]
    assert written(turn("user", search), turn("user", Text(text="A")), warned=warned) == [
        {"role": "user", "content": "A"}
    ]
    assert written(turn("user", own), protocol="openai_chat") == [{"role": "user", "content": [{"type": "hologram"}]}]


def test_hints_for_the_cache_go_where_they_are_read() -> None:
    said = [
        turn("system", Text(text="S", cache="1h")),
        turn("user", Text(text="A"), Text(text="B", cache="5m")),
        turn("assistant", ToolCall(id="c1", name="f", cache="5m")),
        turn("user", ToolResult(call_id="c1", parts=[Text(text="1")], cache="5m")),
    ]
    plain = written(*said, warned=["dropped cache: not supported by p/m"])
    assert "cache_control" not in str(plain)
    messages = written(*said, target=msgspec.structs.replace(TARGET, takes_cache_control=True))
    short = {"type": "ephemeral"}
    assert messages[0]["content"] == [
        {"type": "text", "text": "S", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ]
    assert messages[1]["content"][1]["cache_control"] == short
    assert messages[2]["tool_calls"][0]["cache_control"] == short
    assert messages[3]["cache_control"] == short


def test_a_file_of_another_provider_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"media\.image"):
        written(turn("user", Media(kind="image", file_id="file-1")))


def test_names_and_the_first_form_of_calls() -> None:
    request = Request(
        protocol="openai_chat",
        model="m",
        legacy_functions=True,
        turns=[
            Turn(role="user", parts=[Text(text="A")], name="ada"),
            Turn(role="assistant", parts=[ToolCall(id="c1", name="f", arguments="{}")], name="bot"),
            Turn(role="user", parts=[ToolResult(call_id="c1", parts=[Text(text="1")])]),
        ],
    )
    assert Messages(request, TARGET, Losses("m", {})).list == [
        {"role": "user", "content": "A", "name": "ada"},
        {"role": "assistant", "content": None, "name": "bot", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
    ]
