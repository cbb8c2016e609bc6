"""What was used and what it cost, read from the ledger; and the calls themselves, read from the request log.

Everything here is awaited: the reading is done on threads. Only what belongs to `root` and the accounts below it is
seen; that an asker may see `root` is checked by whoever asks.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from trunkline.ids import ROOT_ACCOUNT, AccountId, KeyId
from trunkline.ports.requests import RequestRow

Width = Literal["1m", "1h", "1d", "month", "none"]
Dimension = Literal["account", "key", "model", "provider", "tag", "endpoint", "batch", "service_tier", "day"]
MOST_BUCKETS = 1440
MOST_RESULTS = 50_000
"""A page has fewer buckets than were asked for when they would hold more results than these together."""


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What was opened from `start_s` on and before `end_s`, in Unix seconds.

    Buckets begin at whole minutes, hours, days and months of UTC; the first begins at `start_s` and the last ends at
    `end_s`, and `none` is a single one. Of each filter any value matches; None is no filter, an empty one matches
    nothing. `accounts` are those very accounts, without what is below them. In `tags` None stands for calls without
    one. `limit` is of buckets, and `page` the `next_page` of the page before.
    """

    start_s: int
    end_s: int
    width: Width = "none"
    group_by: tuple[Dimension, ...] = ()
    root: AccountId = ROOT_ACCOUNT
    accounts: tuple[AccountId, ...] | None = None
    keys: tuple[KeyId, ...] | None = None
    models: tuple[str, ...] | None = None
    providers: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    tags: tuple[str | None, ...] | None = None
    service_tiers: tuple[str | None, ...] | None = None
    batch: bool | None = None
    limit: int = MOST_BUCKETS
    page: str | None = None


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """`requests` are the attempts that were settled, `errors` those that were released, for which nobody pays;
    `estimated` how many of them the provider did not count. Tokens are nested as in wire.usage.Usage: those of input
    include what was cached and written, those of output what was reasoned."""

    requests: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    images: int = 0
    cost_nanos: int = 0
    upstream_cost_nanos: int = 0
    errors: int = 0
    estimated: int = 0


class UsageResult(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of one group. What was not grouped by is None; `day` is written 2026-04-30."""

    sums: Sums
    account_id: str | None = None
    key_id: str | None = None
    model: str | None = None
    provider: str | None = None
    tag: str | None = None
    endpoint: str | None = None
    batch: bool | None = None
    service_tier: str | None = None
    day: str | None = None


class UsageBucket(msgspec.Struct, frozen=True, kw_only=True):
    """`results`: the dearest first; none when nothing was used, also without groups."""

    start_s: int
    end_s: int
    results: tuple[UsageResult, ...]


class UsagePage(msgspec.Struct, frozen=True, kw_only=True):
    """All buckets of the page in order, empty ones included."""

    buckets: tuple[UsageBucket, ...]
    next_page: str | None = None


class SpendQuery(msgspec.Struct, frozen=True, kw_only=True):
    """All of `root` and below; only one key's, or only one tag's."""

    root: AccountId = ROOT_ACCOUNT
    key: KeyId | None = None
    tag: str | None = None


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """What accounts pay, in nano-dollars: in the day, week (from Monday) and month of UTC that run, and ever."""

    day_nanos: int
    week_nanos: int
    month_nanos: int
    ever_nanos: int


class Reports(Protocol):
    """Exact at any moment: what is summed up already and what came since are read in one snapshot."""

    async def usage(self, query: UsageQuery) -> UsagePage:
        """Raises InvalidRequest for times, a limit or a page that make no sense, and StoreUnavailable."""
        ...

    async def spend(self, query: SpendQuery, at_s: float) -> Spend:
        """The periods in which `at_s` lies, up to then. Raises StoreUnavailable."""
        ...


class CallQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of `root` and below, the newest first. Filters as in UsageQuery. `status_class` is the first digit, such
    as 4. Times are milliseconds since 1970: from `since_ms` on, before `until_ms`. `before` is the number of the last
    call of the page before."""

    root: AccountId = ROOT_ACCOUNT
    accounts: tuple[AccountId, ...] | None = None
    keys: tuple[KeyId, ...] | None = None
    models: tuple[str, ...] | None = None
    tags: tuple[str | None, ...] | None = None
    status_class: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    before: int | None = None
    limit: int = 100


class CallPage(msgspec.Struct, frozen=True, kw_only=True):
    calls: tuple[RequestRow, ...]
    has_more: bool


class RequestLogReader(Protocol):
    """A call is found here within a second of its end. All raise StoreUnavailable."""

    async def calls(self, query: CallQuery) -> CallPage: ...

    async def call(self, number: int, root: AccountId) -> RequestRow | None: ...

    async def answered(self, response_id: str, root: AccountId) -> RequestRow | None:
        """The newest call whose answer had that id."""
        ...

    async def requested(self, request_id: str, root: AccountId) -> RequestRow | None:
        """The newest call that was made under that request id, the caller's or ours."""
        ...
