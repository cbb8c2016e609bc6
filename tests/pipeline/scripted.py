"""A pipeline whose providers follow a script: what each attempt answers is given, what was sent to it is kept."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence

import msgspec

from tests.pipeline.test_relay import DONE, FINISH, ROLE, TEXT, USAGE, RecordingCaller, ScriptedResponse
from trunkline.catalog.catalog import Catalog
from trunkline.catalog.models import Model
from trunkline.catalog.prices import PriceOptions
from trunkline.errors import TrunklineError, Unauthenticated
from trunkline.ids import AccountId, KeyId
from trunkline.pipeline import protocols
from trunkline.pipeline.call import Call, CompatOptions, LiveSettings, Pipeline, Record
from trunkline.pipeline.identity import KeyTable
from trunkline.pipeline.protocols import Named
from trunkline.policy.keys import KeyShape
from trunkline.ports.keys import KeyRecord
from trunkline.providers import credentials
from trunkline.providers.credentials import ProviderOptions
from trunkline.providers.transport import Headers, Timers, UpstreamRequest
from trunkline.routing.table import Available, RouteOptions, RouteTable

KEY = "sk-of-a-caller"
ANY = ("one/small", "two/small", "three/small")
NOBODY = "sk-of-nobody"
HELLO = b'{"model":"any","messages":[{"role":"user","content":"hello"}]}'
STREAM = HELLO[:-1] + b',"stream":true}'
ANSWER = (
    b'{"id":"chatcmpl-1","model":"real","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
)


class Reply(ScriptedResponse):
    """One attempt's answer. Its headers come after `head_s`; `script` is the body, streamed or whole."""

    def __init__(
        self,
        *script: tuple[float, bytes | Exception],
        status: int = 200,
        headers: Headers | None = None,
        head_s: float = 0,
    ) -> None:
        super().__init__(*script)
        self.status = status
        self.headers = headers or []
        self.head_s = head_s

    async def read(self, limit: int) -> bytes:
        body = b""
        while piece := await self.chunk():
            body += piece
        assert len(body) <= limit
        return body


def whole(body: bytes = ANSWER, *, after_s: float = 0) -> Reply:
    return Reply((after_s, body))


def good(*, first_s: float = 0) -> Reply:
    """A stream that begins after `first_s` and ends well."""
    return Reply((first_s, ROLE + TEXT), (1, FINISH + USAGE + DONE))


def refused(status: int, code: str | None = None, message: str = "no") -> Reply:
    body = msgspec.json.encode({"error": {"message": message, "code": code}})
    return Reply((0, body), status=status)


class ScriptedTransport:
    """Answers the first request with the first of the script, and so on; an exception is raised in its place."""

    def __init__(self, *script: Reply | Exception) -> None:
        self.script = list(script)
        self.requests: list[UpstreamRequest] = []
        self.given: list[Reply] = []

    async def send(self, request: UpstreamRequest) -> Reply:
        if request.before_sending is not None:
            request.before_sending()
        self.requests.append(request)
        reply = self.script.pop(0)
        if isinstance(reply, Exception):
            raise reply
        await asyncio.sleep(reply.head_s)
        self.given.append(reply)
        return reply

    async def close(self) -> None:
        raise NotImplementedError

    @property
    def asked(self) -> list[str]:
        """Which providers were asked, in order, by the first part of their hosts."""
        return [request.origin.host.partition(".")[0] for request in self.requests]

    def all_closed(self) -> bool:
        """Every answer that was handed out has been given back."""
        return all(reply.closed_at is not None for reply in self.given)


class Ledger:
    """Keeps what a Recorder is told."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.attempts: list[tuple[str, str | None]] = []

    def ended(self, call: Call) -> None:
        self.calls.append(call)

    def status_of(self, error: TrunklineError | None) -> int:
        return 200 if error is None else 500

    def attempt(self, call: Call, error: TrunklineError | None) -> None:
        assert call.deployment is not None
        self.attempts.append((call.deployment.model_id, None if error is None else type(error).__name__))


class Empty:
    """A store without keys."""

    def version(self) -> int:
        return 1

    def live_keys(self) -> list[KeyRecord]:
        return []

    def find(self, digest: bytes) -> KeyRecord | None:
        return None

    def touch(self, used: dict[KeyId, float]) -> None:
        raise NotImplementedError

    def retire(self, used: Sequence[bytes]) -> None:
        raise NotImplementedError


def key_table(*globs: str, admin: bool = False) -> KeyTable:
    """Knows KEY, whose models are `globs`. Watches nothing, so that no thread is needed."""
    table = KeyTable(Empty(), lambda text: text.encode().ljust(32, b"."), KeyShape("sk-tl"))
    record = KeyRecord(
        digest=KEY.encode().ljust(32, b"."),
        key_id=KeyId("key_1"),
        account_id=AccountId("acct_1"),
        name="test",
        models=globs,
        admin=admin,
    )
    table._replace(1, [record], began_at=1e12)
    # Known to be unknown, so that no thread asks the store while a test holds the clock.
    table._misses[NOBODY.encode().ljust(32, b".")] = math.inf
    return table


def pipeline(  # noqa: PLR0913 - each is another part of the house
    transport: ScriptedTransport,
    record: Record,
    *,
    keys: KeyTable | None = None,
    aliases: Mapping[str, tuple[str, ...]] | None = None,
    prices: Mapping[str, PriceOptions] | None = None,
    restamp_model: bool = False,
) -> Pipeline:
    """Providers `one`, `two`, `three` take every field, `picky` speaks Mistral's dialect, the sandbox is there."""
    generic = {
        name: ProviderOptions(kind="openai-compatible", base_url=f"https://{name}.example/v1", api_key=f"key-of-{name}")
        for name in ("one", "two", "three")
    }
    picky = ProviderOptions(kind="mistral", base_url="https://picky.example/v1", api_key="key-of-picky")
    upstreams = credentials.configured({**generic, "picky": picky}, {})
    catalog = Catalog("sandbox alone")
    catalog.add(Model(id="sandbox/echo", provider="sandbox", upstream="echo", name="Echo"))
    routes = RouteTable(
        catalog,
        Available(
            providers={name: upstream.row for name, upstream in upstreams.items()},
            aliases={
                name: RouteOptions(deployments=targets) for name, targets in {"any": ANY, **(aliases or {})}.items()
            },
            prices=prices or {},
        ),
    )
    settings = LiveSettings(
        routes=routes, upstreams=upstreams, timers=Timers(), compat=CompatOptions(restamp_model=restamp_model)
    )
    return Pipeline(keys or key_table(), settings, {"https": transport, "sandbox": transport}, record)


def new_call(trace: Headers | None = None) -> Call:
    return Call(1, "openai_chat", "request-1", trace or [], "chat")


class ScriptedClient(RecordingCaller):
    """Sends one body after `body_s`, with one credential, and keeps what comes back."""

    def __init__(self, body: bytes, *, credential: str = KEY, body_s: float = 0) -> None:
        super().__init__()
        self.gone = False
        self.path: Named | None = None
        self.protocol_headers: Headers = []
        self.tag: str | None = None
        self.address = "192.0.2.7"
        self.user_agent: str | None = "scripted/1"
        self._credential = credential
        self._body = body
        self._body_s = body_s

    def credential(self) -> str:
        if not self._credential:
            raise Unauthenticated("No API key was sent.")
        return self._credential

    async def body(self) -> bytes:
        await asyncio.sleep(self._body_s)
        return self._body


class Played:
    """One call through a scripted house, and all that can be seen of it afterwards."""

    def __init__(self, *script: Reply | Exception) -> None:
        self.transport = ScriptedTransport(*script)
        self.ledger = Ledger()
        self.call: Call = new_call()
        self.client = ScriptedClient(HELLO)
        self.pipeline: Pipeline = pipeline(self.transport, self.ledger)
        self.error: TrunklineError | None = None
        self.answer: bytes | None = None

    async def run(self, body: bytes = HELLO) -> Played:
        self.call = new_call(self.call.trace)
        self.client._body = body
        try:
            self.answer = await self.pipeline.run(self.call, self.client, protocols.CHAT)
        except TrunklineError as error:
            self.error = error
        self.check()
        return self

    def check(self) -> None:
        """What holds however a call ends."""
        assert self.ledger.calls == [self.call], "recorded exactly once"
        assert self.call.error is self.error
        assert self.transport.all_closed(), "an answer was left open"
        assert len(self.transport.requests) == self.call.attempts
        assert self.call.ended_at >= self.call.started_at
