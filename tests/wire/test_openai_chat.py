"""The request's table of refusals, the whole answer's facts, and every dialect of error."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InvalidRequest, UpstreamFailed
from trunkline.wire import openai_chat
from trunkline.wire.openai_chat import ErrorFacts, Usage, read_answer, read_error, read_request

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


counts = st.integers(0, 10_000_000)


@given(counts, counts, counts, counts, counts)
def test_valid_usage_is_read_as_reported(prompt: int, output: int, cached: int, written: int, thought: int) -> None:
    raw = msgspec.json.encode(
        {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": thought},
        }
    )
    usage = openai_chat.read_usage(msgspec.Raw(raw))
    if cached + written <= prompt:
        assert usage == Usage(
            input_tokens=prompt,
            output_tokens=output,
            cached_input_tokens=cached,
            cache_write_tokens=written,
            reasoning_tokens=thought,
        )
    else:
        assert usage is None


BASE_USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


@pytest.mark.parametrize("wrong", ["9", 9.0, 9.5, True, None, -1, 10_000_001, [9]])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens", "total_tokens"])
def test_one_count_that_is_no_count_makes_usage_absent(name: str, wrong: Any) -> None:
    if name == "total_tokens" and wrong == 10_000_001:
        wrong = 20_000_001
    assert openai_chat.read_usage(msgspec.Raw(msgspec.json.encode(BASE_USAGE | {name: wrong}))) is None


@pytest.mark.parametrize(
    ("more", "cached"),
    [
        ({"prompt_tokens_details": None, "completion_tokens_details": None}, 0),
        ({"prompt_tokens_details": {"cached_tokens": None}}, 0),
        ({"prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5}, 4),
        ({"cached_tokens": 3}, 3),
        ({"prompt_tokens_details": {"cached_tokens": 2}, "prompt_cache_hit_tokens": 4}, 2),
    ],
)
def test_cached_tokens_in_every_dialect(more: dict[str, Any], cached: int) -> None:
    usage = openai_chat.read_usage(msgspec.Raw(msgspec.json.encode(BASE_USAGE | more)))
    assert usage == Usage(input_tokens=9, output_tokens=2, cached_input_tokens=cached)


def answer(**more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "héllo"}, "finish_reason": "stop"}
    return msgspec.json.encode({"id": "chatcmpl-1", "model": "m-1", "choices": [choice], "usage": BASE_USAGE} | more)


def test_a_whole_answers_facts() -> None:
    said = read_answer(answer())
    assert said == openai_chat.Answer(Usage(input_tokens=9, output_tokens=2), None)
    assert read_answer(answer(usage=None)).usage is None
    assert read_answer(answer(usage={"prompt_tokens": "9"})).usage is None
    hollow: list[Any] = [None, "", {}, False]
    for nothing in hollow:
        assert read_answer(answer(error=nothing)).error is None


def test_a_failure_inside_an_answer_of_status_200() -> None:
    said = read_answer(b'{"error":{"message":"no luck","code":503,"type":"server_error"}}')
    assert said.error == ErrorFacts(message="no luck", type="server_error", code="503", status=503)
    assert read_answer(answer(error="boom")).error == ErrorFacts(message="boom")


@pytest.mark.parametrize("data", [b"", b"[]", b"<html>", b"{}", b'{"choices":3}', b'{"choices":[3]}', b'{"a":"\xff"}'])
def test_what_is_no_answer_is_the_providers_failure(data: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        read_answer(data)


def test_an_answer_can_show_another_name() -> None:
    renamed = openai_chat.with_model(answer(), "fast")
    assert renamed == answer().replace(b'"model":"m-1"', b'"model":"fast"')


ERRORS: list[tuple[bytes, ErrorFacts]] = [
    (
        b'{"error":{"message":"m","type":"t","param":"p","code":"c"}}',
        ErrorFacts(message="m", type="t", param="p", code="c"),
    ),
    (b'{"error":{"message":"m","type":null,"param":null,"code":null}}', ErrorFacts(message="m")),
    (b'{"error":{"message":"m","code":429}}', ErrorFacts(message="m", code="429", status=429)),
    (b'{"error":{"message":"m","code":"503"}}', ErrorFacts(message="m", code="503", status=503)),
    (
        b'{"type":"error","error":{"type":"overloaded_error","message":"m"},"request_id":"r"}',
        ErrorFacts(message="m", type="overloaded_error"),
    ),
    (b'{"error":"Model not found"}', ErrorFacts(message="Model not found")),
    (b'{"error":["a"]}', ErrorFacts(message='["a"]')),
    (b'{"detail":"Not Found"}', ErrorFacts(message="Not Found")),
    (
        b'{"detail":[{"loc":["body","seed"],"msg":"bad","type":"x"},{"msg":"worse"}]}',
        ErrorFacts(message="body.seed: bad; worse"),
    ),
    (b'{"detail":[{"loc":7,"msg":"odd"},{"loc":{"a":1}},{"loc":true}]}', ErrorFacts(message="odd; ; ")),
    (b'{"detail":{"a":1}}', ErrorFacts(message='{"a":1}')),
    (
        b'{"message":"m","type":"t","code":400,"object":"error"}',
        ErrorFacts(message="m", type="t", code="400", status=400),
    ),
    (b'{"message":{"detail":[{"loc":["x"],"msg":"y"}]}}', ErrorFacts(message='{"detail":[{"loc":["x"],"msg":"y"}]}')),
    (b'[{"error":{"code":400,"message":"m","status":"INVALID"}}]', ErrorFacts(message="m", code="400", status=400)),
    (b"Internal Server Error\n", ErrorFacts(message="Internal Server Error")),
    (b"<!DOCTYPE html><head><title>502 Bad\n Gateway</title></head>secret", ErrorFacts(message="502 Bad\n Gateway")),
    (b"<html><h1>A &amp; <b>B</b></h1>", ErrorFacts(message="A &  B")),
    (b"<html>", ErrorFacts(message="")),
    (b"", ErrorFacts(message="")),
    (b"{}", ErrorFacts(message="")),
    (b"[]", ErrorFacts(message="[]")),
    (b"\xff\xfe", ErrorFacts(message="��")),
]


@pytest.mark.parametrize(("data", "facts"), ERRORS)
def test_every_dialect_of_error(data: bytes, facts: ErrorFacts) -> None:
    assert read_error(data) == facts


@given(st.binary(max_size=60) | st.sampled_from([b"[" * 10_000, b'{"error":' + b"[" * 10_000, b"x" * 100_000]))
def test_an_error_can_always_be_read(data: bytes) -> None:
    assert len(read_error(data).message) <= openai_chat.MAX_MESSAGE


def test_an_error_body_has_all_four_keys() -> None:
    assert openai_chat.error_body("invalid_request_error", 'bad "x"', None, None) == (
        b'{"error":{"message":"bad \\"x\\"","type":"invalid_request_error","param":null,"code":null}}'
    )
    assert openai_chat.error_event("server_error", "m", "p", "c") == (
        b'data: {"error":{"message":"m","type":"server_error","param":"p","code":"c"}}\n\n'
    )
