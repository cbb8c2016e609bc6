"""What was used and what it cost: of a key, an account's tree, a tag."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable
from typing import Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from trunkline import clock
from trunkline.http.admin import KEY
from trunkline.http.described import Call, described, read_query, reply
from trunkline.http.standing import caller, own_keys, reader_of
from trunkline.http.windows import Stretch, Window, stretch
from trunkline.ids import AccountId
from trunkline.policy import keys as key_policy
from trunkline.ports.accounts import Account, AccountFilter, AccountStore
from trunkline.ports.keys import KeyRecord
from trunkline.ports.pages import MOST_ITEMS, Cursor
from trunkline.ports.reports import Dimension, Reports, Sums, UsageBucket, UsageQuery, UsageResult, Width
from trunkline.wire.aigateway import (
    AccountFigures,
    AccountUsage,
    DayFigures,
    Figures,
    ModelFigures,
    TagFigures,
    TagUsage,
    UsageReport,
)
from trunkline.wire.amounts import cents, dollars


def usage_routes(reports: Reports, accounts: AccountStore) -> list[HTTPRouteHandler]:
    """A plain key sees what it used itself, one that manages its account's tree, an admin's everything."""

    @get(
        "/v1/usage",
        opt=KEY,
        tags=["usage"],
        summary="What was used, by model and by day.",
        operation_class=described(UsageReport, query=Window),
    )
    async def read_usage(request: Call) -> Response[bytes]:
        record, meant = caller(request), asked(request)
        return reply(await report(reports, query_of(record, meant), meant.label))

    @get(
        "/v1/usage/by-tag",
        opt=KEY,
        tags=["usage"],
        summary="What was used under each tag; by default in the month that runs.",
        operation_class=described(TagUsage, query=Window),
    )
    async def read_by_tag(request: Call) -> Response[bytes]:
        meant = asked(request, monthly=True)
        results = await grouped(reports, query_of(caller(request), meant), "tag")
        rows = [TagFigures(tag=one.tag, label=one.tag or "", **figures(one.sums)) for one in results]
        return reply(TagUsage(start_time=meant.start_s, end_time=meant.end_s, data=rows))

    @get(
        "/v1/usage/by-sub-account",
        opt=KEY,
        tags=["usage"],
        summary="What each account used itself; by default in the month that runs.",
        operation_class=described(AccountUsage, query=Window),
    )
    async def read_by_account(request: Call) -> Response[bytes]:
        within, meant = reader_of(request), asked(request, monthly=True)
        results = await grouped(reports, query_of(caller(request), meant), "account")
        known = await asyncio.to_thread(named, accounts, within)
        rows = []
        for one in results:
            account = known.get(AccountId(one.account_id or ""))
            rows.append(
                AccountFigures(
                    sub_account_id=one.account_id or "",
                    account_id=one.account_id or "",
                    name=account.name if account else "",
                    label=account.name if account else "",
                    external_ref=account.external_ref if account else None,
                    **figures(one.sums),
                )
            )
        return reply(AccountUsage(start_time=meant.start_s, end_time=meant.end_s, data=rows))

    return [read_usage, read_by_tag, read_by_account]


def asked(request: Call, *, monthly: bool = False) -> Stretch:
    return stretch(read_query(request, Window), clock.now_s(), monthly=monthly)


def query_of(record: KeyRecord, meant: Stretch) -> UsageQuery:
    return UsageQuery(start_s=meant.start_s, end_s=meant.end_s, root=key_policy.reach(record), keys=own_keys(record))


async def report(reports: Reports, query: UsageQuery, label: str) -> UsageReport:
    """One reading, so that the models and the days add up to the summary."""
    buckets = await _buckets(reports, query, "1d", ("model",))
    by_model: dict[str, Sums] = {}
    by_day: dict[int, Sums] = {}
    for bucket in buckets:
        for one in bucket.results:
            model = one.model or ""
            by_model[model] = added((by_model.get(model, Sums()), one.sums))
            by_day[bucket.start_s] = added((by_day.get(bucket.start_s, Sums()), one.sums))
    dearest = sorted(by_model.items(), key=lambda item: (-item[1].cost_nanos, item[0]))
    return UsageReport(
        id=query.root,
        window=label,
        start_time=query.start_s,
        end_time=query.end_s,
        summary=Figures(**figures(added(by_day.values()))),
        by_model=[ModelFigures(model_id=model, label=model, **figures(sums)) for model, sums in dearest],
        by_day=[DayFigures(date=_date(start_s), **figures(by_day[start_s])) for start_s in sorted(by_day)],
    )


async def grouped(reports: Reports, query: UsageQuery, dimension: Dimension) -> list[UsageResult]:
    """The dearest first."""
    return [one for bucket in await _buckets(reports, query, "none", (dimension,)) for one in bucket.results]


async def _buckets(
    reports: Reports, query: UsageQuery, width: Width, group_by: tuple[Dimension, ...]
) -> list[UsageBucket]:
    query = msgspec.structs.replace(query, width=width, group_by=group_by)
    found = await reports.usage(query)
    buckets = list(found.buckets)
    while found.next_page is not None:
        found = await reports.usage(msgspec.structs.replace(query, page=found.next_page))
        buckets += found.buckets
    return buckets


def named(accounts: AccountStore, within: AccountId) -> dict[AccountId, Account]:
    """Every account of the subtree, those that have ended too. Blocks."""
    known: dict[AccountId, Account] = {}
    cursor, more = Cursor(limit=MOST_ITEMS), True
    while more:
        page = accounts.page(AccountFilter(itself=True, archived=True), cursor, within=within)
        known.update((account.id, account) for account in page.items)
        more = page.has_more and bool(page.items)
        cursor = Cursor(limit=MOST_ITEMS, after=page.items[-1].id if page.items else None)
    return known


def figures(sums: Sums) -> dict[str, Any]:
    return {
        "requests": sums.requests,
        "errors": sums.errors,
        "estimated_requests": sums.estimated,
        "cost_cents": cents(sums.cost_nanos),
        "cost_usd": dollars(sums.cost_nanos),
        "input_tokens": sums.input_tokens,
        "cached_input_tokens": sums.cached_input_tokens,
        "cache_write_tokens": sums.cache_write_tokens,
        "output_tokens": sums.output_tokens,
        "reasoning_tokens": sums.reasoning_tokens,
    }


def added(several: Iterable[Sums]) -> Sums:
    several = tuple(several)
    return Sums(**{name: sum(getattr(one, name) for one in several) for name in Sums.__struct_fields__})


def _date(at_s: int) -> str:
    return f"{dt.datetime.fromtimestamp(at_s, dt.UTC):%Y-%m-%d}"
