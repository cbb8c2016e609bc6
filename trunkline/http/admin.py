"""The admin API: Litestar behind a gate that asks for the credential before a route's existence is told.

A route says who may call it (`opt=PUBLIC`, `KEY`, `MANAGE`, `ADMIN` or `OPERATOR`). One that says nothing is refused at
start and at call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp
from litestar.utils import normalize_path

import trunkline
from trunkline.errors import (
    BodyTooLarge,
    Defect,
    Forbidden,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    SettingsInvalid,
    TrunklineError,
    Unauthenticated,
)
from trunkline.http import openapi, problems
from trunkline.http.asgi import Application, Headers, Message, Receive, Scope, Send
from trunkline.http.inference import request_id_of
from trunkline.ids import CallIds
from trunkline.observe import logger
from trunkline.policy import keys as key_policy
from trunkline.ports.keys import KeyRecord
from trunkline.wire import codec

PUBLIC: Final[dict[str, Any]] = {"access": "public"}
KEY: Final[dict[str, Any]] = {"access": "key"}
MANAGE: Final[dict[str, Any]] = {"access": "manage"}
"""A key that may manage its account and those below it."""
ADMIN: Final[dict[str, Any]] = {"access": "admin"}
"""An admin key, for what is in its account and below it."""
OPERATOR: Final[dict[str, Any]] = {"access": "operator"}
"""An admin key of the root: it runs the gateway itself, which no tenant does."""
ACCESSES: Final = frozenset(one["access"] for one in (PUBLIC, KEY, MANAGE, ADMIN, OPERATOR))
BODY_LIMIT_BYTES = 1_048_576
PATH_SHOWN = 200
CALLER = "trunkline.key"
"""Where the gate leaves the caller's KeyRecord in the scope."""


class ProviderStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the name in the settings, `models` how many of the catalog's models it serves."""

    id: str
    name: str
    origin: str
    models: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the worker that answers. `key_table_age_s` is null until keys were loaded."""

    version: str
    worker_pid: int
    started_at: float
    uptime_s: float
    ready: bool
    draining: bool
    key_table_age_s: float | None
    providers: tuple[ProviderStatus, ...]
    models: int
    aliases: dict[str, tuple[str, ...]]


class Reloaded(msgspec.Struct, frozen=True, kw_only=True):
    """Names of settings, by what a reload did about each that had changed."""

    applied: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()


class AdminServices(msgspec.Struct, frozen=True, kw_only=True):
    """What the admin API asks of the rest of the house.

    `identify` finds the caller of an ASGI scope; raises Unauthenticated, Forbidden, StoreUnavailable.
    `reload` reads the settings again in every worker; raises SettingsInvalid and then keeps the old ones.
    """

    identify: Callable[[Scope], Awaitable[KeyRecord]]
    reload: Callable[[], Awaitable[Reloaded]]
    status: Callable[[], Status]


class Specification:
    """The OpenAPI document, made when it is first asked for: a process that nobody asks does not pay for it."""

    def __init__(self) -> None:
        self._routes: list[HTTPRouteHandler] = []
        self._document: dict[str, Any] | None = None
        self._encoded = b""

    def describe(self, routes: Sequence[HTTPRouteHandler]) -> None:
        """Before the first `document`: the routes that it is about."""
        self._routes += routes

    def document(self) -> dict[str, Any]:
        if self._document is None:
            config = OpenAPIConfig(title="Trunkline", version=trunkline.__version__, use_handler_docstrings=True)
            described = Litestar(self._routes, openapi_config=config, logging_config=None)
            self._document = openapi.document(described.openapi_schema.to_schema())
        return self._document

    def encoded(self) -> bytes:
        if not self._encoded:
            self._encoded = codec.encode(self.document())
        return self._encoded


Pages = Callable[[Specification], Sequence[HTTPRouteHandler]]


def create_admin(
    services: AdminServices, pages: Pages | None = None, further: Sequence[HTTPRouteHandler] = ()
) -> Application:
    """The ASGI application for everything that is not inference or health. `further` are the routes of accounts, money
    and usage, described with the rest; `pages` adds the console's."""
    specification = Specification()
    described = [*_api_routes(services), *_reference_routes(specification), *further]
    specification.describe(described)
    routes = [*described, *(pages(specification) if pages is not None else ())]
    framework = Litestar(
        routes,
        guards=[guard],
        exception_handlers={Exception: answer_exception},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=BODY_LIMIT_BYTES,
        debug=False,
        pdb_on_exception=False,
    )
    _demand_markers(framework)
    return Gate(framework, services)


def _api_routes(services: AdminServices) -> list[HTTPRouteHandler]:
    @get("/admin/status", opt=OPERATOR, tags=["admin"], summary="The state of the worker that answers.")
    async def read_status() -> Status:
        return services.status()

    @post(
        "/admin/reload",
        opt=OPERATOR,
        tags=["admin"],
        status_code=200,
        summary="Read the settings again, in every worker. A bad file changes nothing.",
    )
    async def reload_settings() -> Reloaded:
        return await services.reload()

    return [read_status, reload_settings]


def _reference_routes(specification: Specification) -> list[HTTPRouteHandler]:
    @get("/openapi.json", opt=PUBLIC, tags=["reference"], summary="This interface as OpenAPI 3.1.")
    async def read_openapi() -> Response[bytes]:
        return Response(specification.encoded(), media_type=MediaType.JSON)

    @get(
        "/llms.txt",
        opt=PUBLIC,
        tags=["reference"],
        media_type=MediaType.TEXT,
        summary="This interface as a page for language models.",
    )
    async def read_llms_text(request: Request[Any, Any, Any]) -> str:
        return openapi.llms_text(specification.document(), address_of(request))

    return [read_openapi, read_llms_text]


def address_of(request: Request[Any, Any, Any]) -> str:
    """Scheme and host as the caller reached us; the server has checked the Host header's grammar."""
    return f"{request.scope['scheme']}://{request.headers.get('host', 'localhost')}"


class Gate:
    """Finds the caller before Litestar looks at the path, so that strangers cannot tell which routes exist."""

    def __init__(self, framework: Litestar, services: AdminServices) -> None:
        self._framework: ASGIApp = framework
        self._identify = services.identify
        self._public, self._public_prefixes = _public_paths(framework)
        self._ids = CallIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._framework(scope, receive, send)  # type: ignore[arg-type]
            return
        named: dict[bytes, bytes] = dict(scope["headers"])
        request_id = request_id_of(named, self._ids.new())
        inner: Scope = {**scope, "trunkline.request_id": request_id}
        if scope["method"] == "HEAD":
            # A GET whose body the server leaves out.
            inner["method"] = "GET"
        try:
            if not self._is_public(scope["path"]):
                inner[CALLER] = await self._identify(scope)
        except TrunklineError as error:
            await _send_problem(error, scope["path"], request_id, send)
            return
        await self._framework(inner, receive, _stamped(send, request_id))  # type: ignore[arg-type]

    def _is_public(self, path: str) -> bool:
        path = normalize_path(path)
        return path in self._public or path.startswith(self._public_prefixes)


def guard(connection: ASGIConnection[Any, Any, Any, Any], route: BaseRouteHandler) -> None:
    """Refuses unless the route's marker lets this caller in. The gate is not trusted to have asked."""
    access = route.opt.get("access")
    caller = connection.scope.get(CALLER)
    if access == "public":
        return
    if not isinstance(caller, KeyRecord):
        raise Unauthenticated("This needs an API key.")
    if access == "key" or (access == "admin" and caller.admin):
        return
    if access == "manage":
        key_policy.require(caller, "manage")
        return
    if access == "operator":
        key_policy.require_operator(caller)
        return
    if access == "admin":
        raise Forbidden("This needs an admin key: make one with `trunkline keys create --admin`.")
    # Only the OPTIONS handlers that Litestar adds carry no marker: create_admin has looked at all others.
    raise MethodNotAllowed(f"{connection.scope['path'][:PATH_SHOWN]} does not take this method.")


def answer_exception(request: Request[Any, Any, Any], exception: Exception) -> Response[bytes]:
    """Whatever went wrong, in the caller's own protocol."""
    scope = request.scope
    error = _as_ours(exception, scope["method"], scope["path"])
    request_id: str = scope.get("trunkline.request_id", "")  # type: ignore[assignment]
    if isinstance(error, Defect):
        logger("admin").error("defect", request_id=request_id, exc_info=exception)
    named = dict(scope["headers"])
    problem = problems.problem(error, problems.family_of(scope["path"], named), request_id)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in problem.headers}
    return Response(problem.body, status_code=problem.status, headers=headers, media_type=MediaType.JSON)


def _as_ours(exception: Exception, method: str, path: str) -> TrunklineError:
    shown = path[:PATH_SHOWN]
    match exception:
        case SettingsInvalid():
            # The file is the operator's, and so is this call: his to mend, not ours.
            return InvalidRequest(exception.message, code=exception.code, param=exception.param)
        case TrunklineError():
            return exception
        case NotFoundException():
            return NotFound(f"There is nothing at {shown}. /openapi.json lists what there is.", code="unknown_url")
        case MethodNotAllowedException():
            return MethodNotAllowed(f"{shown} does not take {method}.")
        case HTTPException(status_code=413):
            return BodyTooLarge(f"The body is larger than {BODY_LIMIT_BYTES} bytes.")
        case HTTPException(status_code=status) if 400 <= status < 500:
            return InvalidRequest(exception.detail)
    return Defect("Something went wrong in the gateway. It has been logged under this request's id.")


async def _send_problem(error: TrunklineError, path: str, request_id: str, send: Send) -> None:
    problem = problems.problem(error, problems.family_of(path, {}), request_id)
    headers: Headers = [*problem.headers, (b"content-length", b"%d" % len(problem.body))]
    send = _stamped(send, request_id)
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": problem.body})


def _stamped(send: Send, request_id: str) -> Send:
    """The same `send`; what goes out carries the request's id and is never taken for another type."""
    stamp: Headers = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]

    async def send_stamped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *stamp]
        await send(message)

    return send_stamped


def _handlers(framework: Litestar) -> list[tuple[str, HTTPRouteHandler]]:
    """(path, handler) of every route, without the OPTIONS handlers that Litestar adds."""
    return [
        (route.path, handler)
        for route in framework.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.http_methods != {"OPTIONS"}
    ]


def _public_paths(framework: Litestar) -> tuple[frozenset[str], tuple[str, ...]]:
    """Paths that need no key, and the fixed beginnings of those with a parameter at the end."""
    public = [path for path, handler in _handlers(framework) if handler.opt.get("access") == "public"]
    whole = frozenset(path for path in public if "{" not in path)
    return whole, tuple(path.partition("{")[0] for path in public if "{" in path)


def _demand_markers(framework: Litestar) -> None:
    for path, handler in _handlers(framework):
        if handler.opt.get("access") not in ACCESSES:
            raise Defect(f"the route {path} does not say who may call it")
