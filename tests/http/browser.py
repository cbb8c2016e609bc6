"""Calls an ASGI application without a socket."""

from __future__ import annotations

from typing import NamedTuple

from trunkline.http.asgi import Application, Message, Scope


class Page(NamedTuple):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> str:
        return dict(self.headers)[name].decode()

    @property
    def text(self) -> str:
        return self.body.decode()


async def ask(
    application: Application, method: str, target: str, headers: dict[str, str] | None = None, *, scheme: str = "http"
) -> Page:
    """`target` is path and query. Raises what the application lets through."""
    return await _call(application, {**_scope(method, target, headers or {}), "scheme": scheme}, b"")


async def send(application: Application, method: str, target: str, headers: dict[str, str], body: bytes) -> Page:
    """`ask` with a body of JSON."""
    sent = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    return await _call(application, _scope(method, target, sent), body)


def _scope(method: str, target: str, headers: dict[str, str]) -> Scope:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in {"host": "gateway.test", **headers}.items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8080),
    }


async def _call(application: Application, scope: Scope, body: bytes) -> Page:
    answered: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        answered.append(message)

    await application(scope, receive, send)
    start, *bodies = answered
    return Page(start["status"], list(start["headers"]), b"".join(message.get("body", b"") for message in bodies))
