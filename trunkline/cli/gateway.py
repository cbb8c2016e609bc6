"""A client of a running gateway, for commands that call it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from trunkline.errors import Refused, Unavailable, UpstreamError, UpstreamFailed
from trunkline.http.server import ServerOptions
from trunkline.observe import Secret
from trunkline.providers.base_url import split_base_url
from trunkline.providers.transport import Timers, Transport, UpstreamRequest, UpstreamResponse
from trunkline.wire.codec import encode
from trunkline.wire.provider_errors import read_error
from trunkline.wire.sse import Splitter

LONGEST_ANSWER = 32 << 20


class Gateway(msgspec.Struct, frozen=True):
    """Where it is, without `/v1`, and a key for it."""

    url: str
    key: Secret


class Question(msgspec.Struct, frozen=True):
    model: str
    prompt: str


class _Said(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Said = _Said()
    delta: _Said = _Said()


class _Answer(msgspec.Struct):
    """A whole answer or one chunk of a stream."""

    choices: list[_Choice] = []
    error: msgspec.Raw = msgspec.Raw()


def url_of(server: ServerOptions) -> str:
    """Where a server with these settings is, seen from its own machine."""
    scheme = "http" if server.tls_cert is None else "https"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host).strip("[]")
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.port}"


async def ask(transport: Transport, gateway: Gateway, question: Question) -> bytes:
    """The whole answer as JSON. Raises Refused with the gateway's reason, Unavailable when nothing answers."""
    response = await _send(transport, gateway, question, streaming=False)
    return await response.read(LONGEST_ANSWER)


def text_of(answer: bytes) -> str:
    """What the model said in a whole answer."""
    return "".join(choice.message.content or "" for choice in _read(answer).choices)


async def stream(transport: Transport, gateway: Gateway, question: Question) -> AsyncIterator[str]:
    """The answer's text as it comes. Raises as `ask` does, and UpstreamError when the stream fails or is cut."""
    response = await _send(transport, gateway, question, streaming=True)
    splitter = Splitter()
    try:
        while data := await response.chunk():
            for payload in splitter.feed(data):
                if payload == b"[DONE]":
                    return
                for choice in _read(payload).choices:
                    if choice.delta.content:
                        yield choice.delta.content
    finally:
        response.close()
    raise UpstreamFailed("The answer was cut: the connection ended before it did.")


def _read(payload: bytes) -> _Answer:
    try:
        answer = msgspec.json.decode(payload, type=_Answer)
    except msgspec.DecodeError:
        raise UpstreamFailed("That is not the answer of a gateway; does the URL belong to one?") from None
    if answer.error:
        raise UpstreamFailed(read_error(payload).message)
    return answer


async def _send(transport: Transport, gateway: Gateway, question: Question, *, streaming: bool) -> UpstreamResponse:
    origin, path_prefix = split_base_url(gateway.url, "--url")
    body = {"model": question.model, "messages": [{"role": "user", "content": question.prompt}], "stream": streaming}
    request = UpstreamRequest(
        origin=origin,
        target=path_prefix + b"/v1/chat/completions",
        headers=[
            (b"authorization", b"Bearer " + gateway.key.reveal().encode()),
            (b"content-type", b"application/json"),
            (b"accept", b"text/event-stream" if streaming else b"application/json"),
            (b"accept-encoding", b"identity"),
            (b"user-agent", b"trunkline-cli"),
        ],
        body=encode(body),
        timers=Timers(),
        streaming=streaming,
    )
    try:
        response = await transport.send(request)
    except UpstreamError as error:
        raise Unavailable(
            f"Nothing answers at {gateway.url} ({error.message.rstrip('.')}). Start it with `trunkline serve`."
        ) from None
    if response.status != 200:
        facts = read_error(await response.read(LONGEST_ANSWER))
        raise Refused(f"{response.status}: {facts.message}", code=facts.code)
    return response
