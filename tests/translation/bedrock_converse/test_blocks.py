"""Parts as blocks: calls, results, reasoning, cache points."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translation.bedrock_converse.exchanges import (
    CLAUDE,
    LLAMA,
    NOVA,
    PROVIDER,
    ToldLosses,
    request,
    target,
    written,
)
from trunkline.errors import InvalidRequest
from trunkline.translation.bedrock_converse.blocks import call_id
from trunkline.translation.bedrock_converse.vocabulary import REDACTED
from trunkline.translation.exchange import (
    Media,
    Part,
    Reasoning,
    Refusal,
    Request,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.translation.target import Target

ASKED = Turn(role="user", parts=[Text(text="Hi")])


def loop(call: ToolCall, result: ToolResult) -> Request:
    return request(ASKED, Turn(role="assistant", parts=[call]), Turn(role="user", parts=[result]))


def said(*parts: Part, to: Target = CLAUDE, losses: ToldLosses | None = None) -> list[dict[str, Any]]:
    """An assistant's turn as it is written."""
    turns = (ASKED, Turn(role="assistant", parts=list(parts)), ASKED)
    content: list[dict[str, Any]] = written(request(*turns), to, losses)["messages"][1]["content"]
    return content


def test_a_call_and_its_result_stand_in_turns_of_their_own() -> None:
    call = ToolCall(id="tooluse_1", name="f", arguments='{"a": 1.0, "b":12345678901234567890}')
    result = ToolResult(call_id="tooluse_1", parts=[Text(text="done")], is_error=True)
    messages = written(loop(call, result))["messages"]
    given = {"a": 1.0, "b": 12345678901234567890}
    assert messages[1]["content"] == [{"toolUse": {"toolUseId": "tooluse_1", "name": "f", "input": given}}]
    told = {"toolUseId": "tooluse_1", "content": [{"text": "done"}], "status": "error"}
    assert messages[2]["content"] == [{"toolResult": told}]


def test_models_that_take_no_status_read_that_it_failed() -> None:
    losses = ToldLosses()
    asked = loop(ToolCall(id="t", name="f"), ToolResult(call_id="t", parts=[Text(text="no")], is_error=True))
    told = written(asked, LLAMA, losses)["messages"][2]["content"][0]["toolResult"]
    assert told == {"toolUseId": "t", "content": [{"text": "Error:"}, {"text": "no"}]}
    assert ("tool_result.is_error", "changed") in losses.told


def test_ids_that_bedrock_would_refuse_are_made_to_fit_on_both_sides() -> None:
    long = "call|" + "x" * 100
    messages = written(loop(ToolCall(id=long, name="f"), ToolResult(call_id=long, parts=[])))["messages"]
    made = messages[1]["content"][0]["toolUse"]["toolUseId"]
    assert made == messages[2]["content"][0]["toolResult"]["toolUseId"] == call_id(long)
    assert len(made) <= 64
    assert call_id("toolu_01.a:b-c") == "toolu_01.a:b-c"


@pytest.mark.parametrize("arguments", ["", "  ", "{}"])
def test_no_arguments_are_an_empty_object(arguments: str) -> None:
    (block,) = said(ToolCall(id="t", name="f", arguments=arguments))
    assert block["toolUse"]["input"] == {}


def test_arguments_that_are_no_object_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="those of 'f' are not"):
        said(ToolCall(id="t", name="f", arguments="[1]"))


def test_a_custom_tools_input_is_put_into_an_object() -> None:
    (block,) = said(ToolCall(id="t", name="f", arguments="print(1)", custom=True))
    assert block["toolUse"]["input"] == {"input": "print(1)"}


def test_only_its_own_reasoning_goes_back_to_a_provider_byte_for_byte() -> None:
    losses = ToldLosses()
    own, foreign = State(PROVIDER, "sig+/="), State("another", "sig")
    content = said(
        Reasoning(text="I think", state=own),
        Reasoning(state=State(PROVIDER, REDACTED + "AAEC")),
        Reasoning(text="they think", state=foreign),
        Reasoning(state=foreign),
        Reasoning(text="bare"),
        Text(text="So."),
        losses=losses,
    )
    assert content == [
        {"reasoningContent": {"reasoningText": {"text": "I think", "signature": "sig+/="}}},
        {"reasoningContent": {"redactedContent": "AAEC"}},
        {"text": "So."},
    ]
    assert losses.told == {("reasoning", "changed")}


def test_hidden_reasoning_of_another_provider_is_dropped_without_a_word() -> None:
    losses = ToldLosses()
    said(Reasoning(state=State("another", "sig")), Text(text="So."), losses=losses)
    assert not losses.told


def test_blank_text_is_left_out_and_a_refusal_is_text() -> None:
    assert said(Text(text=" \n"), Refusal("No."), Text(text="")) == [{"text": "No."}]


@pytest.mark.parametrize("kind", ["image", "document"])
def test_media_stand_only_in_a_users_turn(kind: Any) -> None:
    with pytest.raises(InvalidRequest, match="only in a turn of the user"):
        said(Media(kind=kind, media_type="image/png", data="AAAA"))


def test_a_mark_becomes_a_point_behind_what_it_marks() -> None:
    result = ToolResult(call_id="t", parts=[Text(text="long", cache="1h")])
    asked = request(
        Turn(role="system", parts=[Text(text="Be kind", cache="5m")]),
        ASKED,
        Turn(role="assistant", parts=[ToolCall(id="t", name="f", cache="5m")]),
        Turn(role="user", parts=[result, Text(text="and?")]),
    )
    body = written(asked)
    point, hour = {"cachePoint": {"type": "default"}}, {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert body["system"] == [{"text": "Be kind"}, point]
    assert body["messages"][1]["content"][1] == point
    assert [next(iter(block)) for block in body["messages"][2]["content"]] == ["toolResult", "cachePoint", "text"]
    assert body["messages"][2]["content"][1] == hour


@pytest.mark.parametrize(("to", "points"), [(CLAUDE, 1), (NOVA, 1), (target(upstream="a1"), 1), (LLAMA, 0)])
def test_only_some_models_keep_prompts(to: Target, points: int) -> None:
    losses = ToldLosses()
    body = written(request(Turn(role="user", parts=[Text(text="Hi", cache="5m")])), to, losses)
    assert len(body["messages"][0]["content"]) == 1 + points
    assert (("cache_control", "dropped") in losses.told) is (points == 0)
