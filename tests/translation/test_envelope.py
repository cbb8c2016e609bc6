"""State in foreign hands is known for what it is when it comes back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.translation.strategies import texts
from trunkline.translation import envelope
from trunkline.translation.exchange import State


@given(st.builds(State, texts(), texts() | st.just("")))
def test_what_was_wrapped_comes_back_byte_for_byte(state: State) -> None:
    wrapped = envelope.wrap(state)
    assert envelope.unwrap(wrapped) == state
    assert envelope.is_wrapped(wrapped)
    assert re.fullmatch(r"~tl1\.[A-Za-z0-9_=-]+", wrapped), "fit for any field, header or URL"


@given(texts())
def test_anything_else_has_no_origin(text: str) -> None:
    assert envelope.unwrap(text) == State("", text)
    assert not envelope.is_wrapped(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "~tl1.",
        "~tl1.!",
        "~tl1.é",
        "~tl1.e30=",
        "~tl1.WzEsMl0=",
        "~tl1.WyJhIl0=",
        "~tl1.W",
        "~tl1._w==",
        "~tl2.WyJhIiwiYiJd",
    ],
)
def test_what_only_looks_like_it_is_left_as_it_is(text: str) -> None:
    """A caller may send anything: it is nobody's state then, and goes to nobody."""
    assert envelope.unwrap(text) == State("", text)


def test_wrapping_what_is_wrapped_is_undone_one_layer_at_a_time() -> None:
    """As through two gateways."""
    inner = envelope.wrap(State("far", "x"))
    assert envelope.unwrap(envelope.wrap(State("near", inner))) == State("near", inner)
