"""Streams for a caller of Converse; that they say what whole answers say is in test_translator."""

from __future__ import annotations

from typing import Any

from tests.translation.bedrock_converse.exchanges import ASKED, messages_in
from trunkline.translation import envelope
from trunkline.translation.bedrock_converse.content import as_bytes
from trunkline.translation.bedrock_converse.stream_writer import Writer
from trunkline.translation.exchange import (
    ArgumentsDelta,
    Began,
    CallBegan,
    Ended,
    Event,
    Finished,
    Media,
    PartCame,
    PartEnded,
    ReasoningDelta,
    RefusalDelta,
    State,
    StateCame,
    Text,
    TextDelta,
    Usage,
    Used,
)

STATE = State("aws", "sig")


def told(*events: Event) -> list[tuple[str, dict[str, Any]]]:
    """Between the message's start and its stop."""
    writer = Writer(ASKED)
    stream = writer.write([Began("a", "m"), *events])
    stream += writer.write([Finished(0, "end"), Used(Usage(input_tokens=1, output_tokens=2)), Ended()])
    assert not writer.holding
    assert writer.release() == b""
    messages = messages_in(stream)
    assert messages[0] == ("messageStart", {"role": "assistant"})
    assert messages[-1][1]["usage"] == {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}
    return messages[1:-2]


def deltas(*events: Event) -> list[dict[str, Any]]:
    return [payload["delta"] for kind, payload in told(*events) if kind == "contentBlockDelta"]


def test_a_call_begins_with_its_name_and_each_block_ends_once() -> None:
    assert told(TextDelta(0, 0, "x"), PartEnded(0, 0), CallBegan(0, 1, "t", "f"), ArgumentsDelta(0, 1, "{}")) == [
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "x"}}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": "{}"}}}),
        ("contentBlockStop", {"contentBlockIndex": 1}),
    ]


def test_a_custom_tools_input_is_one_field_of_an_object() -> None:
    pieces = deltas(CallBegan(0, 0, "t", "f", custom=True), ArgumentsDelta(0, 0, 'say "'), ArgumentsDelta(0, 0, "hi"))
    assert "".join(piece["toolUse"]["input"] for piece in pieces) == '{"input":"say \\"hi"}'


def test_state_is_a_signature_or_hidden_reasoning() -> None:
    wrapped = envelope.wrap(STATE)
    assert deltas(ReasoningDelta(0, 0, "a", 0), ReasoningDelta(0, 0, "b", 1), StateCame(0, 0, STATE)) == [
        {"reasoningContent": {"text": "a"}},
        {"reasoningContent": {"text": "\n\nb"}},
        {"reasoningContent": {"signature": wrapped}},
    ]
    assert deltas(StateCame(0, 0, STATE)) == [{"reasoningContent": {"redactedContent": as_bytes(wrapped)}}]
    assert deltas(TextDelta(0, 0, "x"), StateCame(0, 0, STATE)) == [{"text": "x"}]
    assert deltas(CallBegan(0, 0, "t", "f"), StateCame(0, 0, STATE)) == []


def test_parts_that_come_whole() -> None:
    picture = Media(kind="image", media_type="image/png", data="AAAA")
    messages = told(PartCame(0, 0, Text(text="x")), PartCame(0, 1, picture), PartCame(0, 2, Media(kind="audio")))
    assert [kind for kind, _ in messages] == [
        "contentBlockDelta", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "contentBlockStop",
    ]  # fmt: skip
    assert messages[1][1]["start"] == {"image": {"format": "png"}}
    assert messages[2][1]["delta"] == {"image": {"source": {"bytes": "AAAA"}}}


def test_of_several_choices_only_the_first_is_told() -> None:
    assert deltas(TextDelta(1, 0, "other"), RefusalDelta(0, 0, "No.")) == [{"text": "No."}]


def test_an_end_with_calls_is_a_call_and_the_sequence_is_told() -> None:
    stream = Writer(ASKED).write([Began("", ""), CallBegan(0, 0, "t", "f"), Finished(0, "end", "x"), Ended()])
    stop = messages_in(stream)[-2][1]
    assert stop == {"stopReason": "tool_use", "additionalModelResponseFields": {"stop_sequence": "x"}}
