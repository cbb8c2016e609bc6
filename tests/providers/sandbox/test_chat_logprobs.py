from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.sandbox.chat_logprobs import logprobs_of


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5), st.integers(0, 20))
def test_they_are_well_formed_and_always_the_same(tokens: list[str], top: int) -> None:
    found = logprobs_of(tokens, top).content
    assert found == logprobs_of(tokens, top).content
    assert [each.token for each in found] == tokens
    for each in found:
        assert bytes(each.bytes).decode() == each.token
        assert math.exp(each.logprob) >= 0.499
        assert len(each.top_logprobs) == top
        candidates = [candidate.logprob for candidate in each.top_logprobs]
        assert candidates == sorted(candidates, reverse=True)
        assert len({candidate.token for candidate in each.top_logprobs}) == top
        assert sum(map(math.exp, candidates)) < 1.000_01
        if top:
            assert (each.top_logprobs[0].token, each.top_logprobs[0].logprob) == (each.token, each.logprob)
