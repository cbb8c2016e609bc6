"""What a key learns of itself, and who may ask for the account's credit."""

from __future__ import annotations

import pytest

from tests.http.till import Till


@pytest.mark.parametrize("path", ["/v1/key", "/v1/auth/key", "/api/v1/key", "/api/v1/auth/key"])
async def test_a_key_learns_of_itself(till: Till, path: str) -> None:
    made = (
        await till.ask("POST", "/v1/keys", "a", name="shop", limit=2, limit_reset="weekly", rpm=5, models=["a/*"])
    ).body
    till.spent.nanos = {made["id"]: 250_000_001, till.key_id("plain"): 9}
    reply = await till.ask("GET", path, made["key"])
    assert '"usage":0.250000001,' in reply.text
    data = reply.body["data"]
    assert made["key"] not in reply.text
    assert data["label"].endswith(made["key"][-4:])
    known = {
        "name": "shop",
        "hash": made["id"],
        "account_id": till.a,
        "limit": 2,
        "limit_remaining": 2,
        "limit_reset": "weekly",
        "is_free_tier": False,
        "is_provisioning_key": False,
        "is_management_key": False,
        "workspace_id": till.a,
        "byok_usage": 0,
        "models": ["a/*"],
        "expires_at": None,
    }
    assert {name: data[name] for name in known} == known
    assert (data["rate_limit"]["requests"], data["rate_limit"]["interval"]) == (5, "1m")
    [budget] = data["budgets"]
    assert budget == data["effective_budget"]
    assert (budget["limit_usd"], budget["reset_interval"], budget["resets_at"][-10:]) == (2, "weekly", "T00:00:00Z")
    assert {data[f"usage_{period}"] for period in ("daily", "weekly", "monthly")} == {0.250000001}


async def test_a_key_without_limits_says_so(till: Till) -> None:
    data = (await till.ask("GET", "/v1/key", "a")).body["data"]
    assert (data["limit"], data["limit_remaining"], data["limit_reset"]) == (None, None, None)
    assert (data["rate_limit"]["requests"], data["is_management_key"]) == (-1, True)


@pytest.mark.parametrize("path", ["/v1/credits", "/api/v1/credits"])
@pytest.mark.parametrize("key", ["plain", "viewer"])
async def test_credit_is_for_keys_that_manage(till: Till, path: str, key: str) -> None:
    assert (await till.ask("GET", path, key)).refusal[:2] == (403, "scope_missing")
    assert (await till.ask("GET", path, "a")).body == {"data": {"total_credits": 0, "total_usage": 0}}


async def test_credit_is_what_was_paid_in(till: Till) -> None:
    await till.ask("POST", "/v1/balance/top-up", "admin", id="t", account_id=till.a, amount_usd=7.25)
    till.spent.nanos = {"key_x": 5}
    assert (await till.ask("GET", "/v1/credits", "a")).body["data"] == {"total_credits": 7.25, "total_usage": 0}
    # Without credit of one's own it is what was used.
    assert (await till.ask("GET", "/v1/credits", "b")).text == '{"data":{"total_credits":0,"total_usage":0.000000005}}'
