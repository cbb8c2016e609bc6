"""Reasons, times, ids of calls, probabilities in OpenAI's form."""

from __future__ import annotations

import msgspec
import pytest

from trunkline.translation.ollama_chat.vocabulary import Logprob, made_call_id, mended, seconds, stop_of, tokens


@pytest.mark.parametrize(
    ("reason", "called", "stop"),
    [
        ("stop", False, "end"),
        ("stop", True, "tool"),
        ("length", True, "length"),
        ("load", False, "end"),
        (None, False, "end"),
    ],
)
def test_reasons(reason: str | None, called: bool, stop: str) -> None:
    assert stop_of(reason, called=called) == stop


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2023-08-04T19:22:45.499127Z", 1691176965),
        ("2026-05-27T22:54:57.641643123Z", 1779922497),
        ("2026-05-28T00:54:57+02:00", 1779922497),
        ("yesterday", 0),
        ("", 0),
    ],
)
def test_times_are_seconds(text: str, when: int) -> None:
    assert seconds(text) == when


def test_ids_of_calls_differ_by_answer_and_number() -> None:
    made = {made_call_id(time, number) for time in ("a", "b") for number in (0, 1)}
    assert len(made) == 4
    assert made_call_id("a", 0) in made


def test_tokens_have_every_field() -> None:
    first = b'{"token":"a","logprob":-1,"top_logprobs":[{"token":"b","logprob":-2}]}'
    raw = b"[" + first + b',{"token":"c","logprob":0,"bytes":[99]}]'
    told = tokens(msgspec.json.decode(raw, type=list[Logprob]))
    assert told is not None
    assert msgspec.json.decode(told) == [
        {
            "token": "a",
            "logprob": -1,
            "bytes": None,
            "top_logprobs": [{"token": "b", "logprob": -2, "bytes": None}],
        },
        {"token": "c", "logprob": 0, "bytes": [99], "top_logprobs": []},
    ]
    assert tokens([]) is None


def test_halves_of_pairs_are_mended() -> None:
    assert mended('{"a":"\\ud83d","b":"\\ud83d\\ude00","c":"\\\\ud83d"}') == (
        '{"a":"\\ufffd","b":"\\ud83d\\ude00","c":"\\\\ud83d"}'
    )
