from __future__ import annotations

import struct
from base64 import b64decode
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse

from tests.providers.sandbox.exchange import JSON
from tests.providers.sandbox.openai_client import client, post, refused
from trunkline.providers.sandbox.vectors import similarity

PATH = "/embeddings"


async def embed(given: object, **more: Any) -> JSON:
    answered = await post(PATH, {"model": "sandbox/embed", "input": given, **more})
    assert answered.status == 200, answered.body
    return answered.json()


async def test_a_string() -> None:
    found = await embed("hello big world")
    CreateEmbeddingResponse.model_validate(found)
    assert (found["object"], found["model"]) == ("list", "sandbox/embed")
    assert found["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    (each,) = found["data"]
    assert (each["object"], each["index"], len(each["embedding"])) == ("embedding", 0, 256)


@pytest.mark.parametrize(
    ("given", "count", "tokens"),
    [(["a b", "c"], 2, 3), ([1, 2, 3], 1, 3), ([[1, 2], [3]], 2, 3), ([" "], 1, 1)],
)
async def test_every_kind_of_input_keeps_its_order(given: list[Any], count: int, tokens: int) -> None:
    found = await embed(given)
    assert [each["index"] for each in found["data"]] == list(range(count))
    assert found["usage"]["total_tokens"] == tokens
    if count > 1:
        assert [(await embed(each))["data"][0]["embedding"] for each in given] == [
            each["embedding"] for each in found["data"]
        ]


async def test_both_encodings_say_the_same() -> None:
    floats = (await embed("hello", dimensions=16, encoding_format="float"))["data"][0]["embedding"]
    base64 = (await embed("hello", dimensions=16, encoding_format="base64"))["data"][0]["embedding"]
    assert list(struct.unpack("<16f", b64decode(base64))) == floats


async def test_the_client_decodes_what_it_asks_for() -> None:
    # The client asks for base64 by itself and decodes it after its own validation.
    async with client(strict=False) as openai:
        found = await openai.embeddings.create(model="embed", input=["a small cat", "a small cats", "zebra"])
    one, near, far = (each.embedding for each in found.data)
    assert similarity(one, near) > similarity(one, far)


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": ""}, "input", "invalid_value"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": ["a", ""]}, "input[1]", "invalid_value"),
        ({"input": [[1], []]}, "input[1]", "invalid_value"),
        ({"input": ["a", 1]}, "input", "invalid_value"),
        ({"input": ["a", [1]]}, "input", "invalid_value"),
        ({"input": [1.5]}, "input[0]", "invalid_type"),
        ({"input": [-1]}, "input[0]", "integer_below_min_value"),
        ({"input": ["a"] * 2_049}, "input", "array_above_max_length"),
        ({"input": "a " * 8_193}, "input", "context_length_exceeded"),
        ({"input": list(range(8_193))}, "input", "context_length_exceeded"),
        ({"input": ["b", "a" * 65_537]}, "input[1]", "context_length_exceeded"),
        ({"input": ["a " * 8_000] * 38}, "input", "max_tokens_per_request"),
        ({"input": ["a" * 60_000] * 34}, "input", "max_tokens_per_request"),
        ({"dimensions": 1_537}, "dimensions", "integer_above_max_value"),
        ({"dimensions": 0}, "dimensions", "integer_below_min_value"),
        ({"encoding_format": "int8"}, "encoding_format", "invalid_value"),
        ({"model": "echo"}, "model", "unsupported_model"),
        ({"model": "ada"}, "model", "model_not_found"),
        ({"stream": True}, "stream", "unknown_parameter"),
    ],
)
async def test_refusals_name_their_field(body: JSON, param: str, code: str) -> None:
    assert await refused(PATH, {"model": "embed", "input": "x", **body}) == (param, code)


async def test_the_most_tokens_is_allowed() -> None:
    assert (await embed("a " * 8_192))["usage"]["total_tokens"] == 8_192
