"""A stream as one JSON array: at every moment what has come is the beginning of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from trunkline.wire import sse
from trunkline.wire.gemini import error_event
from trunkline.wire.gemini_array import EventsAsArray

CORPUS = Path(__file__).parent.parent / "corpus" / "gemini"
WRITES = st.lists(st.one_of(st.just(sse.KEEP_ALIVE), st.lists(st.integers(0, 9), min_size=1, max_size=3)), max_size=6)


@given(WRITES)
def test_the_items_are_the_events(writes: list[bytes | list[int]]) -> None:
    array = EventsAsArray()
    written = b""
    items: list[int] = []
    for write in writes:
        if isinstance(write, list):
            items += write
            written += array.write(sse.frame([b"%d" % item for item in write]))
        else:
            written += array.write(write)
        so_far = written.strip() + (b"]" if items else b"[]")
        assert msgspec.json.decode(so_far) == items
    assert msgspec.json.decode(written + array.end()) == items


def test_a_relayed_answer_and_its_error() -> None:
    array = EventsAsArray()
    written = array.write((CORPUS / "overloaded.relayed.sse").read_bytes()) + array.write(error_event(503, "Busy"))
    first, last = msgspec.json.decode(written + array.end())
    assert first["candidates"][0]["content"]["parts"] == [{"text": "Half"}]
    assert last == {"error": {"code": 503, "message": "Busy", "status": "UNAVAILABLE"}}


def test_nothing_is_an_empty_array() -> None:
    assert EventsAsArray().end() == b"[]"
    assert EventsAsArray().write(b"") == b""
