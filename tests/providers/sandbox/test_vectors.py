from __future__ import annotations

import math
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.sandbox.vectors import MOST_DIMENSIONS, of_text, of_tokens, packed, similarity

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(TEXTS, st.integers(1, 64))
def test_length_one_and_always_the_same(text: str, dimensions: int) -> None:
    vector = of_text(text, dimensions)
    assert len(vector) == dimensions
    assert math.isclose(similarity(vector, vector), 1, rel_tol=1e-5)
    assert of_text(f"  {text.upper().lower()} ", dimensions) == of_text(text.upper().lower(), dimensions)
    assert list(struct.unpack(f"<{dimensions}f", packed(vector))) == vector, "single precision loses nothing"


@given(st.lists(st.integers(0, 200_000), min_size=1, max_size=30))
def test_tokens(tokens: list[int]) -> None:
    vector = of_tokens(tokens, 64)
    assert math.isclose(similarity(vector, vector), 1, rel_tol=1e-5)
    assert of_tokens(list(tokens), 64) == vector


@pytest.mark.parametrize("dimensions", [256, MOST_DIMENSIONS])
@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("The cat sat on the mat.", "the cats sat on a mat", "quarterly revenue forecast"),
        ("reset my password", "How do I reset the password?", "the weather in Paris"),
        ("naïve café", "cafe naïve", "zebra crossing"),
    ],
)
def test_like_texts_are_nearer(text: str, near: str, far: str, dimensions: int) -> None:
    one = of_text(text, dimensions)
    assert similarity(one, of_text(near, dimensions)) > 0.3 > similarity(one, of_text(far, dimensions))


def test_order_of_tokens_counts() -> None:
    assert of_tokens([1, 2, 3], 64) != of_tokens([3, 2, 1], 64)


def test_a_long_text_takes_bounded_time() -> None:
    """A guard against a slip of ten times, not a benchmark: it takes about 20 ms."""
    text = " ".join(str(number) for number in range(8_000))
    began = time.process_time()
    of_text(text, 256)
    assert time.process_time() - began < 0.5
