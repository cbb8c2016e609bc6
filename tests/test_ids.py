"""Identifiers: of their alphabet, of their width, and never twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline import ids


@given(st.integers(0, 62**10 - 1))
def test_base62_can_be_read_back(number: int) -> None:
    text = ids.base62(number, 10)
    assert len(text) == 10
    read = 0
    for letter in text:
        read = read * 62 + ids.ALPHABET.index(letter)
    assert read == number


def test_base62_sorts_as_numbers_do() -> None:
    assert list(ids.ALPHABET) == sorted(ids.ALPHABET)
    assert ids.base62(61, 3) < ids.base62(62, 3) < ids.base62(62**2, 3)


def test_random_text_has_its_width_and_alphabet() -> None:
    made = {ids.random_base62(12) for _ in range(200)}
    assert len(made) == 200
    assert all(len(text) == 12 and set(text) <= set(ids.ALPHABET) for text in made)


def test_call_ids_never_repeat_across_processes() -> None:
    one, other = ids.CallIds(), ids.CallIds()
    made = [source.new() for source in (one, other) for _ in range(1000)]
    assert len(set(made)) == 2000
    assert all(call_id.startswith("call_") and call_id.isascii() for call_id in made)


def test_account_ids_are_recognised_by_their_prefix() -> None:
    assert ids.new_account_id().startswith("acct_")
    assert ids.new_account_id() != ids.new_account_id()


def test_stored_ids_look_as_those_of_openai_do() -> None:
    made = {ids.new_stored_id("resp") for _ in range(100)}
    assert len(made) == 100
    assert all(len(one) == 53 and one.startswith("resp_") and int(one[5:], 16) >= 0 for one in made)
