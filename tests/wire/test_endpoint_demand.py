from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalog.provider_row import Endpoint
from trunkline.providers.sandbox import embeddings, images_api, rerank
from trunkline.wire import codec
from trunkline.wire.demand import Demand
from trunkline.wire.endpoint_demand import (
    GIVEN_IMAGE_TOKENS,
    IMAGE_TOKENS,
    TRANSCRIBED_TOKENS,
    TRANSCRIPT_TOKENS,
    demand,
    form_demand,
)

NAMES = st.text(st.sampled_from("aé語 .\n"), min_size=1, max_size=60)


def asked(endpoint: str, **body: Any) -> Demand:
    return demand(endpoint, codec.fields(json.dumps({"model": "m", **body}).encode(), frozenset()))


@pytest.mark.parametrize("endpoint", get_args(Endpoint))
def test_every_endpoint_has_a_demand(endpoint: str) -> None:
    assert asked(endpoint, input="hello", query="q", documents=["d"], prompt="p").text_bytes >= len("hello")
    assert form_demand(endpoint, {}).output_tokens > 0


@given(st.lists(NAMES, min_size=1, max_size=5))
def test_embeddings_count_no_more_than_their_bytes(texts: list[str]) -> None:
    body = {"model": "embed", "input": texts}
    usage = json.loads(embeddings.answer(json.dumps(body).encode()))["usage"]
    found = asked("embeddings", input=texts)
    assert found.text_bytes >= max(usage["prompt_tokens"], sum(len(text.encode()) for text in texts))
    assert found.output_tokens == 0


@given(st.lists(st.integers(0, 200_000), min_size=1, max_size=50))
def test_a_token_is_never_less_than_a_byte(tokens: list[int]) -> None:
    assert asked("embeddings", input=tokens).text_bytes >= len(tokens)


@pytest.mark.parametrize(
    ("body", "n", "each"),
    [
        ({}, 1, IMAGE_TOKENS),
        ({"n": 4, "size": "1024x1024"}, 4, IMAGE_TOKENS),
        ({"n": None, "size": "auto", "partial_images": 3}, 1, IMAGE_TOKENS + 300),
        ({"size": "2048x3072"}, 1, 4 * IMAGE_TOKENS),
        ({"n": "four", "size": 7}, 1, IMAGE_TOKENS),
    ],
)
def test_pictures(body: dict[str, Any], n: int, each: int) -> None:
    found = asked("images", prompt="a cat", **body)
    assert (found.images, found.n, found.max_output) == (n, n, each)


def test_the_sandbox_paints_within_the_demand() -> None:
    body = {"model": "paint", "prompt": "a cat on a mat", "n": 3, "size": "1024x1024"}
    plan = images_api.generate(json.dumps(body).encode())
    assert plan.status == 200
    usage = json.loads(b"".join(step for step in plan.steps if isinstance(step, bytes)))["usage"]
    found = demand("images", codec.fields(json.dumps(body).encode(), frozenset()))
    assert usage["input_tokens"] <= found.input_tokens
    assert usage["output_tokens"] <= found.output_tokens


def test_speech_answers_sound() -> None:
    found = asked("speech", input="x" * 100, voice="ash")
    assert found.audio_output
    assert found.output_tokens >= 400


def test_a_question_is_read_with_each_document() -> None:
    found = asked("rerank", query="q" * 100, documents=["d" * 10] * 20)
    assert found.text_bytes >= 20 * 110
    assert asked("rerank", query="q", documents="none").text_bytes > 0
    body = {"model": "rerank", "query": "what is it", "documents": ["a cat", "a dog"]}
    assert b"results" in rerank.answer(json.dumps(body).encode())


PICTURES = 2 * GIVEN_IMAGE_TOKENS


def test_pictures_that_are_given_as_addresses_count_as_the_largest() -> None:
    found = asked("image_edits", prompt="p", images=[{"image_url": "https://a"}, {"image_url": "https://b"}])
    assert found.media_tokens == PICTURES
    assert asked("image_edits", prompt="p", images="odd", image="x", mask="y").media_tokens == PICTURES


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            form_demand("image_edits", {"n": "2", "partial_images": "0"}, files=2),
            Demand(text_bytes=2, media_tokens=PICTURES, images=2, n=2, max_output=IMAGE_TOKENS),
        ),
        (
            form_demand("image_edits", {"n": "x"}),
            Demand(text_bytes=4097, media_tokens=8 * PICTURES, images=10, n=10, max_output=IMAGE_TOKENS + 300),
        ),
        (
            form_demand("image_edits", {"prompt": "sea"}, length=900, files=1),
            Demand(text_bytes=3, media_tokens=PICTURES // 2, images=1, n=1, max_output=IMAGE_TOKENS),
        ),
        (
            form_demand("transcriptions", {}, length=7500),
            Demand(audio_tokens=100, max_output=TRANSCRIPT_TOKENS),
        ),
        (
            form_demand("translations", {"prompt": "é"}, length=10**8),
            Demand(text_bytes=2, audio_tokens=TRANSCRIBED_TOKENS, max_output=TRANSCRIPT_TOKENS),
        ),
        (
            form_demand("transcriptions", {}),
            Demand(text_bytes=4096, audio_tokens=TRANSCRIBED_TOKENS, max_output=TRANSCRIPT_TOKENS),
        ),
    ],
)
def test_forms_ask_for_the_most_where_they_have_not_come(found: Demand, expected: Demand) -> None:
    assert found == expected
