"""Prices, usages and demands as Hypothesis draws them, what a cost is longhand, and the price list's own models."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import genai_prices.data
import msgspec
import pytest
from hypothesis import strategies as st

from trunkline.catalog import snapshot
from trunkline.catalog.prices import Price, PriceTier
from trunkline.money import Nanos, NanosPerMillion
from trunkline.policy.metering import Demand
from trunkline.wire.usage import Usage


def used(input_tokens: int = 0, output_tokens: int = 0, **counts: Any) -> Usage:
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, **counts)


# Prices up to 10,000 dollars per million tokens, and tiny ones, where rounding shows.
FIGURE = st.one_of(st.integers(0, 3_000_000), st.integers(0, 10_000 * 10**9)).map(NanosPerMillion)
MAYBE = st.none() | FIGURE
TIERS = st.lists(
    st.builds(
        PriceTier,
        above_input_tokens=st.integers(1, 5000),
        input=MAYBE,
        cached_input=MAYBE,
        cache_write=MAYBE,
        cache_write_1h=MAYBE,
        output=MAYBE,
        audio_input=MAYBE,
    ),
    max_size=3,
    unique_by=lambda tier: tier.above_input_tokens,
).map(lambda tiers: tuple(sorted(tiers, key=lambda tier: tier.above_input_tokens)))
PLAIN_PRICES = st.builds(
    Price,
    version=st.just("v"),
    input=FIGURE,
    cached_input=MAYBE,
    cache_write=MAYBE,
    cache_write_1h=MAYBE,
    output=FIGURE,
    reasoning=MAYBE,
    audio_input=FIGURE,
    audio_output=FIGURE,
    image_input=MAYBE,
    image_output=FIGURE,
    request=st.none() | st.integers(0, 10**9).map(Nanos),
    image=st.none() | st.integers(0, 10**9).map(Nanos),
    tiers=TIERS,
    batch_discount_millionths=st.integers(0, 1_000_000),
    writes_unasked=st.booleans(),
)
PRICES = st.builds(lambda own, flex: msgspec.structs.replace(own, variants={"flex": flex}), PLAIN_PRICES, PLAIN_PRICES)
MARKUPS = st.one_of(st.just(0), st.integers(-1_000_000, 3_000_000))


@st.composite
def usages(draw: st.DrawFn, most_input: int = 8000, most_output: int = 4000) -> Usage:
    def part(most: int) -> int:
        return draw(st.integers(0, most))

    whole, answer = part(most_input), part(most_output)
    cached = part(whole)
    written = part(whole - cached)
    plain = whole - cached - written
    audio = part(plain)
    reasoning = part(answer)
    audio_output = part(answer - reasoning)
    return used(
        whole,
        answer,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=part(written),
        reasoning_tokens=reasoning,
        input_audio_tokens=audio,
        output_audio_tokens=audio_output,
        input_image_tokens=part(plain - audio),
        output_image_tokens=part(answer - reasoning - audio_output),
    )


def longhand(list_price: Price, usage: Usage, images: int, requests: int) -> Fraction:
    """Nano-dollars by the words of the rule, kind by kind, unrounded, without markup."""
    reached = [tier for tier in list_price.tiers if usage.input_tokens > tier.above_input_tokens]

    def of_kind(*kinds: str) -> int:
        for kind in kinds:
            for where in (*reached[-1:], list_price):
                if (figure := getattr(where, kind, None)) is not None:
                    return int(figure)
        return 0

    fresh = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens
    answered = usage.output_tokens - usage.reasoning_tokens - usage.output_audio_tokens
    pictured = usage.output_image_tokens or (answered if images else 0)
    parts = [
        (fresh - usage.input_audio_tokens - usage.input_image_tokens, of_kind("input")),
        (usage.input_audio_tokens, of_kind("audio_input", "input")),
        (usage.input_image_tokens, of_kind("image_input", "input")),
        (usage.cached_input_tokens, of_kind("cached_input", "input")),
        (usage.cache_write_tokens - usage.cache_write_1h_tokens, of_kind("cache_write", "input")),
        (usage.cache_write_1h_tokens, of_kind("cache_write_1h", "cache_write", "input")),
        (answered - pictured, of_kind("output")),
        (usage.reasoning_tokens, of_kind("reasoning", "output")),
        (usage.output_audio_tokens, of_kind("audio_output", "output")),
        (pictured, of_kind("image_output", "output")),
    ]
    tokens = sum(count * figure for count, figure in parts)
    return Fraction(tokens, 10**6) + requests * (list_price.request or 0) + images * (list_price.image or 0)


@st.composite
def calls(draw: st.DrawFn, list_price: Price) -> tuple[Demand, Usage, int, int]:
    """A demand, and a usage within it."""
    marked = draw(st.sampled_from(["", "5m", "1h"]))
    audio_output = draw(st.booleans())
    usage = draw(usages())
    if not audio_output:
        usage = msgspec.structs.replace(usage, output_audio_tokens=0)
    if marked != "1h":
        usage = msgspec.structs.replace(usage, cache_write_1h_tokens=0)
    if not marked and not list_price.writes_unasked:
        usage = msgspec.structs.replace(usage, cache_write_tokens=0)
    text = usage.input_tokens - usage.input_audio_tokens - usage.input_image_tokens
    n = draw(st.integers(1, 4))
    images, requests = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    spare = st.just(0) | st.integers(0, 3000)
    demand = Demand(
        text_bytes=text + draw(spare),
        media_tokens=usage.input_image_tokens + draw(spare),
        audio_tokens=usage.input_audio_tokens + draw(spare),
        n=n,
        max_output=-(-usage.output_tokens // n) + draw(spare),
        audio_output=audio_output,
        cache_marked=marked,  # type: ignore[arg-type]
        images=images,
        requests=requests,
        service_tier=draw(st.sampled_from(["", "flex", "auto"])),
        batch=draw(st.booleans()),
    )
    return demand, usage, draw(st.integers(0, images)), draw(st.integers(0, requests))


# The package's own calculation, where it counts what we count: tokens of text, of a cache, of sound, of reasoning.
THEIR_KINDS = {
    "input_mtok",
    "output_mtok",
    "cache_read_mtok",
    "cache_write_mtok",
    "cache_write_1h_mtok",
    "output_reasoning_mtok",
    "input_audio_mtok",
    "output_audio_mtok",
}
PACKAGE = snapshot.read()


def comparable() -> list[Any]:
    """Models whose price has no condition and no kind that we do not count, all with input and output."""
    found = []
    for provider in genai_prices.data.providers:
        for model in provider.models:
            if isinstance(model.prices, list):
                continue
            kinds = {kind for kind, figure in vars(model.prices).items() if figure is not None}
            if kinds <= THEIR_KINDS and {"input_mtok", "output_mtok"} <= kinds:
                found.append(pytest.param(provider.id, model, kinds, id=f"{provider.id}/{model.id}"))
    return found


COMPARABLE = comparable()


def all_figures(prices: Any) -> list[Decimal]:
    figures: list[Decimal] = []
    for figure in vars(prices).values():
        if isinstance(figure, Decimal):
            figures.append(figure * 10**9)
        elif figure is not None:
            figures += [figure.base * 10**9, *(tier.price * 10**9 for tier in figure.tiers)]
    return figures
