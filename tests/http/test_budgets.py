"""Budgets by tag as AIgateway spells them, and of every other scope."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.till import Till
from trunkline.http.budgets import tightest
from trunkline.ids import ROOT_ACCOUNT
from trunkline.money import Nanos
from trunkline.ports.budget_store import BudgetFigures
from trunkline.ports.budgets import Budget


async def test_a_tags_month(till: Till) -> None:
    reply = await till.ask("POST", "/v1/budgets", "a", tag="blue", monthly_cap_cents=1234.5)
    assert reply.status == 201
    expected = {
        "account_id": till.a,
        "scope": "tag",
        "subject": "blue",
        "tag": "blue",
        "monthly_cap_cents": 1234.5,
        "limit_cents": 1234.5,
        "limit_usd": 12.345,
        "spent_cents": 0,
        "spent_usd": 0,
        "held_usd": 0,
        "remaining_usd": 12.345,
        "period": "month",
        "zone": "UTC",
        "alerts": [],
    }
    assert {name: reply.body[name] for name in expected} == expected
    assert '"limit_usd":12.345,' in reply.text
    assert reply.body["resets_at"] > reply.body["created_at"]
    for target, key in ((f"/v1/budgets/{reply.body['id']}", "a"), (f"/v1/budgets/{reply.body['id']}", "viewer")):
        assert (await till.ask("GET", target, key)).body == reply.body
    assert (await till.ask("GET", "/v1/budgets", "a")).body["data"] == [reply.body]


async def test_setting_again_changes(till: Till) -> None:
    first = (await till.ask("POST", "/v1/budgets", "a", tag="blue", monthly_cap_cents=100)).body
    again = (await till.ask("POST", "/v1/budgets", "a", tag="blue", limit_usd=2, period="month")).body
    assert (again["id"], again["monthly_cap_cents"]) == (first["id"], 200)
    assert len((await till.ask("GET", "/v1/budgets", "a")).body["data"]) == 1


@pytest.mark.parametrize(
    ("body", "subject"),
    [
        ({"scope": "key", "subject": "{plain}", "limit_usd": 5, "period": "day"}, "{plain}"),
        (
            {"scope": "account", "subject": "{below_a}", "limit_cents": 500, "zone": "Europe/Berlin", "period": "week"},
            "",
        ),
        ({"scope": "tag", "subject": "x", "limit_usd": 0.000000001}, "x"),
        ({"scope": "end_user", "subject": "user-7", "limit_usd": 5, "alerts": [50, 90]}, "user-7"),
        ({"scope": "model", "subject": "openai/*", "limit_usd": 5, "account_id": "{below_a}"}, "openai/*"),
    ],
)
async def test_every_scope(till: Till, body: dict[str, Any], subject: str) -> None:
    names = {"{plain}": till.key_id("plain"), "{below_a}": till.below_a}
    sent = {name: names.get(value, value) if isinstance(value, str) else value for name, value in body.items()}
    reply = await till.ask("POST", "/v1/budgets", "a", **sent)
    assert reply.status == 201, reply.text
    card = reply.body
    assert (card["scope"], card["subject"]) == (sent["scope"], sent["subject"])
    assert card["period"] == sent.get("period", "never")
    assert (card["resets_at"] is None) == (card["period"] == "never")
    assert card["alerts"] == sent.get("alerts", [])
    below = sent.get("account_id") or sent["scope"] == "account"
    assert card["account_id"] == (till.below_a if below else till.a)


async def test_a_list_is_narrowed(till: Till) -> None:
    blue = (await till.ask("POST", "/v1/budgets", "a", tag="blue", monthly_cap_cents=1)).body["id"]
    red = (await till.ask("POST", "/v1/budgets", "a", tag="red", limit_usd=1)).body["id"]
    cap = (await till.ask("POST", "/v1/budgets", "a", scope="account", subject=till.below_a, limit_usd=1)).body["id"]

    async def listed(query: str, key: str = "a") -> list[str]:
        return [one["id"] for one in (await till.ask("GET", "/v1/budgets" + query, key)).body["data"]]

    assert await listed("") == [blue, red, cap]
    assert await listed("?tag=red") == [red]
    assert await listed("?scope=tag&period=month") == [blue]
    assert await listed(f"?account_id={till.below_a}") == [cap]
    assert await listed(f"?subject={till.below_a}") == [cap]
    assert await listed("", "b") == []
    assert await listed("", "admin") == [blue, red, cap]
    page = (await till.ask("GET", "/v1/budgets?limit=2", "a")).body
    assert (page["has_more"], page["last_id"]) == (True, red)
    assert await listed(f"?after={red}") == [cap]


async def test_a_budget_that_is_taken_away_is_gone(till: Till) -> None:
    made = (await till.ask("POST", "/v1/budgets", "a", tag="blue", monthly_cap_cents=1)).body["id"]
    path = f"/v1/budgets/{made}"
    assert (await till.ask("DELETE", path, "b")).status == 404
    assert (await till.ask("DELETE", path, "plain")).status == 403
    assert (await till.ask("DELETE", path, "a")).body == {"id": made, "status": "ok", "deleted": True}
    for method in ("GET", "DELETE"):
        assert (await till.ask(method, path, "a")).status == 404


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, "tag"),
        ({"tag": "x"}, 400, "limit_usd"),
        ({"tag": "", "limit_usd": 1}, 400, "tag"),
        ({"tag": "x", "limit_usd": 1, "limit_cents": 1}, 400, "limit_usd"),
        ({"tag": "x", "scope": "key", "limit_usd": 1}, 400, "tag"),
        ({"tag": "x", "subject": "y", "limit_usd": 1}, 400, "tag"),
        ({"scope": "tag", "limit_usd": 1}, 400, "subject"),
        ({"scope": "planet", "subject": "x", "limit_usd": 1}, 400, "scope"),
        ({"scope": "end_user", "subject": "x" * 257, "limit_usd": 1}, 400, "subject"),
        ({"tag": "x", "limit_usd": -1}, 400, "limit_usd"),
        ({"tag": "x", "limit_usd": 1e10}, 400, "limit_usd"),
        ({"tag": "x", "monthly_cap_cents": 1, "period": "day"}, 400, "period"),
        ({"tag": "x", "limit_usd": 1, "zone": "Europe/Atlantis"}, 400, "zone"),
        ({"tag": "x", "limit_usd": 1, "alerts": [0]}, 400, "alerts[0]"),
        ({"tag": "x", "limit_usd": 1, "account_id": "acct_nothing"}, 404, "account_id"),
        ({"scope": "key", "subject": "key_nothing", "limit_usd": 1}, 404, None),
        ({"scope": "account", "subject": "{below_a}", "account_id": "{a}", "limit_usd": 1}, 400, "account_id"),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(
    till: Till, body: dict[str, Any], status: int, param: str | None
) -> None:
    names = {"{a}": till.a, "{below_a}": till.below_a}
    sent = {name: names.get(value, value) if isinstance(value, str) else value for name, value in body.items()}
    reply = await till.ask("POST", "/v1/budgets", "a", **sent)
    assert (reply.status, reply.body["error"]["param"]) == (status, param), reply.text
    assert (await till.ask("GET", "/v1/budgets", "a")).body["data"] == []


async def test_nobody_reaches_up_or_aside(till: Till) -> None:
    for subject in (till.b, ROOT_ACCOUNT):
        reply = await till.ask("POST", "/v1/budgets", "a", scope="account", subject=subject, limit_usd=1)
        assert reply.refusal[:2] == (404, "account_not_found")
    reply = await till.ask("POST", "/v1/budgets", "a", scope="key", subject=till.key_id("b"), limit_usd=1)
    assert reply.refusal[:2] == (404, "key_not_found")
    reply = await till.ask("POST", "/v1/budgets", "a", scope="key", subject=till.key_id("a"), limit_usd=1)
    assert reply.refusal[:2] == (403, "above_only")
    assert (await till.ask("POST", "/v1/budgets", "plain", tag="x", limit_usd=1)).status == 403
    assert (await till.ask("GET", "/v1/budgets", "plain")).status == 403


def test_the_tightest_leaves_the_least() -> None:
    def left(nanos: int) -> BudgetFigures:
        budget = Budget(id=str(nanos), account_id=ROOT_ACCOUNT, kind="tag", subject="x", limit_nanos=Nanos(9))
        return BudgetFigures(budget=budget, spent_nanos=0, held_nanos=0, remaining_nanos=nanos, resets_at=None)

    assert tightest([left(3), left(1), left(2)]) == left(1)
    assert tightest([]) is None
