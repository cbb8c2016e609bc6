"""`/v1/sub-accounts`: accounts below the caller's, each with its own keys, cap, models and tag."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Annotated, Final, NamedTuple

import msgspec
from litestar import HttpMethod, Response, delete, get, post, route
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, Meta, UnsetType

from trunkline.errors import InvalidRequest, NotFound, TrunklineError
from trunkline.http.admin import KEY, MANAGE
from trunkline.http.described import Call, described, read_body, read_query, reply
from trunkline.http.renaming import renamed
from trunkline.http.standing import actor, caller, reader_of
from trunkline.http.usage_pages import asked, report
from trunkline.http.windows import Window
from trunkline.ids import AccountId
from trunkline.money import Nanos
from trunkline.policy import keys as key_policy
from trunkline.ports.accounts import (
    EVERY_MODEL,
    Account,
    AccountChange,
    AccountDraft,
    AccountFilter,
    AccountStore,
    RateLimits,
)
from trunkline.ports.audit import Actor
from trunkline.ports.budget_store import BudgetDraft, BudgetFigures, BudgetFilter, BudgetStore
from trunkline.ports.budgets import Period
from trunkline.ports.keys import Grant, Keys
from trunkline.ports.pages import MOST_ITEMS, Cursor
from trunkline.ports.reports import Reports, UsageQuery
from trunkline.wire.aigateway import Done, SubAccount, SubAccountChange, SubAccountList, SubAccountRequest, UsageReport
from trunkline.wire.amounts import cents, from_cents

DEFAULT_PERIOD: Final[Period] = "month"
NAMES: Final = {
    "models": "allowed_models",
    "limit": "spend_cap_cents",
    "requests_per_minute": "rate_limit_rpm",
    "tokens_per_minute": "rate_limit_tpm",
}


class SubAccountsAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`parent_id`: only its children, else all that are below the caller's account."""

    limit: Annotated[int, Meta(ge=1, le=MOST_ITEMS)] = MOST_ITEMS
    after: str | None = None
    parent_id: str | None = None
    external_ref: str | None = None
    archived: bool = False


class Cap(NamedTuple):
    """A limit in nano-dollars, None for none, in a period; what is not given stays."""

    limit: int | UnsetType | None
    period: Period | None


class SubAccounts:
    """Blocking. `within` is how far the caller sees: the accounts below it are the sub-accounts, it is none itself."""

    def __init__(self, accounts: AccountStore, keys: Keys, budgets: BudgetStore) -> None:
        self._accounts = accounts
        self._keys = keys
        self._budgets = budgets

    def create(self, wanted: SubAccountRequest, *, by: Actor, within: AccountId, with_key: bool = True) -> SubAccount:
        cap = None if wanted.spend_cap_cents is None else from_cents(wanted.spend_cap_cents, "spend_cap_cents")
        draft = AccountDraft(
            name=wanted.name,
            parent_id=AccountId(wanted.parent_id or by.account_id),
            models=tuple(wanted.allowed_models or ()),
            default_tag=wanted.default_tag,
            external_ref=wanted.external_ref,
        )
        with renamed(NAMES):
            account = self._accounts.create(draft, by=by, within=within)
            try:
                self._limit(account.id, wanted, by, within)
                if cap is not None:
                    self._cap(account.id, Cap(cap, wanted.spend_cap_period), by, within)
                grant = Grant(name=account.name, account_id=account.id, manage=True)
                issued = self._keys.create(grant, by=by, within=within) if with_key else None
            except TrunklineError:
                # What was asked for is made whole or not at all.
                self._accounts.archive(account.id, by=by, within=within)
                raise
        card = self._card(account, within)
        if issued is None:
            return card
        key = issued.key.reveal()
        return msgspec.structs.replace(card, key=key, scoped_key=key, key_id=issued.id)

    def page(self, wanted: SubAccountsAsked, *, within: AccountId) -> SubAccountList:
        filters = AccountFilter(parent_id=wanted.parent_id, external_ref=wanted.external_ref, archived=wanted.archived)
        found = self._accounts.page(filters, Cursor(limit=wanted.limit, after=wanted.after), within=within)
        data = [self._card(account, within) for account in found.items]
        return SubAccountList(
            data=data,
            has_more=found.has_more,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
        )

    def show(self, account_id: str, *, within: AccountId) -> SubAccount:
        return self._card(self._below(account_id, within), within)

    def update(self, account_id: str, change: SubAccountChange, *, by: Actor, within: AccountId) -> SubAccount:
        account = self._below(account_id, within)
        cap = change.spend_cap_cents
        limit = from_cents(cap, "spend_cap_cents") if isinstance(cap, Decimal) else cap
        models = change.allowed_models
        fields = AccountChange(
            name=change.name,
            models=models if models is UNSET else tuple(models or ()),
            default_tag=change.default_tag,
            external_ref=change.external_ref,
        )
        with renamed(NAMES):
            if any(getattr(fields, name) is not UNSET for name in fields.__struct_fields__):
                account = self._accounts.update(account.id, fields, by=by, within=within)
            self._limit(account.id, change, by, within)
            if cap is not UNSET or change.spend_cap_period is not UNSET:
                period = None if change.spend_cap_period is UNSET else change.spend_cap_period
                self._change_cap(account.id, Cap(limit, period), by, within)
        return self._card(account, within)

    def archive(self, account_id: str, *, by: Actor, within: AccountId) -> Done:
        account = self._below(account_id, within)
        self._accounts.archive(account.id, by=by, within=within)
        return Done(id=account.id)

    def reach(self, account_id: str, *, within: AccountId) -> AccountId:
        """The id, once it is known to be a sub-account's. Raises NotFound."""
        return self._below(account_id, within).id

    def _below(self, account_id: str, within: AccountId) -> Account:
        """Raises NotFound, for the account at the top too: it is nobody's sub-account here."""
        if account_id == within:
            raise NotFound(
                "This is the account of the key itself; sub-accounts are below it.", code="account_not_found"
            )
        return self._accounts.show(account_id, within=within)

    def _card(self, account: Account, within: AccountId) -> SubAccount:
        cap, rates = self._capped(account.id, within), self._rates(account.id, within)
        return SubAccount(
            id=account.id,
            name=account.name,
            external_ref=account.external_ref,
            # The caller does not learn who stands above its own account; above a sub-account there is always one.
            parent_id=account.parent_id,
            status="active" if account.archived_at is None else "archived",
            spend_cap_cents=cents(cap.budget.limit_nanos if cap else None),
            spend_cap_period=cap.budget.period if cap else None,
            rate_limit_rpm=rates.requests_per_minute,
            rate_limit_tpm=rates.tokens_per_minute,
            allowed_models=account.models,
            default_tag=account.default_tag,
            created_at=account.created_at,
        )

    def _rates(self, account_id: AccountId, within: AccountId) -> RateLimits:
        """Those for all models together."""
        found = self._accounts.rates(account_id, within=within)
        return next((rates for rates in found if rates.model == EVERY_MODEL), RateLimits())

    def _limit(
        self, account_id: AccountId, wanted: SubAccountRequest | SubAccountChange, by: Actor, within: AccountId
    ) -> None:
        """What is not given stays."""
        before = self._rates(account_id, within)
        given = {"requests_per_minute": wanted.rate_limit_rpm, "tokens_per_minute": wanted.rate_limit_tpm}
        rates = msgspec.structs.replace(before, **{name: one for name, one in given.items() if one is not UNSET})
        if rates != before:
            self._accounts.set_rates(account_id, rates, by=by, within=within)

    def _capped(self, account_id: AccountId, within: AccountId) -> BudgetFigures | None:
        """The cap of a month when there are several."""
        wanted = BudgetFilter(account_id=account_id, kind="account", subject=account_id)
        found = self._budgets.page(wanted, Cursor(limit=MOST_ITEMS), within=within).items
        return min(found, key=lambda one: one.budget.period != DEFAULT_PERIOD, default=None)

    def _change_cap(self, account_id: AccountId, change: Cap, by: Actor, within: AccountId) -> None:
        before = self._capped(account_id, within)
        limit = change.limit
        if limit is UNSET:
            if before is None:
                raise InvalidRequest("There is no cap whose period could change.", param="spend_cap_period")
            limit = before.budget.limit_nanos
        period = change.period or (before.budget.period if before else DEFAULT_PERIOD)
        if limit is not None:
            self._cap(account_id, Cap(limit, period), by, within)
        if before is not None and (limit is None or before.budget.period != period):
            self._budgets.remove(before.budget.id, by=by, within=within)

    def _cap(self, account_id: AccountId, cap: Cap, by: Actor, within: AccountId) -> None:
        assert isinstance(cap.limit, int)
        draft = BudgetDraft(
            account_id=account_id,
            kind="account",
            subject=account_id,
            limit_nanos=Nanos(cap.limit),
            period=cap.period or DEFAULT_PERIOD,
        )
        self._budgets.put(draft, by=by, within=within)


def sub_account_routes(sub_accounts: SubAccounts, reports: Reports) -> list[HTTPRouteHandler]:
    return [*_making(sub_accounts), *_reading(sub_accounts, reports)]


def _making(sub_accounts: SubAccounts) -> list[HTTPRouteHandler]:
    @post(
        "/v1/sub-accounts",
        opt=MANAGE,
        tags=["accounts"],
        summary="Make an account below yours. Its first key is in the answer, this once.",
        operation_class=described(SubAccount, body=SubAccountRequest),
    )
    async def create_sub_account(request: Call) -> Response[bytes]:
        wanted = await read_body(request, SubAccountRequest)
        within = key_policy.reach(caller(request))
        return reply(await asyncio.to_thread(sub_accounts.create, wanted, by=actor(request), within=within), 201)

    @route(
        "/v1/sub-accounts/{account_id:str}",
        http_method=[HttpMethod.PATCH, HttpMethod.POST],
        status_code=200,
        opt=MANAGE,
        tags=["accounts"],
        summary="Change a sub-account; null takes a limit away.",
        operation_class=described(SubAccount, body=SubAccountChange),
    )
    async def update_sub_account(request: Call, account_id: str) -> Response[bytes]:
        change = await read_body(request, SubAccountChange)
        within = key_policy.reach(caller(request))
        work = sub_accounts.update
        return reply(await asyncio.to_thread(work, account_id, change, by=actor(request), within=within))

    @delete(
        "/v1/sub-accounts/{account_id:str}",
        status_code=200,
        opt=MANAGE,
        tags=["accounts"],
        summary="End a sub-account for good, with its keys and all accounts below it. What it used stays on record.",
        operation_class=described(Done),
    )
    async def archive_sub_account(request: Call, account_id: str) -> Response[bytes]:
        within = key_policy.reach(caller(request))
        return reply(await asyncio.to_thread(sub_accounts.archive, account_id, by=actor(request), within=within))

    return [create_sub_account, update_sub_account, archive_sub_account]


def _reading(sub_accounts: SubAccounts, reports: Reports) -> list[HTTPRouteHandler]:
    @get(
        "/v1/sub-accounts",
        opt=KEY,
        tags=["accounts"],
        summary="The accounts below yours.",
        operation_class=described(SubAccountList, query=SubAccountsAsked),
    )
    async def list_sub_accounts(request: Call) -> Response[bytes]:
        within, wanted = reader_of(request), read_query(request, SubAccountsAsked)
        return reply(await asyncio.to_thread(sub_accounts.page, wanted, within=within))

    @get(
        "/v1/sub-accounts/{account_id:str}",
        opt=KEY,
        tags=["accounts"],
        summary="One sub-account.",
        operation_class=described(SubAccount),
    )
    async def read_sub_account(request: Call, account_id: str) -> Response[bytes]:
        return reply(await asyncio.to_thread(sub_accounts.show, account_id, within=reader_of(request)))

    @get(
        "/v1/sub-accounts/{account_id:str}/usage",
        opt=KEY,
        tags=["accounts", "usage"],
        summary="What a sub-account and all below it used.",
        operation_class=described(UsageReport, query=Window),
    )
    async def read_sub_account_usage(request: Call, account_id: str) -> Response[bytes]:
        within, meant = reader_of(request), asked(request)
        root = await asyncio.to_thread(sub_accounts.reach, account_id, within=within)
        query = UsageQuery(start_s=meant.start_s, end_s=meant.end_s, root=root)
        return reply(await report(reports, query, meant.label))

    return [list_sub_accounts, read_sub_account, read_sub_account_usage]
