"""How the tests ask the sandbox over Messages, and how they put a stream together as Anthropic's own package does."""

from __future__ import annotations

from typing import Any

import msgspec
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter

from tests.providers.sandbox.exchange import JSON, LIMIT, Answered
from trunkline.providers.sandbox.transport import SandboxTransport
from trunkline.providers.transport import Origin, Timers, UpstreamRequest

VERSION = (b"anthropic-version", b"2023-06-01")
NEW_VERSION = (b"anthropic-version", b"2026-10-21")
BETA = (b"anthropic-beta", b"context-management-2025-06-27")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"name": name, "description": "Tells it.", "input_schema": SCHEMA} for name in ("weather", "forecast")]
THINK = {"type": "enabled", "budget_tokens": 1_024}

_EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)


def ask_for(model: str, content: str | list[JSON], **more: Any) -> JSON:
    return {"model": model, "max_tokens": 5_000, "messages": [{"role": "user", "content": content}], **more}


def request(
    body: JSON | bytes, *headers: tuple[bytes, bytes], path: bytes = b"/v1/messages", timers: Timers | None = None
) -> UpstreamRequest:
    return UpstreamRequest(
        origin=Origin("http", "sandbox.invalid", 80),
        target=path,
        headers=list(headers or (VERSION,)),
        body=body if isinstance(body, bytes) else msgspec.json.encode(body),
        timers=timers or Timers(),
        streaming=isinstance(body, dict) and body.get("stream") is True,
    )


async def ask(transport: SandboxTransport, body: JSON | bytes, *headers: tuple[bytes, bytes]) -> Answered:
    response = await transport.send(request(body, *headers))
    answered = Answered(response.status, dict(response.headers), await response.read(LIMIT))
    assert transport.live == 0
    return answered


async def said(transport: SandboxTransport, body: JSON, *headers: tuple[bytes, bytes]) -> JSON:
    answered = await ask(transport, body, *headers)
    assert answered.status == 200, answered.body
    return answered.json()


async def refused(transport: SandboxTransport, body: JSON | bytes, *headers: tuple[bytes, bytes]) -> str:
    """What Anthropic's envelope says, of a 400."""
    answered = await ask(transport, body, *headers)
    found = answered.json()
    assert answered.status == 400, answered.body
    assert set(found) == {"type", "error", "request_id"}
    assert (found["type"], found["error"]["type"]) == ("error", "invalid_request_error")
    assert found["request_id"] == answered.headers[b"request-id"].decode()
    return str(found["error"]["message"])


def events(body: bytes) -> list[JSON]:
    """Every event has its name in front, and says the same in its data."""
    assert body.endswith(b"\n\n")
    found = []
    for event in body[:-2].split(b"\n\n"):
        name, data = event.split(b"\n")
        facts: JSON = msgspec.json.decode(data.removeprefix(b"data: "))
        assert name == b"event: " + facts["type"].encode()
        found.append(facts)
    return found


def check_order(stream: list[JSON]) -> None:
    """A start, blocks one after another with indices from 0 on, one delta of the message, its stop; pings between."""
    kinds = [event["type"] for event in stream if event["type"] != "ping"]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    index, opened = -1, False
    for event in stream:
        if event["type"] == "content_block_start":
            assert not opened
            assert event["index"] == index + 1
            index, opened = index + 1, True
        elif event["type"] == "content_block_delta":
            assert opened
            assert event["index"] == index
        elif event["type"] == "content_block_stop":
            assert opened
            assert event["index"] == index
            opened = False
    assert not opened
    assert kinds.count("message_delta") == kinds.count("message_stop") == 1


def joined(stream: list[JSON]) -> JSON:
    """The message that a stream adds up to, read and put together by the vendor's package."""
    check_order(stream)
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for event in stream:
        if event["type"] != "ping":
            read = _EVENT.validate_python(event)
            snapshot = accumulate_event(event=read, current_snapshot=snapshot, json_bufs=buffers)
    found: JSON = snapshot.to_dict()
    return found


def plain(message: JSON) -> JSON:
    """A message without its ids, and without what the package knows and nobody said."""
    found = {name: value for name, value in message.items() if name not in ("id", "container", "diagnostics")}
    found["content"] = [
        {name: value for name, value in block.items() if name != "id" and value is not None}
        for block in found["content"]
    ]
    found["usage"] = {name: value for name, value in found["usage"].items() if value is not None}
    return found
