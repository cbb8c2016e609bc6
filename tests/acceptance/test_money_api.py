"""Sub-accounts, keys, budgets, credit and usage of a running gateway, as AIgateway's and OpenRouter's users ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from tests.acceptance.asking import CHAT, Reply, asked, eventually, head, send
from tests.acceptance.conftest import Gateway, serving

pytestmark = pytest.mark.acceptance

ECHO = "sandbox/echo"
# A request is exactly a cent here, whatever it says.
PRICES = f'[prices."{ECHO}"]\ninput = 0\noutput = 0\nrequest = 0.01\n'
KNOWN_WITHIN_S = 2.0


class Answer(NamedTuple):
    """Numbers are read as decimals: nothing is rounded on the way."""

    status: int
    body: Any
    reply: Reply

    @property
    def code(self) -> str:
        return str(self.body["error"]["code"])


class Caller(NamedTuple):
    gateway: Gateway
    key: str

    def ask(self, method: str, path: str, **body: Any) -> Answer:
        return self.send(method, path, body)

    def chat(self, *headers: tuple[str, str], model: str = ECHO, **more: Any) -> Answer:
        return self.send("POST", CHAT, asked(model, **more), *headers)

    def send(self, method: str, path: str, body: dict[str, Any], *headers: tuple[str, str]) -> Answer:
        data = json.dumps(body).encode() if body or method in ("POST", "PATCH") else b""
        kind = [("content-type", "application/json"), ("content-length", str(len(data)))] if data else []
        whole = head(method, path, [("authorization", f"Bearer {self.key}"), *kind, *headers]) + data
        reply = send(self.gateway.url, whole)
        return Answer(reply.status, json.loads(reply.body, parse_float=Decimal), reply)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status == 200, answer
        return answer.body

    def made(self, path: str, **body: Any) -> Any:
        answer = self.ask("POST", path, **body)
        assert answer.status in (200, 201), answer
        return answer.body

    def other(self, key: str) -> Caller:
        return Caller(self.gateway, key)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("shop"), PRICES) as found:
        yield found


@pytest.fixture
def operator(shop: Gateway) -> Caller:
    return Caller(shop, shop.admin_key)


@pytest.fixture
def owner(operator: Caller) -> Caller:
    """Whoever manages an account of their own, a fresh one."""
    return operator.other(operator.made("/v1/sub-accounts", name="reseller")["key"])


def test_a_sub_account_spends_to_its_cap_and_not_a_cent_more(owner: Caller) -> None:
    account = owner.made("/v1/sub-accounts", name="Seven", spend_cap_cents=3, default_tag="seven")
    customer = owner.other(account["scoped_key"])
    calls = [customer.chat(max_tokens=5) for _ in range(4)]
    assert [call.status for call in calls] == [200, 200, 200, 402]
    refused = calls[-1]
    assert refused.code == "budget_exceeded"
    assert refused.reply.header("x-should-retry") == "false"
    assert [call.body["usage"]["cost"] for call in calls[:3]] == [Decimal("0.01")] * 3
    usage = owner.get(f"/v1/sub-accounts/{account['id']}/usage?window=1d")
    assert (usage["summary"]["requests"], usage["summary"]["cost_cents"]) == (3, 3)
    assert [(one["model_id"], one["requests"]) for one in usage["by_model"]] == [(ECHO, 3)]
    assert sum(one["cost_cents"] for one in usage["by_day"]) == 3
    [cap] = customer.get("/v1/balance")["caps"]
    assert (cap["spent_cents"], cap["period"], cap["resets_at"] is None) == (3, "month", False)
    # The cap is raised from above, and the next call goes through within a second.
    assert owner.ask("PATCH", f"/v1/sub-accounts/{account['id']}", spend_cap_cents=4).status == 200
    eventually(lambda: customer.chat(max_tokens=5).status == 200, KNOWN_WITHIN_S)
    [tag] = owner.get("/v1/usage/by-tag")["data"]
    assert (tag["tag"], tag["label"], tag["requests"], tag["cost_cents"]) == ("seven", "seven", 4, 4)
    [line] = [one for one in owner.get("/v1/usage/by-sub-account")["data"] if one["sub_account_id"] == account["id"]]
    assert (line["name"], line["cost_usd"]) == ("Seven", Decimal("0.04"))


def test_a_tags_budget_holds_for_every_key_of_the_account(owner: Caller) -> None:
    owner.made("/v1/budgets", tag="blue", monthly_cap_cents=1)
    other = owner.other(owner.made("/v1/keys", name="second")["key"])
    tagged = ("x-aig-tag", "blue")
    eventually(lambda: owner.chat(tagged, max_tokens=5).status == 402, KNOWN_WITHIN_S)
    assert other.chat(tagged, max_tokens=5).status == 402
    [budget] = owner.get("/v1/budgets")["data"]
    assert (budget["spent_cents"], budget["remaining_usd"]) == (1, 0)
    assert other.chat(max_tokens=5).status == 200


def test_credit_pays_and_runs_out(operator: Caller, owner: Caller) -> None:
    account_id = owner.get("/v1/key")["data"]["account_id"]
    sent = {"id": f"order-{account_id}", "account_id": account_id, "amount_cents": 2}
    first, again = (operator.made("/v1/balance/top-up", **sent) for _ in range(2))
    assert first == again
    eventually(lambda: owner.get("/v1/balance")["available_cents"] == 2, KNOWN_WITHIN_S)
    eventually(lambda: owner.chat(max_tokens=5).status == 402, KNOWN_WITHIN_S)
    assert owner.chat(max_tokens=5).code == "insufficient_credits"
    assert owner.get("/v1/credits")["data"] == {"total_credits": Decimal("0.02"), "total_usage": Decimal("0.02")}
    refused = operator.ask("POST", "/v1/balance/debit", id="too-much", account_id=account_id, amount_usd=1)
    assert (refused.status, refused.code) == (400, "credit_missing")


def test_a_key_knows_its_limit(owner: Caller) -> None:
    made = owner.made("/v1/keys", name="shop", limit=0.02, limit_reset="daily", models=["sandbox/*"])
    key = owner.other(made["key"])
    assert [key.chat(max_tokens=5).status for _ in range(3)] == [200, 200, 402]
    data = key.get("/v1/key")["data"]
    assert (data["usage"], data["usage_daily"], data["limit_remaining"]) == (Decimal("0.02"), Decimal("0.02"), 0)
    assert key.ask("GET", "/v1/credits").status == 403
    shown = owner.get(f"/v1/keys/{made['id']}")["data"]
    assert (shown["usage"], shown["limit"]) == (Decimal("0.02"), Decimal("0.02"))
    assert owner.ask("DELETE", f"/v1/keys/{made['id']}").status == 200
    eventually(lambda: key.ask("GET", "/v1/key").status == 401, KNOWN_WITHIN_S)


def test_the_old_key_ends_when_the_new_one_is_used(owner: Caller) -> None:
    made = owner.made("/v1/keys", name="rotating")
    old = owner.other(made["key"])
    new = owner.other(owner.made(f"/v1/keys/{made['id']}/rotate")["key"])
    assert old.ask("GET", "/v1/key").status == 200
    assert new.ask("GET", "/v1/key").status == 200
    eventually(lambda: old.ask("GET", "/v1/key").status == 401, KNOWN_WITHIN_S)
    assert new.get("/v1/key")["data"]["hash"] == made["id"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_is_found_by_each_of_its_ids(owner: Caller, *, stream: bool) -> None:
    key = owner.other(owner.made("/v1/keys", name="single")["key"])
    request_id = f"mine-{stream}-{key.key[-6:]}"
    whole = head(
        "POST",
        CHAT,
        [
            ("authorization", f"Bearer {key.key}"),
            ("content-type", "application/json"),
            ("x-request-id", request_id),
            ("content-length", str(len(body := json.dumps(asked(ECHO, stream=stream, max_tokens=5)).encode()))),
        ],
    )
    reply = send(key.gateway.url, whole + body)
    answer_id = reply.events()[0]["id"] if stream else reply.json()["id"]
    call_id = reply.header("x-trunkline-call-id")
    assert call_id is not None
    eventually(lambda: key.ask("GET", f"/v1/generation?id={call_id}").status == 200, KNOWN_WITHIN_S)
    found = [key.get(f"/v1/generation?id={one}")["data"] for one in (call_id, answer_id, request_id)]
    assert found[0] == found[1] == found[2]
    data = found[0]
    assert (data["id"], data["model"], data["total_cost"]) == (answer_id, ECHO, Decimal("0.01"))
    assert (data["streamed"], data["cancelled"]) == (stream, False)
    [line] = key.get("/v1/requests")["data"]
    assert (line["id"], line["request_id"], line["cost_cents"]) == (call_id, request_id, 1)
    [recent] = key.get("/v1/usage/recent?limit=1")["data"]
    assert recent == line
    stranger = owner.other(owner.made("/v1/keys", name="another")["key"])
    assert stranger.ask("GET", f"/v1/generation?id={call_id}").status == 404
    assert stranger.get("/v1/requests")["data"] == []
    assert owner.get(f"/v1/generation?id={call_id}")["data"] == data


def test_pages_of_the_log_follow_one_another(owner: Caller) -> None:
    for _ in range(5):
        owner.chat(max_tokens=5)
    eventually(lambda: len(owner.get("/v1/requests")["data"]) == 5, KNOWN_WITHIN_S)
    seen: list[str] = []
    path: str | None = "/v1/requests?limit=2"
    while path is not None:
        page = owner.get(path)
        seen += [one["id"] for one in page["data"]]
        path = f"/v1/requests?limit=2&after={page['next']}" if page["next"] else None
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


def test_usage_adds_up_to_the_ledger(owner: Caller) -> None:
    for _ in range(3):
        owner.chat(max_tokens=5)
    usage = owner.get("/v1/usage?window=1d")
    days = [one["cost_usd"] for one in usage["by_day"]]
    models = [one["cost_usd"] for one in usage["by_model"]]
    assert usage["summary"]["cost_usd"] == sum(days) == sum(models) == Decimal("0.03")


def test_an_ended_account_calls_no_more(owner: Caller) -> None:
    account = owner.made("/v1/sub-accounts", name="short")
    customer = owner.other(account["key"])
    statuses = [customer.chat(max_tokens=5).status]
    assert owner.ask("DELETE", f"/v1/sub-accounts/{account['id']}").body["status"] == "ok"

    def is_out() -> bool:
        statuses.append(customer.chat(max_tokens=5).status)
        return statuses[-1] == 401

    eventually(is_out, KNOWN_WITHIN_S)
    usage = owner.get(f"/v1/sub-accounts/{account['id']}/usage")
    assert usage["summary"]["requests"] == statuses.count(200) >= 1
