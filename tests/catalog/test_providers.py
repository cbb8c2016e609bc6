"""The registry: every provider that genai-prices knows has a row or a reason."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import genai_prices.data
import pytest

from trunkline.catalog import providers
from trunkline.catalog.engines import SANDBOXES
from trunkline.catalog.provider_row import Provider
from trunkline.catalog.providers import MAKERS, NAMES, PROVIDERS, WITHOUT_A_ROW, find

KNOWN = {provider.id: provider for provider in genai_prices.data.providers}
LISTS = {price_list.id: row for row in PROVIDERS.values() for price_list in row.prices}
HOSTED = [row for row in PROVIDERS.values() if row.base_url is not None and row.local_port is None]


def test_each_provider_of_genai_prices_has_a_row_or_a_reason() -> None:
    assert set(LISTS) | set(WITHOUT_A_ROW) == set(KNOWN)
    assert not set(LISTS) & set(WITHOUT_A_ROW)
    assert all(reason.endswith((".", "overview", "typesafe")) for reason in WITHOUT_A_ROW.values())


def test_there_are_many() -> None:
    assert len(HOSTED) >= 25
    assert len([row for row in HOSTED if row.prices]) >= 25


@pytest.mark.parametrize("row", HOSTED, ids=lambda row: row.id)
def test_a_base_url_lies_where_genai_prices_says_the_provider_is(row: Provider) -> None:
    assert row.base_url is not None
    for price_list in row.prices:
        pattern = KNOWN[price_list.id].api_pattern
        # A partner's own URL at Hugging Face names it; the router chooses it by the model's name.
        pattern = pattern.removesuffix("/" + price_list.suffix[1:]) if price_list.suffix else pattern
        assert re.match(pattern, row.base_url) or row.id in ("google", "cohere"), pattern
        assert urlsplit(row.base_url).scheme == "https"


@pytest.mark.parametrize("row", PROVIDERS.values(), ids=lambda row: row.id)
def test_a_row_is_whole(row: Provider) -> None:
    assert row.source, "a row without a source is a guess"
    assert row.speaks
    assert len({face.protocol for face in row.speaks}) == len(row.speaks)
    assert any(not face.only for face in row.speaks), "a model that no face is for"
    assert row.base_url is None or not row.base_url.endswith("/")
    assert row.base_url is not None or row.base_url_looks_like or row in SANDBOXES
    assert row.credential == "none" or row.key_names or row.id == "openai-compatible"
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) for name in row.key_names)
    assert all(name == name.lower() for name in (row.id, *row.other_names, *row.makes))


def test_a_name_means_one_provider_and_a_key_belongs_to_one() -> None:
    names = [name for row in PROVIDERS.values() for name in (row.id, *row.other_names)]
    assert len(names) == len(set(names)) == len(NAMES)
    keys = [name for row in PROVIDERS.values() for name in row.key_names]
    assert len(keys) == len(set(keys)), "a key in the environment would be sent to two companies"


@pytest.mark.parametrize(
    ("name", "row"),
    [("moonshot", "moonshotai"), ("x-ai", "xai"), ("Gemini", "google"), ("OPENAI", "openai"), ("z-ai", "zai")],
)
def test_a_provider_is_found_by_other_names_in_any_case(name: str, row: str) -> None:
    found = find(name)
    assert found is not None
    assert found.id == row


def test_an_unknown_name_finds_nothing() -> None:
    assert find("nobody") is None


def test_only_makers_make() -> None:
    assert all(row.makes for row in MAKERS)
    assert not any(row.makes for row in PROVIDERS.values() if row not in MAKERS)


def test_the_types_are_passed_on() -> None:
    assert providers.Provider is Provider
