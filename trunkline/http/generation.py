"""What happened: one call by any of its ids, and the log of them."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from trunkline.errors import InvalidRequest, NotFound
from trunkline.http.admin import KEY
from trunkline.http.described import Call, described, read_query, reply
from trunkline.http.standing import caller, own_keys
from trunkline.ids import AccountId, KeyId, call_id, call_number
from trunkline.policy import keys as key_policy
from trunkline.ports.keys import KeyRecord
from trunkline.ports.reports import CallPage, CallQuery, RequestLogReader
from trunkline.ports.requests import RequestRow
from trunkline.wire.aigateway import CallLine, CallList
from trunkline.wire.amounts import cents, dollars
from trunkline.wire.openrouter import Generation, GenerationAnswer

CLIENT_GONE: Final = 499
API_TYPES = {"chat": "completions", "messages": "completions", "responses": "completions", "embeddings": "embeddings"}
STEPS = ("identify", "read", "route", "admit", "send", "relay", "settle", "total")
Id = Annotated[str, Meta(min_length=1, max_length=256)]


class GenerationAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Annotated[
        str,
        Meta(min_length=1, max_length=256, description="A call's id, its answer's (`chatcmpl-…`), or its request's."),
    ]


class CallsAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`after`: the id of the last call of the page before. Times are Unix seconds."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    after: Id | None = None
    model: Id | None = None
    tag: Id | None = None
    key_id: Id | None = None
    account_id: Id | None = None
    sub_account_id: Id | None = None
    status: Annotated[str, Meta(pattern="^[1-5](xx)?$", description="The first digit: `4` or `4xx`.")] | None = None
    start_time: Annotated[int, Meta(ge=0, le=253_402_300_799)] | None = None
    end_time: Annotated[int, Meta(ge=0, le=253_402_300_799)] | None = None


class RecentAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    after: Id | None = None


def generation_routes(log: RequestLogReader) -> list[HTTPRouteHandler]:
    """A plain key sees its own calls, one that manages those of its account's tree, an admin's all."""

    @get(
        ["/v1/generation", "/api/v1/generation"],
        opt=KEY,
        tags=["usage"],
        summary="One call: tokens, cost, times. It is there within a second of its end.",
        operation_class=described(GenerationAnswer, query=GenerationAsked),
    )
    async def read_generation(request: Call) -> Response[bytes]:
        asked = read_query(request, GenerationAsked).id
        record = caller(request)
        row = await find(log, asked, record)
        return reply(GenerationAnswer(data=generation(row, record)))

    @get(
        "/v1/requests",
        opt=KEY,
        tags=["usage"],
        summary="The log of calls, the newest first, without bodies.",
        operation_class=described(CallList, query=CallsAsked),
    )
    async def list_requests(request: Call) -> Response[bytes]:
        page = await log.calls(call_query(read_query(request, CallsAsked), caller(request)))
        return reply(call_list(page))

    @get(
        "/v1/usage/recent",
        opt=KEY,
        tags=["usage"],
        summary="The last calls.",
        operation_class=described(CallList, query=RecentAsked),
    )
    async def list_recent(request: Call) -> Response[bytes]:
        asked = read_query(request, RecentAsked)
        query = call_query(CallsAsked(limit=asked.limit, after=asked.after), caller(request))
        return reply(call_list(await log.calls(query)))

    return [read_generation, list_requests, list_recent]


async def find(log: RequestLogReader, asked: str, record: KeyRecord) -> RequestRow:
    """The call with that id, of whichever kind. Raises NotFound, as for one that is not the caller's to see."""
    root = key_policy.reach(record)
    number = call_number(asked)
    row = await log.call(number, root) if number is not None else None
    row = row or await log.answered(asked, root) or await log.requested(asked, root)
    keys = own_keys(record)
    if row is None or (keys is not None and row.key_id not in keys):
        raise NotFound(
            "There is no call with this id among those that this key may see. One is found within a second of its end.",
            code="generation_not_found",
            param="id",
        )
    return row


def call_query(asked: CallsAsked, record: KeyRecord) -> CallQuery:
    """Raises InvalidRequest for an `after` that is no call's id."""
    before = None if asked.after is None else call_number(asked.after)
    if asked.after is not None and before is None:
        raise InvalidRequest("after is the id of a call, such as call_0a…: the last of the page before.", param="after")
    keys = own_keys(record)
    if asked.key_id is not None:
        keys = (KeyId(asked.key_id),) if keys is None or asked.key_id in keys else ()
    account_id = asked.account_id or asked.sub_account_id
    return CallQuery(
        root=key_policy.reach(record),
        accounts=None if account_id is None else (AccountId(account_id),),
        keys=keys,
        models=None if asked.model is None else (asked.model,),
        tags=None if asked.tag is None else (asked.tag,),
        status_class=None if asked.status is None else int(asked.status[0]),
        since_ms=None if asked.start_time is None else asked.start_time * 1000,
        until_ms=None if asked.end_time is None else asked.end_time * 1000,
        before=before,
        limit=asked.limit,
    )


def call_list(page: CallPage) -> CallList:
    lines = [call_line(row) for row in page.calls]
    first, last = (lines[0].id, lines[-1].id) if lines else (None, None)
    return CallList(
        data=lines, has_more=page.has_more, first_id=first, last_id=last, next=last if page.has_more else None
    )


def call_line(row: RequestRow) -> CallLine:
    return CallLine(
        id=call_id(row.number),
        request_id=row.request_id,
        response_id=row.response_id,
        account_id=row.account_id,
        key_id=row.key_id,
        tag=row.tag,
        end_user=row.end_user,
        endpoint=row.endpoint,
        protocol=row.protocol,
        asked_model=row.asked_model,
        model=row.model,
        provider=row.provider,
        status=row.status,
        code=row.code,
        stream=row.stream,
        attempts=row.attempts,
        created_at=row.started_at_ms // 1000,
        latency_ms=row.total_us / 1000,
        first_event_ms=row.first_event_us / 1000 if row.stream and row.first_event_us else None,
        timings_us={step: getattr(row, f"{step}_us") for step in STEPS},
        input_tokens=row.input_tokens,
        cached_input_tokens=row.cached_input_tokens,
        cache_write_tokens=row.cache_write_tokens,
        output_tokens=row.output_tokens,
        reasoning_tokens=row.reasoning_tokens,
        cost_cents=cents(row.cost_nanos),
        cost_usd=dollars(row.cost_nanos),
        estimated=row.estimated,
        finish_reason=row.finish_reason,
        warnings=row.warnings.splitlines() if row.warnings else [],
        user_agent=row.user_agent,
    )


def generation(row: RequestRow, record: KeyRecord) -> Generation:
    """What the provider took tells what somebody earns with the markup: nobody's business but the operator's."""
    began = dt.datetime.fromtimestamp(row.started_at_ms / 1000, dt.UTC)
    cost = dollars(row.cost_nanos)
    return Generation(
        id=row.response_id or call_id(row.number),
        call_id=call_id(row.number),
        request_id=row.request_id,
        total_cost=cost,
        usage=cost,
        upstream_inference_cost=dollars(row.upstream_cost_nanos if key_policy.is_operator(record) else None),
        created_at=began.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        model=row.model,
        provider_name=row.provider,
        streamed=row.stream,
        cancelled=row.status == CLIENT_GONE,
        latency=row.total_us / 1000,
        generation_time=(row.send_us + row.relay_us) / 1000,
        finish_reason=row.finish_reason,
        tokens_prompt=row.input_tokens,
        tokens_completion=row.output_tokens,
        native_tokens_prompt=row.input_tokens,
        native_tokens_completion=row.output_tokens,
        native_tokens_reasoning=row.reasoning_tokens,
        native_tokens_cached=row.cached_input_tokens,
        api_type=API_TYPES.get(row.endpoint),
        user_agent=row.user_agent,
        external_user=row.end_user,
        workspace_id=row.account_id,
    )
