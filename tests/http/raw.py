"""A real server in a thread, an application that does what its path says, and a client that sends bytes."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
import uvloop

from trunkline.http import listening
from trunkline.http.asgi import Message, Receive, Scope, Send
from trunkline.http.lifecycle import Lifecycle
from trunkline.http.listening import ServerOptions
from trunkline.http.protocol import HardenedProtocol
from trunkline.http.serving import Serving
from trunkline.wire import codec

PATIENCE_S = 10.0


class Steered:
    """Paths: /hold answers once released, /stream begins and ends once released, /flood never ends, /gone notes that
    the client left, /pid names its process. All others tell what came."""

    def __init__(self) -> None:
        self.serving = Serving()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.gates: dict[str, asyncio.Event] = {}
        self.entered = threading.Semaphore(0)
        self.gone = threading.Event()
        self.disconnected = threading.Event()
        self.stopped = threading.Event()

    def release(self, path: str) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.gates[path].set)

    def await_entered(self) -> None:
        """Until one more call has come to its gate."""
        assert self.entered.acquire(timeout=PATIENCE_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close"})
        else:
            await getattr(self, "_" + scope["path"].rpartition("/")[2], self._tell)(scope, receive, send)

    async def _pid(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await answer(send, str(os.getpid()).encode())

    async def _live(self, receive: Receive, send: Send) -> None:
        self.loop = asyncio.get_running_loop()
        for _ in range(2):
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self.stopped.set()
            await send({"type": message["type"] + ".complete"})

    async def _wait(self, path: str) -> None:
        gate = self.gates.setdefault(path, asyncio.Event())
        self.entered.release()
        await gate.wait()

    async def _tell(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["trunkline.connection"].on_gone = self.gone.set
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
        facts = {"method": scope["method"], "path": scope["path"], "query": scope["query_string"].decode()}
        facts |= {"headers": headers, "length": len(body), "body": body[:64].decode("latin-1")}
        facts |= {"client": scope["client"][0], "scheme": scope["scheme"]}
        await answer(send, codec.encode(facts))

    async def _hold(self, scope: Scope, _receive: Receive, send: Send) -> None:
        await self._wait(scope["path"])
        await answer(send, b"held")

    async def _stream(self, scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
        await self._wait(scope["path"])
        await send({"type": "http.response.body", "body": b"ended"})

    async def _flood(self, scope: Scope, _receive: Receive, send: Send) -> None:
        scope["trunkline.connection"].on_gone = self.disconnected.set
        self.disconnected.clear()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not self.disconnected.is_set():
            await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
            await asyncio.sleep(0)

    async def _lump(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await answer(send, bytes(16 * 1024 * 1024))

    async def _gone(self, scope: Scope, receive: Receive, _send: Send) -> None:
        scope["trunkline.connection"].on_gone = self.gone.set
        self.entered.release()
        message: Message = {}
        while message.get("type") != "http.disconnect":
            message = await receive()
        self.disconnected.set()


async def answer(send: Send, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Running(NamedTuple):
    application: Steered
    lifecycle: Lifecycle
    port: int
    thread: threading.Thread

    def stop(self) -> None:
        """Begins a graceful stop."""
        assert self.application.loop is not None
        self.application.loop.call_soon_threadsafe(self.lifecycle.ask_to_stop)

    def await_stopped(self) -> None:
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()


@contextmanager
def serving(**settings: Any) -> Iterator[Running]:
    """Serves a `Steered` on loopback until the block ends. `settings` are those of ServerOptions."""
    options = ServerOptions(**{"port": 0, "drain_s": 0.0, **settings})
    sockets = listening.listen(options)
    port = sockets[0].getsockname()[1]
    application = Steered()
    lifecycles: list[Lifecycle] = []
    up = threading.Event()

    def factory(told: Serving) -> Steered:
        application.serving = told
        return application

    async def live() -> None:
        lifecycle = Lifecycle(options, sockets, listening.tls_context(options))
        lifecycles.append(lifecycle)
        assert await lifecycle.start(factory)
        up.set()
        await lifecycle.stop_asked.wait()
        await lifecycle.stop()

    def work() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(live())

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert up.wait(PATIENCE_S)
    running = Running(application, lifecycles[0], port, thread)
    try:
        yield running
    finally:
        if thread.is_alive():
            running.stop()
        running.await_stopped()


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def facts(self) -> dict[str, Any]:
        decoded: dict[str, Any] = msgspec.json.decode(self.body)
        return decoded


class Client:
    """One connection. Whatever waits gives up after PATIENCE_S."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        plain = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = plain if context is None else context.wrap_socket(plain, server_hostname="localhost")
        self.buffer = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        """A server that has closed already may have said why, so that is for the reader to see."""
        try:
            for part in parts:
                self.socket.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def get(self, path: str) -> None:
        self.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())

    def reset(self) -> None:
        """Leaves without a word."""
        self.socket.close()

    def answer(self, method: str = "GET") -> Answer:
        """The next response, whole. Raises EOFError when the connection ends before it does."""
        head = self._until(rb"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:-2])}
        status = int(lines[0].split(" ")[1])
        if method == "HEAD" or status == 100:
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self._until(rb"\r\n"), 16):
                body += self._exactly(size + 2)[:-2]
            self._exactly(2)
            return Answer(status, headers, body)
        return Answer(status, headers, self._exactly(int(headers["content-length"])))

    def rest(self) -> bytes:
        """What comes until the server closes."""
        try:
            while received := self.socket.recv(65_536):
                self.buffer += received
        except ConnectionResetError:
            pass
        return self.buffer

    def read(self, size: int) -> bytes:
        return self._exactly(size)

    def _until(self, pattern: bytes) -> bytes:
        while (found := re.search(pattern, self.buffer)) is None:
            self._more()
        head, self.buffer = self.buffer[: found.end()], self.buffer[found.end() :]
        return head

    def _exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self._more()
        part, self.buffer = self.buffer[:size], self.buffer[size:]
        return part

    def _more(self) -> None:
        received = self.socket.recv(65_536)
        if not received:
            raise EOFError(f"the server closed; left unread: {self.buffer[:200]!r}")
        self.buffer += received


def connection_of(running: Running, client: Client) -> HardenedProtocol:
    """The server's side of the client's connection, once there is one."""
    while True:
        for connection in list(running.lifecycle.state.connections):
            if isinstance(connection, HardenedProtocol) and connection.client == client.socket.getsockname():
                return connection
        threading.Event().wait(0.01)
