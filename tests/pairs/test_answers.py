"""Every pair of protocols: a stream says what a whole answer says, however it was cut, and both obey the caller's laws.

Messages and chat come out as their vendors' libraries want them, and what these libraries gather is what was said.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pairs import upstreams
from tests.pairs.callers import Caller
from tests.pairs.crossing import EVERY_PAIR, crossed_stream, crossed_whole, held, reread, reread_stream, settled
from tests.pairs.upstreams import Upstream
from tests.thoroughness import examples
from tests.translation import strategies
from trunkline.translation.exchange import Answer, Part, Stop, Turn, Usage

LOST = {
    "openai_chat": set(),
    "anthropic_messages": {"media.image"},
    # A picture goes out as the item of a hosted tool, which comes back as such.
    "openai_responses": {"media.image", "text.state"},
    "gemini": set(),
}
"""What an answer loses on its way to a caller and back, each a line of the caller's table."""


def check(caller: Caller, upstream: Upstream, data: st.DataObject) -> None:
    answer, events = data.draw(upstreams.told(upstream))
    whole, stream = upstream.whole(answer), upstream.streamed(answer, events)
    body = crossed_whole(caller, upstream, whole, caller.asks(False))
    asked = caller.asks(True)
    streamed = crossed_stream(caller, upstream, [stream], asked)
    # (b) any split of the provider's bytes gives the same bytes for the caller.
    assert crossed_stream(caller, upstream, data.draw(strategies.splits(stream)), asked) == streamed
    # (d) the caller's libraries take both.
    got, gathered = caller.whole(body), caller.streamed(streamed)
    # (a) the stream says what the whole answer says.
    assert settled(reread_stream(caller, streamed)) == settled(reread(caller, body))
    read = upstream.translator.read_answer(whole, upstream.target())
    assert counted(reread(caller, body)) == counted(read)
    assert ended(reread(caller, body)) == ended(read)
    said = held(read.choices[0].parts)
    for client_has, streaming in ((got, False), (gathered, True)):
        again = held(answered(caller.read(caller.next_request(client_has, stream=streaming)).turns))
        lost = {name for name in said if again[name] != said[name]}
        assert lost <= LOST[caller.protocol], {name: (said[name], again[name]) for name in lost}


def counted(answer: Answer) -> tuple[int, ...]:
    """What every protocol has a field for. None where the provider did not count: some callers must have zeros."""
    usage = answer.usage or Usage(input_tokens=0, output_tokens=0)
    return usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.reasoning_tokens


SAME_END: dict[Stop, Stop] = {"pause": "end", "stop_sequence": "end", "filter": "refusal"}
"""As far as every protocol tells them apart."""


def ended(answer: Answer) -> Stop:
    stop = answer.choices[0].stop
    return SAME_END.get(stop, stop)


def answered(turns: list[Turn]) -> list[Part]:
    return [part for turn in turns if turn.role == "assistant" for part in turn.parts]


@EVERY_PAIR
@settings(max_examples=examples(10))
@given(data=st.data())
def test_an_answer_crosses_whole_and_as_a_stream(caller: Caller, upstream: Upstream, data: st.DataObject) -> None:
    check(caller, upstream, data)


@pytest.mark.slow
@EVERY_PAIR
@settings(max_examples=examples(400))
@given(data=st.data())
def test_many_answers_cross(caller: Caller, upstream: Upstream, data: st.DataObject) -> None:
    check(caller, upstream, data)
