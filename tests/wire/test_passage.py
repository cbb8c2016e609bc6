"""What is read of requests, answers and events that cross as they are; an event is never split."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from trunkline.errors import InvalidRequest, StreamCut, UpstreamError, UpstreamFailed
from trunkline.wire import passage
from trunkline.wire.passage import EventPassage, read_answer, read_request, read_usage
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.usage import Usage


def test_a_request_keeps_its_bytes_but_for_the_model() -> None:
    asked = read_request(b'{"prompt": "a  b", "model":"mine", "n": 1.0, "stream": false}')
    assert (asked.model, asked.stream) == ("mine", False)
    assert asked.body("theirs") == b'{"prompt":"a  b","model":"theirs","n":1.0,"stream":false}'


@pytest.mark.parametrize(
    ("more", "stream"),
    [
        (b"", False),
        (b',"stream":true', True),
        (b',"stream":null', False),
        (b',"stream_format":"sse"', True),
        (b',"stream_format":"audio"', False),
        (b',"stream_format":{}', False),
    ],
)
def test_whether_the_answer_is_to_be_a_stream(more: bytes, stream: bool) -> None:
    assert read_request(b'{"model":"m"' + more + b"}").stream is stream


@pytest.mark.parametrize("body", [b'{"input":"x"}', b'{"model":null,"input":"x"}'])
def test_a_model_that_is_not_named_is_the_default(body: bytes) -> None:
    assert read_request(body, "the-default").model == "the-default"
    assert msgspec.json.decode(read_request(body, "the-default").body("m")) == {"model": "m", "input": "x"}
    with pytest.raises(InvalidRequest) as caught:
        read_request(body)
    assert caught.value.param == "model"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model":""}', "model"),
        (b'{"model":7}', "model"),
        (b'{"model":"' + b"m" * 1025 + b'"}', "model"),
        (b'{"model":"m","stream":"yes"}', "stream"),
        (b'{"model":"m","model":"n"}', "model"),
        (b'{"MODEL":"m"}', "MODEL"),
        (b'{"m\\u006fdel":"m"}', "model"),
        (b"", None),
    ],
)
def test_what_is_refused(body: bytes, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_request(body)
    assert caught.value.param == param


USAGES: list[tuple[bytes, Usage | None]] = [
    # images: https://platform.openai.com/docs/api-reference/images/object
    (
        b'{"input_tokens":50,"output_tokens":272,"total_tokens":322,"input_tokens_details":{"image_tokens":40}}',
        Usage(input_tokens=50, output_tokens=272, input_image_tokens=40),
    ),
    # transcriptions: https://platform.openai.com/docs/api-reference/audio/json-object
    (
        b'{"type":"tokens","input_tokens":14,"output_tokens":45,"input_token_details":{"audio_tokens":14}}',
        Usage(input_tokens=14, output_tokens=45, input_audio_tokens=14),
    ),
    (b'{"type":"duration","seconds":9}', None),
    (b'{"prompt_tokens":8,"total_tokens":8}', Usage(input_tokens=8, output_tokens=0)),
    (b'{"total_tokens":15}', Usage(input_tokens=15, output_tokens=0)),
    (b'{"input_tokens":5,"input_tokens_details":{"cached_tokens":9}}', None),
    (b'{"input_tokens":-1}', None),
    (b'{"input_tokens":"5"}', None),
    (b"null", None),
    (b"[]", None),
    (b"", None),
]


@pytest.mark.parametrize(("raw", "usage"), USAGES)
def test_usage_as_each_endpoint_counts_it(raw: bytes, usage: Usage | None) -> None:
    assert read_usage(Raw(raw)) == usage


def test_what_is_read_of_an_answer() -> None:
    assert read_answer(b'{"data":[],"usage":{"total_tokens":3}}').usage == Usage(input_tokens=3, output_tokens=0)
    assert read_answer(b'{"text":"hi","error":null}').error is None
    facts = read_answer(b'{"error":{"message":"no","code":"x"}}').error
    assert facts is not None
    assert (facts.message, facts.code) == ("no", "x")
    for body in (b"", b"[]", b"<html>", b'{"a":', b"\xff", b'"text"'):
        with pytest.raises(UpstreamFailed):
            read_answer(body)


def failure(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed(facts.message, code=facts.code)


PARTIAL = (
    b'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"AAAA"}\n\n'
)
COMPLETED = (
    b'event: image_generation.completed\ndata: {"type":"image_generation.completed","b64_json":"BBBB",'
    b'"usage":{"input_tokens":7,"output_tokens":9,"total_tokens":16}}\n\n'
)
COMMENT = b": waiting\n\n"
STREAM = PARTIAL + COMMENT + COMPLETED


def relayed(stream: EventPassage, pieces: list[bytes]) -> list[bytes]:
    writes = [write for piece in pieces if (write := stream.feed(piece))]
    return [*writes, write] if (write := stream.end()) else writes


@settings(deadline=None)
@given(st.data(), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_events_pass_whole_however_they_come(data: st.DataObject, line_end: bytes) -> None:
    sent = STREAM.replace(b"\n", line_end)
    at = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=6)))
    stream = EventPassage(failure)
    writes = relayed(stream, [sent[start:end] for start, end in zip([0, *at], [*at, len(sent)], strict=True)])
    assert b"".join(writes) == STREAM
    assert all(write.endswith(b"\n\n") for write in writes)
    assert stream.usage == Usage(input_tokens=7, output_tokens=9)
    assert (stream.finished, stream.done) == (True, True)


def test_byte_by_byte() -> None:
    for line_end in (b"\n", b"\r\n", b"\r"):
        sent = STREAM.replace(b"\n", line_end)
        stream = EventPassage(failure)
        writes = relayed(stream, [sent[i : i + 1] for i in range(len(sent))])
        assert writes == [PARTIAL, COMMENT, COMPLETED]


def test_an_event_goes_out_the_moment_it_is_whole() -> None:
    stream = EventPassage(failure)
    assert stream.feed(PARTIAL + COMPLETED[:30]) == PARTIAL
    assert stream.feed(COMPLETED[30:-1]) == b""
    assert stream.feed(COMPLETED[-1:]) == COMPLETED


ENDS: list[tuple[dict[str, Any] | None, bool]] = [
    ({"type": "transcript.text.delta", "delta": "a"}, False),
    ({"type": "transcript.text.segment"}, False),
    ({"type": "transcript.text.done", "text": "a"}, True),
    ({"type": "image_edit.completed"}, True),
    ({"type": "speech.audio.done"}, True),
    ({"type": "transcript.text.delta", "delta": 'it is ".done" with "usage"'}, False),
    (None, True),
]


@pytest.mark.parametrize(("event", "finished"), ENDS)
def test_which_event_is_the_last_that_matters(event: dict[str, Any] | None, finished: bool) -> None:
    stream = EventPassage(failure)
    stream.feed(b"data: " + (msgspec.json.encode(event) if event else b"[DONE]") + b"\n\n")
    assert stream.finished is finished


@pytest.mark.parametrize(
    "event",
    [
        b'event: error\ndata: {"type":"error","error":{"type":"server_error","code":"x","message":"no more"}}\n\n',
        b'data: {"error":{"message":"no more","code":"x"}}\n\n',
        b'data: {"error":\ndata: {"message":"no more","code":"x"}}\n\n',
    ],
)
def test_an_error_among_the_events_is_raised_and_what_came_before_may_still_go(event: bytes) -> None:
    stream = EventPassage(failure)
    with pytest.raises(UpstreamFailed, match="no more") as caught:
        stream.feed(PARTIAL + event + COMPLETED)
    assert (stream.unsent, caught.value.code) == (PARTIAL, "x")
    with pytest.raises(UpstreamFailed):
        EventPassage(failure).feed(event)


def test_a_stream_that_breaks_off_in_an_event_is_cut() -> None:
    stream = EventPassage(failure)
    assert stream.feed(PARTIAL + COMPLETED[:-2]) == PARTIAL
    with pytest.raises(StreamCut):
        stream.end()
    ended = EventPassage(failure)
    ended.feed(PARTIAL + b"\n")
    assert ended.end() == b""


def test_an_event_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passage, "MAX_EVENT_BYTES", 1000)
    stream = EventPassage(failure)
    for _ in range(5):
        stream.feed(b"data: " + b"x" * 900 + b"\n\n")
    stream.feed(b"x" * 900)
    with pytest.raises(UpstreamFailed):
        stream.feed(b"x" * 200)


def test_its_events_are_counted() -> None:
    stream = EventPassage(failure)
    stream.feed(PARTIAL + PARTIAL[:5])
    assert stream.seen_tokens == PARTIAL.count(b"\n\n")
