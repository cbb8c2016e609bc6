"""Inputs of every kind, vectors in either writing, and many answers that become one."""

from __future__ import annotations

import base64
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from openai.types import CreateEmbeddingResponse

from trunkline.errors import InvalidRequest, UpstreamFailed
from trunkline.wire.openai_embeddings import (
    MOST_INPUTS,
    EmbeddingsAnswer,
    Encoding,
    billed,
    estimated_input,
    in_encoding,
    joined,
    read_answer,
    read_request,
    used,
)
from trunkline.wire.usage import Usage

KINDS: dict[str, tuple[Any, int, bool]] = {
    # name: (input, vectors, can be sent in parts)
    "a text": ("Hello world", 1, False),
    "an empty text": ("", 1, False),
    "texts": (["a", "b", "c"], 3, True),
    "one text in a list": (["a"], 1, True),
    "tokens": ([1, 2, 100_256], 1, False),
    "lists of tokens": ([[1, 2], [3]], 2, True),
}


def request(**fields: Any) -> bytes:
    return msgspec.json.encode({"model": "m", "input": "x", **fields})


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_input(kind: str) -> None:
    given, count, divisible = KINDS[kind]
    asked = read_request(request(input=given))
    assert (asked.model, asked.count, asked.inputs is not None) == ("m", count, divisible)
    assert msgspec.json.decode(asked.body("other")) == {"model": "other", "input": given}


def test_what_is_asked_beside_the_input() -> None:
    asked = read_request(request(encoding_format="base64", dimensions=256, user="u", task={"a": 1.50}))
    assert (asked.encoding, asked.dimensions) == ("base64", 256)
    body = asked.body("other")
    assert (
        body == b'{"model":"other","input":"x","encoding_format":"base64","dimensions":256,"user":"u","task":{"a":1.5}}'
    )
    assert asked.body("o", drops=("user", "encoding_format", "task", "dimensions")) == b'{"model":"o","input":"x"}'
    plain = read_request(request(encoding_format=None, dimensions=None))
    assert (plain.encoding, plain.dimensions) == ("float", None)


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b'{"input":"x"}', "model", "missing_required_parameter"),
        (b'{"model":"","input":"x"}', "model", "invalid_value"),
        (b'{"model":3,"input":"x"}', "model", "invalid_type"),
        (b'{"model":"m"}', "input", "missing_required_parameter"),
        (request(input=None), "input", "invalid_type"),
        (request(input=[]), "input", "invalid_value"),
        (request(input={"text": "x"}), "input", "invalid_type"),
        (request(input=7), "input", "invalid_type"),
        (request(input=["a", 1]), "input", "invalid_type"),
        (request(input=[1, "a"]), "input", "invalid_type"),
        (request(input=[1, 2.5]), "input", "invalid_type"),
        (request(input=[1, -2]), "input", "invalid_type"),
        (request(input=[[1], []]), "input", "invalid_type"),
        (request(input=[[1], "a"]), "input", "invalid_type"),
        (request(input=["a"] * (MOST_INPUTS + 1)), "input", "invalid_value"),
        (request(encoding_format="int8"), "encoding_format", "invalid_value"),
        (request(encoding_format=1), "encoding_format", "invalid_type"),
        (request(dimensions=0), "dimensions", "invalid_value"),
        (request(dimensions="many"), "dimensions", "invalid_type"),
        (b'{"model":"m","input":"x","input":"y"}', "input", "duplicate_field"),
        (b'{"Model":"m","input":"x"}', "Model", "unknown_parameter"),
        (b"[]", None, "invalid_type"),
        (b"{", None, "invalid_json"),
    ],
)
def test_what_is_refused(body: bytes, param: str | None, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_request(body)
    assert (caught.value.param, caught.value.code) == (param, code)


@given(st.integers(1, 40), st.integers(1, 12))
def test_parts_are_the_inputs_in_their_order(count: int, at_once: int) -> None:
    texts = [f"text {number}" for number in range(count)]
    asked = read_request(request(input=texts))
    bodies = [msgspec.json.decode(asked.body("m", part)) for part in asked.parts(at_once)]
    assert [text for body in bodies for text in body["input"]] == texts
    assert all(1 <= len(body["input"]) <= at_once for body in bodies)
    assert len(bodies) == -(-count // at_once)


def written(vector: list[float], encoding: Encoding) -> Any:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() if encoding == "base64" else vector


def answer(
    *vectors: list[float], encoding: Encoding = "float", tokens: int | None = 2, index: bool = True
) -> EmbeddingsAnswer:
    data = [
        {"object": "embedding", **({"index": place} if index else {}), "embedding": written(vector, encoding)}
        for place, vector in enumerate(vectors)
    ]
    said: dict[str, Any] = {"object": "list", "data": data, "model": "served", "id": "e-1"}
    if tokens is not None:
        said["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return read_answer(msgspec.json.encode(said), len(vectors))


def vectors_in(body: bytes, encoding: Encoding) -> list[list[float]]:
    said = msgspec.json.decode(body)
    assert [item["index"] for item in said["data"]] == list(range(len(said["data"])))
    assert {item["object"] for item in said["data"]} == {"embedding"}
    if encoding == "float":
        CreateEmbeddingResponse.model_validate(said, strict=True)
        return [item["embedding"] for item in said["data"]]
    packed = [base64.b64decode(item["embedding"], validate=True) for item in said["data"]]
    return [list(struct.unpack(f"<{len(raw) // 4}f", raw)) for raw in packed]


FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(
    st.lists(st.lists(st.lists(FLOAT32, min_size=1, max_size=5), min_size=1, max_size=4), min_size=1, max_size=4),
    st.lists(st.sampled_from(["float", "base64"]), min_size=4, max_size=4),
    st.sampled_from(["float", "base64"]),
)
def test_vectors_arrive_as_they_were_asked_for_whatever_they_were_written_in(
    parts: list[list[list[float]]], encodings: list[Encoding], asked: Encoding
) -> None:
    answers = [answer(*part, encoding=encodings[place]) for place, part in enumerate(parts)]
    body = joined(answers, asked)
    assert vectors_in(body, asked) == [vector for part in parts for vector in part]
    said = msgspec.json.decode(body)
    assert said["usage"] == {"prompt_tokens": 2 * len(parts), "total_tokens": 2 * len(parts)}
    assert (said["object"], said["model"], said["id"]) == ("list", "served", "e-1")
    assert used(answers).input_tokens == 2 * len(parts)


def test_an_answer_that_needs_no_change_keeps_its_bytes() -> None:
    body = b'{"data": [ {"embedding": [1.0e-3, 2], "index": 0, "x": 1} ], "odd":  true}'
    assert joined([read_answer(body, 1)], "float") == body


def test_vectors_are_put_where_their_index_says_and_where_they_stand_without_one() -> None:
    swapped = b'{"data":[{"embedding":[2],"index":1},{"embedding":[1],"index":0}]}'
    assert [bytes(vector) for vector in read_answer(swapped, 2).vectors] == [b"[1]", b"[2]"]
    assert [bytes(vector) for vector in answer([1.0], [2.0], index=False).vectors] == [b"[1.0]", b"[2.0]"]


def test_usage_that_is_not_told_is_not_made_up() -> None:
    told, untold = answer([1.0]), answer([2.0], tokens=None)
    assert (told.usage is None, untold.usage is None) == (False, True)
    assert "usage" not in msgspec.json.decode(joined([untold], "base64"))
    assert used([told, untold]).input_tokens == 2
    # Neither does one part's usage stand for all.
    assert msgspec.json.decode(joined([told, untold], "float"))["usage"]["prompt_tokens"] == 2


def test_a_failure_inside_an_answer_is_told() -> None:
    facts = read_answer(b'{"error":{"message":"no such model","code":404}}', 1)
    assert facts.error is not None
    assert (facts.error.message, facts.error.status, facts.vectors) == ("no such model", 404, [])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"data":{}}',
        b'{"data":[]}',
        b'{"data":[{"index":0}]}',
        b'{"data":[{"embedding":[1],"index":1}]}',
        b'{"data":[{"embedding":[1],"index":0},{"embedding":[1],"index":0}]}',
        b'{"data":[{"embedding":[1],"index":-1}]}',
        b"\xff",
    ],
)
def test_an_answer_that_is_none(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        read_answer(body, 1)


@pytest.mark.parametrize(
    ("vector", "encoding"),
    [
        (b'["a"]', "base64"),
        (b"[1e300]", "base64"),
        (b"[null]", "base64"),
        (b"null", "base64"),
        (b'"not base64!"', "float"),
        (b'"AAA="', "float"),
        (b'"AADAfw=="', "float"),
        (b'"\\ud800"', "float"),
    ],
)
def test_a_vector_that_is_none(vector: bytes, encoding: Encoding) -> None:
    with pytest.raises(UpstreamFailed):
        in_encoding(Raw(vector), encoding)


@pytest.mark.parametrize(
    ("given", "tokens"),
    [("x" * 40, 10), ("", 1), (["x" * 40, "y" * 8], 12), ([1, 2, 3], 3), ([[1, 2], [3]], 3)],
)
def test_what_an_input_costs_where_nobody_counts_it(given: Any, tokens: int) -> None:
    assert estimated_input(read_request(request(input=given))) == tokens


def test_usage_of_ours_is_in_this_protocols_shape() -> None:
    body = b'{"object":"list","model":"m","data":[],"usage":{"prompt_tokens":"x"}}'
    written = billed(body, Usage(input_tokens=7, output_tokens=0, cost_nanos=1500), replaced=True)
    assert written == body.replace(b'{"prompt_tokens":"x"}', b'{"prompt_tokens":7,"total_tokens":7,"cost":0.0000015}')
