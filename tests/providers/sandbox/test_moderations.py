from __future__ import annotations

from typing import Any

import pytest
from openai.types import ModerationCreateResponse
from openai.types.moderation import Categories, CategoryAppliedInputTypes

from tests.providers.sandbox.exchange import JSON
from tests.providers.sandbox.openai_client import client, post, refused
from trunkline.providers.sandbox.moderations import CATEGORIES, IMAGE_CATEGORIES

PATH = "/moderations"
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


async def moderate(given: object) -> list[Any]:
    answered = await post(PATH, {"model": "moderate", "input": given})
    assert answered.status == 200, answered.body
    ModerationCreateResponse.model_validate(answered.json())
    found: list[Any] = answered.json()["results"]
    return found


def test_categories_are_those_of_the_sdk() -> None:
    names = {field.alias or name for name, field in Categories.model_fields.items()}
    assert set(CATEGORIES) == names
    seen = {
        field.alias or name
        for name, field in CategoryAppliedInputTypes.model_fields.items()
        if "image" in str(field.annotation)
    }
    assert set(IMAGE_CATEGORIES) == seen


@pytest.mark.parametrize("category", CATEGORIES)
async def test_what_a_text_says_it_is_flagged_for(category: str) -> None:
    clean, flagged = await moderate(["nothing", f"something [[flag={category}]]"])
    assert (clean["flagged"], any(clean["categories"].values())) == (False, False)
    assert flagged["flagged"] is True
    assert [name for name, value in flagged["categories"].items() if value] == [category]
    assert [name for name, score in flagged["category_scores"].items() if score > 0.5] == [category]


async def test_parts_have_one_result_together() -> None:
    parts = [{"type": "text", "text": "[[flag=hate]]"}, IMAGE, {"type": "text", "text": "[[flag=violence]]"}]
    (found,) = await moderate(parts)
    assert [name for name, value in found["categories"].items() if value] == ["hate", "violence"]
    kinds = found["category_applied_input_types"]
    assert (kinds["hate"], kinds["violence"]) == (["text"], ["text", "image"])
    (alone,) = await moderate([IMAGE])
    assert alone["category_applied_input_types"]["hate"] == []


async def test_the_client() -> None:
    async with client() as openai:
        found = await openai.moderations.create(model="sandbox/moderate", input="[[flag=self-harm/intent]]")
    assert found.results[0].categories.self_harm_intent
    assert found.model == "sandbox/moderate"


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": "[[flag=rudeness]]"}, "input", "invalid_directive"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": ["x", IMAGE]}, "input", "invalid_value"),
        ({"input": [{"type": "audio"}]}, "input[0].type", "invalid_value"),
        ({"model": "echo"}, "model", "unsupported_model"),
    ],
)
async def test_refusals_name_their_field(body: JSON, param: str, code: str) -> None:
    found = await refused(PATH, {"model": "moderate", "input": "x", **body})
    assert found[0] == param
    assert found[1] == code or code == "invalid_value"
