"""Prices as integers: nano-dollars per million tokens."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from trunkline.money import Nanos, NanosPerMillion


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """`version` says where the figures come from. A missing kind is None; 0 must be declared."""

    version: str
    input: NanosPerMillion | None = None
    cached_input: NanosPerMillion | None = None
    cache_write: NanosPerMillion | None = None
    output: NanosPerMillion | None = None
    reasoning: NanosPerMillion | None = None
    audio_input: NanosPerMillion | None = None
    audio_output: NanosPerMillion | None = None
    request: Nanos | None = None
    image: Nanos | None = None


class PriceOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[prices."provider/model"]`: USD per million tokens (`request` and `image`: USD each); overrides the catalog."""

    input: Annotated[float | None, Meta(ge=0, description="USD per million input tokens.")] = None
    cached_input: Annotated[float | None, Meta(ge=0, description="USD per million input tokens read from a cache.")] = (
        None
    )
    cache_write: Annotated[float | None, Meta(ge=0, description="USD per million input tokens written to a cache.")] = (
        None
    )
    cache_write_5m: Annotated[
        float | None, Meta(ge=0, description="USD per million tokens written to a 5-minute cache.")
    ] = None
    cache_write_1h: Annotated[
        float | None, Meta(ge=0, description="USD per million tokens written to a 1-hour cache.")
    ] = None
    output: Annotated[float | None, Meta(ge=0, description="USD per million output tokens.")] = None
    reasoning: Annotated[
        float | None, Meta(ge=0, description="USD per million reasoning tokens, where they have a price of their own.")
    ] = None
    audio_input: Annotated[float | None, Meta(ge=0, description="USD per million audio input tokens.")] = None
    audio_output: Annotated[float | None, Meta(ge=0, description="USD per million audio output tokens.")] = None
    request: Annotated[float | None, Meta(ge=0, description="USD per request.")] = None
    image: Annotated[float | None, Meta(ge=0, description="USD per image.")] = None
