"""How the routes of the organisation API are made: who asks, what for, and the page that they get.

The organisation is the account of the admin key; its projects are the accounts below it. Nothing else is seen from
there: what belongs to another account is not found, whether it is there or not.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, Literal, TypeVar, cast
from urllib.parse import parse_qsl

import msgspec
from litestar import Response, delete, get, post
from litestar.handlers import HTTPRouteHandler

from trunkline.errors import InvalidRequest
from trunkline.http.admin import ADMIN
from trunkline.http.described import Call, described, read_body, reply
from trunkline.http.standing import actor, caller
from trunkline.ids import AccountId
from trunkline.ports.audit import Actor
from trunkline.ports.pages import Cursor
from trunkline.providers.sandbox.json_body import refusal_of
from trunkline.wire.openai_organization import Page

Q = TypeVar("Q", bound=msgspec.Struct)
I = TypeVar("I")  # noqa: E741 - an item
_PLAIN = str.maketrans("/", "_", "{}")
_KINDS = {"GET": get, "POST": post, "DELETE": delete}
PREFIX = "/v1/organization"
PROJECT = PREFIX + "/projects/{project_id:str}"


class Asked(msgspec.Struct, Generic[Q], frozen=True, kw_only=True):
    """`within` is the organisation's account, `ids` are those in the path, `said` is the body or the query."""

    by: Actor
    within: AccountId
    ids: dict[str, str]
    said: Q

    @property
    def project_id(self) -> str:
        return self.ids["project_id"]


Work = Callable[[Asked[Any]], Any]
"""Blocking, and then run beside the loop, or a coroutine. What it returns is the answer."""


def route(
    method: Literal["GET", "POST", "DELETE"], path: str, work: Work, *, asks: type[msgspec.Struct], answer: Any
) -> HTTPRouteHandler:
    """`asks`: the body of a POST, else the query. `work`'s docstring says what it does."""

    async def serve(request: Call) -> Response[bytes]:
        found = Asked(
            by=actor(request),
            within=caller(request).account_id,
            ids=cast("dict[str, str]", request.path_params),
            said=await read_body(request, asks) if method == "POST" else read_query(request, asks),
        )
        if inspect.iscoroutinefunction(work):
            return reply(await cast("Awaitable[Any]", work(found)))
        return reply(await asyncio.to_thread(work, found))

    decorate: HTTPRouteHandler = _KINDS[method](
        path,
        opt=ADMIN,
        tags=["admin"],
        status_code=200,
        name=f"{method} {path}",
        operation_id=_operation_id(method, path),
        summary=(inspect.getdoc(work) or "").partition("\n")[0],
        operation_class=described(answer, body=asks) if method == "POST" else described(answer, query=asks),
    )
    return decorate(serve)


def _operation_id(method: str, path: str) -> str:
    """`GET /v1/organization/projects/{project_id:str}` is `get_organization_projects_project_id`."""
    return f"{method}{path.removeprefix('/v1')}".translate(_PLAIN).replace(":str", "").lower()


def read_query(request: Call, kind: type[Q]) -> Q:
    """The query as `kind`. Lists are written `name[]=a&name[]=b`, or without the brackets; an object's fields
    `name[field]=a`. Raises InvalidRequest, naming the parameter."""
    lists = {field.encode_name for field in msgspec.structs.fields(kind) if "list[" in str(field.type)}
    found: dict[str, Any] = {}
    for key, value in parse_qsl(request.scope["query_string"].decode("ascii", "replace"), keep_blank_values=True):
        name, _, inner = key.removesuffix("]").partition("[")
        if name in lists and not inner:
            found.setdefault(name, []).append(value)
            continue
        place = found.setdefault(name, {}) if inner else found
        if not isinstance(place, dict) or (inner or name) in place:
            raise InvalidRequest(f"'{name[:64]}' is given twice; send it once.", param=name[:64])
        place[inner or name] = value
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise refusal_of(error) from None


def page_of(items: Iterable[I], *, has_more: bool) -> Page[I]:
    """OpenAI's page; every item has an `id`."""
    data = tuple(items)
    ids = [cast("Any", item).id for item in data]
    return Page(data=data, first_id=ids[0] if ids else None, last_id=ids[-1] if ids else None, has_more=has_more)


def cursor_of(
    after: str | None, before: str | None = None, *, limit: int, order: Literal["asc", "desc"] = "asc"
) -> Cursor:
    """Raises InvalidRequest for both ends at once."""
    if after is not None and before is not None:
        raise InvalidRequest("Give after or before, not both.", param="before")
    return Cursor(limit=limit, after=after or None, before=before or None, newest_first=order == "desc")
