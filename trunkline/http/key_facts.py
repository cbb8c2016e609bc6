"""`/v1/key` and `/v1/credits`: what a key may learn of itself, and of its account's money, as OpenRouter spells it."""

from __future__ import annotations

import asyncio

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from trunkline import clock
from trunkline.http.admin import KEY, MANAGE
from trunkline.http.budgets import tightest
from trunkline.http.described import Call, described, reply
from trunkline.http.key_management import PERIODS, Found, KeyDesk, moment
from trunkline.http.standing import caller
from trunkline.policy import keys as key_policy
from trunkline.ports.budget_store import BudgetFigures
from trunkline.ports.credit import CreditStore
from trunkline.ports.reports import Reports, Spend, SpendQuery
from trunkline.wire.amounts import dollars
from trunkline.wire.openrouter import Credits, CreditsAnswer, KeyBudget, KeyFacts, KeyFactsAnswer, RateLimit

UNLIMITED = -1


def key_fact_routes(desk: KeyDesk, credit: CreditStore, reports: Reports) -> list[HTTPRouteHandler]:
    @get(
        ["/v1/key", "/v1/auth/key", "/api/v1/key", "/api/v1/auth/key"],
        opt=KEY,
        tags=["keys"],
        summary="The key that asks: its limits and what it spent.",
        operation_class=described(KeyFactsAnswer),
    )
    async def read_own_key(request: Call) -> Response[bytes]:
        record = caller(request)
        found = await asyncio.to_thread(desk.show, record.key_id, within=record.account_id)
        spend = await reports.spend(SpendQuery(root=record.account_id, key=record.key_id), clock.now_s())
        return reply(KeyFactsAnswer(data=facts(found, spend)))

    @get(
        ["/v1/credits", "/api/v1/credits"],
        opt=MANAGE,
        tags=["credit"],
        summary="Credit that was paid in, and what was used. Without prepaid credit, what the account's tree used.",
        operation_class=described(CreditsAnswer),
    )
    async def read_credits(request: Call) -> Response[bytes]:
        record = caller(request)
        account_id = record.account_id
        wallet = await asyncio.to_thread(credit.balance, account_id, within=key_policy.reach(record))
        if wallet.account_id is None:
            spend = await reports.spend(SpendQuery(root=account_id), clock.now_s())
            return reply(CreditsAnswer(data=Credits(total_credits=dollars(0), total_usage=dollars(spend.ever_nanos))))
        paid_in, used = dollars(wallet.credit_nanos), dollars(wallet.spent_nanos)
        return reply(CreditsAnswer(data=Credits(total_credits=paid_in, total_usage=used)))

    return [read_own_key, read_credits]


def facts(found: Found, spend: Spend) -> KeyFacts:
    key, cap = found.key, tightest(found.budgets)
    manages = key.manage or key.admin
    return KeyFacts(
        label=key.redacted or key.name,
        name=key.name,
        hash=key.id,
        account_id=key.account_id,
        limit=dollars(cap.budget.limit_nanos if cap else None),
        limit_remaining=dollars(cap.remaining_nanos if cap else None),
        limit_reset=PERIODS[cap.budget.period] if cap else None,
        usage=dollars(spend.ever_nanos),
        usage_daily=dollars(spend.day_nanos),
        usage_weekly=dollars(spend.week_nanos),
        usage_monthly=dollars(spend.month_nanos),
        is_provisioning_key=manages,
        is_management_key=manages,
        rate_limit=RateLimit(requests=UNLIMITED if key.requests_per_minute is None else key.requests_per_minute),
        budgets=[_budget(one) for one in found.budgets],
        effective_budget=_budget(cap) if cap else None,
        creator_user_id=key.created_by,
        workspace_id=key.account_id,
        models=key.models,
        expires_at=moment(key.expires_at),
    )


def _budget(figures: BudgetFigures) -> KeyBudget:
    budget = figures.budget
    return KeyBudget(
        budget_id=budget.id,
        limit_usd=dollars(budget.limit_nanos),
        spend_usd=dollars(figures.spent_nanos),
        remaining_usd=dollars(figures.remaining_nanos),
        reset_interval=PERIODS[budget.period],
        resets_at=moment(figures.resets_at),
    )
