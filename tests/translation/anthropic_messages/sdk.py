"""What Anthropic's own package, and our sandbox that is as strict as Anthropic, say of what this room writes."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx2
import msgspec
from anthropic.types import Message
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
from anthropic.types.beta.message_create_params import MessageCreateParams
from pydantic import TypeAdapter

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import messages_ask
from trunkline.translation.losses import Losses

JSON = dict[str, Any]

_PARAMS: TypeAdapter[Any] = TypeAdapter(MessageCreateParams)
_EVENT: TypeAdapter[Any] = TypeAdapter(BetaRawMessageStreamEvent)


class _Served:
    body = b""


def _serve(request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=_Served.body)


_CLIENT = anthropic.Anthropic(
    api_key="k", base_url="http://127.0.0.1:9", http_client=httpx2.Client(transport=httpx2.MockTransport(_serve))
)


def message(body: bytes) -> JSON:
    """A whole answer, after the package's types have taken it; the beta's know blocks that the others do not."""
    whole: JSON = msgspec.json.decode(body)
    BetaMessage.model_validate(whole)
    if all(block["type"] != "compaction" for block in whole["content"]):
        Message.model_validate(whole)
    return whole


def events(stream: bytes) -> list[JSON]:
    """Every event has its name in front and says the same in its data; blocks come one after another."""
    found: list[JSON] = []
    for block in stream.split(b"\n\n")[:-1]:
        name, data = block.split(b"\n")
        event: JSON = msgspec.json.decode(data.removeprefix(b"data: "))
        assert name == b"event: " + event["type"].encode()
        _EVENT.validate_python(event)
        found.append(event)
    assert stream.endswith(b"\n\n")
    check_order(found)
    return found


def check_order(found: list[JSON]) -> None:
    kinds = [event["type"] for event in found]
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert kinds[-2] == "message_delta"
    assert kinds.count("message_start") == kinds.count("message_stop") == 1
    open_at: int | None = None
    begun = 0
    for event in found:
        if event["type"] == "content_block_start":
            assert open_at is None
            assert event["index"] == begun
            open_at, begun = event["index"], begun + 1
        elif event["type"] == "content_block_delta":
            assert event["index"] == open_at
        elif event["type"] == "content_block_stop":
            assert event["index"] == open_at
            open_at = None
        elif event["type"] == "message_delta":
            assert open_at is None


def accumulated(stream: bytes) -> JSON:
    """The message that `client.messages.stream` makes of it."""
    _Served.body = stream
    asked: Any = [{"role": "user", "content": "Hi"}]
    with _CLIENT.messages.stream(model="m", max_tokens=9, messages=asked) as streamed:
        final = streamed.get_final_message()
    return final.to_dict(mode="json")


def asked(body: bytes, *, version: bytes = b"2023-06-01") -> JSON:
    """A request that the package's types know and the sandbox takes."""
    taken(body, version=version)
    whole: JSON = msgspec.json.decode(body)
    _PARAMS.validate_python({"stream": False, **whole})
    return whole


def taken(body: bytes, *, version: bytes = b"2023-06-01") -> None:
    messages_ask.read(body, {b"anthropic-version": version})


def refusal(body: bytes, *, version: bytes = b"2023-06-01") -> str:
    """What the sandbox says against it; "" when it takes it."""
    try:
        taken(body, version=version)
    except InvalidRequest as error:
        return error.message
    return ""


class ToldLosses(Losses):
    """Losses that remember under which neutral name each was told."""

    __slots__ = ("told",)

    def __init__(self, names: dict[str, str] | None = None, *, strict: bool = False) -> None:
        super().__init__("anthropic/claude", names or {}, strict=strict)
        self.told: set[tuple[str, str]] = set()

    def dropped(self, name: str) -> None:
        self.told.add((name, "dropped"))
        super().dropped(name)

    def changed(self, name: str, how: str) -> None:
        self.told.add((name, "changed"))
        super().changed(name, how)

    def clamped(self, name: str, how: str) -> None:
        self.told.add((name, "clamped"))
        super().clamped(name, how)

    def refused(self, name: str, sentence: str) -> InvalidRequest:
        self.told.add((name, "refused"))
        return super().refused(name, sentence)
