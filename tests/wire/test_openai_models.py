from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from anthropic.types import ModelInfo
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Model

from trunkline.wire import openai_models
from trunkline.wire.openai_models import ModelFacts, Pricing


def usd(figure: str) -> int:
    return int(Decimal(figure) * 10**openai_models.PRICE_PLACES)


KNOWN = ModelFacts(
    id="openai/gpt-4o-mini",
    name="GPT-4o mini",
    provider="openai",
    owned_by="openai",
    created=1_721_172_741,
    context_window=128_000,
    max_output_tokens=16_384,
    input_modalities=("text", "image"),
    output_modalities=("text",),
    capabilities={"tools": True, "reasoning": None},
    pricing=Pricing(
        version="list 1a",
        figures={"input": usd("0.15"), "cached_input": usd("0.075"), "output": usd("0.6"), "request": 0},
        tiers=[(200_000, {"input": usd("0.3")})],
        variants={"batch": {"input": usd("0.075")}},
    ),
)
UNKNOWN = ModelFacts(id="office/llama", name="llama", provider="office", owned_by="office")


def test_openais_shape_with_our_facts_beside_it() -> None:
    one = msgspec.json.decode(openai_models.openai_model(KNOWN))
    assert one == {
        "id": "openai/gpt-4o-mini",
        "object": "model",
        "created": 1_721_172_741,
        "owned_by": "openai",
        "name": "GPT-4o mini",
        "provider": "openai",
        "context_window": 128_000,
        "context_length": 128_000,
        "max_output_tokens": 16_384,
        "modalities": {"input": ["text", "image"], "output": ["text"]},
        "capabilities": {"tools": True, "reasoning": None},
        "pricing": {
            "currency": "USD",
            "input": 0.15,
            "cached_input": 0.075,
            "output": 0.6,
            "request": 0,
            "tiers": [{"above_input_tokens": 200_000, "input": 0.3}],
            "variants": {"batch": {"input": 0.075}},
        },
        "pricing_version": "list 1a",
    }
    listed = msgspec.json.decode(openai_models.openai_list([KNOWN, UNKNOWN]))
    assert listed["object"] == "list"
    assert listed["data"][0] == one
    for each in listed["data"]:
        Model.model_validate(each, strict=True)


def test_what_nobody_stated_is_null() -> None:
    one = msgspec.json.decode(openai_models.openai_model(UNKNOWN))
    assert one["created"] == 0
    assert one["pricing"] is one["pricing_version"] is one["context_window"] is one["max_output_tokens"] is None
    assert one["modalities"] == {"input": None, "output": None}


def test_anthropics_shape() -> None:
    page = msgspec.json.decode(openai_models.anthropic_list([KNOWN, UNKNOWN], has_more=True))
    assert (page["has_more"], page["first_id"], page["last_id"]) == (True, KNOWN.id, UNKNOWN.id)
    assert page["data"][0] == msgspec.json.decode(openai_models.anthropic_model(KNOWN))
    assert page["data"][0]["created_at"] == "2024-07-16T23:32:21Z"
    assert page["data"][1]["created_at"] == "1970-01-01T00:00:00Z"
    for each in page["data"]:
        ModelInfo.model_validate(each)
    empty = msgspec.json.decode(openai_models.anthropic_list([]))
    assert empty == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@given(st.integers(0, 10**30))
def test_a_price_is_written_exactly(figure: int) -> None:
    facts = msgspec.structs.replace(UNKNOWN, pricing=Pricing(version="v", figures={"input": figure}))
    text = openai_models.openai_model(facts).split(b'"input":')[-1].split(b"}")[0].decode()
    assert "e" not in text
    whole, _, part = text.partition(".")
    places = openai_models.PRICE_PLACES
    assert int(whole) * 10**places + int(part.ljust(places, "0")) == figure


@pytest.mark.parametrize("anthropic", [True, False])
def test_lists_may_be_empty(anthropic: bool) -> None:
    assert b'"data":[]' in (openai_models.anthropic_list([]) if anthropic else openai_models.openai_list([]))
