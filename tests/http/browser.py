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
    path, _, query = target.partition("?")
    sent = {"host": "gateway.test", **(headers or {})}
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8080),
    }
    answered: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        answered.append(message)

    await application(scope, receive, send)
    start, *bodies = answered
    return Page(start["status"], list(start["headers"]), b"".join(message.get("body", b"") for message in bodies))
