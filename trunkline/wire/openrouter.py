"""Keys, their credit and single calls as OpenRouter spells them, and what of ours has no place there. What is not known
is null.

https://openrouter.ai/docs/api/api-reference: get-current-key, get-credits, get-generation, create-keys. Money is USD.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trunkline.wire.aigateway import BudgetCard, Cycle, Globs, Rate
from trunkline.wire.amounts import Cents, Dollars

Reset = Literal["daily", "weekly", "monthly"]
Expiry = Annotated[str | int, Meta(description="`30d`, a moment as 2027-01-31T00:00:00Z, or as Unix seconds.")]
Networks = Annotated[list[str], Meta(max_length=200, description="Addresses, or networks in CIDR form.")]
Routes = Annotated[list[str], Meta(max_length=50)]


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """-1 requests is no limit."""

    requests: int
    interval: str = "1m"
    note: str = "Requests a minute; -1 is no limit."


class KeyBudget(msgspec.Struct, frozen=True, kw_only=True):
    """One of the limits of a key. `resets_at` is a moment of UTC, null for one that stays."""

    scope: Literal["key_limit"] = "key_limit"
    budget_id: str
    guardrail_id: str | None = None
    include_byok: bool = False
    limit_usd: Dollars
    spend_usd: Dollars
    remaining_usd: Dollars
    reset_interval: Reset | None
    resets_at: str | None


class FreeRequests(msgspec.Struct, frozen=True, kw_only=True):
    """There is no free tier, so nothing is counted."""

    limit: int = 0
    remaining: int = 0
    used: int = 0


class OwnProvider(msgspec.Struct, frozen=True, kw_only=True):
    """What calls with a provider's key of the caller's own cost: there are none."""

    include_byok_in_limit: bool = False
    byok_usage: int = 0
    byok_usage_daily: int = 0
    byok_usage_weekly: int = 0
    byok_usage_monthly: int = 0


class KeyFacts(OwnProvider, frozen=True, kw_only=True):
    """What a key may learn of itself. `limit_reset` is null for a limit that stays. `effective_budget` is the one that
    leaves the least. `workspace_id` is the account."""

    label: str
    name: str
    hash: str
    account_id: str
    limit: Dollars
    limit_remaining: Dollars
    limit_reset: Reset | None
    usage: Dollars
    usage_daily: Dollars
    usage_weekly: Dollars
    usage_monthly: Dollars
    is_free_tier: bool = False
    is_provisioning_key: bool
    is_management_key: bool
    rate_limit: RateLimit
    budgets: list[KeyBudget]
    effective_budget: KeyBudget | None
    free_model_daily_requests: FreeRequests = FreeRequests()
    allowed_data_regions: tuple[str, ...] = ("global",)
    creator_user_id: str | None
    organization_id: str | None = None
    workspace_id: str
    models: tuple[str, ...]
    expires_at: str | None


class KeyFactsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The key that asks."""

    data: KeyFacts


class Credits(msgspec.Struct, frozen=True, kw_only=True):
    total_credits: Dollars
    total_usage: Dollars


class CreditsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was paid in and what was used."""

    data: Credits


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """One call. Times are milliseconds."""

    id: str
    call_id: str
    request_id: str
    upstream_id: str | None = None
    total_cost: Dollars
    usage: Dollars
    cache_discount: float | None = None
    upstream_inference_cost: Dollars
    created_at: str
    model: str
    provider_name: str
    provider_responses: list[Any] | None = None
    router: str | None = None
    streamed: bool
    cancelled: bool
    latency: float
    generation_time: float
    moderation_latency: float | None = None
    finish_reason: str | None
    native_finish_reason: str | None = None
    tokens_prompt: int
    tokens_completion: int
    native_tokens_prompt: int
    native_tokens_completion: int
    native_tokens_reasoning: int
    native_tokens_cached: int
    native_tokens_completion_images: int | None = None
    num_media_prompt: int | None = None
    num_media_completion: int | None = None
    num_input_audio_prompt: int | None = None
    num_search_results: int | None = None
    num_fetches: int | None = None
    is_byok: bool = False
    api_type: str | None
    app_id: int | None = None
    origin: str = ""
    http_referer: str | None = None
    user_agent: str | None
    external_user: str | None
    preset_id: str | None = None
    service_tier: str | None = None
    data_region: str = "global"
    web_search_engine: str | None = None
    workspace_id: str
    session_id: str | None = None
    response_cache_source_id: str | None = None


class GenerationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The call."""

    data: Generation


class _KeyFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`limit` is in USD, `spend_cap_cents` in cents; `limit_reset` or `period` says how often it begins anew, by
    default never and for cents each month. `models` and `allowed_models`, `rpm` and `rate_limit_rpm`, `expires` and
    `expires_at` are the same."""

    models: Globs | UnsetType | None = UNSET
    allowed_models: Globs | UnsetType | None = UNSET
    limit: Decimal | UnsetType | None = UNSET
    spend_cap_cents: Decimal | UnsetType | None = UNSET
    limit_reset: Reset | UnsetType | None = UNSET
    period: Cycle | UnsetType = UNSET
    expires: Expiry | UnsetType | None = UNSET
    expires_at: Expiry | UnsetType | None = UNSET
    rpm: Rate | UnsetType | None = UNSET
    rate_limit_rpm: Rate | UnsetType | None = UNSET
    tpm: Rate | UnsetType | None = UNSET
    concurrency: Rate | UnsetType | None = UNSET
    ip_allowlist: Networks | UnsetType = UNSET
    routes: Routes | UnsetType = UNSET
    default_tag: str | UnsetType | None = UNSET
    note: Annotated[str, Meta(max_length=500)] | UnsetType | None = UNSET


class KeyRequest(_KeyFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key of the caller's account, or of `account_id` below it. `manage`: it may do what this page says."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    account_id: str | None = None
    sub_account_id: str | None = None
    manage: bool = False


class KeyChangeRequest(_KeyFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is; null takes a limit away."""

    name: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType = UNSET


class RotationRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the old secret goes on: `24h`, a number of seconds, `0` for not at all. Without it the old one ends when
    the new one is first used, after 24 hours at the latest."""

    grace: str | Annotated[int, Meta(ge=0)] | None = None


class KeyCard(OwnProvider, frozen=True, kw_only=True):
    """A key without its secret. `hash` is its id, `workspace_id` its account. Money is USD."""

    id: str
    object: Literal["api_key"] = "api_key"
    hash: str
    name: str
    label: str
    account_id: str
    status: Literal["active", "expired", "revoked"]
    disabled: bool
    manage: bool
    admin: bool
    limit: Dollars
    limit_remaining: Dollars
    limit_reset: Reset | None
    spend_cap_cents: Cents
    budgets: list[BudgetCard]
    usage: Dollars
    usage_daily: Dollars
    usage_weekly: Dollars
    usage_monthly: Dollars
    models: tuple[str, ...]
    rpm: int | None
    tpm: int | None
    concurrency: int | None
    ip_allowlist: tuple[str, ...]
    routes: tuple[str, ...]
    default_tag: str | None
    note: str | None
    creator_user_id: str | None
    external_user: str | None = None
    workspace_id: str
    created_at: str
    updated_at: str | None = None
    last_used_at: str | None
    expires_at: str | None


class KeyCardAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The key."""

    data: KeyCard


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key with its secret, which is shown this once: `key` and `scoped_key` are the same."""

    id: str
    key: str
    scoped_key: str
    data: KeyCard


class KeyRotated(msgspec.Struct, frozen=True, kw_only=True):
    """The new secret, shown this once. `old_key_ends_at`: when the one before it ends at the latest."""

    id: str
    key: str
    scoped_key: str
    old_key_ends_at: str | None
    data: KeyCard


class KeyCards(msgspec.Struct, frozen=True, kw_only=True):
    """Oldest first. `after=<last_id>` asks for what follows."""

    object: Literal["list"] = "list"
    data: list[KeyCard]
    has_more: bool
    first_id: str | None
    last_id: str | None


class KeyDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """The key has ended, with all its secrets."""

    id: str
    status: Literal["ok"] = "ok"
    deleted: bool = True
