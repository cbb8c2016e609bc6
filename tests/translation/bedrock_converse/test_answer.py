"""Whole answers: what is no answer, and what has no place in one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.translation.bedrock_converse.exchanges import ASKED, CLAUDE, PROVIDER
from trunkline.errors import UpstreamFailed
from trunkline.translation.bedrock_converse.answer import malformed, read_answer, read_stop, write_answer
from trunkline.translation.exchange import (
    Answer,
    Choice,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    State,
    Text,
    ToolCall,
    Usage,
)


def body(*content: Any, reason: str = "end_turn", **more: Any) -> bytes:
    message = {"role": "assistant", "content": list(content)}
    return msgspec.json.encode({"output": {"message": message}, "stopReason": reason, **more})


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"output":{}}', b'{"message":"x"}', b'{"output":"\xff"}'])
def test_what_is_no_answer_fails(raw: bytes) -> None:
    with pytest.raises(UpstreamFailed, match="not one of Converse"):
        read_answer(raw, CLAUDE)


@pytest.mark.parametrize("reason", ["malformed_tool_use", "malformed_model_output"])
def test_what_bedrock_could_not_read_is_a_failure(reason: str) -> None:
    with pytest.raises(UpstreamFailed, match=reason) as caught:
        read_answer(body({"text": "x"}, reason=reason), CLAUDE)
    assert caught.value.code == reason
    assert malformed("end_turn") is None


def test_state_has_its_provider_as_origin() -> None:
    signed = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s+/="}}}
    hidden = {"reasoningContent": {"redactedContent": "AAEC"}}
    answer = read_answer(body(signed, hidden, {"text": "So."}), CLAUDE)
    assert answer.choices[0].parts == [
        Reasoning(text="hm", state=State(PROVIDER, "s+/=")),
        Reasoning(state=State(PROVIDER, "redacted:AAEC")),
        Text(text="So."),
    ]
    assert answer.usage is None


def test_what_says_nothing_is_no_part() -> None:
    answer = read_answer(body({"text": ""}, {"reasoningContent": {"reasoningText": {"text": ""}}}, {"new": {}}), CLAUDE)
    assert answer.choices[0].parts == []


def test_a_call_that_takes_no_notice_of_its_reason() -> None:
    call = {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 12345678901234567890}}}
    (choice,) = read_answer(body(call, reason="tool_use"), CLAUDE).choices
    assert choice.parts == [ToolCall(id="t", name="f", arguments='{"a":12345678901234567890}')]
    assert choice.stop == "tool"


@pytest.mark.parametrize(
    ("fields", "sequence"),
    [(b'{"stop_sequence":"x"}', "x"), (b"{}", None), (b"null", None), (b"", None), (b'{"stop_sequence":[]}', None)],
)
def test_the_sequence_that_was_met(fields: bytes, sequence: str | None) -> None:
    assert read_stop("stop_sequence", Raw(fields)) == ("stop_sequence", sequence)
    assert read_stop("end_turn", Raw(fields)) == ("end", None)


def test_an_unknown_reason_is_an_end() -> None:
    assert read_stop("something", Raw()) == ("end", None)
    assert read_stop(None, Raw()) == ("end", None)


def test_what_has_no_place_in_an_answer_is_left_out() -> None:
    parts: list[Part] = [
        Refusal("No."),
        Reasoning(summaries=["one", "two"]),
        Reasoning(),
        Media(kind="audio", data="AAAA"),
        Media(kind="image", media_type="image/jpeg", data="AAAA"),
        Opaque("gemini", Raw(b"{}"), "x"),
        ToolCall(id="t", name="f", arguments="free text", custom=True),
        ToolCall(id="u", name="g", arguments="no json"),
    ]
    usage = Usage(input_tokens=10, output_tokens=2, cached_input_tokens=4)
    choice = Choice(parts=parts, stop="end", stop_sequence="x")
    whole = msgspec.json.decode(write_answer(Answer(id="a", model="m", choices=[choice], usage=usage), ASKED))
    assert whole["output"]["message"]["content"] == [
        {"text": "No."},
        {"reasoningContent": {"reasoningText": {"text": "one\n\ntwo"}}},
        {"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {"input": "free text"}}},
        {"toolUse": {"toolUseId": "u", "name": "g", "input": {"input": "no json"}}},
    ]
    assert whole["stopReason"] == "tool_use"
    assert whole["usage"] == {"inputTokens": 6, "outputTokens": 2, "totalTokens": 12, "cacheReadInputTokens": 4}
    assert whole["additionalModelResponseFields"] == {"stop_sequence": "x"}


def test_an_answer_without_choices_is_an_empty_one() -> None:
    whole = msgspec.json.decode(write_answer(Answer(id="a", model="m", choices=[]), ASKED))
    assert whole["output"]["message"] == {"role": "assistant", "content": []}
    assert whole["usage"] == {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}
