"""The editor of a relayed stream: recorded streams give exactly the expected bytes, however they are cut; and laws."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed, UpstreamRateLimited
from trunkline.wire.openai_chat_stream import ChatStream
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.usage import Usage

CORPUS = Path(__file__).parent.parent / "corpus" / "openai_chat"
GOOD = {
    "azure": Usage(input_tokens=9, output_tokens=2),
    "bad_usage": None,
    "deepseek": Usage(input_tokens=11, output_tokens=14, cached_input_tokens=8, reasoning_tokens=12),
    "groq": Usage(input_tokens=36, output_tokens=2),
    "mlx_lm": Usage(input_tokens=12, output_tokens=3),
    "no_usage": None,
    "odd_framing": Usage(input_tokens=19, output_tokens=3),
    "one_chunk": Usage(input_tokens=19, output_tokens=3),
    "openai": Usage(input_tokens=19, output_tokens=3),
    "openai_tools": Usage(input_tokens=19, output_tokens=3),
    "openai_two_choices": Usage(input_tokens=19, output_tokens=3),
    "openrouter": Usage(input_tokens=14, output_tokens=2),
    "transformers": Usage(input_tokens=7, output_tokens=3),
    "usage_in_every_chunk": Usage(input_tokens=19, output_tokens=3),
}
BAD: dict[str, tuple[type[UpstreamError], str]] = {
    "cut": (StreamCut, "broke off"),
    "done_without_finish": (StreamCut, "broke off"),
    "fastapi_detail": (UpstreamFailed, "body.seed: Extra inputs are not permitted"),
    "groq_error": (UpstreamFailed, "Failed to call a function"),
    "json_instead": (UpstreamFailed, "Too many requests"),
    "malformed": (UpstreamFailed, "not a JSON object"),
    "mlx_lm_error": (UpstreamFailed, "Model not found"),
    "not_utf8": (UpstreamFailed, "UTF-8"),
    "openrouter_error": (UpstreamFailed, "Provider returned error"),
}
MODES = pytest.mark.parametrize("asked", [False, True], ids=["unasked", "asked"])


def said(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed(facts.message, status=facts.status, code=facts.code)


def stream_for(name: str, *, asked: bool) -> ChatStream:
    return ChatStream(
        include_usage=asked,
        n=2 if name == "openai_two_choices" else 1,
        role_in_every_chunk=name.startswith(("mlx_lm", "openrouter")),
        error=said,
    )


def run(stream: ChatStream, pieces: Iterable[bytes]) -> tuple[bytes, UpstreamError | None]:
    """Everything written, and the error at the end."""
    written = b""
    try:
        for piece in pieces:
            written += stream.feed(piece)
        return written + stream.end(), None
    except UpstreamError as error:
        return written + stream.unsent, error


def payloads(written: bytes) -> list[bytes]:
    """The data of each event, after checking that the framing is the plainest there is."""
    assert written == b"" or written.endswith(b"\n\n")
    assert b"\r" not in written
    events = written.split(b"\n\n")[:-1]
    assert all(event.startswith((b"data: {", b"data: [DONE]")) and b"\n" not in event for event in events)
    return [event[6:] for event in events]


def chunks_of(written: bytes) -> list[dict[str, Any]]:
    return [msgspec.json.decode(payload) for payload in payloads(written) if payload != b"[DONE]"]


def test_the_table_names_the_whole_corpus() -> None:
    assert {path.name.split(".")[0] for path in CORPUS.glob("*.sse")} == GOOD.keys() | BAD.keys()


@MODES
@pytest.mark.parametrize("name", sorted(GOOD.keys() | BAD.keys()))
def test_a_recorded_stream_gives_the_expected_bytes_however_it_is_cut(name: str, asked: bool) -> None:
    data = (CORPUS / f"{name}.upstream.sse").read_bytes()
    expected = (CORPUS / f"{name}.{'asked' if asked else 'unasked'}.sse").read_bytes()
    stream = stream_for(name, asked=asked)
    written, error = run(stream, [data])
    assert written == expected
    if name in BAD:
        kind, sentence = BAD[name]
        assert type(error) is kind
        assert sentence in error.message
        assert b"[DONE]" not in written
    else:
        assert error is None
        assert stream.usage == GOOD[name]
        assert stream.done
        assert written.endswith(b"data: [DONE]\n\n")
    for place in range(1, len(data)):
        again, other = run(stream_for(name, asked=asked), [data[:place], data[place:]])
        assert (again, type(other)) == (expected, type(error)), place
    again, other = run(stream_for(name, asked=asked), [data[n : n + 1] for n in range(len(data))])
    assert (again, type(other)) == (expected, type(error))


@MODES
@pytest.mark.parametrize("name", sorted(GOOD))
def test_what_is_written_is_what_callers_rely_on(name: str, asked: bool) -> None:
    written = (CORPUS / f"{name}.{'asked' if asked else 'unasked'}.sse").read_bytes()
    chunks = chunks_of(written)
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    assert payloads(written).count(b"[DONE]") == 1
    if asked and GOOD[name] is not None:
        last = chunks.pop()
        assert last["choices"] == []
        assert last["usage"]["completion_tokens"]
    elif GOOD[name] is not None:
        assert chunks[-1]["usage"]["completion_tokens"]
    before = chunks if asked else chunks[:-1]
    assert all(chunk.get("usage") is None for chunk in before)
    assert not asked or all("usage" in chunk for chunk in chunks)
    assert all(chunk["choices"] for chunk in chunks)
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert not chunks[0]["choices"][0]["delta"].get("content")
    assert chunks[-1]["choices"][0]["delta"] == {}
    assert chunks[-1]["choices"][0]["finish_reason"]


BASE = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_755_800_001, "model": "m"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    return {**BASE, "choices": [{"index": index, "delta": delta, "finish_reason": finish}], **more}


def sse(*events: dict[str, Any], done: bool = True) -> bytes:
    lines = b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events)
    return lines + b"data: [DONE]\n\n" if done else lines


ROLE = chunk({"role": "assistant", "content": ""})
FINISH = chunk({}, "stop")
USAGE_CHUNK = {**BASE, "choices": [], "usage": USAGE}


def test_a_finish_chunk_waits_for_its_usage_and_can_be_released_without() -> None:
    stream = ChatStream()
    assert stream.holds == 0
    assert payloads(stream.feed(sse(ROLE, FINISH, done=False))) == [msgspec.json.encode(ROLE)]
    assert (stream.holds, stream.finished, stream.done) == (1, True, False)
    assert chunks_of(stream.release()) == [FINISH]
    assert stream.release() == b""
    late = chunks_of(stream.feed(sse(USAGE_CHUNK)))
    # Usage that comes too late still comes, and never with an empty list of choices.
    assert late == [{**chunk({}), "usage": USAGE}]


def test_usage_that_comes_alone_sends_the_held_finish_at_once() -> None:
    stream = ChatStream()
    stream.feed(sse(ROLE, FINISH, done=False))
    assert chunks_of(stream.feed(sse(USAGE_CHUNK, done=False))) == [{**FINISH, "usage": USAGE}]


def test_when_asked_the_finish_is_not_held() -> None:
    stream = ChatStream(include_usage=True)
    written = stream.feed(sse(ROLE, FINISH, done=False))
    assert [c["choices"][0]["finish_reason"] for c in chunks_of(written)] == [None, "stop"]
    assert stream.holds == 0


def test_with_two_choices_usage_rides_on_the_last_finish() -> None:
    stream = ChatStream(n=2)
    second = chunk({"role": "assistant", "content": ""}, index=1)
    written, error = run(
        stream, [sse(ROLE, second, FINISH, chunk({"content": "x"}, index=1), chunk({}, "length", 1), USAGE_CHUNK)]
    )
    assert error is None
    finishes = [c for c in chunks_of(written) if c["choices"][0]["finish_reason"]]
    assert [c["choices"][0]["index"] for c in finishes] == [0, 1]
    assert [c.get("usage") for c in finishes] == [None, USAGE]


def test_with_two_choices_usage_in_each_finish_is_shown_on_the_last() -> None:
    stream = ChatStream(n=2)
    second = chunk({"role": "assistant", "content": ""}, index=1)
    earlier = {**USAGE, "completion_tokens": 1, "total_tokens": 4}
    written, _ = run(stream, [sse(ROLE, second, {**FINISH, "usage": earlier}, chunk({}, "stop", 1, usage=USAGE))])
    assert [c.get("usage") for c in chunks_of(written)] == [None, None, None, USAGE]


def test_a_choice_that_never_finishes_makes_a_cut() -> None:
    stream = ChatStream(n=2)
    _, error = run(stream, [sse(ROLE, chunk({"content": "x"}, index=1), FINISH)])
    assert isinstance(error, StreamCut)


def test_a_second_finish_of_the_same_choice_is_not_sent() -> None:
    for asked in (False, True):
        stream = ChatStream(include_usage=asked)
        written, error = run(stream, [sse(ROLE, FINISH, {**FINISH, "usage": USAGE, "timings": 1})])
        assert error is None
        chunks = chunks_of(written)
        assert sum(bool(c["choices"] and c["choices"][0]["finish_reason"]) for c in chunks) == 1
        assert chunks[-1]["usage"] == USAGE
        assert chunks[-1]["timings"] == 1


def test_several_choices_in_one_chunk_are_parted() -> None:
    both = {
        **BASE,
        "choices": [chunk({"content": "a"})["choices"][0], chunk({"content": "b"}, "stop", 1)["choices"][0]],
    }
    stream = ChatStream(n=2)
    written, error = run(stream, [sse(ROLE, chunk({"content": ""}, index=1), both, FINISH)])
    assert error is None
    texts = chunks_of(written)[2]
    assert [c["delta"] for c in texts["choices"]] == [{"content": "a"}, {"content": "b"}]
    assert [c["finish_reason"] for c in texts["choices"]] == [None, None]
    assert chunks_of(written)[3]["choices"] == [{"index": 1, "delta": {}, "finish_reason": "stop"}]


def test_ordinary_events_keep_their_bytes_odd_as_they_may_be() -> None:
    odd = (
        b'{ "choices" : [ {"delta":{"content":"\\u00e9\xc3\xa9"},"index":0 , "finish_reason":null}], "x":1e400,"x":2 } '
    )
    stream = ChatStream()
    stream.feed(sse(ROLE, done=False))
    assert stream.feed(b"data: " + odd + b"\n\n") == b"data: " + odd + b"\n\n"


def test_a_role_in_every_chunk_is_sent_once_a_choice() -> None:
    stream = ChatStream(n=2, role_in_every_chunk=True)
    events = [chunk({"role": "assistant", "content": text}, index=index) for text in "ab" for index in (0, 1)]
    written, _ = run(stream, [sse(*events, chunk({"role": "assistant"}, "stop"), chunk({}, "stop", 1))])
    roles = [c["choices"][0]["index"] for c in chunks_of(written) if "role" in c["choices"][0]["delta"]]
    assert roles == [0, 1]


def test_a_name_can_stand_in_for_the_providers() -> None:
    for asked in (False, True):
        written, _ = run(
            ChatStream(model="fast", include_usage=asked), [sse(ROLE, chunk({"content": "a"}), FINISH, USAGE_CHUNK)]
        )
        assert {c["model"] for c in chunks_of(written)} == {"fast"}


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (b"[]", "not a JSON object"),
        (b"x", "not a JSON object"),
        (b'{"choices":"x"}', "not an array of objects"),
        (b'{"choices":[1]}', "not an array of objects"),
        (b'{"choices":[{"index":-1,"delta":{}}]}', "index"),
        (b'{"choices":[{"index":"0","delta":{}}]}', "index"),
        (b'{"choices":[{"index":0,"delta":"x","finish_reason":"stop"}]}', "delta"),
        (b'{"choices":[' + b"[" * 100_000, "not a JSON object"),
        (b'{"choices":[{"index":0,"delta":{},"finish_reason":null}],"usage":null,"error":"boom"}', "boom"),
    ],
)
def test_an_event_that_makes_no_sense_ends_the_stream(event: bytes, sentence: str) -> None:
    for first in (b"", sse(ROLE, done=False)):
        stream = ChatStream(error=said)
        written, error = run(stream, [first + b"data: " + event + b"\n\n" + sse(FINISH)])
        assert isinstance(error, UpstreamFailed)
        assert sentence in error.message
        assert written == first


def test_usage_beyond_reason_is_absent_and_the_stream_goes_on() -> None:
    for wrong in (b'{"prompt_tokens":' + b"9" * 10_000 + b',"completion_tokens":1}', b"[]", b'"x"', b"1e400"):
        data = msgspec.json.encode(chunk({}, "stop"))[:-1] + b',"usage":' + wrong + b"}"
        stream = ChatStream()
        written, error = run(stream, [sse(ROLE, done=False) + b"data: " + data + b"\n\n"])
        assert error is None
        assert stream.usage is None
        assert "usage" not in chunks_of(written)[-1]


def test_what_chunks_without_choices_bring_is_bounded() -> None:
    stream = ChatStream()
    heavy = [{**BASE, "choices": [], f"x{n}": "y" * 300_000} for n in range(4)]
    _, error = run(stream, [sse(*heavy)])
    assert isinstance(error, UpstreamFailed)


def test_the_error_a_provider_tells_of_is_made_by_the_caller() -> None:
    def limited(facts: ErrorFacts) -> UpstreamError:
        assert facts.status == 429
        return UpstreamRateLimited(facts.message)

    stream = ChatStream(error=limited)
    with pytest.raises(UpstreamRateLimited, match="slow down"):
        stream.feed(b'data: {"error":{"message":"slow down","code":429}}\n\n')
    assert not stream.began


def test_nothing_follows_the_end() -> None:
    stream = ChatStream()
    stream.feed(sse(ROLE, FINISH))
    assert stream.done
    assert stream.feed(sse(ROLE)) == b""
    assert stream.end() == b""
    assert stream.release() == b""


def test_a_finish_that_was_held_is_told_before_an_error() -> None:
    stream = ChatStream(error=said)
    written, error = run(stream, [sse(ROLE, FINISH, {"error": "late"})])
    assert isinstance(error, UpstreamFailed)
    assert [c["choices"][0]["finish_reason"] for c in chunks_of(written)] == [None, "stop"]


def priced(usage: Usage | None) -> Usage:
    return msgspec.structs.replace(usage or Usage(input_tokens=7, output_tokens=8), cost_nanos=1500)


COSTS = {**USAGE, "cost": 0.0000015}


def test_a_price_is_asked_for_when_no_more_can_come() -> None:
    repeated = {**USAGE_CHUNK, "usage": {**USAGE, "completion_tokens": 4, "total_tokens": 7}}
    stream = ChatStream(price=priced)
    assert chunks_of(stream.feed(sse(ROLE, FINISH, repeated, done=False))) == [ROLE]
    assert chunks_of(stream.feed(sse(USAGE_CHUNK))) == [{**FINISH, "usage": COSTS}]
    stream = ChatStream(price=priced, include_usage=True)
    assert chunks_of(stream.feed(sse(ROLE, FINISH, repeated, done=False)))[-1] == {**FINISH, "usage": None}
    assert chunks_of(stream.feed(sse(USAGE_CHUNK))) == [{**USAGE_CHUNK, "usage": COSTS}]


def test_usage_of_ours_where_the_provider_gave_none_that_counts() -> None:
    for asked in (False, True):
        for wrong in (None, {"prompt_tokens": "3", "completion_tokens": 2}):
            written, error = run(ChatStream(price=priced, include_usage=asked), [sse(ROLE, {**FINISH, "usage": wrong})])
            assert error is None
            last = chunks_of(written)[-1]
            assert (last["choices"] == []) == asked
            shown = last["usage"]
            assert (shown["prompt_tokens"], shown["completion_tokens"], shown["total_tokens"]) == (7, 8, 15)
            assert shown["cost"] == 0.0000015
            assert shown["prompt_tokens_details"]["cached_tokens"] == 0


def test_with_a_price_other_counts_take_the_place_of_the_providers() -> None:
    def doubled(usage: Usage | None) -> Usage:
        assert usage is not None
        return Usage(input_tokens=2 * usage.input_tokens, output_tokens=usage.output_tokens, cost_nanos=1500)

    written, _ = run(ChatStream(price=doubled), [sse(ROLE, FINISH, USAGE_CHUNK)])
    assert chunks_of(written)[-1]["usage"]["prompt_tokens"] == 6


def test_a_finish_that_waits_in_vain_is_priced_later_and_only_once() -> None:
    asked: list[Usage | None] = []

    def price(usage: Usage | None) -> Usage:
        asked.append(usage)
        return priced(usage)

    stream = ChatStream(price=price)
    stream.feed(sse(ROLE, FINISH, done=False))
    assert chunks_of(stream.release()) == [FINISH]
    assert asked == []
    assert chunks_of(stream.feed(sse(USAGE_CHUNK))) == [{**chunk({}), "usage": COSTS}]
    # Its usage has come, but not the end: what comes after the release changes nothing any more.
    stream = ChatStream(price=price)
    stream.feed(sse(ROLE, FINISH, USAGE_CHUNK, done=False))
    assert chunks_of(stream.release()) == [{**FINISH, "usage": COSTS}]
    assert payloads(stream.feed(sse({**USAGE_CHUNK, "usage": {**USAGE, "completion_tokens": 9}}))) == [b"[DONE]"]
    assert asked == [Usage(input_tokens=3, output_tokens=2)] * 2
    assert stream.usage == asked[-1]


def test_what_has_come_is_counted_at_any_time() -> None:
    stream = ChatStream()
    stream.feed(sse(ROLE, done=False))
    assert stream.seen_tokens == 0
    for number in range(16):
        stream.feed(sse(chunk({"content": " hello"}), done=False))
        assert stream.seen_tokens == number + 1
    stream.feed(sse(chunk({"content": None, "reasoning_content": "x" * 16}), done=False))
    assert stream.seen_tokens == 19
    call = {"index": 0, "function": {"arguments": "12345678"}}
    stream.feed(sse(chunk({"tool_calls": [call]}), chunk({"content": "語" * 8}), done=False))
    assert stream.seen_tokens == 25
    stream.feed(sse(chunk({"content": "last"}, "stop")))
    assert stream.seen_tokens == 26


# What a provider may send: text pieces, then a finish, with every freedom the dialects take.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
extras: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {"usage": None}, {"system_fingerprint": "fp_1"}, {"usage": {"prompt_tokens": -1}}]
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[dict[str, Any]], str, bool]:
    """Events, their whole text, and whether they report usage."""
    pieces = draw(st.lists(texts, max_size=6))
    role_with_text = draw(st.booleans())
    events = [] if role_with_text and pieces else [chunk({"role": "assistant", "content": ""})]
    for number, piece in enumerate(pieces):
        delta: dict[str, Any] = {"content": piece}
        if number == 0 and role_with_text:
            delta = {"role": "assistant", "content": piece}
        events.append(chunk(delta, **draw(extras)))
        if draw(st.integers(0, 5)) == 0:
            events.append({**BASE, "choices": [], "note": number})
    last = draw(st.one_of(st.just(""), texts))
    usage_where = draw(st.sampled_from(["nowhere", "finish", "extra", "hull"]))
    delta = draw(st.sampled_from([{}, {"content": None}, {"role": "assistant", "content": ""}]))
    finish = chunk({"content": last} if last else delta, "stop")
    events.append({**finish, "usage": USAGE} if usage_where == "finish" else finish)
    if usage_where == "extra":
        events.append(USAGE_CHUNK)
    elif usage_where == "hull":
        events.append(chunk({"role": "assistant", "content": ""}, usage=USAGE))
    return events, "".join(pieces) + last, usage_where != "nowhere"


def cut_up(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


@given(answers(), st.booleans(), st.booleans(), st.booleans(), st.lists(st.integers(0, 10_000), max_size=6))
def test_the_rules_hold_for_any_answer_cut_anywhere(
    answer: tuple[list[dict[str, Any]], str, bool], asked: bool, done: bool, crlf: bool, places: list[int]
) -> None:
    events, text, has_usage = answer
    data = sse(*events, done=done)
    if crlf:
        data = data.replace(b"\n", b"\r\n")
    stream = ChatStream(include_usage=asked)
    written, error = run(stream, cut_up(data, places))
    assert error is None
    assert written == run(ChatStream(include_usage=asked), [data])[0]
    assert payloads(written)[-1] == b"[DONE]"
    chunks = chunks_of(written)
    for one in chunks:
        ChatCompletionChunk.model_validate(one)
    if asked and has_usage:
        last = chunks.pop()
        last.pop("system_fingerprint", None)
        assert last == {**BASE, "choices": [], "usage": USAGE}
    finishes = [one for one in chunks if one["choices"][0]["finish_reason"]]
    assert len(finishes) == 1
    assert finishes[0]["choices"][0]["delta"] == {}
    assert "".join(one["choices"][0]["delta"].get("content") or "" for one in chunks) == text
    assert chunks[0]["choices"][0]["delta"] in ({"role": "assistant", "content": ""}, {"content": text[:0]})
    if asked:
        assert all(one["usage"] is None for one in chunks)
    else:
        assert [one.get("usage") for one in chunks if one.get("usage")] == ([USAGE] if has_usage else [])
        assert not has_usage or chunks[-1]["usage"] == USAGE
        relayed = set(payloads(written))
        assert all(msgspec.json.encode(event) in relayed for event in ordinary(events))


def ordinary(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that cross untouched when usage was not asked for."""
    found, carried = [], False
    for number, event in enumerate(events):
        plain = bool(event["choices"]) and event["choices"][0]["finish_reason"] is None and not event.get("usage")
        if plain and number and not carried:
            found.append(event)
        carried = not event["choices"]
    return found
