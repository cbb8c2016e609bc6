"""Turns as Ollama's messages."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from tests.translation.ollama_chat.exchanges import PROVIDER, ToldLosses, request, target, written
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
CALL = ToolCall(id="t", name="f", arguments='{"a": 1.0, "b":12345678901234567890}')


def user(*parts: Part) -> Turn:
    return Turn(role="user", parts=list(parts))


def assistant(*parts: Part) -> Turn:
    return Turn(role="assistant", parts=list(parts))


def messages(*turns: Turn, losses: ToldLosses | None = None) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = written(request(*turns), losses=losses)["messages"]
    return told


def test_a_message_is_one_text_with_images_beside_it() -> None:
    assert messages(
        Turn(role="developer", parts=[Text(text="Be kind")]),
        user(Text(text="Look"), PICTURE, Text(text="here")),
        assistant(Text(text=""), Refusal("No.")),
    ) == [
        {"role": "system", "content": "Be kind"},
        {"role": "user", "content": "Look\n\nhere", "images": ["AAAA"]},
        {"role": "assistant", "content": "No."},
    ]


def test_calls_have_objects_and_results_say_whose_they_are() -> None:
    losses = ToldLosses()
    told = messages(
        user(Text(text="Hi")),
        assistant(Text(text="I look."), CALL, ToolCall(id="u", name="g", arguments="x", custom=True)),
        user(ToolResult(call_id="t", parts=[Text(text="rain"), PICTURE]), Text(text="and?")),
        user(ToolResult(call_id="u", parts=[Text(text="no")], is_error=True), ToolResult(call_id="v", parts=[])),
        losses=losses,
    )
    assert told[1]["tool_calls"] == [
        {"id": "t", "function": {"name": "f", "arguments": {"a": 1.0, "b": 12345678901234567890}}},
        {"id": "u", "function": {"name": "g", "arguments": {"input": "x"}}},
    ]
    assert told[2:] == [
        {"role": "tool", "content": "rain", "images": ["AAAA"], "tool_name": "f", "tool_call_id": "t"},
        {"role": "user", "content": "and?"},
        {"role": "tool", "content": "Error: no", "tool_name": "g", "tool_call_id": "u"},
        {"role": "tool", "content": "", "tool_call_id": "v"},
    ]
    assert losses.told == {("tool_result.is_error", "changed")}


def test_no_arguments_are_an_empty_object_and_others_must_be_one() -> None:
    (_, told) = messages(user(Text(text="Hi")), assistant(ToolCall(id="t", name="f")))
    assert told["tool_calls"][0]["function"]["arguments"] == {}
    assert told["content"] == ""
    with pytest.raises(InvalidRequest, match="those of 'f' are not"):
        messages(assistant(ToolCall(id="t", name="f", arguments="[]")))


def test_only_its_own_reasoning_goes_back() -> None:
    losses = ToldLosses()
    own = Reasoning(text="hm", state=State(PROVIDER, "hm"))
    turns = (user(Text(text="Hi")), assistant(own, Reasoning(text="other"), CALL))
    told = written(request(*turns), target(returns_reasoning=True), losses)["messages"]
    assert told[1]["thinking"] == "hm"
    assert losses.told == {("reasoning", "dropped")}
    hidden = ToldLosses()
    messages(user(Text(text="Hi")), assistant(Reasoning(state=State("another", "x"))), losses=hidden)
    assert not hidden.told


@pytest.mark.parametrize(
    ("media", "sentence"),
    [
        (Media(kind="image", url="https://a/b.png"), "Ollama fetches no URLs"),
        (Media(kind="document", media_type="application/pdf", data="AAAA"), "Ollama takes text and images"),
        (Media(kind="audio", data="AAAA"), "Ollama takes text and images"),
    ],
)
def test_what_ollama_cannot_be_given_is_refused(media: Media, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        messages(user(Text(text="Hi"), media))


def test_what_is_lost_on_the_way() -> None:
    losses = ToldLosses()
    parts: list[Part] = [
        Text(text="x", cache="5m", citations=Raw(b"[]")),
        Media(kind="document", text="words", name="notes"),
        Media(kind="image", data="AAAA", detail="high"),
        Opaque("x", Raw(b"{}"), "search"),
    ]
    told = messages(Turn(role="user", parts=parts, name="Ann"), assistant(CALL, Text(text="late")), losses=losses)
    assert told[0]["content"] == "x\n\nnotes\n\nwords"
    assert losses.told == {
        ("cache", "dropped"),
        ("citations", "dropped"),
        ("media.document", "changed"),
        ("media.detail", "dropped"),
        ("search", "dropped"),
        ("turns.name", "dropped"),
        ("turns.order", "changed"),
    }


def test_an_empty_conversation_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="holds nothing to answer"):
        messages(user(Text(text="")), assistant(Text(text="")))
