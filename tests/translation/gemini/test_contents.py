"""A caller's contents, read."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from tests.translation.gemini.exchanges import asked
from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import (
    Media,
    Opaque,
    Part,
    Reasoning,
    State,
    Text,
    ToolCall,
    ToolResult,
)
from trunkline.translation.gemini.contents import kind_of, standard
from trunkline.translation.gemini.state import wrapped


def parts(*given: dict[str, Any], role: str = "user") -> list[Part]:
    (turn,) = asked(contents=[{"role": role, "parts": list(given)}]).turns
    return turn.parts


def test_roles() -> None:
    turns = asked(
        contents=[
            {"parts": [{"text": "a"}]},
            {"role": "model", "parts": [{"text": "b"}]},
            {"role": "", "parts": {"text": "c"}},
        ],
        systemInstruction={"role": "user", "parts": [{"text": "d"}, {"text": "e"}]},
    ).turns
    assert [(turn.role, turn.parts) for turn in turns] == [
        ("system", [Text(text="d"), Text(text="e")]),
        ("user", [Text(text="a")]),
        ("assistant", [Text(text="b")]),
        ("user", [Text(text="c")]),
    ]


def test_an_instruction_may_be_a_string() -> None:
    assert asked(system_instruction="d").turns[0].parts == [Text(text="d")]


@pytest.mark.parametrize(
    ("part", "media"),
    [
        ({"inlineData": {"mimeType": "image/png", "data": "a-_="}},
         Media(kind="image", media_type="image/png", data="a+/=")),
        ({"inlineData": {"mimeType": "audio/wav", "data": "AAA"}},
         Media(kind="audio", media_type="audio/wav", data="AAA=")),
        ({"inline_data": {"mime_type": "application/pdf", "data": "AAAA", "display_name": "x"}},
         Media(kind="document", media_type="application/pdf", data="AAAA", name="x")),
        ({"inlineData": {"mimeType": "text/plain", "data": b64encode("é".encode()).decode()}},
         Media(kind="document", media_type="text/plain", text="é")),
        ({"inlineData": {"mimeType": "text/plain", "data": "/w=="}},
         Media(kind="document", media_type="text/plain", data="/w==")),
        ({"inlineData": {"mimeType": "text/plain", "data": "éééé"}},
         Media(kind="document", media_type="text/plain", data="éééé")),
        ({"fileData": {"fileUri": "gs://b/f.mp4", "mimeType": "video/mp4"}},
         Media(kind="video", media_type="video/mp4", url="gs://b/f.mp4")),
        ({"fileData": {"fileUri": "https://a.example/b.png"}}, Media(kind="image", url="https://a.example/b.png")),
        ({"fileData": {"fileUri": "https://g.example/v1beta/files/x"}},
         Media(kind="document", url="https://g.example/v1beta/files/x")),
    ],
)  # fmt: skip
def test_media(part: dict[str, Any], media: Media) -> None:
    assert parts(part) == [media]


def test_thoughts_and_signatures() -> None:
    mine = State("openai", "x")
    assert parts(
        {"text": "hm", "thought": True, "thoughtSignature": wrapped(mine)},
        {"text": "", "thought": True},
        {"text": "yes", "thoughtSignature": "raw"},
        {"functionCall": {"id": "a", "name": "f", "args": {"n": 1.0}}, "thoughtSignature": wrapped(mine)},
        {"functionCall": {"id": "b", "name": "f"}, "thoughtSignature": "skip_thought_signature_validator"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": wrapped(mine)},
        role="model",
    ) == [
        Reasoning(text="hm", state=mine),
        Text(text="yes", state=State("", "raw")),
        ToolCall(id="a", name="f", arguments='{"n":1.0}', state=mine),
        ToolCall(id="b", name="f"),
        Media(kind="image", media_type="image/png", data="AAAA"),
        Reasoning(state=State("openai", "media:x")),
    ]


def test_what_only_this_protocol_has() -> None:
    given: list[dict[str, Any]] = [
        {"executableCode": {"code": "1"}, "thoughtSignature": "s"},
        {"toolCall": {"id": "x"}},
        {"thought": True, "inlineData": {"mimeType": "image/png", "data": "AAAA"}},
    ]
    found = parts(*given, role="model")
    assert [one.kind for one in found if isinstance(one, Opaque)] == ["executableCode", "toolCall", "thought"]
    assert isinstance(found[0], Opaque)
    assert bytes(found[0].raw) == b'{"executableCode":{"code":"1"},"thoughtSignature":"s"}'


def results(*responses: dict[str, Any], calls: tuple[dict[str, Any], ...] = ({"id": "a", "name": "f"},)) -> list[Any]:
    """What the last content holds, after the calls that it answers."""
    request = asked(
        contents=[
            {"role": "model", "parts": [{"functionCall": call} for call in calls]},
            {"role": "user", "parts": [{"functionResponse": response} for response in responses]},
        ]
    )
    return request.turns[-1].parts


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"output": "x"}, "x", False),
        ({"result": "x"}, "x", False),
        ({"output": {"a": 1}}, '{"a":1}', False),
        ({"output": 21}, "21", False),
        ({"error": "x"}, "x", True),
        ({"temperature": 21}, '{"temperature":21}', False),
        ({"output": "x", "error": None}, '{"output":"x","error":null}', False),
        ({}, "{}", False),
    ],
)
def test_what_functions_answered(response: dict[str, Any], text: str, is_error: bool) -> None:
    (result,) = results({"id": "a", "name": "f", "response": response})
    assert result == ToolResult(call_id="a", parts=[Text(text=text)], is_error=is_error)


def test_an_answer_may_say_nothing_and_show_pictures() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA", "displayName": "p"}}
    (result,) = results({"name": "f", "response": {"output": ""}, "parts": [picture]})
    assert result.parts == [Media(kind="image", media_type="image/png", data="AAAA", name="p")]
    assert results({"name": "f"}) == [ToolResult(call_id="a", parts=[])]


def test_results_find_their_calls() -> None:
    """By id; else in order, among those of the name that wait."""
    calls = ({"name": "f", "args": {"a": 1}}, {"id": "known", "name": "f"}, {"name": "f"}, {"name": "g"})
    request = asked(
        contents=[
            {"role": "model", "parts": [{"functionCall": call} for call in calls]},
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "g"}},
                    {"functionResponse": {"id": "known", "name": "f"}},
                    {"functionResponse": {"name": "f"}},
                    {"functionResponse": {"id": "another's", "name": "f"}},
                ],
            },
        ]
    )
    ids = [part.id for part in request.turns[0].parts if isinstance(part, ToolCall)]
    assert len(set(ids)) == 4
    answered = [part.call_id for part in request.turns[1].parts if isinstance(part, ToolResult)]
    assert answered == [ids[3], "known", ids[0], ids[2]]


def test_a_result_may_name_a_call_that_is_not_there() -> None:
    assert results({"id": "z", "name": "h"}) == [ToolResult(call_id="z", parts=[])]


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"contents": [{"parts": [{}]}]}, "contents[0].parts[0]", "must have one initialized field"),
    ({"contents": [{"parts": [{"functionCall": {}}]}]}, "contents[0].parts[0].functionCall.name", "cannot be empty"),
    ({"contents": [{"parts": [{"functionResponse": {}}]}]}, "contents[0].parts[0].functionResponse.name", "cannot be"),
    ({"contents": [{"parts": [{"functionResponse": {"name": "f"}}]}]}, "contents[0].parts[0].functionResponse",
     "no call"),
    ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[].text", "got `int`"),
    ({"contents": [{"parts": [{"inlineData": {}}]}]}, "contents[0].parts[0].inlineData", "mimeType"),
    ({"contents": [{"parts": [{"fileData": {}}]}]}, "contents[0].parts[0].fileData", "fileUri"),
    ({"systemInstruction": {"parts": [{"inlineData": {}}]}}, "systemInstruction.parts[0]", "only text"),
    ({"systemInstruction": 1}, "systemInstruction", "got `int`"),
    ({"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
                   {"parts": [{"functionResponse": {"name": "f", "response": []}}]}]},
     "contents[1].parts[0].functionResponse.response", "got `array`"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "param", "sentence"), WRONG)
def test_what_is_wrong_is_named(body: dict[str, Any], param: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(**body)
    assert caught.value.param is not None
    assert caught.value.param.replace("[...]", "[]").replace("parts[0].text", "parts[].text") == param
    assert sentence in caught.value.message


def test_small_things() -> None:
    assert standard("ab-_") == "ab+/"
    assert kind_of("model/gltf") == "document"
