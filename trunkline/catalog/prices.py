"""Prices as integers: nano-dollars per million tokens. Read from genai-prices, overridden by the settings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from trunkline.catalog.snapshot import Node
from trunkline.errors import SettingsInvalid
from trunkline.money import NANOS_PER_USD, Nanos, NanosPerMillion, nanos_per_million


class PriceTier(msgspec.Struct, frozen=True, kw_only=True):
    """What a call costs, all of its tokens, when its input is longer than `above_input_tokens`."""

    above_input_tokens: int
    input: NanosPerMillion | None = None
    cached_input: NanosPerMillion | None = None
    cache_write: NanosPerMillion | None = None
    cache_write_1h: NanosPerMillion | None = None
    output: NanosPerMillion | None = None
    audio_input: NanosPerMillion | None = None

    def figures(self) -> dict[str, int]:
        """Kind -> nano-dollars, of the kinds that cost another price."""
        return {kind: figure for kind in self.__struct_fields__[1:] if (figure := getattr(self, kind)) is not None}


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """`version` says where the figures come from. A missing kind is None; 0 must be declared.

    `cache_write` is the price of a 5-minute cache; `writes_unasked`: the provider writes to one without being asked.
    `image_input` and `image_output` are tokens of pictures, `image` is a whole one. `tiers` are the prices of long
    inputs, shortest first. `variants` are the prices of other ways to be served: `batch`, `flex`, `priority`, `fast`;
    a batch without one costs `batch_discount_millionths` less.
    """

    version: str
    input: NanosPerMillion | None = None
    cached_input: NanosPerMillion | None = None
    cache_write: NanosPerMillion | None = None
    cache_write_1h: NanosPerMillion | None = None
    output: NanosPerMillion | None = None
    reasoning: NanosPerMillion | None = None
    audio_input: NanosPerMillion | None = None
    audio_output: NanosPerMillion | None = None
    image_input: NanosPerMillion | None = None
    image_output: NanosPerMillion | None = None
    request: Nanos | None = None
    image: Nanos | None = None
    tiers: tuple[PriceTier, ...] = ()
    variants: dict[str, Price] = {}
    batch_discount_millionths: int = 0
    writes_unasked: bool = False

    def figures(self) -> dict[str, int]:
        """Kind -> nano-dollars, of every kind that has a price. Those of tiers and variants are not among them."""
        return {kind: figure for kind in _FIGURES if (figure := getattr(self, kind)) is not None}


# Bounds stand on the number: msgspec takes none on a union.
UsdPerUnit = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


_NO_FIGURES = frozenset(("version", "tiers", "variants", "batch_discount_millionths", "writes_unasked"))
_FIGURES = tuple(name for name in Price.__struct_fields__ if name not in _NO_FIGURES)


class PriceOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[prices."provider/model"]`: USD per million tokens (`request` and `image`: USD each); overrides the catalog.

    A figure holds for inputs of any length, and the catalog's prices of service tiers are left out.
    """

    input: Annotated[UsdPerUnit | None, Meta(description="USD per million input tokens.")] = None
    cached_input: Annotated[UsdPerUnit | None, Meta(description="USD per million input tokens read from a cache.")] = (
        None
    )
    cache_write: Annotated[UsdPerUnit | None, Meta(description="USD per million input tokens written to a cache.")] = (
        None
    )
    cache_write_5m: Annotated[
        UsdPerUnit | None, Meta(description="USD per million tokens written to a 5-minute cache.")
    ] = None
    cache_write_1h: Annotated[
        UsdPerUnit | None, Meta(description="USD per million tokens written to a 1-hour cache.")
    ] = None
    output: Annotated[UsdPerUnit | None, Meta(description="USD per million output tokens.")] = None
    reasoning: Annotated[
        UsdPerUnit | None, Meta(description="USD per million reasoning tokens, where they have a price of their own.")
    ] = None
    audio_input: Annotated[UsdPerUnit | None, Meta(description="USD per million audio input tokens.")] = None
    audio_output: Annotated[UsdPerUnit | None, Meta(description="USD per million audio output tokens.")] = None
    image_input: Annotated[UsdPerUnit | None, Meta(description="USD per million input tokens of pictures.")] = None
    image_output: Annotated[UsdPerUnit | None, Meta(description="USD per million output tokens of pictures.")] = None
    request: Annotated[UsdPerUnit | None, Meta(description="USD per request.")] = None
    image: Annotated[UsdPerUnit | None, Meta(description="USD per image.")] = None
    batch_discount: Annotated[
        Share | None, Meta(description="What a batch costs less: 0.5 is half. At most 6 decimals.")
    ] = None


_KINDS = {
    "input_mtok": "input",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "audio_input",
    "output_audio_mtok": "audio_output",
    "input_image_mtok": "image_input",
    "output_image_mtok": "image_output",
}
_TIERED = frozenset(field.name for field in msgspec.structs.fields(PriceTier)) - {"above_input_tokens"}
_PER_THOUSAND_REQUESTS = "requests_kcount"

Figures = dict[str, Any]
"""genai-prices' kind -> a Decimal, or a node `TieredPrices`."""


BATCH_DISCOUNTS = dict.fromkeys(("openai", "anthropic", "google", "mistral", "groq"), 500_000)
"""Providers that sell a batch for half, of models whose batch price the package does not list:
https://developers.openai.com/api/docs/guides/batch, https://platform.claude.com/docs/en/about-claude/pricing,
https://ai.google.dev/gemini-api/docs/batch-api, https://docs.mistral.ai/capabilities/batch,
https://console.groq.com/docs/batch"""


def price_of(prices: Node | list[Node], on: dt.date, version: str, variants: Sequence[Node] = ()) -> Price | None:
    """What genai-prices says a model costs on that day; None when it gives no figure, or only under unknown conditions.

    Where the price depends on the hour, each kind is taken at its dearest, so that no bound built on it is too low.
    Figures finer than a nano-dollar are the noise of a division and are rounded. `variants` are the package's prices of
    other ways to be served; a kind that one does not name costs the same there.
    """
    today = _figures(prices, on)
    price = _price(today, version)
    if price is None:
        return None
    named: dict[str, dict[str, list[Any]]] = {}
    for name, figures in _variants(variants, on):
        own = named.setdefault(name, {})
        for kind, figure in figures.items():
            if figure is not None:
                own.setdefault(kind, [figure])
    ways = {name: _price({**today, **own}, version) for name, own in named.items()}
    return msgspec.structs.replace(price, variants={name: way for name, way in ways.items() if way is not None})


def _price(today: dict[str, list[Any]], version: str) -> Price | None:
    values: dict[str, Any] = {}
    tiers: dict[int, dict[str, NanosPerMillion]] = {}
    for kind, figures in today.items():
        if kind == _PER_THOUSAND_REQUESTS:
            values["request"] = Nanos(_nanos(max(_base(figure) for figure in figures)) // 1000)
            continue
        name = _KINDS.get(kind)
        if name is None:
            continue
        values[name] = NanosPerMillion(_nanos(max(_base(figure) for figure in figures)))
        if name in _TIERED:
            for start, price in _tiers(figures):
                tier = tiers.setdefault(start, {})
                tier[name] = NanosPerMillion(max(_nanos(price), tier.get(name, 0)))
    if not values:
        return None
    steps = tuple(PriceTier(above_input_tokens=start, **tiers[start]) for start in sorted(tiers))
    return Price(version=version, tiers=steps, **values)


_WAYS = ("processing", "service_tier", "speed")


def _variants(variants: Sequence[Node], on: dt.date) -> Iterator[tuple[str, Figures]]:
    """(`batch`, `flex`, `priority` or `fast`; its figures) of those that hold on that day."""
    for _, variant in variants:
        when: dict[str, str] = variant["when"]
        constraint = variant.get("constraint")
        if constraint is not None and (constraint[0] != "StartDateConstraint" or not _began(constraint, on)):
            continue
        (way, name), *more = when.items()
        if way in _WAYS and name != "default" and not more:
            yield name, variant["prices"][1]


def _figures(prices: Node | list[Node], on: dt.date) -> dict[str, list[Any]]:
    """Kind -> its figure of the day, and those of the hours that differ."""
    if isinstance(prices, tuple):
        return {kind: [figure] for kind, figure in prices[1].items() if figure is not None}
    standard: Figures = {}
    hours: list[Figures] = []
    for number, (_, condition) in enumerate(prices):
        figures: Figures = condition["prices"][1]
        constraint = condition.get("constraint")
        if constraint is None or number == 0 or (constraint[0] == "StartDateConstraint" and _began(constraint, on)):
            standard = figures
        elif constraint[0] == "TimeOfDateConstraint":
            hours.append(figures)
        elif constraint[0] != "StartDateConstraint":
            return {}
    gathered = {kind: [figure] for kind, figure in standard.items() if figure is not None}
    for figures in hours:
        for kind, figure in figures.items():
            if figure is not None:
                gathered.setdefault(kind, []).append(figure)
    return gathered


def _began(constraint: Node, on: dt.date) -> bool:
    start: dt.date = constraint[1]["start_date"]
    return on >= start


def _base(figure: Any) -> Decimal:
    base: Decimal = figure if isinstance(figure, Decimal) else figure[1]["base"]
    return base


def _tiers(figures: list[Any]) -> Iterator[tuple[int, Decimal]]:
    for figure in figures:
        if not isinstance(figure, Decimal):
            for _, tier in figure[1]["tiers"]:
                yield tier["start"], tier["price"]


def _nanos(usd: Decimal) -> int:
    return int((usd * NANOS_PER_USD).to_integral_value(ROUND_HALF_EVEN))


def overridden(price: Price | None, options: PriceOptions) -> Price:
    """The catalog's price with the settings' figures over it. Raises SettingsInvalid for a figure finer than a nano.

    A figure of the settings holds for inputs of any length, and however the call is served.
    """
    given = {name: value for name, value in msgspec.structs.asdict(options).items() if value is not None}
    if "cache_write_5m" in given:
        given["cache_write"] = given.pop("cache_write_5m")
    base = price or Price(version="")
    discount = base.batch_discount_millionths
    if "batch_discount" in given:
        discount = _millionths(given.pop("batch_discount"))
    figures = {name: nanos_per_million(value) for name, value in given.items()}
    kept = [msgspec.structs.replace(tier, **dict.fromkeys(_TIERED & figures.keys())) for tier in base.tiers]
    return msgspec.structs.replace(
        base,
        version="settings",
        tiers=tuple(tier for tier in kept if any(getattr(tier, kind) is not None for kind in _TIERED)),
        variants={},
        batch_discount_millionths=discount,
        **figures,
    )


def _millionths(share: float) -> int:
    exact = Decimal(str(share)) * 1_000_000
    if exact != exact.to_integral_value():
        raise SettingsInvalid(f"batch_discount = {share} is finer than a millionth; give at most 6 decimals")
    return int(exact)
