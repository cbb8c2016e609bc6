"""State that was wrapped for a caller never goes out again in chat; what was not stays byte for byte."""

from __future__ import annotations

import msgspec

from trunkline.translation import envelope
from trunkline.translation.exchange import State
from trunkline.translation.openai_chat.state import strip_state
from trunkline.wire import codec
from trunkline.wire.codec import Fields, Raw

WRAPPED = envelope.wrap(State("elsewhere", "secret state"))


def fields(messages: object) -> Fields:
    found = codec.answer_fields(msgspec.json.encode({"model": "m", "messages": messages}))
    assert found is not None
    return found


def test_wrapped_entries_are_left_out_and_others_stay() -> None:
    own = {"type": "reasoning.text", "text": "a", "signature": "native"}
    sent = fields(
        [
            {"role": "user", "content": "hi " + WRAPPED},
            {
                "role": "assistant",
                "content": "x",
                "reasoning_details": [
                    own,
                    {"type": "reasoning.text", "text": "b", "signature": WRAPPED},
                    {"type": "reasoning.encrypted", "data": WRAPPED},
                ],
            },
        ]
    )
    user, assistant = msgspec.json.decode(strip_state(sent)["messages"])
    assert user == {"role": "user", "content": "hi " + WRAPPED}
    assert assistant["reasoning_details"] == [own]


def test_what_holds_none_is_not_touched() -> None:
    sent = fields([{"role": "user", "content": "hi"}])
    assert strip_state(sent) is sent
    odd: Fields = {"messages": Raw(b'["~tl1."]')}
    assert strip_state(odd) is odd
