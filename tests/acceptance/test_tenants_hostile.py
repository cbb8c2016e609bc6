"""Tenants against each other on a running gateway: who may call what, what others' ids tell, what hostile values do.

Every route that the gateway says it serves needs a row here, or a test fails.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import quote, urlsplit

import pytest

from tests.acceptance.asking import eventually
from tests.acceptance.conftest import serving
from tests.acceptance.town import CHAT_BODY, ECHO, FORGED, MAIL, MONTHLY, PRICES, Callers, Town

pytestmark = pytest.mark.acceptance

SECRET: Final = re.compile(r"sk-tl-[0-9A-Za-z]{12}-[0-9A-Za-z]{49}")
ACCESS: Final = """
public     GET /healthz · GET /readyz · GET /metrics · GET /openapi.json · GET /llms.txt
calls      POST /v1/chat/completions · POST /v1/embeddings · POST /v1/images/generations · POST /v1/images/edits
calls      POST /v1/audio/speech · POST /v1/audio/transcriptions · POST /v1/audio/translations · POST /v1/moderations
calls      POST /v1/rerank · POST /v2/rerank · POST /v1/messages · POST /v1/messages/count_tokens
calls      POST /v1beta/models/{id} · POST /v1/responses · POST /v1/responses/input_tokens
calls      POST /v1/responses/compact · GET /v1/responses/{id} · DELETE /v1/responses/{id}
calls      GET /v1/responses/{id}/input_items · POST /v1/responses/{id}/cancel · POST /v1/conversations
calls      GET /v1/conversations/{id} · POST /v1/conversations/{id} · DELETE /v1/conversations/{id}
calls      GET /v1/conversations/{id}/items · POST /v1/conversations/{id}/items
calls      GET /v1/conversations/{id}/items/{item_id} · DELETE /v1/conversations/{id}/items/{item_id}
key        GET /v1/models · GET /v1/models/{id}
key        GET /v1/key · GET /api/v1/key · GET /v1/auth/key · GET /api/v1/auth/key
key        GET /v1/balance · GET /v1/usage · GET /v1/usage/by-tag · GET /v1/usage/recent · GET /v1/requests
key        GET /v1/generation · GET /api/v1/generation · GET /key/info · GET /spend/logs
read       GET /v1/sub-accounts · GET /v1/sub-accounts/{account_id} · GET /v1/sub-accounts/{account_id}/usage
read       GET /v1/keys · GET /v1/keys/{key_id} · GET /v1/budgets · GET /v1/budgets/{budget_id}
read       GET /v1/usage/by-sub-account · GET /team/info
manage     POST /v1/sub-accounts · POST /v1/sub-accounts/{account_id} · PATCH /v1/sub-accounts/{account_id}
manage     DELETE /v1/sub-accounts/{account_id} · POST /v1/keys · POST /v1/keys/{key_id} · PATCH /v1/keys/{key_id}
manage     DELETE /v1/keys/{key_id} · POST /v1/keys/{key_id}/rotate · POST /v1/budgets · DELETE /v1/budgets/{budget_id}
manage     POST /v1/balance/top-up · POST /v1/balance/debit · GET /v1/credits · GET /api/v1/credits
manage     POST /key/generate · POST /key/update · POST /key/delete · POST /key/{key_id}/regenerate · POST /team/new
manage     POST /user/new · POST /budget/new · POST /key/block · POST /key/unblock
operator   GET /admin/status · POST /admin/reload
"""
ORGANIZATION: Final = "/v1/organization"
"""Every path under it takes an admin key, whoever's."""
ENDED: Final = ("revoked", "expired", "archived", "sk-tl-nobody", None)
LET_IN: Final = {
    "plain": {"calls", "key"},
    "viewer": {"key", "read"},
    "manager": {"calls", "key", "read", "manage"},
    "root manager": {"calls", "key", "read", "manage"},
    "admin": {"calls", "key", "read", "manage", "admin"},
    "operator": {"calls", "key", "read", "manage", "admin", "operator"},
}
VALUES: Final = (
    "-1", "1e308", "9223372036854775808", "1" + "0" * 400, "1.5", "true", "null", '""', '"\\u0000"', '"\\u202e"',
    '"=cmd|x!A1"', "\"' OR 1=1;--\"", '"%_*?[!a]"', '"' + "a" * 70_000 + '"', "[[[[1]]]]", '{"__class__": "x"}',
    '"9999-12-31T23:59:59-23:00"', "253402300800",
)  # fmt: skip
QUERIES: Final = ("-1", "9" * 30, "1e3", "NaN", "", "%00", "%F0%9F%92%A9", "%27%20OR%201=1--", "%25_*[", "a" * 3000)
BODIES: Final[dict[str, dict[str, Any]]] = {
    "POST /v1/keys": {"name": "k"},
    "PATCH /v1/keys/{key_id}": {},
    "POST /v1/keys/{key_id}/rotate": {},
    "POST /v1/sub-accounts": {"name": "a"},
    "PATCH /v1/sub-accounts/{account_id}": {},
    "POST /v1/budgets": {"tag": "t", "limit_usd": 1},
    "POST /v1/balance/top-up": {"id": "t", "amount_usd": 1},
    "POST /v1/balance/debit": {"id": "d", "amount_usd": 1},
    "POST /key/generate": {},
    "POST /key/update": {"key": "key_000000000000"},
    "POST /key/delete": {"keys": ["key_000000000000"]},
    "POST /key/{key_id}/regenerate": {},
    "POST /team/new": {"team_alias": "t"},
    "POST /v1/organization/projects": {"name": "p"},
    "POST /v1/organization/projects/{project_id}": {},
    "POST /v1/organization/projects/{project_id}/api_keys/{key_id}": {},
    "POST /v1/organization/projects/{project_id}/service_accounts": {"name": "s"},
    "POST /v1/organization/projects/{project_id}/service_accounts/{service_account_id}": {},
    "POST /v1/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys": {},
    "POST /v1/organization/admin_api_keys": {"name": "a"},
    "POST /v1/organization/spend_limit": MONTHLY,
    "POST /v1/organization/projects/{project_id}/spend_limit": MONTHLY,
    "POST /v1/organization/spend_alerts": {**MONTHLY, "notification_channel": MAIL},
    "POST /v1/organization/spend_alerts/{alert_id}": {**MONTHLY, "notification_channel": MAIL},
    "POST /v1/organization/projects/{project_id}/spend_alerts": {**MONTHLY, "notification_channel": MAIL},
    "POST /v1/organization/projects/{project_id}/spend_alerts/{alert_id}": {**MONTHLY, "notification_channel": MAIL},
    "POST /v1/organization/projects/{project_id}/rate_limits/{rate_limit_id}": {"max_requests_per_1_minute": 1},
    "POST /v1/organization/projects/{project_id}/model_permissions": {"mode": "allow_list", "model_ids": ["a"]},
    "POST /v1/organization/users/{user_id}": {"role": "reader"},
    "POST /v1/organization/projects/{project_id}/users": {"role": "member", "user_id": "user-1"},
    "POST /v1/organization/projects/{project_id}/users/{user_id}": {"role": "member"},
    "POST /v1/organization/invites": {"email": "c@example.com", "role": "reader"},
}
"""A body that fits, of each route that takes one of ours."""
SAME_AS: Final = {"POST /v1/keys/{key_id}", "POST /v1/sub-accounts/{account_id}"}
"""Answered by what answers PATCH."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with serving(tmp_path_factory.mktemp("town"), PRICES) as gateway:
        found = Town(gateway)
        yield found
        found.close()
        assert '"defect"' not in found.log
        assert not SECRET.search(found.log)


def rows() -> dict[tuple[str, str], str]:
    found = {}
    for line in ACCESS.strip().splitlines():
        access, _, routes = line.partition(" ")
        for route in routes.split("·"):
            method, path = route.split()
            found[method, path] = access
    return found


def access_of(route: tuple[str, str]) -> str:
    return "admin" if route[1].startswith(ORGANIZATION) else rows()[route]


def filled(path: str, ids: dict[str, str]) -> str:
    def of(match: re.Match[str]) -> str:
        return quote(ids.get(match[1], "nothing"), safe="*-_:")

    return re.sub(r"\{(\w+)\}", of, path.replace("/v1beta/models/{id}", f"/v1beta/models/{ECHO}:generateContent"))


def test_every_route_has_a_row(town: Town) -> None:
    served = {route for route in town.operations() if not route[1].startswith(ORGANIZATION)}
    assert served == set(rows())
    ours = {f"{method} {path}" for (method, path), said in town.operations().items() if _fields(said)}
    assert ours == set(BODIES) | SAME_AS


def _fields(said: dict[str, Any]) -> list[str]:
    content = said.get("requestBody", {}).get("content", {}).get("application/json", {})
    return list(content.get("schema", {}).get("properties", {}))


def _needs_start(said: dict[str, Any]) -> bool:
    return any(one["name"] == "start_time" and one["required"] for one in said.get("parameters", ()))


def test_who_may_call_what(town: Town) -> None:
    wrong = []
    for method, path in town.operations():
        access, target = access_of((method, path)), filled(path, {})
        for who in ENDED:
            found = town.ask(who, method, target)
            if (found.status == 401) is (access == "public"):
                wrong.append((method, path, who, found.found))
        walled = town.send("walled", method, target, None, {} if access == "public" else FORGED)
        if (walled.status == 403) is (access == "public"):
            wrong.append((method, path, "walled", walled.found))
        for who, may in LET_IN.items():
            found = town.ask(who, method, target)
            if found.status in (401, 403) if access == "public" or access in may else found.status != 403:
                wrong.append((method, path, who, found.found))
            if found.status >= 500:
                wrong.append((method, path, who, found.found))
    assert not wrong


def test_what_is_others_is_not_there(town: Town) -> None:
    """An id of somebody else's is answered, to the letter, like one that nobody has."""
    wrong = []
    told_before = _told(town)
    ours, theirs = town.ours.ids, town.theirs.ids
    for method, path in town.operations():
        names = re.findall(r"\{(\w+_id)\}", path)
        who = "admin" if path.startswith(ORGANIZATION) else "manager"
        body = BODIES.get(f"{method} {path}", BODIES.get(f"PATCH {path}"))
        for name in names:
            if name in ("rate_limit_id", "user_id", "item_id"):
                continue
            unknown = _unknown_like(theirs[name])
            both = [town.ask(who, method, filled(path, {**ours, name: one}), body) for one in (theirs[name], unknown)]
            texts = [both[0].text.replace(theirs[name], "X"), both[1].text.replace(unknown, "X")]
            if both[0].status != 404 or texts[0] != texts[1]:
                wrong.append((method, path, name, both))
    assert not wrong
    assert _told(town) == told_before, "and nothing happened to them"


def test_lists_hold_nothing_of_others(town: Town) -> None:
    ids = {one for name, one in town.theirs.ids.items() if name not in ("user_id", "rate_limit_id")}
    wrong = []
    for (method, path), said in town.operations().items():
        if method == "GET" and "{" not in path:
            for who in ("plain", "viewer", "manager", "admin"):
                found = town.ask(who, method, path + ("?start_time=1" if _needs_start(said) else ""))
                wrong += [(path, who, one) for one in (*ids, town.theirs.id) if one in found.text]
    assert not wrong


def _unknown_like(known: str) -> str:
    """An id of the same shape that nobody has."""
    return re.sub(r"[0-9A-Za-z]{8}$", "00000000", known)


def _told(town: Town) -> list[str]:
    """What happened to the other account."""
    page = town.ask("admin of theirs", "GET", f"{ORGANIZATION}/audit_logs?limit=100").body
    assert page["data"]
    return [one["id"] for one in page["data"]]


def test_ids_of_others_in_queries_and_bodies(town: Town) -> None:
    theirs, account = town.theirs.ids, town.theirs.id
    key, response, conversation = theirs["key_id"], theirs["response_id"], theirs["conversation_id"]
    not_there = [
        ("manager", "GET", f"/v1/keys?account_id={account}", None),
        ("manager", "GET", f"/v1/keys?sub_account_id={account}", None),
        ("manager", "GET", f"/v1/sub-accounts?parent_id={account}", None),
        ("manager", "GET", f"/v1/budgets?account_id={account}", None),
        ("manager", "GET", f"/v1/balance?account_id={account}", None),
        ("manager", "GET", "/v1/balance?account_id=acct_root", None),
        ("manager", "GET", f"/team/info?team_id={account}", None),
        ("manager", "GET", f"/key/info?key={key}", None),
        ("plain", "GET", f"/v1/generation?id={response}", None),
        ("manager", "GET", f"/v1/generation?id={response}", None),
        ("admin", "GET", f"/v1/generation?id={theirs['request_id']}", None),
        ("manager", "GET", f"/spend/logs?request_id={response}", None),
        ("manager", "GET", f"/v1/responses/{response}", None),
        ("manager", "DELETE", f"/v1/responses/{response}", None),
        ("admin", "POST", f"/v1/responses/{response}/cancel", None),
        ("manager", "GET", f"/v1/conversations/{conversation}/items", None),
        ("admin", "DELETE", f"/v1/conversations/{conversation}", None),
        ("manager", "POST", "/v1/keys", {"name": "k", "account_id": account}),
        ("manager", "POST", "/v1/keys", {"name": "k", "account_id": "acct_root"}),
        ("manager", "POST", "/key/generate", {"team_id": account}),
        ("manager", "POST", "/key/update", {"key": key, "max_budget": 5}),
        ("manager", "POST", "/key/update", {"key": town.theirs.keys["plain"], "max_budget": 5}),
        ("manager", "POST", "/key/delete", {"keys": [town.ours.ids["key_id"], key]}),
        ("manager", "POST", f"/key/{key}/regenerate", {}),
        ("manager", "POST", "/v1/sub-accounts", {"name": "mine", "parent_id": account}),
        ("admin", "POST", f"{ORGANIZATION}/projects", {"name": "mine", "parent_id": "acct_root"}),
        ("manager", "POST", "/v1/budgets", {"tag": "t", "limit_usd": 1, "account_id": account}),
        ("manager", "POST", "/v1/budgets", {"scope": "key", "subject": key, "limit_usd": 1}),
        ("manager", "POST", "/v1/budgets", {"scope": "account", "subject": account, "limit_usd": 1}),
        ("manager", "POST", "/v1/balance/top-up", {"id": "x", "amount_usd": 1, "account_id": account}),
        ("manager", "POST", "/v1/balance/debit", {"id": "x", "amount_usd": 1, "account_id": account}),
    ]
    found = [(who, method, path, town.ask(who, method, path, body).status) for who, method, path, body in not_there]
    assert [row for row in found if row[3] != 404] == []
    assert town.ask("manager", "GET", f"/v1/keys/{town.ours.ids['key_id']}").body["data"]["status"] == "active"
    empty = [
        f"/v1/requests?account_id={account}",
        f"/v1/requests?key_id={theirs['manage_key_id']}",
        f"/spend/logs?api_key={theirs['manage_key_id']}",
        f"{ORGANIZATION}/audit_logs?project_ids[]={account}",
        f"{ORGANIZATION}/audit_logs?resource_ids[]={key}",
    ]
    for path in empty:
        answer = town.ask("admin", "GET", path)
        assert (answer.status, answer.body if isinstance(answer.body, list) else answer.body["data"]) == (200, []), path
    for path in (
        f"/v1/keys?after={key}",
        f"/v1/sub-accounts?after={account}",
        f"/v1/budgets?after={theirs['budget_id']}",
    ):
        assert town.ask("manager", "GET", path).status == 400, path
    used = f"{ORGANIZATION}/usage/completions?start_time=1&group_by[]=project_id&project_ids[]={account}"
    assert [bucket for bucket in town.ask("admin", "GET", used).body["data"] if bucket["results"]] == []


def test_nobody_raises_themselves(town: Town) -> None:
    account, own_key = town.ours.id, town.ours.ids["manage_key_id"]
    own = f"{ORGANIZATION}/projects/{account}"
    capped = {"scope": "account", "subject": account, "period": "month"}
    assert town.ask("operator", "POST", "/v1/budgets", {**capped, "limit_usd": 100}).status == 201
    from_above = [
        town.made("operator", "/v1/budgets", account_id=account, scope=scope, subject=subject, limit_usd=5)["id"]
        for scope, subject in (("model", "sandbox/*"), ("tag", "red"), ("end_user", "u"), ("key", own_key))
    ]
    above_only = [
        ("manager", "PATCH", f"/v1/keys/{own_key}", {"rpm": 10}),
        ("manager", "PATCH", f"/v1/keys/{own_key}", {"limit": 10}),
        ("manager", "POST", "/key/update", {"key": own_key, "max_budget": None}),
        ("manager", "POST", "/v1/budgets", {**capped, "limit_usd": 1000}),
        ("admin", "POST", "/v1/budgets", {**capped, "limit_usd": 1000}),
        ("admin", "POST", f"{ORGANIZATION}/spend_limit", MONTHLY),
        ("admin", "DELETE", f"{ORGANIZATION}/spend_limit", None),
        ("admin", "POST", f"{own}/spend_limit", MONTHLY),
        ("admin", "POST", f"{own}/model_permissions", {"mode": "deny_list", "model_ids": []}),
        ("admin", "POST", f"{own}/rate_limits/rl-*", {"max_requests_per_1_minute": 1000}),
        ("manager", "POST", "/v1/balance/top-up", {"id": "x", "amount_usd": 1}),
        ("admin", "POST", "/v1/balance/top-up", {"id": "x", "amount_usd": 1}),
        ("root manager", "POST", "/v1/balance/top-up", {"id": "x", "amount_usd": 1}),
        *(("manager", "DELETE", f"/v1/budgets/{one}", None) for one in from_above),
        *(("admin", "DELETE", f"/v1/budgets/{one}", None) for one in from_above),
        ("manager", "POST", "/v1/budgets", {"tag": "red", "limit_usd": 500}),
    ]
    found = [(*row, town.ask(*row).found) for row in above_only]
    assert [row for row in found if row[-1] != (403, "above_only")] == []
    child = {"account_id": town.ours.ids["account_id"]}
    refused = [
        (
            "manager",
            "/v1/budgets",
            {"scope": "account", "subject": child["account_id"], "period": "month", "limit_usd": 101},
        ),
        ("manager", "/v1/keys", {"name": "k", "limit": 101, "limit_reset": "monthly"}),
        ("manager", "/v1/balance/top-up", {"id": "x", "amount_usd": 1, **child}),
        ("admin", "/v1/balance/top-up", {"id": "x", "amount_usd": 1, **child}),
        ("root manager", "/v1/balance/top-up", {"id": "x", "amount_usd": 1, **child}),
        ("manager", "/v1/keys", {"name": "k", "admin": True}),
        ("manager", "/v1/keys", {"name": "k", "role": "owner"}),
        ("manager", "/v1/sub-accounts", {"name": "a", "markup_millionths": 0}),
        ("manager", f"/v1/sub-accounts/{child['account_id']}", {"parent_id": "acct_root"}),
    ]
    codes = [town.ask(who, "POST", path, body).found for who, path, body in refused]
    assert codes == [(400, "over_parent")] * 2 + [(400, "credit_missing")] * 3 + [(400, "unknown_parameter")] * 4
    admins = town.theirs.ids["admin_key_id"], town.ours.ids["admin_key_id"]
    for key_id, code in zip(admins, ((404, "key_not_found"), (403, "role_missing")), strict=True):
        assert town.ask("manager", "POST", f"/v1/keys/{key_id}/rotate").found == code
        assert town.ask("manager", "DELETE", f"/v1/keys/{key_id}").found == code


def test_hostile_values_break_nothing(town: Town) -> None:
    wrong = []
    operations = town.operations()
    for (method, path), said in operations.items():
        if f"{method} {path}" in SAME_AS:
            continue
        who = "admin of lab" if path.startswith(ORGANIZATION) else "manager of lab"
        target, body = filled(path, town.lab.ids), BODIES.get(f"{method} {path}", {})
        for name in _fields(said):
            for value in VALUES:
                parts = {**{key: json.dumps(one) for key, one in body.items()}, name: value}
                raw = "{" + ", ".join(f'"{key}": {one}' for key, one in parts.items()) + "}"
                found = town.ask(who, method, target, raw.encode())
                if found.status >= 500:
                    wrong.append((method, path, name, value[:40], found.found))
    assert not wrong


def test_hostile_queries_break_nothing(town: Town) -> None:
    wrong = []
    for (method, path), said in town.operations().items():
        names = [one["name"] for one in said.get("parameters", ()) if one["in"] == "query"]
        who = "admin of lab" if path.startswith(ORGANIZATION) else "manager of lab"
        needed = "start_time=1&" if _needs_start(said) else ""
        for name in names:
            for value in QUERIES:
                query = f"{needed}{name}={value}" if name != "start_time" else f"{name}={value}"
                found = town.ask(who, method, f"{filled(path, town.lab.ids)}?{query}")
                if found.status >= 500:
                    wrong.append((method, path, query[:60], found.found))
    assert not wrong


def test_after_all_that_every_list_can_be_read(town: Town) -> None:
    """What was taken in can be shown, to whoever sees it, and holds no secret."""
    wrong = []
    for (method, path), said in town.operations().items():
        if method != "GET" or "{" in path or access_of((method, path)) == "public":
            continue
        query = "?start_time=1" if _needs_start(said) else ""
        for who in ("operator", "admin of lab", "manager of lab"):
            found = town.ask(who, method, path + query)
            if found.status >= 500 or SECRET.search(found.text):
                wrong.append((path, who, found.found))
    assert not wrong


def test_credit_is_neither_made_nor_lost_in_a_race(town: Town) -> None:
    account, child = town.lab.id, town.lab.ids["account_id"]
    town.made("operator", "/v1/balance/top-up", id="race", amount_usd=10, account_id=account)

    def left() -> list[int]:
        balances = [town.ask("manager of lab", "GET", f"/v1/balance{query}") for query in ("", f"?account_id={child}")]
        shown = [one.body["credit"]["available_usd"] for one in balances]
        return [int(one or 0) for one in shown]

    def move(kind: str, entry_id: str) -> int:
        body = {"id": entry_id, "amount_usd": 1, "account_id": child}
        return town.ask("manager of lab", "POST", f"/v1/balance/{kind}", body).status

    with ThreadPoolExecutor(8) as crowd:
        assert set(crowd.map(lambda _: move("top-up", "one"), range(8))) == {200}
        assert left() == [9, 1]
        assert sorted(crowd.map(lambda at: move("top-up", f"in-{at}"), range(12))) == [200] * 9 + [400] * 3
        assert left() == [0, 10]
        assert sorted(crowd.map(lambda at: move("debit", f"out-{at}"), range(12))) == [200] * 10 + [400] * 2
        assert left() == [10, 0]


def test_of_rotations_at_once_one_secret_stays(town: Town) -> None:
    made = town.made("manager", "/v1/keys", name="rotating")
    with ThreadPoolExecutor(6) as crowd:
        found = list(crowd.map(lambda _: town.made("manager", f"/v1/keys/{made['id']}/rotate")["key"], range(6)))
    secrets = [made["key"], *found]
    # The newest ends all others when it is used, wherever it stands among the answers.
    eventually(lambda: sum(town.ask(one, "GET", "/v1/key").status == 200 for one in secrets) == 1, 3.0, 0.2)
    assert town.ask("manager", "DELETE", f"/v1/keys/{made['id']}").status == 200
    eventually(lambda: all(town.ask(one, "GET", "/v1/key").status == 401 for one in secrets), 2.0)


@pytest.mark.parametrize(
    ("tag", "status"),
    [("=cmd|x!A1", 200), ("'; DROP TABLE entries;--", 200), ("a" * 64, 200), ("a" * 65, 400), ("", 400), ("\x7f", 400)],
)
def test_tags_are_kept_as_they_are_or_refused(town: Town, tag: str, status: int) -> None:
    answer = town.send("plain of lab", "POST", "/v1/chat/completions", CHAT_BODY, {"x-trunkline-tag": tag})
    assert answer.status == status
    if status == 200:
        path = f"/v1/requests?tag={quote(tag)}"
        eventually(lambda: [one["tag"] for one in town.ask("plain of lab", "GET", path).body["data"]] == [tag], 3.0)


@pytest.mark.parametrize("user", ["=1+1", "a\nb", "x" * 1_000_000, "\u202e", "\x00", "", 12, {"a": 1}])
def test_whom_a_caller_serves_may_be_called_anything(town: Town, user: object) -> None:
    answer = town.ask("plain of lab", "POST", "/v1/chat/completions", {**CHAT_BODY, "user": user})
    assert answer.status in (200, 400)
    eventually(lambda: town.ask("plain of lab", "GET", "/v1/requests?limit=1").status == 200, 2.0)


@pytest.mark.parametrize(("limit", "status"), [(0, 402), (1_000_000_000, 200)])
def test_a_budget_of_nothing_and_one_of_all_there_is(town: Town, limit: int, status: int) -> None:
    town.made("manager of lab", "/v1/budgets", tag=f"of {limit}", limit_usd=limit)

    def chat() -> int:
        headers = {"x-trunkline-tag": f"of {limit}"}
        return town.send("plain of lab", "POST", "/v1/chat/completions", CHAT_BODY, headers).status

    eventually(lambda: chat() == status, 2.0)
    assert town.ask("manager of lab", "POST", "/v1/budgets", {"tag": "t", "limit_usd": 1_000_000_001}).status == 400


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    server = 'behind_proxy = true\ntrusted_proxies = ["127.0.0.1"]'
    with serving(tmp_path_factory.mktemp("behind"), PRICES, server) as gateway:
        found = Callers(gateway)
        made = found.made(
            "operator", "/v1/keys", name="w", manage=True, ip_allowlist=["203.0.113.0/24", "2001:db8::/32"]
        )
        found.keys["walled"] = made["key"]
        yield found
        found.close()


@pytest.mark.parametrize(
    ("chain", "inside"),
    [
        (None, False),
        ("203.0.113.5", True),
        ("198.51.100.9, 203.0.113.5", True),
        ("203.0.113.5, 198.51.100.9", False),
        ("203.0.113.5, 127.0.0.1", True),
        ("198.51.100.9, 127.0.0.1", False),
        ("::ffff:203.0.113.5", True),
        ("2001:db8::7", True),
        ("203.0.113.5.evil", False),
        ("203.0.113.0/24", False),
        ("203.0.113.5, unknown", False),
    ],
)
def test_behind_a_proxy_the_caller_is_whom_the_proxy_saw(behind: Callers, chain: str | None, inside: bool) -> None:
    headers = {} if chain is None else {"x-forwarded-for": chain}
    for method, path, body in (
        ("POST", "/v1/chat/completions", CHAT_BODY),
        ("POST", f"/v1beta/models/{ECHO}:generateContent", {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}),
        ("GET", "/v1/models", None),
        ("GET", "/v1/keys", None),
        ("GET", "/nothing", None),
    ):
        assert (behind.send("walled", method, path, body, headers).status != 403) is inside, path
    for carrier in ("x-api-key", "api-key", "x-goog-api-key"):
        sent = {**headers, carrier: behind.keys["walled"]}
        assert (behind.send(None, "GET", "/v1/key", None, sent).status == 200) is inside
    assert (_upgraded(behind, headers) == 101) is inside


def _upgraded(town: Callers, headers: dict[str, str]) -> int:
    where = urlsplit(town.gateway.url)
    lines = [
        "GET /v1/responses HTTP/1.1",
        f"host: {where.netloc}",
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        f"authorization: Bearer {town.keys['walled']}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    with socket.create_connection((where.hostname or "", where.port or 0), 10) as link:
        link.sendall("\r\n".join([*lines, "", ""]).encode())
        return int(link.recv(4096).split()[1])
