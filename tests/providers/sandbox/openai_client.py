"""OpenAI's own client with the sandbox at the other end of its connection, and plain posts beside it."""

from __future__ import annotations

from typing import Any

import httpx2
import msgspec
from openai import AsyncOpenAI

from tests.providers.sandbox.exchange import JSON, LIMIT, Answered
from trunkline.providers.sandbox.transport import SandboxTransport
from trunkline.providers.transport import Headers, Origin, Timers, UpstreamRequest


def request(path: str, body: JSON | bytes, headers: Headers | None = None) -> UpstreamRequest:
    return UpstreamRequest(
        origin=Origin("http", "sandbox.invalid", 80),
        target=f"/v1{path}".encode(),
        headers=headers or [],
        body=body if isinstance(body, bytes) else msgspec.json.encode(body),
        timers=Timers(),
        streaming=isinstance(body, dict) and body.get("stream") is True,
    )


async def post(path: str, body: JSON | bytes, headers: Headers | None = None) -> Answered:
    """One call to a sandbox of its own."""
    transport = SandboxTransport()
    response = await transport.send(request(path, body, headers))
    answered = Answered(response.status, dict(response.headers), await response.read(LIMIT))
    assert transport.live == 0
    return answered


async def refused(path: str, body: JSON | bytes, headers: Headers | None = None) -> tuple[str | None, str | None]:
    """The field that a 400 or 404 is about, and its code."""
    answered = await post(path, body, headers)
    assert answered.status in (400, 404), answered.body
    error = answered.error()
    assert error["type"] == "invalid_request_error"
    return error["param"], error["code"]


class _Wire(httpx2.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = UpstreamRequest(
            origin=Origin("http", "sandbox.invalid", 80),
            method=request.method.encode(),
            target=request.url.raw_path,
            headers=[(name.lower(), value) for name, value in request.headers.raw],
            body=await request.aread(),
            timers=Timers(),
        )
        response = await SandboxTransport().send(sent)
        body = await response.read(LIMIT)
        headers: list[tuple[bytes, bytes]] = list(response.headers)
        return httpx2.Response(response.status, headers=headers, content=body)


def client(*, strict: bool = True) -> AsyncOpenAI:
    """Strict: an answer that does not fit the package's own types is an error, even one that it would decode after."""
    made = httpx2.AsyncClient(transport=_Wire())
    return AsyncOpenAI(
        api_key="sandbox",
        base_url="http://sandbox.invalid/v1",
        http_client=made,
        max_retries=0,
        _strict_response_validation=strict,
    )


def decoded(body: bytes) -> list[JSON]:
    """The events of a stream that names them, which must be as its data says."""
    assert body.endswith(b"\n\n")
    found: list[JSON] = []
    for block in body[:-2].split(b"\n\n"):
        name, data = block.split(b"\n")
        event: dict[str, Any] = msgspec.json.decode(data.removeprefix(b"data: "))
        assert name == b"event: " + event["type"].encode()
        found.append(event)
    return found
