"""The editor of a relayed stream: recorded streams give exactly the expected bytes, however they are cut."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed, UpstreamOverloaded
from trunkline.wire.anthropic_messages_stream import Blocks, MessagesStream
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.usage import Usage

CORPUS = Path(__file__).parent.parent / "corpus" / "anthropic_messages"
GOOD: dict[str, Usage | None] = {
    "compaction": Usage(input_tokens=12, output_tokens=20),
    "context_window": Usage(input_tokens=12, output_tokens=1),
    "empty_refusal": Usage(input_tokens=12, output_tokens=0),
    "max_tokens": Usage(input_tokens=12, output_tokens=1),
    "no_message_stop": Usage(input_tokens=7, output_tokens=2),
    "no_usage": None,
    "odd_framing": Usage(input_tokens=12, output_tokens=2),
    "omitted_thinking": Usage(input_tokens=12, output_tokens=44),
    "pause": Usage(input_tokens=12, output_tokens=20),
    "refusal": Usage(input_tokens=12, output_tokens=5),
    "server_tools": Usage(input_tokens=6039, output_tokens=110),
    "stop_sequence": Usage(input_tokens=12, output_tokens=6),
    "text": Usage(input_tokens=12, output_tokens=9),
    "thinking": Usage(input_tokens=12, output_tokens=90, reasoning_tokens=60),
    "tools": Usage(
        input_tokens=2503,
        output_tokens=70,
        cached_input_tokens=2000,
        cache_write_tokens=500,
        cache_write_1h_tokens=400,
    ),
    "unnamed": Usage(input_tokens=12, output_tokens=2),
    "whole_input": Usage(input_tokens=12, output_tokens=2),
}
BAD: dict[str, tuple[type[UpstreamError], str]] = {
    "cut": (StreamCut, "broke off"),
    "cut_in_event": (StreamCut, "broke off"),
    "error_at_once": (UpstreamFailed, "Internal server error"),
    "fastapi_detail": (UpstreamFailed, "Not Found"),
    "json_instead": (UpstreamFailed, "Too many requests"),
    "malformed": (UpstreamFailed, "not a JSON object"),
    "not_utf8": (UpstreamFailed, "UTF-8"),
    "overloaded": (UpstreamFailed, "Overloaded"),
}
EDITED = {"odd_framing", "unnamed", "no_message_stop"}


def said(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed(facts.message, status=facts.status, code=facts.code)


def run(stream: MessagesStream, pieces: Iterable[bytes]) -> tuple[bytes, UpstreamError | None]:
    """Everything written, each time in whole events, and the error at the end."""
    written = b""
    try:
        for piece in pieces:
            out = stream.feed(piece)
            assert out == b"" or out.endswith(b"\n\n")
            written += out
        return written + stream.end(), None
    except UpstreamError as error:
        return written + stream.unsent, error


def event(kind: str, **facts: object) -> bytes:
    return f"event: {kind}\ndata: ".encode() + msgspec.json.encode({"type": kind, **facts}) + b"\n\n"


START = event("message_start", message={"model": "m", "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}})
DELTA = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"})
STOPPED = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2})
END = event("message_stop")


def test_the_tables_name_the_whole_corpus() -> None:
    assert {path.name.split(".")[0] for path in CORPUS.glob("*.sse")} == GOOD.keys() | BAD.keys()


@pytest.mark.parametrize("name", sorted(GOOD.keys() | BAD.keys()))
def test_a_recorded_stream_gives_the_expected_bytes_however_it_is_cut(name: str) -> None:
    data = (CORPUS / f"{name}.upstream.sse").read_bytes()
    expected = (CORPUS / f"{name}.relayed.sse").read_bytes()
    stream = MessagesStream(error=said)
    written, error = run(stream, [data])
    assert written == expected
    if name in BAD:
        kind, sentence = BAD[name]
        assert type(error) is kind
        assert sentence in error.message
        assert not stream.finished
    else:
        assert error is None
        assert stream.usage == GOOD[name]
        assert (stream.done, stream.finished, stream.holds) == (True, True, 0)
        assert (written == data) == (name not in EDITED)
        assert written.endswith(END)
    for place in range(1, len(data), 1 if name == "odd_framing" else 7):
        again, other = run(MessagesStream(error=said), [data[:place], data[place:]])
        assert (again, type(other)) == (expected, type(error)), place
    again, other = run(MessagesStream(error=said), [data[n : n + 1] for n in range(len(data))])
    assert (again, type(other)) == (expected, type(error))


@pytest.mark.parametrize("name", sorted(GOOD))
def test_every_event_has_the_name_that_its_data_has(name: str) -> None:
    for block in (CORPUS / f"{name}.relayed.sse").read_bytes().split(b"\n\n")[:-1]:
        lines = block.split(b"\n")
        names = [line[6:].strip() for line in lines if line.startswith(b"event:")]
        data = b"".join(line[5:] for line in lines if line.startswith(b"data:"))
        assert names == [msgspec.json.decode(data)["type"].encode()]


def test_the_last_event_may_come_without_its_blank_line() -> None:
    written, error = run(MessagesStream(), [START + STOPPED + END.rstrip()])
    assert error is None
    assert written == START + STOPPED + END


def test_an_end_after_the_stop_reason_is_a_good_end() -> None:
    stream = MessagesStream()
    assert [stream.feed(data) == data and stream.finished for data in (START + DELTA, STOPPED)] == [False, True]
    assert stream.end() == END


def test_nothing_is_held_and_nothing_follows_the_end() -> None:
    stream = MessagesStream()
    assert stream.feed(START + STOPPED + END + DELTA) == START + STOPPED + END
    assert stream.done
    assert stream.feed(DELTA) == stream.end() == stream.release() == b""


def test_pings_pass_but_not_before_the_message() -> None:
    ping = event("ping")
    stream = MessagesStream()
    assert stream.feed(ping + b": comment\n\n") == b""
    assert not stream.began
    assert stream.feed(START + ping) == START + ping


def test_another_name_for_the_model() -> None:
    written, error = run(MessagesStream(model="fast"), [START + DELTA + STOPPED + END])
    assert error is None
    assert written == START.replace(b'"model":"m"', b'"model":"fast"') + DELTA + STOPPED + END


def test_the_error_a_provider_tells_of_is_made_by_the_caller() -> None:
    def overloaded(facts: ErrorFacts) -> UpstreamError:
        assert (facts.type, facts.message) == ("overloaded_error", "Overloaded")
        return UpstreamOverloaded(facts.message)

    stream = MessagesStream(error=overloaded)
    trouble = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    with pytest.raises(UpstreamOverloaded):
        stream.feed(START + DELTA + trouble)
    assert stream.unsent == START + DELTA


@pytest.mark.parametrize(
    "block",
    [
        b"data: []\n\n",
        b"data: x\n\n",
        b'data: {"type":1}\n\n',
        b"data: {}\n\n",
        b'data: {"type":"a\\nevent: b"}\n\n',
        b'event: message_start\ndata: {"type":"message_start"}\n\n',
        b"data: " + b"[" * 100_000 + b"\n\n",
    ],
)
def test_an_event_that_makes_no_sense_ends_the_stream(block: bytes) -> None:
    written, error = run(MessagesStream(), [START + block + END])
    assert isinstance(error, UpstreamFailed)
    assert written == START


def test_an_unknown_event_passes() -> None:
    new = event("content_block_thought", index=0, mood="good")
    written, error = run(MessagesStream(), [START + new + STOPPED + END])
    assert error is None
    assert new in written


def test_an_event_without_an_end_is_bounded() -> None:
    blocks = Blocks(max_event_bytes=100)
    blocks.feed(b"data: " + b"x" * 50)
    with pytest.raises(UpstreamFailed, match="100 bytes"):
        blocks.feed(b"x" * 60)
    with pytest.raises(UpstreamFailed):
        Blocks(max_event_bytes=100).feed(b"data: " + b"x" * 101 + b"\n\n")


LINES = st.lists(st.sampled_from([b"event: a", b"data: {}", b"data:x", b": c", b"id: 1", b"", b"data"]), max_size=12)


@given(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(0, 200), max_size=5), st.booleans())
def test_blocks_are_the_same_however_they_are_cut(
    lines: list[bytes], ends: bytes, places: list[int], mark: bool
) -> None:
    data = (b"\xef\xbb\xbf" if mark else b"") + b"".join(line + ends for line in lines)
    expected = [block.strip(b"\n") for block in b"\n".join([*lines, b""]).split(b"\n\n")[:-1]]
    cuts = sorted(place % (len(data) + 1) for place in places)
    blocks = Blocks()
    found = [
        block
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)
        for block in blocks.feed(data[start:end])
    ]
    assert found == [block for block in expected if block]


def priced(usage: Usage | None) -> Usage:
    return msgspec.structs.replace(usage or Usage(input_tokens=7, output_tokens=8), cost_nanos=1500)


def start(**usage: object) -> bytes:
    return event("message_start", message={"id": "m", "type": "message", "content": [], "usage": usage})


def delta(usage: object = None, reason: str | None = "end_turn") -> bytes:
    told = {} if usage is None else {"usage": usage}
    return event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, **told)


STOP = event("message_stop")


@pytest.mark.parametrize(
    ("deltas", "usage"),
    [
        # What is repeated is of all before it: the last that can be believed holds.
        ([delta({"output_tokens": 4}), delta({"output_tokens": 6})], Usage(input_tokens=5, output_tokens=6)),
        ([delta({"output_tokens": 4}), delta({"output_tokens": "6"})], Usage(input_tokens=5, output_tokens=4)),
        ([delta({"output_tokens": 4}), delta({"input_tokens": 10**7 + 1})], Usage(input_tokens=5, output_tokens=4)),
        ([delta({"input_tokens": 9, "output_tokens": 4})], Usage(input_tokens=9, output_tokens=4)),
        # The start knows nothing yet of how much there is to say.
        ([delta()], None),
        ([delta({"output_tokens": None})], None),
        ([delta({"output_tokens": 4.5})], None),
    ],
)
def test_usage_is_whole_when_the_end_has_told_it(deltas: list[bytes], usage: Usage | None) -> None:
    stream = MessagesStream()
    stream.feed(start(input_tokens=5, output_tokens=1))
    assert stream.usage == Usage(input_tokens=5, output_tokens=1)
    assert stream.feed(b"".join(deltas)) == b"".join(deltas)
    assert stream.feed(STOP) == STOP
    assert stream.usage == usage


def test_with_a_price_the_last_delta_waits_for_the_end() -> None:
    first, last = delta({"output_tokens": 4}, None), delta({"output_tokens": 6})
    stream = MessagesStream(price=priced)
    begun = start(input_tokens=5, output_tokens=1)
    assert stream.feed(begun + first) == begun
    assert stream.feed(last) == first
    assert stream.holds == 2
    assert stream.feed(STOP) == delta({"output_tokens": 6, "cost": 0.0000015}).replace(b"1.5e-6", b"0.0000015") + STOP
    assert stream.done


def test_what_waits_in_vain_is_let_go_and_priced_once() -> None:
    begun, last = start(input_tokens=5, output_tokens=1), delta({"output_tokens": 6})
    shown = delta({"output_tokens": 6, "cost": 0.0000015}).replace(b"1.5e-6", b"0.0000015")
    stream = MessagesStream(price=priced)
    assert stream.feed(begun + last) + stream.release() == begun + shown
    assert stream.release() == b""
    assert stream.feed(STOP) == STOP
    # Nothing was told by then: it goes out as it is, and once more with what is shown instead.
    stream = MessagesStream(price=priced)
    assert stream.feed(begun + delta()) + stream.release() == begun + delta()
    ours = msgspec.json.decode(stream.feed(STOP).split(b"\n")[1].removeprefix(b"data: "))
    assert ours["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert (ours["usage"]["input_tokens"], ours["usage"]["output_tokens"]) == (7, 8)
    assert ours["usage"]["cost"] == 0.0000015


def test_an_end_without_a_delta_still_tells_what_it_cost() -> None:
    stream = MessagesStream(price=priced)
    written = stream.feed(start(input_tokens=5, output_tokens=1) + STOP)
    assert b'"cost":0.0000015' in written
    assert written.endswith(STOP)


def test_what_waited_goes_out_before_an_error() -> None:
    begun, last = start(input_tokens=5, output_tokens=1), delta({"output_tokens": 6})
    written, error = run(MessagesStream(price=priced), [begun + last + event("error", error={"message": "no"})])
    assert isinstance(error, UpstreamFailed)
    assert written == begun + last


def test_what_has_come_is_counted_at_any_time() -> None:
    stream = MessagesStream()
    stream.feed(start(input_tokens=5, output_tokens=1))
    for number, said_so_far in enumerate(("text", "thinking", "partial_json")):
        stream.feed(event("content_block_delta", index=0, delta={"type": f"{said_so_far}_delta", said_so_far: " word"}))
        assert stream.seen_tokens == number + 1
    stream.feed(event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "s" * 400}))
    assert stream.seen_tokens == 3


def test_a_delta_of_another_form_passes() -> None:
    odd = event("content_block_delta", index=0, delta="text")
    stream = MessagesStream()
    stream.feed(start(input_tokens=5, output_tokens=1))
    assert stream.feed(odd) == odd
    assert stream.seen_tokens == 0
