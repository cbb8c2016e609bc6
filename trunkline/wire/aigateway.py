"""Sub-accounts, budgets by tag and usage as AIgateway spells them, and what of ours has no place there.

https://aigateway.sh/docs and its Python SDK (`aigateway-py` 0.1.3), whose `sub_accounts` methods take and give these.
Money is in cents there; the same in dollars stands beside it. Where its documents contradict each other, both
spellings are written.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trunkline.wire.amounts import Cents, Dollars

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Rate = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Cycle = Literal["never", "day", "week", "month"]
Globs = Annotated[list[str], Meta(max_length=200, description="Model ids or patterns such as `openai/*`.")]
Listed = Literal["list"]


class SubAccountRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account below the caller's, or below `parent_id`."""

    name: Name
    external_ref: Annotated[str | None, Meta(description="Your own name for it, such as a customer's number.")] = None
    spend_cap_cents: Annotated[Decimal | None, Meta(description="What it may spend in each period, in cents.")] = None
    spend_cap_period: Cycle = "month"
    rate_limit_rpm: Annotated[Rate | None, Meta(description="Requests a minute.")] = None
    rate_limit_tpm: Annotated[Rate | None, Meta(description="Tokens a minute.")] = None
    allowed_models: Globs | None = None
    default_tag: Annotated[str | None, Meta(description="The tag of calls that bring none.")] = None
    parent_id: str | None = None


class SubAccountChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is; null takes a limit away."""

    name: Name | UnsetType = UNSET
    external_ref: str | UnsetType | None = UNSET
    spend_cap_cents: Decimal | UnsetType | None = UNSET
    spend_cap_period: Cycle | UnsetType = UNSET
    rate_limit_rpm: Rate | UnsetType | None = UNSET
    rate_limit_tpm: Rate | UnsetType | None = UNSET
    allowed_models: Globs | UnsetType | None = UNSET
    default_tag: str | UnsetType | None = UNSET


class SubAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A sub-account. `created_at`: Unix seconds. `key` and `scoped_key` are the same, and are shown this once."""

    id: str
    object: Literal["sub_account"] = "sub_account"
    name: str
    external_ref: str | None
    parent_id: str | None
    status: Literal["active", "archived"]
    spend_cap_cents: Cents
    spend_cap_period: Cycle | None
    rate_limit_rpm: int | None
    rate_limit_tpm: int | None
    allowed_models: tuple[str, ...]
    default_tag: str | None
    created_at: int
    key: str | UnsetType = UNSET
    scoped_key: str | UnsetType = UNSET
    key_id: str | UnsetType = UNSET


class SubAccountList(msgspec.Struct, frozen=True, kw_only=True):
    """Oldest first. `after=<last_id>` asks for what follows."""

    object: Listed = "list"
    data: list[SubAccount]
    has_more: bool
    first_id: str | None
    last_id: str | None


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """It is gone."""

    id: str
    status: Literal["ok"] = "ok"
    deleted: bool = True


class BudgetRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`{tag, monthly_cap_cents}` caps a tag's spend in each month. In full: `scope` with `subject`, `limit_usd` (or
    `limit_cents`), `period` and `zone`."""

    tag: str | None = None
    monthly_cap_cents: Decimal | None = None
    scope: Literal["key", "account", "tag", "end_user", "model"] | None = None
    subject: Annotated[
        str | None,
        Meta(description="A key's or account's id, a tag, an end user, a model or a pattern of models."),
    ] = None
    limit_usd: Decimal | None = None
    limit_cents: Decimal | None = None
    period: Cycle | None = None
    zone: Annotated[str, Meta(description="Whose midnight begins a period: a name of the IANA list.")] = "UTC"
    alerts: Annotated[
        list[Annotated[int, Meta(ge=1, le=100)]],
        Meta(max_length=10, description="Percent of the limit at which somebody is told."),
    ] = []
    account_id: Annotated[str | None, Meta(description="The account whose budget it is; by default the caller's.")] = (
        None
    )


class BudgetCard(msgspec.Struct, frozen=True, kw_only=True):
    """A budget and how much of it is gone. `resets_at`: Unix seconds, null for never. `held` is what calls that are
    under way may still spend. `tag` and `monthly_cap_cents` are set for a tag's budget of a month."""

    id: str
    object: Literal["budget"] = "budget"
    account_id: str
    scope: str
    subject: str
    tag: str | None
    monthly_cap_cents: Cents
    limit_cents: Cents
    limit_usd: Dollars
    spent_cents: Cents
    spent_usd: Dollars
    held_usd: Dollars
    remaining_usd: Dollars
    period: Cycle
    zone: str
    resets_at: int | None
    alerts: tuple[int, ...]
    created_at: int


class BudgetList(msgspec.Struct, frozen=True, kw_only=True):
    """Oldest first. `after=<last_id>` asks for what follows."""

    object: Listed = "list"
    data: list[BudgetCard]
    has_more: bool
    first_id: str | None
    last_id: str | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What calls came to. `requests` are those that were charged (or free), `errors` attempts for which nobody pays;
    `estimated_requests` are those whose usage the provider did not give."""

    requests: int
    errors: int
    estimated_requests: int
    cost_cents: Cents
    cost_usd: Dollars
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int


class ModelFigures(Figures, frozen=True, kw_only=True):
    """`model_id` and `label` are the model's id."""

    model_id: str
    label: str


class DayFigures(Figures, frozen=True, kw_only=True):
    """`date` is a day of UTC."""

    date: str


class UsageReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the sub-account and all below it used."""

    id: str
    object: Literal["usage"] = "usage"
    window: str
    start_time: int
    end_time: int
    summary: Figures
    by_model: list[ModelFigures]
    by_day: list[DayFigures]


class TagFigures(Figures, frozen=True, kw_only=True):
    """`tag` and `label` are the tag; null and "" for calls without one."""

    tag: str | None
    label: str


class AccountFigures(Figures, frozen=True, kw_only=True):
    """What an account itself used, without those below it."""

    sub_account_id: str
    account_id: str
    name: str
    label: str
    external_ref: str | None


class TagUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Dearest first."""

    object: Listed = "list"
    start_time: int
    end_time: int
    data: list[TagFigures]


class AccountUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Dearest first."""

    object: Listed = "list"
    start_time: int
    end_time: int
    data: list[AccountFigures]


class CallLine(msgspec.Struct, frozen=True, kw_only=True):
    """One call. `id` is the call's, `created_at` Unix seconds."""

    id: str
    object: Literal["request"] = "request"
    request_id: str
    response_id: str | None
    account_id: str
    key_id: str
    tag: str | None
    end_user: str | None
    endpoint: str
    protocol: str
    asked_model: str
    model: str
    provider: str
    status: int
    code: str | None
    stream: bool
    attempts: int
    created_at: int
    latency_ms: float
    first_event_ms: float | None
    timings_us: dict[str, int]
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_cents: Cents
    cost_usd: Dollars
    estimated: bool
    finish_reason: str | None
    warnings: list[str]
    user_agent: str | None


class CallList(msgspec.Struct, frozen=True, kw_only=True):
    """Latest first. `next` asks for what follows: send it as `after`."""

    object: Listed = "list"
    data: list[CallLine]
    has_more: bool
    first_id: str | None
    last_id: str | None
    next: str | None


class Credit(msgspec.Struct, frozen=True, kw_only=True):
    """Prepaid credit of the nearest account upwards that has any; all null where calls are paid for later, or out of
    credit further up than the key sees."""

    account_id: str | None
    total_usd: Dollars
    spent_usd: Dollars
    held_usd: Dollars
    available_usd: Dollars


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What the key may still spend. `available_*` is the least that credit and caps leave; null when nothing bounds
    it. `balance_cents`: credit that is not spent; without credit what caps leave. `bounded_above`: accounts further up
    than the key sees have caps or the credit, and may leave less."""

    object: Literal["balance"] = "balance"
    account_id: str
    currency: Literal["USD"] = "USD"
    balance_cents: Cents
    available_cents: Cents
    available_usd: Dollars
    bounded_above: bool
    credit: Credit
    caps: list[BudgetCard]


class CreditRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`amount_usd` or `amount_cents`. The same `id` again changes nothing and answers what was done the first time."""

    id: Annotated[str, Meta(min_length=1, max_length=64, description="Yours: it makes a repeat harmless.")]
    account_id: str | None = None
    amount_usd: Decimal | None = None
    amount_cents: Decimal | None = None
    note: Annotated[str, Meta(max_length=500)] = ""


class CreditReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A top-up (above 0) or a debit (below 0)."""

    id: str
    object: Literal["credit"] = "credit"
    account_id: str
    amount_cents: Cents
    amount_usd: Dollars
    note: str
    created_at: int
    balance_usd: Dollars
