"""Probabilities of tokens, both ways."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw
from openai.types.chat import ChatCompletionTokenLogprob

from trunkline.translation.gemini.logprobs import read_logprobs, write_logprobs

RESULT = {
    "chosenCandidates": [
        {"token": "Yes", "tokenId": 3, "logProbability": -0.5},
        {"token": "é", "logProbability": -1.5},
    ],
    "topCandidates": [{"candidates": [{"token": "No", "logProbability": -0.75}]}],
}
TOKENS: list[dict[str, Any]] = [
    {"token": "Yes", "logprob": -0.5, "bytes": [89, 101, 115],
     "top_logprobs": [{"token": "No", "logprob": -0.75, "bytes": [78, 111]}]},
    {"token": "é", "logprob": -1.5, "bytes": [195, 169], "top_logprobs": []},
]  # fmt: skip


def raw(value: Any) -> Raw:
    return Raw(msgspec.json.encode(value))


def test_what_is_read_is_what_chat_callers_get() -> None:
    read = read_logprobs(raw(RESULT))
    assert read is not None
    tokens = msgspec.json.decode(read)
    assert tokens == TOKENS
    for token in tokens:
        ChatCompletionTokenLogprob.model_validate(token)


def test_what_is_written() -> None:
    written = write_logprobs(raw(TOKENS))
    assert written is not None
    result, average = written
    assert average == -1.0
    assert msgspec.json.decode(msgspec.json.encode(result)) == {
        "chosenCandidates": [{"token": "Yes", "logProbability": -0.5}, {"token": "é", "logProbability": -1.5}],
        "topCandidates": [{"candidates": [{"token": "No", "logProbability": -0.75}]}, {"candidates": []}],
    }


@pytest.mark.parametrize("value", [None, {}, {"chosenCandidates": []}, {"chosenCandidates": 1}, []])
def test_what_tells_of_none(value: Any) -> None:
    assert read_logprobs(raw(value)) is None


@pytest.mark.parametrize("value", [[], {}, [{"token": 1}]])
def test_nothing_is_written_of_nothing(value: Any) -> None:
    assert write_logprobs(raw(value)) is None
