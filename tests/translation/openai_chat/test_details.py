"""Reasoning entries: what belongs together, and what goes back as it came."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.strategies import Scope
from trunkline.translation import envelope
from trunkline.translation.exchange import Reasoning, State, Text, ToolCall
from trunkline.translation.openai_chat import details
from trunkline.translation.openai_chat.details import Carried, Groups, ToCaller
from trunkline.translation.openai_chat.shapes import Detail

SCOPE = Scope(summaries=True)


@settings(max_examples=examples(80))
@given(strategies.reasoning_parts(SCOPE), strategies.reasoning_parts(SCOPE))
def test_what_goes_to_a_caller_comes_back(first: Reasoning, second: Reasoning) -> None:
    numbered = ToCaller()
    entries = [*numbered.whole(0, first), *numbered.whole(1, second)]
    assert Carried(entries, set()).parts == [first, second]
    # However the client numbers or names them anew, as long as it keeps one of the two.
    for entry in entries:
        entry.index = None
    assert len(Carried(entries, set()).parts) >= 2


def test_states_of_calls_and_text_are_told_apart() -> None:
    state = State("p", "x")
    numbered = ToCaller()
    entries = [
        *numbered.whole(0, Text(text="a", state=state)),
        *numbered.whole(1, ToolCall(id="c1", name="f", state=state)),
        *numbered.whole(2, ToolCall(id="c2", name="f")),
    ]
    carried = Carried(entries, {"c1", "c2"})
    assert (carried.parts, carried.text, carried.calls) == ([], state, {"c1": state})
    # Without its call it is reasoning like any other, and is lost only if its provider does not want it.
    assert Carried(entries, set()).parts == [Reasoning(state=state)]


def test_pieces_of_an_entry_need_not_repeat_its_name() -> None:
    groups = Groups()
    pieces = [
        Detail(type=details.SUMMARY, summary="One", id="rs_1", index=0),
        Detail(type=details.SUMMARY, summary=" two", index=0),
        Detail(type=details.ENCRYPTED, data="x", index=0),
        Detail(type=details.TEXT, text="other", id="rs_2", index=0),
        Detail(type=details.TEXT, signature="s", index=0),
        Detail(type=details.SUMMARY, summary=" three", index=0),
        Detail(type=details.TEXT, text="alone"),
        Detail(type=details.TEXT, text="alone too"),
    ]
    assert [groups.take(piece) for piece in pieces] == [
        (0, 0),
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 0),
        (0, 0),
        (2, 0),
        (3, 0),
    ]
    assert [entry.summary for entry in groups.groups[0]] == ["One two three", None]
    assert groups.groups[1] == [Detail(type=details.TEXT, text="other", signature="s", id="rs_2", index=0)]
    assert "rs_1" in groups
    assert "rs_3" not in groups


def test_state_of_a_provider_is_its_entries() -> None:
    plain = [Detail(type=details.TEXT, text="Hm", index=0)]
    assert details.provider_state(plain, "p") is None
    signed = [Detail(type=details.TEXT, text="Hm", signature="s", format="anthropic-claude-v1", index=0)]
    state = details.provider_state(signed, "p")
    assert state is not None
    assert state.origin == "p"
    (entry,) = details.to_provider(Reasoning(text="changed on the way", state=state), state)
    assert msgspec.json.decode(entry) == {
        "type": "reasoning.text",
        "text": "Hm",
        "signature": "s",
        "format": "anthropic-claude-v1",
        "index": 0,
    }
    assert details.provider_state([Detail(type="reasoning.server_tool_call", index=0)], "p") is not None


def test_state_of_another_form_is_told_as_plainly_as_can_be() -> None:
    native = State("p", "signature==")
    told = [
        msgspec.json.decode(entry)
        for part in (
            Reasoning(text="Hm"),
            Reasoning(),
            ToolCall(id="c1", name="f"),
            Text(text="a"),
        )
        for entry in details.to_provider(part, native)
    ]
    assert told == [
        {"type": "reasoning.text", "text": "Hm", "signature": "signature=="},
        {"type": "reasoning.encrypted", "data": "signature=="},
        {"type": "reasoning.encrypted", "data": "signature==", "id": "c1"},
        {"type": "reasoning.encrypted", "data": "signature==", "id": "text"},
    ]


def test_what_a_provider_wants_back_as_text() -> None:
    kept = State("p", '[{"type":"reasoning_content","text":"whole"}]')
    assert details.wanted_back(Reasoning(text="cut", state=kept)) == "whole"
    assert details.wanted_back(Reasoning(text="T", summaries=["S"], state=State("q", "??"))) == "T\n\nS"
    assert details.wanted_back(Reasoning(text="T")) == "T"


def test_native_values_have_no_origin() -> None:
    carried = Carried([Detail(type=details.TEXT, text="a", signature="EqQB")], set())
    assert carried.parts == [Reasoning(text="a", state=State("", "EqQB"))]
    wrapped = Detail(type=details.ENCRYPTED, data=envelope.wrap(State("p", "EqQB")))
    assert Carried([wrapped], set()).parts == [Reasoning(state=State("p", "EqQB"))]
