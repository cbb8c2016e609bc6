"""The request's table of refusals, the whole answer's facts, and every dialect of error."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trunkline.errors import InvalidRequest
from trunkline.wire import openai_chat
from trunkline.wire.openai_chat import read_request

MESSAGES = [{"role": "user", "content": "hi"}]


def body(**more: Any) -> bytes:
    return msgspec.json.encode({"model": "m", "messages": MESSAGES} | more)


def long_body(**more: Any) -> bytes:
    """The same request, long enough that it is read field by field."""
    return msgspec.json.encode(
        {"model": "m", "messages": [{"role": "user", "content": "x" * openai_chat.CHECKED_WHOLE_BYTES}]} | more
    )


def refusal(data: bytes) -> tuple[str | None, str | None]:
    with pytest.raises(InvalidRequest) as caught:
        read_request(data)
    assert caught.value.message.endswith((".", "?"))
    return caught.value.param, caught.value.code


def test_what_is_read_of_a_request() -> None:
    for make in (body, long_body):
        plain = read_request(make())
        assert (plain.model, plain.stream, plain.include_usage, plain.n, plain.max_tokens) == (
            "m",
            False,
            False,
            1,
            None,
        )
        full = read_request(
            make(
                stream=True,
                n=2,
                max_tokens=5,
                max_completion_tokens=7,
                stream_options={"include_usage": True, "extra": {"a": 1}},
                seed=1.5,
                tools="never mind",
            )
        )
        assert (full.stream, full.include_usage, full.n, full.max_tokens) == (True, True, 2, 7)
        assert bytes(full.stream_options_with_usage()) == b'{"include_usage":true,"extra":{"a":1}}'
        assert bytes(full.fields["tools"]) == b'"never mind"'
        assert read_request(make(max_tokens=5)).max_tokens == 5
        assert read_request(make(max_completion_tokens=6)).max_tokens == 6
        nothing = read_request(
            make(stream=None, n=None, max_tokens=None, stop=None, temperature=None, stream_options=None)
        )
        assert (nothing.stream, nothing.n, nothing.max_tokens, nothing.stream_options) == (False, 1, None, None)
        assert bytes(nothing.stream_options_with_usage()) == b'{"include_usage":true}'
        assert bytes(read_request(make(stream_options={"include_usage": False})).stream_options_with_usage()) == (
            b'{"include_usage":true}'
        )


GOOD: list[tuple[str, Any]] = [
    *(("temperature", value) for value in (0, 2, 0.7, 1.8, None)),
    *(("top_p", value) for value in (0, 0.01, 1)),
    *((name, value) for name in ("presence_penalty", "frequency_penalty") for value in (-2, 0, 2)),
    *(("stop", value) for value in ("x", ["x", "y"], [], ["a"] * 16, None)),
    *(("n", value) for value in (1, 128, 2.0)),
    *((name, value) for name in ("max_tokens", "max_completion_tokens") for value in (1, 100_000, 16.0, None)),
    *(("stream", value) for value in (True, False, None)),
    *(("stream_options", value) for value in ({}, {"include_usage": None}, None)),
    *(
        ("messages", [{"role": role, "content": None}])
        for role in ("system", "developer", "assistant", "tool", "function")
    ),
    ("messages", [{"role": "user", "content": [{"type": "text"}]}, {"role": "assistant", "tool_calls": []}]),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_what_is_accepted_crosses_as_it_came(name: str, value: Any) -> None:
    for make in (body, long_body):
        assert bytes(read_request(make(**{name: value})).fields[name]) == msgspec.json.encode(value)


BAD: list[tuple[str, Any, str, str]] = [
    ("model", None, "model", "invalid_type"),
    ("model", "", "model", "invalid_value"),
    ("model", ["a"], "model", "invalid_type"),
    ("model", "x" * 1025, "model", "invalid_value"),
    ("temperature", 2.5, "temperature", "invalid_value"),
    ("temperature", -0.1, "temperature", "invalid_value"),
    ("temperature", "warm", "temperature", "invalid_type"),
    ("temperature", True, "temperature", "invalid_type"),
    ("top_p", 1.1, "top_p", "invalid_value"),
    ("top_p", [], "top_p", "invalid_type"),
    ("presence_penalty", 2.1, "presence_penalty", "invalid_value"),
    ("frequency_penalty", -2.1, "frequency_penalty", "invalid_value"),
    ("stop", 3, "stop", "invalid_type"),
    ("stop", ["x", 3], "stop", "invalid_type"),
    ("n", 0, "n", "invalid_value"),
    ("n", 129, "n", "invalid_value"),
    ("n", 1.5, "n", "invalid_value"),
    ("max_tokens", 0, "max_tokens", "invalid_value"),
    ("max_tokens", -1, "max_tokens", "invalid_value"),
    ("max_tokens", "many", "max_tokens", "invalid_type"),
    ("max_completion_tokens", 0.5, "max_completion_tokens", "invalid_value"),
    ("stream", "yes", "stream", "invalid_type"),
    ("stream", 1, "stream", "invalid_type"),
    ("stream_options", [], "stream_options", "invalid_type"),
    ("stream_options", {"include_usage": 1}, "stream_options.include_usage", "invalid_type"),
    ("stream_options", {"Include_Usage": True}, "stream_options.Include_Usage", "unknown_parameter"),
    ("messages", None, "messages", "invalid_type"),
    ("messages", "hi", "messages", "invalid_type"),
    ("messages", {}, "messages", "invalid_type"),
    ("messages", [], "messages", "invalid_value"),
    ("messages", ["hi"], "messages[0]", "invalid_type"),
    ("messages", [*MESSAGES, {"content": "x"}], "messages[1].role", "missing_required_parameter"),
    ("messages", [{"role": "robot"}], "messages[0].role", "invalid_value"),
    ("messages", [{"role": 1}], "messages[0].role", "invalid_value"),
    ("messages", [{"role": "user", "content": 1}], "messages[0].content", "invalid_type"),
    ("messages", [{"role": "user", "content": {}}], "messages[0].content", "invalid_type"),
]


@pytest.mark.parametrize(("name", "value", "param", "code"), BAD)
def test_what_is_refused_names_the_field(name: str, value: Any, param: str, code: str) -> None:
    assert refusal(body(**{name: value})) == (param, code)
    assert refusal(long_body(**{name: value})) == (param, code)


def test_what_is_missing_is_named() -> None:
    assert refusal(b"{}") == ("model", "missing_required_parameter")
    assert refusal(b'{"model":"m"}') == ("messages", "missing_required_parameter")


@pytest.mark.parametrize("name", sorted(openai_chat.READ - {"model", "messages"}))
def test_numbers_beyond_reason_are_refused_and_never_a_failure_of_ours(name: str) -> None:
    for value in (b"9" * 10_000, b"-" + b"9" * 10_000, b"1e400", b"[" * 900 + b"]" * 900):
        data = body()[:-1] + b',"' + name.encode() + b'":' + value + b"}"
        with pytest.raises(InvalidRequest):
            read_request(data)


def test_deep_content_is_refused_or_read_but_never_a_failure_of_ours() -> None:
    for depth in (10, 1_000, 5_000, 200_000):
        data = b'{"model":"m","messages":[{"role":"user","content":' + b"[" * depth + b"]" * depth + b"}]}"
        if depth == 10:
            assert read_request(data).model == "m"
        else:
            with pytest.raises(InvalidRequest, match="nested too deeply"):
                read_request(data)


def test_of_long_messages_only_the_outline_is_checked() -> None:
    long = [{"role": "robot", "content": "x" * openai_chat.CHECKED_WHOLE_BYTES}]
    assert read_request(body(messages=long)).model == "m"
    assert refusal(body(messages="x" * 20_000)) == ("messages", "invalid_type")
    assert refusal(body(messages=["x" * 20_000])) == ("messages", "invalid_type")


def test_a_repeated_option_is_refused() -> None:
    data = body()[:-1] + b',"stream_options":{"include_usage":false,"include_usage":true}}'
    assert refusal(data) == ("stream_options.include_usage", "duplicate_field")
