"""A provider's chunks as events: order, ends, failures."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.translation.gemini.exchanges import CORPUS, GEMINI_3, read_stream, said
from trunkline.errors import StreamCut, UpstreamFailed
from trunkline.translation.exchange import (
    Began,
    Ended,
    Event,
    Finished,
    PartCame,
    TextDelta,
    Usage,
    Used,
)
from trunkline.translation.gemini.reader import Chunks, Reader


def stream(*chunks: dict[str, Any]) -> bytes:
    return b"".join(b"data: %b\r\n\r\n" % msgspec.json.encode(chunk) for chunk in chunks)


def candidate(text: str = "", **more: Any) -> dict[str, Any]:
    return {"content": {"role": "model", "parts": [{"text": text}]}, **more}


def test_the_order_of_events() -> None:
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1}
    more = {"promptTokenCount": 1, "candidatesTokenCount": 5}
    assert read_stream(
        [
            stream(
                {"candidates": [candidate("a")], "usageMetadata": usage, "modelVersion": "m", "responseId": "r"},
                {"candidates": [candidate("b", finishReason="STOP")], "usageMetadata": more},
            )
        ]
    ) == [
        Began("r", "m", 0, Usage(input_tokens=1, output_tokens=1)),
        TextDelta(0, 0, "a"),
        TextDelta(0, 0, "b"),
        Finished(0, "end"),
        Used(Usage(input_tokens=1, output_tokens=5)),
        Ended(),
    ]


def test_the_end_is_told_at_the_end() -> None:
    """Older models name a reason in every chunk."""
    reader = Reader(GEMINI_3, said)
    before = reader.finished
    events = reader.feed(stream({"candidates": [candidate("a", finishReason="STOP")]}))
    assert [type(event) for event in events] == [Began, TextDelta]
    assert (before, reader.finished) == (False, True)
    assert reader.feed(stream({"candidates": [candidate("b", finishReason="MAX_TOKENS")]})) == [TextDelta(0, 0, "b")]
    assert reader.end() == [Finished(0, "length"), Ended()]
    assert reader.end() == []


def test_choices_keep_their_numbers() -> None:
    """The first is often without one, and the second may come before it."""
    late = {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}
    events = read_stream(
        [stream({"candidates": [candidate("b", index=1, finishReason="STOP")]}, {"candidates": [late]})]
    )
    assert [(event.choice, event.text) for event in events if isinstance(event, TextDelta)] == [(1, "b"), (0, "a")]
    assert [event.choice for event in events if isinstance(event, Finished)] == [0, 1]
    both = read_stream([stream({"candidates": [late, late]})])
    assert [event.choice for event in both if isinstance(event, TextDelta)] == [0, 1]


def test_a_blocked_prompt_is_an_answer() -> None:
    events = read_stream([(CORPUS / "blocked.upstream.sse").read_bytes()])
    assert events[1:] == [Finished(0, "filter"), Used(Usage(input_tokens=6, output_tokens=0)), Ended()]


def test_logprobs_stand_on_the_text_they_came_with() -> None:
    events = read_stream([(CORPUS / "logprobs.upstream.sse").read_bytes()])
    deltas = [event for event in events if isinstance(event, TextDelta)]
    assert [[token["token"] for token in msgspec.json.decode(delta.logprobs or b"[]")] for delta in deltas] == [
        ["Yes"],
        ["!"],
    ]


def test_a_part_that_only_this_protocol_has_is_kept_as_it_came() -> None:
    part = b'{"executableCode":  {"code": "1.0"}}'
    payload = b'data: {"candidates":[{"finishReason":"STOP","content":{"parts":%b}}]}\n\n'
    for parts in (b"[%b]" % part, part):
        (came,) = [event for event in read_stream([payload % parts]) if isinstance(event, PartCame)]
        assert bytes(getattr(came.whole, "raw", b"")) == part


def broken(*pieces: bytes) -> tuple[Exception, list[Event]]:
    reader = Reader(GEMINI_3, said)
    try:
        for piece in pieces:
            reader.feed(piece)
        reader.end()
    except (StreamCut, UpstreamFailed) as error:
        return error, reader.unsent
    raise AssertionError("it did not fail")


def test_usage_of_a_broken_answer_is_told() -> None:
    half = stream({"candidates": [candidate("a")], "usageMetadata": {"promptTokenCount": 7}})
    error, unsent = broken(half)
    assert isinstance(error, StreamCut)
    assert unsent == [Used(Usage(input_tokens=7, output_tokens=0))]
    error, unsent = broken(half + b"data: nonsense\n\n")
    assert isinstance(error, UpstreamFailed)
    assert [type(event) for event in unsent] == [Began, TextDelta, Used]


def test_a_providers_own_error_is_made_by_the_maker() -> None:
    error, _ = broken(stream({"error": {"code": 503, "message": "Busy", "status": "UNAVAILABLE"}}))
    assert isinstance(error, UpstreamFailed)
    assert (error.message, error.status) == ("Busy", 503)


@pytest.mark.parametrize(
    "reason",
    ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE"],
)
def test_an_answer_that_came_to_nothing_fails(reason: str) -> None:
    error, _ = broken(stream({"candidates": [{"finishReason": reason}]}))
    assert isinstance(error, UpstreamFailed)
    assert reason in error.message
    events = read_stream([stream({"candidates": [candidate("a", finishReason=reason)]})])
    assert events[-2:] == [Finished(0, "end"), Ended()]


def test_chunks_without_candidates() -> None:
    chunks = Chunks("google")
    chunks.take(b'{"responseId":"r"}', said)
    assert (chunks.began, chunks.finished, chunks.any_said) == (True, False, False)
    with pytest.raises(UpstreamFailed, match="not a chunk"):
        chunks.take(b"{}", said)


def test_the_last_usage_that_can_be_believed_holds() -> None:
    chunks = [
        {"candidates": [candidate("a", finishReason="STOP")], "usageMetadata": {"promptTokenCount": prompt}}
        for prompt in (3, 4, "5")
    ]
    events = read_stream([stream(*chunks)])
    assert [one.usage for one in events if isinstance(one, Used)] == [Usage(input_tokens=4, output_tokens=0)]
