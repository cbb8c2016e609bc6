"""Tools and the choice among them, with what Bedrock cannot be told."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from tests.translation.bedrock_converse.exchanges import (
    CLAUDE,
    NOVA,
    ToldLosses,
    read,
    request,
    target,
    written,
)
from trunkline.errors import InvalidRequest
from trunkline.translation.bedrock_converse.tools import NOT_NOW
from trunkline.translation.exchange import Opaque, Text, Tool, ToolCall, ToolChoice, ToolResult, Turn

SCHEMA = Raw(b'{"type":"object","properties":{"a":{"type":"string"}}}')
WEATHER = Tool(name="weather", description="Tells it", parameters=SCHEMA, strict=True)
NOW = Tool(name="now")
EMPTY = {"type": "object", "properties": {}}
CALLED = (
    Turn(role="user", parts=[Text(text="Hi")]),
    Turn(role="assistant", parts=[ToolCall(id="t", name="weather")]),
    Turn(role="user", parts=[ToolResult(call_id="t", parts=[Text(text="rain")])]),
)


def config(*tools: Any, losses: ToldLosses | None = None, to: Any = CLAUDE, **more: Any) -> dict[str, Any] | None:
    told: dict[str, Any] | None = written(request(tools=list(tools), **more), to, losses).get("toolConfig")
    return told


def names(told: dict[str, Any] | None) -> list[str]:
    return [tool["toolSpec"]["name"] for tool in (told or {"tools": []})["tools"]]


def test_a_tool_has_its_schema_inside() -> None:
    told = config(WEATHER, NOW, Tool(name="bare", parameters=Raw(b'{"properties":{}}'), description=""))
    assert told == {
        "tools": [
            {
                "toolSpec": {
                    "name": "weather",
                    "description": "Tells it",
                    "inputSchema": {"json": {"type": "object", "properties": {"a": {"type": "string"}}}},
                    "strict": True,
                }
            },
            {"toolSpec": {"name": "now", "inputSchema": {"json": EMPTY}}},
            {"toolSpec": {"name": "bare", "inputSchema": {"json": EMPTY}}},
        ]
    }


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        (ToolChoice(mode="auto"), {"auto": {}}),
        (ToolChoice(mode="required"), {"any": {}}),
        (ToolChoice(mode="required", names=("now",)), {"tool": {"name": "now"}}),
        (ToolChoice(mode="required", names=("now", "weather")), {"any": {}}),
    ],
)
def test_choices(choice: ToolChoice | None, expected: dict[str, Any] | None) -> None:
    told = config(WEATHER, NOW, tool_choice=choice)
    assert told is not None
    assert told.get("toolChoice") == expected
    assert names(told) == ["weather", "now"]


def test_of_allowed_tools_only_those_are_sent() -> None:
    losses = ToldLosses()
    told = config(WEATHER, NOW, Tool(name="x"), tool_choice=ToolChoice(mode="auto", names=("now",)), losses=losses)
    assert names(told) == ["now"]
    assert losses.told == {("tool_choice", "changed")}


def test_none_sends_no_tools_and_says_so() -> None:
    losses = ToldLosses()
    assert config(WEATHER, tool_choice=ToolChoice(mode="none"), losses=losses) is None
    assert losses.told == {("tool_choice", "changed")}


def test_none_beside_calls_is_told_in_words_for_a_conversation_with_calls_needs_its_tools() -> None:
    losses = ToldLosses()
    body = written(request(*CALLED, tools=[WEATHER], tool_choice=ToolChoice(mode="none")), CLAUDE, losses)
    assert names(body["toolConfig"]) == ["weather"]
    assert "toolChoice" not in body["toolConfig"]
    assert body["system"] == [{"text": NOT_NOW}]
    assert losses.told == {("tool_choice", "changed")}


def test_a_conversation_with_calls_and_no_tools_gets_them_by_name() -> None:
    losses = ToldLosses()
    body = written(request(*CALLED), CLAUDE, losses)
    assert body["toolConfig"] == {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": EMPTY}}}]}
    assert losses.told == {("tools", "changed")}
    orphan = Turn(role="user", parts=[ToolResult(call_id="t", parts=[Text(text="rain")])])
    assert names(written(request(orphan))["toolConfig"]) == ["tool"]


def test_a_forced_choice_that_cannot_be_kept_is_refused() -> None:
    for tools in ([], [Tool(name="c", custom=True)], [Opaque("openai_responses", Raw(b"{}"), "web_search")]):
        with pytest.raises(InvalidRequest, match="none of the tools can be sent"):
            config(*tools, tool_choice=ToolChoice(mode="required"))
    with pytest.raises(InvalidRequest, match="names no tool that can be sent: absent"):
        config(NOW, tool_choice=ToolChoice(mode="required", names=("absent",)))


def test_what_a_tool_loses() -> None:
    losses = ToldLosses()
    config(
        WEATHER,
        Tool(name="c", custom=True),
        Opaque("openai_responses", Raw(b"{}"), "web_search"),
        parallel_tool_calls=False,
        to=target(json_schema=False),
        losses=losses,
    )
    assert losses.told == {
        ("tools.strict", "dropped"),
        ("tools.custom", "dropped"),
        ("tools.web_search", "dropped"),
        ("parallel_tool_calls", "dropped"),
    }


def test_a_marked_tool_is_followed_by_a_cache_point_but_for_nova() -> None:
    marked = Tool(name="now", cache="1h")
    told = config(marked, WEATHER)
    assert told is not None
    assert told["tools"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    losses = ToldLosses()
    assert len((config(marked, WEATHER, to=NOVA, losses=losses) or {})["tools"]) == 2
    assert losses.told == {("cache_control", "dropped")}


def test_tools_are_read() -> None:
    asked = read(
        toolConfig={
            "tools": [
                {"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": EMPTY}, "strict": True}},
                {"cachePoint": {"type": "default"}},
                {"systemTool": {"name": "nova_grounding"}},
            ],
            "toolChoice": {"tool": {"name": "f"}},
        }
    )
    assert asked.tools == [
        Tool(
            name="f",
            description="d",
            parameters=Raw(b'{"type":"object","properties":{}}'),
            strict=True,
            cache="5m",
        ),
        Opaque("bedrock_converse", Raw(b'{"systemTool":{"name":"nova_grounding"}}'), "systemTool"),
    ]
    assert asked.tool_choice == ToolChoice(mode="required", names=("f",))
    assert names({"tools": written(asked)["toolConfig"]["tools"][:1]}) == ["f"]
    assert written(asked)["toolConfig"]["tools"][2] == {"systemTool": {"name": "nova_grounding"}}


@pytest.mark.parametrize(("raw", "mode"), [({"auto": {}}, "auto"), ({"any": {}}, "required")])
def test_choices_are_read(raw: dict[str, Any], mode: str) -> None:
    tools = [{"toolSpec": {"name": "f", "inputSchema": {"json": EMPTY}}}]
    choice = read(toolConfig={"tools": tools, "toolChoice": raw}).tool_choice
    assert choice is not None
    assert (choice.mode, choice.names) == (mode, ())


def test_a_tool_config_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="'toolConfig' makes no sense"):
        read(toolConfig={"tools": [{"toolSpec": {"name": "f"}}]})
