from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.chat_tools import (
    Function,
    FunctionChoice,
    Tool,
    ToolChoice,
    offered_functions,
    offered_tools,
)
from trunkline.providers.sandbox.prompt import Tools

A, B = Function("a", {"type": "object"}), Function("b")
TOOLS = [Tool("function", A), Tool("custom"), Tool("function", B)]


def chosen(choice: Any, tools: list[Tool] = TOOLS) -> Tools:
    read = msgspec.convert(choice, str | ToolChoice | None)
    return offered_tools(tools, read, parallel=True)


def summary(tools: Tools) -> tuple[list[str], bool]:
    return [offer.name for offer in tools.offers], tools.must_call


def allowed(mode: str, *names: str) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize(
    ("choice", "names", "must_call"),
    [
        (None, ["a", "b"], False),
        ("auto", ["a", "b"], False),
        ("none", [], False),
        ("required", ["a", "b"], True),
        ({"type": "function", "function": {"name": "b"}}, ["b"], True),
        (allowed("auto", "b"), ["b"], False),
        (allowed("required", "b", "a"), ["b", "a"], True),
    ],
)
def test_tool_choice(choice: Any, names: list[str], must_call: bool) -> None:
    assert summary(chosen(choice)) == (names, must_call)


def test_offers_know_their_place_and_schema() -> None:
    first, second = chosen(None).offers
    assert (first.schema, first.where) == ({"type": "object"}, "tools[0].function.parameters")
    assert (second.schema, second.where) == (None, "tools[2].function.parameters")


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        ("sometimes", "tool_choice"),
        ({"type": "function"}, "tool_choice"),
        ({"type": "custom", "custom": {"name": "x"}}, "tool_choice"),
        ({"type": "function", "function": {"name": "c"}}, "tool_choice.function.name"),
        (allowed("auto", "c"), "tool_choice.allowed_tools.tools"),
        (allowed("never", "a"), "tool_choice.allowed_tools.mode"),
    ],
)
def test_choices_that_cannot_be_are_refused(choice: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chosen(choice)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("tools", "choice", "param"),
    [
        ([Tool("function")], None, "tools[0].function"),
        ([Tool("custom"), Tool("teleport")], None, "tools[1].type"),
        ([], "required", "tool_choice"),
        ([Tool("custom")], "required", "tool_choice"),
    ],
)
def test_tools_that_cannot_be_are_refused(tools: list[Tool], choice: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chosen(choice, tools)
    assert caught.value.param == param


def test_functions_are_called_one_at_a_time() -> None:
    assert summary(offered_functions([A, B], None)) == (["a", "b"], False)
    assert summary(offered_functions([A, B], "none")) == ([], False)
    assert summary(offered_functions([A, B], FunctionChoice("b"))) == (["b"], True)
    assert not offered_functions([A, B], "auto").parallel
    with pytest.raises(InvalidRequest) as caught:
        offered_functions([A], FunctionChoice("z"))
    assert caught.value.param == "function_call"
