"""What has come of an answer, where its provider did not say: about right for any size of pieces, in any script."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.wire.seen import Seen, size_of, tokens_of, whole_answer

ENGLISH = "The gateway counts what it has seen of an answer, so that one that breaks off is charged for what came. " * 8
# As the tokenizers of today's models count them, about.
ENGLISH_TOKENS = 22 * 8


def seen(pieces: list[str]) -> int:
    so_far = Seen()
    for piece in pieces:
        so_far.add(piece)
    return so_far.tokens


@pytest.mark.parametrize("words", [1, 2, 3, 5, 30, 200])
def test_the_size_of_the_pieces_matters_little(words: int) -> None:
    every = ENGLISH.split(" ")
    pieces = [" ".join(["", *every[at : at + words]]) for at in range(0, len(every), words)]
    assert ENGLISH_TOKENS * 0.8 <= seen(pieces) <= ENGLISH_TOKENS * 1.25


def test_a_token_an_event_is_counted_exactly() -> None:
    assert seen(["a", " b", "c."] + ["語"] * 13) == 16


def test_scripts_whose_letters_take_three_bytes() -> None:
    assert seen(["語" * 40]) == 29
    assert seen(["語", "言", "模型"]) == 3


@given(st.lists(st.text()))
def test_it_only_grows_and_nothing_is_nothing(pieces: list[str]) -> None:
    so_far = Seen()
    before = 0
    for piece in pieces:
        so_far.add(piece)
        assert so_far.tokens >= before + (0 if before or not piece else 1)
        before = so_far.tokens
    assert (before == 0) == (not any(pieces))
    size = size_of("".join(pieces))
    assert tokens_of(size) - 2 * sum(map(bool, pieces)) <= before <= size


def test_bytes_and_what_is_told_otherwise() -> None:
    so_far = Seen()
    so_far.add_bytes(-2)
    so_far.add_bytes(0)
    assert so_far.tokens == 0
    so_far.add_bytes(17)
    assert so_far.tokens == 3
    so_far.at_least(2)
    assert so_far.tokens == 3
    so_far.at_least(7)
    assert so_far.tokens == 7


def test_only_its_own_words_count_in_a_whole_answer() -> None:
    said = [
        {
            "message": {
                "role": "assistant",
                "content": [{"type": "text", "text": "x" * 40, "annotations": [{"url": "y" * 99}]}],
                "reasoning": "t" * 8,
                "reasoning_content": "t" * 8,
                "reasoning_details": [{"text": "t" * 8}],
                "tool_calls": [{"id": "i" * 99, "function": {"name": "n" * 4, "arguments": "a" * 8}}],
            },
            "logprobs": {"content": [{"token": "x" * 40}]},
        }
    ]
    assert whole_answer(msgspec.json.encode({"choices": said, "usage": {"text": "z" * 99}}), "choices") == 15
    assert whole_answer(b'{"choices":[{"message":{"content":"a"}}]}', "choices") == 1
    assert whole_answer(b'{"choices":[{"message":{"content":""}}]}', "choices") == 0
    assert whole_answer(b"[]", "choices") == 0
    assert whole_answer(b'{"content":[{"type":"tool_use","name":"f","input":{"a":1}}]}', "content") == 2


def test_what_cannot_be_taken_apart_is_weighed() -> None:
    assert whole_answer(b"x" * 41, "choices") == 11
    assert whole_answer(b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "choices") > 0
