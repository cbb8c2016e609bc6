from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.providers.sandbox.messages_exchange import SCHEMA, TOOLS
from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.messages_tools import Tool, ToolChoice, offered
from trunkline.providers.sandbox.prompt import Tools


def offer(tools: list[Any], choice: Any = None) -> Tools:
    return offered(msgspec.convert(tools, list[Tool]), msgspec.convert(choice, ToolChoice | None))


@pytest.mark.parametrize(
    ("choice", "names", "must_call", "parallel"),
    [
        (None, ["weather", "forecast"], False, True),
        ({"type": "auto"}, ["weather", "forecast"], False, True),
        ({"type": "auto", "disable_parallel_tool_use": True}, ["weather", "forecast"], False, False),
        ({"type": "any"}, ["weather", "forecast"], True, True),
        ({"type": "tool", "name": "forecast"}, ["forecast"], True, True),
        ({"type": "none"}, [], False, True),
    ],
)
def test_choices(choice: Any, names: list[str], must_call: bool, parallel: bool) -> None:
    found = offer(TOOLS, choice)
    assert [each.name for each in found.offers] == names
    assert (found.must_call, found.parallel) == (must_call, parallel)


def test_an_offer_knows_its_schema_and_its_place() -> None:
    (first, *_) = offer([{"type": "bash_20250124", "name": "bash"}, TOOLS[0]]).offers
    assert (first.schema, first.where) == (SCHEMA, "tools.1.custom.input_schema")


@pytest.mark.parametrize(
    ("tools", "choice", "said"),
    [
        ([{"name": "f"}], None, "tools.0.custom.input_schema: Field required"),
        ([{"input_schema": SCHEMA}], None, "tools.0.custom.name: Field required"),
        ([{"name": "f", "input_schema": {}}], None, "input_schema.type"),
        ([{"name": "f", "input_schema": {"type": "string"}}], None, "input_schema.type"),
        ([{"name": "f", "input_schema": {**SCHEMA, "anyOf": []}}], None, "does not support oneOf, allOf, or anyOf"),
        ([{"name": "f", "type": "function", "input_schema": SCHEMA}], None, "Input tag 'function'"),
        ([TOOLS[0], TOOLS[0]], None, "must be unique"),
        ([], {"type": "auto"}, "only be specified while providing tools"),
        (TOOLS, {"type": "tool"}, "tool_choice.tool.name: Field required"),
        (TOOLS, {"type": "tool", "name": "rain"}, "Tool 'rain' not found"),
    ],
)
def test_what_anthropic_refuses(tools: list[Any], choice: Any, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        offer(tools, choice)
    assert said in caught.value.message
