"""The inference routes, plain ASGI: what a caller sends becomes a call, what comes back is written out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from trunkline.errors import BodyTooLarge, ClientGone, InvalidRequest, TrunklineError
from trunkline.http import carriers, problems
from trunkline.http.asgi import Headers, Receive, Scope, Send
from trunkline.http.body import read_json_body
from trunkline.http.facts import FactHeaders
from trunkline.http.shortcuts import answer_ok
from trunkline.pipeline import protocols
from trunkline.pipeline.call import Call, Pipeline
from trunkline.pipeline.protocols import CallerProtocol, Named

STREAM_HEADERS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
JSON_HEADERS: Headers = [(b"content-type", b"application/json")]
JSON_LINE = b"content-type: application/json\r\n"
REQUEST_ID_LIMIT = 128
TRACE_HEADERS = (b"traceparent", b"tracestate")
UNREAD_LIMIT_BYTES = 65_536
TAG_LIMIT = 64
AGENT_LIMIT = 200


def request_id_of(named: Mapping[bytes, bytes], own: str) -> str:
    """The caller's `x-request-id` when it is short and printable, else `own`."""
    given = named.get(b"x-request-id")
    if given and len(given) <= REQUEST_ID_LIMIT and given.isascii():
        text = given.decode()
        if text.isprintable():
            return text
    return own


def address_of(scope: Scope) -> str:
    """The caller's, as far as it is known."""
    client = scope.get("client")
    return client[0] if client else ""


def user_agent_of(named: Mapping[bytes, bytes]) -> str | None:
    agent = named.get(b"user-agent")
    return None if agent is None else agent[:AGENT_LIMIT].decode("latin-1")


def tag_of(headers: Headers, named: Mapping[bytes, bytes], names: tuple[bytes, ...]) -> str | None:
    """What the caller files his call under; `named` is `dict(headers)`. Raises InvalidRequest, also for two different
    tags: whoever adds a header on the way must not choose whose budget pays."""
    found: bytes | None = None
    for name in names:
        value = named.get(name)
        if value is None:
            continue
        if (found is not None and value != found) or (
            len(named) != len(headers) and any(other == name and more != value for other, more in headers)
        ):
            raise InvalidRequest("Two different tags were sent; send one.", param="x-trunkline-tag")
        found = value
    return None if found is None else _checked_tag(found)


def _checked_tag(value: bytes) -> str:
    tag = value.decode("utf-8", "replace")
    if not tag or len(tag) > TAG_LIMIT or not tag.isprintable() or "\ufffd" in tag:
        raise InvalidRequest(f"A tag is 1 to {TAG_LIMIT} printable characters.", param="x-trunkline-tag")
    return tag


class Spoken(NamedTuple):
    """A protocol as its routes serve it. `headers` are those of the caller's that belong to it."""

    protocol: CallerProtocol
    family: problems.Family
    headers: tuple[bytes, ...] = ()


CHAT = Spoken(protocols.CHAT, "openai")
MESSAGES = Spoken(protocols.MESSAGES, "anthropic", (b"anthropic-version", b"anthropic-beta"))


class HttpClient:
    """Fulfils pipeline.call.Client for one request."""

    __slots__ = (
        "_body_read",
        "_facts",
        "_limit_bytes",
        "_receive",
        "_scope",
        "_send",
        "_task",
        "call",
        "gone",
        "named",
        "path",
        "protocol_headers",
        "protocol_headers",
        "spoken",
        "started",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, door: InferenceRoutes, spoken: Spoken) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._facts = door.facts
        self._limit_bytes = door.body_limit_bytes
        self._body_read = False
        self._task: asyncio.Task[Any] | None = None
        self.named: dict[bytes, bytes] = dict(scope["headers"])
        self.call: Call
        self.spoken = spoken
        self.path: Named | None = None
        self.protocol_headers: Headers = [(name, self.named[name]) for name in spoken.headers if name in self.named]
        self.gone = False
        self.started = False

    def watch(self) -> None:
        """From now on the caller's leaving cancels this task. Our server tells; a bare ASGI one cannot."""
        connection = self._scope.get("trunkline.connection")
        if connection is not None:
            self._task = asyncio.current_task(connection.loop)
            connection.on_gone = self._left

    def _left(self) -> None:
        self.gone = True
        if self._task is not None:
            self._task.cancel()

    def unwatch(self) -> None:
        connection = self._scope.get("trunkline.connection")
        if connection is not None:
            connection.on_gone = None

    def credential(self) -> str:
        scope = self._scope
        return carriers.credential(scope["headers"], self.named, scope["query_string"])

    async def body(self) -> bytes:
        body = await read_json_body(self._scope, self._receive, self.named, self._limit_bytes)
        self._body_read = True
        return body

    async def start(self) -> None:
        self.started = True
        headers = [*STREAM_HEADERS, *self._facts.of(self.call), *self._own_headers()]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def answer(self, body: bytes) -> None:
        """A whole answer, status 200."""
        block = b"%bcontent-length: %d\r\n%b" % (JSON_LINE, len(body), self._facts.block(self.call))
        for name, value in self._own_headers():
            block += b"%b: %b\r\n" % (name, value)
        if answer_ok(self._scope, self._send, block, body):
            return
        self.unwatch()
        own = self._own_headers()
        headers = [*JSON_HEADERS, (b"content-length", b"%d" % len(body)), *self._facts.of(self.call), *own]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def refuse(self, error: TrunklineError) -> None:
        """A status and an error body; or, in a stream that has begun, the error as its last event and no `[DONE]`."""
        family, request_id = self.spoken.family, self.call.request_id
        if self.started:
            last_words = self.call.last_words
            shape = problems.shape_of(error)
            await self.write(
                await last_words(shape.openai_type, error.message, error.code)
                if last_words is not None
                else problems.error_event(error, family, request_id)
            )
            await self.end()
            return
        problem = problems.problem(error, family, request_id)
        headers = [*problem.headers, (b"content-length", b"%d" % len(problem.body)), *self._facts.of(self.call)]
        if not self._body_read and (isinstance(error, BodyTooLarge) or self._much_unread()):
            headers.append((b"connection", b"close"))
        await self._send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": problem.body})

    @property
    def tag(self) -> str | None:
        """Raises InvalidRequest."""
        return tag_of(self._scope["headers"], self.named, self._facts.tag_headers)

    @property
    def address(self) -> str:
        return address_of(self._scope)

    @property
    def user_agent(self) -> str | None:
        return user_agent_of(self.named)

    def _own_headers(self) -> Headers:
        """Those of the caller's protocol: Anthropic's SDKs read the id of a request in one of their own."""
        return [(b"request-id", self.call.request_id.encode())] if self.spoken.family == "anthropic" else []

    def _much_unread(self) -> bool:
        """Reading a long body to its end only to throw it away would let anyone keep us busy."""
        declared = self.named.get(b"content-length")
        return b"transfer-encoding" in self.named or (declared is not None and int(declared) > UNREAD_LIMIT_BYTES)


def trace_of(named: Mapping[bytes, bytes]) -> Headers:
    return [(name, named[name]) for name in TRACE_HEADERS if name in named] if TRACE_HEADERS[0] in named else []


def _forget_origin(error: TrunklineError) -> None:
    """A call holds its error, the error its traceback, the traceback the call: its body, and all that was on its way
    out. Nobody reads it any more, and until the next full collection it would be megabytes."""
    error.__traceback__ = error.__context__ = error.__cause__ = None


class InferenceRoutes:
    """One coroutine a protocol; http/door.py says which path is whose."""

    def __init__(
        self,
        pipeline: Pipeline,
        facts: FactHeaders,
        body_limit_bytes: int,
        log_defect: Callable[[str, BaseException], None],
    ) -> None:
        self.facts = facts
        self.body_limit_bytes = body_limit_bytes
        self._pipeline = pipeline
        self._log_defect = log_defect

    def chat_completions(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self.serve(HttpClient(scope, receive, send, self, CHAT))

    def messages(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self.serve(HttpClient(scope, receive, send, self, MESSAGES))

    def serve(self, client: HttpClient) -> Awaitable[None]:
        protocol = client.spoken.protocol
        return self.to_its_end(client, protocol.endpoint, lambda call: self._pipeline.run(call, client, protocol))

    async def to_its_end(
        self, client: HttpClient, endpoint: str, run: Callable[[Call], Awaitable[bytes | None]]
    ) -> None:
        """One call: `run` gives the body of a whole answer, or None when another has been written."""
        named = client.named
        number, protocol = self._pipeline.new_number(), client.spoken.protocol.name
        call = client.call = Call(number, protocol, request_id_of(named, ""), trace_of(named), endpoint)
        client.watch()
        try:
            body = await run(call)
        except ClientGone as error:
            _forget_origin(error)
            return
        except TrunklineError as error:
            if error.__cause__ is not None and error.code == "internal_error":
                self._log_defect(call.id, error.__cause__)
            _forget_origin(error)
            client.unwatch()
            await client.refuse(error)
            return
        if body is None:
            client.unwatch()
            await client.end()
        else:
            await client.answer(body)
