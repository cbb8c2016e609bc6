from __future__ import annotations

from trunkline.catalog.engines import SANDBOXES
from trunkline.catalog.sandbox import MODELS

BY_NAME = {model.upstream: model for model in MODELS if model.provider == "sandbox"}
CHAT = {"echo", "story", "tools", "json", "think", "vision", "faulty"}


def test_the_models_of_the_sandbox() -> None:
    assert set(BY_NAME) == CHAT | {"embed", "paint", "speak", "transcribe", "moderate", "rerank"}
    assert all(model.id == f"{model.provider}/{model.upstream}" for model in MODELS)


def test_the_same_models_are_behind_every_protocol() -> None:
    for row in SANDBOXES[1:]:
        assert {model.upstream for model in MODELS if model.provider == row.id} == CHAT


def test_every_price_is_declared_zero() -> None:
    for model in MODELS:
        assert model.price is not None
        assert set(model.price.figures().values()) == {0}
        assert {"input", "output"} <= set(model.price.figures())


def test_each_says_what_it_can() -> None:
    assert BY_NAME["tools"].capabilities.tools
    assert BY_NAME["think"].capabilities.reasoning
    assert BY_NAME["json"].capabilities.json_schema
    assert BY_NAME["vision"].input_modalities == ("text", "image")
    assert BY_NAME["embed"].output_modalities == ("embedding",)
    assert BY_NAME["echo"].capabilities.tools is False


def test_none_claims_to_be_a_language_model() -> None:
    assert all(model.name.startswith("Sandbox ") and ":" in model.name for model in MODELS)
