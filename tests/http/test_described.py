"""What is sent is read strictly, what is wrong is named, and the description is made of the same structs."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from tests.http.browser import ask, send
from tests.http.test_admin import ADMIN, House
from trunkline.http.admin import PUBLIC, create_admin
from trunkline.http.asgi import Application
from trunkline.http.described import Call, described, read_body, read_query, reply
from trunkline.wire.amounts import Dollars, dollars


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: int


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(max_length=5)]
    limit: Decimal | None = None
    parts: list[Part] = []


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=10, description="How many.")] = 3
    deep: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    name: str
    cost: Dollars
    part: Part


def routes() -> list[HTTPRouteHandler]:
    @post("/things", opt=PUBLIC, tags=["x"], operation_class=described(Answer, body=Asked))
    async def make(request: Call) -> Response[bytes]:
        asked = await read_body(request, Asked)
        return reply(Answer(name=asked.name, cost=dollars(1), part=Part(len(asked.parts))), 201)

    @get("/things/{thing_id:str}", opt=PUBLIC, tags=["x"], operation_class=described(Answer, query=Filter))
    async def show(request: Call, thing_id: str) -> Response[bytes]:
        asked = read_query(request, Filter)
        return reply(Answer(name=thing_id, cost=dollars(None), part=Part(asked.limit + asked.deep)))

    return [make, show]


@pytest.fixture
def application() -> Application:
    return create_admin(House().services(), further=routes())


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"{}", "name", "missing_required_parameter"),
        (b"", "name", "missing_required_parameter"),
        (b'{"name": "n", "colour": 1}', "colour", "unknown_parameter"),
        (b'{"name": "n", "Limit": 1}', "Limit", "unknown_parameter"),
        (b'{"name": "n", "name": "m"}', "name", "duplicate_field"),
        (b'{"name": "too long"}', "name", "string_above_max_length"),
        (b'{"name": 5}', "name", "invalid_type"),
        (b'{"name": "n", "limit": true}', "limit", "invalid_type"),
        (b'{"name": "n", "parts": [{"size": 1}, {"size": "2"}]}', "parts[1].size", "invalid_type"),
        (b"[]", None, "invalid_type"),
        (b'{"name": ', None, "invalid_json"),
        (b"\xff", None, "invalid_json"),
        (b'{"parts": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "invalid_json"),
    ],
)
async def test_a_body_that_is_wrong_is_refused_by_its_field(
    application: Application, body: bytes, param: str | None, code: str
) -> None:
    page = await send(application, "POST", "/things", {}, body)
    error = msgspec.json.decode(page.body)["error"]
    assert (page.status, error["param"], error["code"]) == (400, param, code)


async def test_a_body_of_another_kind_is_refused(application: Application) -> None:
    page = await send(application, "POST", "/things", {"content-type": "text/plain"}, b'{"name": "n"}')
    assert page.status == 415


@pytest.mark.parametrize(
    ("query", "status", "found"),
    [
        ("", 200, 3),
        ("?limit=10&deep=true", 200, 11),
        ("?limit=11", 400, "limit"),
        ("?limit=x", 400, "limit"),
        ("?limit=1&limit=2", 400, "limit"),
        ("?depth=1", 400, "depth"),
        ("?deep=perhaps", 400, "deep"),
    ],
)
async def test_a_query_is_read_as_strictly(application: Application, query: str, status: int, found: int | str) -> None:
    page = await ask(application, "GET", "/things/a" + query)
    answer = msgspec.json.decode(page.body)
    assert (page.status, answer["part"]["size"] if status == 200 else answer["error"]["param"]) == (status, found)


async def test_the_description_says_the_same(application: Application) -> None:
    page = await ask(application, "GET", "/openapi.json", ADMIN)
    paths: dict[str, Any] = msgspec.json.decode(page.body)["paths"]
    made = paths["/things"]["post"]
    asked = made["requestBody"]["content"]["application/json"]["schema"]
    assert (made["requestBody"]["required"], set(asked["properties"])) == (True, {"name", "limit", "parts"})
    assert asked["additionalProperties"] is False
    answer = made["responses"]["201"]["content"]["application/json"]["schema"]
    assert (answer["properties"]["cost"]["type"], answer["properties"]["part"]["type"]) == ("number", "object")
    shown = paths["/things/{thing_id}"]["get"]
    assert {one["name"]: one["in"] for one in shown["parameters"]} == {
        "thing_id": "path",
        "limit": "query",
        "deep": "query",
    }
    assert set(shown["responses"]) == {"200"}
