"""Keys, teams and spend as LiteLLM spells them: what has a counterpart here, and nothing else."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, NoReturn

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, Meta, UnsetType

from trunkline import clock
from trunkline.errors import InvalidRequest, NotFound
from trunkline.http.admin import KEY, MANAGE
from trunkline.http.budgets import tightest
from trunkline.http.described import Call, described, read_body, read_query, reply
from trunkline.http.generation import find
from trunkline.http.key_management import Found, KeyDesk, KeysAsked, moment
from trunkline.http.renaming import renamed
from trunkline.http.standing import actor, caller, own_keys, reader_of
from trunkline.http.sub_accounts import SubAccounts
from trunkline.http.windows import seconds
from trunkline.ids import AccountId, KeyId, call_id
from trunkline.policy import keys as key_policy
from trunkline.ports.keys import KeyRecord
from trunkline.ports.pages import MOST_ITEMS
from trunkline.ports.reports import CallQuery, Reports, RequestLogReader, SpendQuery
from trunkline.ports.requests import RequestRow
from trunkline.wire.aigateway import Cycle, SubAccount, SubAccountRequest
from trunkline.wire.amounts import NULL, dollars, from_cents, from_dollars
from trunkline.wire.litellm import (
    DURATIONS,
    SPELLED,
    KeyDelete,
    KeyGenerate,
    KeyGenerated,
    KeyInfo,
    KeyInfoAnswer,
    KeyRegenerate,
    KeysDeleted,
    KeyUpdate,
    SpendLog,
    Team,
    TeamInfo,
    TeamNew,
)
from trunkline.wire.openrouter import KeyChangeRequest, KeyRequest

NAMES = {
    "name": "key_alias",
    "limit": "max_budget",
    "spend_cap_cents": "max_budget",
    "expires": "duration",
    "rpm": "rpm_limit",
    "rate_limit_rpm": "rpm_limit",
    "tpm": "tpm_limit",
    "rate_limit_tpm": "tpm_limit",
    "concurrency": "max_parallel_requests",
    "account_id": "team_id",
    "account": "team_id",
    "allowed_models": "models",
    "grace": "grace_period",
}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
FindKey = Callable[[str], KeyRecord | None]
"""The record of a whole key, None when it is not known; blocks."""


class KeyAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key: Annotated[str | None, Meta(description="A key's id; by default the key that asks.")] = None


class TeamAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    team_id: str


class LogsAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days of UTC, both included. `api_key` is a key's id, `request_id` any id of a call."""

    api_key: str | None = None
    request_id: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    start_date: Annotated[str, Meta(description="2026-04-01")] | None = None
    end_date: Annotated[str, Meta(description="2026-04-30")] | None = None


class LiteLLMServices(msgspec.Struct, frozen=True, kw_only=True):
    desk: KeyDesk
    sub_accounts: SubAccounts
    reports: Reports
    log: RequestLogReader
    find_key: FindKey


def litellm_routes(services: LiteLLMServices) -> list[HTTPRouteHandler]:
    return [*_key_making(services), *_key_ending(services), *_teams(services), *_logs(services), *_refused()]


def _key_making(services: LiteLLMServices) -> list[HTTPRouteHandler]:
    desk = services.desk

    @post(
        "/key/generate",
        status_code=200,
        opt=MANAGE,
        tags=["litellm"],
        summary="Make a key. It is in the answer, this once.",
        operation_class=described(KeyGenerated, body=KeyGenerate),
    )
    async def generate_key(request: Call) -> Response[bytes]:
        wanted = ours(await read_body(request, KeyGenerate))
        within = key_policy.reach(caller(request))
        with renamed(NAMES):
            issued, found = await asyncio.to_thread(desk.create, wanted, by=actor(request), within=within)
        return reply(generated(issued.key.reveal(), await _info(services, found)))

    @post(
        "/key/update",
        status_code=200,
        opt=MANAGE,
        tags=["litellm"],
        summary="Change a key; null takes a limit away.",
        operation_class=described(KeyInfo, body=KeyUpdate),
    )
    async def update_key(request: Call) -> Response[bytes]:
        wanted = await read_body(request, KeyUpdate)
        within = key_policy.reach(caller(request))

        def work() -> Found:
            key_id = key_id_of(services.find_key, wanted.key)
            return desk.update(key_id, changed(wanted), by=actor(request), within=within)

        with renamed(NAMES):
            found = await asyncio.to_thread(work)
        return reply(await _info(services, found))

    @get(
        "/key/info",
        opt=KEY,
        tags=["litellm"],
        summary="One key: the one that asks, or one that it may read.",
        operation_class=described(KeyInfoAnswer, query=KeyAsked),
    )
    async def read_key(request: Call) -> Response[bytes]:
        record, asked = caller(request), read_query(request, KeyAsked).key
        own = asked is None or asked == record.key_id
        within = record.account_id if own else reader_of(request)
        found = await asyncio.to_thread(desk.show, asked or record.key_id, within=within)
        return reply(KeyInfoAnswer(key=found.key.id, info=await _info(services, found)))

    return [generate_key, update_key, read_key]


def _key_ending(services: LiteLLMServices) -> list[HTTPRouteHandler]:
    desk = services.desk

    @post(
        "/key/delete",
        status_code=200,
        opt=MANAGE,
        tags=["litellm"],
        summary="End keys for good.",
        operation_class=described(KeysDeleted, body=KeyDelete),
    )
    async def delete_keys(request: Call) -> Response[bytes]:
        wanted, by = await read_body(request, KeyDelete), actor(request)
        within = key_policy.reach(caller(request))

        def work() -> list[str]:
            ids = [key_id_of(services.find_key, key) for key in wanted.keys]
            # All are looked at before one is touched.
            for key_id in ids:
                desk.show(key_id, within=within)
            return [desk.revoke(key_id, by=by, within=within).id for key_id in ids]

        return reply(KeysDeleted(deleted_keys=await asyncio.to_thread(work)))

    @post(
        "/key/{key_id:str}/regenerate",
        status_code=200,
        opt=MANAGE,
        tags=["litellm"],
        summary="A new secret for the key of that id, which keeps its id and its budget.",
        operation_class=described(KeyGenerated, body=KeyRegenerate),
    )
    async def regenerate_key(request: Call, key_id: str) -> Response[bytes]:
        grace_s = seconds((await read_body(request, KeyRegenerate)).grace_period, "grace_period")
        within = key_policy.reach(caller(request))
        issued, found = await asyncio.to_thread(desk.rotate, key_id, grace_s, by=actor(request), within=within)
        return reply(generated(issued.key.reveal(), await _info(services, found)))

    return [delete_keys, regenerate_key]


def _teams(services: LiteLLMServices) -> list[HTTPRouteHandler]:
    @post(
        "/team/new",
        status_code=200,
        opt=MANAGE,
        tags=["litellm"],
        summary="Make an account below yours.",
        operation_class=described(Team, body=TeamNew),
    )
    async def create_team(request: Call) -> Response[bytes]:
        wanted = await read_body(request, TeamNew)
        within, create = key_policy.reach(caller(request)), services.sub_accounts.create

        def work() -> SubAccount:
            return create(account_of(wanted), by=actor(request), within=within, with_key=False)

        with renamed({**NAMES, "name": "team_alias"}):
            account = await asyncio.to_thread(work)
        return reply(await _team(services, account))

    @get(
        "/team/info",
        opt=KEY,
        tags=["litellm"],
        summary="An account below yours, and its keys.",
        operation_class=described(TeamInfo, query=TeamAsked),
    )
    async def read_team(request: Call) -> Response[bytes]:
        within, team_id = reader_of(request), read_query(request, TeamAsked).team_id

        def work() -> tuple[SubAccount, list[Found]]:
            account = services.sub_accounts.show(team_id, within=within)
            asked = KeysAsked(account_id=team_id, limit=MOST_ITEMS)
            return account, services.desk.page(asked, within=within)[0]

        account, found = await asyncio.to_thread(work)
        keys = [await _info(services, one) for one in found]
        return reply(TeamInfo(team_id=account.id, team_info=await _team(services, account), keys=keys))

    return [create_team, read_team]


def _logs(services: LiteLLMServices) -> list[HTTPRouteHandler]:
    @get(
        "/spend/logs",
        opt=KEY,
        tags=["litellm"],
        summary=f"The last calls, at most {MOST_ITEMS}; `GET /v1/requests` has pages of them.",
        operation_class=described(list[SpendLog], query=LogsAsked),
    )
    async def read_logs(request: Call) -> Response[bytes]:
        record, asked = caller(request), read_query(request, LogsAsked)
        if asked.request_id is not None:
            return reply([spend_log(await find(services.log, asked.request_id, record))])
        page = await services.log.calls(log_query(asked, record))
        return reply([spend_log(row) for row in page.calls])

    return [read_logs]


def _refused() -> list[HTTPRouteHandler]:
    """What people try, and what they should do instead."""

    def refuse(message: str) -> NoReturn:
        raise InvalidRequest(message, code="not_supported")

    @post("/user/new", opt=MANAGE, tags=["litellm"], summary="Not supported: says what to use instead.")
    async def create_user() -> None:
        refuse(
            "There are no users of this kind: make an account with POST /team/new and keys in it with /key/generate."
        )

    @post("/budget/new", opt=MANAGE, tags=["litellm"], summary="Not supported: says what to use instead.")
    async def create_budget() -> None:
        refuse("A budget belongs to something: give max_budget with the key or team, or use POST /v1/budgets.")

    @post(
        ["/key/block", "/key/unblock"], opt=MANAGE, tags=["litellm"], summary="Not supported: says what to use instead."
    )
    async def block_key() -> None:
        refuse("A key cannot be paused: set its max_budget to 0 with /key/update, or end it with /key/delete.")

    return [create_user, create_budget, block_key]


def key_id_of(find_key: FindKey, given: str) -> KeyId:
    """Of an id or a whole key; whether the caller may see it, the stores say. Blocks. Raises NotFound."""
    if given.startswith("key_"):
        return KeyId(given)
    record = find_key(given)
    if record is None:
        raise NotFound("There is no such key.", code="key_not_found", param="key")
    return record.key_id


def period_of(duration: str | UnsetType | None) -> Cycle | UnsetType:
    """Raises InvalidRequest for a period that is not one of the calendar."""
    if duration is UNSET:
        return UNSET
    if duration is None:
        return "never"
    if duration not in DURATIONS:
        raise InvalidRequest(
            f"budget_duration is one of {', '.join(DURATIONS)}: a day, a week or a month.", param="budget_duration"
        )
    return DURATIONS[duration]


def ours(wanted: KeyGenerate) -> KeyRequest:
    """Raises InvalidRequest."""
    return KeyRequest(
        name=wanted.key_alias or "key",
        account_id=wanted.team_id,
        models=wanted.models,
        limit=wanted.max_budget,
        period=period_of(wanted.budget_duration),
        expires=wanted.duration,
        rpm=wanted.rpm_limit,
        tpm=wanted.tpm_limit,
        concurrency=wanted.max_parallel_requests,
    )


def changed(wanted: KeyUpdate) -> KeyChangeRequest:
    """Raises InvalidRequest."""
    return KeyChangeRequest(
        name=wanted.key_alias,
        models=wanted.models,
        limit=wanted.max_budget,
        period=period_of(wanted.budget_duration),
        expires=wanted.duration,
        rpm=wanted.rpm_limit,
        tpm=wanted.tpm_limit,
        concurrency=wanted.max_parallel_requests,
    )


def account_of(wanted: TeamNew) -> SubAccountRequest:
    """Raises InvalidRequest."""
    cap = wanted.max_budget
    return SubAccountRequest(
        name=wanted.team_alias,
        allowed_models=wanted.models or None,
        spend_cap_cents=Decimal(from_dollars(cap, "max_budget")).scaleb(-7) if isinstance(cap, Decimal) else None,
        spend_cap_period=period_of(wanted.budget_duration) or "never",
        rate_limit_rpm=wanted.rpm_limit or None,
        rate_limit_tpm=wanted.tpm_limit or None,
    )


async def _info(services: LiteLLMServices, found: Found) -> KeyInfo:
    key, cap = found.key, tightest(found.budgets)
    spend = await services.reports.spend(SpendQuery(root=key.account_id, key=key.id), clock.now_s())
    return KeyInfo(
        token=key.id,
        key_name=key.redacted,
        key_alias=key.name,
        spend=dollars(spend.ever_nanos),
        max_budget=dollars(cap.budget.limit_nanos if cap else None),
        budget_duration=SPELLED[cap.budget.period] if cap else None,
        budget_reset_at=moment(cap.resets_at) if cap else None,
        expires=moment(key.expires_at),
        models=key.models,
        tpm_limit=key.tokens_per_minute,
        rpm_limit=key.requests_per_minute,
        max_parallel_requests=key.concurrency,
        team_id=key.account_id,
        blocked=key.state != "active",
        created_at=moment(key.created_at) or "",
        last_active=moment(key.last_used_at),
    )


def generated(key: str, info: KeyInfo) -> KeyGenerated:
    return KeyGenerated(key=key, token_id=info.token, **msgspec.structs.asdict(info))


async def _team(services: LiteLLMServices, account: SubAccount) -> Team:
    spend = await services.reports.spend(SpendQuery(root=AccountId(account.id)), clock.now_s())
    cap = account.spend_cap_cents
    cap_nanos = None if cap == NULL else from_cents(Decimal(bytes(cap).decode()), "spend_cap_cents")
    return Team(
        team_id=account.id,
        team_alias=account.name,
        max_budget=dollars(cap_nanos),
        budget_duration=SPELLED[account.spend_cap_period] if account.spend_cap_period else None,
        models=account.allowed_models,
        tpm_limit=account.rate_limit_tpm,
        rpm_limit=account.rate_limit_rpm,
        spend=dollars(spend.ever_nanos),
        blocked=account.status != "active",
        created_at=moment(account.created_at) or "",
    )


def log_query(asked: LogsAsked, record: KeyRecord) -> CallQuery:
    """Raises InvalidRequest."""
    keys = own_keys(record)
    if asked.api_key is not None:
        keys = (KeyId(asked.api_key),) if keys is None or asked.api_key in keys else ()
    until = _day(asked.end_date, "end_date")
    since = _day(asked.start_date, "start_date")
    return CallQuery(
        root=key_policy.reach(record),
        keys=keys,
        since_ms=None if since is None else int(since.timestamp()) * 1000,
        until_ms=None if until is None else int((until + dt.timedelta(days=1)).timestamp()) * 1000,
        limit=MOST_ITEMS,
    )


def _day(text: str | None, param: str) -> dt.datetime | None:
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text) and text < "9999-12-31":
            return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
    except ValueError:
        pass
    raise InvalidRequest(f"{param}: {text[:40]!r} is no day; write it as 2026-04-30.", param=param)


def spend_log(row: RequestRow) -> SpendLog:
    began = dt.datetime.fromtimestamp(row.started_at_ms / 1000, dt.UTC)
    ended = began + dt.timedelta(microseconds=row.total_us)
    return SpendLog(
        request_id=row.response_id or call_id(row.number),
        call_type=row.endpoint,
        api_key=row.key_id,
        spend=dollars(row.cost_nanos),
        total_tokens=row.input_tokens + row.output_tokens,
        prompt_tokens=row.input_tokens,
        completion_tokens=row.output_tokens,
        started=began.isoformat(timespec="milliseconds"),
        ended=ended.isoformat(timespec="milliseconds"),
        model=row.model,
        model_group=row.asked_model,
        custom_llm_provider=row.provider,
        team_id=row.account_id,
        end_user=row.end_user or "",
        request_tags=[row.tag] if row.tag else [],
        status="success" if row.status < 400 else "failure",
    )
