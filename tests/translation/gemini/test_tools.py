"""Tools and the choice among them, both ways."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.translation.gemini.exchanges import GEMINI_3, asked, sent, warnings_of
from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import Opaque, Request, Text, Tool, ToolChoice, Turn
from trunkline.translation.losses import Losses

F = {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object", "properties": {}}}


def test_what_is_read() -> None:
    request = asked(
        tools=[
            {"functionDeclarations": [F, {"name": "g", "parameters": {"type": "OBJECT", "nullable": False}}]},
            {"google_search": {}, "codeExecution": {}, "function_declarations": {"name": "h"}, "urlContext": None},
        ]
    )  # fmt: skip
    functions = [tool for tool in request.tools if isinstance(tool, Tool)]
    hosted = [tool for tool in request.tools if isinstance(tool, Opaque)]
    assert [(tool.name, tool.description, tool.parameters and bytes(tool.parameters)) for tool in functions] == [
        ("f", "d", b'{"type":"object","properties":{}}'),
        ("g", None, b'{"type":"object"}'),
        ("h", None, None),
    ]
    assert [(tool.kind, bytes(tool.raw)) for tool in hosted] == [
        ("googleSearch", b'{"googleSearch":{}}'),
        ("codeExecution", b'{"codeExecution":{}}'),
    ]


@pytest.mark.parametrize(
    ("config", "choice"),
    [
        ({}, None),
        ({"mode": "MODE_UNSPECIFIED"}, None),
        ({"allowedFunctionNames": ["f"]}, ToolChoice(mode="auto", names=("f",))),
        ({"mode": "AUTO"}, ToolChoice(mode="auto")),
        ({"mode": "any"}, ToolChoice(mode="required")),
        ({"mode": "ANY", "allowed_function_names": ["f", "g"]}, ToolChoice(mode="required", names=("f", "g"))),
        ({"mode": "NONE"}, ToolChoice(mode="none")),
        ({"mode": "VALIDATED"}, ToolChoice(mode="auto")),
    ],
)
def test_the_choice_that_is_read(config: dict[str, Any], choice: ToolChoice | None) -> None:
    assert asked(toolConfig={"functionCallingConfig": config}).tool_choice == choice


def test_the_rest_of_the_configuration_is_kept() -> None:
    extras = asked(toolConfig={"retrievalConfig": {"a": 1}, "functionCallingConfig": {"mode": "VALIDATED"}}).extras
    assert {name: bytes(raw) for name, raw in extras.items()} == {
        "toolConfig.retrievalConfig": b'{"a":1}',
        "toolConfig.functionCallingConfig.mode": b'"VALIDATED"',
    }
    assert asked(toolConfig={}).tool_choice is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": 1}, "tools"),
        ({"tools": [{"functionDeclarations": [1]}]}, "tools[0].functionDeclarations[0]"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
        ({"tools": [{"functionDeclarations": [{**F, "parameters": {"type": "OBJECT"}}]}]},
         "tools[0].functionDeclarations[0]"),
        ({"toolConfig": 1}, "toolConfig"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "SOMETIMES"}}}, "toolConfig.functionCallingConfig.mode"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(**body)
    assert caught.value.param == param


def offering(choice: ToolChoice | None = None, **more: Any) -> Request:
    """A chat caller's request with the tools f and g."""
    tools: list[Tool | Opaque] = [Tool(name="f", description="d", parameters=Raw(b'{"type":"object"}')), Tool(name="g")]
    request = Request(
        protocol="openai_chat",
        model="m",
        turns=[Turn(role="user", parts=[Text(text="Hi")])],
        tools=tools,
        tool_choice=choice,
    )
    return msgspec.structs.replace(request, **more)


def test_what_is_written() -> None:
    body = sent(offering())
    assert body["tools"] == [
        {"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}},
                                  {"name": "g"}]}
    ]  # fmt: skip
    assert "toolConfig" not in body
    assert not {"tools", "toolConfig"} & sent(offering(tools=[])).keys()


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="none"), {"mode": "NONE"}),
        (ToolChoice(mode="required"), {"mode": "ANY"}),
        (ToolChoice(mode="required", names=("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice(mode="required", names=("f", "g")), {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}),
    ],
)
def test_the_choice_that_is_written(choice: ToolChoice, config: dict[str, Any]) -> None:
    body = sent(offering(choice))
    assert body["toolConfig"] == {"functionCallingConfig": config}
    assert len(body["tools"][0]["functionDeclarations"]) == 2


def test_tools_that_are_allowed_but_not_demanded_are_the_only_ones_sent() -> None:
    request = offering(ToolChoice(mode="auto", names=("g",)))
    body = sent(request)
    assert body["tools"] == [{"functionDeclarations": [{"name": "g"}]}]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "AUTO"}}
    assert warnings_of(request) == ["changed tool_choice: only the tools it allows are sent"]


@pytest.mark.parametrize("choice", [ToolChoice(mode="required", names=("x",)), ToolChoice(mode="auto", names=("x",))])
def test_a_choice_that_cannot_be_kept(choice: ToolChoice) -> None:
    with pytest.raises(InvalidRequest, match="names no tool that can be sent: x") as caught:
        sent(offering(choice))
    assert caught.value.param == "tool_choice"
    with pytest.raises(InvalidRequest, match="none of the tools can be sent"):
        sent(offering(ToolChoice(mode="required"), tools=[]))


def test_a_choice_among_no_tools_is_nothing() -> None:
    assert "toolConfig" not in sent(offering(ToolChoice(mode="none"), tools=[]))
    assert "toolConfig" not in sent(offering(ToolChoice(mode="auto"), tools=[]))


def test_what_is_lost_is_named() -> None:
    tools: list[Tool | Opaque] = [
        Tool(name="f", strict=True, cache="5m"),
        Tool(name="c", custom=True),
        Opaque("openai_chat", Raw(b"{}"), "web_search"),
    ]
    assert warnings_of(offering(tools=tools, parallel_tool_calls=False)) == [
        "dropped tools.strict: not supported by google/gemini-3-flash",
        "dropped cache: not supported by google/gemini-3-flash",
        "dropped tools.custom: not supported by google/gemini-3-flash",
        "dropped tools.web_search: not supported by google/gemini-3-flash",
        "dropped parallel_tool_calls: not supported by google/gemini-3-flash",
    ]
    assert warnings_of(offering(parallel_tool_calls=True)) == []


def test_fields_that_only_this_protocol_has_are_lost_to_others() -> None:
    request = asked(tools=[{"functionDeclarations": [{**F, "behavior": "NON_BLOCKING"}]}])
    assert sent(request)["tools"] == [{"functionDeclarations": [{**F, "behavior": "NON_BLOCKING"}]}]
    request.protocol = "another"
    losses = Losses("m", {})
    assert sent(request, GEMINI_3, losses)["tools"] == [{"functionDeclarations": [F]}]
    assert losses.warnings == ["dropped functionDeclarations.behavior: not supported by m"]
