"""Thinking in callers' hands: wrapped, told apart, given back to its own provider and to no other."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from trunkline.translation import envelope
from trunkline.translation.anthropic_messages import state as states
from trunkline.translation.anthropic_messages.state import strip_foreign_state
from trunkline.translation.exchange import State, ToolCall

MINE, THEIRS = State("anthropic", "sig+/="), State("openai", "enc")
CALL = ToolCall(id="call:1:2", name="n")


def thinking(signature: str, text: str = "hm") -> dict[str, Any]:
    return {"type": "thinking", "thinking": text, "signature": signature}


def redacted(data: str) -> dict[str, Any]:
    return {"type": "redacted_thinking", "data": data}


def stripped(*messages: dict[str, Any], **more: Any) -> Any:
    fields = msgspec.json.decode(msgspec.json.encode({"messages": messages, **more}), type=dict[str, Raw])
    return msgspec.json.decode(msgspec.json.encode(strip_foreign_state(fields, "anthropic")))["messages"]


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


TEXT = {"type": "text", "text": "~tl1.is just text"}


@pytest.mark.parametrize(
    ("carried", "back"),
    [
        (thinking(envelope.wrap(MINE)), thinking("sig+/=")),
        (thinking("native ~tl1.", ""), thinking("native ~tl1.", "")),
        (thinking("~tl1.forged"), thinking("~tl1.forged")),
        (thinking(envelope.wrap(THEIRS)), None),
        (redacted(envelope.wrap(states.of_redacted("anthropic", "secret"))), redacted("secret")),
        (redacted(envelope.wrap(MINE)), thinking("sig+/=", "")),
        (redacted(envelope.wrap(THEIRS)), None),
        (redacted("native"), redacted("native")),
        (redacted(states.of_call(CALL, State("anthropic", "x"))), None),
        (redacted(states.of_text(State("anthropic", "x"))), None),
    ],
)
def test_what_was_wrapped_goes_to_its_own_provider_only(carried: dict[str, Any], back: dict[str, Any] | None) -> None:
    assert stripped(assistant(carried, TEXT)) == [assistant(*([back] if back else []), TEXT)]


def test_everything_else_stays_byte_for_byte() -> None:
    raw = Raw(
        b'[{"role":"user", "content":"~tl1. "},{"role":"assistant","content":[{"type":"text","text":"~tl1.","x":1.0}]}]'
    )
    fields = {"model": Raw(b'"m"'), "messages": raw, "x": Raw(b"1.0")}
    found = strip_foreign_state(fields, "anthropic")
    assert list(found) == ["model", "messages", "x"]
    assert b'{"type":"text","text":"~tl1.","x":1.0}' in bytes(found["messages"])
    untouched = {"messages": Raw(b'[ {"role":"user"} ]')}
    assert strip_foreign_state(untouched, "anthropic") is untouched
    nonsense = {"messages": Raw(b'"~tl1."')}
    assert strip_foreign_state(nonsense, "anthropic") is nonsense
    assert strip_foreign_state({}, "anthropic") == {}


def test_a_turn_of_nothing_but_foreign_thinking_goes() -> None:
    user = {"role": "user", "content": "Hi"}
    assert stripped(user, assistant(thinking(envelope.wrap(THEIRS)))) == [user]


def test_state_of_a_call_says_of_which() -> None:
    found = states.belonging(envelope.unwrap(states.of_call(CALL, State("gemini", "7:data"))))
    assert found == states.Belongs("call:1:2", State("gemini", "7:data"))
    assert states.belonging(envelope.unwrap(states.of_text(State("gemini", "d")))) == states.Belongs(
        None, State("gemini", "d")
    )
    for data in ("plain", "call:", "call:x:y", "call:99:short", states.REDACTED + "d"):
        assert states.belonging(State("gemini", data)) is None
