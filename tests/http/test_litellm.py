"""LiteLLM's spelling of keys, teams and spend; what has no counterpart here is refused by its name."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.http.callers import row
from tests.http.till import Till
from trunkline import clock
from trunkline.ids import call_id

WHOLE: dict[str, Any] = {
    "key_alias": "shop",
    "models": ["sandbox/*"],
    "max_budget": 12.5,
    "budget_duration": "30d",
    "tpm_limit": 1000,
    "rpm_limit": 60,
    "max_parallel_requests": 3,
}


async def made(till: Till, **more: Any) -> dict[str, Any]:
    reply = await till.ask("POST", "/key/generate", "a", **{"key_alias": "k", **more})
    assert reply.status == 200, reply.text
    body: dict[str, Any] = reply.body
    return body


async def test_a_key_has_what_was_asked_for(till: Till) -> None:
    key = await made(till, duration="30d", metadata={}, **WHOLE)
    assert {name: key[name] for name in WHOLE} == WHOLE
    assert (key["token"], key["team_id"], key["spend"], key["user_id"]) == (key["token_id"], till.a, 0, None)
    ends = dt.datetime.fromisoformat(key["expires"]).timestamp()
    assert abs(ends - clock.now_s() - 30 * 86_400) < 60
    till.spent.nanos = {key["token"]: 1_000_000_001}
    for target, caller in ((f"/key/info?key={key['token']}", "a"), ("/key/info", key["key"])):
        reply = await till.ask("GET", target, caller)
        assert '"spend":1.000000001,' in reply.text
        shown = {name: value for name, value in key.items() if name not in ("key", "token_id")}
        assert reply.body == {"key": key["token"], "info": {**shown, "spend": 1.000000001}}


@pytest.mark.parametrize("by", ["token", "key"])
async def test_a_change_leaves_the_rest_as_it_is(till: Till, by: str) -> None:
    key = await made(till, **WHOLE)
    changed = await till.ask("POST", "/key/update", "a", key=key[by], rpm_limit=5, max_budget=2)
    assert {name: changed.body[name] for name in WHOLE} == {**WHOLE, "rpm_limit": 5, "max_budget": 2}
    moved = await till.ask("POST", "/key/update", "a", key=key[by], budget_duration="1d", models=None)
    assert (moved.body["budget_duration"], moved.body["max_budget"], moved.body["models"]) == ("1d", 2, [])
    gone = await till.ask("POST", "/key/update", "a", key=key[by], max_budget=None)
    assert (gone.body["max_budget"], gone.body["budget_duration"], gone.body["budget_reset_at"]) == (None, None, None)


async def test_keys_end_together_or_not_at_all(till: Till) -> None:
    first, second = await made(till), await made(till)
    for stranger in ("key_nothing", till.key_id("b"), "sk-never-seen"):
        reply = await till.ask("POST", "/key/delete", "a", keys=[first["token"], stranger])
        assert reply.refusal[:2] == (404, "key_not_found")
    assert (await till.ask("GET", "/v1/key", first["key"])).status == 200
    gone = await till.ask("POST", "/key/delete", "a", keys=[first["token"], second["key"]])
    assert gone.body == {"deleted_keys": [first["token"], second["token"]]}
    for key in (first, second):
        assert (await till.ask("GET", "/v1/key", key["key"])).status == 401
    assert (await till.ask("GET", f"/key/info?key={first['token']}", "a")).body["info"]["blocked"] is True


@pytest.mark.parametrize(("body", "old"), [({}, 401), ({"grace_period": "48h"}, 200)])
async def test_a_new_secret(till: Till, body: dict[str, Any], old: int) -> None:
    key = await made(till)
    again = (await till.ask("POST", f"/key/{key['token']}/regenerate", "a", **body)).body
    assert (again["token"], again["key"] == key["key"]) == (key["token"], False)
    assert (await till.ask("GET", "/v1/key", key["key"])).status == old
    assert (await till.ask("GET", "/v1/key", again["key"])).status == 200


async def test_a_team_is_an_account(till: Till) -> None:
    limits = {name: WHOLE[name] for name in ("models", "max_budget", "budget_duration", "tpm_limit", "rpm_limit")}
    team = (await till.ask("POST", "/team/new", "a", team_alias="Seven", **limits)).body
    assert {name: team[name] for name in limits} == limits
    key = await made(till, team_id=team["team_id"])
    account = (await till.ask("GET", f"/v1/sub-accounts/{team['team_id']}", "a")).body
    assert (account["name"], account["spend_cap_cents"], account["spend_cap_period"]) == ("Seven", 1250, "month")
    till.spent.nanos = {key["token"]: 5}
    info = (await till.ask("GET", f"/team/info?team_id={team['team_id']}", "viewer")).body
    assert (info["team_id"], info["team_info"]) == (team["team_id"], {**team, "spend": 5e-9})
    assert [one["token"] for one in info["keys"]] == [key["token"]]
    assert (await till.ask("GET", f"/team/info?team_id={team['team_id']}", "b")).status == 404


async def test_a_team_without_a_budget_has_none(till: Till) -> None:
    team = (await till.ask("POST", "/team/new", "a", team_alias="x")).body
    assert (team["max_budget"], team["budget_duration"], team["blocked"]) == (None, None, False)


async def test_calls_are_listed_as_they_were(till: Till) -> None:
    plain = till.key_id("plain")
    till.log.rows += [row(1, till.a, plain), row(2, till.a, till.key_id("a"), status=500, response_id=None)]
    assert [one["request_id"] for one in (await till.ask("GET", "/spend/logs", "plain")).body] == ["chatcmpl-1"]
    [failed, line] = (await till.ask("GET", "/spend/logs", "a")).body
    assert (failed["request_id"], failed["status"]) == (call_id(2), "failure")
    known = {
        "api_key": plain,
        "spend": 0.012345678,
        "total_tokens": 30,
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "startTime": "2026-05-01T01:46:40.250+00:00",
        "endTime": "2026-05-01T01:46:40.252+00:00",
        "model": "sandbox/echo",
        "model_group": "fast",
        "request_tags": ["alpha"],
        "status": "success",
    }
    assert {name: line[name] for name in known} == known
    assert [one["request_id"] for one in (await till.ask("GET", f"/spend/logs?api_key={plain}", "a")).body] == [
        "chatcmpl-1"
    ]
    assert (await till.ask("GET", f"/spend/logs?api_key={till.key_id('a')}", "plain")).body == []
    assert len((await till.ask("GET", "/spend/logs?request_id=chatcmpl-1", "plain")).body) == 1
    assert (await till.ask("GET", f"/spend/logs?request_id={call_id(2)}", "plain")).status == 404
    await till.ask("GET", "/spend/logs?start_date=2026-04-01&end_date=2026-04-30", "a")
    assert (till.log.asked[-1].since_ms, till.log.asked[-1].until_ms) == (1_775_001_600_000, 1_777_593_600_000)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/key/generate", {"budget_duration": "3d"}, "budget_duration"),
        ("/key/generate", {"max_budget": -1}, "max_budget"),
        ("/key/generate", {"duration": "soon"}, "duration"),
        ("/key/generate", {"models": [""]}, "models"),
        ("/key/generate", {"rpm_limit": 0}, "rpm_limit"),
        ("/key/generate", {"metadata": {"user": "x"}}, "metadata"),
        ("/key/generate", {"user_id": "u"}, "user_id"),
        ("/key/generate", {"soft_budget": 5}, "soft_budget"),
        ("/key/update", {"max_budget": 5}, "key"),
        ("/key/delete", {"keys": []}, "keys"),
        ("/team/new", {"team_alias": "t", "max_budget": 1e-10}, "max_budget"),
        ("/team/new", {"team_alias": "a\nb"}, "team_alias"),
        ("/team/new", {"members_with_roles": []}, "members_with_roles"),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(till: Till, path: str, body: dict[str, Any], param: str) -> None:
    reply = await till.ask("POST", path, "a", **body)
    assert (reply.status, reply.body["error"]["param"]) == (400, param), reply.text


async def test_a_team_that_is_not_there(till: Till) -> None:
    reply = await till.ask("POST", "/key/generate", "a", team_id=till.b)
    assert reply.refusal == (404, "account_not_found", "team_id")


@pytest.mark.parametrize("path", ["/user/new", "/budget/new", "/key/block", "/key/unblock"])
async def test_what_has_no_counterpart_says_what_to_do(till: Till, path: str) -> None:
    reply = await till.ask("POST", path, "a", user_id="u")
    assert reply.refusal[:2] == (400, "not_supported")
    assert (await till.ask("POST", path, "plain")).status == 403


@pytest.mark.parametrize("query", ["start_date=2026-02-30", "end_date=today", "end_date=9999-12-31", "user_id=x"])
async def test_days_that_there_are_not(till: Till, query: str) -> None:
    reply = await till.ask("GET", f"/spend/logs?{query}", "a")
    assert (reply.status, reply.body["error"]["param"]) == (400, query.partition("=")[0])


async def test_a_plain_key_sees_itself_alone(till: Till) -> None:
    assert (await till.ask("GET", "/key/info", "plain")).status == 200
    assert (await till.ask("GET", f"/key/info?key={till.key_id('plain')}", "plain")).status == 200
    assert (await till.ask("GET", f"/key/info?key={till.key_id('a')}", "plain")).status == 403
    for path in ("/key/generate", "/key/update", "/key/delete", "/team/new"):
        assert (await till.ask("POST", path, "plain")).refusal[:2] == (403, "scope_missing")
