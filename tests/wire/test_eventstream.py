"""AWS's event stream: the published examples, however the bytes are cut, and everything that can be wrong with them."""

from __future__ import annotations

import struct
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import StreamCut, UpstreamFailed
from trunkline.wire import eventstream
from trunkline.wire.eventstream import HeaderValue, Message

# The cases that the AWS SDKs test themselves with: https://github.com/boto/botocore/blob/develop/tests/unit/test_eventstream.py
PUBLISHED: list[tuple[bytes, dict[str, HeaderValue], bytes]] = [
    (b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2H\xeb}\x98\xc8\xff", {}, b""),
    (b"\x00\x00\x00\x17\x00\x00\x00\x07)\x86\x01X\x04byte\x02\xff\xc2\xf8i\xdc", {"byte": -1}, b""),
    (b"\x00\x00\x00\x19\x00\x00\x00\tq\x0e\x92>\x05short\x03\xff\xff\xb2|\xb6\xcc", {"short": -1}, b""),
    (
        b"\x00\x00\x00\x1d\x00\x00\x00\r\x83\xe3\xf0\xe7\x07integer\x04\xff\xff\xff\xff\x8b\x8e\x12\xeb",
        {"integer": -1},
        b"",
    ),
    (
        b"\x00\x00\x00\x1e\x00\x00\x00\x0e]J\xdb\x8d\x04long\x05\xff\xff\xff\xff\xff\xff\xff\xffK\xc22\xda",
        {"long": -1},
        b"",
    ),
    (b"\x00\x00\x00\x1d\x00\x00\x00\x00\xfdR\x8cZ{'foo':'bar'}\xc3e96", {}, b"{'foo':'bar'}"),
    (
        (b"\x00\x00\x00=\x00\x00\x00 \x07\xfd\x83\x96\x0ccontent-type\x07\x00\x10application/json"
        b"{'foo':'bar'}\x8d\x9c\x08\xb1"),
        {"content-type": "application/json"},
        b"{'foo':'bar'}",
    ),
    (
        (b"\x00\x00\x00\x62\x00\x00\x00\x52\x03\xb5\xcb\x9c\x010\x00\x011\x01\x012\x02\x02\x013\x03\x00\x03"
        b"\x014\x04\x00\x00\x00\x04\x015\x05\x00\x00\x00\x00\x00\x00\x00\x05\x016\x06\x00\x05bytes\x017\x07\x00\x04utf8"
        b"\x018\x08\x00\x00\x00\x00\x00\x00\x00\x08\x019\x090123456789abcdef\x63\x35\x36\x71"),
        {
            "0": True, "1": False, "2": 2, "3": 3, "4": 4, "5": 5, "6": b"bytes", "7": "utf8", "8": 8,
            "9": b"0123456789abcdef",
        },
        b"",
    ),
    (
        (b"\x00\x00\x00\x52\x00\x00\x00\x42\xbf\x23\x63\x7e\x0d:message-type\x07\x00\x05error\x0b:error-code\x07\x00\x04code"
        b"\x0e:error-message\x07\x00\x07message\x6b\x6c\xea\x3d"),
        {":message-type": "error", ":error-code": "code", ":error-message": "message"},
        b"",
    ),
]  # fmt: skip
PUBLISHED_BAD = {
    "length": b"\x01\x00\x00\x1d\x00\x00\x00\x00\xfdR\x8cZ{'foo':'bar'}\xc3e96",
    "payload": b"\x00\x00\x00\x1d\x00\x00\x00\x00\xfdR\x8cZ{'foo':'bar'\x8d\xc3e96",
    "header": b"\x00\x00\x00=\x00\x00\x00 \x07\xfd\x83\x96\x0ccontent+type\x07\x00\x10application/json"
    b"{'foo':'bar'}\x8d\x9c\x08\xb1",
    "headers length": b"\x00\x00\x00=\xff\x00\x01\x02\x07\xfd\x83\x96\x0ccontent-type\x07\x00\x10application/json"
    b"{'foo':'bar'}\x8d\x9c\x08\xb1",
    "header twice": b"\x00\x00\x00\x24\x00\x00\x00\x14\x4b\xb9\x82\xd0\x04test\x04asdf\x04test\x04asdf\xf3\xf4\x75\x63",
}
ALL = b"".join(data for data, _, _ in PUBLISHED)
MESSAGES = [Message(headers, payload) for _, headers, payload in PUBLISHED]
DELTA = eventstream.write({":event-type": "contentBlockDelta", ":message-type": "event"}, b'{"delta":{"text":"a"}}')


def read(*pieces: bytes) -> list[Message]:
    reader = eventstream.Reader()
    found = [message for piece in pieces for message in reader.feed(piece)]
    reader.end()
    return found


def framed(block: bytes, payload: bytes = b"", length: int | None = None) -> bytes:
    """A message with true checksums round whatever headers."""
    prelude = struct.pack(">II", 16 + len(block) + len(payload) if length is None else length, len(block))
    body = prelude + struct.pack(">I", crc32(prelude)) + block + payload
    return body + struct.pack(">I", crc32(body))


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda case: ",".join(case[1]) or str(len(case[2])))
def test_the_published_messages(case: tuple[bytes, dict[str, HeaderValue], bytes]) -> None:
    data, headers, payload = case
    assert read(data) == [Message(headers, payload)]
    assert read(*(data[n : n + 1] for n in range(len(data)))) == [Message(headers, payload)]


def test_any_single_cut_gives_the_same_messages() -> None:
    for place in range(len(ALL) + 1):
        assert read(ALL[:place], ALL[place:]) == MESSAGES


@given(st.lists(st.integers(0, len(ALL)), max_size=12))
def test_any_cuts_give_the_same_messages(places: list[int]) -> None:
    cuts = sorted(places)
    assert read(*(ALL[a:b] for a, b in zip([0, *cuts], [*cuts, len(ALL)], strict=True))) == MESSAGES


@pytest.mark.parametrize("name", PUBLISHED_BAD)
def test_the_published_damage_is_refused(name: str) -> None:
    with pytest.raises(UpstreamFailed, match="damaged"):
        read(PUBLISHED_BAD[name])


@given(st.integers(0, len(DELTA) - 1), st.integers(0, 7))
def test_no_flipped_bit_passes(place: int, bit: int) -> None:
    damaged = bytearray(DELTA)
    damaged[place] ^= 1 << bit
    # A length that grew makes it wait for bytes that never come; the prelude's checksum tells of it at once.
    with pytest.raises(UpstreamFailed):
        read(bytes(damaged))


@given(st.lists(st.integers(0, len(DELTA) * 3), max_size=6))
def test_what_came_before_the_damage_is_handed_out_however_it_was_cut(places: list[int]) -> None:
    data = DELTA + DELTA + PUBLISHED_BAD["payload"]
    cuts = sorted(min(place, len(data)) for place in places)
    reader = eventstream.Reader()
    found: list[Message] = []

    def run() -> None:
        for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True):
            found.extend(reader.feed(data[a:b]))
        reader.end()

    with pytest.raises(UpstreamFailed):
        run()
    assert len(found) == 2
    with pytest.raises(UpstreamFailed):
        reader.feed(DELTA)


texts = st.text(max_size=40)
names = st.text(min_size=1, max_size=40)


@given(st.lists(st.tuples(st.dictionaries(names, texts, max_size=4), st.binary(max_size=200)), max_size=4), st.data())
def test_what_is_written_is_read(messages: list[tuple[dict[str, str], bytes]], data: st.DataObject) -> None:
    stream = b"".join(eventstream.write(headers, payload) for headers, payload in messages)
    place = data.draw(st.integers(0, len(stream)))
    assert read(stream[:place], stream[place:]) == [Message(headers, payload) for headers, payload in messages]


def test_the_writer_spells_as_the_published_ones_do() -> None:
    data, _, payload = PUBLISHED[6]
    assert eventstream.write({"content-type": "application/json"}, payload) == data


def test_a_message_comes_with_its_last_byte_and_not_later() -> None:
    reader = eventstream.Reader()
    assert reader.feed(DELTA[:-1]) == []
    (message,) = reader.feed(DELTA[-1:] + DELTA[:20])
    assert message.text(":event-type") == "contentBlockDelta"
    assert message.text(":exception-type") == ""
    assert message.payload == b'{"delta":{"text":"a"}}'
    assert reader.feed(b"") == []
    (message,) = reader.feed(DELTA[20:])
    reader.end()


def test_an_end_inside_a_message_is_a_cut() -> None:
    for place in range(1, len(DELTA)):
        reader = eventstream.Reader()
        assert reader.feed(DELTA[:place]) == []
        with pytest.raises(StreamCut):
            reader.end()


def test_a_message_that_is_too_long_is_refused_at_its_prelude() -> None:
    reader = eventstream.Reader(max_message_bytes=1000)
    long = eventstream.write({}, bytes(985))
    assert len(long) == 1001
    with pytest.raises(UpstreamFailed, match=r"more than 1,000 bytes"):
        reader.feed(long[:12])
    assert eventstream.Reader(max_message_bytes=1001).feed(long)


@pytest.mark.parametrize(
    "block",
    [
        b"\x00\x07\x00\x01a",  # no name
        b"\x05name",  # the name is cut off
        b"\x04name",  # no type
        b"\x04name\x0a",  # no such type
        b"\x04name\x07\x00\x05text",  # the value is cut off
        b"\x04name\x07\x00",  # its length is cut off
        b"\x04name\x04\x00\x00",  # a number is cut off
        b"\x02\xc3\x28\x00",  # a name that is no UTF-8
        b"\x04name\x07\x00\x02\xc3\x28",  # a text that is no UTF-8
        b"\x01a\x00\x01a\x01",  # a name twice
    ],
)
def test_headers_that_make_no_sense_are_refused(block: bytes) -> None:
    with pytest.raises(UpstreamFailed, match="damaged"):
        read(framed(block))


@given(st.binary(max_size=60))
def test_any_headers_are_read_or_refused(block: bytes) -> None:
    try:
        eventstream.read_headers(block)
    except UpstreamFailed as error:
        assert "damaged" in error.message  # noqa: PT017 - either outcome is right


def test_headers_that_are_too_long_are_refused() -> None:
    prelude = struct.pack(">II", 1 << 20, eventstream.MAX_HEADERS_BYTES + 1)
    with pytest.raises(UpstreamFailed, match="lengths"):
        eventstream.Reader().feed(prelude + struct.pack(">I", crc32(prelude)))


def test_a_message_in_many_small_pieces_costs_no_more_than_its_length() -> None:
    payload = bytes(200_000)
    data = eventstream.write({}, payload)
    reader = eventstream.Reader()
    found = [message for n in range(0, len(data), 7) for message in reader.feed(data[n : n + 7])]
    assert [message.payload for message in found] == [payload]
