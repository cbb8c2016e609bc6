from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import genai_prices.data
import pytest

from trunkline.catalog import snapshot
from trunkline.catalog.prices import Price, PriceOptions, PriceTier, overridden, price_of
from trunkline.catalog.snapshot import Node
from trunkline.errors import SettingsInvalid
from trunkline.money import Nanos, NanosPerMillion

TODAY = dt.date(2026, 11, 21)
MILLION_DOLLARS = 10**9


def usd(figure: str) -> NanosPerMillion:
    return NanosPerMillion(int(Decimal(figure) * MILLION_DOLLARS))


def prices(**figures: Any) -> Node:
    return "ModelPrice", {
        kind: Decimal(figure) if isinstance(figure, str) else figure for kind, figure in figures.items()
    }


def since(start: dt.date, node: Node) -> Node:
    return "ConditionalPrice", {"constraint": ("StartDateConstraint", {"start_date": start}), "prices": node}


def at_hours(node: Node) -> Node:
    hours = ("TimeOfDateConstraint", {"start_time": dt.time(1), "end_time": dt.time(4)})
    return "ConditionalPrice", {"constraint": hours, "prices": node}


def always(node: Node) -> Node:
    return "ConditionalPrice", {"prices": node}


def test_every_kind_becomes_an_integer() -> None:
    node = prices(
        input_mtok="2.5",
        cache_read_mtok="0.25",
        cache_write_mtok="3.125",
        cache_write_1h_mtok="5",
        output_mtok="15",
        output_reasoning_mtok="20",
        input_audio_mtok="40",
        output_audio_mtok="80",
        requests_kcount="5",
    )
    assert price_of(node, TODAY, "v") == Price(
        version="v",
        input=usd("2.5"),
        cached_input=usd("0.25"),
        cache_write=usd("3.125"),
        cache_write_1h=usd("5"),
        output=usd("15"),
        reasoning=usd("20"),
        audio_input=usd("40"),
        audio_output=usd("80"),
        request=Nanos(5_000_000),
    )


def test_an_unknown_kind_alone_is_no_price() -> None:
    assert price_of(prices(audio_hours="0.1"), TODAY, "v") is None
    assert price_of(prices(), TODAY, "v") is None


def test_zero_is_a_price() -> None:
    price = price_of(prices(input_mtok="0", output_mtok="0"), TODAY, "v")
    assert price is not None
    assert (price.input, price.output) == (0, 0)


def test_long_inputs_have_tiers_of_their_own() -> None:
    tiers = (
        "TieredPrices",
        {"base": Decimal("1.25"), "tiers": [("Tier", {"start": 200_000, "price": Decimal("2.5")})]},
    )
    price = price_of(prices(input_mtok=tiers, output_mtok="10"), TODAY, "v")
    assert price is not None
    assert price.input == usd("1.25")
    assert price.tiers == (PriceTier(above_input_tokens=200_000, input=usd("2.5")),)


def test_the_price_of_the_day_is_the_last_that_began() -> None:
    old, middle, new = (prices(input_mtok=figure) for figure in ("1", "2", "3"))
    dated = [always(old), since(dt.date(2026, 8, 1), middle), since(dt.date(2027, 1, 1), new)]
    for day, expected in ((dt.date(2026, 7, 31), "1"), (dt.date(2026, 8, 1), "2"), (dt.date(2027, 1, 1), "3")):
        price = price_of(dated, day, "v")
        assert price is not None
        assert price.input == usd(expected), day


def test_where_the_hour_counts_the_dearest_is_taken_kind_by_kind() -> None:
    dated = [always(prices(input_mtok="1", output_mtok="9")), at_hours(prices(input_mtok="2", output_mtok="8"))]
    price = price_of(dated, TODAY, "v")
    assert price is not None
    assert (price.input, price.output) == (usd("2"), usd("9"))


def test_a_condition_of_an_unknown_kind_leaves_the_price_unknown() -> None:
    strange = ("ConditionalPrice", {"constraint": ("MoonPhase", {}), "prices": prices(input_mtok="1")})
    assert price_of([always(prices(input_mtok="2")), strange], TODAY, "v") is None


def test_the_noise_of_a_division_is_rounded() -> None:
    price = price_of(prices(input_mtok="0.18000000000000002", output_mtok="0.0416666666666667"), TODAY, "v")
    assert price is not None
    assert (price.input, price.output) == (180_000_000, 41_666_667)


def test_the_catalog_agrees_with_the_package_on_every_model_without_hours() -> None:
    now = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
    lists = snapshot.read().lists
    compared = 0
    for provider in genai_prices.data.providers:
        for theirs, entry in zip(provider.models, lists[provider.id], strict=True):
            if "TimeOfDate" in repr(theirs.prices):
                continue
            ours = price_of(entry.prices, TODAY, "v")
            figure = getattr(theirs.get_prices(now), "input_mtok", None)
            if figure is None:
                assert ours is None or ours.input is None
                continue
            assert ours is not None
            base = figure if isinstance(figure, Decimal) else figure.base
            assert ours.input == round(base * MILLION_DOLLARS), (provider.id, entry.id)
            compared += 1
    assert compared > 2000


def test_the_settings_override_figure_by_figure() -> None:
    catalog = Price(
        version="v", input=usd("1"), output=usd("2"), tiers=(PriceTier(above_input_tokens=1, input=usd("9")),)
    )
    price = overridden(catalog, PriceOptions(input=0.15, cache_write_5m=0.5, cache_write_1h=0.75, request=0.01))
    assert price == Price(
        version="settings",
        input=usd("0.15"),
        cache_write=usd("0.5"),
        cache_write_1h=usd("0.75"),
        output=usd("2"),
        request=Nanos(10_000_000),
    )


def test_a_price_in_the_settings_alone() -> None:
    assert overridden(None, PriceOptions(input=0)) == Price(version="settings", input=NanosPerMillion(0))


def test_a_figure_finer_than_a_nano_dollar_is_refused() -> None:
    with pytest.raises(SettingsInvalid, match="finer than a nano-dollar"):
        overridden(None, PriceOptions(input=1e-10))


def test_tiers_keep_the_kinds_that_the_settings_do_not_name() -> None:
    tier = PriceTier(above_input_tokens=1, input=usd("9"), output=usd("8"))
    catalog = Price(version="v", input=usd("1"), output=usd("2"), tiers=(tier,), variants={"flex": Price(version="v")})
    price = overridden(catalog, PriceOptions(input=0.15))
    assert price.tiers == (PriceTier(above_input_tokens=1, output=usd("8")),)
    assert price.variants == {}


def test_a_discount_for_batches() -> None:
    catalog = Price(version="v", batch_discount_millionths=500_000)
    assert overridden(catalog, PriceOptions(input=1)).batch_discount_millionths == 500_000
    assert overridden(catalog, PriceOptions(batch_discount=0.125)).batch_discount_millionths == 125_000
    assert overridden(catalog, PriceOptions(batch_discount=0)).batch_discount_millionths == 0
    with pytest.raises(SettingsInvalid, match="finer than a millionth"):
        overridden(catalog, PriceOptions(batch_discount=0.1234567))


def variant(node: Node, since_day: dt.date | None = None, **when: str) -> Node:
    told: dict[str, Any] = {"when": when, "prices": node}
    if since_day is not None:
        told["constraint"] = ("StartDateConstraint", {"start_date": since_day})
    return "PriceVariant", told


def test_other_ways_to_be_served_have_prices_of_their_own() -> None:
    tiered = ("TieredPrices", {"base": Decimal(2), "tiers": [("Tier", {"start": 200_000, "price": Decimal(4)})]})
    ways = [
        variant(prices(), service_tier="default"),
        variant(prices(input_mtok="1"), service_tier="flex"),
        variant(prices(input_mtok="7", output_mtok="9"), TODAY, processing="batch"),
        variant(prices(input_mtok="6"), processing="batch"),
        variant(prices(input_mtok="50"), TODAY + dt.timedelta(1), service_tier="priority"),
        variant(prices(input_mtok="5"), speed="fast"),
        variant(prices(input_mtok="3"), route="mistral/eu"),
    ]
    price = price_of(prices(input_mtok=tiered, output_mtok="10"), TODAY, "v", ways)
    assert price is not None
    assert {name: (way.input, way.output, way.tiers) for name, way in price.variants.items()} == {
        "flex": (usd("1"), usd("10"), ()),
        "batch": (usd("7"), usd("9"), ()),
        "fast": (usd("5"), usd("10"), ()),
    }
    assert price.tiers[0].input == usd("4")


def test_the_package_resolves_its_variants_alike() -> None:
    """For each model and each of its contexts, the figures are those that the package would count with."""
    now = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
    lists = snapshot.read().lists
    compared = 0
    for provider in genai_prices.data.providers:
        for theirs, entry in zip(provider.models, lists[provider.id], strict=True):
            if "TimeOfDate" in repr(theirs.prices):
                continue
            ours = price_of(entry.prices, TODAY, "v", entry.variants)
            for way in theirs.price_variants or ():
                name = next(iter(way.when.values()))
                if ours is None or name not in ours.variants:
                    continue
                for kind in ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok"):
                    figure = getattr(theirs.get_prices(now, way.when), kind)
                    base = figure if figure is None or isinstance(figure, Decimal) else figure.base
                    expected = None if base is None else round(base * MILLION_DOLLARS)
                    assert getattr(ours.variants[name], KINDS[kind]) == expected, (provider.id, entry.id, name, kind)
                    compared += 1
    assert compared > 500


KINDS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
}


def test_figures_are_the_kinds_that_have_one() -> None:
    assert Price(version="v", input=usd("1"), output=NanosPerMillion(0)).figures() == {"input": 10**9, "output": 0}
