"""Turns written as contents."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.translation.gemini.exchanges import GEMINI_3, GEMINI_25, VERTEX, sent, warnings_of
from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import (
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Request,
    Role,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.translation.target import Target

SKIP = "skip_thought_signature_validator"
QUESTION: tuple[Role, list[Part]] = ("user", [Text(text="Hi")])


def conversation(*turns: tuple[Role, list[Part]]) -> Request:
    made = [Turn(role=role, parts=parts) for role, parts in turns]
    return Request(protocol="openai_chat", model="m", turns=made)


def contents(*turns: Any, target: Target = GEMINI_3) -> list[Any]:
    found: list[Any] = sent(conversation(*turns), target)["contents"]
    return found


def model_parts(*parts: Part, target: Target = GEMINI_3) -> list[Any]:
    found: list[Any] = contents(QUESTION, ("assistant", list(parts)), target=target)[1]["parts"]
    return found


def user_parts(*parts: Part) -> list[Any]:
    found: list[Any] = contents(("user", list(parts)))[0]["parts"]
    return found


def test_roles_and_neighbours() -> None:
    body = sent(
        conversation(
            ("system", [Text(text="s")]),
            ("user", [Text(text="a")]),
            ("user", [Text(text="b"), Text(text="")]),
            ("assistant", [Text(text="c")]),
            ("assistant", [Refusal("d")]),
            ("developer", [Text(text="t")]),
            ("user", [Text(text="e")]),
        )
    )
    assert body == {
        "systemInstruction": {"parts": [{"text": "s"}, {"text": "t"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
            {"role": "model", "parts": [{"text": "c"}, {"text": "d"}]},
            {"role": "user", "parts": [{"text": "e"}]},
        ],
    }


CALLS: list[Part] = [
    ToolCall(id="1", name="f", arguments='{"n": 1.0}'),
    ToolCall(id="2", name="g"),
    ToolCall(id="3", name="f", arguments="free", custom=True),
]


def test_results_of_a_step_stand_together_in_the_order_of_its_calls() -> None:
    found = contents(
        QUESTION,
        ("assistant", [Text(text="x"), *CALLS[:2]]),
        ("assistant", CALLS[2:]),
        ("user", [Text(text="beside"), ToolResult(call_id="3", parts=[Text(text="three")])]),
        ("user", [ToolResult(call_id="2", parts=[])]),
        ("user", [ToolResult(call_id="1", parts=[Text(text='{"a": 1.0}')], is_error=False)]),
        ("user", [Text(text="go")]),
        ("assistant", [Text(text="y")]),
    )
    made: Any = [
        {"functionResponse": {"id": "1", "name": "f", "response": {"a": 1.0}}},
        {"functionResponse": {"id": "2", "name": "g", "response": {"output": ""}}},
    ]
    third = {"functionResponse": {"id": "3", "name": "f", "response": {"output": "three"}}}
    assert found[1]["parts"] == [
        {"text": "x"},
        {"functionCall": {"id": "1", "name": "f", "args": {"n": 1.0}}, "thoughtSignature": SKIP},
        {"functionCall": {"id": "2", "name": "g", "args": {}}},
        {"functionCall": {"id": "3", "name": "f", "args": {"input": "free"}}},
    ]
    assert [content["role"] for content in found] == ["user", "model", "user", "user", "model"]
    assert found[2]["parts"] == [*made, third]
    assert found[3]["parts"] == [{"text": "beside"}, {"text": "go"}]


def test_what_is_said_beside_results_is_a_content_of_its_own() -> None:
    found = contents(
        QUESTION,
        ("assistant", CALLS[:2]),
        ("user", [ToolResult(call_id="2", parts=[]), ToolResult(call_id="1", parts=[]), Text(text="go")]),
    )
    assert [[next(iter(part)) for part in content["parts"]] for content in found[2:]] == [
        ["functionResponse", "functionResponse"],
        ["text"],
    ]
    assert [part["functionResponse"]["id"] for part in found[2]["parts"]] == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("plain", {"output": "plain"}),
        ("21", {"output": "21"}),
        ("[1]", {"output": "[1]"}),
        ('{"a": 1}', {"a": 1}),
        ("{}", {}),
        ('{"output": "x"}', {"output": '{"output": "x"}'}),
        ('{"error": "x"}', {"output": '{"error": "x"}'}),
        ('{"output": "x", "a": 1}', {"output": "x", "a": 1}),
        ('{"broken"', {"output": '{"broken"'}),
        ('{"a":"\\ud800"}', {"a": "\ufffd"}),
    ],
)
def test_what_functions_answered(text: str, response: dict[str, Any]) -> None:
    result = ToolResult(call_id="1", parts=[Text(text=text)])
    found = contents(QUESTION, ("assistant", CALLS[:1]), ("user", [result]))
    assert found[2]["parts"][0]["functionResponse"]["response"] == response


def test_errors_of_functions() -> None:
    result = ToolResult(call_id="1", parts=[Text(text="a"), Text(text="b")], is_error=True)
    turns: list[Any] = [QUESTION, ("assistant", CALLS[:1]), ("user", [result])]
    assert contents(*turns)[2]["parts"][0]["functionResponse"]["response"] == {"error": "a\nb"}
    assert [warning.split(":")[0] for warning in warnings_of(conversation(*turns))] == ["changed tool_result.parts"]


def test_a_result_needs_its_call() -> None:
    with pytest.raises(InvalidRequest, match="has a tool's result for no call: 'x'"):
        contents(QUESTION, ("user", [ToolResult(call_id="x", parts=[])]))


def test_pictures_in_results() -> None:
    """Inside of them where the model takes it; else after them."""
    picture = Media(kind="image", media_type="image/png", data="AAAA")
    link = Media(kind="image", url="https://a.example/b.png")
    turns: list[Any] = [
        QUESTION,
        ("assistant", CALLS[:1]),
        ("user", [ToolResult(call_id="1", parts=[Text(text="see"), picture, link])]),
    ]
    inline = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    file = {"fileData": {"mimeType": "image/png", "fileUri": "https://a.example/b.png"}}
    lead = {"text": "What the call of f returned:"}
    late, early = contents(*turns), contents(*turns, target=GEMINI_25)
    assert late[2]["parts"][0]["functionResponse"]["parts"] == [inline]
    assert late[3]["parts"] == [lead, file]
    assert "parts" not in early[2]["parts"][0]["functionResponse"]
    assert early[3]["parts"] == [lead, inline, lead, file]
    for target in (GEMINI_3, GEMINI_25):
        assert [one.split(":")[0] for one in warnings_of(conversation(*turns), target)] == ["changed tool_result.media"]


def test_ids_are_left_out_where_they_are_refused() -> None:
    found = contents(QUESTION, ("assistant", CALLS[:1]), ("user", [ToolResult(call_id="1", parts=[])]), target=VERTEX)
    assert found[1]["parts"][0]["functionCall"].keys() == {"name", "args"}
    assert found[2]["parts"][0]["functionResponse"].keys() == {"name", "response"}


MINE, OTHERS = State("google", "mine=="), State("anthropic", "theirs==")


def test_only_the_providers_own_state_returns_to_it() -> None:
    assert model_parts(
        Reasoning(text="a", state=MINE),
        Reasoning(text="b", state=OTHERS),
        Reasoning(text="c"),
        Reasoning(state=OTHERS),
        Text(text="d", state=MINE),
        Text(text="", state=MINE),
        Text(text="e", state=OTHERS),
        ToolCall(id="1", name="f", state=MINE),
        ToolCall(id="2", name="f", state=OTHERS),
    ) == [
        {"text": "a", "thought": True, "thoughtSignature": "mine=="},
        {"text": "d", "thoughtSignature": "mine=="},
        {"text": "", "thoughtSignature": "mine=="},
        {"text": "e"},
        {"functionCall": {"id": "1", "name": "f", "args": {}}, "thoughtSignature": "mine=="},
        {"functionCall": {"id": "2", "name": "f", "args": {}}},
    ]


def test_thinking_of_others_is_named_once() -> None:
    request = conversation(QUESTION, ("assistant", [Reasoning(text="b"), Reasoning(text="c"), Text(text="d")]))
    assert warnings_of(request) == ["changed reasoning: the thinking of another provider is not sent"]
    hidden = conversation(QUESTION, ("assistant", [Reasoning(state=OTHERS), Text(text="d")]))
    assert warnings_of(hidden) == []


def test_the_first_call_of_each_step_is_signed_for_models_that_check() -> None:
    steps: list[Any] = [
        QUESTION,
        ("assistant", [ToolCall(id="1", name="f", state=OTHERS), ToolCall(id="2", name="f", state=MINE)]),
        ("user", [ToolResult(call_id="1", parts=[]), ToolResult(call_id="2", parts=[])]),
        ("assistant", [ToolCall(id="3", name="f", state=MINE)]),
        ("user", [ToolResult(call_id="3", parts=[])]),
        ("assistant", [Text(text="x"), ToolCall(id="4", name="f")]),
    ]

    def signatures(target: Target) -> list[Any]:
        found = contents(*steps, target=target)
        calls = [part for content in found for part in content["parts"] if "functionCall" in part]
        return [part.get("thoughtSignature") for part in calls]

    assert signatures(GEMINI_3) == [SKIP, "mine==", "mine==", SKIP]
    assert signatures(GEMINI_25) == [None, "mine==", "mine==", None]


def test_a_pictures_signature_stands_on_it() -> None:
    picture = Media(kind="image", media_type="image/png", data="AAAA")
    assert model_parts(picture, Reasoning(state=State("google", "media:sig"))) == [
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "sig"}
    ]
    assert model_parts(Text(text="x"), Reasoning(state=State("google", "media:sig"))) == [{"text": "x"}]


@pytest.mark.parametrize(
    ("media", "written"),
    [
        (Media(kind="image", media_type="image/webp", data="AAAA"),
         {"inlineData": {"mimeType": "image/webp", "data": "AAAA"}}),
        (Media(kind="image", data="iVBORw0K"), {"inlineData": {"mimeType": "image/png", "data": "iVBORw0K"}}),
        (Media(kind="document", text="é"),
         {"inlineData": {"mimeType": "text/plain", "data": b64encode("é".encode()).decode()}}),
        (Media(kind="audio", text="said", file_id="a"), {"text": "said"}),
        (Media(kind="video", url="gs://b/v"), {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/v"}}),
        (Media(kind="image", url="https://a/b", media_type="image/gif"),
         {"fileData": {"mimeType": "image/gif", "fileUri": "https://a/b"}}),
        (Media(kind="image", url="https://a/b.webp"), {"fileData": {"mimeType": "image/webp", "fileUri": "https://a/b.webp"}}),
        (Media(kind="image", url="https://a/b"), {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://a/b"}}),
    ],
)  # fmt: skip
def test_media(media: Media, written: dict[str, Any]) -> None:
    assert user_parts(media) == [written]


@pytest.mark.parametrize(
    ("media", "param"),
    [(Media(kind="image", file_id="x"), "media.file_id"), (Media(kind="audio", data="AAAA"), "media.audio")],
)
def test_media_that_cannot_be_sent(media: Media, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        user_parts(media)
    assert caught.value.param == param


def test_what_is_lost_is_named() -> None:
    picture = Media(kind="image", url="https://a/b", detail="high", name="n", cache="5m")
    request = conversation(("user", [Text(text="a", citations=Raw(b"[]"), cache="1h"), picture]))
    request.turns[0].name = "u"
    request.turns[0].parts.append(Opaque("openai_chat", Raw(b"{}"), "odd"))
    assert [warning.split(":")[0] for warning in warnings_of(request)] == [
        "dropped turns.name",
        "dropped cache",
        "dropped citations",
        "dropped media.detail",
        "dropped media.name",
        "dropped odd",
    ]


def test_parts_of_this_protocol_go_back_as_they_came() -> None:
    raw = Raw(b'{"executableCode":{"code":"1"},"thoughtSignature":"s"}')
    assert model_parts(Opaque("gemini", raw, "executableCode")) == [msgspec.json.decode(raw)]


@pytest.mark.parametrize("arguments", ["[1]", '"x"', "{", "not json"])
def test_arguments_must_be_an_object(arguments: str) -> None:
    with pytest.raises(InvalidRequest, match="must be a JSON object; those of 'f' are not"):
        model_parts(ToolCall(id="1", name="f", arguments=arguments))


def test_arguments_keep_their_digits() -> None:
    request = conversation(
        QUESTION, ("assistant", [ToolCall(id="1", name="f", arguments='{"n": 12345678901234567890.10}')])
    )
    assert sent(request)["contents"][1]["parts"][0]["functionCall"]["args"]["n"] == pytest.approx(
        12345678901234567890.1
    )
    half = ToolCall(id="1", name="f", arguments='{"a":"\\ud83d\\ude00 \\ud83d \\\\ud83d"}')
    assert model_parts(half)[0]["functionCall"]["args"] == {"a": "\U0001f600 \ufffd \\ud83d"}
