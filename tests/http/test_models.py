from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, cast

import msgspec
import pytest

from trunkline.catalog.catalog import load_catalog
from trunkline.catalog.prices import Price, PriceTier
from trunkline.catalog.providers import PROVIDERS
from trunkline.errors import Forbidden, InvalidRequest, NotFound, Unauthenticated
from trunkline.http import models
from trunkline.http.asgi import Message, Receive, Scope, Send
from trunkline.http.door import Door
from trunkline.http.model_filter import ModelFilter
from trunkline.http.models import UNDATED, ModelLists, ModelRoutes, Page, Wanted, page_of, read_query
from trunkline.ids import AccountId, KeyId
from trunkline.money import NanosPerMillion
from trunkline.pipeline.identity import KeyTable
from trunkline.policy import metering
from trunkline.ports.keys import KeyRecord
from trunkline.routing.table import Available, Listing, RouteOptions, RouteTable
from trunkline.wire import openai_models
from trunkline.wire.usage import Usage

CATALOG = load_catalog(dt.date(2026, 11, 21))
KEY = "sk-tl-test"


def table(*rows: str, aliases: dict[str, tuple[str, ...]] | None = None) -> RouteTable:
    routes = {name: RouteOptions(deployments=targets) for name, targets in (aliases or {}).items()}
    return RouteTable(
        CATALOG, Available(providers={name: PROVIDERS[name] for name in ("sandbox", *rows)}, aliases=routes)
    )


def record(*globs: str) -> KeyRecord:
    return KeyRecord(digest=b"", key_id=KeyId("key_x"), account_id=AccountId("acct_x"), name="x", models=globs)


class Keys:
    """The part of KeyTable that the door uses."""

    def __init__(self, *globs: str) -> None:
        self._record = record(*globs)

    def get(self, credential: str) -> KeyRecord | None:
        return self._record if credential == KEY else None

    async def lookup(self, credential: str) -> KeyRecord:
        raise Unauthenticated("Wrong key.")


class Answer(msgspec.Struct):
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


async def nothing() -> Message:
    raise AssertionError("no body is read here")


async def no_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("nothing is started here")


async def get(
    path: str, routes: RouteTable, *globs: str, query: str = "", key: str = KEY, version: str | None = None
) -> Answer:
    door = Door(cast("KeyTable", Keys(*globs)), None, no_lifespan)
    return await got(ModelRoutes(door, lambda: routes), path, query, key, version)


async def got(served: ModelRoutes, path: str, query: str = "", key: str = KEY, version: str | None = None) -> Answer:
    headers = [(b"authorization", b"Bearer " + key.encode())]
    if version is not None:
        headers.append((b"anthropic-version", version.encode()))
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": headers}
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await (served.list if path == "/v1/models" else served.show)(scope, nothing, send)
    start, body = sent
    return Answer(start["status"], dict(start["headers"]), body["body"])


async def test_the_list_in_openais_shape() -> None:
    answer = await get("/v1/models", table("openai", aliases={"fast": ("openai/gpt-4o", "sandbox/echo")}))
    assert answer.status == 200
    assert answer.headers[b"content-type"] == b"application/json"
    assert answer.headers[b"x-request-id"]
    listed = answer.json()
    assert listed["object"] == "list"
    by_id = {model["id"]: model for model in listed["data"]}
    assert len(by_id) == len(listed["data"])
    gpt, alias, echo = by_id["openai/gpt-4o"], by_id["fast"], by_id["sandbox/echo"]
    assert gpt == {
        **gpt,
        "object": "model",
        "created": 1_715_558_400,
        "owned_by": "openai",
        "provider": "openai",
        "context_window": 128_000,
        "max_output_tokens": 16_384,
        "modalities": {"input": ["text", "image"], "output": ["text"]},
    }
    assert gpt["capabilities"]["tools"] is True
    assert gpt["pricing"] == {**gpt["pricing"], "input": 2.5, "cached_input": 1.25, "output": 10}
    assert alias["provider"] == "openai"
    assert alias["context_window"] == 128_000
    assert gpt["pricing"]["variants"]["batch"]["input"] == 1.25
    assert gpt["pricing_version"].startswith("genai-prices ")
    assert gpt["context_length"] == gpt["context_window"]
    assert echo["pricing"]["input"] == 0


async def test_a_model_without_a_price_says_so() -> None:
    row = PROVIDERS["openai"]
    routes = RouteTable(CATALOG, Available(providers={"office": row}, reported={"office": ("llama",)}))
    by_id = {model["id"]: model for model in (await get("/v1/models", routes)).json()["data"]}
    assert by_id["office/llama"]["pricing"] is by_id["office/llama"]["pricing_version"] is None


async def test_a_caller_sees_what_he_pays() -> None:
    routes = table("openai")

    async def priced(path: str, markup: int) -> Any:
        door = Door(cast("KeyTable", Keys()), None, no_lifespan)
        answer = await got(ModelRoutes(door, lambda: routes, lambda record: markup), path)
        found = answer.json()
        return found if "data" not in found else {model["id"]: model for model in found["data"]}["openai/gpt-4o"]

    for path in ("/v1/models", "/v1/models/openai/gpt-4o"):
        plain, more, less = [await priced(path, markup) for markup in (0, 50_000, -100_000)]
        assert [one["pricing"]["input"] for one in (plain, more, less)] == [2.5, 2.625, 2.25]
        assert more["pricing"]["variants"]["batch"]["output"] == 5.25
        assert len({one["pricing_version"] for one in (plain, more, less)}) == 3


def test_what_is_shown_is_what_is_charged() -> None:
    """A million tokens of each kind cost the figure that the list shows."""
    price = Price(
        version="v",
        input=NanosPerMillion(2_000_000_001),
        cached_input=NanosPerMillion(1_000_000_003),
        output=NanosPerMillion(7_000_000_007),
        tiers=(PriceTier(above_input_tokens=1_500_000, input=NanosPerMillion(3_000_000_009)),),
        batch_discount_millionths=500_000,
    )
    shown = models.pricing(price, 50_000)
    tariff = metering.tariff_of(price, 50_000)
    assert tariff is not None
    nano = 10 ** (openai_models.PRICE_PLACES - 9)
    for usage, figures, kind, batch in (
        (Usage(input_tokens=10**6, output_tokens=0), shown.figures, "input", False),
        (Usage(input_tokens=10**6, output_tokens=0, cached_input_tokens=10**6), shown.figures, "cached_input", False),
        (Usage(input_tokens=0, output_tokens=10**6), shown.figures, "output", False),
        (Usage(input_tokens=0, output_tokens=10**6), shown.variants["batch"], "output", True),
    ):
        assert metering.cost(tariff, usage, batch=batch).cost_nanos == round(Fraction(figures[kind], nano))
    assert shown.tiers == [(1_500_000, {"input": 3_000_000_009 * 1_050_000 * 10**6})]
    assert shown.version == tariff.version


async def test_filters_of_the_list() -> None:
    routes = table("openai", "anthropic")

    async def seen(query: str, version: str | None = None) -> list[str]:
        answer = await get("/v1/models", routes, query=query, version=version)
        return [model["id"] for model in answer.json()["data"]]

    assert {one.partition("/")[0] for one in await seen("provider=anthropic")} == {"anthropic"}
    assert {one.partition("/")[0] for one in await seen("provider=Anthropic&limit=9", "2023-06-01")} == {"anthropic"}
    assert await seen("provider=sandbox&modality=image,text&capability=vision") == ["sandbox/vision"]
    assert await seen("provider=google") == []
    assert len(await seen("all=true&provider=google")) > 10


@pytest.mark.parametrize(
    ("query", "said"),
    [("provider=opanai", "openai"), ("modality=smell", "text"), ("capability=tools,fly", "json_schema")],
)
async def test_a_filter_that_nothing_fits_is_refused(query: str, said: str) -> None:
    answer = await get("/v1/models", table("openai"), query=query)
    assert answer.status == 400
    assert answer.json()["error"]["param"] == query.partition("=")[0]
    assert said in answer.json()["error"]["message"]


async def test_what_is_not_known_is_null_and_a_day_is_always_given() -> None:
    (model,) = [
        one for one in (await get("/v1/models", table("openai"))).json()["data"] if one["id"] == "openai/gpt-4-32k"
    ]
    assert model["max_output_tokens"] is None
    assert model["modalities"] == {"input": None, "output": None}
    assert model["capabilities"]["tools"] is None
    assert model["created"] == UNDATED > 10**9


async def test_the_list_in_anthropics_shape() -> None:
    answer = await get("/v1/models", table("anthropic"), query="limit=2", version="2023-06-01")
    listed = answer.json()
    assert [model["type"] for model in listed["data"]] == ["model", "model"]
    assert {"id", "display_name", "created_at"} <= set(listed["data"][0])
    assert listed["has_more"] is True
    assert (listed["first_id"], listed["last_id"]) == tuple(model["id"] for model in listed["data"])


async def test_anthropics_pages_together_are_the_list_in_both_directions() -> None:
    routes = table("anthropic", aliases={"fast": ("echo",)})
    whole = [line.id for line in routes.listing()]

    async def pages(step: str, end: str) -> list[list[str]]:
        query, found = "limit=7", []
        while True:
            page = (await get("/v1/models", routes, query=query, version="2023-06-01")).json()
            found.append([model["id"] for model in page["data"]])
            if not page["has_more"]:
                return found
            query = f"limit=7&{step}={page[end]}"

    assert [one for page in await pages("after_id", "last_id") for one in page] == whole
    backwards = await get("/v1/models", routes, query=f"limit=7&before_id={whole[-1]}", version="2023-06-01")
    assert [model["id"] for model in backwards.json()["data"]] == whole[-8:-1]


LINES = [Listing(id=f"m{n}", provider_id="p") for n in range(5)]


@pytest.mark.parametrize(
    ("page", "expected", "more"),
    [
        (Page(limit=2), ["m0", "m1"], True),
        (Page(limit=5), ["m0", "m1", "m2", "m3", "m4"], False),
        (Page(limit=2, after_id="m2"), ["m3", "m4"], False),
        (Page(limit=1, after_id="M2"), ["m3"], True),
        (Page(limit=2, after_id="m4"), [], False),
        (Page(limit=2, before_id="m4"), ["m2", "m3"], True),
        (Page(limit=9, before_id="m2"), ["m0", "m1"], False),
        (Page(limit=2, before_id="m0"), [], False),
    ],
)
def test_a_page(page: Page, expected: Sequence[str], more: bool) -> None:
    lines, has_more = page_of(LINES, page)
    assert [line.id for line in lines] == expected
    assert has_more is more


@pytest.mark.parametrize(
    ("query", "param"),
    [
        (b"all=perhaps", "all"),
        (b"limit=0", "limit"),
        (b"limit=1001", "limit"),
        (b"limit=x", "limit"),
        (b"limit=", "limit"),
        (b"limit=-1", "limit"),
        (b"limit=%D9%A3", "limit"),
        (b"after_id=a&before_id=b", "before_id"),
    ],
)
def test_a_wrong_query_is_refused_by_name(query: bytes, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_query(query)
    assert caught.value.param == param


def test_a_right_query() -> None:
    assert read_query(b"") == (Wanted(), Page())
    asked = read_query(b"all=true&limit=5&after_id=a%2Fb&other=1")
    assert asked == (Wanted(everything=True), Page(limit=5, after_id="a/b"))
    assert read_query(b"all=TRUE")[0].everything
    assert not read_query(b"all=0")[0].everything
    only = ModelFilter(provider="openai", modality="image", capability="tools")
    assert read_query(b"provider=openai&modality=image&capability=tools")[0] == Wanted(only=only)


def test_an_id_that_is_not_in_the_list_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="after_id"):
        page_of(LINES, Page(after_id="m9"))


async def test_a_key_sees_what_it_may_call() -> None:
    routes = table("openai", aliases={"fast": ("openai/gpt-4o", "sandbox/echo"), "slow": ("sandbox/story",)})

    async def seen(*globs: str) -> set[str]:
        return {model["id"] for model in (await get("/v1/models", routes, *globs)).json()["data"]}

    assert await seen("sandbox/echo") == {"sandbox/echo", "fast"}
    assert await seen("FAST") == {"fast"}
    assert {one.partition("/")[0] for one in await seen("openai/*")} == {"openai", "fast"}
    assert await seen("nothing") == set()
    assert len(await seen()) > 100


async def test_all_is_the_whole_catalog_for_every_key() -> None:
    answer = await get("/v1/models", table(), "sandbox/echo", query="all=true")
    assert len(answer.json()["data"]) == len(CATALOG.models)


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("sandbox/echo", "sandbox/echo"),
        ("Sandbox/ECHO", "sandbox/echo"),
        ("echo", "sandbox/echo"),
        ("FAST", "fast"),
        ("openai/gpt-4o-2024-11-20", "openai/gpt-4o-2024-11-20"),
    ],
)
async def test_one_model_in_both_shapes(asked: str, shown: str) -> None:
    routes = table("openai", aliases={"fast": ("openai/gpt-4o",)})
    openai = await get(f"/v1/models/{asked}", routes)
    assert openai.status == 200
    assert (openai.json()["id"], openai.json()["object"]) == (shown, "model")
    anthropic = await get(f"/v1/models/{asked}", routes, version="2023-06-01")
    assert (anthropic.json()["id"], anthropic.json()["type"]) == (shown, "model")


@pytest.mark.parametrize("asked", ["no-such/model-7", "sandbox/ecoh", "openai/gpt-4o", "x" * 5000])
async def test_an_unknown_model_is_404_in_both_shapes(asked: str) -> None:
    openai = await get(f"/v1/models/{asked}", table())
    assert openai.status == 404
    assert openai.json()["error"]["code"] == "model_not_found"
    anthropic = await get(f"/v1/models/{asked}", table(), version="2023-06-01")
    assert anthropic.status == 404
    assert anthropic.json()["error"]["type"] == "not_found_error"


def test_a_model_that_nothing_is_known_of_is_not_shown() -> None:
    with pytest.raises(NotFound, match="Nothing is known of the model 'openai/gpt-99'"):
        ModelLists(table("openai")).one(record(), "openai/gpt-99")


def test_a_model_that_the_key_may_not_use_is_not_shown() -> None:
    lists = ModelLists(table("openai", aliases={"fast": ("openai/gpt-4o", "sandbox/echo")}))
    with pytest.raises(Forbidden):
        lists.one(record("sandbox/*"), "openai/gpt-4o")
    assert lists.one(record("sandbox/*"), "fast").provider_id == "sandbox"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/sandbox/echo", "/v1/models/no-such"])
async def test_without_a_key_nothing_is_told(path: str) -> None:
    answer = await get(path, table(), key="sk-wrong")
    assert answer.status == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert b"no-such" not in answer.body


def test_lists_are_made_once_and_few_are_kept() -> None:
    lists = ModelLists(table())
    assert lists.openai((), Wanted()) is lists.openai((), Wanted())
    assert lists.openai((), Wanted(everything=True)) is lists.openai(("sandbox/*",), Wanted(everything=True))
    assert lists.openai((), Wanted()) is not lists.openai((), Wanted(), 50_000)
    for n in range(100):
        lists.openai((f"glob-{n}",), Wanted())
    assert len(lists._known) == models.MEMO_ENTRIES


async def test_a_reload_is_seen_at_once() -> None:
    tables = [table()]
    served = ModelRoutes(Door(cast("KeyTable", Keys()), None, no_lifespan), lambda: tables[-1])
    before = served.lists().openai((), Wanted())
    tables.append(table("openai"))
    assert len(served.lists().openai((), Wanted())) > len(before)
