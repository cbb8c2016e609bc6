"""The editor of a relayed stream: what came goes out, however it was cut, and ends as the provider ended it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed
from trunkline.wire.codec import encode
from trunkline.wire.openai_responses_stream import ResponsesStream, error_facts
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.usage import Usage

CORPUS = Path(__file__).parent.parent / "corpus" / "openai_responses"
GOOD = {
    "empty_last_output": Usage(input_tokens=19, output_tokens=12),
    "incomplete": Usage(input_tokens=19, output_tokens=12),
    "open_responses": Usage(input_tokens=19, output_tokens=12),
    "reasoning_and_tools": Usage(
        input_tokens=220, output_tokens=96, cached_input_tokens=128, cache_write_tokens=64, reasoning_tokens=64
    ),
    "refusal": Usage(input_tokens=19, output_tokens=12),
    "text": Usage(input_tokens=19, output_tokens=12),
    "transformers": Usage(input_tokens=19, output_tokens=12),
    "vllm": Usage(input_tokens=19, output_tokens=12),
    "web_search": Usage(input_tokens=19, output_tokens=12),
}
BAD: dict[str, tuple[type[UpstreamError], str]] = {
    "cut": (StreamCut, "broke off"),
    "error_event": (UpstreamFailed, "You exceeded your current quota"),
    "error_flat": (UpstreamFailed, "The server had an error"),
    "fastapi_detail": (UpstreamFailed, "input: Field required"),
    "json_instead": (UpstreamFailed, "Rate limit reached"),
    "malformed": (UpstreamFailed, "not a JSON object"),
    "no_type": (UpstreamFailed, "without a type"),
}


def said(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed(facts.message, status=facts.status, code=facts.code)


def recorded(name: str) -> bytes:
    return (CORPUS / f"{name}.sse").read_bytes()


def named(data: bytes) -> bytes:
    """Each event with its type as its name, and nothing but events."""
    written = b""
    for block in data.split(b"\n\n"):
        payload = block.partition(b"data: ")[2]
        if payload.startswith(b"{"):
            written += b"event: " + msgspec.json.decode(payload)["type"].encode() + b"\ndata: " + payload + b"\n\n"
    return written


def whole(stream: ResponsesStream, data: bytes) -> bytes:
    return stream.feed(data) + stream.end()


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + encode(event) + b"\n\n" for event in events)


def test_every_recorded_stream_is_here() -> None:
    assert {path.stem for path in CORPUS.glob("*.sse")} == {*GOOD, *BAD, "failed"}


@pytest.mark.parametrize("name", GOOD)
def test_a_stream_goes_on_as_it_came(name: str) -> None:
    stream = ResponsesStream(error=said)
    assert stream.feed(recorded(name)) == named(recorded(name))
    assert stream.done
    assert stream.finished
    assert stream.usage == GOOD[name]
    assert stream.end() == stream.feed(b"data: {}\n\n") == stream.release() == b""


@pytest.mark.parametrize("name", GOOD)
def test_a_stream_may_be_cut_anywhere(name: str) -> None:
    data = recorded(name)
    for cut in (data, data.replace(b"\n", b"\r\n"), b": comment\n\n" + data):
        stream = ResponsesStream(error=said)
        written = [stream.feed(cut[at : at + 1]) for at in range(len(cut))]
        assert b"".join(written) + stream.end() == named(data)
        assert all(piece.endswith(b"\n\n") for piece in written if piece)
        assert stream.usage == GOOD[name]


@given(st.sampled_from(sorted(GOOD)), st.integers(1, 200))
def test_an_early_end_is_a_cut(name: str, missing: int) -> None:
    data = named(recorded(name))
    stream = ResponsesStream(error=said)
    begun = stream.feed(data[: -missing - 2])
    with pytest.raises(StreamCut):
        stream.end()
    assert not stream.finished
    assert named(data).startswith(begun + stream.unsent)


@pytest.mark.parametrize("name", BAD)
def test_a_failing_stream_says_why(name: str) -> None:
    kind, sentence = BAD[name]
    stream = ResponsesStream(error=said)
    with pytest.raises(kind, match=sentence):
        whole(stream, recorded(name))
    assert not stream.done


def test_what_came_before_an_error_may_still_go_out() -> None:
    stream = ResponsesStream(error=said)
    with pytest.raises(UpstreamFailed):
        stream.feed(recorded("error_event"))
    assert stream.unsent == named(recorded("error_event").partition(b"event: error")[0])
    assert stream.next_sequence_number == 2


def test_a_failed_response_leaves_room_for_another_attempt_only_before_the_first_event() -> None:
    data = recorded("failed")
    first = ResponsesStream(error=said)
    with pytest.raises(UpstreamFailed, match="invalid content"):
        first.feed(data)
    late = ResponsesStream(error=said)
    at = data.index(b"event: response.output_item")
    assert late.feed(data[:at]) + late.feed(data[at:]) == named(data)
    assert late.done
    assert late.usage == Usage(input_tokens=19, output_tokens=12)
    assert late.failure is not None
    assert late.failure.message == "The model produced invalid content."


def test_another_name_may_be_shown_and_nothing_else_changes() -> None:
    stream = ResponsesStream(model="alias/mine", error=said)
    written = stream.feed(recorded("text"))
    assert written.replace(b"alias/mine", b"gpt-5-mini-2025-08-07") == named(recorded("text"))
    assert written.count(b"alias/mine") == 3


@pytest.mark.parametrize(
    "data",
    [
        b'data: {"type":"response.output_text.delta","delta":"\xff"}\n\n',
        b"data: nonsense\n\n",
        b'data: {"type":5}\n\n',
        sse({"type": "response.completed"}),
        sse({"type": "a\nb"}),
        b'data: {"type":"response.completed","response":5}\n\n',
    ],
)
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        ResponsesStream(error=said).feed(data)


def test_without_a_maker_of_errors_the_provider_is_not_quoted() -> None:
    with pytest.raises(UpstreamFailed, match="reported an error") as caught:
        ResponsesStream().feed(recorded("error_event"))
    assert "quota" not in caught.value.message


def test_usage_that_makes_no_sense_is_none() -> None:
    stream = ResponsesStream(error=said)
    stream.feed(sse({"type": "response.completed", "response": {"output": [], "usage": {"input_tokens": -1}}}))
    assert stream.done
    assert stream.usage is None


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "error": {"message": "no", "code": "c", "type": "t"}},
        {"type": "error", "message": "no", "code": "c", "param": None, "sequence_number": 3},
        {"type": "error", "message": "no", "code": "c", "error": None},
    ],
)
def test_both_forms_of_an_error_are_read(event: dict[str, Any]) -> None:
    facts = error_facts(msgspec.json.decode(encode(event), type=dict[str, msgspec.Raw]))
    assert (facts.message, facts.code) == ("no", "c")


def priced(usage: Usage | None) -> Usage:
    return msgspec.structs.replace(usage or Usage(input_tokens=7, output_tokens=8), cost_nanos=1500)


@pytest.mark.parametrize("kind", ["completed", "incomplete", "failed"])
@pytest.mark.parametrize("model", [None, "fast"])
def test_every_end_tells_what_it_cost(kind: str, model: str | None) -> None:
    # Nobody pays for a failure before the first word.
    ours = (0, 0) if kind == "failed" else (7, 8)
    for usage, counts in (
        ({"input_tokens": 3, "output_tokens": 2}, (3, 2)),
        (None, ours),
        ({"input_tokens": -1}, ours),
    ):
        stream = ResponsesStream(error=said, price=priced, model=model)
        stream.feed(sse({"type": "response.created", "response": {"model": "m", "usage": None}}))
        response = {"model": "m", "output": [{"usage": {"a": 1}}], "usage": usage, "error": {"message": "no"}}
        written = stream.feed(sse({"type": f"response.{kind}", "response": response}))
        told = msgspec.json.decode(written.split(b"\n")[1].removeprefix(b"data: "))["response"]
        shown = told.pop("usage")
        del response["usage"]
        assert told == response | {"model": model or "m"}
        assert (shown["input_tokens"], shown["output_tokens"], shown["cost"]) == (*counts, 0.0000015)


def test_a_failure_after_some_words_has_its_price() -> None:
    stream = ResponsesStream(error=said, price=priced)
    stream.feed(sse({"type": "response.output_text.delta", "delta": "word"}))
    written = stream.feed(sse({"type": "response.failed", "response": {"usage": None, "error": {"message": "no"}}}))
    assert b'"input_tokens":7' in written


def test_a_failure_at_once_has_no_price() -> None:
    def price(usage: Usage | None) -> Usage:
        raise AssertionError

    with pytest.raises(UpstreamFailed):
        ResponsesStream(error=said, price=price).feed(sse({"type": "response.failed", "response": {"error": {}}}))


def test_what_has_come_is_counted_at_any_time() -> None:
    stream = ResponsesStream(error=said)
    kinds = ("output_text", "reasoning_text", "reasoning_summary_text", "function_call_arguments", "refusal")
    for number, kind in enumerate(kinds):
        stream.feed(sse({"type": f"response.{kind}.delta", "delta": " word", "obfuscation": "x" * 40}))
        assert stream.seen_tokens == number + 1
    stream.feed(sse({"type": "response.output_audio.delta", "delta": "A" * 4000}))
    assert stream.seen_tokens == 5


def test_what_came_only_with_the_end_is_counted_where_nobody_else_did() -> None:
    said_at_last = {"output": [{"type": "message", "content": [{"type": "output_text", "text": "x" * 40}]}]}
    stream = ResponsesStream(error=said, price=priced)
    stream.feed(sse({"type": "response.completed", "response": said_at_last}))
    assert stream.seen_tokens == 10
