from __future__ import annotations

import datetime as dt
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from genai_prices import Usage as TheirUsage
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.policy.priced import (
    COMPARABLE,
    MARKUPS,
    PACKAGE,
    PLAIN_PRICES,
    PRICES,
    all_figures,
    calls,
    longhand,
    usages,
    used,
)
from trunkline.catalog.prices import Price, PriceTier, price_of
from trunkline.catalog.sandbox import FREE
from trunkline.errors import InvalidRequest
from trunkline.money import Nanos, NanosPerMillion
from trunkline.policy.metering import Demand, Tariff, cost, hold, tariff_of
from trunkline.wire.usage import Usage

TODAY = dt.date(2026, 11, 21)
# Claude Sonnet 4.5's figures, with its prices of inputs beyond 200,000 tokens.
SONNET = Price(
    version="list",
    input=NanosPerMillion(3_000_000_000),
    cached_input=NanosPerMillion(300_000_000),
    cache_write=NanosPerMillion(3_750_000_000),
    cache_write_1h=NanosPerMillion(6_000_000_000),
    output=NanosPerMillion(15_000_000_000),
    tiers=(
        PriceTier(
            above_input_tokens=200_000,
            input=NanosPerMillion(6_000_000_000),
            cached_input=NanosPerMillion(600_000_000),
            cache_write=NanosPerMillion(7_500_000_000),
            output=NanosPerMillion(22_500_000_000),
        ),
    ),
)


def price(**figures: Any) -> Price:
    return Price(version="v", **figures)


def tariff(markup_millionths: int = 0, **figures: Any) -> Tariff:
    compiled = tariff_of(price(**figures), markup_millionths)
    assert compiled is not None
    return compiled


def of(list_price: Price, markup_millionths: int = 0) -> Tariff:
    compiled = tariff_of(list_price, markup_millionths)
    assert compiled is not None
    return compiled


@pytest.mark.parametrize(
    ("usage", "nanos"),
    [
        (used(1_000_000), 3_000_000_000 * 2),  # all of a long input has the long price
        (used(200_000), 600_000_000),
        (used(200_001), 1_200_006_000),
        (used(1000, 500), 3_000_000 + 7_500_000),
        (used(1000, 500, reasoning_tokens=400), 3_000_000 + 7_500_000),
        (used(1000, cached_input_tokens=900), 300_000 + 270_000),
        (used(1000, cache_write_tokens=900), 300_000 + 3_375_000),
        (used(1000, cache_write_tokens=900, cache_write_1h_tokens=400), 300_000 + 1_875_000 + 2_400_000),
        (used(300_000, cache_write_tokens=1000, cache_write_1h_tokens=1000), 299_000 * 6000 + 6_000_000),
        (used(10, cached_input_tokens=4, cache_write_tokens=6), 1_200 + 22_500),
        (used(0, 0), 0),
    ],
)
def test_kinds_are_disjoint(usage: Usage, nanos: int) -> None:
    assert cost(of(SONNET), usage).cost_nanos == nanos


@pytest.mark.parametrize(
    ("per_million", "tokens", "nanos", "held"),
    [
        (500_000, 1, 0, 1),  # 0.5: to the even one
        (500_000, 3, 2, 2),  # 1.5
        (500_000, 5, 2, 3),  # 2.5
        (499_999, 1, 0, 1),
        (500_001, 1, 1, 1),
        (1, 1, 0, 1),
        (1_000_000, 7, 7, 7),
    ],
)
def test_a_cost_goes_to_the_nearest_and_a_hold_up(per_million: int, tokens: int, nanos: int, held: int) -> None:
    compiled = tariff(input=per_million)
    assert cost(compiled, used(tokens)).cost_nanos == nanos
    assert hold(compiled, Demand(text_bytes=tokens)) == held


def test_the_kinds_are_summed_before_anything_is_rounded() -> None:
    # Three quarters of a nano-dollar together, though each kind alone would be nothing.
    compiled = tariff(input=250_000, cached_input=250_000, output=250_000)
    assert cost(compiled, used(2, 1, cached_input_tokens=1)).cost_nanos == 1


def test_markup_is_on_top_of_the_sum_and_rounded_with_it() -> None:
    compiled = tariff(50_000, input=1_000_000, output=1_000_000)
    assert cost(compiled, used(5, 5)).cost_nanos == 10  # 10.5, and not 5.25 twice
    assert cost(compiled, used(15, 15)).cost_nanos == 32  # 31.5
    assert cost(compiled, used(5, 5)).upstream_cost_nanos == 10
    assert hold(compiled, Demand(text_bytes=5, max_output=5)) == 11
    assert cost(tariff(-250_000, input=4_000_000), used(3)).cost_nanos == 9


@pytest.mark.parametrize(
    ("usage", "kind", "instead"),
    [
        (used(100, cached_input_tokens=60), "cached_input", "input"),
        (used(100, cache_write_tokens=60), "cache_write", "input"),
        (used(100, cache_write_tokens=60, cache_write_1h_tokens=60), "cache_write_1h", "input"),
        (used(100, 50, reasoning_tokens=30), "reasoning", "output"),
    ],
)
def test_a_missing_price_is_that_of_input_or_output(usage: Usage, kind: str, instead: str) -> None:
    figures = {"input": 2_000_000, "output": 7_000_000}
    missing = cost(tariff(**figures), usage)
    assert missing == cost(tariff(**figures, **{kind: figures[instead]}), usage)
    assert missing != cost(tariff(**figures, **{kind: 1_000_000}), usage)


def test_sound_and_pictures_have_prices_of_their_own() -> None:
    compiled = tariff(
        input=1_000_000, output=2_000_000, audio_input=10_000_000, audio_output=20_000_000, image_input=3_000_000
    )
    assert cost(compiled, used(10, 10, input_audio_tokens=4, output_audio_tokens=5)).cost_nanos == 6 + 40 + 10 + 100
    assert cost(compiled, used(10, 0, input_image_tokens=4)).cost_nanos == 6 + 12


def test_what_is_asked_for_pictures_answers_in_pictures() -> None:
    compiled = tariff(input=1_000_000, output=2_000_000, image_output=30_000_000)
    assert cost(compiled, used(0, 10), images=1).cost_nanos == 300
    assert cost(compiled, used(0, 10, output_image_tokens=4), images=1).cost_nanos == 120 + 12
    assert cost(compiled, used(0, 10)).cost_nanos == 20


def test_requests_and_pictures_have_fees() -> None:
    compiled = tariff(100_000, input=1_000_000, request=Nanos(1000), image=Nanos(40_000_000))
    assert cost(compiled, used(10), images=2, requests=3).cost_nanos == (10 + 3000 + 80_000_000) * 11 // 10
    assert hold(compiled, Demand(text_bytes=10, images=2, requests=3)) == (10 + 3000 + 80_000_000) * 11 // 10


def test_a_batch_costs_its_own_price_or_less_by_the_discount() -> None:
    discounted = tariff(input=3_000_000, output=5_000_000, batch_discount_millionths=500_000)
    assert cost(discounted, used(1, 1), batch=True).cost_nanos == 4
    assert cost(discounted, used(1, 1)).cost_nanos == 8
    assert hold(discounted, Demand(text_bytes=1, max_output=1, batch=True)) == 4
    listed = tariff(
        input=3_000_000, batch_discount_millionths=500_000, variants={"batch": price(input=NanosPerMillion(1_000_000))}
    )
    assert cost(listed, used(6), batch=True).cost_nanos == 6
    assert cost(tariff(input=3_000_000), used(2), batch=True).cost_nanos == 6
    marked_up = tariff(100_000, input=1_000_000, batch_discount_millionths=500_000)
    assert cost(marked_up, used(10), batch=True) == type(cost(marked_up, used(0)))(Nanos(6), Nanos(5))  # 5.5 and 5


def test_a_service_tier_is_charged_as_the_provider_served_it() -> None:
    compiled = tariff(
        input=2_000_000,
        output=4_000_000,
        variants={
            "priority": price(input=5_000_000, output=9_000_000),
            "flex": price(input=1_000_000, output=2_000_000),
        },
    )
    assert cost(compiled.served_as("priority"), used(1, 1)).cost_nanos == 14
    assert cost(compiled.served_as("flex"), used(1, 1)).cost_nanos == 3
    for ordinary in ("default", "standard", "", None):
        assert compiled.served_as(ordinary) is compiled
    held = {
        name: hold(compiled, Demand(text_bytes=1, max_output=1, service_tier=name)) for name in ("priority", "flex")
    }
    assert held == {"priority": 14, "flex": 6}


@pytest.mark.parametrize(
    ("demand", "nanos"),
    [
        (Demand(text_bytes=1000, max_output=100), 3_000_000 + 1_500_000),
        (Demand(text_bytes=1000, max_output=100, n=3), 3_000_000 + 4_500_000),
        (Demand(text_bytes=1000, max_output=60, predicted=40, n=3), 3_000_000 + 4_500_000),
        (Demand(text_bytes=600, media_tokens=400, max_output=100), 3_000_000 + 1_500_000),
        (Demand(text_bytes=1000, cache_marked="5m"), 3_750_000),
        (Demand(text_bytes=1000, cache_marked="1h"), 6_000_000),
        (Demand(text_bytes=200_000), 600_000_000),
        (Demand(text_bytes=200_001, max_output=1000), 1_200_006_000 + 22_500_000),
        (Demand(), 0),
    ],
)
def test_a_hold_is_bound_times_dearest_and_no_more(demand: Demand, nanos: int) -> None:
    assert hold(of(SONNET), demand) == nanos


def test_a_cache_that_is_written_unasked_is_held_for() -> None:
    figures: dict[str, Any] = {"input": 4_000_000, "cache_write": 5_000_000}
    assert hold(tariff(**figures), Demand(text_bytes=2)) == 8
    assert hold(tariff(**figures, writes_unasked=True), Demand(text_bytes=2)) == 10


def test_a_long_input_may_turn_out_short() -> None:
    cheaper = PriceTier(above_input_tokens=10, input=NanosPerMillion(1_000_000))
    compiled = tariff(input=9_000_000, tiers=(cheaper,))
    assert hold(compiled, Demand(text_bytes=20)) == 180
    assert cost(compiled, used(10)).cost_nanos == 90
    assert cost(compiled, used(11)).cost_nanos == 11


@pytest.mark.parametrize(
    ("figures", "demand", "missing"),
    [
        ({"input": 1, "output": 1}, Demand(audio_tokens=1), "audio input"),
        ({"input": 1, "output": 1}, Demand(max_output=1, audio_output=True), "audio output"),
        ({"input": 1, "output": 1}, Demand(images=1), "pictures"),
        ({"input": 1}, Demand(text_bytes=1, max_output=1), "output"),
        ({"output": 1}, Demand(text_bytes=1, max_output=1), "input"),
    ],
)
def test_what_has_no_price_is_refused(figures: dict[str, int], demand: Demand, missing: str) -> None:
    with pytest.raises(InvalidRequest, match=missing) as refused:
        hold(tariff(**figures), demand)
    assert (refused.value.code, refused.value.param) == ("model_not_priced", "model")


@pytest.mark.parametrize(
    ("figures", "demand"),
    [
        ({"input": 1}, Demand(text_bytes=1)),  # embeddings answer no tokens
        ({"image": 5}, Demand(text_bytes=1, images=1, max_output=10)),
        ({"request": 5}, Demand(text_bytes=1, max_output=10)),
        ({"request": 5}, Demand(audio_tokens=1, max_output=10)),
        ({"input": 1, "output": 5, "image_input": 1}, Demand(text_bytes=1, images=1, max_output=10)),
        ({"input": 0, "output": 0}, Demand(audio_tokens=1, audio_output=True, images=1)),
    ],
)
def test_what_has_a_price_is_not(figures: dict[str, int], demand: Demand) -> None:
    hold(tariff(**figures), demand)


@pytest.mark.parametrize(
    ("figures", "free"),
    [
        ({"input": 0, "output": 0}, True),
        ({"input": 0}, False),
        ({"request": 0}, False),
        ({"input": 0, "output": 0, "request": 1}, False),
        ({"input": 0, "output": 0, "tiers": (PriceTier(above_input_tokens=9, input=NanosPerMillion(1)),)}, False),
    ],
)
def test_free_is_declared(figures: dict[str, Any], free: bool) -> None:
    assert tariff(**figures).free == free
    assert of(FREE).free
    assert tariff_of(None, 0) is None


def test_the_version_changes_with_every_figure() -> None:
    figures = ["input", "cached_input", "cache_write", "cache_write_1h", "output", "reasoning", "audio_input"]
    figures += ["audio_output", "image_input", "image_output", "request", "image"]
    versions = [tariff(**{figure: 7}).version for figure in figures]
    versions += [tariff(**{figure: 0}).version for figure in figures]
    versions += [tariff(7, input=7).version, tariff(batch_discount_millionths=7).version, of(SONNET).version]
    versions += [of(msgspec.structs.replace(SONNET, tiers=())).version]
    versions += [of(msgspec.structs.replace(SONNET, variants={"batch": SONNET})).version]
    assert len(set(versions)) == len(versions)
    assert of(SONNET).version == of(msgspec.structs.replace(SONNET)).version
    assert of(SONNET).version.startswith("list ")


@given(PRICES, MARKUPS, usages(), st.integers(0, 3), st.integers(0, 3))
def test_a_cost_is_what_the_rule_says(list_price: Price, markup: int, usage: Usage, images: int, requests: int) -> None:
    exact = longhand(list_price, usage, images, requests)
    found = cost(of(list_price, markup), usage, images=images, requests=requests)
    assert found.upstream_cost_nanos == round(exact)
    assert found.cost_nanos == round(exact * (10**6 + markup) / 10**6)
    discount = Fraction(10**6 - list_price.batch_discount_millionths, 10**6)
    batched = cost(of(list_price, markup), usage, images=images, requests=requests, batch=True)
    assert batched.cost_nanos == round(exact * discount * (10**6 + markup) / 10**6)


@given(PLAIN_PRICES, usages(), usages())
def test_two_answers_cost_what_they_cost_together(list_price: Price, one: Usage, other: Usage) -> None:
    compiled = of(msgspec.structs.replace(list_price, tiers=()))
    apart = cost(compiled, one).cost_nanos + cost(compiled, other).cost_nanos
    assert abs(cost(compiled, one.plus(other), requests=2).cost_nanos - apart) <= 1  # halves of a nano-dollar


@given(PLAIN_PRICES, MARKUPS, usages(), st.sampled_from(["input_tokens", "output_tokens", "images", "requests"]))
def test_more_never_costs_less(list_price: Price, markup: int, usage: Usage, what: str) -> None:
    compiled = of(msgspec.structs.replace(list_price, tiers=()), markup)
    less = cost(compiled, usage)
    if what == "requests":
        more = cost(compiled, usage, requests=2)
    elif what == "images":
        # The first picture says what the tokens are; each further one only adds.
        less, more = cost(compiled, usage, images=1), cost(compiled, usage, images=2)
    else:
        more = cost(compiled, msgspec.structs.replace(usage, **{what: getattr(usage, what) + 1}))
    assert more.cost_nanos >= less.cost_nanos


@settings(max_examples=300)
@given(st.data(), PRICES, MARKUPS)
def test_nothing_within_the_demand_costs_more_than_the_hold(
    data: st.DataObject, list_price: Price, markup: int
) -> None:
    compiled = of(list_price, markup)
    # The variant writes to caches as the model does.
    assume(list_price.variants["flex"].writes_unasked == list_price.writes_unasked)
    demand, usage, images, requests = data.draw(calls(list_price))
    served = compiled
    if demand.service_tier == "flex" and not demand.batch and data.draw(st.booleans()):
        served = compiled.variants["flex"]
    charged = cost(served, usage, images=images, requests=requests, batch=demand.batch)
    assert hold(compiled, demand) >= charged.cost_nanos
    if markup >= 0:
        assert hold(compiled, demand) >= charged.upstream_cost_nanos


@given(PLAIN_PRICES, st.integers(0, 10**6), st.integers(0, 10**5), st.integers(1, 8))
def test_a_hold_of_plain_text_has_no_margin(list_price: Price, text: int, most: int, n: int) -> None:
    flat = Price(version="v", input=list_price.input, output=list_price.output)
    assert flat.input is not None
    assert flat.output is not None
    exact = Decimal(text * flat.input + n * most * flat.output) / 10**6
    held = hold(of(flat), Demand(text_bytes=text, max_output=most, n=n))
    assert held == int(exact.to_integral_value(ROUND_CEILING))


def test_most_models_can_be_compared() -> None:
    assert len(COMPARABLE) > 1500


@settings(max_examples=150)
@given(st.sampled_from(COMPARABLE), usages(400_000, 100_000))
def test_the_price_list_comes_to_the_same(model: Any, usage: Usage) -> None:
    provider_id, theirs, kinds = model.values
    listed = next(entry for entry in PACKAGE.lists[provider_id] if entry.id == theirs.id)
    list_price = price_of(listed.prices, TODAY, "v")
    assert list_price is not None
    counts: dict[str, int] = {"input_image_tokens": 0, "output_image_tokens": 0}
    # Without a price of their own they are not told apart there, and tokens without a price count nothing.
    for kind, count in (
        ("cache_read_mtok", "cached_input_tokens"),
        ("cache_write_mtok", "cache_write_tokens"),
        ("cache_write_1h_mtok", "cache_write_1h_tokens"),
        ("output_reasoning_mtok", "reasoning_tokens"),
        ("input_audio_mtok", "input_audio_tokens"),
        ("output_audio_mtok", "output_audio_tokens"),
    ):
        if kind not in kinds:
            counts[count] = 0
    usage = msgspec.structs.replace(usage, **counts)
    usage = msgspec.structs.replace(
        usage, cache_write_1h_tokens=min(usage.cache_write_1h_tokens, usage.cache_write_tokens)
    )
    said = theirs.prices.calc_price(
        TheirUsage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            cache_write_1h_tokens=usage.cache_write_1h_tokens,
            output_reasoning_tokens=usage.reasoning_tokens,
            input_audio_tokens=usage.input_audio_tokens,
            output_audio_tokens=usage.output_audio_tokens,
        )
    )
    exact = said["total_price"] * 10**9
    found = cost(of(list_price), usage).cost_nanos
    # Figures finer than a nano-dollar per million tokens are rounded when they are read.
    assert abs(found - exact) <= Decimal("0.5") + Decimal("0.0000005") * usage.total_tokens
    if all(figure % 1 == 0 for figure in all_figures(theirs.prices)):
        assert found == int(exact.to_integral_value(ROUND_HALF_EVEN))
