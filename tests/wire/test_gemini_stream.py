"""The editor of a relayed stream: recorded streams give exactly the expected bytes, however they are cut; and laws."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thoroughness import examples
from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed
from trunkline.wire.gemini_stream import GeminiStream, failure_in
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.usage import Usage

CORPUS = Path(__file__).parent.parent / "corpus" / "gemini"
GOOD: dict[str, Usage | None] = {
    "bad_usage": None,
    "blocked": Usage(input_tokens=6, output_tokens=0),
    "code_execution": Usage(input_tokens=33, output_tokens=15),
    "image": Usage(input_tokens=5, output_tokens=1290),
    "logprobs": Usage(input_tokens=3, output_tokens=2),
    "malformed_call": Usage(input_tokens=9, output_tokens=0),
    "max_tokens": Usage(input_tokens=7, output_tokens=60, reasoning_tokens=60),
    "no_usage": None,
    "odd_framing": Usage(input_tokens=1, output_tokens=2),
    "partial_args": Usage(input_tokens=9, output_tokens=30),
    "reason_in_every_chunk": Usage(input_tokens=3, output_tokens=2),
    "safety": Usage(input_tokens=6, output_tokens=2),
    "sound": Usage(input_tokens=5, output_tokens=40, output_audio_tokens=40),
    "text": Usage(input_tokens=12, output_tokens=5),
    "thoughts": Usage(input_tokens=20, output_tokens=46, cached_input_tokens=8, reasoning_tokens=40),
    "tools": Usage(input_tokens=30, output_tokens=29, reasoning_tokens=9),
    "two_candidates": Usage(input_tokens=4, output_tokens=4),
    "usage_at_the_end": Usage(input_tokens=3, output_tokens=1),
    "without_ids": None,
}
BAD: dict[str, tuple[type[UpstreamError], str]] = {
    "cut": (StreamCut, "broke off"),
    "cut_in_event": (StreamCut, "broke off"),
    "empty_chunk": (UpstreamFailed, "not a chunk"),
    "error_at_once": (UpstreamFailed, "Quota exceeded"),
    "error_in_array": (UpstreamFailed, "Quota exceeded"),
    "fastapi_detail": (UpstreamFailed, "no such model"),
    "json_instead": (UpstreamFailed, "not a stream"),
    "malformed": (UpstreamFailed, "not a chunk"),
    "not_utf8": (UpstreamFailed, "UTF-8"),
    "one_of_two_finished": (StreamCut, "broke off"),
    "overloaded": (UpstreamFailed, "overloaded"),
}
NAMES = st.sampled_from(sorted(GOOD.keys() | BAD.keys()))


def said(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed(facts.message, status=facts.status, code=facts.code)


def run(stream: GeminiStream, pieces: Iterable[bytes]) -> tuple[bytes, UpstreamError | None]:
    """Everything written, and the error at the end."""
    written = b""
    try:
        for piece in pieces:
            written += stream.feed(piece)
        return written + stream.end(), None
    except UpstreamError as error:
        return written + stream.unsent, error


def upstream(name: str) -> bytes:
    return (CORPUS / f"{name}.upstream.sse").read_bytes()


def relayed(name: str) -> bytes:
    return (CORPUS / f"{name}.relayed.sse").read_bytes()


def test_the_tables_name_the_whole_corpus() -> None:
    assert {path.name.split(".")[0] for path in CORPUS.glob("*.upstream.sse")} == GOOD.keys() | BAD.keys()


@pytest.mark.parametrize("name", GOOD)
def test_good_streams(name: str) -> None:
    stream = GeminiStream(error=said)
    assert run(stream, [upstream(name)]) == (relayed(name), None)
    assert (stream.usage, stream.finished, stream.done, stream.holds) == (GOOD[name], True, True, 0)
    assert stream.release() == stream.end() == b""


@pytest.mark.parametrize("name", BAD)
def test_bad_streams(name: str) -> None:
    stream = GeminiStream(error=said)
    written, error = run(stream, [upstream(name)])
    kind, sentence = BAD[name]
    assert written == relayed(name)
    assert isinstance(error, kind)
    assert sentence in error.message
    assert not stream.done


@settings(max_examples=examples(60))
@given(NAMES, st.data())
def test_any_split_gives_the_same(name: str, data: st.DataObject) -> None:
    whole = upstream(name)
    places = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)]
    written, error = run(GeminiStream(error=said), pieces)
    assert written == relayed(name)
    assert (error is None) == (name in GOOD)


@pytest.mark.parametrize("name", ["text", "tools", "odd_framing", "blocked"])
def test_another_name_is_shown_and_nothing_else_changes(name: str) -> None:
    def chunks(written: bytes) -> list[object]:
        return [msgspec.json.decode(event[5:]) for event in written.split(b"\n\n") if event]

    written, error = run(GeminiStream(model="mine"), [upstream(name)])
    assert error is None
    expected = [{**chunk, "modelVersion": "mine"} for chunk in chunks(relayed(name)) if isinstance(chunk, dict)]
    assert chunks(written) == expected


def test_usage_of_a_broken_answer_is_kept() -> None:
    stream = GeminiStream(error=said)
    run(stream, [upstream("overloaded")])
    assert stream.usage == Usage(input_tokens=5, output_tokens=1)


def test_nothing_is_sent_before_the_first_chunk() -> None:
    stream = GeminiStream()
    assert stream.feed(b": waiting\n\ndata:\n\n") == b""
    assert not stream.began
    assert stream.feed(b'data: {"candidates":[{}]}\n\n') == b'data: {"candidates":[{}]}\n\n'
    assert stream.began


def test_without_a_maker_of_errors_the_status_is_kept() -> None:
    _, error = run(GeminiStream(), [upstream("overloaded")])
    assert isinstance(error, UpstreamFailed)
    assert error.status == 503


def test_what_stands_in_place_of_a_stream() -> None:
    assert failure_in(b"data: {}", said) is None
    assert failure_in(b"", said) is None
    failure = failure_in(b'\n[{"error": {"code": 429, "message": "Slow down"}}]', said)
    assert failure is not None
    assert (failure.message, failure.status) == ("Slow down", 429)


def chunk(**more: object) -> bytes:
    return b"data: " + msgspec.json.encode({"candidates": [{"index": 0}], **more}) + b"\n\n"


def test_usage_is_of_the_whole_so_far_and_the_last_that_can_be_believed_holds() -> None:
    stream = GeminiStream()
    for told, output in (
        ({"promptTokenCount": 3, "candidatesTokenCount": 1}, 1),
        ({"promptTokenCount": 3, "candidatesTokenCount": 4}, 4),
        ({"promptTokenCount": 3, "candidatesTokenCount": "9"}, 4),
        ({"promptTokenCount": 3, "candidatesTokenCount": 9, "cachedContentTokenCount": 4}, 4),
        ({}, 4),
        (None, 4),
    ):
        data = chunk(usageMetadata=told)
        assert stream.feed(data) == data
        assert stream.usage == Usage(input_tokens=3, output_tokens=output)


def test_what_has_come_is_counted_at_any_time() -> None:
    stream = GeminiStream()
    stream.feed(chunk(candidates=[{"content": {"parts": [{"text": "x" * 27, "thoughtSignature": "s" * 400}]}}]))
    assert stream.seen_tokens == 6
    call = {"functionCall": {"name": "f", "args": {"a": 1}}}
    stream.feed(chunk(candidates=[{"content": {"parts": [{"text": "think", "thought": True}, call]}}]))
    assert stream.seen_tokens > 12
    for odd in ({"content": "x"}, {"content": {"parts": [{"text": 7}]}}):
        data = chunk(candidates=[odd])
        assert stream.feed(data) == data
