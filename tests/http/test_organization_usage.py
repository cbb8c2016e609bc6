"""Usage and costs through OpenAI's own client: its buckets, groups, limits and pages, over what the ledger sums up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import openai
import pytest

from tests.http.organization_house import Organization
from trunkline import clock
from trunkline.http.organization_usage import REPORTS
from trunkline.ports.audit import CLI
from trunkline.ports.keys import Grant
from trunkline.ports.reports import Sums, UsageBucket, UsageQuery, UsageResult

NOW: Final = 1_800_000_000
DAY: Final = 86_400
TODAY: Final = NOW // DAY * DAY
KINDS: Final = [report.path for report in REPORTS]
USED: Final = Sums(
    requests=3,
    input_tokens=100,
    cached_input_tokens=30,
    cache_write_tokens=20,
    output_tokens=40,
    reasoning_tokens=5,
    input_audio_tokens=7,
    output_audio_tokens=8,
    images=2,
    cost_nanos=1_234_567_891,
)


@pytest.fixture(autouse=True)
def frozen(monkeypatch: pytest.MonkeyPatch, organization: Organization) -> Iterator[None]:
    monkeypatch.setattr(clock, "now_s", lambda: float(NOW))
    reports = organization.house.reports
    reports.asked, reports.buckets, reports.next_page = [], (), None
    yield
    reports.asked, reports.buckets, reports.next_page = [], (), None


def asked(organization: Organization) -> UsageQuery:
    return organization.house.reports.asked[-1]


def answering(organization: Organization, *results: UsageResult, next_page: str | None = None) -> None:
    reports = organization.house.reports
    reports.buckets = (
        UsageBucket(start_s=TODAY - DAY, end_s=TODAY, results=()),
        UsageBucket(start_s=TODAY, end_s=TODAY + DAY, results=results),
    )
    reports.next_page = next_page


async def used(organization: Organization, kind: str, **wanted: Any) -> Any:
    wanted = {"start_time": TODAY - DAY, **wanted}
    return await getattr(organization.client.admin.organization.usage, kind)(**wanted)


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_has_buckets_and_a_next_page(organization: Organization, kind: str) -> None:
    answering(organization, next_page="further")
    page = await used(organization, kind, page="here")
    assert [(bucket.start_time, bucket.end_time, bucket.results) for bucket in page.data] == [
        (TODAY - DAY, TODAY, []),
        (TODAY, TODAY + DAY, []),
    ]
    assert (page.has_more, page.next_page) == (True, "further")
    query = asked(organization)
    assert (query.root, query.page) == (organization.id, "here")
    assert (query.start_s, query.end_s, query.width, query.limit) == (TODAY - DAY, TODAY + DAY, "1d", 7)


@pytest.mark.parametrize(
    ("width", "default", "most", "seconds"), [("1m", 60, 1440, 60), ("1h", 24, 168, 3600), ("1d", 7, 31, DAY)]
)
async def test_limits_are_openais(
    organization: Organization, width: str, default: int, most: int, seconds: int
) -> None:
    await used(organization, "embeddings", bucket_width=width)
    assert (asked(organization).limit, asked(organization).width) == (default, width)
    assert asked(organization).end_s % seconds == 0
    assert NOW < asked(organization).end_s <= NOW + seconds
    await used(organization, "embeddings", bucket_width=width, limit=most)
    assert asked(organization).limit == most
    with pytest.raises(openai.BadRequestError) as refused:
        await used(organization, "embeddings", bucket_width=width, limit=most + 1)
    assert refused.value.param == "limit"


async def test_completions_are_all_that_has_no_report_of_its_own(organization: Organization) -> None:
    answering(
        organization,
        UsageResult(sums=USED, endpoint="chat"),
        UsageResult(sums=USED, endpoint="messages"),
        UsageResult(sums=USED, endpoint="rerank"),
        UsageResult(sums=USED, endpoint="embeddings"),
        UsageResult(sums=USED, endpoint="images"),
        UsageResult(sums=Sums(errors=4), endpoint="generate"),
    )
    page = await used(organization, "completions")
    assert asked(organization).group_by == ("endpoint",)
    assert page.data[0].results == []
    [result] = page.data[1].results
    assert result.object == "organization.usage.completions.result"
    assert (result.input_tokens, result.input_cached_tokens, result.input_cache_write_tokens) == (300, 90, 60)
    assert result.input_uncached_tokens == 150
    assert (result.output_tokens, result.input_audio_tokens, result.output_audio_tokens) == (120, 21, 24)
    assert (result.num_model_requests, result.project_id, result.model) == (9, None, None)


async def test_groups(organization: Organization) -> None:
    [project_id] = await organization.projects()
    house = organization.house
    owner = house.users.add("a@example.com", "a", "member", by=organization.by, within=organization.id)
    keys = [house.keys.create(Grant(account_id=project_id, owner_id=owner.id), by=CLI).id for _ in range(2)]
    keys.append(house.keys.create(Grant(account_id=project_id), by=CLI).id)
    answering(
        organization,
        *(
            UsageResult(
                sums=USED,
                account_id=project_id,
                key_id=key,
                model="m",
                batch=False,
                service_tier="flex",
                endpoint="chat",
            )
            for key in keys
        ),
    )
    everything = ["project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source"]
    page = await used(organization, "completions", group_by=everything)
    assert asked(organization).group_by == ("account", "key", "model", "batch", "service_tier", "endpoint")
    results = page.data[1].results
    assert [(one.api_key_id, one.user_id) for one in results] == [
        (keys[0], owner.id),
        (keys[1], owner.id),
        (keys[2], None),
    ]
    assert {(one.project_id, one.model, one.batch, one.service_tier, one.api_source) for one in results} == {
        (project_id, "m", False, "flex", "unlabeled")
    }
    by_user = (await used(organization, "completions", group_by=["user_id"])).data[1].results
    assert [(one.user_id, one.num_model_requests, one.api_key_id) for one in by_user] == [
        (owner.id, 6, None),
        (None, 3, None),
    ]


async def test_filters(organization: Organization) -> None:
    [project_id] = await organization.projects()
    house = organization.house
    owner = house.users.add("a@example.com", "a", "member", by=organization.by, within=organization.id)
    key, ended = (house.keys.create(Grant(account_id=project_id, owner_id=owner.id), by=CLI).id for _ in range(2))
    house.keys.revoke(ended, by=CLI)
    await used(
        organization,
        "completions",
        end_time=TODAY,
        project_ids=[project_id, "acct_other"],
        api_key_ids=["key_x"],
        models=["openai/gpt-4.1"],
        batch=False,
    )
    query = asked(organization)
    assert (query.accounts, query.keys, query.models) == ((project_id, "acct_other"), ("key_x",), ("openai/gpt-4.1",))
    assert (query.batch, query.end_s, query.endpoints) == (False, TODAY, None)
    await used(organization, "embeddings", user_ids=[owner.id])
    assert set(asked(organization).keys or ()) == {key, ended}
    await used(organization, "embeddings", user_ids=[owner.id], api_key_ids=[ended, "key_x"])
    assert asked(organization).keys == (ended,)
    await used(organization, "embeddings", user_ids=["user_nobody"])
    assert asked(organization).keys == ()
    await used(organization, "embeddings")
    assert (asked(organization).keys, asked(organization).endpoints) == (None, ("embeddings",))


async def test_kinds_have_their_own_counts(organization: Organization) -> None:
    answering(organization, UsageResult(sums=USED))
    for kind, counts in (
        ("embeddings", {"input_tokens": 100}),
        ("moderations", {"input_tokens": 100}),
        ("images", {"images": 2}),
        ("audio_speeches", {"characters": 0}),
        ("audio_transcriptions", {"seconds": 0}),
    ):
        [result] = (await used(organization, kind)).data[1].results
        assert result.object == f"organization.usage.{kind}.result"
        assert result.num_model_requests == 3
        assert {name: getattr(result, name) for name in counts} == counts
    assert asked(organization).endpoints == ("transcriptions", "translations")


async def test_sources_of_images(organization: Organization) -> None:
    answering(organization, UsageResult(sums=USED, endpoint="images"), UsageResult(sums=USED, endpoint="image_edits"))
    results = (await used(organization, "images", group_by=["source", "size"])).data[1].results
    assert [(one.source, one.size) for one in results] == [("image.generation", None), ("image.edit", None)]
    await used(organization, "images", sources=["image.edit"])
    assert asked(organization).endpoints == ("image_edits",)
    await used(organization, "images", sources=["image.variation"])
    assert asked(organization).endpoints == ()
    with pytest.raises(openai.BadRequestError) as refused:
        await used(organization, "images", sizes=["1024x1024"])
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "sizes")


@pytest.mark.parametrize(
    "kind",
    ["vector_stores", "code_interpreter_sessions", "file_search_calls", "web_search_calls", "decisions"],
)
async def test_what_is_never_used_is_asked_of_no_endpoint(organization: Organization, kind: str) -> None:
    await used(organization, kind, group_by=["project_id"], project_ids=["p"])
    assert asked(organization).endpoints == ()


async def test_costs(organization: Organization) -> None:
    [project_id] = await organization.projects()
    tokens = msgspec.structs.replace(USED, images=0)
    images = Sums(requests=1, images=2, cost_nanos=40_000_000)
    answering(
        organization,
        UsageResult(sums=tokens, account_id=project_id, model="openai/gpt-4.1"),
        UsageResult(sums=images, account_id=project_id, model="openai/gpt-image-1"),
        UsageResult(sums=USED, account_id=project_id, model="openai/both"),
        UsageResult(sums=Sums(errors=3), account_id=project_id, model="openai/o1"),
    )
    usage = organization.client.admin.organization.usage
    page = await usage.costs(start_time=TODAY, group_by=["project_id", "line_item"], line_items=["a"], limit=180)
    query = asked(organization)
    assert (query.group_by, query.models, query.limit, query.width) == (("account", "model"), ("a",), 180, "1d")
    results: Any = page.data[1].results
    assert [(one.project_id, one.line_item, one.quantity, one.quantity_unit) for one in results] == [
        (project_id, "openai/gpt-4.1", 140, "tokens"),
        (project_id, "openai/gpt-image-1", 2, "images"),
        (project_id, "openai/both", None, None),
    ]
    assert [(one.amount.value, one.amount.currency) for one in results] == [
        (value, "usd") for value in (1.234567891, 0.04, 1.234567891)
    ]
    raw = await organization.ask("GET", f"/v1/organization/costs?start_time={TODAY}")
    assert b'"value":2.509135782,"currency":"usd"' in raw.body, "nothing is lost on the way to JSON"
    with pytest.raises(openai.BadRequestError) as refused:
        await usage.costs(start_time=TODAY, limit=181)
    assert refused.value.param == "limit"


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("", "start_time"),
        ("start_time=yesterday", "start_time"),
        ("start_time=-1", "start_time"),
        (f"start_time={TODAY}&end_time={TODAY}", "end_time"),
        (f"start_time={TODAY}&end_time=soon", "end_time"),
        (f"start_time={TODAY + 9 * DAY}", "start_time"),
        (f"start_time={TODAY}&bucket_width=1w", "bucket_width"),
        (f"start_time={TODAY}&limit=0", "limit"),
        (f"start_time={TODAY}&group_by[]=model&group_by[]=colour", "group_by[1]"),
        (f"start_time={TODAY}&batch=perhaps", "batch"),
        (f"start_time={TODAY}&colour=red", "colour"),
    ],
)
async def test_queries_that_do_not_fit(organization: Organization, query: str, param: str) -> None:
    answer = await organization.ask("GET", f"/v1/organization/usage/completions?{query}")
    assert (answer.status, answer.error["param"]) == (400, param)


async def test_others_keys_have_no_owner_here(organization: Organization) -> None:
    theirs = organization.house.organization("another")
    answering(organization, UsageResult(sums=USED, key_id=theirs.admin_key_id, endpoint="chat"))
    [result] = (await used(organization, "completions", group_by=["user_id"])).data[1].results
    assert result.user_id is None
