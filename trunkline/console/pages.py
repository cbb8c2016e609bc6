"""The console's pages: plain HTML, no script. They show what the admin API answers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import jinja2
import msgspec
from litestar import MediaType, Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from markupsafe import Markup, escape

from trunkline.console.session import Sessions
from trunkline.errors import Forbidden, NotFound
from trunkline.http import openapi
from trunkline.http.admin import PUBLIC, Pages, Specification, Status, address_of
from trunkline.ports.admin import LINK_PATH

HERE: Final = Path(__file__).parent
STATIC_TYPES: Final = {".css": "text/css", ".svg": "image/svg+xml"}
PAGE_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
FORBIDDEN: Final = 403
SEE_OTHER: Final = 303


class ConsoleServices(msgspec.Struct, frozen=True, kw_only=True):
    """What the console asks of the rest of the house.

    `redeem_link` uses up an admin link's token: True once within its hour, False ever after.
    `session_secret` signs sessions; every worker has the same.
    """

    status: Callable[[], Status]
    redeem_link: Callable[[str], Awaitable[bool]]
    session_secret: bytes


def console(services: ConsoleServices) -> Pages:
    """For `create_admin`: the console's routes and the page of operations, once the specification is known."""
    shelf = Shelf()
    sessions = Sessions(services.session_secret)

    def pages(specification: Specification) -> list[HTTPRouteHandler]:
        return [
            _overview_page(shelf, sessions, services.status),
            _enter_page(shelf, sessions, services.redeem_link),
            _leave_page(sessions),
            _docs_page(shelf, specification),
            _static_files(),
        ]

    return pages


class Shelf:
    """Templates, compiled when first used; every value is escaped."""

    def __init__(self) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["duration"] = duration
        self._environment.filters["marked"] = marked

    def page(self, template: str, *, status: int = 200, **facts: Any) -> Response[str]:
        text = self._environment.get_template(template).render(facts)
        return Response(text, status_code=status, media_type=MediaType.HTML, headers=PAGE_HEADERS)


def duration(seconds: float | None) -> str:
    """`75` is `1 min 15 s`: the two largest units that count; under ten seconds with one decimal."""
    if seconds is None:
        return "never"
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    rest, parts = int(seconds), []
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def marked(text: str) -> Markup:
    """Escaped, with what stands in backquotes set as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just here


def _is_tls(request: Request[Any, Any, Any]) -> bool:
    return bool(request.scope["scheme"] == "https")


def _overview_page(shelf: Shelf, sessions: Sessions, status: Callable[[], Status]) -> HTTPRouteHandler:
    @get("/console", opt=PUBLIC, include_in_schema=False)
    async def overview(request: Request[Any, Any, Any]) -> Response[str]:
        if not sessions.is_open(request.headers.get("cookie"), tls=_is_tls(request)):
            return shelf.page("closed.html", refused=False)
        return shelf.page("overview.html", status=200, facts=status(), address=address_of(request))

    return overview


def _enter_page(shelf: Shelf, sessions: Sessions, redeem_link: Callable[[str], Awaitable[bool]]) -> HTTPRouteHandler:
    @get(LINK_PATH, opt=PUBLIC, include_in_schema=False)
    async def enter(request: Request[Any, Any, Any]) -> Response[str]:
        token = request.query_params.get("token", "")
        if not token or not await redeem_link(token):
            return shelf.page("closed.html", status=FORBIDDEN, refused=True)
        # On to an address without the token, so that it stays neither in the bar nor in the history.
        headers = {"location": "/console", "set-cookie": sessions.begin(tls=_is_tls(request)), **PAGE_HEADERS}
        return Response("", status_code=SEE_OTHER, media_type=MediaType.HTML, headers=headers)

    return enter


def _leave_page(sessions: Sessions) -> HTTPRouteHandler:
    @post("/console/leave", opt=PUBLIC, include_in_schema=False)
    async def leave(request: Request[Any, Any, Any]) -> Response[str]:
        _demand_own_page(request)
        headers = {"location": "/console", "set-cookie": sessions.end(tls=_is_tls(request)), **PAGE_HEADERS}
        return Response("", status_code=SEE_OTHER, media_type=MediaType.HTML, headers=headers)

    return leave


def _demand_own_page(request: Request[Any, Any, Any]) -> None:
    """A form that another site posts here, with this browser's cookie, changes nothing."""
    site = request.headers.get("sec-fetch-site")
    own = site == "same-origin" if site is not None else request.headers.get("origin") == address_of(request)
    if not own:
        raise Forbidden("This form must be sent from the console itself.")


def _docs_page(shelf: Shelf, specification: Specification) -> HTTPRouteHandler:
    @get("/docs", opt=PUBLIC, include_in_schema=False)
    async def docs(request: Request[Any, Any, Any]) -> Response[str]:
        spec = specification.document()
        return shelf.page(
            "docs.html", version=spec["info"]["version"], groups=operation_groups(spec), address=address_of(request)
        )

    return docs


def operation_groups(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The document's operations as the page shows them: by tag, with parameters and the fields of the body."""
    groups = []
    for tag in spec["tags"]:
        shown = [
            {
                "method": method,
                "path": path,
                "summary": operation["summary"],
                "parameters": operation.get("parameters", []),
                "fields": _body_fields(spec, operation),
            }
            for method, path, operation in openapi.operations(spec)
            if tag["name"] in operation["tags"]
        ]
        groups.append({"name": tag["name"], "description": tag["description"], "operations": shown})
    return groups


def _body_fields(spec: dict[str, Any], operation: dict[str, Any]) -> list[dict[str, Any]]:
    body = operation.get("requestBody")
    if body is None:
        return []
    # JSON or a form: either has fields.
    schema = _resolved(spec, next(iter(body["content"].values()))["schema"])
    return [
        {
            "name": name,
            "required": name in schema.get("required", ()),
            "type": _type_words(spec, field),
            "meaning": " ".join(filter(None, (field.get("description"), _range_words(field)))),
        }
        for name, field in schema["properties"].items()
    ]


def _resolved(spec: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    target: dict[str, Any] = spec["components"]["schemas"][reference.rpartition("/")[2]]
    return target


def _type_words(spec: dict[str, Any], schema: dict[str, Any]) -> str:
    schema = _resolved(spec, schema)
    choices = schema.get("anyOf", [schema])
    return " or ".join(dict.fromkeys(_resolved(spec, one).get("type", "any") for one in choices))


def _range_words(schema: dict[str, Any]) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f"{schema['minimum']:g} to {schema['maximum']:g}."
    return ""


def _static_files() -> HTTPRouteHandler:
    files = {
        file.name: (file.read_bytes(), STATIC_TYPES[file.suffix])
        for file in sorted((HERE / "static").iterdir())
        if file.suffix in STATIC_TYPES
    }

    @get("/console/static/{name:str}", opt=PUBLIC, include_in_schema=False)
    async def static(request: Request[Any, Any, Any]) -> Response[bytes]:
        found = files.get(request.path_params["name"])
        if found is None:
            raise NotFound("There is no such file.", code="unknown_url")
        return Response(found[0], media_type=found[1], headers={"cache-control": "max-age=300"})

    return static
