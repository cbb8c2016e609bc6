"""Usage and costs of OpenAI's organisation API, as its Python SDK 3.52 reads them. Times are Unix seconds.

What is grouped by has a value; every other name of a group is null. A query may also ask for what is never used here:
it is told so with empty buckets.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw

R = TypeVar("R")

# What OpenAI gives by default and at most: https://platform.openai.com/docs/api-reference/usage
DEFAULT_LIMITS = {"1m": 60, "1h": 24, "1d": 7}
MOST_LIMITS = {"1m": 1440, "1h": 168, "1d": 31}
COSTS_DEFAULT_LIMIT, COSTS_MOST_LIMIT = 7, 180

Moment = Annotated[int, Meta(ge=0, le=253_402_300_799, description="Unix seconds.")]
Ids = Annotated[list[str], Meta(max_length=500)]
Source = Literal["agents_api", "unlabeled"]


class Bucket(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """A stretch of time, without its end."""

    object: Literal["bucket"] = "bucket"
    start_time: int
    end_time: int
    results: tuple[R, ...]


class BucketPage(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """Buckets in order, empty ones included."""

    object: Literal["page"] = "page"
    data: tuple[Bucket[R], ...]
    has_more: bool
    next_page: str | None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """What a result is about."""

    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None


class CompletionsResult(Group, frozen=True, kw_only=True):
    """Text and everything else that has no report of its own. Input includes what was cached and written."""

    object: Literal["organization.usage.completions.result"] = "organization.usage.completions.result"
    input_tokens: int
    input_uncached_tokens: int
    input_cached_tokens: int
    input_cache_write_tokens: int
    input_audio_tokens: int
    output_tokens: int
    output_audio_tokens: int
    num_model_requests: int
    batch: bool | None = None
    service_tier: str | None = None
    api_source: Source | None = None


class EmbeddingsResult(Group, frozen=True, kw_only=True):
    object: Literal["organization.usage.embeddings.result"] = "organization.usage.embeddings.result"
    input_tokens: int
    num_model_requests: int


class ModerationsResult(Group, frozen=True, kw_only=True):
    object: Literal["organization.usage.moderations.result"] = "organization.usage.moderations.result"
    input_tokens: int
    num_model_requests: int


class ImagesResult(Group, frozen=True, kw_only=True):
    """`size` is not recorded."""

    object: Literal["organization.usage.images.result"] = "organization.usage.images.result"
    images: int
    num_model_requests: int
    source: str | None = None
    size: None = None


class SpeechesResult(Group, frozen=True, kw_only=True):
    """`characters` are not counted."""

    object: Literal["organization.usage.audio_speeches.result"] = "organization.usage.audio_speeches.result"
    characters: int
    num_model_requests: int


class TranscriptionsResult(Group, frozen=True, kw_only=True):
    """`seconds` are not counted."""

    object: Literal["organization.usage.audio_transcriptions.result"] = "organization.usage.audio_transcriptions.result"
    seconds: int
    num_model_requests: int


class NoResult(msgspec.Struct, frozen=True, kw_only=True):
    """There is none of this kind here."""


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    value: Annotated[Raw, Meta(description="At most 9 decimals.", extra_json_schema={"type": "number"})]
    currency: Literal["usd"] = "usd"


class CostsResult(msgspec.Struct, frozen=True, kw_only=True):
    """What accounts pay. A `line_item` is a model; its quantity is of tokens or of images."""

    object: Literal["organization.costs.result"] = "organization.costs.result"
    amount: Amount
    line_item: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    api_source: Source | None = None
    quantity: int | None = None
    quantity_unit: Literal["tokens", "images"] | None = None


class SpanQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From `start_time` on and before `end_time`, which is now unless it is given. `page` is the `next_page` of the
    page before."""

    start_time: Moment
    end_time: Moment | None = None
    bucket_width: Literal["1m", "1h", "1d"] = "1d"
    limit: Annotated[int, Meta(ge=1, description="How many buckets, at most.")] | None = None
    page: str | None = None
    project_ids: Ids | None = None


class OfModelsQuery(SpanQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    user_ids: Ids | None = None
    api_key_ids: Ids | None = None
    models: Ids | None = None


class UsedQuery(OfModelsQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    group_by: list[Literal["project_id", "user_id", "api_key_id", "model"]] | None = None


class CompletionsQuery(OfModelsQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    batch: bool | None = None
    group_by: (
        list[Literal["project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source"]] | None
    ) = None


class ImagesQuery(OfModelsQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sources: list[Literal["image.generation", "image.edit", "image.variation"]] | None = None
    sizes: list[Literal["256x256", "512x512", "1024x1024", "1792x1792", "1024x1792"]] | None = None
    group_by: list[Literal["project_id", "user_id", "api_key_id", "model", "size", "source"]] | None = None


class FileSearchQuery(SpanQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    user_ids: Ids | None = None
    api_key_ids: Ids | None = None
    vector_store_ids: Ids | None = None
    group_by: list[Literal["project_id", "user_id", "api_key_id", "vector_store_id"]] | None = None


class WebSearchQuery(OfModelsQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    context_levels: list[Literal["low", "medium", "high"]] | None = None
    group_by: list[Literal["project_id", "user_id", "api_key_id", "model", "context_level", "api_source"]] | None = None


class StoresQuery(SpanQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    group_by: list[Literal["project_id"]] | None = None


class CostsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From `start_time` on and before `end_time`, which is now unless it is given."""

    start_time: Moment
    end_time: Moment | None = None
    bucket_width: Literal["1d"] = "1d"
    limit: Annotated[int, Meta(ge=1, description="How many buckets, at most.")] | None = None
    page: str | None = None
    project_ids: Ids | None = None
    api_key_ids: Ids | None = None
    line_items: Ids | None = None
    group_by: list[Literal["project_id", "user_id", "line_item", "api_key_id", "api_source"]] | None = None
