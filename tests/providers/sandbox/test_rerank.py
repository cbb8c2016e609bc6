from __future__ import annotations

from typing import Any

import pytest

from tests.providers.sandbox.exchange import JSON
from tests.providers.sandbox.openai_client import post, refused

PATH = "/rerank"
DOCUMENTS = ["dogs bark", {"text": "a cat sat here"}, "the cat", "dogs bark"]


async def rank(**more: Any) -> JSON:
    answered = await post(PATH, {"model": "sandbox/rerank", "query": "the cat", "documents": DOCUMENTS, **more})
    assert answered.status == 200, answered.body
    return answered.json()


async def test_the_best_stands_first_and_of_equals_the_earlier() -> None:
    found = await rank()
    assert [each["index"] for each in found["results"]] == [2, 1, 0, 3]
    scores = [each["relevance_score"] for each in found["results"]]
    assert scores == sorted(scores, reverse=True)
    assert (scores[0], scores[2]) == (1.0, scores[3])
    assert all(0 <= score <= 1 for score in scores)
    assert "document" not in found["results"][0]
    assert found["id"].startswith("rerank-")
    assert found["meta"] == {"billed_units": {"search_units": 1}, "api_version": {"version": "2"}}
    assert found["usage"] == {"prompt_tokens": 12, "total_tokens": 12}


async def test_a_few_with_their_documents() -> None:
    found = await rank(top_n=2, return_documents=True)
    assert [each["document"] for each in found["results"]] == [{"text": "the cat"}, {"text": "a cat sat here"}]


async def test_a_hundred_documents_are_a_unit() -> None:
    for count, units in ((100, 1), (101, 2), (1_000, 10)):
        found = await rank(documents=["x"] * count, max_tokens_per_doc=4096)
        assert found["meta"]["billed_units"]["search_units"] == units


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"query": ""}, "query"),
        ({"query": None}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": [1]}, "documents[0]"),
        ({"documents": [{"title": "x"}]}, "documents[0].text"),
        ({"documents": ["x"] * 1_001}, "documents"),
        ({"documents": ["x" * 2_000_000]}, "documents"),
        ({"top_n": 0}, "top_n"),
        ({"model": "embed"}, "model"),
    ],
)
async def test_refusals_name_their_field(body: JSON, param: str) -> None:
    whole = {"model": "rerank", "query": "x", "documents": ["y"], **body}
    assert (await refused(PATH, whole))[0] == param
