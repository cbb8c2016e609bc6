"""Who calls the admin API in tests, keys of several accounts and scopes told by name in `x-api-key`; and what calls
were made."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.errors import Unauthenticated
from trunkline.http.admin import AdminServices, Reloaded, Status
from trunkline.http.asgi import Scope
from trunkline.ids import ROOT_ACCOUNT, AccountId, KeyId
from trunkline.ports.keys import KeyLimits, KeyRecord
from trunkline.ports.reports import CallPage, CallQuery
from trunkline.ports.requests import RequestRow

CHILD = AccountId("acct_child")
OTHER = AccountId("acct_other")


def record(name: str, account_id: AccountId, **scopes: Any) -> KeyRecord:
    return KeyRecord(digest=b"d" * 32, key_id=KeyId(name), account_id=account_id, name=name, **scopes)


CALLERS = {
    one.name: one
    for one in (
        record("admin", ROOT_ACCOUNT, admin=True),
        record("plain", CHILD),
        record("second", CHILD),
        record("manager", CHILD, manage=True),
        record("viewer", CHILD, limits=KeyLimits(read_only=True)),
        record("stranger", OTHER, manage=True),
    )
}


async def identify(scope: Scope) -> KeyRecord:
    found = CALLERS.get(dict(scope["headers"]).get(b"x-api-key", b"").decode())
    if found is None:
        raise Unauthenticated("No API key was sent.")
    return found


async def reload() -> Reloaded:
    return Reloaded()


def status() -> Status:
    raise AssertionError("nobody asks")


SERVICES = AdminServices(identify=identify, reload=reload, status=status)


TREES = {ROOT_ACCOUNT: {ROOT_ACCOUNT, CHILD, OTHER}}
"""What is below an account that is not alone."""


def row(number: int, account_id: AccountId, key_id: str, **changes: Any) -> RequestRow:
    whole = RequestRow(
        number=number,
        account_id=account_id,
        key_id=key_id,
        request_id=f"req-{number}",
        response_id=f"chatcmpl-{number}",
        tag="alpha",
        end_user="user-7",
        endpoint="chat",
        protocol="openai",
        asked_model="fast",
        model="sandbox/echo",
        provider="sandbox",
        status=200,
        code=None,
        stream=True,
        attempts=1,
        started_at_ms=1_777_600_000_250,
        identify_us=1,
        read_us=2,
        route_us=3,
        admit_us=4,
        send_us=1_500,
        relay_us=500,
        settle_us=7,
        total_us=2_017,
        first_event_us=1_400,
        input_tokens=10,
        cached_input_tokens=4,
        cache_write_tokens=1,
        output_tokens=20,
        reasoning_tokens=5,
        cost_nanos=12_345_678,
        upstream_cost_nanos=10_000_000,
        estimated=False,
        finish_reason="stop",
        warnings="dropped logit_bias\nclamped max_tokens",
        user_agent="client/1",
    )
    return msgspec.structs.replace(whole, **changes)


class Log:
    """A request log of a few rows; the reader of the house has tests of its own."""

    def __init__(self, rows: list[RequestRow]) -> None:
        self.rows = rows
        self.asked: list[CallQuery] = []

    async def calls(self, query: CallQuery) -> CallPage:
        self.asked.append(query)
        seen = [
            one
            for one in reversed(self.rows)
            if one.account_id in TREES.get(query.root, {query.root})
            and (query.keys is None or one.key_id in query.keys)
            and (query.before is None or one.number < query.before)
        ]
        return CallPage(calls=tuple(seen[: query.limit]), has_more=len(seen) > query.limit)

    async def call(self, number: int, root: AccountId) -> RequestRow | None:
        return self._one(root, "number", number)

    async def answered(self, response_id: str, root: AccountId) -> RequestRow | None:
        return self._one(root, "response_id", response_id)

    async def requested(self, request_id: str, root: AccountId) -> RequestRow | None:
        return self._one(root, "request_id", request_id)

    def _one(self, root: AccountId, field: str, value: object) -> RequestRow | None:
        found = (one for one in reversed(self.rows) if getattr(one, field) == value)
        return next((one for one in found if one.account_id in TREES.get(root, {root})), None)
