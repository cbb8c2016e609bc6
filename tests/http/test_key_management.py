"""Keys: whole or not at all, changed field by field, rotated with and without grace, ended; nobody reaches up."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec import UNSET

from tests.http.till import Till
from trunkline import clock
from trunkline.errors import InvalidRequest
from trunkline.http.key_management import Cap, cap_of, expiry, moment
from trunkline.wire.openrouter import KeyRequest

NOW_S = 1_777_600_000.5
DAY_S = 86_400

WHOLE: dict[str, Any] = {
    "models": ["sandbox/*"],
    "limit": 12.5,
    "limit_reset": "monthly",
    "rpm": 60,
    "tpm": 1000,
    "concurrency": 3,
    "ip_allowlist": ["10.0.0.0/8", "2001:db8::/32"],
    "routes": ["chat", "models"],
    "default_tag": "blue",
    "note": "for the shop",
}


async def made(till: Till, key: str = "a", **more: Any) -> dict[str, Any]:
    reply = await till.ask("POST", "/v1/keys", key, **{"name": "k", **more})
    assert reply.status == 201, reply.text
    body: dict[str, Any] = reply.body
    return body


async def test_all_that_was_asked_for_is_there(till: Till) -> None:
    answer = await made(till, expires="30d", **WHOLE)
    assert answer["key"] == answer["scoped_key"]
    data = answer["data"]
    assert {name: data[name] for name in WHOLE} == WHOLE
    expected = {"id": answer["id"], "hash": answer["id"], "account_id": till.a, "status": "active", "disabled": False}
    assert {name: data[name] for name in expected} == expected
    assert (data["limit_remaining"], data["spend_cap_cents"], data["manage"], data["admin"]) == (
        12.5,
        1250,
        False,
        False,
    )
    assert answer["key"] not in str(data)
    ends = dt.datetime.fromisoformat(data["expires_at"]).timestamp()
    assert abs(ends - clock.now_s() - 30 * DAY_S) < 60
    for key in ("a", "viewer", "root"):
        assert (await till.ask("GET", f"/v1/keys/{answer['id']}", key)).body["data"] == data
    assert (await till.ask("GET", "/v1/key", answer["key"])).status == 200


async def test_the_other_spellings_say_the_same(till: Till) -> None:
    answer = await made(
        till,
        allowed_models=["a/*"],
        spend_cap_cents=1.5,
        rate_limit_rpm=7,
        expires_at="2099-01-01T00:00:00Z",
        sub_account_id=till.below_a,
        manage=True,
    )
    data = answer["data"]
    assert (data["models"], data["limit"], data["limit_reset"], data["rpm"]) == (["a/*"], 0.015, "monthly", 7)
    assert (data["expires_at"], data["account_id"], data["manage"]) == ("2099-01-01T00:00:00Z", till.below_a, True)


@pytest.mark.parametrize("method", ["PATCH", "POST"])
async def test_a_change_leaves_the_rest_as_it_is(till: Till, method: str) -> None:
    answer = await made(till, **WHOLE)
    path = f"/v1/keys/{answer['id']}"
    changed = (await till.ask(method, path, "a", name="l", limit=3, rpm=5)).body["data"]
    budgets = {"budgets": changed["budgets"], "limit_remaining": 3, "spend_cap_cents": 300}
    assert changed == {**answer["data"], "name": "l", "limit": 3, "rpm": 5, **budgets}
    gone = dict.fromkeys(("models", "limit", "rpm", "tpm", "concurrency", "default_tag", "note"))
    freed = (await till.ask(method, path, "a", ip_allowlist=[], routes=[], **gone)).body["data"]
    assert {name: freed[name] for name in gone} == {**gone, "models": []}
    assert (freed["ip_allowlist"], freed["routes"], freed["budgets"]) == ([], [], [])


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("expires", "253402300800"),
        ("expires", str(2**63)),
        ("expires_at", str(10**400)),
        ("expires_at", '"9999-12-31T23:59:59-23:00"'),
    ],
)
async def test_an_end_beyond_all_dates_is_refused_and_the_list_stays_readable(till: Till, name: str, end: str) -> None:
    reply = await till.send("POST", "/v1/keys", "a", f'{{"name": "k", "{name}": {end}}}'.encode())
    assert (reply.status, reply.body["error"]["param"]) == (400, name)
    assert (await till.ask("GET", "/v1/keys", "a")).status == 200


async def test_a_limit_moves_to_another_period(till: Till) -> None:
    path = f"/v1/keys/{(await made(till, limit=5))['id']}"
    changes: list[tuple[dict[str, Any], tuple[float | None, str | None]]] = [
        ({"limit_reset": "daily"}, (5, "daily")),
        ({"limit": 7}, (7, "daily")),
        ({"limit": 8, "period": "week"}, (8, "weekly")),
        ({"limit_reset": None}, (8, None)),
        ({"spend_cap_cents": 100}, (1, None)),
        ({"spend_cap_cents": None}, (None, None)),
        ({"spend_cap_cents": 200}, (2, "monthly")),
    ]
    for change, cap in changes:
        shown = (await till.ask("PATCH", path, "a", **change)).body["data"]
        assert (shown["limit"], shown["limit_reset"]) == cap, change
        assert len(shown["budgets"]) == (cap[0] is not None)
    await till.ask("PATCH", path, "a", limit=None)
    refused = await till.ask("PATCH", path, "a", limit_reset="weekly")
    assert refused.refusal == (400, "invalid_value", "limit_reset")


async def test_a_key_that_may_spend_nothing(till: Till) -> None:
    data = (await made(till, limit=0))["data"]
    assert (data["limit"], data["limit_remaining"], len(data["budgets"])) == (0, 0, 1)


async def test_rotation_without_grace_waits_for_the_first_use(till: Till) -> None:
    before = await made(till)
    reply = await till.ask("POST", f"/v1/keys/{before['id']}/rotate", "a")
    assert (reply.status, reply.body["id"]) == (200, before["id"])
    assert reply.body["key"] != before["key"]
    ends = dt.datetime.fromisoformat(reply.body["old_key_ends_at"]).timestamp()
    assert abs(ends - clock.now_s() - DAY_S) < 60
    assert (await till.ask("GET", "/v1/key", before["key"])).status == 200
    assert (await till.ask("GET", "/v1/key", reply.body["key"])).body["data"]["hash"] == before["id"]


@pytest.mark.parametrize(("grace", "lasts_s"), [("24h", DAY_S), (90, 90), ("2m", 120)])
async def test_rotation_with_grace(till: Till, grace: str | int, lasts_s: int) -> None:
    before = await made(till)
    reply = await till.ask("POST", f"/v1/keys/{before['id']}/rotate", "a", grace=grace)
    ends = dt.datetime.fromisoformat(reply.body["old_key_ends_at"]).timestamp()
    assert abs(ends - clock.now_s() - lasts_s) < 60
    assert (await till.ask("GET", "/v1/key", before["key"])).status == 200


@pytest.mark.parametrize("grace", ["0", 0, "0s"])
async def test_rotation_at_once(till: Till, grace: str | int) -> None:
    before = await made(till)
    after = (await till.ask("POST", f"/v1/keys/{before['id']}/rotate", "a", grace=grace)).body
    assert (await till.ask("GET", "/v1/key", before["key"])).status == 401
    assert (await till.ask("GET", "/v1/key", after["key"])).status == 200


@pytest.mark.parametrize("grace", ["soon", -1, True, "-1h", 2**63, 10**30, "367d"])
async def test_a_grace_that_is_none_is_refused_by_name(till: Till, grace: object) -> None:
    key = await made(till)
    reply = await till.ask("POST", f"/v1/keys/{key['id']}/rotate", "a", grace=grace)
    assert (reply.status, reply.body["error"]["param"]) == (400, "grace")


async def test_an_ended_key_is_gone_and_stays_on_record(till: Till) -> None:
    key = await made(till)
    path = f"/v1/keys/{key['id']}"
    for _ in range(2):
        assert (await till.ask("DELETE", path, "a")).body == {"id": key["id"], "status": "ok", "deleted": True}
    assert (await till.ask("GET", "/v1/key", key["key"])).status == 401
    shown = (await till.ask("GET", path, "a")).body["data"]
    assert (shown["status"], shown["disabled"]) == ("revoked", True)
    for method, tail in (("PATCH", ""), ("POST", "/rotate")):
        body = {"name": "x"} if not tail else {}
        assert (await till.ask(method, path + tail, "a", **body)).refusal[:2] == (400, "key_ended")
    listed = (await till.ask("GET", "/v1/keys", "a")).body["data"]
    assert key["id"] not in [one["id"] for one in listed]
    every = (await till.ask("GET", "/v1/keys?include_disabled=true", "a")).body["data"]
    assert key["id"] in [one["id"] for one in every]


async def test_lists_hold_what_the_account_and_those_below_it_have(till: Till) -> None:
    below = (await made(till, account_id=till.below_a))["id"]
    till.spent.nanos = {below: 1_500_000_000}
    body = (await till.ask("GET", "/v1/keys", "viewer")).body
    own = {till.key_id(name) for name in ("a", "plain", "viewer")}
    assert {one["id"] for one in body["data"]} == {*own, below}
    assert {one["usage"] for one in body["data"] if one["id"] == below} == {1.5}
    narrowed = (await till.ask("GET", f"/v1/keys?account_id={till.below_a}", "a")).body["data"]
    assert [one["id"] for one in narrowed] == [below]
    first = (await till.ask("GET", "/v1/keys?limit=3", "a")).body
    rest = (await till.ask("GET", f"/v1/keys?limit=3&after={first['last_id']}", "a")).body
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert {one["id"] for one in [*first["data"], *rest["data"]]} == {*own, below}
    assert (await till.ask("GET", "/v1/keys?limit=3&offset=3", "a")).body["data"] == rest["data"]
    assert (await till.ask("GET", "/v1/keys?offset=9", "a")).body["data"] == []


@pytest.mark.parametrize(
    ("method", "tail", "body"),
    [("GET", "", {}), ("PATCH", "", {"name": "x"}), ("DELETE", "", {}), ("POST", "/rotate", {})],
)
async def test_what_is_not_below_is_not_there(till: Till, method: str, tail: str, body: dict[str, Any]) -> None:
    for key_id in (till.key_id("b"), till.key_id("admin"), "key_nothing", "%00"):
        reply = await till.ask(method, f"/v1/keys/{key_id}{tail}", "a", **body)
        assert reply.refusal[:2] == (404, "key_not_found")


@pytest.mark.parametrize("key", ["plain", "viewer"])
async def test_who_does_not_manage_changes_nothing(till: Till, key: str) -> None:
    path = f"/v1/keys/{till.key_id('plain')}"
    for method, target in (("POST", "/v1/keys"), ("PATCH", path), ("DELETE", path), ("POST", path + "/rotate")):
        assert (await till.ask(method, target, key)).refusal[:2] == (403, "scope_missing")
    assert (await till.ask("GET", "/v1/keys", key)).status == (200 if key == "viewer" else 403)


async def test_nobody_gives_more_than_they_have(till: Till) -> None:
    assert (await till.ask("POST", "/v1/keys", "a", name="x", account_id=till.b)).status == 404
    assert (await till.ask("POST", "/v1/keys", "a", name="x", admin=True)).refusal == (
        400,
        "unknown_parameter",
        "admin",
    )
    itself = f"/v1/keys/{till.key_id('a')}"
    changes: list[dict[str, Any]] = [{"models": []}, {"limit": 5}, {"rpm": 5}]
    for change in changes:
        assert (await till.ask("PATCH", itself, "a", **change)).refusal[:2] == (403, "above_only")
    # A manager of the root is below an owner.
    reply = await till.ask("PATCH", f"/v1/keys/{till.key_id('admin')}", "root", models=[])
    assert reply.refusal[:2] == (403, "role_missing")
    await till.ask("PATCH", f"/v1/sub-accounts/{till.a}", "root", spend_cap_cents=1000)
    over = await till.ask("POST", "/v1/keys", "a", name="x", limit=11, limit_reset="monthly")
    assert over.refusal == (400, "over_parent", "limit")
    over = await till.ask("POST", "/v1/keys", "a", name="x", spend_cap_cents=1001)
    assert over.refusal == (400, "over_parent", "spend_cap_cents")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": None}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"models": [""]}, "models"),
        ({"allowed_models": [""]}, "allowed_models"),
        ({"models": ["a"], "allowed_models": ["b"]}, "allowed_models"),
        ({"limit": -1}, "limit"),
        ({"limit": 1, "spend_cap_cents": 1}, "spend_cap_cents"),
        ({"limit": 1, "limit_reset": "daily", "period": "week"}, "limit_reset"),
        ({"limit_reset": "yearly"}, "limit_reset"),
        ({"expires": "soon"}, "expires"),
        ({"expires": 5}, "expires"),
        ({"expires_at": "2020-01-01"}, "expires_at"),
        ({"expires_at": "2027-13-01"}, "expires_at"),
        ({"rpm": 0}, "rpm"),
        ({"rate_limit_rpm": 5, "rpm": 6}, "rate_limit_rpm"),
        ({"ip_allowlist": ["10.0.0.0/33"]}, "ip_allowlist"),
        ({"routes": ["chat", "dance"]}, "routes"),
        ({"default_tag": "x" * 65}, "default_tag"),
        ({"account_id": "acct_1", "sub_account_id": "acct_2"}, "sub_account_id"),
        ({"disabled": True}, "disabled"),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(till: Till, body: dict[str, Any], param: str) -> None:
    reply = await till.ask("POST", "/v1/keys", "a", **{"name": "k", **body})
    assert (reply.status, reply.body["error"]["param"]) == (400, param), reply.text
    assert len((await till.ask("GET", "/v1/keys", "a")).body["data"]) == 3


@pytest.mark.parametrize(
    ("given", "at_s"),
    [
        ("30d", NOW_S + 30 * DAY_S),
        (1_900_000_000, 1_900_000_000),
        ("2027-01-31", 1_801_353_600),
        ("2027-01-31T00:00:00Z", 1_801_353_600),
        ("2027-01-31T01:00:00+01:00", 1_801_353_600),
        ("2027-01-31 00:00:00.5", 1_801_353_600.5),
        (None, None),
        (UNSET, UNSET),
    ],
)
def test_moments_of_every_spelling(given: Any, at_s: object) -> None:
    assert expiry(KeyRequest(name="k", expires=given), NOW_S) == at_s
    assert expiry(KeyRequest(name="k", expires_at=given), NOW_S) == at_s


@pytest.mark.parametrize("given", ["2027-02-30", "2027-01-31T25:00:00Z", "next year", "2027-01-31T00:00:00+99:00"])
def test_what_is_no_moment(given: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        expiry(KeyRequest(name="k", expires_at=given), NOW_S)
    assert refused.value.param == "expires_at"


def test_nothing_said_of_a_limit_is_not_the_same_as_none() -> None:
    assert cap_of(KeyRequest(name="k")) == Cap(UNSET, None)
    assert cap_of(KeyRequest(name="k", limit=None)) == Cap(None, None)
    assert cap_of(KeyRequest(name="k", limit_reset=None)) == Cap(UNSET, "never")


def test_moments_are_shown_as_utc() -> None:
    assert (moment(NOW_S), moment(None)) == ("2026-05-01T01:46:40Z", None)
