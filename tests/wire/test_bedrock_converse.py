"""Converse on the wire: the outline of a request, usage, and what a stream says went wrong."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.wire import bedrock_converse, eventstream
from trunkline.wire.eventstream import Message
from trunkline.wire.usage import Usage

QUESTION = '{"role":"user","content":[{"text":"Hi"}]}'


def test_a_request_is_read_with_model_and_form_of_its_path() -> None:
    body = f'{{"messages":[{QUESTION}],"inferenceConfig":{{"maxTokens":7}},"guardrailConfig":{{}}}}'
    inbound = bedrock_converse.read_request(body.encode(), "m", stream=True)
    assert (inbound.model, inbound.stream, inbound.max_tokens) == ("m", True, 7)
    assert list(inbound.fields) == ["messages", "inferenceConfig", "guardrailConfig"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ("{}", "messages"),
        ('{"messages":"Hi"}', "messages"),
        ('{"messages":[{"role":"tool","content":[]}]}', "messages"),
        (f'{{"messages":[{QUESTION}],"inferenceConfig":{{"maxTokens":0}}}}', "inferenceConfig"),
        (f'{{"messages":[{QUESTION}],"messages":[]}}', "messages"),
    ],
)
def test_what_is_wrong_is_named(body: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        bedrock_converse.read_request(body.encode(), "m", stream=False)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({"inputTokens": 3, "outputTokens": 2}, Usage(input_tokens=3, output_tokens=2)),
        (
            {"inputTokens": 3, "outputTokens": 2, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 30}
            | {"cacheDetails": [{"ttl": "1h", "inputTokens": 10}, {"ttl": "5m", "inputTokens": 20}]},
            Usage(
                input_tokens=133,
                output_tokens=2,
                cached_input_tokens=100,
                cache_write_tokens=30,
                cache_write_1h_tokens=10,
            ),
        ),
        (
            {"inputTokens": 1, "outputTokens": 0, "cacheWriteInputTokens": 5}
            | {"cacheDetails": [{"ttl": "1h", "inputTokens": 9}]},
            Usage(input_tokens=6, output_tokens=0, cache_write_tokens=5, cache_write_1h_tokens=5),
        ),
        ({"inputTokens": -1, "outputTokens": 2}, None),
        ({"inputTokens": 9_999_999, "outputTokens": 2, "cacheReadInputTokens": 9_999_999}, None),
        ({"outputTokens": 2}, None),
        ("many", None),
    ],
)
def test_usage_is_the_whole_input(said: Any, usage: Usage | None) -> None:
    assert bedrock_converse.read_usage(Raw(msgspec.json.encode(said))) == usage
    if usage is not None:
        assert bedrock_converse.read_usage(Raw(msgspec.json.encode(bedrock_converse.write_usage(usage)))) == usage


def test_usage_that_nobody_counted_is_zeros() -> None:
    told = msgspec.json.decode(msgspec.json.encode(bedrock_converse.write_usage(None)))
    assert told == {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("throttlingException", 429),
        ("validationException", 400),
        ("modelStreamErrorException", 424),
        ("internalServerException", 500),
        ("serviceUnavailableException", 503),
        ("modelTimeoutException", 408),
        ("ModelTimeoutException", 408),
        ("somethingElseException", None),
    ],
)
def test_an_exception_has_its_documented_status(name: str, status: int | None) -> None:
    (message,) = eventstream.Reader().feed(bedrock_converse.exception(name, "Too much"))
    facts = bedrock_converse.failure(message)
    assert facts is not None
    assert (facts.message, facts.code, facts.type, facts.status) == ("Too much", name, name, status)


def test_an_error_of_the_stream_itself_says_so_in_its_headers() -> None:
    headers = {":message-type": "error", ":error-code": "InternalServerException", ":error-message": "broken"}
    facts = bedrock_converse.failure(Message(headers, b""))
    assert facts is not None
    assert (facts.message, facts.code, facts.status) == ("broken", "InternalServerException", 500)


def test_an_event_is_no_failure() -> None:
    (message,) = eventstream.Reader().feed(bedrock_converse.event("metadata", b'{"message":"fine"}'))
    assert bedrock_converse.failure(message) is None
    assert message.text(":event-type") == "metadata"
    assert message.payload == b'{"message":"fine"}'
