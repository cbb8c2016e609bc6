"""Sub-accounts: whole or not at all, seen from above only, ended with their keys."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.till import Till
from trunkline.ids import ROOT_ACCOUNT
from trunkline.ports.audit import AuditFilter
from trunkline.ports.pages import Cursor

WHOLE: dict[str, Any] = {
    "external_ref": "customer-7",
    "spend_cap_cents": 1250.5,
    "rate_limit_rpm": 60,
    "rate_limit_tpm": 9000,
    "allowed_models": ["sandbox/*", "!sandbox/slow"],
    "default_tag": "seven",
}
PLACES = [
    ("GET", ""),
    ("PATCH", ""),
    ("POST", ""),
    ("DELETE", ""),
    ("GET", "/usage"),
]


async def made(till: Till, key: str = "a", **more: Any) -> dict[str, Any]:
    reply = await till.ask("POST", "/v1/sub-accounts", key, **{"name": "Seven", **more})
    assert reply.status == 201, reply.text
    body: dict[str, Any] = reply.body
    return body


async def test_all_that_was_asked_for_is_there(till: Till) -> None:
    reply = await till.ask("POST", "/v1/sub-accounts", "a", name="Seven", **WHOLE)
    account = reply.body
    assert reply.status == 201
    assert {name: account[name] for name in WHOLE} == WHOLE
    assert '"spend_cap_cents":1250.5,' in reply.text
    assert account["id"].startswith("acct_")
    assert (account["parent_id"], account["status"], account["spend_cap_period"]) == (till.a, "active", "month")
    assert account["key"] == account["scoped_key"]
    shown = await till.ask("GET", f"/v1/sub-accounts/{account['id']}", "a")
    assert shown.body == {name: value for name, value in account.items() if name not in ("key", "scoped_key", "key_id")}


async def test_the_first_key_manages_the_account_and_nothing_else(till: Till) -> None:
    account = await made(till)
    below = await till.ask("POST", "/v1/sub-accounts", account["key"], name="further down")
    assert (below.status, below.body["parent_id"]) == (201, account["id"])
    assert (await till.ask("GET", f"/v1/sub-accounts/{till.below_a}", account["key"])).status == 404
    assert (await till.ask("GET", "/v1/key", account["key"])).body["data"]["hash"] == account["key_id"]


@pytest.mark.parametrize("method", ["PATCH", "POST"])
async def test_a_change_leaves_the_rest_as_it_is(till: Till, method: str) -> None:
    account = await made(till, **WHOLE)
    path = f"/v1/sub-accounts/{account['id']}"
    changed = await till.ask(method, path, "a", name="Eight", spend_cap_cents=0.0000001)
    assert changed.status == 200
    assert '"spend_cap_cents":0.0000001,' in changed.text
    bare = {name: value for name, value in account.items() if name not in ("key", "scoped_key", "key_id")}
    assert changed.body == {**bare, "name": "Eight", "spend_cap_cents": 1e-7}
    gone = dict.fromkeys(WHOLE)
    freed = await till.ask(method, path, "a", **gone)
    assert {name: freed.body[name] for name in WHOLE} == {**gone, "allowed_models": []}
    assert freed.body["spend_cap_period"] is None


async def test_a_cap_moves_to_another_period(till: Till) -> None:
    account = await made(till, spend_cap_cents=500)
    path = f"/v1/sub-accounts/{account['id']}"
    changes: list[tuple[dict[str, Any], tuple[int | None, str | None]]] = [
        ({"spend_cap_period": "day"}, (500, "day")),
        ({"spend_cap_cents": 20}, (20, "day")),
        ({"spend_cap_cents": 30, "spend_cap_period": "never"}, (30, "never")),
        ({"spend_cap_cents": None}, (None, None)),
        ({"spend_cap_cents": 40}, (40, "month")),
    ]
    for change, cap in changes:
        shown = (await till.ask("PATCH", path, "a", **change)).body
        assert (shown["spend_cap_cents"], shown["spend_cap_period"]) == cap
        listed = (await till.ask("GET", f"/v1/budgets?account_id={account['id']}", "a")).body["data"]
        assert len(listed) == (cap[0] is not None)
    await till.ask("PATCH", path, "a", spend_cap_cents=None)
    refused = await till.ask("PATCH", path, "a", spend_cap_period="week")
    assert refused.refusal == (400, "invalid_value", "spend_cap_period")


async def test_lists_hold_what_is_below(till: Till) -> None:
    first, second = await made(till, external_ref="x"), await made(till)
    await made(till, second["key"], external_ref="x")

    async def listed(key: str, query: str = "") -> list[str]:
        answer = (await till.ask("GET", f"/v1/sub-accounts{query}", key)).body
        assert answer["object"] == "list"
        return [one["id"] for one in answer["data"]]

    whole = await listed("a")
    assert whole[:3] == [till.below_a, first["id"], second["id"]]
    assert len(whole) == 4
    assert await listed("b") == []
    assert set(await listed("admin")) == {till.a, till.b, *whole}
    assert await listed("a", f"?parent_id={second['id']}") == whole[3:]
    assert await listed("a", "?external_ref=x") == [first["id"], whole[3]]
    pages = await till.ask("GET", "/v1/sub-accounts?limit=3", "a")
    assert (pages.body["has_more"], pages.body["last_id"]) == (True, whole[2])
    assert await listed("a", f"?limit=3&after={whole[2]}") == whole[3:]


@pytest.mark.parametrize(("method", "tail"), PLACES)
@pytest.mark.parametrize("key", ["b", "a"])
async def test_what_is_not_below_is_not_there(till: Till, method: str, tail: str, key: str) -> None:
    target = till.below_a if key == "b" else till.a
    for account_id in (target, "acct_nothing", "%00", "'; drop table accounts"):
        reply = await till.ask(method, f"/v1/sub-accounts/{account_id}{tail}", key)
        assert (reply.status, reply.body["error"]["code"]) == (404, "account_not_found"), account_id


@pytest.mark.parametrize(("method", "tail"), PLACES)
@pytest.mark.parametrize(("key", "reads"), [("plain", False), ("viewer", True)])
async def test_who_does_not_manage_changes_nothing(
    till: Till, method: str, tail: str, key: str, *, reads: bool
) -> None:
    reply = await till.ask(method, f"/v1/sub-accounts/{till.below_a}{tail}", key)
    if reads and method == "GET":
        assert reply.status == 200
    else:
        assert (reply.status, reply.body["error"]["code"]) == (403, "scope_missing")
    assert (await till.ask("POST", "/v1/sub-accounts", key, name="n")).status == 403


async def test_an_ended_account_takes_its_keys_with_it(till: Till) -> None:
    account = await made(till)
    below = await made(till, account["key"])
    gone = await till.ask("DELETE", f"/v1/sub-accounts/{account['id']}", "a")
    assert (gone.status, gone.body) == (200, {"id": account["id"], "status": "ok", "deleted": True})
    for key in (account["key"], below["key"]):
        assert (await till.ask("GET", "/v1/key", key)).status == 401
    assert (await till.ask("GET", f"/v1/sub-accounts/{account['id']}", "a")).body["status"] == "archived"
    listed = (await till.ask("GET", "/v1/sub-accounts", "a")).body["data"]
    assert [one["id"] for one in listed] == [till.below_a]
    assert len((await till.ask("GET", "/v1/sub-accounts?archived=true", "a")).body["data"]) == 3
    assert (await till.ask("DELETE", f"/v1/sub-accounts/{account['id']}", "a")).status == 200
    assert (await till.ask("PATCH", f"/v1/sub-accounts/{account['id']}", "a", name="again")).status == 400


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"name": ""}, 400, "name"),
        ({"name": "a\nb"}, 400, "name"),
        ({"name": "n", "spend_cap_cents": -1}, 400, "spend_cap_cents"),
        ({"name": "n", "spend_cap_cents": 1e-8}, 400, "spend_cap_cents"),
        ({"name": "n", "spend_cap_cents": True}, 400, "spend_cap_cents"),
        ({"name": "n", "rate_limit_rpm": 0}, 400, "rate_limit_rpm"),
        ({"name": "n", "allowed_models": [""]}, 400, "allowed_models"),
        ({"name": "n", "default_tag": "x" * 65}, 400, "default_tag"),
        ({"name": "n", "external_ref": "\x00"}, 400, "external_ref"),
        ({"name": "n", "parent_id": "acct_nothing"}, 404, "parent_id"),
        ({"name": "n", "cap": 5}, 400, "cap"),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(till: Till, body: dict[str, Any], status: int, param: str) -> None:
    reply = await till.ask("POST", "/v1/sub-accounts", "a", **body)
    assert (reply.status, reply.body["error"]["param"]) == (status, param)
    assert [one["id"] for one in (await till.ask("GET", "/v1/sub-accounts", "a")).body["data"]] == [till.below_a]


@pytest.mark.parametrize(
    ("body", "param"),
    [({"spend_cap_cents": 1001}, "spend_cap_cents"), ({"rate_limit_rpm": 11}, "rate_limit_rpm")],
)
async def test_a_limit_above_the_parents_leaves_no_account_in_use(till: Till, body: dict[str, Any], param: str) -> None:
    await till.ask("PATCH", f"/v1/sub-accounts/{till.a}", "root", spend_cap_cents=1000, rate_limit_rpm=10)
    reply = await till.ask("POST", "/v1/sub-accounts", "a", name="n", **body)
    assert reply.refusal == (400, "over_parent", param)
    assert [one["id"] for one in (await till.ask("GET", "/v1/sub-accounts", "a")).body["data"]] == [till.below_a]


async def test_the_cap_of_an_account_is_not_its_own_to_change(till: Till) -> None:
    account = await made(till, spend_cap_cents=100)
    [cap] = (await till.ask("GET", "/v1/budgets", account["key"])).body["data"]
    for method, path, body in [
        ("DELETE", f"/v1/budgets/{cap['id']}", {}),
        ("POST", "/v1/budgets", {"scope": "account", "subject": account["id"], "limit_usd": 9, "period": "month"}),
    ]:
        reply = await till.ask(method, path, account["key"], **body)
        assert (reply.status, reply.body["error"]["code"]) == (403, "above_only")


async def test_usage_is_that_of_the_account_and_below(till: Till) -> None:
    reply = await till.ask("GET", f"/v1/sub-accounts/{till.below_a}/usage?window=7d", "a")
    assert (reply.status, reply.body["id"], reply.body["window"]) == (200, till.below_a, "7d")
    assert set(reply.body) >= {"summary", "by_model", "by_day"}


async def test_every_change_is_on_record(till: Till) -> None:
    account = await made(till, spend_cap_cents=100)
    await till.ask("DELETE", f"/v1/sub-accounts/{account['id']}", "a")
    log = till.audit.page(AuditFilter(actor_ids=(till.key_id("a"),)), Cursor(limit=50), within=ROOT_ACCOUNT)
    assert {one.type for one in log.items} == {
        "project.created",
        "budget.created",
        "api_key.created",
        "project.archived",
    }
    assert {one.address for one in log.items} == {"127.0.0.1"}
