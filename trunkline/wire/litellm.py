"""The part of LiteLLM's management API that has a counterpart here, in its spelling.

https://docs.litellm.ai/docs/proxy/virtual_keys, /team_budgets and /cost_tracking. A team is an account. Its budget
periods run from a key's first day; ours are days, weeks and months of the calendar. Money is USD.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trunkline.wire.aigateway import Cycle, Globs, Rate
from trunkline.wire.amounts import Dollars

KeyName = Annotated[str, Meta(min_length=1, max_length=512, description="A key's id, or the key itself.")]
Empty = Annotated[dict[str, Any], Meta(max_length=0, description="Nothing is kept here.")]
DURATIONS: Final[dict[str, Cycle]] = {
    "24h": "day",
    "1d": "day",
    "168h": "week",
    "7d": "week",
    "1w": "week",
    "30d": "month",
    "1mo": "month",
}
SPELLED: Final[dict[Cycle, str | None]] = {"never": None, "day": "1d", "week": "7d", "month": "30d"}


class _Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`budget_duration`: `1d`, `7d` or `30d`; without it a budget stays for good."""

    models: Globs | UnsetType | None = UNSET
    max_budget: Decimal | UnsetType | None = UNSET
    budget_duration: str | UnsetType | None = UNSET
    tpm_limit: Rate | UnsetType | None = UNSET
    rpm_limit: Rate | UnsetType | None = UNSET
    metadata: Empty | UnsetType | None = UNSET


class KeyGenerate(_Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key of the caller's account, or of the team. `duration` is how long it lives, such as `30d`."""

    key_alias: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    duration: str | None = None
    max_parallel_requests: Rate | None = None
    team_id: str | None = None


class KeyUpdate(_Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is; null takes a limit away."""

    key: KeyName
    key_alias: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    duration: str | UnsetType | None = UNSET
    max_parallel_requests: Rate | UnsetType | None = UNSET


class KeyDelete(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    keys: Annotated[list[KeyName], Meta(min_length=1, max_length=100)]


class KeyRegenerate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`grace_period`: how long the old secret goes on, such as `48h`; without it, it ends at once."""

    grace_period: str = "0"


class KeyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its secret; `token` is its id."""

    token: str
    key_name: str
    key_alias: str
    spend: Dollars
    max_budget: Dollars
    budget_duration: str | None
    budget_reset_at: str | None
    expires: str | None
    models: tuple[str, ...]
    tpm_limit: int | None
    rpm_limit: int | None
    max_parallel_requests: int | None
    team_id: str
    user_id: str | None = None
    blocked: bool
    metadata: dict[str, str] = {}
    created_at: str
    last_active: str | None


class KeyGenerated(KeyInfo, frozen=True, kw_only=True):
    """The key is shown this once."""

    key: str
    token_id: str


class KeyInfoAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`key` is its id."""

    key: str
    info: KeyInfo


class KeysDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """Their ids."""

    deleted_keys: list[str]


class TeamNew(_Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account below the caller's."""

    team_alias: Annotated[str, Meta(min_length=1, max_length=200)]


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """An account: `team_id` is its id. Keys are made with `POST /key/generate`."""

    team_id: str
    team_alias: str
    max_budget: Dollars
    budget_duration: str | None
    models: tuple[str, ...]
    tpm_limit: int | None
    rpm_limit: int | None
    spend: Dollars
    blocked: bool
    metadata: dict[str, str] = {}
    created_at: str


class TeamInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A team and its keys."""

    team_id: str
    team_info: Team
    keys: list[KeyInfo]


class SpendLog(msgspec.Struct, frozen=True, kw_only=True):
    """One call. `api_key` is the key's id."""

    request_id: str
    call_type: str
    api_key: str
    spend: Dollars
    total_tokens: int
    prompt_tokens: int
    completion_tokens: int
    started: str = msgspec.field(name="startTime")
    ended: str = msgspec.field(name="endTime")
    model: str
    model_group: str
    custom_llm_provider: str
    team_id: str
    user: str = ""
    end_user: str
    request_tags: list[str]
    status: Literal["success", "failure"]
    cache_hit: str = "False"
