"""Ids of calls fit, stay apart, and stay the same."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tests.translation.strategies import texts
from trunkline.translation.tool_ids import fitted


@given(texts() | st.text("abc_-.", max_size=80), st.integers(32, 64))
def test_an_id_fits_and_is_left_alone_where_it_does(given_id: str, most: int) -> None:
    written = fitted(given_id, most)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", written)
    assert len(written) <= most
    if re.fullmatch(r"[A-Za-z0-9_-]+", given_id) and len(given_id) <= most:
        assert written == given_id
    assert fitted(given_id, most) == written
    assert fitted(written, most) == written


@given(st.sets(st.text(max_size=90), max_size=20))
def test_different_ids_stay_different(ids: set[str]) -> None:
    assert len({fitted(one, 40) for one in ids}) == len(ids)


def test_half_a_pair_is_an_id_too() -> None:
    assert fitted("\ud800", 40).startswith("call_")
