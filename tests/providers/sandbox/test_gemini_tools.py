from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.providers.sandbox.gemini_exchange import PARAMETERS, TOOLS
from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.gemini_tools import Tool, ToolConfig, offered, tokens_of
from trunkline.providers.sandbox.prompt import Tools

SCHEMA = {"type": "object", "additionalProperties": False}


def offer(tools: Any, mode: str | None = None, names: list[str] | None = None) -> Tools:
    config = {"functionCallingConfig": {"mode": mode, "allowedFunctionNames": names}}
    return offered(msgspec.convert(tools, list[Tool]), msgspec.convert(config, ToolConfig))


def function(**facts: Any) -> Any:
    return [{"functionDeclarations": [{"name": "f", **facts}]}]


@pytest.mark.parametrize(
    ("mode", "names", "expected", "must_call"),
    [
        (None, None, ["weather", "forecast"], False),
        ("AUTO", None, ["weather", "forecast"], False),
        ("any", None, ["weather", "forecast"], True),
        ("ANY", ["forecast"], ["forecast"], True),
        ("VALIDATED", ["forecast"], ["forecast"], False),
        ("NONE", None, [], False),
    ],
)
def test_modes(mode: str | None, names: list[str] | None, expected: list[str], must_call: bool) -> None:
    found = offer(TOOLS, mode, names)
    assert ([each.name for each in found.offers], found.must_call) == (expected, must_call)


def test_an_offer_has_a_json_schema_and_its_place() -> None:
    (one,) = offer([{"googleSearch": {}}, *function(parameters=PARAMETERS)]).offers
    assert one.schema == {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    assert one.where == "tools[1].functionDeclarations[0].parameters"
    (one,) = offer(function(parametersJsonSchema=SCHEMA)).offers
    assert (one.schema, one.where) == (SCHEMA, "tools[0].functionDeclarations[0].parametersJsonSchema")
    (one,) = offer(function()).offers
    assert one.schema is None


@pytest.mark.parametrize(
    ("tools", "mode", "names", "said"),
    [
        (function(name=""), None, None, "Invalid function name"),
        (function(name="a b"), None, None, "Invalid function name"),
        (function(name="x" * 129), None, None, "Invalid function name"),
        (function(parameters=PARAMETERS, parametersJsonSchema=SCHEMA), None, None, "mutually exclusive"),
        (function(parameters={"type": "STRING"}), None, None, "should be of type OBJECT"),
        (function() + function(), None, None, "Duplicate function declaration found: f"),
        ([], "ANY", None, "set without function_declarations"),
        (TOOLS, "AUTO", ["weather"], "only when the function calling mode is ANY"),
        (TOOLS, "ANY", ["rain"], "no declaration of 'rain'"),
        (TOOLS, "SOME", None, "tool_config.function_calling_config.mode"),
        ([{"functionDeclarations": [{"name": f"f{at}"} for at in range(513)]}], None, None, "At most 512"),
    ],
)
def test_what_google_refuses(tools: Any, mode: str | None, names: list[str] | None, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        offer(tools, mode, names)
    assert said in caught.value.message


def test_tokens() -> None:
    assert tokens_of(msgspec.convert(function(description="tells the weather"), list[Tool])) == 1 + 3 + 1
