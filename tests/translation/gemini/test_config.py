"""`generationConfig`, both ways."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.translation.gemini.exchanges import GEMINI_3, GEMINI_25, asked, sent, warnings_of
from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import OutputFormat, Request, Text, Tool, Turn

SCHEMA = Raw(b'{"type":"object"}')


def configured(**config: Any) -> Request:
    return asked(generationConfig=config)


def test_what_is_read() -> None:
    request = configured(
        maxOutputTokens="100",
        temperature=0.5,
        topP=0.9,
        topK=40.0,
        presencePenalty=-1,
        frequencyPenalty=1.5,
        seed=7,
        responseLogprobs=True,
        logprobs=3,
        candidateCount=2,
        stopSequences=["a", "b"],
        speechConfig={"x": 1},
        imageConfig=None,
    )
    assert (request.max_tokens, request.temperature, request.top_p, request.top_k) == (100, 0.5, 0.9, 40)
    assert (request.presence_penalty, request.frequency_penalty, request.seed) == (-1, 1.5, 7)
    assert (request.logprobs, request.top_logprobs, request.n, request.stop) == (True, 3, 2, ["a", "b"])
    assert {name: bytes(raw) for name, raw in request.extras.items()} == {"generationConfig.speechConfig": b'{"x":1}'}
    assert configured(stop_sequences="a").stop == ["a"]


@pytest.mark.parametrize(
    ("config", "form"),
    [
        ({}, None),
        ({"responseMimeType": "text/plain"}, OutputFormat(kind="text")),
        ({"responseMimeType": "application/json"}, OutputFormat(kind="json_object")),
        ({"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
         OutputFormat(kind="json_schema", schema=SCHEMA)),
        ({"response_mime_type": "application/json", "response_schema": {"type": "OBJECT"}},
         OutputFormat(kind="json_schema", schema=SCHEMA)),
    ],
)  # fmt: skip
def test_the_form_that_is_read(config: dict[str, Any], form: OutputFormat | None) -> None:
    assert configured(**config).output_format == form


def test_a_bare_word_of_a_list_is_known_to_this_protocol_alone() -> None:
    request = configured(responseMimeType="text/x.enum", responseSchema={"type": "STRING", "enum": ["a"]})
    assert request.output_format is None
    assert request.extras.keys() == {"generationConfig.responseMimeType", "generationConfig.responseSchema"}


@pytest.mark.parametrize(
    ("config", "param"),
    [
        ({"topK": 1.5}, "generationConfig.topK"),
        ({"seed": "x"}, "generationConfig.seed"),
        ({"stopSequences": [1]}, "generationConfig.stopSequences[0]"),
        ({"responseMimeType": ["text/plain"]}, "generationConfig.responseMimeType"),
        ({"responseLogprobs": "yes"}, "generationConfig.responseLogprobs"),
        ({"responseSchema": {}, "responseJsonSchema": {}}, "generationConfig.responseJsonSchema"),
    ],
)
def test_what_is_wrong_is_named(config: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        configured(**config)
    assert caught.value.param == param


def wanting(**more: Any) -> Request:
    """A chat caller's request."""
    request = Request(protocol="openai_chat", model="m", turns=[Turn(role="user", parts=[Text(text="Hi")])])
    return msgspec.structs.replace(request, **more)


def test_what_is_written() -> None:
    assert "generationConfig" not in sent(wanting())
    assert sent(
        wanting(
            max_tokens=9, temperature=0.0, top_p=0.5, top_k=3, presence_penalty=0.5, frequency_penalty=-0.5, seed=0,
            logprobs=True, top_logprobs=2, stop=["x"], n=2, output_format=OutputFormat(kind="json_object"),
        )
    )["generationConfig"] == {
        "maxOutputTokens": 9, "temperature": 0.0, "topP": 0.5, "topK": 3, "presencePenalty": 0.5,
        "frequencyPenalty": -0.5, "seed": 0, "responseLogprobs": True, "logprobs": 2, "candidateCount": 2,
        "stopSequences": ["x"], "responseMimeType": "application/json",
    }  # fmt: skip


def test_top_logprobs_alone_ask_for_nothing() -> None:
    assert sent(wanting(top_logprobs=0, logprobs=False))["generationConfig"] == {"responseLogprobs": False}


def test_what_is_too_large_is_made_to_fit() -> None:
    target = msgspec.structs.replace(GEMINI_3, max_output_tokens=50)
    request = wanting(max_tokens=51, stop=list("abcdef"), logprobs=True, top_logprobs=21, seed=2**31 + 5)
    assert sent(request, target)["generationConfig"] == {
        "maxOutputTokens": 50,
        "seed": 5,
        "responseLogprobs": True,
        "logprobs": 20,
        "stopSequences": list("abcde"),
    }
    assert [warning.split(":")[0] for warning in warnings_of(request, target)] == [
        "clamped max_tokens",
        "changed seed",
        "clamped top_logprobs",
        "clamped stop",
    ]
    assert sent(wanting(seed=-5))["generationConfig"] == {"seed": -5}
    with pytest.raises(InvalidRequest, match="at most 8"):
        sent(wanting(n=9))


def test_a_schema() -> None:
    form = OutputFormat(kind="json_schema", name="n", description="d", schema=SCHEMA, strict=True)
    assert sent(wanting(output_format=form))["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
    }
    assert warnings_of(wanting(output_format=form)) == [
        "dropped output_format.description: not supported by google/gemini-3-flash"
    ]
    assert sent(wanting(output_format=OutputFormat(kind="text")))["generationConfig"] == {
        "responseMimeType": "text/plain"
    }


def test_older_models_are_asked_in_words_beside_tools() -> None:
    form = OutputFormat(kind="json_schema", description="a list", schema=SCHEMA)
    request = wanting(output_format=form, tools=[Tool(name="f")])
    assert "responseJsonSchema" in sent(request, GEMINI_3)["generationConfig"]
    body = sent(request, GEMINI_25)
    assert "generationConfig" not in body
    (words,) = body["systemInstruction"]["parts"]
    assert "It is: a list." in words["text"]
    assert words["text"].endswith('JSON schema:\n{"type":"object"}')
    assert [warning.split(":")[0] for warning in warnings_of(request, GEMINI_25)] == ["changed output_format"]


def test_models_that_keep_to_no_schema_are_asked_in_words() -> None:
    target = msgspec.structs.replace(GEMINI_3, json_schema=False)
    assert "systemInstruction" in sent(wanting(output_format=OutputFormat(kind="json_schema", schema=SCHEMA)), target)
    assert "systemInstruction" not in sent(wanting(output_format=OutputFormat(kind="json_object")), target)


def test_what_the_model_refuses_is_dropped() -> None:
    target = msgspec.structs.replace(GEMINI_3, drops=("temperature", "topK", "presence_penalty", "reasoning"))
    request = wanting(temperature=1.0, top_k=3, top_p=0.5)
    request.reasoning.effort = "low"
    assert sent(request, target)["generationConfig"] == {"topP": 0.5}
    assert [warning.split(":")[0] for warning in warnings_of(request, target)] == [
        "dropped temperature",
        "dropped topK",
        "dropped reasoning",
    ]
