"""Tools and choices, from this protocol and back to it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.translation.openai_responses.exchanges import TARGET, asked
from trunkline.translation.exchange import Opaque, Request, Tool, ToolChoice, Turn
from trunkline.translation.losses import Losses
from trunkline.translation.openai_responses.request import write_request
from trunkline.translation.openai_responses.tools import echo_tools

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 12345678901234567890}}}
FUNCTION = {"type": "function", "name": "add", "description": "Adds.", "parameters": SCHEMA, "strict": True}
GRAMMAR = {"type": "grammar", "definition": "start: /a/", "syntax": "lark"}
CUSTOM = {"type": "custom", "name": "run", "description": "Runs.", "format": GRAMMAR}
SPACE = {
    "type": "namespace",
    "name": "mcp__docs__",
    "description": "The docs.",
    "tools": [
        {"type": "function", "name": "search", "description": "Searches.", "parameters": SCHEMA, "strict": False},
        {"type": "custom", "name": "add"},
    ],
}


def rewritten(**fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(write_request(asked(**fields), TARGET, Losses("m", {}, strict=True)))
    return body


def test_tools_are_read() -> None:
    function, custom, searching, adding, hosted = asked(tools=[FUNCTION, CUSTOM, SPACE, {"type": "web_search"}]).tools
    assert isinstance(function, Tool)
    assert (function.name, function.description, function.strict) == ("add", "Adds.", True)
    assert function.parameters is not None
    assert b"12345678901234567890" in bytes(function.parameters)
    assert isinstance(custom, Tool)
    assert custom.custom
    assert custom.format is not None
    assert msgspec.json.decode(custom.format) == GRAMMAR
    assert isinstance(searching, Tool)
    assert (searching.name, searching.description) == ("mcp__docs__search", "The docs.\n\nSearches.")
    assert isinstance(adding, Tool)
    assert (adding.name, adding.description, adding.custom) == ("mcp__docs__add", "The docs.", True)
    assert isinstance(hosted, Opaque)
    assert (hosted.protocol, hosted.kind) == ("openai_responses", "web_search")


def test_tools_go_back_as_they_came() -> None:
    tools = [FUNCTION, CUSTOM, SPACE, {"type": "web_search"}, {**FUNCTION, "name": "later", "defer_loading": True}]
    assert rewritten(tools=tools)["tools"] == tools


def test_what_no_other_protocol_can_say_of_a_tool_is_an_extra() -> None:
    request = asked(tools=[{**FUNCTION, "defer_loading": True, "output_schema": None, "async": False}])
    assert {name: bytes(raw) for name, raw in request.extras.items()} == {"tools.defer_loading": b"true"}


def test_a_function_without_parameters_takes_none() -> None:
    (tool,) = rewritten(tools=[{"type": "function", "name": "a"}])["tools"]
    assert tool == {
        "type": "function",
        "name": "a",
        "parameters": {"type": "object", "properties": {}},
        "strict": None,
    }


def test_a_bare_name_means_the_only_tool_of_that_name() -> None:
    request = asked(tools=[FUNCTION, SPACE])
    assert request.namespaces["search"] == ("mcp__docs__", "search")
    assert "add" not in request.namespaces
    twice = asked(tools=[SPACE, {**SPACE, "name": "mcp__other__"}])
    assert "search" not in twice.namespaces


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice(mode="auto")),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        ({"type": "function", "name": "add"}, ToolChoice(mode="required", names=("add",))),
        ({"type": "custom", "name": "run"}, ToolChoice(mode="required", names=("run",))),
        ({"type": "function", "name": "search"}, ToolChoice(mode="required", names=("mcp__docs__search",))),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "add"}]},
            ToolChoice(mode="auto", names=("add",)),
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "add"}, {"type": "custom", "name": "run"}],
            },
            ToolChoice(mode="required", names=("add", "run")),
        ),
    ],
)
def test_choices_are_read_and_go_back_as_they_came(choice: Any, expected: ToolChoice) -> None:
    fields = {"tools": [FUNCTION, CUSTOM, SPACE], "tool_choice": choice}
    assert asked(**fields).tool_choice == expected
    assert rewritten(**fields)["tool_choice"] == choice


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "web_search_preview"},
        {"type": "mcp", "server_label": "s"},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp", "server_label": "s"}]},
    ],
)
def test_choices_of_hosted_tools_stay_here(choice: Any) -> None:
    request = asked(tools=[{"type": "web_search"}], tool_choice=choice)
    assert request.tool_choice is None
    assert msgspec.json.decode(request.extras["tool_choice"]) == choice


def test_two_hundred_tools() -> None:
    tools = [{**FUNCTION, "name": f"tool_{number}"} for number in range(200)]
    assert rewritten(tools=tools)["tools"] == tools


def test_an_echo_of_nonsense_is_empty() -> None:
    assert bytes(echo_tools(Raw(b"5"))) == b"[]"
    assert bytes(echo_tools(Raw(b'[{"type":"web_search"}]'))) == b'[{"type":"web_search"}]'


def written(**fields: Any) -> dict[str, Any]:
    request = Request(protocol="anthropic_messages", model="m", turns=[Turn(role="user", parts=[])], **fields)
    body: dict[str, Any] = msgspec.json.decode(write_request(request, TARGET, Losses("m", {})))
    return body


def test_a_chat_grammar_is_a_grammar_here() -> None:
    form = Raw(b'{"type":"grammar","grammar":{"definition":"a","syntax":"lark"}}')
    body = written(tools=[Tool(name="a", custom=True, format=form)])
    assert body["tools"][0]["format"] == {"type": "grammar", "definition": "a", "syntax": "lark"}


def test_choices_of_tools() -> None:
    tools: list[Tool | Opaque] = [Tool(name="a"), Tool(name="b", custom=True)]
    choices = [
        (ToolChoice(mode="auto"), "auto"),
        (ToolChoice(mode="required", names=("b",)), {"type": "custom", "name": "b"}),
        (
            ToolChoice(mode="auto", names=("a",)),
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "a"}]},
        ),
    ]
    for choice, expected in choices:
        assert written(tools=tools, tool_choice=choice)["tool_choice"] == expected
