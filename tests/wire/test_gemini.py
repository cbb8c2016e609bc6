"""The request of Gemini as it is read before routing, its paths and its errors."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trunkline.errors import InvalidRequest
from trunkline.wire.gemini import (
    CHECKED_WHOLE_BYTES,
    MAX_MODEL_NAME,
    STATUSES,
    count_path,
    error_body,
    error_event,
    path,
    read_count_request,
    read_path,
    read_request,
)

ASK: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
LONG = "x" * CHECKED_WHOLE_BYTES


def body(**more: Any) -> bytes:
    return msgspec.json.encode({name: value for name, value in {**ASK, **more}.items() if value is not ...})


def test_what_is_read() -> None:
    data = body(generationConfig={"maxOutputTokens": 10, "candidateCount": 2}, unknown={"a": 1}, safetySettings=None)
    request = read_request(data, "m", stream=True, sse=False)
    assert (request.model, request.stream, request.sse) == ("m", True, False)
    assert (request.max_tokens, request.n) == (10, 2)
    assert list(request.fields) == list(msgspec.json.decode(data))
    assert bytes(request.fields["unknown"]) == b'{"a":1}'
    plain = read_request(body(), "m")
    assert (plain.stream, plain.sse, plain.max_tokens, plain.n) == (False, True, None, 1)


@pytest.mark.parametrize(
    "config",
    [
        {"maxOutputTokens": 10, "candidateCount": 2},
        {"max_output_tokens": 10, "candidate_count": 2},
        {"maxOutputTokens": "10", "candidateCount": 2.0},
    ],
)
@pytest.mark.parametrize("name", ["generationConfig", "generation_config"])
def test_both_spellings_and_numbers_that_are_strings(name: str, config: dict[str, Any]) -> None:
    request = read_request(body(**{name: config}), "m")
    assert (request.max_tokens, request.n) == (10, 2)


@pytest.mark.parametrize(
    "contents",
    [
        {"role": "user", "parts": [{"text": "Hi"}]},
        [{"parts": {"text": "Hi"}}],
        [{"role": "function", "parts": [{"functionResponse": {}}]}],
        [{"role": "wrong", "parts": [{"text": LONG}]}],
    ],
    ids=["one content", "one part", "function", "too long to look at closely"],
)
def test_what_google_takes(contents: Any) -> None:
    assert read_request(body(contents=contents), "m").fields.keys() == {"contents"}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"contents": ...}, "contents", "not specified"),
    ({"contents": None}, "contents", "not specified"),
    ({"contents": []}, "contents", "not specified"),
    ({"contents": "Hi"}, "contents", "got `str`"),
    ({"contents": ["Hi"]}, "contents[0]", "got `str`"),
    ({"contents": [{"role": "system", "parts": []}]}, "contents[0].role", "Invalid enum value"),
    ({"contents": [{"parts": "Hi"}]}, "contents[0].parts", "got `str`"),
    ({"contents": LONG}, "contents", "list of contents"),
    ({"generationConfig": 1}, "generationConfig", "got `int`"),
    ({"generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens", ">= 1"),
    ({"generationConfig": {"maxOutputTokens": 1.5}}, "generationConfig.maxOutputTokens", "whole number"),
    ({"generationConfig": {"candidateCount": 9}}, "generationConfig.candidateCount", "<= 8"),
    ({"generation_config": {"temperature": 2.5}}, "generation_config.temperature", "<= 2.0"),
]


@pytest.mark.parametrize(("change", "param", "sentence"), WRONG)
def test_what_is_wrong_is_named(change: dict[str, Any], param: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_request(body(**change), "m")
    assert caught.value.param == param
    assert sentence in caught.value.message


def test_a_name_in_disguise_is_refused() -> None:
    for text in (b'{"Contents":[]}', b'{"contents":[],"contents":[]}', b'{"c\\u006fntents":[]}', b"[]", b"", b"{"):
        with pytest.raises(InvalidRequest):
            read_request(text, "m")


@pytest.mark.parametrize("model", ["", "m" * (MAX_MODEL_NAME + 1)])
def test_a_model_has_a_name(model: str) -> None:
    with pytest.raises(InvalidRequest, match="1 to 1,024 characters") as caught:
        read_request(body(), model)
    assert caught.value.param == "model"


def test_a_count_is_of_contents_or_of_a_whole_request() -> None:
    assert read_count_request(body(tools=[]), "m").fields.keys() == {"contents", "tools"}
    for name in ("generateContentRequest", "generate_content_request"):
        whole = msgspec.json.encode({name: {"model": "models/m", **ASK, "systemInstruction": {}}})
        assert read_count_request(whole, "m").fields.keys() == {"contents", "systemInstruction"}
        with pytest.raises(InvalidRequest, match="only one of"):
            read_count_request(body(**{name: ASK}), "m")
        with pytest.raises(InvalidRequest, match="not specified"):
            read_count_request(msgspec.json.encode({name: {}}), "m")


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("/v1beta/models/gemini-3-flash:generateContent", ("gemini-3-flash", "generateContent")),
        ("/v1/models/gemini-3-flash:streamGenerateContent", ("gemini-3-flash", "streamGenerateContent")),
        ("/v1alpha/models/m:countTokens", ("m", "countTokens")),
        ("/v1beta/models/sandbox/echo:generateContent", ("sandbox/echo", "generateContent")),
        ("/v1beta/models/sandbox%2Fecho:generateContent", ("sandbox/echo", "generateContent")),
        ("/v1beta/models/ollama/llama3:8b:generateContent", ("ollama/llama3:8b", "generateContent")),
        ("/v1beta/models/m", None),
        ("/v1/models/m", None),
        ("/v1beta/models/:generateContent", None),
        ("/v1beta/models/m:embedContent", None),
        ("/v1beta/tunedModels/m:generateContent", None),
        ("/v2/models/m:generateContent", None),
        ("/x/v1beta/models/m:generateContent", None),
    ],
)
def test_callers_paths(given: str, read: tuple[str, str] | None) -> None:
    assert read_path(given) == read


def test_providers_paths() -> None:
    assert path("gemini-3-flash", stream=False) == b"/models/gemini-3-flash:generateContent"
    assert path("gemini-3-flash", stream=True) == b"/models/gemini-3-flash:streamGenerateContent?alt=sse"
    assert path("a/b?c#d:e \u00e9", stream=False) == b"/models/a%2Fb%3Fc%23d%3Ae%20%C3%A9:generateContent"
    assert count_path("m") == b"/models/m:countTokens"
    for name in ("", ".", ".."):
        with pytest.raises(InvalidRequest):
            path(name, stream=False)


def test_the_error_envelope() -> None:
    whole = error_body(404, 'no "x"')
    assert whole == b'{"error":{"code":404,"message":"no \\"x\\"","status":"NOT_FOUND"}}'
    assert error_event(404, 'no "x"') == b"data: " + whole + b"\n\n"
    assert {status: msgspec.json.decode(error_body(status, "x"))["error"]["status"] for status in STATUSES} == STATUSES
    assert msgspec.json.decode(error_body(418, "x"))["error"]["status"] == "INVALID_ARGUMENT"
    assert msgspec.json.decode(error_body(599, "x"))["error"]["status"] == "INTERNAL"
