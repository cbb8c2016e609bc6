"""A provider's signature goes back to that provider byte for byte, and to no other, whatever carried it meanwhile."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec
import pytest

from tests.pairs.callers import CALLERS, JSON, Caller
from tests.pairs.crossing import crossed_stream, crossed_whole, of_pairs
from tests.pairs.upstreams import MAKER, OTHER, UPSTREAMS, Upstream, marked, stateful
from trunkline.pipeline import protocols
from trunkline.translation import continuity, envelope
from trunkline.translation.exchange import (
    Answer,
    ArgumentsDelta,
    Began,
    CallBegan,
    Choice,
    Ended,
    Event,
    Finished,
    Part,
    Reasoning,
    ReasoningDelta,
    Request,
    State,
    StateCame,
    Text,
    TextDelta,
    ToolCall,
    Usage,
)
from trunkline.translation.losses import Losses

STATEFUL = [upstream for upstream in UPSTREAMS.values() if upstream.says.state]
PASSED = {
    one.name: one for one in (protocols.CHAT, protocols.MESSAGES, protocols.RESPONSES, protocols.GEMINI)
}  # fmt: skip
USED = Usage(input_tokens=3, output_tokens=2)
ENVELOPES = (envelope.MARK, b64encode(envelope.MARK.encode())[:5].decode())
"""How an envelope begins, also in base64."""


def thoughtful(upstream: Upstream) -> Answer:
    """Everything of this protocol that carries state: reasoning that is shown and hidden, a text, two calls."""
    says = upstream.says
    state = State(MAKER, "")
    parts: list[Part] = [
        Reasoning(text="First I think.", state=state),
        Reasoning(state=state),
        Text(text="So.", state=state if says.text_state else None),
        ToolCall(id="call_first", name="look", arguments='{"at":1}', state=state if says.call_state else None),
        ToolCall(id="call_second", name="look", arguments='{"at":2}'),
    ]
    return marked(Answer(id="a", model="thinker", choices=[Choice(parts=parts, stop="tool")]))


def events_of(answer: Answer) -> list[Event]:
    """One part after another. A call's state comes once it is there, as it does from Google."""
    events: list[Event] = [Began(answer.id, answer.model)]
    for at, part in enumerate(answer.choices[0].parts):
        if isinstance(part, Text):
            events.append(TextDelta(0, at, part.text))
        elif isinstance(part, Reasoning) and part.text:
            events.append(ReasoningDelta(0, at, part.text))
        elif isinstance(part, ToolCall):
            events.append(CallBegan(0, at, part.id, part.name))
        if isinstance(part, Reasoning | Text | ToolCall) and part.state is not None:
            events.append(StateCame(0, at, part.state))
        if isinstance(part, ToolCall):
            events.append(ArgumentsDelta(0, at, part.arguments))
    return [*events, Finished(0, "tool"), Ended()]


def signatures(answer: Answer, *, without_texts: bool) -> set[str]:
    parts = stateful(answer.choices[0].parts)
    return {part.state.data for part in parts if part.state is not None and not (without_texts and type(part) is Text)}


def held_by_client(caller: Caller, upstream: Upstream, answer: Answer) -> list[JSON]:
    """The next request, after a whole answer and after a stream."""
    whole = crossed_whole(caller, upstream, upstream.whole(answer), caller.asks(False))
    stream = crossed_stream(caller, upstream, [upstream.streamed(answer, events_of(answer))], caller.asks(True))
    return [
        caller.next_request(caller.whole(whole)),
        caller.next_request(caller.streamed(stream), stream=True),
    ]


def written_for(upstream: Upstream, provider_id: str, request: Request) -> str:
    target = upstream.target(provider_id)
    return upstream.translator.write_request(request, target, Losses("m", {})).decode()


def check_kept_from_others(request: Request, secret: set[str]) -> None:
    for other in UPSTREAMS.values():
        written = written_for(other, OTHER, request)
        assert not [one for one in (*secret, *ENVELOPES) if one in written], other.protocol


PAIRS_WITH_STATE = of_pairs(STATEFUL)


@PAIRS_WITH_STATE
def test_through_a_client_that_carries_it(caller: Caller, upstream: Upstream) -> None:
    answer = thoughtful(upstream)
    # Of the states this one alone has no place in a Responses answer.
    returning = signatures(answer, without_texts=caller.protocol == "openai_responses")
    for body in held_by_client(caller, upstream, answer):
        asked = caller.read(body)
        back = written_for(upstream, MAKER, asked)
        assert {one for one in returning if one not in back} == set()
        assert not [mark for mark in ENVELOPES if mark in back]
        check_kept_from_others(asked, signatures(answer, without_texts=False))


@PAIRS_WITH_STATE
def test_a_body_that_is_passed_on_is_cleaned(caller: Caller, upstream: Upstream) -> None:
    """To a provider of the caller's own protocol goes his body; what stands wrapped in it is opened for its maker."""
    answer = thoughtful(upstream)
    for body in held_by_client(caller, upstream, answer):
        inbound = caller.inbound(msgspec.json.encode(body))
        own = UPSTREAMS[caller.protocol]
        passed = PASSED[caller.protocol].passed_body(inbound, own.target(OTHER), []).decode()
        assert not [one for one in (*signatures(answer, without_texts=False), *ENVELOPES) if one in passed]
        if upstream is own and caller.protocol != "openai_chat":
            # A fallback crossed in between; now its own maker is asked again, raw.
            back = PASSED[caller.protocol].passed_body(inbound, own.target(MAKER), []).decode()
            assert all(one in back for one in signatures(answer, without_texts=False))
            assert not [mark for mark in ENVELOPES if mark in back]


CARRIERS = ("reasoning_details", "reasoning_content", "thoughtSignature", "thought_signature")


def forgetful(value: Any) -> Any:
    """A request of a client that knows of no reasoning: no such field, block, item or part is left."""
    if isinstance(value, dict):
        return {name: forgetful(one) for name, one in value.items() if name not in CARRIERS}
    if isinstance(value, list):
        return [forgetful(one) for one in value if not _is_reasoning(one)]
    return value


def _is_reasoning(value: Any) -> bool:
    kinds = ("thinking", "redacted_thinking", "reasoning")
    return isinstance(value, dict) and (value.get("type") in kinds or value.get("thought") is True)


@PAIRS_WITH_STATE
def test_through_a_client_that_loses_it(caller: Caller, upstream: Upstream) -> None:
    answer = thoughtful(upstream)
    read = upstream.translator.read_answer(upstream.whole(answer), upstream.target())
    kept = continuity.to_keep(read)
    for body in held_by_client(caller, upstream, answer):
        asked = caller.read(forgetful(body))
        assert set(continuity.missing(asked)) == {"call_first", "call_second"}
        bare = written_for(upstream, MAKER, asked)
        returning = signatures(answer, without_texts=True)
        assert not [one for one in returning if one in bare]
        continuity.restore(asked, kept)
        back = written_for(upstream, MAKER, asked)
        assert {one for one in returning if one not in back} == set()
        assert back.index(min(returning, key=back.index)) < back.index("call_first") or upstream.says.call_state
        check_kept_from_others(asked, returning)


@pytest.mark.parametrize("upstream", STATEFUL, ids=lambda upstream: upstream.protocol)
def test_what_nobody_wrapped_has_no_origin_and_goes_nowhere(upstream: Upstream) -> None:
    """A caller may bring a signature that never went through here: no crossing sends it on."""
    for caller_protocol, name in (("anthropic_messages", "signature"), ("openai_responses", "encrypted_content")):
        body = _bring_bare(caller_protocol, name)
        asked = CALLERS[caller_protocol].read(body)
        assert any(part.state == State("", "bare-signature") for turn in asked.turns for part in stateful(turn.parts))
        assert "bare-signature" not in written_for(upstream, MAKER, asked)


def _bring_bare(protocol: str, name: str) -> JSON:
    body = CALLERS[protocol].asks(False)
    if protocol == "anthropic_messages":
        thinking = {"type": "thinking", "thinking": "Hm", name: "bare-signature"}
        said = {"role": "assistant", "content": [thinking, {"type": "text", "text": "So."}]}
        return {**body, "messages": [*body["messages"], said, {"role": "user", "content": "And?"}]}
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], name: "bare-signature"}
    more = [reasoning, {"role": "assistant", "content": "So."}, {"role": "user", "content": "And?"}]
    return {**body, "input": [*body["input"], *more]}


PLAIN = [UPSTREAMS[name] for name in ("openai_chat", "cohere_chat", "ollama_chat")]


@of_pairs(PLAIN)
def test_reasoning_that_a_provider_wants_back_in_words_returns(caller: Caller, upstream: Upstream) -> None:
    """DeepSeek and its like: no signature, but the text itself, unchanged."""
    words = "I think of \u2028 this, twice.\n\nThen I act."
    parts: list[Part] = [Reasoning(text=words), ToolCall(id="call_first", name="look", arguments='{"at":1}')]
    answer = Answer(id="a", model="m", choices=[Choice(parts=parts, stop="tool")], usage=USED)
    wanting = msgspec.structs.replace(upstream, wants_words=True)
    body = caller.next_request(caller.whole(crossed_whole(caller, wanting, wanting.whole(answer), caller.asks(False))))
    asked = caller.read(body)
    assert msgspec.json.encode(words).decode() in written_for(wanting, MAKER, asked)
    assert "twice" not in written_for(wanting, OTHER, asked) or upstream.protocol == "openai_chat"
