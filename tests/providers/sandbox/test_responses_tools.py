from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openai.types.responses.custom_tool_param import CustomToolParam
from openai.types.responses.function_tool_param import FunctionToolParam

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import responses_tools
from trunkline.providers.sandbox.prompt import Tools
from trunkline.providers.sandbox.responses_tools import CustomTool, FunctionTool, Tool, ToolChoice

JSON = dict[str, Any]
TOOLS = [
    {"type": "function", "name": "f", "parameters": {"type": "object"}},
    {"type": "function", "name": "g"},
    {"type": "custom", "name": "h"},
]


def offered(choice: object = None, tools: list[JSON] | None = None, *, parallel: bool = True) -> Tools:
    read = msgspec.convert(TOOLS if tools is None else tools, list[Tool])
    return responses_tools.offered(
        read, msgspec.convert(choice, str | ToolChoice | None), "the text", parallel=parallel
    )


@pytest.mark.parametrize(("mine", "theirs"), [(FunctionTool, FunctionToolParam), (CustomTool, CustomToolParam)])
def test_fields_are_those_of_the_sdk(mine: type[msgspec.Struct], theirs: type) -> None:
    known = {field.encode_name for field in msgspec.structs.fields(mine)} | {"type"}
    assert known - {"async"} == set(theirs.__annotations__) - {"async"}


@pytest.mark.parametrize(
    ("choice", "names", "must"),
    [
        (None, "fgh", False),
        ("auto", "fgh", False),
        ("required", "fgh", True),
        ("none", "", False),
        ({"type": "function", "name": "g"}, "g", True),
        ({"type": "custom", "name": "h"}, "h", True),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "h"}]}, "h", False),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "g"}, {"type": "function", "name": "f"}],
            },
            "gf",
            True,
        ),
    ],
)
def test_a_choice_leaves_these_tools(choice: object, names: str, must: bool) -> None:
    found = offered(choice, parallel=False)
    assert "".join(offer.name for offer in found.offers) == names
    assert found.must_call is must
    assert not names or found.parallel is False


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        ("always", "tool_choice"),
        ({"type": "function", "name": "h"}, "tool_choice"),
        ({"type": "function"}, "tool_choice"),
        ({"type": "custom", "name": "f"}, "tool_choice"),
        ({"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}]}, "tool_choice.mode"),
        ({"type": "allowed_tools", "mode": "auto", "tools": []}, "tool_choice.tools"),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "z"}]}, "tool_choice"),
    ],
)
def test_other_choices_are_refused(choice: object, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        offered(choice)
    assert caught.value.param == param


def test_required_needs_tools() -> None:
    with pytest.raises(InvalidRequest):
        offered("required", [])


@pytest.mark.parametrize(
    ("wanted", "schema"),
    [
        ({}, {"const": "the text"}),
        (
            {"format": {"type": "grammar", "syntax": "regex", "definition": "a+|b"}},
            {"type": "string", "pattern": "^(?:a+|b)$"},
        ),
    ],
)
def test_a_custom_tool_is_given_text(wanted: JSON, schema: JSON) -> None:
    (offer,) = offered(None, [{"type": "custom", "name": "h", **wanted}]).offers
    assert isinstance(offer.schema, dict)
    assert offer.schema["properties"] == {"input": schema}


def test_a_grammar_that_nothing_here_speaks_is_refused() -> None:
    lark = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}
    with pytest.raises(InvalidRequest) as caught:
        offered(None, [{"type": "custom", "name": "h", "format": lark}])
    assert caught.value.param == "tools[0].format"
