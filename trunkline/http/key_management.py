"""`/v1/keys`: keys made, listed, changed, rotated and ended, as OpenRouter spells them and with what is ours."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Final, NamedTuple, TypeVar, cast

import msgspec
from litestar import HttpMethod, Response, delete, get, post, route
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, Meta, UnsetType

from trunkline import clock
from trunkline.errors import InvalidRequest
from trunkline.http.admin import KEY, MANAGE
from trunkline.http.budgets import card as budget_card
from trunkline.http.budgets import tightest
from trunkline.http.described import Call, described, read_body, read_query, reply
from trunkline.http.renaming import renamed
from trunkline.http.standing import actor, caller, reader_of
from trunkline.http.windows import seconds
from trunkline.ids import EPOCH_MS, AccountId, KeyId
from trunkline.money import Nanos
from trunkline.policy import keys as key_policy
from trunkline.ports.audit import Actor
from trunkline.ports.budget_store import BudgetDraft, BudgetFigures, BudgetFilter, BudgetStore
from trunkline.ports.budgets import Period
from trunkline.ports.keys import KEY_ROUTES, Grant, IssuedKey, KeyChange, KeyFilter, KeyRoute, Keys, KeySummary
from trunkline.ports.pages import MOST_ITEMS, Cursor
from trunkline.ports.reports import Reports, Spend, SpendQuery, UsageQuery
from trunkline.wire.amounts import cents, dollars, from_cents, from_dollars
from trunkline.wire.openrouter import (
    KeyCard,
    KeyCardAnswer,
    KeyCards,
    KeyChangeRequest,
    KeyDeleted,
    KeyRequest,
    KeyRotated,
    NewKey,
    Reset,
    RotationRequest,
)

A = TypeVar("A")

RESETS: Final[dict[Reset, Period]] = {"daily": "day", "weekly": "week", "monthly": "month"}
PERIODS: Final[dict[Period, Reset | None]] = {"never": None, "day": "daily", "week": "weekly", "month": "monthly"}
NAMES: Final = {
    "requests_per_minute": "rpm",
    "tokens_per_minute": "tpm",
    "addresses": "ip_allowlist",
    "account": "account_id",
}
FIRST_S: Final = EPOCH_MS // 1000
"""Nothing was used before."""
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?)?", re.ASCII)


class KeysAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`include_disabled` or `include_expired`: those that were revoked or have expired, too. `after` costs the same
    wherever the page is; `offset` counts from the beginning."""

    limit: Annotated[int, Meta(ge=1, le=MOST_ITEMS)] = 100
    offset: Annotated[int, Meta(ge=0, le=MOST_ITEMS)] = 0
    after: str | None = None
    account_id: str | None = None
    sub_account_id: str | None = None
    include_disabled: bool = False
    include_expired: bool = False


class Cap(NamedTuple):
    """What a request says of the limit: nano-dollars, None to take it away; a period, None when it names none."""

    limit: int | UnsetType | None
    period: Period | None


class Found(NamedTuple):
    key: KeySummary
    budgets: tuple[BudgetFigures, ...]


class KeyDesk:
    """Blocking: keys and their budgets, as one thing."""

    def __init__(self, keys: Keys, budgets: BudgetStore) -> None:
        self._keys = keys
        self._budgets = budgets

    def create(self, wanted: KeyRequest, *, by: Actor, within: AccountId) -> tuple[IssuedKey, Found]:
        cap = cap_of(wanted)
        if wanted.account_id is not None and wanted.sub_account_id not in (None, wanted.account_id):
            raise InvalidRequest("Give account_id or sub_account_id, not both.", param="sub_account_id")
        models = either(wanted.models, wanted.allowed_models, "allowed_models")
        grant = Grant(
            name=wanted.name,
            account_id=wanted.account_id or wanted.sub_account_id or by.account_id,
            manage=wanted.manage,
            models=tuple(models or ()),
            expires_at=expiry(wanted, clock.now_s()) or None,
            budget_nanos=cap.limit if isinstance(cap.limit, int) else None,
            budget_period=cap.period or default_period(wanted),
            requests_per_minute=either(wanted.rpm, wanted.rate_limit_rpm, "rate_limit_rpm") or None,
            tokens_per_minute=wanted.tpm or None,
            concurrency=wanted.concurrency or None,
            addresses=tuple(wanted.ip_allowlist or ()),
            routes=routes_of(wanted.routes) or (),
            default_tag=wanted.default_tag or None,
            note=wanted.note or None,
        )
        with renamed(names_of(wanted)):
            issued = self._keys.create(grant, by=by, within=within)
        return issued, self.show(issued.id, within=within)

    def show(self, key_id: str, *, within: AccountId) -> Found:
        key = self._keys.show(key_id, within=within)
        return Found(key, self._budgets_of(key))

    def page(self, wanted: KeysAsked, *, within: AccountId) -> tuple[list[Found], bool]:
        """With whether there are more."""
        ended = wanted.include_disabled or wanted.include_expired
        filters = KeyFilter(account_id=wanted.account_id or wanted.sub_account_id, ended=ended)
        end = wanted.offset + wanted.limit
        page = self._keys.page(filters, Cursor(limit=min(end, MOST_ITEMS), after=wanted.after), within=within)
        shown = page.items[wanted.offset : end]
        return [Found(key, self._budgets_of(key)) for key in shown], page.has_more

    def update(self, key_id: str, wanted: KeyChangeRequest, *, by: Actor, within: AccountId) -> Found:
        cap = cap_of(wanted)
        models = either(wanted.models, wanted.allowed_models, "allowed_models")
        change = KeyChange(
            name=wanted.name,
            models=UNSET if models is UNSET else tuple(models or ()),
            expires_at=expiry(wanted, clock.now_s()),
            requests_per_minute=either(wanted.rpm, wanted.rate_limit_rpm, "rate_limit_rpm"),
            tokens_per_minute=wanted.tpm,
            concurrency=wanted.concurrency,
            addresses=UNSET if wanted.ip_allowlist is UNSET else tuple(wanted.ip_allowlist),
            routes=routes_of(wanted.routes),
            default_tag=wanted.default_tag,
            note=wanted.note,
        )
        with renamed(names_of(wanted)):
            key = self._keys.show(key_id, within=within)
            if any(getattr(change, name) is not UNSET for name in change.__struct_fields__):
                key = self._keys.update(key_id, change, by=by, within=within)
            if cap != Cap(UNSET, None):
                self._change_cap(key, wanted, by, within)
        return Found(key, self._budgets_of(key))

    def rotate(self, key_id: str, grace_s: float | None, *, by: Actor, within: AccountId) -> tuple[IssuedKey, Found]:
        issued = self._keys.rotate(key_id, grace_s, by=by, within=within)
        return issued, self.show(issued.id, within=within)

    def revoke(self, key_id: str, *, by: Actor, within: AccountId) -> KeyDeleted:
        self._keys.revoke(key_id, by=by, within=within)
        return KeyDeleted(id=key_id)

    def _budgets_of(self, key: KeySummary) -> tuple[BudgetFigures, ...]:
        wanted = BudgetFilter(account_id=key.account_id, kind="key", subject=key.id)
        return self._budgets.page(wanted, Cursor(limit=MOST_ITEMS), within=key.account_id).items

    def _change_cap(self, key: KeySummary, wanted: KeyChangeRequest, by: Actor, within: AccountId) -> None:
        """One limit in place of another: what was there in another period goes."""
        cap, before = cap_of(wanted), self._budgets_of(key)
        shown = tightest(before)
        limit = shown.budget.limit_nanos if cap.limit is UNSET and shown is not None else cap.limit
        if limit is UNSET:
            raise InvalidRequest("There is no limit whose period could change.", param="limit_reset")
        period = cap.period or (shown.budget.period if shown is not None else default_period(wanted))
        if limit is not None:
            draft = BudgetDraft(
                account_id=key.account_id, kind="key", subject=key.id, limit_nanos=Nanos(limit), period=period
            )
            self._budgets.put(draft, by=by, within=within)
        for one in before:
            if limit is None or one.budget.period != period:
                self._budgets.remove(one.budget.id, by=by, within=within)


def either(one: A | UnsetType, other: A | UnsetType, other_name: str) -> A | UnsetType:
    """Two spellings of one field. Raises InvalidRequest when they say different things."""
    if one is not UNSET and other is not UNSET and one != other:
        raise InvalidRequest(f"{other_name} contradicts its other spelling; send one of the two.", param=other_name)
    return other if one is UNSET else one


def cap_of(wanted: KeyRequest | KeyChangeRequest) -> Cap:
    """Raises InvalidRequest."""
    period = None if wanted.period is UNSET else wanted.period
    if wanted.limit_reset is not UNSET:
        reset: Period = "never" if wanted.limit_reset is None else RESETS[wanted.limit_reset]
        if period not in (None, reset):
            raise InvalidRequest("limit_reset contradicts period; send one of the two.", param="limit_reset")
        period = reset
    if wanted.limit is not UNSET and wanted.spend_cap_cents is not UNSET:
        raise InvalidRequest("Give limit or spend_cap_cents, not both.", param="spend_cap_cents")
    if isinstance(wanted.spend_cap_cents, Decimal):
        return Cap(from_cents(wanted.spend_cap_cents, "spend_cap_cents"), period)
    if isinstance(wanted.limit, Decimal):
        return Cap(from_dollars(wanted.limit, "limit"), period)
    return Cap(UNSET if wanted.limit is UNSET and wanted.spend_cap_cents is UNSET else None, period)


def default_period(wanted: KeyRequest | KeyChangeRequest) -> Period:
    return "never" if wanted.spend_cap_cents is UNSET else "month"


def names_of(wanted: KeyRequest | KeyChangeRequest) -> dict[str, str]:
    """What the store calls the fields, in the spelling that was sent."""
    names = dict(NAMES)
    if wanted.spend_cap_cents is not UNSET:
        names["limit"] = "spend_cap_cents"
    if wanted.allowed_models is not UNSET:
        names["models"] = "allowed_models"
    if wanted.rate_limit_rpm is not UNSET:
        names["requests_per_minute"] = "rate_limit_rpm"
    if wanted.expires_at is not UNSET:
        names["expires"] = "expires_at"
    if isinstance(wanted, KeyRequest) and wanted.sub_account_id is not None:
        names["account"] = "sub_account_id"
    return names


def routes_of(given: list[str] | UnsetType) -> tuple[KeyRoute, ...] | UnsetType:
    """Raises InvalidRequest for a route that there is not."""
    if given is UNSET:
        return UNSET
    for name in given:
        if name not in KEY_ROUTES:
            raise InvalidRequest(f"routes: {name[:40]!r} is none; there are {', '.join(KEY_ROUTES)}.", param="routes")
    return tuple(cast("list[KeyRoute]", given))


def expiry(wanted: KeyRequest | KeyChangeRequest, now_s: float) -> float | UnsetType | None:
    """Unix seconds. Raises InvalidRequest."""
    param = "expires" if wanted.expires_at is UNSET else "expires_at"
    given = either(wanted.expires, wanted.expires_at, "expires_at")
    if given is UNSET or given is None:
        return given
    if isinstance(given, int):
        return given
    if not _ISO.fullmatch(given.strip()):
        return now_s + seconds(given, param)
    try:
        moment = dt.datetime.fromisoformat(given.strip())
    except ValueError:
        raise InvalidRequest(f"{param}: {given[:40]!r} is no moment.", param=param) from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)).timestamp()


def grace_of(wanted: RotationRequest) -> float | None:
    """Seconds. Raises InvalidRequest."""
    if wanted.grace is None or isinstance(wanted.grace, int):
        return wanted.grace
    return float(seconds(wanted.grace, "grace"))


def moment(at_s: float | None) -> str | None:
    return None if at_s is None else f"{dt.datetime.fromtimestamp(int(at_s), dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


async def spends(reports: Reports, keys: Sequence[KeySummary], within: AccountId, now_s: float) -> dict[KeyId, Spend]:
    """What each of several keys cost: one reading a period, however many they are."""
    today = dt.datetime.fromtimestamp(now_s, dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    starts = [today, today - dt.timedelta(days=today.weekday()), today.replace(day=1)]
    ids = tuple(key.id for key in keys)
    found = []
    for start_s in (*(int(start.timestamp()) for start in starts), FIRST_S):
        query = UsageQuery(start_s=start_s, end_s=int(now_s) + 1, group_by=("key",), root=within, keys=ids)
        page = await reports.usage(query)
        found.append({one.key_id: one.sums.cost_nanos for bucket in page.buckets for one in bucket.results})
    day, week, month, ever = found
    return {
        key.id: Spend(
            day_nanos=day.get(key.id, 0),
            week_nanos=week.get(key.id, 0),
            month_nanos=month.get(key.id, 0),
            ever_nanos=ever.get(key.id, 0),
        )
        for key in keys
    }


def card(found: Found, spend: Spend) -> KeyCard:
    key, cap = found.key, tightest(found.budgets)
    return KeyCard(
        id=key.id,
        hash=key.id,
        name=key.name,
        label=key.redacted or key.name,
        account_id=key.account_id,
        status=key.state,
        disabled=key.state != "active",
        manage=key.manage,
        admin=key.admin,
        limit=dollars(cap.budget.limit_nanos if cap else None),
        limit_remaining=dollars(cap.remaining_nanos if cap else None),
        limit_reset=PERIODS[cap.budget.period] if cap else None,
        spend_cap_cents=cents(cap.budget.limit_nanos if cap else None),
        budgets=[budget_card(one) for one in found.budgets],
        usage=dollars(spend.ever_nanos),
        usage_daily=dollars(spend.day_nanos),
        usage_weekly=dollars(spend.week_nanos),
        usage_monthly=dollars(spend.month_nanos),
        models=key.models,
        rpm=key.requests_per_minute,
        tpm=key.tokens_per_minute,
        concurrency=key.concurrency,
        ip_allowlist=key.addresses,
        routes=key.routes,
        default_tag=key.default_tag,
        note=key.note,
        creator_user_id=key.created_by,
        workspace_id=key.account_id,
        created_at=moment(key.created_at) or "",
        last_used_at=moment(key.last_used_at),
        expires_at=moment(key.expires_at),
    )


def key_routes(desk: KeyDesk, reports: Reports) -> list[HTTPRouteHandler]:
    return [*_making(desk, reports), *_reading(desk, reports)]


async def _shown(found: Found, reports: Reports) -> KeyCard:
    key = found.key
    return card(found, await reports.spend(SpendQuery(root=key.account_id, key=key.id), clock.now_s()))


def _making(desk: KeyDesk, reports: Reports) -> list[HTTPRouteHandler]:
    @post(
        "/v1/keys",
        opt=MANAGE,
        tags=["keys"],
        summary="Make a key. It is in the answer, this once.",
        operation_class=described(NewKey, body=KeyRequest),
    )
    async def create_key(request: Call) -> Response[bytes]:
        wanted = await read_body(request, KeyRequest)
        within = key_policy.reach(caller(request))
        issued, found = await asyncio.to_thread(desk.create, wanted, by=actor(request), within=within)
        key = issued.key.reveal()
        return reply(NewKey(id=issued.id, key=key, scoped_key=key, data=await _shown(found, reports)), 201)

    @route(
        "/v1/keys/{key_id:str}",
        http_method=[HttpMethod.PATCH, HttpMethod.POST],
        status_code=200,
        opt=MANAGE,
        tags=["keys"],
        summary="Change a key; null takes a limit away.",
        operation_class=described(KeyCardAnswer, body=KeyChangeRequest),
    )
    async def update_key(request: Call, key_id: str) -> Response[bytes]:
        wanted = await read_body(request, KeyChangeRequest)
        within = key_policy.reach(caller(request))
        found = await asyncio.to_thread(desk.update, key_id, wanted, by=actor(request), within=within)
        return reply(KeyCardAnswer(data=await _shown(found, reports)))

    @post(
        "/v1/keys/{key_id:str}/rotate",
        status_code=200,
        opt=MANAGE,
        tags=["keys"],
        summary="A new secret for a key, which keeps its id and budgets. Without `grace` the old one ends at the first"
        " use of the new one.",
        operation_class=described(KeyRotated, body=RotationRequest),
    )
    async def rotate_key(request: Call, key_id: str) -> Response[bytes]:
        grace_s = grace_of(await read_body(request, RotationRequest))
        within = key_policy.reach(caller(request))
        issued, found = await asyncio.to_thread(desk.rotate, key_id, grace_s, by=actor(request), within=within)
        key = issued.key.reveal()
        ends, data = moment(issued.old_ends_at), await _shown(found, reports)
        return reply(KeyRotated(id=issued.id, key=key, scoped_key=key, old_key_ends_at=ends, data=data))

    @delete(
        "/v1/keys/{key_id:str}",
        status_code=200,
        opt=MANAGE,
        tags=["keys"],
        summary="End a key for good.",
        operation_class=described(KeyDeleted),
    )
    async def revoke_key(request: Call, key_id: str) -> Response[bytes]:
        within = key_policy.reach(caller(request))
        return reply(await asyncio.to_thread(desk.revoke, key_id, by=actor(request), within=within))

    return [create_key, update_key, rotate_key, revoke_key]


def _reading(desk: KeyDesk, reports: Reports) -> list[HTTPRouteHandler]:
    @get(
        "/v1/keys",
        opt=KEY,
        tags=["keys"],
        summary="The keys of your account and of those below it.",
        operation_class=described(KeyCards, query=KeysAsked),
    )
    async def list_keys(request: Call) -> Response[bytes]:
        within, wanted = reader_of(request), read_query(request, KeysAsked)
        found, more = await asyncio.to_thread(desk.page, wanted, within=within)
        spent = await spends(reports, [one.key for one in found], within, clock.now_s())
        data = [card(one, spent[one.key.id]) for one in found]
        first, last = (data[0].id, data[-1].id) if data else (None, None)
        return reply(KeyCards(data=data, has_more=more, first_id=first, last_id=last))

    @get(
        "/v1/keys/{key_id:str}",
        opt=KEY,
        tags=["keys"],
        summary="One key.",
        operation_class=described(KeyCardAnswer),
    )
    async def read_key(request: Call, key_id: str) -> Response[bytes]:
        found = await asyncio.to_thread(desk.show, key_id, within=reader_of(request))
        return reply(KeyCardAnswer(data=await _shown(found, reports)))

    return [list_keys, read_key]
