from __future__ import annotations

from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from openai.types.responses.input_token_count_params import InputTokenCountParams
from openai.types.responses.response_compact_params import ResponseCompactParams
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from openai.types.responses.response_includable import ResponseIncludable

from trunkline.errors import InvalidRequest, NotFound, TrunklineError
from trunkline.providers.sandbox import responses_request
from trunkline.providers.sandbox.responses_request import ResponsesAsk
from trunkline.providers.sandbox.words import MOST_TOKENS


def read(model: str = "echo", given: object = "hi there", **more: Any) -> ResponsesAsk:
    return responses_request.read(msgspec.json.encode({"model": model, "input": given, **more}))


def refusal(**more: Any) -> TrunklineError:
    with pytest.raises(TrunklineError) as caught:
        read(**more)
    return caught.value


@pytest.mark.parametrize(
    ("mine", "theirs", "beside"),
    [
        # Codex sends client_metadata, which the package does not know.
        (responses_request.ResponsesRequest, ResponseCreateParamsBase, {"stream", "client_metadata"}),
        (responses_request.InputTokensRequest, InputTokenCountParams, set()),
        (responses_request.CompactRequest, ResponseCompactParams, set()),
    ],
)
def test_fields_are_those_of_the_sdk(mine: type[msgspec.Struct], theirs: type, beside: set[str]) -> None:
    assert {field.encode_name for field in msgspec.structs.fields(mine)} == set(get_type_hints(theirs)) | beside


def test_includes_are_those_of_the_sdk() -> None:
    assert get_args(responses_request.Includable) == get_args(ResponseIncludable)


def test_a_plain_request() -> None:
    ask = read("Sandbox-Responses/Echo", instructions="be very brief")
    assert (ask.model, ask.bare, ask.message) == ("sandbox-responses/echo", "echo", "hi there")
    assert (ask.prompt.text, ask.prompt.tokens, ask.bounds.tokens) == ("hi there", 5, MOST_TOKENS)
    assert (ask.encrypted, ask.top_logprobs, ask.summary, ask.prompt.form) == (False, None, None, None)


def test_what_is_asked_reaches_the_model() -> None:
    ask = read(
        "tools",
        [{"role": "user", "content": "[[tokens=3]] to Paris"}, {"role": "assistant", "content": "then?"}],
        tools=[{"type": "custom", "name": "c"}, {"type": "function", "name": "f", "parameters": {}}],
        parallel_tool_calls=False,
        reasoning={"effort": "high", "generate_summary": "concise"},
        text={"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}},
        include=["reasoning.encrypted_content", "message.output_text.logprobs"],
        top_logprobs=4,
        max_output_tokens=16,
    )
    prompt = ask.prompt
    assert (prompt.text, prompt.told.tokens, prompt.effort) == ("to Paris", 3, "high")
    assert ([offer.name for offer in prompt.tools.offers], prompt.tools.parallel) == (["c", "f"], False)
    assert prompt.form is not None
    assert (prompt.form.schema, prompt.form.where) == ({"type": "object"}, "text.format.schema")
    assert (ask.encrypted, ask.top_logprobs, ask.summary) == (True, 4, "concise")
    assert ask.customs == {"c"}
    assert ask.bounds.tokens == 16


@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"given": None}, "input", "missing_required_parameter"),
        ({"given": 3}, "input", "invalid_type"),
        ({"stop": "x"}, "stop", "unknown_parameter"),
        ({"max_output_tokens": 15}, "max_output_tokens", "integer_below_min_value"),
        ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
        ({"top_p": -1.0}, "top_p", "decimal_below_min_value"),
        ({"top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
        ({"include": ["everything"]}, "include[0]", "invalid_value"),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort", "invalid_value"),
        ({"reasoning": {"depth": 1}}, "reasoning.depth", "unknown_parameter"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", "invalid_value"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema", None),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name", None),
        ({"text": {"verbosity": "huge"}}, "text.verbosity", "invalid_value"),
        ({"metadata": {"a": 1}}, "metadata[...]", "invalid_type"),
        ({"metadata": {str(at): "x" for at in range(17)}}, "metadata", None),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "invalid_value"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].function", None),
        ({"tools": [{"type": "function", "name": "a b"}]}, "tools[0].name", "invalid_value"),
        ({"truncation": "middle"}, "truncation", "invalid_value"),
        ({"background": True}, "background", None),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "unsupported_parameter"),
        ({"context_management": []}, "context_management", "unsupported_parameter"),
        ({"previous_response_id": "resp_1"}, "previous_response_id", "previous_response_not_found"),
        ({"given": "[[wrong=1]] x"}, "input", "invalid_directive"),
        ({"given": [{"role": "user", "content": "[[wrong=1]] x"}]}, "input[0].content", "invalid_directive"),
    ],
)
def test_refusals_name_their_field(more: dict[str, Any], param: str, code: str | None) -> None:
    error = refusal(**more)
    assert isinstance(error, InvalidRequest)
    assert error.param == param
    assert code is None or error.code == code


def test_a_conversation_is_not_found() -> None:
    assert isinstance(refusal(conversation="conv_1"), NotFound)
    assert read(conversation=None, background=False, prompt=None).message == "hi there"


def test_input_is_counted() -> None:
    body = {"input": [{"role": "user", "content": "a b c"}], "instructions": "d e"}
    assert responses_request.count_input(msgspec.json.encode(body)) == 5
    for more in ({"model": "embed"}, {"previous_response_id": "resp_1"}, {"input": None}):
        with pytest.raises(InvalidRequest):
            responses_request.count_input(msgspec.json.encode({**body, **more}))


def test_a_conversation_without_a_user_is_not_compacted() -> None:
    talk, tokens = responses_request.read_compact(msgspec.json.encode({"model": "echo", "input": "a b"}))
    assert (talk.texts, tokens) == ([["a b"]], 2)
    body = {"model": "echo", "input": [{"role": "developer", "content": "x"}]}
    with pytest.raises(InvalidRequest):
        responses_request.read_compact(msgspec.json.encode(body))
