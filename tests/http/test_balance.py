"""What may still be spent, and credit that is paid in and taken out once, however often it is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.till import Till


async def test_nothing_bounds_an_account_that_pays_later(till: Till) -> None:
    body = (await till.ask("GET", "/v1/balance", "plain")).body
    assert (body["account_id"], body["caps"], body["bounded_above"]) == (till.a, [], False)
    assert {body[name] for name in ("balance_cents", "available_cents", "available_usd")} == {None}
    assert set(body["credit"].values()) == {None}


async def test_credit_less_than_caps_counts(till: Till) -> None:
    await till.ask("POST", "/v1/balance/top-up", "admin", id="t1", account_id=till.a, amount_usd=10.000000001)
    await till.ask("POST", "/v1/balance/debit", "admin", id="d1", account_id=till.a, amount_cents=100)
    reply = await till.ask("GET", "/v1/balance", "plain")
    assert '"balance_cents":900.0000001,"available_cents":900.0000001,"available_usd":9.000000001,' in reply.text
    assert reply.body["credit"] == {
        "account_id": till.a,
        "total_usd": 10.000000001,
        "spent_usd": 0,
        "held_usd": 0,
        "available_usd": 9.000000001,
    }


async def test_the_tightest_cap_counts(till: Till) -> None:
    await till.ask("POST", "/v1/balance/top-up", "admin", id="t1", account_id=till.a, amount_usd=10)
    await till.ask("POST", "/v1/budgets", "a", scope="key", subject=till.key_id("plain"), limit_usd=3, period="day")
    await till.ask("POST", "/v1/budgets", "root", scope="account", subject=till.a, limit_usd=4)
    body = (await till.ask("GET", "/v1/balance", "plain")).body
    assert (body["balance_cents"], body["available_usd"]) == (1000, 3)
    assert [(cap["scope"], cap["limit_usd"], cap["resets_at"] is None) for cap in body["caps"]] == [
        ("key", 3, False),
        ("account", 4, True),
    ]
    assert (await till.ask("GET", "/v1/balance", "viewer")).body["available_usd"] == 4


async def test_what_stands_above_is_not_told_but_that_it_is_there(till: Till) -> None:
    key = (await till.ask("POST", "/v1/keys", "a", name="k", account_id=till.below_a)).body["key"]
    await till.ask("POST", "/v1/balance/top-up", "admin", id="t1", account_id=till.a, amount_usd=10)
    await till.ask("POST", "/v1/budgets", "root", scope="account", subject=till.a, limit_usd=4)
    below = (await till.ask("GET", "/v1/balance", key)).body
    assert (below["available_usd"], below["bounded_above"], below["caps"]) == (None, True, [])
    seen = (await till.ask("GET", f"/v1/balance?account_id={till.below_a}", "a")).body
    assert (seen["available_usd"], seen["credit"]["account_id"], seen["bounded_above"]) == (4, till.a, False)


async def test_only_what_is_below_can_be_asked_for(till: Till) -> None:
    target = "/v1/balance?account_id="
    assert (await till.ask("GET", target + till.below_a, "viewer")).status == 200
    assert (await till.ask("GET", target + till.a, "plain")).status == 200
    assert (await till.ask("GET", target + till.below_a, "plain")).refusal[:2] == (403, "scope_missing")
    assert (await till.ask("GET", target + till.b, "a")).refusal[:2] == (404, "account_not_found")


async def test_a_repeat_changes_nothing(till: Till) -> None:
    sent = {"id": "t1", "account_id": till.a, "amount_usd": 5, "note": "May"}
    first = await till.ask("POST", "/v1/balance/top-up", "admin", **sent)
    assert first.status == 200
    expected = {"id": "t1", "account_id": till.a, "amount_cents": 500, "amount_usd": 5, "note": "May", "balance_usd": 5}
    assert {name: first.body[name] for name in expected} == expected
    again = await till.ask("POST", "/v1/balance/top-up", "admin", **{**sent, "amount_cents": 500, "amount_usd": None})
    assert again.body == first.body
    other = await till.ask("POST", "/v1/balance/top-up", "admin", **{**sent, "amount_usd": 6})
    assert other.refusal == (400, "entry_exists", "id")


async def test_who_is_no_owner_moves_credit_from_above(till: Till) -> None:
    await till.ask("POST", "/v1/balance/top-up", "admin", id="t1", account_id=till.a, amount_usd=5)
    moved = await till.ask("POST", "/v1/balance/top-up", "a", id="m1", account_id=till.below_a, amount_usd=2)
    assert (moved.status, moved.body["balance_usd"]) == (200, 2)
    assert (await till.ask("GET", "/v1/balance", "a")).body["available_usd"] == 3
    refused = await till.ask("POST", "/v1/balance/top-up", "a", id="m2", account_id=till.below_a, amount_usd=4)
    assert refused.refusal == (400, "credit_missing", "amount_usd")
    back = await till.ask("POST", "/v1/balance/debit", "a", id="m3", account_id=till.below_a, amount_usd=1)
    assert (back.body["amount_usd"], back.body["balance_usd"]) == (-1, 1)
    assert (await till.ask("GET", "/v1/balance", "a")).body["available_usd"] == 4


async def test_nobody_gives_credit_to_themselves(till: Till) -> None:
    for key in ("a", "root"):
        reply = await till.ask("POST", "/v1/balance/top-up", key, id="t1", amount_usd=5)
        assert reply.refusal[:2] == (403, "above_only")
    assert (await till.ask("POST", "/v1/balance/top-up", "plain", id="t1", amount_usd=5)).status == 403
    reply = await till.ask("POST", "/v1/balance/top-up", "a", id="t1", amount_usd=5, account_id=till.b)
    assert reply.refusal[:2] == (404, "account_not_found")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"id": "t"}, "amount_usd"),
        ({"amount_usd": 1}, "id"),
        ({"id": "", "amount_usd": 1}, "id"),
        ({"id": "a\nb", "amount_usd": 1}, "id"),
        ({"id": "t", "amount_usd": 1, "amount_cents": 100}, "amount_usd"),
        ({"id": "t", "amount_usd": 0}, "amount_usd"),
        ({"id": "t", "amount_cents": -5}, "amount_cents"),
        ({"id": "t", "amount_cents": 1e-8}, "amount_cents"),
        ({"id": "t", "amount_usd": 1, "note": "x" * 501}, "note"),
        ({"id": "t", "amount_usd": 1, "currency": "EUR"}, "currency"),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(till: Till, body: dict[str, Any], param: str) -> None:
    for route in ("top-up", "debit"):
        reply = await till.ask("POST", f"/v1/balance/{route}", "admin", **body)
        assert (reply.status, reply.body["error"]["param"]) == (400, param), reply.text


async def test_a_debit_takes_no_more_than_is_free(till: Till) -> None:
    reply = await till.ask("POST", "/v1/balance/debit", "admin", id="d", account_id=till.a, amount_cents=1)
    assert reply.refusal == (400, "credit_missing", "amount_cents")
