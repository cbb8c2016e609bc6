"""Reasons, and probabilities in OpenAI's form."""

from __future__ import annotations

import msgspec
import pytest

from tests.translation.cohere_chat.exchanges import PROVIDER, TARGET, target
from trunkline.translation.cohere_chat.vocabulary import Logprob, kept, stop_of, tokens
from trunkline.translation.exchange import Reasoning, State


@pytest.mark.parametrize(
    ("reason", "called", "stop"),
    [
        ("COMPLETE", False, "end"),
        ("COMPLETE", True, "tool"),
        ("STOP_SEQUENCE", False, "stop_sequence"),
        ("MAX_TOKENS", True, "length"),
        ("TOOL_CALL", True, "tool"),
        ("ERROR_TOXIC", False, "filter"),
        ("SOMETHING", False, "end"),
        (None, False, "end"),
    ],
)
def test_reasons(reason: str | None, called: bool, stop: str) -> None:
    assert stop_of(reason, called=called) == stop


def test_a_piece_is_a_token_with_the_product_of_its_tokens_probabilities() -> None:
    told = tokens([Logprob("thé", [-0.5, -0.25]), Logprob("", [-1.0]), Logprob("x", None), Logprob(None, [-1.0])])
    assert told is not None
    assert msgspec.json.decode(told) == [
        {"token": "thé", "logprob": -0.75, "bytes": [116, 104, 195, 169], "top_logprobs": []}
    ]
    assert tokens([]) is None


def test_reasoning_is_kept_for_a_provider_that_wants_it_back() -> None:
    assert kept(Reasoning(text="hm"), TARGET).state is None
    assert kept(Reasoning(text="hm"), target(returns_reasoning=True)).state == State(PROVIDER, "hm")
