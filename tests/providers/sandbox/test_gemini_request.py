from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.sandbox.gemini_exchange import ask_for
from trunkline.errors import Forbidden, InvalidRequest
from trunkline.providers.sandbox.gemini_request import (
    CountRequest,
    GenerateRequest,
    GenerationConfig,
    check_cached,
    check_config,
    decoded,
    effort_of,
)


def read(body: Any) -> GenerateRequest:
    return decoded(msgspec.json.encode(body), GenerateRequest)


def config(**facts: Any) -> GenerationConfig:
    found = read(ask_for("hi", generationConfig=facts)).generation_config
    assert found is not None
    check_config(found)
    return found


def test_both_spellings_are_read() -> None:
    body = {
        "contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "x"}}]}],
        "system_instruction": {"parts": [{"text": "be kind"}]},
        "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"my_name": {"file_data": 1}}}]}],
        "generation_config": {"max_output_tokens": "7", "thinking_config": {"include_thoughts": True}},
    }
    found = read(body)
    assert found.contents is not None
    assert found.tools is not None
    assert found.generation_config is not None
    assert found.contents[0].parts is not None
    assert found.contents[0].parts[0].inline_data is not None
    assert found.contents[0].parts[0].inline_data.mime_type == "image/png"
    (function,) = found.tools[0].function_declarations or []
    assert function.parameters_json_schema == {"my_name": {"file_data": 1}}, "a caller's own names stay"
    assert found.generation_config.max_output_tokens == 7, "ProtoJSON has numbers in strings too"


def test_arguments_and_answers_keep_their_names() -> None:
    parts = [
        {"functionCall": {"name": "f", "args": {"file_data": 1}}},
        {"functionResponse": {"name": "f", "response": {"file_data": 1}}},
    ]
    (content,) = read(ask_for(parts)).contents or []
    assert content.calls[0].args == content.responses[0].response == {"file_data": 1}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"messages": []}, 'Unknown name "messages": Cannot find field.'),
        (ask_for([{"text": "x", "cache_control": {}}]), "Unknown name \"cache_control\" at 'contents[0].parts[0]'"),
        (ask_for("x", generationConfig={"n": 1, "logitBias": {}}), "Unknown name \"n\" at 'generation_config'"),
        (ask_for("x", tools=[{"functions": []}]), "Unknown name \"functions\" at 'tools[0]'"),
        ({"contents": [{"role": "user", "content": "x"}]}, "Unknown name \"content\" at 'contents[0]'"),
        (ask_for([{"functionResponse": {"name": "f", "response": "x"}}]),
         "Invalid value at 'contents[0].parts[0].function_response.response'"),
        (ask_for("x", generationConfig={"temperature": "hot"}), "Invalid value at 'generation_config.temperature'"),
        ({"contents": "x"}, "Invalid value at 'contents'"),
    ],
)  # fmt: skip
def test_what_google_does_not_have_is_named(body: Any, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(body)
    assert said in caught.value.message


@pytest.mark.parametrize(
    "facts",
    [
        {"temperature": 0, "topP": 1, "topK": 40, "maxOutputTokens": 1, "candidateCount": 8, "seed": -1},
        {"presencePenalty": -2, "frequencyPenalty": 2, "responseLogprobs": True, "logprobs": 20},
        {"stopSequences": ["a"] * 5, "responseMimeType": "text/plain"},
        {"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}},
        {"responseModalities": ["TEXT"], "mediaResolution": "MEDIA_RESOLUTION_LOW"},
    ],
)
def test_settings_that_google_takes(facts: Any) -> None:
    config(**facts)


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"temperature": 2.1}, "temperature"),
        ({"topP": -0.1}, "top_p"),
        ({"topK": 0}, "top_k"),
        ({"maxOutputTokens": 0}, "max_output_tokens"),
        ({"candidateCount": 9}, "candidate_count"),
        ({"seed": 2**31}, "seed"),
        ({"presencePenalty": 3}, "presence_penalty"),
        ({"responseLogprobs": True, "logprobs": 21}, "logprobs"),
        ({"logprobs": 2}, "response_logprobs"),
        ({"stopSequences": ["a"] * 6}, "stop_sequences"),
        ({"responseMimeType": "text/html"}, "response_mime_type"),
        ({"responseSchema": {"type": "STRING"}}, "requires response_mime_type"),
        ({"responseMimeType": "application/json", "responseSchema": {}, "responseJsonSchema": {}}, "only one of"),
    ],
)
def test_settings_that_google_refuses(facts: Any, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        config(**facts)
    assert name in caught.value.message


@pytest.mark.parametrize(
    ("wish", "by_default", "effort"),
    [
        (None, True, "medium"),
        (None, False, "none"),
        ({}, False, "none"),
        ({"includeThoughts": False}, False, "none"),
        ({"includeThoughts": True}, False, "medium"),
        ({"thinkingBudget": 0}, True, "none"),
        ({"thinkingBudget": -1}, False, "medium"),
        ({"thinkingBudget": 1}, True, "minimal"),
        ({"thinkingBudget": 20}, True, "low"),
        ({"thinkingBudget": 24_576}, True, "max"),
        ({"thinkingLevel": "HIGH"}, False, "high"),
        ({"thinkingLevel": "minimal"}, True, "minimal"),
    ],
)
def test_how_much_is_thought(wish: Any, by_default: bool, effort: str) -> None:
    facts = {} if wish is None else {"thinkingConfig": wish}
    assert effort_of(config(**facts), by_default=by_default) == effort


@pytest.mark.parametrize(
    "wish",
    [
        {"thinkingBudget": 5, "thinkingLevel": "LOW"},
        {"thinkingBudget": 0, "includeThoughts": True},
        {"thinkingBudget": -2},
        {"thinkingLevel": "ENORMOUS"},
    ],
)
def test_wishes_that_contradict_themselves(wish: Any) -> None:
    with pytest.raises(InvalidRequest):
        effort_of(config(thinkingConfig=wish), by_default=True)


def test_no_content_is_cached() -> None:
    check_cached(read(ask_for("hi")))
    with pytest.raises(Forbidden, match="CachedContent not found"):
        check_cached(read(ask_for("hi", cachedContent="cachedContents/1")))


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b'{"contents": "\xff"}', b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    for kind in (GenerateRequest, CountRequest):
        with pytest.raises(InvalidRequest):
            decoded(body, kind)


@given(st.binary(min_size=1, max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decoded(body, GenerateRequest)
