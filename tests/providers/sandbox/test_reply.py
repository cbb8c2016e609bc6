from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.sandbox.reply import Answer, Bounds, Call, Reply, cut_to_size

TEXTS = st.text(st.sampled_from("ab \n"), max_size=40)
REPLIES = st.builds(
    lambda reasoning, text, calls: Reply(reasoning=reasoning, text=text, calls=calls),
    TEXTS,
    TEXTS,
    st.lists(st.builds(Call, st.just("f"), st.sampled_from(["{}", '{"a": 1, "b": 2}'])), max_size=3),
)


def size(answer: Answer) -> int:
    return sum(map(len, answer.reasoning + answer.text)) + sum(len("".join(call.arguments)) for call in answer.calls)


@pytest.mark.parametrize(
    ("text", "bounds", "kept", "finish"),
    [
        ("a b c", Bounds(), "a b c", "stop"),
        ("a b c", Bounds(tokens=3), "a b c", "stop"),
        ("a b c", Bounds(tokens=2), "a b", "length"),
        ("a b c", Bounds(stops=["b"]), "a ", "stop"),
        ("a b c", Bounds(stops=["c", "b"]), "a ", "stop"),
        ("a b c", Bounds(stops=["a"]), "", "stop"),
        ("a b c", Bounds(stops=[""]), "a b c", "stop"),
        ("a b c", Bounds(stops=["x"], tokens=1), "a", "length"),
        ("a b c", Bounds(stops=["c"], tokens=1), "a", "length"),
        ("a b c", Bounds(characters=2), "a ", "length"),
        ("alpha beta HALT gamma", Bounds(stops=["ZZZ", "HALT"]), "alpha beta ", "stop"),
    ],
)
def test_a_text_ends_at_its_stop_string_or_its_length(text: str, bounds: Bounds, kept: str, finish: str) -> None:
    answer = cut_to_size(Reply(text=text), bounds)
    assert "".join(answer.text) == kept
    assert answer.finish == finish
    assert answer.tokens == len(kept.split())


def test_a_call_costs_its_name_and_its_arguments() -> None:
    calls = [Call("f", '{"a": 1}'), Call("g", "{}")]
    answers = [cut_to_size(Reply(calls=calls), Bounds(tokens=most)) for most in range(1, 6)]
    assert [answer.tokens for answer in answers] == [1, 2, 3, 4, 5]
    assert [answer.finish for answer in answers] == ["length"] * 4 + ["calls"]
    assert [len(answer.calls) for answer in answers] == [1, 1, 1, 2, 2]
    assert answers[1].calls[0].arguments == ['{"a":']


def test_stop_strings_leave_reasoning_and_calls_alone() -> None:
    reply = Reply(reasoning="stop here", text="a stop b", calls=[Call("f", '{"stop": 1}')])
    answer = cut_to_size(reply, Bounds(stops=["stop"]))
    assert "".join(answer.reasoning) == "stop here"
    assert "".join(answer.text) == "a "
    assert "".join(answer.calls[0].arguments) == '{"stop": 1}'


@given(REPLIES, st.integers(1, 30), st.integers(1, 100))
def test_an_answer_never_exceeds_its_bounds(reply: Reply, tokens: int, characters: int) -> None:
    answer = cut_to_size(reply, Bounds(tokens=tokens, characters=characters))
    free = cut_to_size(reply, Bounds())
    assert answer.tokens <= tokens
    assert answer.reasoning_tokens <= answer.tokens
    assert size(answer) <= characters
    assert "".join(free.reasoning).startswith("".join(answer.reasoning))
    assert "".join(free.text).startswith("".join(answer.text))
    assert (answer.finish == "length") == (
        (answer.reasoning, answer.text, answer.calls) != (free.reasoning, free.text, free.calls)
    )


def test_the_stop_string_that_was_met_is_known() -> None:
    stops = Bounds(stops=["c", "b"])
    assert cut_to_size(Reply(text="a b c"), stops).stop == "b"
    assert cut_to_size(Reply(text="a"), stops).stop is None
    assert cut_to_size(Reply(text="a b c"), Bounds(stops=["b"], tokens=0)).stop is None
