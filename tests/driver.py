"""Drives an ASGI application as a server would, in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from trunkline.http.asgi import Application, Headers, Message, Scope


class Connection:
    """What our server puts into a scope: told when the client is lost."""

    def __init__(self) -> None:
        self.on_gone: Any = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()


@dataclass
class Reply:
    status: int = 0
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    writes: list[bytes] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        found = [value.decode() for key, value in self.headers if key == name.encode()]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else None

    def headers_called(self, name: str) -> list[str]:
        return [value.decode() for key, value in self.headers if key == name.encode()]

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[Any]:
        """The data of each event of a stream, `[DONE]` as it stands."""
        datas = [line[6:] for line in self.body.decode().split("\n") if line.startswith("data: ")]
        return [data if data == "[DONE]" else json.loads(data) for data in datas]


def scope_of(method: str, path: str, headers: Headers, connection: Connection | None = None) -> Scope:
    where, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": where,
        "raw_path": where.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8080),
        "trunkline.connection": connection or Connection(),
    }


def json_headers(key: str | None, more: Headers | None = None) -> Headers:
    headers: Headers = [(b"host", b"gateway"), (b"content-type", b"application/json"), *(more or [])]
    return headers if key is None else [*headers, (b"authorization", b"Bearer " + key.encode())]


async def ask(application: Application, scope: Scope, body: bytes = b"") -> Reply:
    """One request, answered whole. Ends when the application does."""
    reply = Reply()
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert reply.status == 0, "two status lines"
            reply.status, reply.headers = message["status"], list(message.get("headers", ()))
        else:
            assert reply.status, "a body before its head"
            if message.get("body"):
                reply.writes.append(message["body"])
                reply.body += message["body"]

    await application(scope, receive, send)
    return reply


@asynccontextmanager
async def lifespan(application: Application) -> AsyncIterator[None]:
    """The application between its start and its stop."""
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    task = asyncio.ensure_future(_run(application, to_app, from_app))
    await to_app.put({"type": "lifespan.startup"})
    assert (await from_app.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        assert (await from_app.get())["type"] == "lifespan.shutdown.complete"
        await task


async def _run(application: Application, to_app: asyncio.Queue[Message], from_app: asyncio.Queue[Message]) -> None:
    await application({"type": "lifespan", "asgi": {"version": "3.0"}}, to_app.get, from_app.put)
