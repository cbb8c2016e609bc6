"""Providers' own counters: where each is, what of a request it is sent, and what it answers."""

from __future__ import annotations

import msgspec
import pytest

from trunkline.errors import UpstreamFailed
from trunkline.providers.counters import COUNTERS
from trunkline.providers.protocols import PROTOCOLS
from trunkline.translation.target import Target
from trunkline.wire.codec import Fields, Raw
from trunkline.wire.usage import MAX_COUNT

TARGET = Target(provider_id="p", model_id="p/m", upstream="its-name")
VERTEX = msgspec.structs.replace(TARGET, version="vertex-2023-10-16")


def fields(**values: object) -> Fields:
    return {name: Raw(msgspec.json.encode(value)) for name, value in values.items()}


@pytest.mark.parametrize(
    ("protocol", "target", "path"),
    [
        ("anthropic_messages", TARGET, b"/messages/count_tokens"),
        ("anthropic_messages", VERTEX, b"/models/count-tokens:rawPredict"),
        ("openai_responses", TARGET, b"/responses/input_tokens"),
        ("gemini", TARGET, b"/models/its-name:countTokens"),
    ],
)
def test_where_they_are(protocol: str, target: Target, path: bytes) -> None:
    assert COUNTERS[protocol].path(target) == path


def test_only_protocols_that_providers_speak_have_one() -> None:
    assert COUNTERS.keys() < PROTOCOLS.keys()
    assert "openai_chat" not in COUNTERS, "chat has none"


@pytest.mark.parametrize("protocol", COUNTERS)
def test_what_limits_an_answer_is_not_counted(protocol: str) -> None:
    beside = {"max_tokens", "max_output_tokens", "stream", "temperature", "stop_sequences", "metadata", "store"}
    assert not COUNTERS[protocol].fields & beside


@pytest.mark.parametrize("target", [TARGET, VERTEX])
def test_messages_names_the_model_in_the_body_even_where_the_path_does(target: Target) -> None:
    """A call's body on Vertex AI has lost its model by then; a count's must have one:
    https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/count-tokens"""
    given = fields(messages=[]) | (fields(model="its-name") if target is TARGET else {})
    body = msgspec.json.decode(COUNTERS["anthropic_messages"].body(given, target))
    assert body == {"model": "its-name", "messages": []}


def test_responses_are_sent_as_they_are() -> None:
    given = fields(model="its-name", input="Hi")
    assert msgspec.json.decode(COUNTERS["openai_responses"].body(given, TARGET)) == {"model": "its-name", "input": "Hi"}


def test_gemini_counts_a_whole_request() -> None:
    body = msgspec.json.decode(COUNTERS["gemini"].body(fields(contents=[], tools=[]), TARGET))
    assert body == {"generateContentRequest": {"model": "models/its-name", "contents": [], "tools": []}}


ANSWERS = {"anthropic_messages": "input_tokens", "openai_responses": "input_tokens", "gemini": "totalTokens"}


@pytest.mark.parametrize("protocol", COUNTERS)
def test_an_answer_is_a_number_that_can_be_believed(protocol: str) -> None:
    read, name = COUNTERS[protocol].read, ANSWERS[protocol]
    assert read(msgspec.json.encode({name: 7, "x_new": [1]})) == 7
    for wrong in (-1, MAX_COUNT + 1, "7", None, 1.5):
        with pytest.raises(UpstreamFailed):
            read(msgspec.json.encode({name: wrong}))
    for body in (b"", b"<html>", b"[]", b'{"error":{"message":"no"}}' if name == "input_tokens" else b"7"):
        with pytest.raises(UpstreamFailed):
            read(body)
