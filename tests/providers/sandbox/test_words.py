from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.sandbox import words

TEXTS = st.text(st.sampled_from("ab \n\t\u00a0\u2003é🙂\x1f"), max_size=60)


@given(TEXTS)
def test_pieces_add_up_to_the_text_and_are_its_words(text: str) -> None:
    pieces = words.pieces(text)
    assert "".join(pieces) == text
    assert [piece.strip() for piece in pieces if piece.strip()] == text.split()
    assert all(piece[-1:].strip() for piece in pieces[:-1]), "whitespace belongs to the word after it"


@given(st.lists(st.sampled_from(["a", "bc ", " ", " d", "\n"]), max_size=40), st.integers(1, 9))
def test_count_is_the_same_in_slices(parts: list[str], size: int) -> None:
    text = "".join(parts)
    kept, words._SLICE = words._SLICE, size
    try:
        assert words.count(text) == len(text.split())
    finally:
        words._SLICE = kept


@given(TEXTS, st.integers(1, 50))
def test_fit_gives_exactly_so_many_words(text: str, tokens: int) -> None:
    fitted = words.fit(text, tokens)
    assert words.fit(text, None) == text
    if text.split():
        assert len(fitted.split()) == tokens
        assert fitted.split()[: len(text.split())] == text.split()[:tokens]
    else:
        assert fitted == text


@given(st.integers(-(2**63), 2**63), st.integers(1, 300))
def test_a_story_has_its_length_and_its_seed(seed: int, tokens: int) -> None:
    story = words.story(seed, tokens)
    assert len(story.split()) == tokens
    assert story == words.story(seed, tokens)
    assert story.endswith(".")


def test_other_seeds_tell_other_stories() -> None:
    assert len({words.story(seed, 20) for seed in range(50)}) == 50


@pytest.mark.parametrize("text", [" " * 1_000_000, "a" * 1_000_000, "a " * 300_000, "\n" * 500_000 + "x"])
def test_hostile_texts_take_linear_time(text: str) -> None:
    began = time.process_time()
    words.pieces(text)
    words.count(text)
    assert time.process_time() - began < 2
