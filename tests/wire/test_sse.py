"""Server-sent events: the grammar of the HTML standard, however the bytes are cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import UpstreamFailed
from trunkline.wire import sse


def split(*pieces: bytes, joint: bytes = b"\n") -> list[bytes]:
    splitter = sse.Splitter(joint=joint)
    found = [payload for piece in pieces for payload in splitter.feed(piece)]
    return found + splitter.end()


CASES = {
    b"data: a\n\ndata: b\n\n": [b"a", b"b"],
    b"data:a\n\ndata:  b\n\n": [b"a", b" b"],
    b"data: a\r\n\r\ndata: b\r\n\r\n": [b"a", b"b"],
    b"data: a\r\rdata: b\r\r": [b"a", b"b"],
    b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\n": [b"a", b"b", b"c"],
    b"\xef\xbb\xbfdata: a\n\n": [b"a"],
    b"data: a\n\n\xef\xbb\xbfdata: b\n\n": [b"a"],
    b": hello\n\n:\n\ndata: a\n: in between\ndata: b\n\n": [b"a\nb"],
    b"event: x\nid: 1\nretry: 5\ndata: a\n\n": [b"a"],
    b"event: x\n\n\n\n\ndata: a\n\n\n": [b"a"],
    b"data\n\ndata:\n\ndata: a\ndata\n\n": [b"", b"", b"a\n"],
    b"data: a": [b"a"],
    b"data: a\n": [b"a"],
    b"data: a\n\ndata: b\r": [b"a", b"b"],
    b"database: x\n\nDATA: y\n\n data: z\n\n": [],
    b"": [],
    b"\n\n\n": [],
}


@pytest.mark.parametrize("data", CASES)
def test_the_standards_grammar(data: bytes) -> None:
    assert split(data) == CASES[data]
    assert split(*(data[n : n + 1] for n in range(len(data)))) == CASES[data]
    for place in range(len(data)):
        assert split(data[:place], data[place:]) == CASES[data], place


lines = st.sampled_from([b"data: a", b"data:", b"data", b": c", b"", b"event: e", b"data: {\xc3\xa9}", b"x"])
ends = st.sampled_from([b"\n", b"\r", b"\r\n"])


@given(st.lists(st.tuples(lines, ends), max_size=12), st.lists(st.integers(0, 200), max_size=5))
def test_an_independent_reading_gives_the_same(stream: list[tuple[bytes, bytes]], places: list[int]) -> None:
    data = b"".join(line + end for line, end in stream)
    # The standard's algorithm, line by line; bytes.splitlines breaks at CR, LF and CRLF and nothing else.
    expected: list[bytes] = []
    waiting: list[bytes] = []
    for line in [*data.splitlines(), b""]:
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                waiting.append(value.removeprefix(b" "))
        elif waiting:
            expected.append(b"\n".join(waiting))
            waiting = []
    cuts = sorted(place % (len(data) + 1) for place in places)
    assert split(*(data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True))) == expected


def test_an_event_comes_with_its_blank_line_and_not_later() -> None:
    splitter = sse.Splitter()
    assert splitter.feed(b"data: a\n") == []
    assert splitter.rest() == b"data: a\n"
    assert splitter.feed(b"\nda") == [b"a"]
    assert splitter.feed(b"ta: b\r") == []
    assert splitter.feed(b"\r") == [b"b"]
    assert splitter.feed(b"\ndata: c\n\n") == [b"c"]


def test_data_lines_can_be_joined_with_a_blank() -> None:
    assert split(b"data: {\ndata: }\n\n", joint=b" ") == [b"{ }"]


def test_an_event_has_a_greatest_length() -> None:
    splitter = sse.Splitter(max_event_bytes=20)
    assert splitter.feed(b"data: 12345678901\n\n" * 3) == [b"12345678901"] * 3
    with pytest.raises(UpstreamFailed, match="more than 20 bytes"):
        splitter.feed(b"data: 123456789012345\n\n")
    splitter = sse.Splitter(max_event_bytes=20)
    for _ in range(20):
        splitter.feed(b"x")
    with pytest.raises(UpstreamFailed, match="more than 20 bytes"):
        splitter.feed(b"x")


def test_many_small_pieces_of_a_long_event_are_not_copied_over_and_over() -> None:
    splitter = sse.Splitter()
    piece = b"x" * 1000
    splitter.feed(b"data: ")
    for _ in range(4000):
        assert splitter.feed(piece) == []
    assert [len(payload) for payload in splitter.feed(b"\n\n")] == [4_000_000]


def test_what_is_written_is_read_back() -> None:
    assert sse.frame([b"{}"]) == b"data: {}\n\n"
    assert split(sse.frame([b"a", b"b"])) == [b"a", b"b"]
    assert sse.named_event(b"ping", b"{}") == b"event: ping\ndata: {}\n\n"
    assert split(sse.KEEP_ALIVE) == []


@pytest.mark.parametrize("payload", [b'{"a": [\n1,\r\n2]\r}', b"{}", b'{"a":"\\n"}'])
def test_json_of_several_lines_is_one_line_of_an_event(payload: bytes) -> None:
    for written in (sse.frame([payload, payload]), sse.named_event(b"e", payload) * 2):
        found = split(written)
        assert [json.loads(data) for data in found] == [json.loads(payload)] * 2
        assert written.count(b"data: ") == 2
