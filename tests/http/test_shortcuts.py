"""The shortcuts change nothing that a client sees: every exchange is held against the same one over plain ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from trunkline.http import shortcuts
from trunkline.http.asgi import Application, Receive, Scope, Send
from trunkline.http.lifecycle import configured
from trunkline.http.protocol import HardenedProtocol, HardenedState
from trunkline.http.server import ServerOptions

HEAD = b"POST /x HTTP/1.1\r\nHost: a\r\n"
BIG = 100_000


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.writes = 0
        self.closing = False
        self.paused = False

    def write(self, data: bytes) -> None:
        self.written += data
        self.writes += 1

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return 0


class App:
    """Echoes the body. `taken` and `answered` count what the shortcuts did."""

    def __init__(self, *, short: bool, reply: Callable[[bytes], bytes]) -> None:
        self._short = short
        self._reply = reply
        self.taken = self.answered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = shortcuts.take_body(scope, receive) if self._short else None
        if body is None:
            body = await self._read(receive)
        else:
            self.taken += 1
        answer = self._reply(body)
        headers = b"content-length: %d\r\n" % len(answer)
        if self._short and scope["method"] != "HEAD" and shortcuts.answer_ok(scope, send, headers, answer):
            self.answered += 1
            return
        length = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": answer})

    async def _read(self, receive: Receive) -> bytes:
        parts, more = [], True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                break
            parts.append(message["body"])
            more = message["more_body"]
        return b"".join(parts)


async def exchange(application: Application, *segments: bytes) -> Wire:
    state = HardenedState(ServerOptions())
    state.default_headers = [(b"date", b"today")]
    protocol = HardenedProtocol(configured(application), state, {}, asyncio.get_running_loop())
    wire = Wire()
    protocol.connection_made(wire)  # type: ignore[arg-type]
    for segment in segments:
        protocol.data_received(segment)
        await asyncio.sleep(0)
    while state.tasks:
        await asyncio.wait(set(state.tasks))
    return wire


ONE = HEAD + b"Content-Length: 5\r\n\r\nhello"
CASES = {
    "a plain request": (ONE,),
    "its body in two segments": (HEAD + b"Content-Length: 5\r\n\r\nhe", b"llo"),
    "head and body apart": (HEAD + b"Content-Length: 5\r\n\r\n", b"hello"),
    "a chunked body": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",),
    "no body": (HEAD + b"Content-Length: 0\r\n\r\n",),
    "three pipelined": (ONE * 3,),
    "one after the other": (ONE, ONE),
    "the last on its connection": (HEAD + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello",),
    "HTTP/1.0": (b"POST /x HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",),
    "HEAD": (b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n",),
    "a body that was asked for": (HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", b"hello"),
    "a body beyond the water mark": (HEAD + b"Content-Length: %d\r\n\r\n" % BIG, b"x" * BIG),
}


@pytest.mark.parametrize("segments", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize(
    "reply", [lambda body: body, lambda _: b"", lambda _: b"y" * BIG], ids=["echo", "empty", "big"]
)
async def test_a_client_sees_the_same(segments: tuple[bytes, ...], reply: Callable[[bytes], bytes]) -> None:
    plain = await exchange(App(short=False, reply=reply), *segments)
    short = await exchange(App(short=True, reply=reply), *segments)
    assert short.written == plain.written
    assert short.closing == plain.closing
    assert short.paused == plain.paused


async def test_the_plain_case_is_short_both_ways_and_one_write() -> None:
    application = App(short=True, reply=lambda body: body)
    wire = await exchange(application, ONE)
    assert (application.taken, application.answered, wire.writes) == (1, 1, 1)


async def test_a_wrapped_send_is_not_passed_by() -> None:
    """CORS headers are added by wrapping: going past the wrap would lose them."""

    async def wrapping(scope: Scope, receive: Receive, send: Send) -> None:
        async def wrapped(message: Any) -> None:
            await send(message)

        assert not shortcuts.answer_ok(scope, wrapped, b"content-length: 0\r\n", b"")
        await App(short=False, reply=lambda body: body)(scope, receive, wrapped)

    wire = await exchange(wrapping, ONE)
    assert wire.written.endswith(b"hello")


async def test_another_server_is_left_to_asgi() -> None:
    async def send(_message: Any) -> None: ...

    async def receive() -> Any: ...

    assert shortcuts.take_body({"type": "http"}, receive) is None
    assert not shortcuts.answer_ok({"type": "http"}, send, b"", b"")
