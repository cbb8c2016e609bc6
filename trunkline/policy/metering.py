"""What a call costs, and what is held for it before it is sent.

Prices are nano-dollars per million tokens, markup and discount are millionths, so a sum of tokens times prices becomes
nano-dollars in one division at the end: of a hold rounded up, of a cost to the nearest, halves to the even.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import accumulate

import msgspec

from trunkline.catalog.prices import Price, PriceTier
from trunkline.errors import InvalidRequest
from trunkline.money import Nanos
from trunkline.wire.codec import encode
from trunkline.wire.demand import Demand as Demand
from trunkline.wire.usage import Usage

MILLION = 1_000_000
NOT_PRICED = "model_not_priced"
_DIGEST_CHARACTERS = 10


class Cost(msgspec.Struct, frozen=True, gc=False):
    """`cost_nanos` is what the account pays, `upstream_cost_nanos` what the provider costs us."""

    cost_nanos: Nanos
    upstream_cost_nanos: Nanos


class _Rates(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Nano-dollars per million tokens; a kind without a price has that of the one that stands for it."""

    plain: int
    cached: int
    written: int
    written_1h: int
    audio_input: int
    image_input: int
    output: int
    reasoning: int
    audio_output: int
    image_output: int


class _Bounds(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The most that a token may cost in an input longer than `above`, whatever it turns out to be. Of each kind of
    input the price without a part marked for a cache, and with one to be kept for 5 minutes and for an hour."""

    above: int
    text: dict[str, int]
    media: dict[str, int]
    audio: dict[str, int]
    output: int
    audio_output: int


class Tariff(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A price with an account's markup, compiled.

    `version` is the price's source and a digest of every figure, the markup included. `free`: input and output are
    declared 0 and so is every other figure. `variants` are the tariffs of other ways to be served, `batch` is that of a
    batch; None: it costs the same.
    """

    version: str
    price: Price
    free: bool
    rates: _Rates
    longer: tuple[tuple[int, _Rates], ...]
    bounds: _Bounds
    longer_bounds: tuple[_Bounds, ...]
    request: int
    image: int
    factor: int
    upstream_factor: int
    variants: Mapping[str, Tariff] = {}
    batch: Tariff | None = None

    def served_as(self, service_tier: str | None) -> Tariff:
        """The tariff of the way in which the provider says it served; this one where it has no price of its own."""
        return self.variants.get(service_tier, self) if service_tier else self


# Every figure is times a million for the tokens, for the discount, and for the markup.
_SCALE = MILLION**3
_HALF = _SCALE // 2


def tariff_of(price: Price | None, markup_millionths: int = 0) -> Tariff | None:
    """None for a model without a price. A negative markup is a discount."""
    if price is None:
        return None
    version = version_of(price, markup_millionths)
    variants = {
        name: _compiled(variant, version, markup_millionths, 0)
        for name, variant in price.variants.items()
        if name != "batch"
    }
    batch = None
    if "batch" in price.variants:
        batch = _compiled(price.variants["batch"], version, markup_millionths, 0)
    elif price.batch_discount_millionths:
        batch = _compiled(price, version, markup_millionths, price.batch_discount_millionths)
    plain = _compiled(price, version, markup_millionths, 0)
    return msgspec.structs.replace(plain, variants=variants, batch=batch)


def version_of(price: Price, markup_millionths: int = 0) -> str:
    """Where the price comes from, and a digest of every figure of it: two prices of one version cost the same."""
    figures = encode((price, markup_millionths))
    return f"{price.version} {hashlib.sha256(figures).hexdigest()[:_DIGEST_CHARACTERS]}".lstrip()


def cost(tariff: Tariff, usage: Usage, *, images: int = 0, requests: int = 1, batch: bool = False) -> Cost:
    """What an attempt costs that used this. `images` are the pictures that were made."""
    if batch and tariff.batch is not None:
        tariff = tariff.batch
    rates = tariff.rates
    for above, longer in tariff.longer:
        if usage.input_tokens > above:
            rates = longer
    plain, output = usage.input_tokens, usage.output_tokens
    total = requests * tariff.request + images * tariff.image
    if count := usage.cached_input_tokens:
        plain -= count
        total += count * rates.cached
    if count := usage.cache_write_tokens:
        plain -= count
        kept = min(usage.cache_write_1h_tokens, count)
        total += (count - kept) * rates.written + kept * rates.written_1h
    plain = max(plain, 0)
    if count := usage.input_audio_tokens:
        count = min(count, plain)
        plain -= count
        total += count * rates.audio_input
    if count := usage.input_image_tokens:
        count = min(count, plain)
        plain -= count
        total += count * rates.image_input
    if count := usage.reasoning_tokens:
        count = min(count, output)
        output -= count
        total += count * rates.reasoning
    if count := usage.output_audio_tokens:
        count = min(count, output)
        output -= count
        total += count * rates.audio_output
    # What is asked for pictures answers in nothing else, unless the provider tells them apart.
    if count := usage.output_image_tokens or (images and output):
        count = min(count, output)
        output -= count
        total += count * rates.image_output
    total += plain * rates.plain + output * rates.output
    paid = _to_nearest(total * tariff.factor)
    if tariff.factor == tariff.upstream_factor:
        return Cost(paid, paid)
    return Cost(paid, _to_nearest(total * tariff.upstream_factor))


def hold(tariff: Tariff, demand: Demand) -> Nanos:
    """The most that a request can cost that uses no more than `demand`. Raises InvalidRequest (`model_not_priced`) when
    it needs a price that the model does not have."""
    if tariff.free:
        return Nanos(0)
    if demand.batch and tariff.batch is not None:
        return _held(tariff.batch, demand)
    held = _held(tariff, demand)
    if demand.service_tier in tariff.variants:
        # The provider may serve it the ordinary way after all.
        held = max(held, _held(tariff.variants[demand.service_tier], demand))
    return held


def _held(tariff: Tariff, demand: Demand) -> Nanos:
    tokens = demand.text_bytes + demand.media_tokens + demand.audio_tokens
    bounds = tariff.bounds
    for longer in tariff.longer_bounds:
        if tokens > longer.above:
            bounds = longer
    mark = demand.cache_marked
    output = bounds.output
    total = demand.text_bytes * bounds.text[mark] + demand.requests * tariff.request
    if demand.media_tokens:
        total += demand.media_tokens * bounds.media[mark]
    if demand.audio_tokens:
        total += demand.audio_tokens * bounds.audio[mark]
    if demand.images:
        total += demand.images * tariff.image
    if demand.audio_output:
        output = bounds.audio_output
    total += demand.n * (demand.max_output + demand.predicted) * output
    _refuse_unpriced(tariff.price, demand, tokens)
    return Nanos(-(-total * tariff.factor // _SCALE))


def _to_nearest(figure: int) -> Nanos:
    nanos, rest = divmod(figure, _SCALE)
    return Nanos(nanos + 1 if rest > _HALF or (rest == _HALF and nanos & 1) else nanos)


def _refuse_unpriced(price: Price, demand: Demand, tokens: int) -> None:
    if price.input is None and price.output is None and (price.request is not None or price.image is not None):
        return  # what is priced by the piece costs nothing else
    missing = None
    if demand.images and price.image is None and price.image_output is None and price.image_input is None:
        missing = "pictures that are made"
    elif demand.audio_tokens and price.audio_input is None:
        missing = "audio input"
    elif demand.audio_output and price.audio_output is None:
        missing = "audio output"
    elif tokens and price.input is None:
        missing = "input"
    elif demand.max_output and price.output is None:
        missing = "output"
    if missing is not None:
        raise InvalidRequest(
            f"The model has no price for {missing}, and what this call may spend is limited; the operator can set one "
            "in [prices].",
            code=NOT_PRICED,
            param="model",
        )


def _compiled(price: Price, version: str, markup_millionths: int, discount_millionths: int) -> Tariff:
    rates = _rates(price, None)
    longer = tuple((tier.above_input_tokens, _rates(price, tier)) for tier in price.tiers)
    # A bound on the input reaches every tier below it, and which one it will be is not known.
    steps = list(accumulate((_bounds(price, above, rates) for above, rates in ((0, rates), *longer)), _dearer))
    upstream = (MILLION - discount_millionths) * MILLION
    figures = [*price.figures().values(), *(rate for _, rates in longer for rate in msgspec.structs.astuple(rates))]
    return Tariff(
        version=version,
        price=price,
        free=price.input == 0 and price.output == 0 and not any(figures),
        rates=rates,
        longer=longer,
        bounds=steps[0],
        longer_bounds=tuple(steps[1:]),
        request=(price.request or 0) * MILLION,
        image=(price.image or 0) * MILLION,
        factor=(MILLION - discount_millionths) * (MILLION + markup_millionths),
        upstream_factor=upstream,
    )


def _rates(price: Price, tier: PriceTier | None) -> _Rates:
    """Of inputs that reach `tier`: a kind that it does not name costs what it costs elsewhere."""

    def figure(kind: str, instead: int) -> int:
        own: int | None = getattr(tier, kind, None)
        own = getattr(price, kind) if own is None else own
        return instead if own is None else own

    plain = figure("input", 0)
    output = figure("output", 0)
    written = figure("cache_write", plain)
    return _Rates(
        plain=plain,
        cached=figure("cached_input", plain),
        written=written,
        written_1h=figure("cache_write_1h", written),
        audio_input=figure("audio_input", plain),
        image_input=figure("image_input", plain),
        output=output,
        reasoning=figure("reasoning", output),
        audio_output=figure("audio_output", output),
        image_output=figure("image_output", output),
    )


def _bounds(price: Price, above: int, rates: _Rates) -> _Bounds:
    unmarked = max(rates.plain, rates.cached, rates.written if price.writes_unasked else 0)
    text = {"": unmarked, "5m": max(unmarked, rates.written)}
    # A request may mark one part for an hour and another for 5 minutes.
    text["1h"] = max(text["5m"], rates.written_1h)
    output = max(rates.output, rates.reasoning, rates.image_output)
    return _Bounds(
        above=above,
        text=text,
        media={mark: max(rate, rates.image_input) for mark, rate in text.items()},
        audio={mark: max(rate, rates.audio_input) for mark, rate in text.items()},
        output=output,
        audio_output=max(output, rates.audio_output),
    )


def _dearer(lower: _Bounds, own: _Bounds) -> _Bounds:
    return _Bounds(
        above=own.above,
        text=_each(lower.text, own.text),
        media=_each(lower.media, own.media),
        audio=_each(lower.audio, own.audio),
        output=max(lower.output, own.output),
        audio_output=max(lower.audio_output, own.audio_output),
    )


def _each(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {mark: max(rate, other[mark]) for mark, rate in one.items()}
