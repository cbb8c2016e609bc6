"""What is known of a request before it is known who answers."""

from __future__ import annotations

import pytest

from trunkline.wire.inbound import Inbound
from trunkline.wire.openai_chat import ChatRequest, read_request


def test_what_was_not_said_is_not_assumed() -> None:
    inbound = Inbound(fields={}, model="m")
    assert (inbound.stream, inbound.max_tokens) == (False, None)


@pytest.mark.parametrize(
    ("limits", "most"),
    [("", None), (',"max_tokens":5', 5), (',"max_tokens":5,"max_completion_tokens":9', 9)],
)
def test_a_request_of_a_protocol_is_one(limits: str, most: int | None) -> None:
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"a"}]%b}' % limits.encode()
    inbound: Inbound = read_request(body)
    assert isinstance(inbound, ChatRequest)
    assert (inbound.model, inbound.stream, inbound.max_tokens) == ("m", True, most)
    assert bytes(inbound.fields["messages"]) == b'[{"role":"user","content":"a"}]'
