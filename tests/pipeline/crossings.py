"""A call on one of its two ways, without a house around it: who is asked, what he says, where state is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from trunkline.catalog.models import Deployment
from trunkline.errors import StoreUnavailable
from trunkline.ids import AccountId, CallId
from trunkline.pipeline import protocols
from trunkline.pipeline.protocols import CallerProtocol, Named
from trunkline.pipeline.ways import Asked, Crossed, Sidecar
from trunkline.providers import adapter, credentials
from trunkline.providers.adapter import Reach
from trunkline.providers.credentials import ProviderOptions
from trunkline.providers.protocols import PROTOCOLS
from trunkline.providers.transport import Headers
from trunkline.translation.exchange import Answer, Request
from trunkline.translation.streams import StreamWriter
from trunkline.wire.usage import Usage

JSON = dict[str, Any]
NOW = 1_800_000_000.0
ACCOUNT = AccountId("acct_1")
SCHEMA: JSON = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FORM = {"type": "json_schema", "json_schema": {"name": "number", "schema": SCHEMA}}
UPSTREAMS = credentials.configured(
    {name: ProviderOptions(api_key=f"key-of-{name}") for name in ("openai", "anthropic", "google")}, {}
)


def reach(provider: str, protocol: str, **target: Any) -> Reach:
    """As a caller of `protocol` reaches a model of the provider, about which `target` is known."""
    upstream = UPSTREAMS[provider]
    deployment = Deployment(model_id=f"{provider}/m", provider_id=provider, provider=upstream.row, upstream="m")
    made = adapter.reach(deployment, upstream, protocol)
    return msgspec.structs.replace(made, target=msgspec.structs.replace(made.target, **target))


BODIES: Mapping[str, JSON] = {
    "openai_chat": {"model": "asked", "messages": [{"role": "user", "content": "Hi"}]},
    "anthropic_messages": {"model": "asked", "max_tokens": 99, "messages": [{"role": "user", "content": "Hi"}]},
    "openai_responses": {"model": "asked", "input": "Hi", "store": False},
    "gemini": {"contents": [{"parts": [{"text": "Hi"}]}]},
}
FORMS: Mapping[str, JSON] = {
    "openai_chat": {"response_format": FORM},
    "anthropic_messages": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    "openai_responses": {"text": {"format": {"type": "json_schema", "name": "number", "schema": SCHEMA}}},
    "gemini": {"generationConfig": {"responseMimeType": "application/json", "responseSchema": SCHEMA}},
}
CALLERS = (protocols.CHAT, protocols.MESSAGES, protocols.RESPONSES, protocols.GEMINI)
OWN = {"openai_chat": "openai", "openai_responses": "openai", "anthropic_messages": "anthropic", "gemini": "google"}


def asked(protocol: CallerProtocol, *, headers: Headers | None = None, **fields: Any) -> Asked:
    body = msgspec.json.encode({**BODIES[protocol.name], **fields})
    inbound = protocol.read(body, Named("asked", stream=False))
    made = Asked(protocol, inbound, ACCOUNT, CallId("call_0123"), headers or [])
    made.may_pass = protocol.may_pass(inbound)
    return made


class Memory:
    """A sidecar store in a dict."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}
        self.until: list[float] = []
        self.looked_for: list[list[str]] = []
        self.down = False

    async def put(self, account_id: AccountId, entries: Mapping[str, bytes], expires_at: float) -> tuple[str, ...]:
        if self.down:
            raise StoreUnavailable("The database does not answer.")
        self.kept.update({(account_id, key): value for key, value in entries.items()})
        self.until.append(expires_at)
        return ()

    async def find(self, account_id: AccountId, keys: Iterable[str]) -> dict[str, bytes]:
        wanted = list(keys)
        self.looked_for.append(wanted)
        return {key: self.kept[account_id, key] for key in wanted if (account_id, key) in self.kept}

    async def sweep(self, now_s: float) -> int:
        raise AssertionError("nothing is swept here")


def over_messages(question: Asked, store: Memory | None = None, **target: Any) -> Crossed:
    reached = reach("anthropic", question.protocol.name, **target)
    return Crossed(question, reached, PROTOCOLS["anthropic_messages"], Sidecar(store, 30) if store else None)


def message(*content: JSON, stop: str = "end_turn", **usage: int) -> bytes:
    counted = {"input_tokens": 10, "output_tokens": 4, **usage}
    return msgspec.json.encode(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "real",
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": counted,
        }
    )


def text(said: str) -> JSON:
    return {"type": "text", "text": said}


THOUGHT: JSON = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmF0dXJl"}
CALL: JSON = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}}


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **fields}))


def streamed(arguments: str) -> bytes:
    began = msgspec.json.decode(message()) | {"stop_reason": None}
    tool = {"type": "tool_use", "id": "toolu_1", "name": "number", "input": {}}
    pieces = [arguments[:3], arguments[3:]]
    return b"".join(
        (
            event("message_start", message=began),
            event("content_block_start", index=0, content_block=tool),
            *(
                event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": piece})
                for piece in pieces
            ),
            event("content_block_stop", index=0),
            event(
                "message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 4}
            ),
            event("message_stop"),
        )
    )


class Quill:
    """A pen that writes down who used it."""

    response_id = "resp_ours"

    def __init__(self, protocol: CallerProtocol) -> None:
        self._translator = protocol.spoken.translator
        self.used: list[str] = []

    def whole(self, answer: Answer, request: Request) -> bytes:
        self.used.append("whole")
        return b"by the pen"

    def writer(self, request: Request) -> StreamWriter:
        self.used.append("writer")
        return self._translator.writer(request)

    async def failed(self, kind: str, message: str, code: str | None) -> bytes:
        return f"{kind} {message} {code}".encode()

    async def keep(self) -> None:
        self.used.append("keep")


class Pricing:
    """What a charge is to the ways."""

    warnings = ("skipped one",)

    def __init__(self) -> None:
        self.seen: list[Usage | None] = []

    def price(self, usage: Usage | None, seen_tokens: int | None = None) -> Usage:
        self.seen.append(usage)
        return usage or Usage(input_tokens=1, output_tokens=1)
