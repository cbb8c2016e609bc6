"""Halves of surrogate pairs never get through, whole ones always do, wherever the text is cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.translation.anthropic_messages.escapes import Mender, mended

TOKENS = ("\\ud83d", "\\ude00", "\\u0041", "\\\\", "\\n", "a", "u", "d83d", '\\"', "é", "\u2028")


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("\\ud83d\\ude00", "\\ud83d\\ude00"),
        ("\\uD83D\\uDE00\\ud83d", "\\uD83D\\uDE00\\ufffd"),
        ("\\ude00\\ud83d", "\\ufffd\\ufffd"),
        ("\\\\ud83d", "\\\\ud83d"),
        ("\\\\\\ud83d", "\\\\\\ufffd"),
        ("\\ud83d\\\\ude00", "\\ufffd\\\\ude00"),
        ("plain", "plain"),
    ],
)
def test_halves_are_replaced(text: str, whole: str) -> None:
    assert mended(text) == whole


@given(st.lists(st.sampled_from(TOKENS), max_size=8).map("".join), st.lists(st.integers(0, 60), max_size=6))
def test_pieces_come_out_as_the_whole_does(text: str, places: list[int]) -> None:
    cuts = sorted(place % (len(text) + 1) for place in places)
    mender = Mender()
    pieces = [mender.feed(text[start:end]) for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = "".join(pieces) + mender.end()
    assert whole == mended(text)
    json.loads(f'"{whole}"').encode()


def test_what_is_no_escape_does_not_wait_for_ever() -> None:
    mender = Mender()
    assert mender.feed("\\uZZZZ" + "x" * 12) == "\\uZZZZ" + "x" * 12
