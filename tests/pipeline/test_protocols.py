"""Every protocol of callers, as it is passed on: read, edited at the top, measured, renamed, relayed, ended."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trunkline.errors import InvalidRequest, UpstreamError, UpstreamFailed
from trunkline.pipeline import protocols
from trunkline.pipeline.protocols import CallerProtocol, Edits, Named
from trunkline.providers import passing
from trunkline.providers.protocols import PROTOCOLS
from trunkline.translation.target import Target
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.usage import Usage

JSON = dict[str, Any]
NAMED = Named("asked", stream=False)
TARGET = Target(provider_id="p", model_id="p/m", upstream="its-name", version="2023-06-01")
CALLERS = (protocols.CHAT, protocols.MESSAGES, protocols.RESPONSES, protocols.GEMINI)
EVERY = pytest.mark.parametrize("protocol", CALLERS, ids=lambda one: one.name)
BODIES: dict[str, JSON] = {
    "openai_chat": {"model": "asked", "messages": [{"role": "user", "content": "Hi"}], "x_new": [1.50]},
    "anthropic_messages": {"model": "asked", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
    "openai_responses": {"model": "asked", "input": "Hi", "store": False},
    "gemini": {"contents": [{"parts": [{"text": "Hi"}]}]},
}
USAGE = Usage(input_tokens=3, output_tokens=2)
ANSWERS: dict[str, bytes] = {
    "openai_chat": b'{"id":"c","model":"real","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}',
    "anthropic_messages": b'{"id":"m","type":"message","model":"real","content":[],"stop_reason":"end_turn",'
    b'"usage":{"input_tokens":3,"output_tokens":2}}',
    "openai_responses": b'{"id":"r","object":"response","model":"real","status":"completed","output":[],'
    b'"usage":{"input_tokens":3,"output_tokens":2}}',
    "gemini": b'{"candidates":[{"finishReason":"STOP"}],"modelVersion":"real",'
    b'"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2}}',
}
ID_FIELDS = {"openai_chat": "id", "anthropic_messages": "id", "openai_responses": "id", "gemini": "responseId"}
IDS = {"openai_chat": "c", "anthropic_messages": "m", "openai_responses": "r", "gemini": "g"}
ENDS: dict[str, bytes] = {
    "openai_chat": b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    "anthropic_messages": b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":2}}\n\n',
    "openai_responses": b'event: response.completed\ndata: {"type":"response.completed","sequence_number":1,"response":'
    b'{"id":"r","model":"real","status":"completed","output":[]}}\n\n',
    "gemini": b'data: {"candidates":[{"index":0,"finishReason":"STOP"}]}\n\n',
}
STREAMS: dict[str, bytes] = {
    "openai_chat": b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"real","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n',
    "anthropic_messages": b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message",'
    b'"role":"assistant","model":"real","content":[],"usage":{"input_tokens":3,"output_tokens":1}}}\n\n',
    "openai_responses": b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":'
    b'{"id":"r","model":"real","status":"in_progress"}}\n\n',
    "gemini": b'data: {"candidates":[{"index":0,"content":{"parts":[{"text":"hi"}],"role":"model"}}],'
    b'"modelVersion":"real"}\n\n',
}


def said(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed(facts.message, status=facts.status)


def body(protocol: CallerProtocol, **fields: Any) -> bytes:
    return msgspec.json.encode({**BODIES[protocol.name], **fields})


@EVERY
def test_it_is_the_providers_protocol_of_the_same_name(protocol: CallerProtocol) -> None:
    assert protocol.spoken is PROTOCOLS[protocol.name]
    assert protocol.spoken.translator.protocol == protocol.name


@EVERY
def test_a_body_is_passed_on_under_the_providers_name_for_the_model(protocol: CallerProtocol) -> None:
    inbound = protocol.read(body(protocol), NAMED)
    assert (inbound.model, inbound.stream) == ("asked", False)
    passed = msgspec.json.decode(protocol.passed_body(inbound, TARGET, []))
    expected = BODIES[protocol.name] | ({} if protocol is protocols.GEMINI else {"model": "its-name"})
    assert passed == expected


@EVERY
def test_what_cannot_be_read_names_what_is_wrong(protocol: CallerProtocol) -> None:
    with pytest.raises(InvalidRequest):
        protocol.read(b"{", NAMED)
    wrong = next(name for name in ("messages", "input", "contents") if name in BODIES[protocol.name])
    with pytest.raises(InvalidRequest) as refused:
        protocol.read(body(protocol, **{wrong: 5}), NAMED)
    assert (refused.value.param or "").startswith(wrong)


def test_the_path_names_geminis_model_and_its_stream() -> None:
    inbound = protocols.GEMINI.read(body(protocols.GEMINI), Named("other", stream=True, events=False))
    assert (inbound.model, inbound.stream) == ("other", True)


@pytest.mark.parametrize("protocol", CALLERS[:3], ids=lambda one: one.name)
def test_the_body_asks_for_a_stream(protocol: CallerProtocol) -> None:
    assert protocol.read(body(protocol, stream=True), NAMED).stream


def test_what_runs_in_the_background_is_a_stream_whatever_its_caller_wants() -> None:
    read = protocols.RESPONSES.read
    assert read(body(protocols.RESPONSES, background=True, store=True), None).stream
    assert not read(body(protocols.RESPONSES), None).stream


@EVERY
def test_an_answer_is_measured(protocol: CallerProtocol) -> None:
    answer = protocol.measure(ANSWERS[protocol.name])
    assert answer.usage == USAGE
    assert answer.error is None
    assert answer.response_id == msgspec.json.decode(ANSWERS[protocol.name]).get(ID_FIELDS[protocol.name])
    assert answer.finish_reason in ("stop", "end_turn", "completed", "STOP")
    with pytest.raises(UpstreamFailed):
        protocol.measure(b"<html>")


def test_an_error_in_an_answer_of_chat_is_found() -> None:
    error = protocols.CHAT.measure(b'{"error":{"message":"over","code":503}}').error
    assert error is not None
    assert error.status == 503


TIERS: dict[str, tuple[JSON, str]] = {
    # what tells that an answer was served in another way, and how that way is called
    "openai_chat": ({"service_tier": "priority"}, "priority"),
    "openai_responses": ({"service_tier": "flex"}, "flex"),
    "anthropic_messages": ({"usage": {"input_tokens": 3, "output_tokens": 2, "speed": "fast"}}, "fast"),
    "gemini": ({"usageMetadata": {"promptTokenCount": 3, "serviceTier": "FLEX"}}, "flex"),
}
ORDINARY: dict[str, JSON] = {
    "openai_chat": {"service_tier": "default"},
    "openai_responses": {"service_tier": "auto"},
    "anthropic_messages": {"usage": {"input_tokens": 3, "output_tokens": 2, "service_tier": "standard"}},
    "gemini": {"usageMetadata": {"promptTokenCount": 3, "serviceTier": "STANDARD"}},
}


@EVERY
def test_how_it_was_served_is_told(protocol: CallerProtocol) -> None:
    answer = msgspec.json.decode(ANSWERS[protocol.name])
    said, tier = TIERS[protocol.name]
    for more, expected in ((said, tier), (ORDINARY[protocol.name], None)):
        usage = protocol.measure(msgspec.json.encode(answer | more)).usage
        assert usage is not None
        assert usage.service_tier == expected


@EVERY
@pytest.mark.parametrize("odd", [7, None, ["x"], "x" * 201])
def test_an_odd_label_does_no_harm(protocol: CallerProtocol, odd: object) -> None:
    """Only usage and failures decide anything."""
    answer = msgspec.json.decode(ANSWERS[protocol.name])
    measured = protocol.measure(msgspec.json.encode(answer | {ID_FIELDS[protocol.name]: odd}))
    assert (measured.usage, measured.error, measured.response_id) == (USAGE, None, None)


@EVERY
def test_a_stream_tells_what_it_is_called(protocol: CallerProtocol) -> None:
    editor = protocol.editor(protocol.read(body(protocol), NAMED), TARGET, Edits(model=None, error=said))
    assert (editor.response_id, editor.finish_reason) == (None, None)
    stream = STREAMS[protocol.name].replace(b'"modelVersion"', b'"responseId":"g","modelVersion"')
    written = editor.feed(stream)
    assert editor.response_id == protocol.id_in(written) == IDS[protocol.name]
    editor.feed(ENDS[protocol.name])
    assert editor.finish_reason in ("stop", "end_turn", "completed", "STOP")


@EVERY
def test_an_answer_is_renamed_and_nothing_else_of_it(protocol: CallerProtocol) -> None:
    answer = ANSWERS[protocol.name]
    renamed = msgspec.json.decode(protocol.renamed(answer, "shown"))
    assert renamed == msgspec.json.decode(answer.replace(b'"real"', b'"shown"'))


@EVERY
def test_a_stream_is_relayed_with_the_name_that_is_shown(protocol: CallerProtocol) -> None:
    inbound = protocol.read(body(protocol), NAMED)
    for shown, expected in ((None, b'"real"'), ("shown", b'"shown"')):
        editor = protocol.editor(inbound, TARGET, Edits(model=shown, error=said))
        stream = STREAMS[protocol.name]
        out = editor.feed(stream)
        assert expected in out
        assert msgspec.json.decode(out.split(b"data: ")[1]) == msgspec.json.decode(
            stream.replace(b'"real"', expected).split(b"data: ")[1]
        )
        assert not editor.done


@EVERY
def test_an_error_in_a_stream_is_made_by_who_asked(protocol: CallerProtocol) -> None:
    inbound = protocol.read(body(protocol), NAMED)
    editor = protocol.editor(inbound, TARGET, Edits(model=None, error=said))
    error = {"type": "error", "error": {"message": "busy", "code": 503}, "message": "busy", "code": "503"}
    with pytest.raises(UpstreamFailed, match="busy") as failed:
        editor.feed(b"event: error\ndata: " + msgspec.json.encode(error) + b"\n\n")
    assert failed.value.status == 503


SCHEMA = {"type": "object"}
FORMED: dict[str, tuple[JSON, JSON]] = {
    # what asks for a schema, what asks for something else in the same field
    "openai_chat": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}},
        {"response_format": {"type": "json_object"}},
    ),
    "anthropic_messages": (
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"output_config": {"effort": "low"}},
    ),
    "openai_responses": (
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}},
        {"text": {"verbosity": "low"}},
    ),
    "gemini": (
        {"generationConfig": {"responseMimeType": "application/json", "responseSchema": SCHEMA}},
        {"generationConfig": {"temperature": 1}},
    ),
}


@EVERY
def test_who_may_want_a_schema_is_seen_without_reading_closely(protocol: CallerProtocol) -> None:
    asks, other = FORMED[protocol.name]
    assert protocol.wants_schema(protocol.read(body(protocol, **asks), NAMED))
    assert not protocol.wants_schema(protocol.read(body(protocol, **other), NAMED))
    assert not protocol.wants_schema(protocol.read(body(protocol), NAMED))


@EVERY
def test_who_may_want_a_schema_does_when_read_closely(protocol: CallerProtocol) -> None:
    """The glance overlooks nobody."""
    asks, _ = FORMED[protocol.name]
    request = protocol.spoken.translator.read_request(protocol.read(body(protocol, **asks), NAMED))
    assert request.output_format is not None
    assert request.output_format.kind == "json_schema"
    assert request.output_format.schema is not None


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ({}, True),
        ({"store": None}, False),
        ({"store": True}, False),
        ({"previous_response_id": "resp_1"}, False),
        ({"conversation": "conv_1"}, False),
        ({"background": True, "store": True}, False),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, False),
    ],
)
def test_responses_pass_only_without_state(fields: JSON, passes: bool) -> None:
    assert protocols.RESPONSES.may_pass(protocols.RESPONSES.read(body(protocols.RESPONSES, **fields), None)) is passes


@EVERY
def test_other_protocols_always_may(protocol: CallerProtocol) -> None:
    if protocol is not protocols.RESPONSES:
        assert protocol.may_pass(protocol.read(body(protocol), NAMED))
        assert protocol.last_words is None


def test_last_words_of_responses_take_the_next_number() -> None:
    words = protocols.RESPONSES.last_words
    assert words is not None
    first = words(None, "server_error", "It failed.", "provider_error")
    name, data = first.removesuffix(b"\n\n").split(b"\ndata: ")
    assert name == b"event: error"
    told = msgspec.json.decode(data)
    assert (told["sequence_number"], told["message"], told["code"]) == (0, "It failed.", "provider_error")
    editor = protocols.RESPONSES.editor(
        protocols.RESPONSES.read(body(protocols.RESPONSES), None), TARGET, Edits(model=None, error=said)
    )
    editor.feed(STREAMS["openai_responses"])
    assert b'"sequence_number":1' in words(editor, "server_error", "It failed.", None)


def test_the_habits_of_a_chat_provider_are_obeyed() -> None:
    inbound = protocols.CHAT.read(body(protocols.CHAT, stream=True), NAMED)
    repeating = msgspec.structs.replace(TARGET, role_in_every_chunk=True)
    again = STREAMS["openai_chat"]
    out = protocols.CHAT.editor(inbound, repeating, Edits(model=None, error=said)).feed(again + again)
    assert out.count(b'"role"') == 1
    assert protocols.CHAT.passed_body is passing.chat_body
