"""Schemas where the model has none: asked in another way, checked, sent back with what is wrong."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trunkline.translation.exchange import (
    Answer,
    ArgumentsDelta,
    CallBegan,
    Choice,
    Event,
    Finished,
    OutputFormat,
    Refusal,
    Request,
    Text,
    TextDelta,
    ToolCall,
    Turn,
)
from trunkline.translation.structured import Emulation
from trunkline.wire.codec import Raw, encode

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
FITS = '{"name":"Ada","age":36}'


def asked(schema: Any = PERSON) -> Request:
    turns = [Turn(role="system", parts=[Text(text="Be brief.")]), Turn(role="user", parts=[Text(text="Who?")])]
    form = OutputFormat(kind="json_schema", name="a person!", schema=Raw(encode(schema)))
    return Request(protocol="p", model="m", turns=turns, output_format=form)


def answer(*parts: Any, stop: Any = "end") -> Answer:
    return Answer(id="1", model="m", choices=[Choice(parts=list(parts), stop=stop)])


def test_by_a_tool_that_must_be_called() -> None:
    emulation = Emulation(asked(), by_tool=True)
    request = emulation.request
    assert request.output_format is None
    assert request.tool_choice is not None
    assert (request.tool_choice.mode, request.tool_choice.names) == ("required", ("a_person_",))
    call = ToolCall(id="1", name="a_person_", arguments=FITS)
    answered = answer(call, stop="tool")
    assert emulation.whole(answered) is None
    assert answered.choices == [Choice(parts=[Text(text=FITS)], stop="end")]


def test_by_an_instruction_after_the_systems() -> None:
    emulation = Emulation(asked(), by_tool=False)
    assert [turn.role for turn in emulation.request.turns] == ["system", "system", "user"]
    told = emulation.request.turns[1].parts[0]
    assert isinstance(told, Text)
    assert encode(PERSON).decode() in told.text
    fenced = answer(Text(text=f"```json\n{FITS}\n```"))
    assert emulation.whole(fenced) is None
    assert fenced.choices[0].parts == [Text(text=FITS)]


def test_what_does_not_fit_goes_back_with_what_is_wrong() -> None:
    emulation = Emulation(asked(), by_tool=False)
    bad = answer(Text(text="Ada, 36"))
    wrong = emulation.whole(bad)
    assert wrong is not None
    emulation.repair(bad, wrong)
    *_, said, told = emulation.request.turns
    assert (said.role, told.role) == ("assistant", "user")
    assert said.parts == [Text(text="Ada, 36")]
    assert isinstance(told.parts[0], Text)
    assert wrong in told.parts[0].text


@pytest.mark.parametrize("stop", ["length", "filter", "refusal"])
def test_an_answer_that_was_cut_short_is_not_blamed(stop: str) -> None:
    assert Emulation(asked(), by_tool=False).whole(answer(Text(text="{"), stop=stop)) is None


def test_nor_is_a_refusal_nor_a_call_of_the_callers_own_tool() -> None:
    assert Emulation(asked(), by_tool=False).whole(answer(Refusal("No."))) is None
    mine = answer(ToolCall(id="1", name="search", arguments="{}"), stop="tool")
    assert Emulation(asked(), by_tool=False).whole(mine) is None
    assert mine.choices[0].stop == "tool"


def test_a_stream_is_text_to_the_caller() -> None:
    emulation = Emulation(asked(), by_tool=True)
    events: list[Event] = [
        CallBegan(0, 0, "1", "a_person_"),
        ArgumentsDelta(0, 0, FITS[:9]),
        ArgumentsDelta(0, 0, FITS[9:]),
        Finished(0, "tool"),
    ]
    crossed = [out for event in events if (out := emulation.crossed(event)) is not None]
    assert crossed == [TextDelta(0, 0, FITS[:9]), TextDelta(0, 0, FITS[9:]), Finished(0, "end")]
    assert emulation.streamed() is None
    emulation.crossed(TextDelta(0, 0, "}"))
    assert emulation.streamed() is not None


def test_the_request_that_was_asked_stays_as_it_was() -> None:
    request = asked()
    before = msgspec.json.encode(request.turns)
    emulation = Emulation(request, by_tool=False)
    emulation.repair(answer(Text(text="x")), "Wrong.")
    assert msgspec.json.encode(request.turns) == before
    assert request.output_format is not None
