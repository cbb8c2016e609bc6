"""/healthz, /readyz and /metrics on the door."""

from __future__ import annotations

from collections.abc import Callable

from trunkline.errors import TrunklineError
from trunkline.http import health
from trunkline.http.asgi import Receive, Scope, Send
from trunkline.http.door import Door
from trunkline.http.health import Answer, Readiness


class Probes:
    """`render` makes the metrics' text; `behind_proxy` takes loopback's privilege away."""

    def __init__(self, door: Door, readiness: Readiness, render: Callable[[], bytes], *, behind_proxy: bool) -> None:
        self._door = door
        self._readiness = readiness
        self._render = render
        self._behind_proxy = behind_proxy

    def add_to(self, door: Door) -> None:
        for method in ("GET", "HEAD"):
            door.add(method, "/healthz", self.healthz)
            door.add(method, "/readyz", self.readyz)
        door.add("GET", "/metrics", self.metrics)
        # Claude Code asks so whether anybody is there.
        door.add("HEAD", "/", self.healthz)

    async def healthz(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope, send, health.healthz())

    async def readyz(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope, send, health.readyz(self._readiness))

    async def metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = dict(scope["headers"])
        client = scope.get("client")
        scraper = health.Scraper(client[0] if client else None, named, self._behind_proxy)
        try:
            answer = await health.metrics(scraper, lambda: self._door.identify(scope, named), self._render)
        except TrunklineError as error:
            await self._door.refuse(scope, send, error)
        else:
            await self._answer(scope, send, answer)

    async def _answer(self, scope: Scope, send: Send, answer: Answer) -> None:
        await self._door.answer(scope, send, answer.status, answer.headers, answer.body)
