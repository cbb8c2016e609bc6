"""Tools and the choice among them, both ways."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.translation.anthropic_messages import sdk
from tests.translation.anthropic_messages.sdk import ToldLosses
from tests.translation.anthropic_messages.targets import read, request, target, written
from trunkline.errors import InvalidRequest
from trunkline.translation.anthropic_messages.request import write_request
from trunkline.translation.exchange import Opaque, Tool, ToolChoice

TOOL = {"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}
TOOLS = [Tool(name=name, parameters=Raw(b'{"type":"object"}')) for name in ("look", "hear")]


def test_tools_go_back_as_they_came() -> None:
    tools = [
        {**TOOL, "cache_control": {"type": "ephemeral", "ttl": "1h"}, "strict": False},
        {
            **TOOL,
            "name": "hear",
            "strict": True,
            "eager_input_streaming": True,
            "defer_loading": False,
            "allowed_callers": ["direct"],
            "input_examples": [{"a": 1.0}],
        },
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "mcp_toolset", "mcp_server_name": "m"},
    ]
    asked = read({"tools": [*tools, {**TOOL, "name": "typed", "type": "custom"}]})
    assert [tool.kind for tool in asked.tools if isinstance(tool, Opaque)] == [
        "web_search_20250305",
        "bash_20250124",
        "mcp_toolset",
    ]
    assert "tools.eager_input_streaming" in asked.extras
    assert written(asked)["tools"] == [*tools, {**TOOL, "name": "typed"}]


CHOICES: list[tuple[dict[str, Any], ToolChoice | None, bool | None]] = [
    ({"type": "auto"}, ToolChoice(mode="auto"), None),
    ({"type": "none"}, ToolChoice(mode="none"), None),
    ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice(mode="required"), False),
    (
        {"type": "tool", "name": "look", "disable_parallel_tool_use": False},
        ToolChoice(mode="required", names=("look",)),
        True,
    ),
]


@pytest.mark.parametrize(("choice", "neutral", "parallel"), CHOICES)
def test_choices_both_ways(choice: dict[str, Any], neutral: ToolChoice, parallel: bool | None) -> None:
    asked = read({"tools": [TOOL], "tool_choice": choice})
    assert (asked.tool_choice, asked.parallel_tool_calls) == (neutral, parallel)
    body = written(asked)
    assert body["tool_choice"] == choice
    sdk.asked(msgspec.json.encode(body))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": {}}, "tools"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
        ({"tools": [{"name": "n"}]}, "tools.0.input_schema"),
        ({"tools": [{"name": 1, "input_schema": {}}]}, "tools.0.name"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(body)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("parameters", "schema"),
    [
        (None, {"type": "object", "properties": {}}),
        (b"{}", {"type": "object"}),
        (b'{"properties":{"a":{}}}', {"type": "object", "properties": {"a": {}}}),
        (b'{"type":"object","x":1}', {"type": "object", "x": 1}),
    ],
)
def test_a_schema_says_that_it_is_of_an_object(parameters: bytes | None, schema: dict[str, Any]) -> None:
    tool = Tool(name="n", parameters=None if parameters is None else Raw(parameters))
    assert written(request(tools=[tool]))["tools"] == [{"name": "n", "input_schema": schema}]


def test_a_schema_goes_byte_for_byte() -> None:
    raw = b'{ "type": "object", "properties": {"n": {"maximum": 1.0e2}} }'
    assert raw in write_request(request(tools=[Tool(name="n", parameters=Raw(raw))]), target(), ToldLosses())


def test_strict_is_said_where_it_is_kept() -> None:
    asked = request(tools=[Tool(name="a", strict=True), Tool(name="b", strict=False)])
    assert [tool.get("strict") for tool in written(asked)["tools"]] == [True, None]
    losses = ToldLosses()
    assert "strict" not in written(asked, target(json_schema=False), losses)["tools"][0]
    assert losses.told == {("tools.strict", "dropped")}


def test_no_parallel_calls_needs_a_choice() -> None:
    body = written(request(tools=[*TOOLS], parallel_tool_calls=False))
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert "tool_choice" not in written(request(tools=[*TOOLS], parallel_tool_calls=True))
    assert "tool_choice" not in written(request(parallel_tool_calls=False, tool_choice=ToolChoice(mode="auto")))


@pytest.mark.parametrize(
    ("mode", "names", "sent", "choice"),
    [
        ("auto", ("look",), ["look"], {"type": "auto"}),
        ("required", ("look", "hear"), ["look", "hear"], {"type": "any"}),
        ("required", ("hear",), ["look", "hear"], {"type": "tool", "name": "hear"}),
        ("none", ("look",), ["look", "hear"], {"type": "none"}),
    ],
)
def test_of_allowed_tools_only_those_are_sent(mode: Any, names: tuple[str, ...], sent: list[str], choice: Any) -> None:
    losses = ToldLosses()
    body = written(request(tools=[*TOOLS], tool_choice=ToolChoice(mode=mode, names=names)), losses=losses)
    assert [tool["name"] for tool in body["tools"]] == sent
    assert body["tool_choice"] == choice
    assert losses.told == ({("tool_choice", "changed")} if choice["type"] in ("auto", "any") else set())


def test_tools_of_others_are_named_and_a_choice_of_them_refused() -> None:
    theirs = [Opaque("openai_responses", Raw(b"{}"), "web_search"), Tool(name="free", custom=True)]
    losses = ToldLosses()
    assert "tools" not in written(request(tools=[*theirs]), losses=losses)
    assert losses.told == {("tools.web_search", "dropped"), ("tools.custom", "dropped")}
    for tools, choice in (
        (theirs, ToolChoice(mode="required")),
        ([*theirs, TOOLS[0]], ToolChoice(mode="required", names=("free",))),
    ):
        with pytest.raises(InvalidRequest, match="tool_choice"):
            written(request(tools=[*tools], tool_choice=choice), losses=losses)
    assert ("tool_choice", "refused") in losses.told


def test_two_hundred_tools() -> None:
    tools = [Tool(name=f"tool_{n}", parameters=Raw(b'{"type":"object"}')) for n in range(200)]
    body = written(request(tools=[*tools]))
    assert len(body["tools"]) == 200
    sdk.asked(msgspec.json.encode(body))
