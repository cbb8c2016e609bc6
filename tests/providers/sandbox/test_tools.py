from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.directives import Directives
from trunkline.providers.sandbox.prompt import Offer, Prompt, Tools
from trunkline.providers.sandbox.tools import calls_for, written

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
OFFERS = [Offer("weather", CITY, "tools[0]"), Offer("time", None, "tools[1]"), Offer("any", {}, "tools[2]")]


def prompt(**more: Any) -> Prompt:
    return Prompt(**{"text": "The weather in Paris?", "tokens": 4, "tools": Tools(offers=OFFERS), **more})


def names(asked: Prompt) -> list[str]:
    return [call.name for call in calls_for(asked, 0)]


def test_the_first_offered_tool_is_called_with_what_the_prompt_says() -> None:
    (call,) = calls_for(prompt(), 0)
    assert call.name == "weather"
    assert msgspec.json.decode(call.arguments) == {"city": "Paris"}


def test_as_many_calls_as_told_in_turn_with_arguments_of_their_own() -> None:
    calls = calls_for(prompt(text="x", told=Directives(calls=5)), 0)
    assert [call.name for call in calls] == ["weather", "time", "any", "weather", "time"]
    assert calls[1].arguments == calls[2].arguments == "{}"
    assert calls[0] != calls[3]


@pytest.mark.parametrize(
    ("tools", "results", "count"),
    [
        (Tools(offers=OFFERS, parallel=False), [], 1),
        (Tools(offers=[]), [], 0),
        (Tools(offers=OFFERS), ["sunny"], 0),
        (Tools(offers=OFFERS, must_call=True), ["sunny"], 3),
    ],
)
def test_whether_and_how_often_tools_are_called(tools: Tools, results: list[str], count: int) -> None:
    assert len(names(prompt(tools=tools, results=results, told=Directives(calls=3)))) == count


@pytest.mark.parametrize("schema", [{"type": "string"}, {"type": "array"}, False, 5, {"type": "none"}])
def test_arguments_are_an_object(schema: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        calls_for(prompt(tools=Tools(offers=[Offer("f", schema, "tools[0].function.parameters")])), 0)
    assert caught.value.param == "tools[0].function.parameters"


def test_json_is_written_on_one_line_in_several_words() -> None:
    assert written({"a": [1, "b c"], "d": {}}) == '{"a": [1, "b c"], "d": {}}'
