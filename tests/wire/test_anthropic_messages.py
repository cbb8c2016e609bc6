"""The request of Messages as it is read before routing, its headers and its errors."""

from __future__ import annotations

from typing import Any

import anthropic
import msgspec
import pytest
from anthropic.types import ErrorResponse

from trunkline.errors import InvalidRequest
from trunkline.wire.anthropic_messages import (
    CHECKED_WHOLE_BYTES,
    COUNT_TARGET,
    TARGET,
    VERSIONS,
    error_body,
    error_event,
    headers,
    read_count_request,
    read_request,
)

ASK: dict[str, Any] = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
LONG = "x" * CHECKED_WHOLE_BYTES


def body(**more: Any) -> bytes:
    return msgspec.json.encode({name: value for name, value in {**ASK, **more}.items() if value is not ...})


@pytest.mark.parametrize("padding", ["", LONG], ids=["short", "long"])
def test_what_is_read(padding: str) -> None:
    data = body(stream=True, stop_sequences=[padding], unknown={"a": 1}, temperature=None, system=None)
    request = read_request(data)
    assert (request.model, request.stream, request.max_tokens) == ("m", True, 10)
    assert list(request.fields) == list(msgspec.json.decode(data))
    assert bytes(request.fields["unknown"]) == b'{"a":1}'


def test_no_tokens_may_be_asked_for() -> None:
    assert read_request(body(max_tokens=0)).max_tokens == 0


def test_a_system_message_may_hold_settings_only() -> None:
    settings = {"role": "system", "output_config": {"effort": "low"}}
    assert read_request(body(messages=[*ASK["messages"], settings])).model == "m"


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"model": ...}, "model", "model: Field required"),
    ({"model": 1}, "model", "valid string"),
    ({"model": ""}, "model", "1 to 1,024 characters"),
    ({"messages": ...}, "messages", "messages: Field required"),
    ({"messages": []}, "messages", "at least one message"),
    ({"messages": {}}, "messages", "list of messages"),
    ({"messages": ["x"]}, "messages.0", "an object"),
    ({"messages": [{"content": "x"}]}, "messages.0.role", "Field required"),
    ({"messages": [ASK["messages"][0], {"role": "tool", "content": "x"}]}, "messages.1.role", "'user', 'assistant'"),
    ({"messages": [{"role": "user", "content": 1}]}, "messages.0.content", "content blocks"),
    ({"max_tokens": ...}, "max_tokens", "max_tokens: Field required"),
    ({"max_tokens": None}, "max_tokens", "max_tokens: Field required"),
    ({"max_tokens": -1}, "max_tokens", "at least 0"),
    ({"stream": "yes"}, "stream", "true or false"),
    ({"temperature": 1.5}, "temperature", "0 to 1"),
    ({"top_p": "x"}, "top_p", "0 to 1"),
    ({"top_k": -1}, "top_k", "at least 0"),
    ({"stop_sequences": "x"}, "stop_sequences", "array of strings"),
]


@pytest.mark.parametrize("padding", [..., LONG], ids=["short", "long"])
@pytest.mark.parametrize(("change", "param", "sentence"), WRONG)
def test_what_is_wrong_is_named(change: dict[str, Any], param: str, sentence: str, padding: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_request(body(**change, filler=padding))
    assert caught.value.param == param
    assert sentence in caught.value.message
    assert caught.value.message.startswith(f"{param}: ")


def test_of_long_messages_only_the_outline_is_checked() -> None:
    wrong_role = [{"role": "tool", "content": LONG}]
    assert read_request(body(messages=wrong_role)).model == "m"
    with pytest.raises(InvalidRequest, match="list of messages"):
        read_request(body(messages=[LONG]))


def test_a_name_in_disguise_is_refused() -> None:
    for text in (b'{"Model":"m"}', b'{"model":"m","model":"n"}', b'{"mod\\u0065l":"m"}', b"[]", b"", b"{"):
        with pytest.raises(InvalidRequest):
            read_request(text)


def test_a_count_needs_no_limit_and_is_never_a_stream() -> None:
    request = read_count_request(body(max_tokens=..., stream=True))
    assert (request.max_tokens, request.stream) == (None, False)
    with pytest.raises(InvalidRequest, match="messages: Field required"):
        read_count_request(body(messages=...))


def test_targets_and_headers() -> None:
    assert (TARGET, COUNT_TARGET) == (b"/messages", b"/messages/count_tokens")
    assert headers(VERSIONS[0]) == [(b"anthropic-version", b"2023-06-01")]
    assert headers(VERSIONS[1], ("a-1", "b-2")) == [
        (b"anthropic-version", b"2026-10-21"),
        (b"anthropic-beta", b"a-1,b-2"),
    ]
    assert anthropic._constants.ANTHROPIC_API_VERSION in VERSIONS


def test_the_error_envelope() -> None:
    whole = error_body("not_found_error", 'no "x"', "req_1")
    assert whole == (b'{"type":"error","error":{"type":"not_found_error","message":"no \\"x\\""},"request_id":"req_1"}')
    ErrorResponse.model_validate_json(whole, strict=True)
    assert error_event("not_found_error", 'no "x"', "req_1") == b"event: error\ndata: " + whole + b"\n\n"
