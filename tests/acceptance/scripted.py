"""A provider that does what a script says: the model's name in a request chooses the script.

Everything is bytes on a socket, so that it can also do what no server library would.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

PATIENCE_S = 10.0


@dataclass
class Exchange:
    """One request, and the provider's end of its connection. `gone` is set once the other side has closed."""

    link: socket.socket
    head: bytes
    body: bytes
    gone: threading.Event = field(default_factory=threading.Event)
    sent_bytes: int = 0

    @property
    def model(self) -> str:
        """It stands in the path of Google's protocol, in the body of the others, which may be a form."""
        found = re.match(rb"POST \S*/models/([^:/ ]+):", self.head)
        found = found or re.search(rb'; name="?model"?\r\n\r\n(\S+)', self.body)
        return found[1].decode() if found else str(json.loads(self.body)["model"])

    def header(self, name: str) -> str | None:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name:
                return value.strip()
        return None

    def send(self, data: bytes) -> None:
        self.link.sendall(data)
        self.sent_bytes += len(data)

    def answer(self, status: int, body: bytes, *headers: str, kind: str = "application/json") -> None:
        lines = [f"HTTP/1.1 {status} Said", f"content-type: {kind}", f"content-length: {len(body)}", *headers]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def begin_stream(self) -> None:
        """The head of a stream; each `piece` is a chunk of it, `end_stream` its regular end."""
        self.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    def piece(self, data: bytes) -> None:
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def end_stream(self) -> None:
        self.send(b"0\r\n\r\n")

    def stream(self, *events: bytes) -> None:
        self.begin_stream()
        if events:
            self.piece(b"".join(events))
        self.end_stream()

    def until_gone(self, timeout_s: float = PATIENCE_S) -> bool:
        """Waits for the other side to close; True when it did."""
        self.link.settimeout(timeout_s)
        try:
            while self.link.recv(65_536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        self.gone.set()
        return True

    def cut(self) -> None:
        """Closes in the middle of whatever it was."""
        self.link.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        self.link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.link.close()


Script = Callable[[Exchange], None]


def chunk(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> bytes:
    """One event of a chat stream; `delta` None makes one without choices."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return event({"id": "chatcmpl-p", "object": "chat.completion.chunk", "created": 1, "model": "m",
                  "choices": choices, **more})  # fmt: skip


def event(data: object) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
HELLO = (chunk({"role": "assistant", "content": ""}), chunk({"content": "hello"}), chunk({}, "stop"))
WHOLE = json.dumps(
    {
        "id": "chatcmpl-p",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
).encode()


def say_hello(exchange: Exchange) -> None:
    """A good answer, streamed when it was asked for so."""
    if json.loads(exchange.body).get("stream"):
        exchange.stream(*HELLO, chunk(None, usage=USAGE), DONE)
    else:
        exchange.answer(200, WHOLE)


class Provider:
    """`scripts` by model name; a model without one gets `say_hello`. `seen` holds every exchange in order."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.scripts: dict[str, Script] = {}
        self.seen: list[Exchange] = []
        self.accepted = 0
        self.open: set[socket.socket] = set()
        self._arrived = threading.Condition()
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"{'http' if self._context is None else 'https'}://127.0.0.1:{self.port}/v1"

    def close(self) -> None:
        # Who waits for a connection would wait on, and take one of the next provider: its socket has the same number.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(PATIENCE_S)
        self._listener.close()
        for link in list(self.open):
            link.close()

    def of(self, model: str) -> list[Exchange]:
        return [exchange for exchange in list(self.seen) if exchange.model == model]

    def wait_for(self, model: str, count: int = 1) -> Exchange:
        """The latest exchange about this model once there are `count`."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.of(model)) >= count, PATIENCE_S), f"nobody asked for {model}"
        return self.of(model)[-1]

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        self.open.add(link)
        try:
            if self._context is not None:
                link.settimeout(PATIENCE_S)
                link = self._context.wrap_socket(link, server_side=True)
            # An event must not wait for the acknowledgement of the one before it.
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (exchange := _read_request(link)) is not None:
                with self._arrived:
                    self.seen.append(exchange)
                    self._arrived.notify_all()
                self.scripts.get(exchange.model, say_hello)(exchange)
        except OSError:
            pass  # the other side has left, or the script has closed
        finally:
            self.open.discard(link)
            link.close()


def _read_request(link: socket.socket) -> Exchange | None:
    link.settimeout(None)
    data = b""
    while b"\r\n\r\n" not in data:
        came = link.recv(65_536)
        if not came:
            return None
        data += came
    head, _, body = data.partition(b"\r\n\r\n")
    exchange = Exchange(link, head, body)
    length = int(exchange.header("content-length") or 0)
    pieces = [body]
    while length > len(body):
        came = link.recv(1 << 20)
        if not came:
            return None
        pieces.append(came)
        length -= len(came)
    exchange.body = b"".join(pieces)
    return exchange


@contextmanager
def providing(context: ssl.SSLContext | None = None) -> Iterator[Provider]:
    provider = Provider(context)
    try:
        yield provider
    finally:
        provider.close()
