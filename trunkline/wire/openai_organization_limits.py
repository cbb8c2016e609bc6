"""Spend limits, spend alerts, rate limits and model permissions of OpenAI's organisation API, as its Python SDK 3.52
reads them. Amounts are whole US cents a month.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trunkline.wire.openai_organization import After, Before, Email, Limit, Order

Threshold = Annotated[int, Meta(ge=0, le=100_000_000_000, description="US cents.")]
Rate = Annotated[int, Meta(ge=0, le=10**15)]
Currency = Literal["USD"]
Interval = Literal["month"]


class Enforcement(msgspec.Struct, frozen=True, kw_only=True):
    status: Literal["inactive", "enforcing"]


class SpendLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What may be spent in a month."""

    object: Literal["organization.spend_limit", "project.spend_limit"]
    threshold_amount: int
    currency: Currency = "USD"
    interval: Interval = "month"
    enforcement: Enforcement


class SpendLimitUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be spent in a month of UTC; calls beyond it are refused."""

    threshold_amount: Threshold
    currency: Currency
    interval: Interval


class NotificationChannel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told."""

    type: Literal["email"]
    recipients: Annotated[list[Email], Meta(min_length=1, max_length=20)]
    subject_prefix: Annotated[str, Meta(max_length=100)] | None = None


class SpendAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An amount at which somebody wants to know."""

    object: Literal["organization.spend_alert", "project.spend_alert"]
    id: str
    threshold_amount: int
    currency: Currency = "USD"
    interval: Interval = "month"
    notification_channel: NotificationChannel


class SpendAlertUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An amount at which somebody wants to know, and who."""

    threshold_amount: Annotated[int, Meta(ge=1, le=100_000_000_000, description="US cents.")]
    currency: Currency
    interval: Interval
    notification_channel: NotificationChannel


class SpendAlertsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of the list, from either end."""

    after: After | None = None
    before: Before | None = None
    limit: Limit = 20
    order: Order = "asc"


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a model a project may use. Limits that were not set are left out, or 1,000,000,000 where
    OpenAI always has one."""

    object: Literal["project.rate_limit"] = "project.rate_limit"
    id: str
    model: str
    max_requests_per_1_minute: int
    max_tokens_per_1_minute: int
    max_images_per_1_minute: int | UnsetType = UNSET
    max_audio_megabytes_per_1_minute: int | UnsetType = UNSET
    max_requests_per_1_day: int | UnsetType = UNSET
    batch_1_day_max_input_tokens: int | UnsetType = UNSET


class RateLimitUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    max_requests_per_1_minute: Rate | UnsetType = UNSET
    max_tokens_per_1_minute: Rate | UnsetType = UNSET
    max_images_per_1_minute: Rate | UnsetType = UNSET
    max_audio_megabytes_per_1_minute: Rate | UnsetType = UNSET
    max_requests_per_1_day: Rate | UnsetType = UNSET
    batch_1_day_max_input_tokens: Rate | UnsetType = UNSET


class RateLimitsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of the list, from either end."""

    after: Annotated[str, Meta(max_length=300)] | None = None
    before: Annotated[str, Meta(max_length=300)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class ModelPermissions(msgspec.Struct, frozen=True, kw_only=True):
    """Which models a project may use."""

    object: Literal["project.model_permissions"] = "project.model_permissions"
    mode: Literal["allow_list", "deny_list"]
    model_ids: tuple[str, ...]


class ModelPermissionsUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ids, or patterns such as `openai/*`, which are an addition."""

    mode: Literal["allow_list", "deny_list"]
    model_ids: Annotated[list[Annotated[str, Meta(min_length=1, max_length=200)]], Meta(max_length=200)]
