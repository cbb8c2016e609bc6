"""Who is to answer, in this room's tests."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.translation.anthropic_messages.sdk import ToldLosses
from trunkline.translation.anthropic_messages.request import read_request, write_request
from trunkline.translation.exchange import Request, Text, Turn
from trunkline.translation.target import Target
from trunkline.wire import anthropic_messages

PROVIDER = "made-by"
TARGET = Target(provider_id=PROVIDER, model_id="anthropic/claude", upstream="sandbox/echo", version="2023-06-01")


def target(**more: Any) -> Target:
    return msgspec.structs.replace(TARGET, **more)


def request(*turns: Turn, **more: Any) -> Request:
    """A chat caller's; with one question when nothing is given."""
    asked = list(turns) or [Turn(role="user", parts=[Text(text="Hi")])]
    return Request(**{"protocol": "openai_chat", "model": "m", "turns": asked, "max_tokens": 50_000, **more})


def written(asked: Request, to: Target = TARGET, losses: ToldLosses | None = None) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(write_request(asked, to, losses or ToldLosses()))
    return body


def read(body: dict[str, Any]) -> Request:
    """What a caller of this protocol asks; `max_tokens`, `model` and a question are filled in."""
    usual = {"model": "m", "max_tokens": 50_000, "messages": [{"role": "user", "content": "Hi"}]}
    return read_bytes(msgspec.json.encode({**usual, **body}))


def read_bytes(body: bytes) -> Request:
    return read_request(anthropic_messages.read_request(body))
