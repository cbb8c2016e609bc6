"""Queries are read as OpenAI's client writes them, and what does not fit is named; nobody but an admin gets in."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest
from litestar import Request

from tests.http.organization_house import Organization, OrganizationHouse
from trunkline.errors import InvalidRequest
from trunkline.http.organization_routes import cursor_of, page_of, read_query
from trunkline.ports.audit import CLI
from trunkline.ports.keys import Grant
from trunkline.ports.pages import Cursor
from trunkline.wire.openai_organization import Page


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    gt: int | None = None
    lt: int | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: int = 20
    after: str | None = None
    every: bool = False
    ids: list[str] | None = None
    kinds: list[Literal["a", "b"]] | None = None
    at: Span = Span()


def asked(query: str) -> Wanted:
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": query.encode()}
    return read_query(Request(scope), Wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", Wanted()),
        ("limit=3&after=x&every=true", Wanted(limit=3, after="x", every=True)),
        ("ids%5B%5D=x&ids%5B%5D=y", Wanted(ids=["x", "y"])),
        ("ids=x", Wanted(ids=["x"])),
        ("ids=x&ids[]=y", Wanted(ids=["x", "y"])),
        ("ids[]=a%2Cb", Wanted(ids=["a,b"])),
        ("kinds[]=b", Wanted(kinds=["b"])),
        ("at[gt]=5&at%5Blt%5D=9", Wanted(at=Span(5, 9))),
    ],
)
def test_queries(query: str, wanted: Wanted) -> None:
    assert asked(query) == wanted


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ("limit=many", "limit", "invalid_type"),
        ("limit=1&limit=2", "limit", "invalid_value"),
        ("every=perhaps", "every", "invalid_type"),
        ("nothing=1", "nothing", "unknown_parameter"),
        ("kinds[]=a&kinds[]=c", "kinds[1]", "invalid_value"),
        ("at[gt]=x", "at.gt", "invalid_type"),
        ("at[since]=1", "at.since", "unknown_parameter"),
        ("at[gt]=1&at[gt]=2", "at", "invalid_value"),
        ("at=1&at[gt]=2", "at", "invalid_value"),
        ("limit[x]=1", "limit", "invalid_type"),
    ],
)
def test_what_does_not_fit_is_named(query: str, param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        asked(query)
    assert (refused.value.param, refused.value.code) == (param, code)


def test_cursors() -> None:
    assert cursor_of("x", limit=2) == Cursor(limit=2, after="x")
    assert cursor_of(None, "y", limit=2, order="desc") == Cursor(limit=2, before="y", newest_first=True)
    assert cursor_of("", limit=2) == Cursor(limit=2)
    with pytest.raises(InvalidRequest) as refused:
        cursor_of("x", "y", limit=2)
    assert refused.value.param == "before"


def test_pages_name_their_ends() -> None:
    class Thing(msgspec.Struct):
        id: str

    assert page_of([], has_more=False) == Page(data=(), first_id=None, last_id=None, has_more=False)
    things = [Thing("a"), Thing("b"), Thing("c")]
    assert page_of(things, has_more=True) == Page(data=tuple(things), first_id="a", last_id="c", has_more=True)


async def test_only_admin_keys_get_in(organization: Organization, organization_house: OrganizationHouse) -> None:
    key = organization_house.keys.create(Grant(account_id=organization.id, manage=True), by=CLI).key.reveal()
    for sent, status in (("nobody's", 401), (key, 403), (organization.admin_key, 200)):
        answer = await organization.ask("GET", "/v1/organization/projects", key=sent)
        assert answer.status == status
