"""snake_case made camelCase, and nothing that is not the protocol's own touched."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trunkline.errors import InvalidRequest
from trunkline.translation.gemini.spelling import camel, camel_fields
from trunkline.wire import codec


def camelled(body: dict[str, Any]) -> Any:
    fields = codec.fields(msgspec.json.encode(body), frozenset())
    return {name: msgspec.json.decode(raw) for name, raw in camel_fields(fields).items()}


def test_names_of_the_protocol() -> None:
    assert camelled(
        {
            "system_instruction": {"parts": {"text": "a_b", "thought_signature": "c_d"}},
            "contents": [
                {
                    "role": "user",
                    "parts": [
                        {"inline_data": {"mime_type": "image/png", "data": "x"}},
                        {"function_call": {"name": "f_g", "args": {"some_arg": {"mime_type": 1}}}},
                        {"function_response": {"name": "f", "response": {"an_answer": 1}, "parts": [
                            {"inline_data": {"mime_type": "image/png"}}]}},
                    ],
                }
            ],
            "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"any_of": []}}]},
                      {"google_search": {"time_range": 1}}],
            "generation_config": {"top_p": 1, "thinking_config": {"thinking_budget": 5}, "new_field": 1},
            "someone_elses": {"top_p": 1},
        }
    ) == {
        "systemInstruction": {"parts": {"text": "a_b", "thoughtSignature": "c_d"}},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"inlineData": {"mimeType": "image/png", "data": "x"}},
                    {"functionCall": {"name": "f_g", "args": {"some_arg": {"mime_type": 1}}}},
                    {"functionResponse": {"name": "f", "response": {"an_answer": 1}, "parts": [
                        {"inlineData": {"mimeType": "image/png"}}]}},
                ],
            }
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"any_of": []}}]},
                  {"googleSearch": {"time_range": 1}}],
        "generationConfig": {"topP": 1, "thinkingConfig": {"thinkingBudget": 5}, "new_field": 1},
        "someone_elses": {"top_p": 1},
    }  # fmt: skip


def test_values_keep_their_bytes() -> None:
    body = b'{"contents":[{"parts":[{"function_call":{"name":"f","args":{"n":  1.0,"b_c":12345678901234567890}}}]}]}'
    raw = camel_fields(codec.fields(body, frozenset()))["contents"]
    assert b'"args":{"n":  1.0,"b_c":12345678901234567890}' in bytes(raw)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"generationConfig": {}, "generation_config": {}}, "generationConfig"),
        ({"generationConfig": {"topP": 1, "top_p": 1}}, "generationConfig.topP"),
    ],
)
def test_both_spellings_of_one_name_are_refused(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest, match="both spellings") as caught:
        camelled(body)
    assert caught.value.param == param


def test_what_makes_no_sense_is_left_for_its_reader() -> None:
    assert camelled({"contents": [1, {"parts": "a_b"}], "tools": "x_y"}) == {
        "contents": [1, {"parts": "a_b"}],
        "tools": "x_y",
    }


def test_camel() -> None:
    assert camel("max_output_tokens") == "maxOutputTokens"
    assert camel("seed") == "seed"
