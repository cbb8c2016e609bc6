"""One call by any of its ids, the log page by page, and nobody sees what is not theirs."""

from __future__ import annotations

import msgspec
import pytest

from tests.http.browser import Page, ask
from tests.http.callers import CHILD, OTHER, SERVICES, Log, row
from trunkline.http.admin import create_admin
from trunkline.http.asgi import Application
from trunkline.http.generation import API_TYPES, generation_routes
from trunkline.ids import KeyId, call_id
from trunkline.ports.reports import CallQuery


@pytest.fixture
def log() -> Log:
    return Log([row(1, CHILD, "plain"), row(2, CHILD, "second"), row(3, OTHER, "stranger"), row(4, CHILD, "plain")])


@pytest.fixture
def application(log: Log) -> Application:
    return create_admin(SERVICES, further=generation_routes(log))


async def get(application: Application, target: str, caller: str) -> Page:
    return await ask(application, "GET", target, {"x-api-key": caller})


@pytest.mark.parametrize("given", [call_id(1), "chatcmpl-1", "req-1"])
@pytest.mark.parametrize(
    ("caller", "status"),
    [("plain", 200), ("manager", 200), ("viewer", 200), ("admin", 200), ("second", 404), ("stranger", 404)],
)
async def test_a_call_is_found_by_each_of_its_ids(
    application: Application, given: str, caller: str, status: int
) -> None:
    page = await get(application, f"/v1/generation?id={given}", caller)
    assert page.status == status
    answer = msgspec.json.decode(page.body)
    if status == 200:
        assert (answer["data"]["id"], answer["data"]["call_id"]) == ("chatcmpl-1", call_id(1))
    else:
        assert (answer["error"]["code"], answer["error"]["param"]) == ("generation_not_found", "id")


async def test_a_generation_has_every_field_of_openrouter(application: Application) -> None:
    page = await get(application, "/api/v1/generation?id=chatcmpl-4", "plain")
    assert b'"total_cost":0.012345678,' in page.body
    assert b'"upstream_inference_cost":null,' in page.body, "what is earned with the markup is the operator's"
    assert b'"upstream_inference_cost":0.01,' in (await get(application, "/v1/generation?id=chatcmpl-4", "admin")).body
    data = msgspec.json.decode(page.body)["data"]
    known = {
        "created_at": "2026-05-01T01:46:40.250Z",
        "model": "sandbox/echo",
        "provider_name": "sandbox",
        "streamed": True,
        "cancelled": False,
        "latency": 2.017,
        "generation_time": 2.0,
        "finish_reason": "stop",
        "tokens_prompt": 10,
        "tokens_completion": 20,
        "native_tokens_prompt": 10,
        "native_tokens_completion": 20,
        "native_tokens_reasoning": 5,
        "native_tokens_cached": 4,
        "api_type": "completions",
        "user_agent": "client/1",
        "external_user": "user-7",
        "is_byok": False,
        "upstream_id": None,
        "native_finish_reason": None,
        "num_search_results": None,
        "service_tier": None,
    }
    assert {name: data[name] for name in known} == known
    listed = """id upstream_id total_cost usage cache_discount upstream_inference_cost created_at model provider_name
    provider_responses router streamed cancelled latency generation_time moderation_latency finish_reason
    native_finish_reason tokens_prompt tokens_completion native_tokens_prompt native_tokens_completion
    native_tokens_reasoning native_tokens_cached native_tokens_completion_images num_media_prompt num_media_completion
    num_input_audio_prompt num_search_results num_fetches is_byok api_type app_id origin http_referer user_agent
    external_user preset_id service_tier data_region web_search_engine"""
    assert not set(listed.split()) - set(data)


async def test_a_caller_who_left_is_told_apart(log: Log, application: Application) -> None:
    log.rows.append(row(5, CHILD, "plain", status=499, response_id=None, endpoint="rerank"))
    data = msgspec.json.decode((await get(application, f"/v1/generation?id={call_id(5)}", "plain")).body)["data"]
    assert (data["id"], data["cancelled"], data["api_type"]) == (call_id(5), True, None)
    assert "rerank" not in API_TYPES


@pytest.mark.parametrize(
    ("caller", "numbers"),
    [("plain", [4, 1]), ("second", [2]), ("manager", [4, 2, 1]), ("viewer", [4, 2, 1]), ("admin", [4, 3, 2, 1])],
)
@pytest.mark.parametrize("path", ["/v1/requests", "/v1/usage/recent"])
async def test_each_sees_the_calls_that_are_theirs(
    application: Application, caller: str, numbers: list[int], path: str
) -> None:
    answer = msgspec.json.decode((await get(application, path, caller)).body)
    assert [one["id"] for one in answer["data"]] == [call_id(number) for number in numbers]
    assert (answer["object"], answer["has_more"], answer["next"]) == ("list", False, None)


async def test_a_plain_key_cannot_ask_for_anothers(log: Log, application: Application) -> None:
    answer = msgspec.json.decode((await get(application, "/v1/requests?key_id=second", "plain")).body)
    assert (answer["data"], log.asked[-1].keys) == ([], ())


async def test_pages_follow_one_another(application: Application) -> None:
    seen: list[str] = []
    target = "/v1/requests?limit=1"
    for _ in range(5):
        answer = msgspec.json.decode((await get(application, target, "manager")).body)
        seen += [one["id"] for one in answer["data"]]
        assert (answer["first_id"], answer["last_id"]) == (seen[-1], seen[-1])
        if answer["next"] is None:
            break
        target = f"/v1/requests?limit=1&after={answer['next']}"
    assert seen == [call_id(number) for number in (4, 2, 1)]


async def test_a_line_says_it_all(application: Application) -> None:
    page = await get(application, "/v1/usage/recent?limit=1", "plain")
    assert b'"cost_cents":1.2345678,"cost_usd":0.012345678,' in page.body
    [line] = msgspec.json.decode(page.body)["data"]
    assert (line["latency_ms"], line["first_event_ms"], line["created_at"]) == (2.017, 1.4, 1_777_600_000)
    assert line["warnings"] == ["dropped logit_bias", "clamped max_tokens"]
    assert line["timings_us"] == {
        "identify": 1,
        "read": 2,
        "route": 3,
        "admit": 4,
        "send": 1_500,
        "relay": 500,
        "settle": 7,
        "total": 2_017,
    }
    assert line["first_event_ms"] is not None


async def test_filters_reach_the_log(log: Log, application: Application) -> None:
    target = f"/v1/requests?model=m&tag=t&key_id=k&account_id={CHILD}&status=4xx&start_time=5&end_time=6&limit=7"
    await get(application, target, "admin")
    assert log.asked == [
        CallQuery(
            accounts=(CHILD,),
            keys=(KeyId("k"),),
            models=("m",),
            tags=("t",),
            status_class=4,
            since_ms=5_000,
            until_ms=6_000,
            limit=7,
        )
    ]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("after=x", "after"),
        ("status=9", "status"),
        ("colour=1", "colour"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(application: Application, query: str, param: str) -> None:
    page = await get(application, f"/v1/requests?{query}", "plain")
    assert (page.status, msgspec.json.decode(page.body)["error"]["param"]) == (400, param)


async def test_an_id_must_be_given(application: Application) -> None:
    for query in ("", "?id="):
        page = await get(application, "/v1/generation" + query, "plain")
        assert (page.status, msgspec.json.decode(page.body)["error"]["param"]) == (400, "id")
