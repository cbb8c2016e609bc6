"""A caller's blocks, read."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from msgspec import Raw

from tests.translation.bedrock_converse.exchanges import read
from trunkline.errors import InvalidRequest
from trunkline.translation import envelope
from trunkline.translation.bedrock_converse.content import as_bytes
from trunkline.translation.bedrock_converse.vocabulary import REDACTED
from trunkline.translation.exchange import Opaque, Part, Reasoning, State, Text, ToolCall, ToolResult


def parts(*content: Any, role: str = "user") -> list[Part]:
    return read(messages=[{"role": role, "content": list(content)}]).turns[0].parts


def test_every_kind_of_block() -> None:
    call = {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1.0}}}
    assert parts({"text": "Hi"}, call, {"cachePoint": {"type": "default", "ttl": "1h"}}, role="assistant") == [
        Text(text="Hi"),
        ToolCall(id="t", name="f", arguments='{"a":1.0}', cache="1h"),
    ]
    result = {"toolUseId": "t", "status": "error", "content": [{"text": "no"}, {"json": {"b": [1]}}]}
    assert parts({"toolResult": result}) == [
        ToolResult(call_id="t", is_error=True, parts=[Text(text="no"), Text(text='{"b":[1]}')])
    ]
    cited = {"citationsContent": {"content": [{"text": "It "}, {"text": "is."}], "citations": []}}
    assert parts(cited, role="assistant") == [Text(text="It is.")]


def test_a_block_that_is_not_known_is_opaque() -> None:
    guard = {"guardContent": {"text": {"text": "x"}}}
    assert parts(guard) == [Opaque("bedrock_converse", Raw(b'{"guardContent":{"text":{"text":"x"}}}'), "guardContent")]


def test_reasoning_comes_back_with_the_origin_that_it_was_wrapped_with() -> None:
    wrapped = envelope.wrap(State("aws", "sig"))
    signed = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": wrapped}}}
    hidden = {"reasoningContent": {"redactedContent": as_bytes(envelope.wrap(State("aws", REDACTED + "AAEC")))}}
    foreign = {"reasoningContent": {"redactedContent": b64encode(b"\x00\xff").decode()}}
    native = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "own"}}}
    assert parts(signed, hidden, foreign, native, role="assistant") == [
        Reasoning(text="hm", state=State("aws", "sig")),
        Reasoning(state=State("aws", REDACTED + "AAEC")),
        Reasoning(state=State("", REDACTED + "AP8=")),
        Reasoning(text="hm", state=State("", "own")),
    ]


def test_system_blocks_are_a_turn_and_so_are_system_messages() -> None:
    told = read(
        system=[{"text": "Be kind"}, {"cachePoint": {"type": "default"}}],
        messages=[{"role": "user", "content": [{"text": "Hi"}]}, {"role": "system", "content": [{"text": "Now."}]}],
    )
    assert [turn.role for turn in told.turns] == ["system", "user", "system"]
    assert told.turns[0].parts == [Text(text="Be kind", cache="5m")]


@pytest.mark.parametrize(
    ("content", "param"),
    [
        ([{"text": 1}], "messages.0.content.0"),
        ([{"text": "a"}, {"toolUse": {"name": "f"}}], "messages.0.content.1"),
        (["Hi"], "messages.0.content.0"),
    ],
)
def test_what_makes_no_sense_is_named(content: list[Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parts(*content)
    assert caught.value.param == param
