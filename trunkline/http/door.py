"""The front door: one ASGI callable that knows every path. A path that is not public is told apart only with a key."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping

from trunkline.errors import Defect, MethodNotAllowed, NotFound, TrunklineError
from trunkline.http import carriers, problems
from trunkline.http.asgi import Application, Headers, Receive, Scope, Send
from trunkline.http.cors import Cors
from trunkline.http.inference import address_of, request_id_of
from trunkline.ids import CallIds
from trunkline.observe import logger
from trunkline.pipeline.identity import KeyTable
from trunkline.policy import keys as key_policy
from trunkline.ports.keys import KeyRecord, KeyRoute

LIMITED: tuple[tuple[str, KeyRoute], ...] = (
    ("/v1/models", "models"),
    ("/v1/responses", "responses"),
    ("/v1/conversations", "conversations"),
)
"""Paths outside the pipeline that a key may be kept from, by how they begin."""

log = logger("http")

Route = Callable[[Scope, Receive, Send], Awaitable[None]]


class Door:
    """`routes` by method and path; `patterns` by method and path with `{names}`, each one part of the path, which the
    route finds in `scope["path_params"]`; `prefixes` by method and path prefix (an id is the rest of the path);
    `beside` answers every path under `beside_prefixes` with guards of its own."""

    def __init__(self, keys: KeyTable, cors: Cors | None, lifespan: Application) -> None:
        self._keys = keys
        self._cors = cors
        self._lifespan = lifespan
        self._routes: dict[tuple[str, str], Route] = {}
        self._patterns: list[tuple[str, str, re.Pattern[str], Route]] = []
        self._prefixes: list[tuple[str, str, Route]] = []
        self._sockets: dict[str, Route] = {}
        self._beside: Application | None = None
        self._beside_prefixes: tuple[str, ...] = ()
        self._request_ids = CallIds()

    def add(self, method: str, path: str, route: Route) -> None:
        self._routes[method, path] = route

    def add_pattern(self, method: str, pattern: str, route: Route) -> None:
        parts = [re.escape(part) if place % 2 == 0 else f"(?P<{part}>[^/]+)" for place, part in _parts(pattern)]
        self._patterns.append((method, pattern, re.compile("".join(parts)), route))

    def add_prefix(self, method: str, prefix: str, route: Route) -> None:
        self._prefixes.append((method, prefix, route))

    def add_socket(self, path: str, route: Route) -> None:
        """A WebSocket; the route answers `websocket.connect`."""
        self._sockets[path] = route

    def put_beside(self, application: Application, prefixes: tuple[str, ...]) -> None:
        self._beside = application
        self._beside_prefixes = prefixes

    def paths(self) -> set[tuple[str, str]]:
        """Every (method, path) answered here; a prefix ends in `{id}`."""
        patterns = {(method, pattern) for method, pattern, _, _ in self._patterns}
        return set(self._routes) | patterns | {(method, prefix + "{id}") for method, prefix, _ in self._prefixes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            if self._cors is not None:
                found = await self._through_cors(self._cors, scope, send)
                if found is None:
                    return
                send = found
            route = self._routes.get((scope["method"], scope["path"])) or self._find(scope)
            try:
                await route(scope, receive, send)
            except Exception:
                # The last resort: a bug of ours is logged, and answered in the envelope if nothing has gone out yet;
                # otherwise the server meets an answer that begins twice, and cuts the connection.
                log.exception("defect", method=scope["method"], path=scope["path"])
                await self.refuse(scope, send, Defect("Something went wrong inside the gateway; it has been logged."))
        elif kind == "lifespan":
            await self._lifespan(scope, receive, send)
        elif kind == "websocket":
            await self._sockets.get(scope["path"], self._refuse_websocket)(scope, receive, send)

    def _find(self, scope: Scope) -> Route:
        method, path = scope["method"], scope["path"]
        for known, _, pattern, route in self._patterns:
            if known == method and (found := pattern.fullmatch(path)):
                scope["path_params"] = found.groupdict()
                return route
        for known, prefix, route in self._prefixes:
            if known == method and path.startswith(prefix) and len(path) > len(prefix):
                return route
        if self._beside is not None and path.startswith(self._beside_prefixes):
            return self._beside
        return self._unknown

    async def _through_cors(self, cors: Cors, scope: Scope, send: Send) -> Send | None:
        """`send`, with CORS headers for a page that may call; None when this was a preflight, which is answered."""
        named = dict(scope["headers"])
        origin = named.get(b"origin")
        if origin is None or not cors.allows(origin):
            return send
        preflight = cors.preflight(scope, named)
        if preflight is None:
            return cors.wrap(send, origin)
        await respond(send, 204, preflight, b"")
        return None

    async def identify(self, scope: Scope, named: Mapping[bytes, bytes]) -> KeyRecord:
        """The key of a request outside the pipeline. Raises Unauthenticated, Forbidden, StoreUnavailable."""
        credential = carriers.credential(scope["headers"], named, scope["query_string"])
        record = self._keys.get(credential) or await self._keys.lookup(credential)
        if record.limits is not None:
            key_policy.require_address(record, address_of(scope) or None)
            route = next((route for prefix, route in LIMITED if scope["path"].startswith(prefix)), None)
            if route is not None:
                key_policy.require_route(record, route)
        return record

    async def _unknown(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = dict(scope["headers"])
        try:
            await self.identify(scope, named)
            raise self._nothing_here(scope)
        except TrunklineError as error:
            await self.refuse(scope, send, error)

    def _nothing_here(self, scope: Scope) -> NotFound:
        method, path = scope["method"], scope["path"]
        shown = path if len(path) <= 200 and path.isprintable() else path[:200].encode("unicode_escape").decode()
        allowed = sorted(known for known, at in self._routes if at == path)
        allowed += [known for known, _, pattern, _ in self._patterns if pattern.fullmatch(path)]
        allowed += [known for known, prefix, _ in self._prefixes if path.startswith(prefix) and path != prefix]
        if allowed:
            once = tuple(dict.fromkeys(allowed))
            return MethodNotAllowed(f"{shown} takes {', '.join(once)}, not {method[:20]}.", once)
        return NotFound(
            f"There is nothing at {method[:20]} {shown}. /openapi.json lists what there is.", code="unknown_url"
        )

    async def refuse(self, scope: Scope, send: Send, error: TrunklineError) -> None:
        named = dict(scope["headers"])
        request_id = request_id_of(named, self._request_ids.new())
        problem = problems.problem(error, problems.family_of(scope["path"], named), request_id)
        await respond(send, problem.status, [*problem.headers, (b"x-request-id", request_id.encode())], problem.body)

    def request_id(self, scope: Scope) -> tuple[bytes, bytes]:
        """The header with the id that every answer carries."""
        return b"x-request-id", request_id_of(dict(scope["headers"]), self._request_ids.new()).encode()

    async def answer(self, scope: Scope, send: Send, status: int, headers: Headers, body: bytes) -> None:
        """Any other answer, with the id that every answer carries."""
        await respond(send, status, [*headers, self.request_id(scope)], body)

    async def _refuse_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A close before accept is answered 403 by the server."""
        await receive()
        await send({"type": "websocket.close", "code": 1008})


def _parts(pattern: str) -> Iterator[tuple[int, str]]:
    """Plain text at even places, names at odd ones."""
    return enumerate(re.split(r"\{(\w+)\}", pattern))


async def respond(send: Send, status: int, headers: Headers, body: bytes) -> None:
    if status != 204:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
