from __future__ import annotations

import datetime as dt

import pytest

from trunkline.catalog.catalog import Catalog, load_catalog, providers_that_sell
from trunkline.catalog.engines import SANDBOXES
from trunkline.catalog.models import Model
from trunkline.catalog.prices import Price
from trunkline.catalog.providers import PROVIDERS

CATALOG = load_catalog(dt.date(2026, 11, 21))


def found(provider: str, rest: str) -> Model:
    model = CATALOG.find(provider, rest)
    assert model is not None
    return model


def test_every_row_with_a_price_list_has_models() -> None:
    counts = providers_that_sell(CATALOG)
    assert {row.id for row in PROVIDERS.values() if row.prices or row in SANDBOXES} == set(counts)
    assert len(CATALOG.models) > 2000


def test_ids_are_unique_whatever_their_case_and_begin_with_their_provider() -> None:
    for folded, model in CATALOG.models.items():
        assert folded == model.id.casefold()
        assert model.id.startswith(model.provider + "/")


@pytest.mark.parametrize(
    ("provider", "rest", "model_id"),
    [
        ("openai", "gpt-4o", "openai/gpt-4o"),
        ("openai", "GPT-4o-2024-11-20", "openai/gpt-4o"),
        ("anthropic", "claude-sonnet-4-20250514", "anthropic/claude-sonnet-4-0"),
        ("anthropic", "claude-opus-5-20260901", "anthropic/claude-opus-5"),
        ("mistral", "codestral-latest", "mistral/codestral"),
        ("zai", "GLM-5.3", "zai/glm-5.3"),
        ("sandbox", "ECHO", "sandbox/echo"),
    ],
)
def test_a_model_is_found_by_every_name_that_its_provider_takes(provider: str, rest: str, model_id: str) -> None:
    assert found(provider, rest).id == model_id


@pytest.mark.parametrize(
    ("provider", "rest"),
    [("openai", "gpt-99"), ("nobody", "gpt-4o"), ("openai", "gpt-oss-120b"), ("google", "claude-opus-4-5")],
)
def test_what_a_provider_does_not_serve_is_not_found(provider: str, rest: str) -> None:
    assert CATALOG.find(provider, rest) is None


@pytest.mark.parametrize(
    ("provider", "asked", "spelled"),
    [
        ("openai", "GPT-4o-2024-11-20", "gpt-4o-2024-11-20"),
        ("anthropic", "Claude-Sonnet-4-20250514", "claude-sonnet-4-20250514"),
        ("together", "deepseek-ai/deepseek-v4.1-flash", "deepseek-ai/DeepSeek-V4.1-Flash"),
        ("fireworks", "glm-5p3", "accounts/fireworks/models/glm-5p3"),
        ("openai", "ft:gpt-4o-2024-08-06:Org::AbC", "ft:gpt-4o-2024-08-06:Org::AbC"),
    ],
)
def test_a_name_is_sent_as_its_provider_spells_it(provider: str, asked: str, spelled: str) -> None:
    known = CATALOG.spelled(provider, asked)
    assert known is not None
    assert known[1] == spelled


def test_fine_tuned_models_have_their_price_but_no_line() -> None:
    assert found("openai", "ft:gpt-4o-2024-08-06:org::x").price is not None
    assert CATALOG.exact("openai", "ft:gpt-4o") is None


def test_bare_names_reach_ids_their_last_parts_and_spellings() -> None:
    assert "openai/gpt-4o" in {model.id for model in CATALOG.named("GPT-4o")}
    assert "openrouter/openai/gpt-4o" in {model.id for model in CATALOG.named("gpt-4o")}
    assert "openai/gpt-4o" in {model.id for model in CATALOG.named("gpt-4o-2024-11-20")}
    assert CATALOG.named("no-such-model") == ()


def test_prices_are_those_of_the_day() -> None:
    inputs = []
    for day in (dt.date(2026, 10, 19), dt.date(2026, 10, 20), dt.date(2026, 10, 29)):
        model = load_catalog(day).exact("mistral", "mistral-large-4")
        assert model is not None
        assert model.price is not None
        assert model.price.version.startswith("genai-prices ")
        inputs.append(model.price.input)
    assert inputs == [680_000_000, 1_360_000_000, 700_000_000]


def test_other_ways_to_be_served_and_caches_that_are_written_unasked() -> None:
    def price(provider: str, name: str) -> Price:
        found = CATALOG.exact(provider, name)
        assert found is not None
        assert found.price is not None
        return found.price

    assert {"flex", "priority", "batch"} <= price("openai", "gpt-5").variants.keys()
    assert price("openai", "gpt-6-sol").writes_unasked
    assert not price("openai", "gpt-5").writes_unasked
    for provider in ("anthropic", "vertex", "openrouter"):
        claude = next(one for one in CATALOG.of(provider) if "claude" in one.id and one.price and one.price.cache_write)
        assert claude.price is not None
        assert not claude.price.writes_unasked
    assert price("openai", "gpt-4o").batch_discount_millionths == 500_000
    assert price("deepseek", "deepseek-chat").batch_discount_millionths == 0


def test_a_spelling_never_hides_an_id() -> None:
    catalog = Catalog("v")
    one, two = (Model(id=f"p/{name}", provider="p", upstream=name, name=name) for name in ("one", "two"))
    catalog.add(one)
    catalog.add(two)
    catalog.add_spelling(one, "TWO")
    catalog.add_spelling(one, "Eins")
    assert catalog.find("p", "two") is two
    assert catalog.spelled("p", "EINS") == (one, "Eins")
