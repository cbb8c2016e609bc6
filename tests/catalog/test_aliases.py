from __future__ import annotations

import datetime as dt

import pytest

from trunkline.catalog.aliases import SHIPPED, ShippedAlias
from trunkline.catalog.catalog import load_catalog
from trunkline.catalog.providers import PROVIDERS

CATALOG = load_catalog(dt.date(2026, 11, 21))


@pytest.mark.parametrize(("name", "alias"), SHIPPED.items(), ids=list(SHIPPED))
def test_a_shipped_alias_has_a_source_and_targets_that_exist(name: str, alias: ShippedAlias) -> None:
    assert name == name.lower()
    assert alias.source.startswith("https://")
    for target in alias.targets:
        provider, _, rest = target.partition("/")
        assert provider in PROVIDERS
        assert CATALOG.find(provider, rest) is not None, target


def test_the_names_that_people_bring() -> None:
    for name in (
        "DeepSeek-V3",
        "deepseek/deepseek-v3",
        "deepseek/deepseek-r1",
        "anthropic/claude-sonnet-4-20250514",
        "moonshot/kimi-k2.6",
    ):
        assert name.casefold() in SHIPPED
