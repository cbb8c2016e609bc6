"""Turns as Cohere's messages."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from tests.translation.cohere_chat.exchanges import PROVIDER, ToldLosses, request, target, written
from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import (
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)

PICTURE = Media(kind="image", media_type="image/png", data="AAAA")
CALL = ToolCall(id="t", name="f", arguments='{"a": 1.0}')


def user(*parts: Part) -> Turn:
    return Turn(role="user", parts=list(parts))


def assistant(*parts: Part) -> Turn:
    return Turn(role="assistant", parts=list(parts))


def messages(*turns: Turn, losses: ToldLosses | None = None) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = written(request(*turns), losses=losses)["messages"]
    return told


def test_one_text_is_a_string_and_more_are_a_list() -> None:
    assert messages(
        Turn(role="developer", parts=[Text(text="Be kind")]),
        user(Text(text="Look"), PICTURE),
        assistant(Text(text="one"), Refusal("two")),
        user(Media(kind="image", url="https://a/b.png", detail="low")),
    ) == [
        {"role": "system", "content": "Be kind"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            ],
        },
        {"role": "assistant", "content": "one\n\ntwo"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}}]},
    ]


def test_what_is_said_before_calls_is_their_plan() -> None:
    losses = ToldLosses()
    told = messages(user(Text(text="Hi")), assistant(Text(text="I look."), CALL), losses=losses)[1]
    assert told == {
        "role": "assistant",
        "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a": 1.0}'}}],
        "tool_plan": "I look.",
    }
    assert not losses.told
    messages(user(Text(text="Hi")), assistant(CALL, Text(text="after")), losses=losses)
    assert losses.told == {("turns.order", "changed")}


def test_arguments_are_the_text_of_an_object() -> None:
    custom = ToolCall(id="u", name="g", arguments='say "x"', custom=True)
    (_, told) = messages(user(Text(text="Hi")), assistant(ToolCall(id="t", name="f"), custom))
    assert [call["function"]["arguments"] for call in told["tool_calls"]] == ["{}", '{"input":"say \\"x\\""}']


def test_a_result_is_a_list_of_texts_and_its_images_follow() -> None:
    losses = ToldLosses()
    result = ToolResult(call_id="t", parts=[Text(text="no"), PICTURE], is_error=True)
    empty = ToolResult(call_id="u", parts=[])
    told = messages(user(result, Text(text="and?"), empty), losses=losses)
    assert told[0] == {"role": "tool", "tool_call_id": "t", "content": [{"type": "text", "text": "Error: no"}]}
    assert told[1] == {"role": "tool", "tool_call_id": "u", "content": [{"type": "text", "text": ""}]}
    assert [part["type"] for part in told[2]["content"]] == ["text", "image_url", "text"]
    assert losses.told == {("tool_result.media", "changed"), ("tool_result.is_error", "changed")}


def test_images_of_results_stand_before_the_next_answer() -> None:
    result = ToolResult(call_id="t", parts=[PICTURE], is_error=True)
    told = messages(user(result), assistant(Text(text="I see.")))
    assert [message["role"] for message in told] == ["tool", "user", "assistant"]
    assert told[0]["content"] == [{"type": "text", "text": "Error: "}]


def test_only_its_own_reasoning_goes_back() -> None:
    losses = ToldLosses()
    own = Reasoning(text="hm", state=State(PROVIDER, "hm"))
    turns = [user(Text(text="Hi")), assistant(own, Reasoning(text="other"), Text(text="So.")), assistant(own, CALL)]
    told = written(request(*turns), target(returns_reasoning=True), losses)["messages"]
    assert told[1]["content"] == [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "So."}]
    assert told[2]["content"] == [{"type": "thinking", "thinking": "hm"}]
    assert losses.told == {("reasoning", "dropped")}
    hidden = ToldLosses()
    messages(user(Text(text="Hi")), assistant(Reasoning(state=State("another", "x"))), losses=hidden)
    assert not hidden.told


@pytest.mark.parametrize(
    ("media", "sentence"),
    [
        (Media(kind="document", media_type="application/pdf", data="AAAA"), "Cohere takes text and images"),
        (Media(kind="audio", data="AAAA"), "Cohere takes text and images"),
        (Media(kind="image", file_id="f"), "by URL or as data"),
        (Media(kind="image", data="AAAA"), "needs its media type"),
    ],
)
def test_what_cohere_cannot_be_given_is_refused(media: Media, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        messages(user(Text(text="Hi"), media))


def test_an_assistants_image_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="cannot stand in a turn of the assistant"):
        messages(assistant(PICTURE))


def test_a_document_of_text_is_text() -> None:
    losses = ToldLosses()
    media = Media(kind="document", text="words", name="notes")
    assert messages(user(media), losses=losses) == [{"role": "user", "content": "notes\n\nwords"}]
    assert losses.told == {("media.document", "changed")}


def test_what_is_lost_on_the_way() -> None:
    losses = ToldLosses()
    marked = Text(text="x", cache="5m", citations=Raw(b"[]"))
    inside = ToolResult(call_id="t", parts=[Text(text="x", cache="5m")])
    picture = Media(kind="image", media_type="image/png", data="AAAA", detail="original")
    named = Turn(role="user", parts=[marked, inside, picture, Opaque("x", Raw(b"{}"), "search")], name="Ann")
    messages(named, assistant(Opaque("x", Raw(b"{}"), "found"), Text(text="x")), losses=losses)
    assert losses.told == {
        ("cache", "dropped"),
        ("citations", "dropped"),
        ("media.detail", "dropped"),
        ("search", "dropped"),
        ("found", "dropped"),
        ("turns.name", "dropped"),
    }


def test_an_empty_conversation_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="holds nothing to answer"):
        messages(user(Text(text="")), assistant(Text(text="")))
