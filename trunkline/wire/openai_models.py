"""The list of models, as OpenAI and as Anthropic spell it, with our own facts beside theirs.

OpenAI: https://platform.openai.com/docs/api-reference/models; Anthropic: https://docs.anthropic.com/en/api/models-list.
A fact nobody has stated is null.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from trunkline.wire.codec import encode

PRICE_PLACES: Final = 21
"""Decimals of a figure of `Pricing`: 9 of the list's price, 6 of a markup and 6 of a discount."""

Figures = Mapping[str, int]
"""Kind of price -> a whole number of 10**-PRICE_PLACES USD per million tokens (`request` and `image`: each)."""


class Pricing(msgspec.Struct, frozen=True, kw_only=True):
    """`version` says where the figures come from. `tiers`: what all tokens of an input of more than so many cost.
    `variants`: what it costs when it is served in another way, such as `batch`, `flex` or `priority`."""

    version: str
    figures: Figures
    tiers: Sequence[tuple[int, Figures]] = ()
    variants: Mapping[str, Figures] = {}


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`created`: Unix seconds. `pricing` is None when the model has no price. Windows and limits are tokens."""

    id: str
    name: str
    provider: str
    owned_by: str
    created: int | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    input_modalities: Sequence[str] | None = None
    output_modalities: Sequence[str] | None = None
    capabilities: Mapping[str, bool | None] = {}
    pricing: Pricing | None = None


class _Modalities(msgspec.Struct):
    input: Sequence[str] | None
    output: Sequence[str] | None


class _OpenAIModel(msgspec.Struct):
    id: str
    object: str
    created: int
    owned_by: str
    name: str
    provider: str
    context_window: int | None
    context_length: int | None
    max_output_tokens: int | None
    modalities: _Modalities
    capabilities: Mapping[str, bool | None]
    pricing: dict[str, Any] | None
    pricing_version: str | None


class _OpenAIList(msgspec.Struct):
    object: str
    data: list[_OpenAIModel]


class _AnthropicModel(msgspec.Struct):
    type: str
    id: str
    display_name: str
    created_at: str
    lifecycle: str
    max_input_tokens: int | None
    max_tokens: int | None
    provider: str


class _AnthropicList(msgspec.Struct):
    data: list[_AnthropicModel]
    has_more: bool
    first_id: str | None
    last_id: str | None


def openai_model(model: ModelFacts) -> bytes:
    return encode(_openai(model))


def openai_list(models: Sequence[ModelFacts]) -> bytes:
    return encode(_OpenAIList("list", [_openai(model) for model in models]))


def anthropic_model(model: ModelFacts) -> bytes:
    return encode(_anthropic(model))


def anthropic_list(models: Sequence[ModelFacts], *, has_more: bool = False) -> bytes:
    """One page. `has_more`: there are models beyond it."""
    data = [_anthropic(model) for model in models]
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return encode(_AnthropicList(data, has_more, first, last))


def _openai(model: ModelFacts) -> _OpenAIModel:
    return _OpenAIModel(
        id=model.id,
        object="model",
        created=model.created or 0,
        owned_by=model.owned_by,
        name=model.name,
        provider=model.provider,
        context_window=model.context_window,
        context_length=model.context_window,
        max_output_tokens=model.max_output_tokens,
        modalities=_Modalities(model.input_modalities, model.output_modalities),
        capabilities=model.capabilities,
        pricing=_pricing(model.pricing) if model.pricing is not None else None,
        pricing_version=model.pricing.version if model.pricing is not None else None,
    )


def _pricing(pricing: Pricing) -> dict[str, Any]:
    """USD per million tokens (`request` and `image`: USD each)."""
    written: dict[str, Any] = {"currency": "USD", **_figures(pricing.figures)}
    if pricing.tiers:
        written["tiers"] = [{"above_input_tokens": above, **_figures(figures)} for above, figures in pricing.tiers]
    if pricing.variants:
        written["variants"] = {name: _figures(figures) for name, figures in pricing.variants.items()}
    return written


def _figures(figures: Figures) -> dict[str, Raw]:
    return {kind: Raw(dollars(figure).encode()) for kind, figure in figures.items()}


def dollars(figure: int) -> str:
    """A JSON number of USD without an exponent and without float arithmetic, every decimal of it."""
    whole, part = divmod(figure, 10**PRICE_PLACES)
    return f"{whole}.{part:0{PRICE_PLACES}d}".rstrip("0").rstrip(".")


def _anthropic(model: ModelFacts) -> _AnthropicModel:
    # Anthropic's own rule: the epoch where the date of release is not known.
    created = dt.datetime.fromtimestamp(model.created or 0, dt.UTC)
    return _AnthropicModel(
        type="model",
        id=model.id,
        display_name=model.name,
        created_at=created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        lifecycle="active",
        max_input_tokens=model.context_window,
        max_tokens=model.max_output_tokens,
        provider=model.provider,
    )
