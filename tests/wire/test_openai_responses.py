"""Requests of the Responses API: what is read of them, and what is wrong with them, named."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseErrorEvent

from trunkline.errors import InvalidRequest
from trunkline.wire.codec import encode
from trunkline.wire.openai_responses import (
    CHECKED_WHOLE_BYTES,
    ResponsesRequest,
    error_event,
    read_compact,
    read_input_tokens,
    read_request,
)

LONG = "x" * CHECKED_WHOLE_BYTES


def read(**fields: Any) -> ResponsesRequest:
    return read_request(encode({"model": "m", "input": "Hi", **fields}))


def test_what_the_gateway_acts_on_is_read() -> None:
    request = read(
        stream=True,
        store=False,
        background=False,
        max_output_tokens=100.0,
        include=["reasoning.encrypted_content"],
        something_new={"a": 1},
    )
    assert (request.model, request.stream, request.store, request.background) == ("m", True, False, False)
    assert request.max_tokens == 100
    assert request.include == ("reasoning.encrypted_content",)
    assert bytes(request.fields["something_new"]) == b'{"a":1}'
    assert read().store is None
    assert read(store=None, stream=None, metadata=None, include=None).store is None


@pytest.mark.parametrize("conversation", ["conv_1", {"id": "conv_1"}])
def test_a_conversation_is_its_id(conversation: Any) -> None:
    assert read(conversation=conversation).conversation_id == "conv_1"


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"prompt": {"id": "pmpt_1"}},
        {"previous_response_id": "resp_1", "input": None},
        {"previous_response_id": "resp_1", "input": []},
    ],
)
def test_input_may_be_left_out_where_there_is_something_to_go_on_from(fields: dict[str, Any]) -> None:
    read_request(encode({"model": "m", **fields}))


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"model": None}, "model", "invalid_type"),
    ({"model": ""}, "model", "invalid_value"),
    ({"model": "x" * 1025}, "model", "invalid_value"),
    ({"input": None}, "input", "missing_required_parameter"),
    ({"input": ""}, "input", "missing_required_parameter"),
    ({"input": []}, "input", "missing_required_parameter"),
    ({"input": 5}, "input", "invalid_type"),
    ({"input": {"role": "user"}}, "input", "invalid_type"),
    ({"input": ["Hi"]}, "input[0]", "invalid_type"),
    ({"input": ["Hi", LONG]}, "input", "invalid_type"),
    ({"input": [{"type": 5}]}, "input[0].type", "invalid_type"),
    ({"input": [{}]}, "input[0].role", "missing_required_parameter"),
    ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role", "invalid_value"),
    ({"stream": "yes"}, "stream", "invalid_type"),
    ({"store": 1}, "store", "invalid_type"),
    ({"instructions": ["a"]}, "instructions", "invalid_type"),
    ({"previous_response_id": ""}, "previous_response_id", "invalid_value"),
    ({"conversation": {}}, "conversation", "invalid_value"),
    ({"include": "all"}, "include", "invalid_type"),
    ({"metadata": {"a": 1}}, "metadata", "invalid_type"),
    ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "invalid_value"),
    ({"metadata": {"a" * 65: ""}}, "metadata", "invalid_value"),
    ({"metadata": {"a": "b" * 513}}, "metadata", "invalid_value"),
    ({"max_output_tokens": 0}, "max_output_tokens", "invalid_value"),
    ({"max_output_tokens": 1.5}, "max_output_tokens", "invalid_value"),
    ({"max_tool_calls": 0}, "max_tool_calls", "invalid_value"),
    ({"temperature": 2.1}, "temperature", "invalid_value"),
    ({"top_p": -1}, "top_p", "invalid_value"),
    ({"top_logprobs": 21}, "top_logprobs", "invalid_value"),
    ({"parallel_tool_calls": 0}, "parallel_tool_calls", "invalid_type"),
    ({"previous_response_id": "a", "conversation": "b"}, "previous_response_id", "mutually_exclusive_parameters"),
    ({"background": True, "store": False}, "background", "invalid_value"),
]


@pytest.mark.parametrize(("fields", "param", "code"), BAD, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**fields)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_a_model_is_required() -> None:
    with pytest.raises(InvalidRequest, match="'model' is required"):
        read_request(b'{"input":"Hi"}')


@pytest.mark.parametrize("name", ["Store", "sto\\u0072e"])
def test_a_name_in_disguise_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        read_request(b'{"model":"m","input":"Hi","%b":false}' % name.encode())


def test_long_input_is_checked_by_its_outline() -> None:
    assert read(input=[{"role": "tool", "content": LONG}]).model == "m"


REFERENCES = ({"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}, {"type": None, "id": "msg_1"})


@pytest.mark.parametrize(
    ("fields", "stateless"),
    [
        ({}, False),
        ({"store": True}, False),
        ({"store": False}, True),
        ({"store": False, "input": [{"role": "user", "content": "x", "id": "msg_1"}]}, True),
        ({"store": False, "input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, True),
        ({"store": False, "previous_response_id": "resp_1"}, False),
        ({"store": False, "conversation": "conv_1"}, False),
        ({"store": False, "background": False}, True),
        *[({"store": False, "input": [{"role": "user", "content": LONG}, item]}, False) for item in REFERENCES],
    ],
)
def test_only_a_call_without_state_may_be_passed_on(fields: dict[str, Any], stateless: bool) -> None:
    assert read(**fields).is_stateless is stateless


def test_references_are_found() -> None:
    assert read(input=[*REFERENCES, {"role": "user", "content": "x"}]).references == ["msg_1"] * 3
    assert read().references == []


@given(st.binary(max_size=60))
def test_any_bytes_are_a_request_or_refused(body: bytes) -> None:
    for reader in (read_request, read_compact, read_input_tokens):
        with pytest.raises(InvalidRequest):
            reader(body)


def test_a_conversation_to_make_shorter_is_read() -> None:
    assert read_compact(b'{"model":"m","input":"Hi"}').model == "m"
    assert read_compact(b'{"model":"m","previous_response_id":"resp_1"}').previous_response_id == "resp_1"
    with pytest.raises(InvalidRequest) as caught:
        read_compact(b'{"model":"m","input":[]}')
    assert caught.value.param == "input"


def test_an_input_to_count_is_read() -> None:
    counted = read_input_tokens(b'{"model":"m","conversation":{"id":"conv_1"}}')
    assert (counted.conversation_id, counted.previous_response_id) == ("conv_1", None)


def test_an_error_is_told_in_both_forms() -> None:
    name, _, data = error_event("server_error", "gone", None, "cut", 7).partition(b"\n")
    told = msgspec.json.decode(data.removeprefix(b"data: "))
    assert name == b"event: error"
    ResponseErrorEvent.model_validate(told)
    assert (told["code"], told["message"], told["param"], told["sequence_number"]) == ("cut", "gone", None, 7)
    assert told["error"] == {"type": "server_error", "message": "gone", "param": None, "code": "cut"}
