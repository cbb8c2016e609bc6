"""What is known of a request before it is known who answers."""

from __future__ import annotations

import pytest

from trunkline.wire import anthropic_messages
from trunkline.wire.codec import Raw
from trunkline.wire.inbound import LONGEST_END_USER, Inbound, end_user
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


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, None),
        ({"user": b'"u-1"'}, "u-1"),
        ({"user": b'"u-1"', "safety_identifier": b'"s-1"'}, "s-1"),
        ({"user": b'""'}, None),
        ({"user": b"null"}, None),
        ({"user": b"7"}, None),
        ({"user": b'{"id":"x"}'}, None),
        ({"user": b'"' + b"u" * 300 + b'"'}, "u" * LONGEST_END_USER),
    ],
)
def test_whom_the_caller_serves(fields: dict[str, bytes], found: str | None) -> None:
    assert end_user({name: Raw(value) for name, value in fields.items()}) == found


@pytest.mark.parametrize(
    ("metadata", "found"),
    [(b'{"user_id":"u-1"}', "u-1"), (b"{}", None), (b"null", None), (b'{"user_id":7}', None), (b'"u"', None)],
)
def test_whom_a_caller_of_messages_serves(metadata: bytes, found: str | None) -> None:
    assert anthropic_messages.end_user({"metadata": Raw(metadata)}) == found
    assert anthropic_messages.end_user({}) is None
