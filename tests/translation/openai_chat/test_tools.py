"""Tools, choices and forms of answers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import Opaque, OutputFormat, Request, Tool, ToolChoice
from trunkline.translation.losses import Losses
from trunkline.translation.openai_chat import tools
from trunkline.translation.target import Target

TARGET = Target(provider_id="p", model_id="p/m", upstream="m")
F = Tool(name="f", parameters=Raw(b'{"type":"object"}'))
G = Tool(name="g", custom=True)


def raw(value: Any) -> Raw:
    return Raw(msgspec.json.encode(value))


def written(request: Request, target: Target = TARGET) -> tuple[dict[str, Any], list[str]]:
    losses = Losses("p/m", {})
    fields = tools.write_tools(request, target, losses)
    return msgspec.json.decode(msgspec.json.encode(fields)), losses.warnings


def asked(*offered: Tool | Opaque, choice: ToolChoice | None = None, **more: Any) -> Request:
    return Request(protocol="openai_chat", model="m", turns=[], tools=list(offered), tool_choice=choice, **more)


def test_tools_are_read_with_all_they_say() -> None:
    schema = {"type": "object", "properties": {"n": {"const": 12345678901234567890}}}
    read = tools.read_tools(
        raw(
            [
                {
                    "type": "function",
                    "function": {"name": "f", "description": "F", "parameters": schema, "strict": True},
                    "cache_control": {"type": "ephemeral"},
                },
                {"type": "function", "function": {"name": "g", "parameters": None, "cache_control": {"ttl": "1h"}}},
                {"type": "custom", "custom": {"name": "h", "format": {"type": "text"}}},
                {"type": "web_search", "depth": 1},
            ]
        )
    )
    assert read == [
        Tool(name="f", description="F", parameters=raw(schema), strict=True, cache="5m"),
        Tool(name="g", cache="1h"),
        Tool(name="h", custom=True, format=raw({"type": "text"})),
        Opaque("openai_chat", raw({"type": "web_search", "depth": 1}), "web_search"),
    ]
    assert tools.read_tools(Raw(b"null")) == []


CHOICES: list[tuple[Any, ToolChoice]] = [
    ("auto", ToolChoice(mode="auto")),
    ("none", ToolChoice(mode="none")),
    ("required", ToolChoice(mode="required")),
    ({"type": "function", "function": {"name": "f"}}, ToolChoice(mode="required", names=("f",))),
    ({"type": "custom", "custom": {"name": "g"}}, ToolChoice(mode="required", names=("g",))),
    (
        {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "auto",
                "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "g"}}],
            },
        },
        ToolChoice(mode="auto", names=("f", "g")),
    ),
]


@pytest.mark.parametrize(("said", "choice"), CHOICES)
def test_choices_both_ways(said: Any, choice: ToolChoice) -> None:
    assert tools.read_choice(raw(said)) == choice
    assert written(asked(F, G, choice=choice))[0]["tool_choice"] == said


def test_no_choice_and_no_tools() -> None:
    assert tools.read_choice(Raw(b"null")) is None
    assert tools.read_legacy_choice(Raw(b"null")) is None
    assert written(asked(choice=ToolChoice(mode="auto"), parallel_tool_calls=True)) == ({}, [])


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"type": "function", "function": {}}, "tool_choice.function.name"),
        ({"type": "custom"}, "tool_choice.custom.name"),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function"}]}},
            "tool_choice.allowed_tools.tools[0].function.name",
        ),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "no", "tools": []}}, "tool_choice.allowed_tools.mode"),
    ],
)
def test_a_choice_that_names_nothing_is_refused(said: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        tools.read_choice(raw(said))
    assert refused.value.param == param


def test_only_the_allowed_are_offered_to_who_does_not_know_the_field() -> None:
    target = msgspec.structs.replace(TARGET, drops=("allowed_tools",))
    fields, warnings = written(asked(F, G, choice=ToolChoice(mode="required", names=("f",))), target)
    assert [tool["function"]["name"] for tool in fields["tools"]] == ["f"]
    assert fields["tool_choice"] == "required"
    assert warnings == []


def test_hosted_tools_of_another_protocol_are_dropped() -> None:
    search = Opaque("anthropic_messages", Raw(b'{"type":"web_search_20250305"}'), "web_search_20250305")
    own = Opaque("openai_chat", Raw(b'{"type":"x"}'), "x")
    fields, warnings = written(asked(search, own))
    assert fields == {"tools": [{"type": "x"}]}
    assert warnings == ["dropped tools.web_search_20250305: not supported by p/m"]
    assert written(asked(search))[0] == {}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"type": "text"}, {"type": "text"}),
        (
            {"type": "grammar", "syntax": "lark", "definition": "x"},
            {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
        ),
        (
            {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
            {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
        ),
        ("odd", "odd"),
    ],
)
def test_a_grammar_is_nested_as_chat_has_it(given: Any, sent: Any) -> None:
    fields, _ = written(asked(Tool(name="g", description="G", custom=True, format=raw(given))))
    assert fields["tools"] == [{"type": "custom", "custom": {"name": "g", "description": "G", "format": sent}}]


def test_hints_on_tools() -> None:
    hinted = asked(Tool(name="f", cache="5m"))
    assert written(hinted) == (
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        ["dropped cache: not supported by p/m"],
    )
    fields, warnings = written(hinted, msgspec.structs.replace(TARGET, takes_cache_control=True))
    assert fields["tools"][0]["cache_control"] == {"type": "ephemeral"}
    assert warnings == []


def test_functions_and_their_choice() -> None:
    assert tools.read_functions(raw([{"name": "f", "description": "F"}])) == [Tool(name="f", description="F")]
    assert tools.read_legacy_choice(raw({"name": "f"})) == ToolChoice(mode="required", names=("f",))
    for mode in ("auto", "none"):
        choice = tools.read_legacy_choice(raw(mode))
        assert written(asked(F, choice=choice, legacy_functions=True))[0] == {
            "functions": [{"name": "f", "parameters": {"type": "object"}}],
            "function_call": mode,
        }


@pytest.mark.parametrize(
    "said",
    [
        {"type": "text"},
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "a"}},
        {
            "type": "json_schema",
            "json_schema": {"name": "a", "description": "A", "schema": {"type": "object"}, "strict": False},
        },
    ],
)
def test_forms_both_ways(said: Any) -> None:
    form = tools.read_format(raw(said))
    assert form is not None
    assert msgspec.json.decode(msgspec.json.encode(tools.write_format(form))) == said


def test_a_schema_without_a_name_gets_one() -> None:
    form = OutputFormat(kind="json_schema", schema=Raw(b"{}"))
    assert tools.write_format(form)["json_schema"]["name"] == "answer"
    assert tools.read_format(Raw(b"null")) is None
