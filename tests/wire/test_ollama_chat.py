"""Lines however the bytes are cut, and Ollama's counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from trunkline.errors import UpstreamFailed
from trunkline.wire.ollama_chat import Lines, usage
from trunkline.wire.usage import Usage

LINES = st.lists(st.binary(max_size=8).filter(lambda line: b"\n" not in line), max_size=6)


def read(pieces: list[bytes]) -> list[bytes]:
    lines = Lines()
    found = [line for piece in pieces for line in lines.feed(piece)]
    rest = lines.end()
    return [*found, rest] if rest else found


@given(LINES, st.booleans(), st.data())
def test_lines_are_the_same_however_the_bytes_are_cut(told: list[bytes], ended: bool, data: st.DataObject) -> None:
    stream = b"\n".join(told) + (b"\n" if ended else b"")
    places = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=4)))
    pieces = [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]
    expected = [line for line in told if line.strip()]
    if not ended and expected and told[-1].strip():
        expected[-1] = expected[-1].strip()
    assert read(pieces) == read([stream]) == expected


def test_a_line_has_a_longest_length() -> None:
    assert Lines(max_line_bytes=4).feed(b"1234\n12\n") == [b"1234", b"12"]
    for first, second in ((b"", b"12345\n"), (b"123", b"45"), (b"1\n2", b"3456"), (b"", b"12345")):
        lines = Lines(max_line_bytes=4)
        lines.feed(first)
        with pytest.raises(UpstreamFailed, match="more than 4 bytes"):
            lines.feed(second)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((10, 5, None), Usage(input_tokens=10, output_tokens=5)),
        ((10, 5, 4), Usage(input_tokens=10, output_tokens=5, cached_input_tokens=4)),
        ((10, 5, 40), None),
        ((None, 5, None), Usage(input_tokens=0, output_tokens=5)),
        ((10, None, None), Usage(input_tokens=10, output_tokens=0)),
        ((10, None, -1), None),
        ((None, None, 3), None),
        ((-1, 5, None), None),
        ((10, 10**9, None), None),
    ],
)
def test_a_count_of_nothing_is_left_out(
    counts: tuple[int | None, int | None, int | None], expected: Usage | None
) -> None:
    said = [Raw() if count is None else Raw(str(count).encode()) for count in counts]
    assert usage(*said) == expected
