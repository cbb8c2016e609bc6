from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.sandbox.exchange import JSON, chat
from trunkline.errors import InvalidRequest, NotFound, TrunklineError
from trunkline.providers.sandbox.chat_request import ChatAsk, ChatRequest, read
from trunkline.providers.sandbox.directives import Directives
from trunkline.providers.sandbox.prompt import Form, Image, ShownReasoning
from trunkline.providers.sandbox.reply import MOST_CHARACTERS
from trunkline.providers.sandbox.words import MOST_TOKENS

CALL = {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f"}}]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "sunny"}
USER = {"role": "user", "content": "hi"}


def ask(body: JSON) -> ChatAsk:
    return read(msgspec.json.encode(body))


def talk(*messages: JSON, model: str = "echo", **more: Any) -> ChatAsk:
    return ask({"model": model, "messages": list(messages), **more})


def test_the_prompt_is_the_last_user_message_without_its_directives() -> None:
    found = talk(USER, {"role": "assistant", "content": "yes?"}, {"role": "user", "content": "[[tokens=3]] one two"})
    assert found.prompt.text == "one two"
    assert found.message == "[[tokens=3]] one two"
    assert found.prompt.told == Directives(tokens=3)
    assert found.prompt.tokens == 4, "words of all messages, directives apart"


def test_directives_of_earlier_messages_are_text() -> None:
    found = talk({"role": "user", "content": "[[tokens=3]]"}, USER)
    assert found.prompt.told == Directives()
    assert found.prompt.tokens == 2


@pytest.mark.parametrize("content", [None, "", [], [{"type": "image_url", "image_url": {"url": "https://e/x"}}]])
def test_a_prompt_has_at_least_one_token(content: Any) -> None:
    found = talk({"role": "user", "content": content})
    assert (found.prompt.text, found.prompt.tokens) == ("", 1)
    assert talk({"role": "system", "content": ""}).prompt.tokens == 1


def test_parts() -> None:
    parts = [
        {"type": "text", "text": "one"},
        {"type": "image_url", "image_url": {"url": "https://e/x", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "text", "text": "two [[seed=1]]"},
    ]
    found = talk(USER, {"role": "user", "content": parts}).prompt
    assert found.text == "one\ntwo"
    assert found.images == [Image("https://e/x", "messages[1].content[1].image_url.url")]
    assert found.told.seed == 1


@pytest.mark.parametrize(
    ("more", "tokens", "characters", "stops"),
    [
        ({}, MOST_TOKENS, MOST_CHARACTERS, []),
        ({"max_tokens": 5}, 5, MOST_CHARACTERS, []),
        ({"max_tokens": 5, "max_completion_tokens": 3}, 3, MOST_CHARACTERS, []),
        ({"max_tokens": 2**63 - 1}, MOST_TOKENS, MOST_CHARACTERS, []),
        ({"n": 4}, MOST_TOKENS // 4, MOST_CHARACTERS // 4, []),
        ({"logprobs": True, "top_logprobs": 4, "n": 2}, MOST_TOKENS // 10, MOST_CHARACTERS // 10, []),
        ({"stop": "x"}, MOST_TOKENS, MOST_CHARACTERS, ["x"]),
        ({"stop": ["x", "y"]}, MOST_TOKENS, MOST_CHARACTERS, ["x", "y"]),
    ],
)
def test_bounds(more: JSON, tokens: int, characters: int, stops: list[str]) -> None:
    bounds = talk(USER, **more).bounds
    assert (bounds.tokens, bounds.characters, bounds.stops) == (tokens, characters, stops)


def test_options() -> None:
    plain = talk(USER, stream=None, stream_options=None, n=None, logprobs=None)
    assert (plain.stream, plain.include_usage, plain.n, plain.top_logprobs) == (False, False, 1, None)
    full = talk(USER, stream=True, stream_options={"include_usage": True}, n=2, logprobs=True, seed=-5)
    assert (full.stream, full.include_usage, full.n, full.top_logprobs) == (True, True, 2, 0)
    assert full.prompt.seed == -5


def test_the_model_is_reported_as_asked_in_lower_case() -> None:
    assert [talk(USER, model=name).model for name in ("echo", "sandbox/echo", "Sandbox/ECHO")] == [
        "echo",
        "sandbox/echo",
        "sandbox/echo",
    ]


@pytest.mark.parametrize("model", ["", "ecoh", "embed", "sandbox/", "sandbox/sandbox/echo", "x" * 10_000])
def test_an_unknown_model_is_not_found(model: str) -> None:
    with pytest.raises(NotFound) as caught:
        talk(USER, model=model)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert model[:200] in caught.value.message
    assert len(caught.value.message) < 300


def test_results_are_those_at_the_end() -> None:
    both = {**CALL, "tool_calls": [{"id": "c1"}, {"id": "c2"}]}
    parts = {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "and warm"}]}
    assert talk(USER, both, RESULT, parts).prompt.results == ["sunny", "and warm"]
    assert talk(USER, both, parts, RESULT, USER).prompt.results == []
    assert talk(USER, {"role": "function", "name": "f", "content": "old"}).prompt.results == ["old"]


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        ([USER, RESULT], "messages[1].tool_call_id"),
        ([USER, {"role": "tool", "content": "x"}], "messages[1].tool_call_id"),
        ([USER, CALL, {**RESULT, "tool_call_id": "c2"}], "messages[2].tool_call_id"),
        ([USER, CALL, RESULT, RESULT], "messages[3].tool_call_id"),
        ([USER, CALL, USER], "messages[2].role"),
        ([USER, CALL], "messages"),
        ([{"role": "wizard", "content": "x"}], "messages[0].role"),
        ([{"content": "x"}], "messages[0].role"),
        ([USER, {"role": "user", "content": 5}], "messages[1].content"),
        ([{"role": "user", "content": [{"type": "smell"}]}], "messages[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}], "messages[0].content[0].image_url"),
        ([USER, {"role": "user", "content": "[[tokens=x]]"}], "messages[1].content"),
        (5, "messages"),
        (None, "messages"),
    ],
)
def test_bad_messages_are_named(messages: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ask({"model": "echo", "messages": messages})
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": 5}, "stop"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"reasoning_effort": "frantic"}, "reasoning_effort"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    ],
)
def test_bad_options_are_named(more: JSON, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        talk(USER, **more)
    assert caught.value.param == param


def test_forms() -> None:
    def form(value: Any) -> Form | None:
        return talk(USER, response_format=value).prompt.form

    assert form(None) is None
    assert form({"type": "text"}) is None
    assert form({"type": "json_object"}) == Form()
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"const": 1}, "strict": True}}
    assert form(schema) == Form(schema={"const": 1}, where="response_format.json_schema.schema")
    assert form({"type": "json_schema", "json_schema": {"name": "x"}}) == Form(
        schema=True, where="response_format.json_schema.schema"
    )


def test_only_think_reads_the_reasoning_that_comes_back() -> None:
    said = {"role": "assistant", "content": "x", "reasoning_details": [{"type": "reasoning.text", "text": "t"}]}
    where = "messages[1].reasoning_details[0].signature"
    assert talk(USER, said, USER, model="think").prompt.shown == [ShownReasoning(text="t", signature="", where=where)]
    assert talk(USER, said, USER).prompt.shown == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"hi"',
        b'{"model": "\xff\xfe"}',
        b'{"model": "echo", "messages": [], "seed": ' + b"9" * 10_000 + b"}",
        b'{"model": "echo", "messages": [], "x": NaN}',
        b"[" * 100_000,
        b'{"tools":' + b'[{"function":{"parameters":' * 50_000,
        b'{"model": "\\ud800", "messages": []}',
    ],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(body)
    assert len(caught.value.message) < 600


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(TrunklineError):
        read(body)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.sampled_from(["", "text", "echo", "user", "auto", "tool"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "name", "role"]), inner),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([field.name for field in msgspec.structs.fields(ChatRequest)]), ANY))
def test_any_fields_are_read_or_refused(more: JSON) -> None:
    with suppress(InvalidRequest, NotFound):
        found = ask({**chat("tools", "hi"), **more})
        assert found.prompt.tokens >= 1
        assert found.bounds.tokens >= 1


def test_long_talks_are_checked_in_linear_time() -> None:
    calls = {**CALL, "tool_calls": [{"id": f"c{number}"} for number in range(20_000)]}
    results = [{**RESULT, "tool_call_id": f"c{number}"} for number in reversed(range(20_000))]
    assert len(talk(USER, calls, *results).prompt.results) == 20_000
