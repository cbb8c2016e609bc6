"""`/v1/budgets`: limits of a key, an account, a tag, an end user or a model in a period."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Final

import msgspec
from litestar import Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from trunkline.errors import InvalidRequest
from trunkline.http.admin import KEY, MANAGE
from trunkline.http.described import Call, described, read_body, read_query, reply
from trunkline.http.renaming import renamed
from trunkline.http.standing import actor, caller, reader_of
from trunkline.ids import AccountId
from trunkline.money import Nanos
from trunkline.policy import keys as key_policy
from trunkline.ports.audit import Actor
from trunkline.ports.budget_store import BudgetDraft, BudgetFigures, BudgetFilter, BudgetStore
from trunkline.ports.budgets import Period, ScopeKind
from trunkline.ports.keys import Keys
from trunkline.ports.pages import MOST_ITEMS, Cursor
from trunkline.wire.aigateway import BudgetCard, BudgetList, BudgetRequest, Cycle, Done
from trunkline.wire.amounts import NULL, cents, dollars, from_cents, from_dollars

AMOUNTS: Final = ("monthly_cap_cents", "limit_cents", "limit_usd")


class BudgetsAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=MOST_ITEMS)] = MOST_ITEMS
    after: str | None = None
    account_id: str | None = None
    scope: ScopeKind | None = None
    subject: str | None = None
    tag: str | None = None
    period: Cycle | None = None


def budget_routes(budgets: BudgetStore, keys: Keys) -> list[HTTPRouteHandler]:
    @post(
        "/v1/budgets",
        opt=MANAGE,
        tags=["budgets"],
        summary="Set a budget. A scope has one for each period: setting it again changes it.",
        operation_class=described(BudgetCard, body=BudgetRequest),
    )
    async def put_budget(request: Call) -> Response[bytes]:
        wanted, by = await read_body(request, BudgetRequest), actor(request)
        within = key_policy.reach(caller(request))

        def work() -> BudgetFigures:
            with renamed(_names(wanted)):
                return budgets.put(draft_of(wanted, keys, by, within), by=by, within=within)

        return reply(card(await asyncio.to_thread(work)), 201)

    @get(
        "/v1/budgets",
        opt=KEY,
        tags=["budgets"],
        summary="The budgets in force, and how much of each is gone.",
        operation_class=described(BudgetList, query=BudgetsAsked),
    )
    async def list_budgets(request: Call) -> Response[bytes]:
        within, wanted = reader_of(request), read_query(request, BudgetsAsked)
        filters, cursor = filter_of(wanted), Cursor(limit=wanted.limit, after=wanted.after)
        page = await asyncio.to_thread(budgets.page, filters, cursor, within=within)
        data = [card(figures) for figures in page.items]
        first, last = (data[0].id, data[-1].id) if data else (None, None)
        return reply(BudgetList(data=data, has_more=page.has_more, first_id=first, last_id=last))

    @get(
        "/v1/budgets/{budget_id:str}",
        opt=KEY,
        tags=["budgets"],
        summary="One budget.",
        operation_class=described(BudgetCard),
    )
    async def read_budget(request: Call, budget_id: str) -> Response[bytes]:
        within = reader_of(request)
        return reply(card(await asyncio.to_thread(budgets.show, budget_id, within=within)))

    @delete(
        "/v1/budgets/{budget_id:str}",
        status_code=200,
        opt=MANAGE,
        tags=["budgets"],
        summary="Take a budget away: the scope has no limit any more.",
        operation_class=described(Done),
    )
    async def delete_budget(request: Call, budget_id: str) -> Response[bytes]:
        within = key_policy.reach(caller(request))
        gone = await asyncio.to_thread(budgets.remove, budget_id, by=actor(request), within=within)
        return reply(Done(id=gone.id))

    return [put_budget, list_budgets, read_budget, delete_budget]


def draft_of(wanted: BudgetRequest, keys: Keys, by: Actor, within: AccountId) -> BudgetDraft:
    """Blocks. Raises InvalidRequest for what contradicts itself, NotFound for a key that the caller does not see."""
    kind, subject = _scope(wanted)
    account_id = wanted.account_id or by.account_id
    if kind in ("account", "key"):
        # They say themselves whose budget it is.
        own = subject if kind == "account" else keys.show(subject, within=within).account_id
        if wanted.account_id not in (None, own):
            raise InvalidRequest(f"account_id is not the account of this {kind}; leave it out.", param="account_id")
        account_id = own
    return BudgetDraft(
        account_id=account_id,
        kind=kind,
        subject=subject,
        limit_nanos=_limit(wanted),
        period=_period(wanted),
        zone=wanted.zone,
        alerts=tuple(wanted.alerts),
    )


def _scope(wanted: BudgetRequest) -> tuple[ScopeKind, str]:
    if wanted.tag is not None:
        if wanted.scope not in (None, "tag") or wanted.subject not in (None, wanted.tag):
            raise InvalidRequest("Give tag, or scope and subject, not both.", param="tag")
        return "tag", wanted.tag
    if wanted.scope is None:
        raise InvalidRequest("Give tag, or scope and subject.", code="missing_required_parameter", param="tag")
    if wanted.subject is None:
        raise InvalidRequest("'subject' is missing.", code="missing_required_parameter", param="subject")
    return wanted.scope, wanted.subject


def _amount(wanted: BudgetRequest) -> tuple[str, Decimal]:
    given = [(name, amount) for name in AMOUNTS if (amount := getattr(wanted, name)) is not None]
    if not given:
        raise InvalidRequest("'limit_usd' is missing.", code="missing_required_parameter", param="limit_usd")
    if len(given) > 1:
        raise InvalidRequest(f"Give {given[0][0]} or {given[1][0]}, not both.", param=given[1][0])
    return given[0]


def _limit(wanted: BudgetRequest) -> Nanos:
    name, amount = _amount(wanted)
    return from_dollars(amount, name) if name == "limit_usd" else from_cents(amount, name)


def _period(wanted: BudgetRequest) -> Period:
    if wanted.monthly_cap_cents is None:
        return wanted.period or "never"
    if wanted.period not in (None, "month"):
        raise InvalidRequest("monthly_cap_cents is of a month; give limit_cents for another period.", param="period")
    return "month"


def _names(wanted: BudgetRequest) -> dict[str, str]:
    """What the store calls the fields that have several spellings here."""
    given = next((name for name in AMOUNTS if getattr(wanted, name) is not None), "limit_usd")
    subject = "tag" if wanted.tag is not None else "subject"
    return {"limit": given, "subject": subject, "account": "account_id"}


def filter_of(wanted: BudgetsAsked) -> BudgetFilter:
    """Raises InvalidRequest for a tag beside another scope."""
    if wanted.tag is not None and (wanted.scope not in (None, "tag") or wanted.subject is not None):
        raise InvalidRequest("Give tag, or scope and subject, not both.", param="tag")
    return BudgetFilter(
        account_id=wanted.account_id,
        kind="tag" if wanted.tag is not None else wanted.scope,
        subject=wanted.tag if wanted.tag is not None else wanted.subject,
        period=wanted.period,
    )


def card(figures: BudgetFigures) -> BudgetCard:
    budget = figures.budget
    by_tag = budget.kind == "tag"
    return BudgetCard(
        id=budget.id,
        account_id=budget.account_id,
        scope=budget.kind,
        subject=budget.subject,
        tag=budget.subject if by_tag else None,
        monthly_cap_cents=cents(budget.limit_nanos) if budget.period == "month" else NULL,
        limit_cents=cents(budget.limit_nanos),
        limit_usd=dollars(budget.limit_nanos),
        spent_cents=cents(figures.spent_nanos),
        spent_usd=dollars(figures.spent_nanos),
        held_usd=dollars(figures.held_nanos),
        remaining_usd=dollars(figures.remaining_nanos),
        period=budget.period,
        zone=budget.zone,
        resets_at=None if figures.resets_at is None else int(figures.resets_at),
        alerts=budget.alerts,
        created_at=budget.created_at,
    )


def tightest(several: Iterable[BudgetFigures]) -> BudgetFigures | None:
    """The one that leaves the least."""
    return min(several, key=lambda one: one.remaining_nanos, default=None)
