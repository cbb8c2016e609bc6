"""Requests as a hostile or a hurried client sends them, and what the gateway's process shows from outside."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PATIENCE_S = 15.0
CHAT = "/v1/chat/completions"
ASK = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "hello there"}]}


@dataclass(frozen=True)
class Reply:
    """`headers` in order with lower-cased names. `whole` is False when the connection ended before the answer did."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool = True

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else None

    def json(self) -> Any:
        return json.loads(self.body)

    def error(self) -> dict[str, Any]:
        """The error, which must be OpenAI's envelope and nothing else."""
        said = self.json()
        assert set(said) == {"error"}, said
        error: dict[str, Any] = said["error"]
        assert set(error) == {"message", "type", "param", "code"}, error
        assert isinstance(error["message"], str)
        assert error["message"]
        assert isinstance(error["type"], str)
        assert self.header("content-type") == "application/json"
        assert self.header("x-request-id")
        return error

    def events(self) -> list[Any]:
        """The data of each event of a stream, `[DONE]` as it stands."""
        datas = [line[6:] for line in self.body.decode().split("\n") if line.startswith("data: ")]
        return [data if data == "[DONE]" else json.loads(data) for data in datas]


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), PATIENCE_S) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield link


def head(method: str, path: str, headers: Sequence[tuple[str, str | bytes]]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1".encode("latin-1"), b"host: gateway"]
    for name, value in headers:
        lines.append(name.encode() + b": " + (value if isinstance(value, bytes) else value.encode("latin-1")))
    return b"\r\n".join([*lines, b"", b""])


def chat_head(key: str | None, length: int, *more: tuple[str, str | bytes]) -> bytes:
    headers: list[tuple[str, str | bytes]] = [("content-type", "application/json"), ("content-length", str(length))]
    if key is not None:
        headers.append(("authorization", f"Bearer {key}"))
    return head("POST", CHAT, [*headers, *more])


def read_reply(link: socket.socket, *, bodiless: bool = False) -> Reply:
    """One answer; reads on until the body's declared end, or until the connection's."""
    with link.makefile("rb") as stream:
        reply = _read_reply(stream, bodiless)
        return _read_reply(stream, bodiless) if reply.status == 100 else reply


def _read_reply(stream: BufferedReader, bodiless: bool) -> Reply:
    status_line = stream.readline()
    assert status_line, "the connection closed without an answer"
    status = int(status_line.split()[1])
    headers = []
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name.lower(), value.strip()))
    named = dict(headers)
    if bodiless or status in (100, 204, 304):
        return Reply(status, headers, b"")
    if named.get("transfer-encoding") == "chunked":
        body, whole = _dechunk(stream)
        return Reply(status, headers, body, whole)
    length = int(named.get("content-length", -1))
    body = stream.read(length) if length >= 0 else stream.read()
    return Reply(status, headers, body, length < 0 or len(body) == length)


def _dechunk(stream: BufferedReader) -> tuple[bytes, bool]:
    body = b""
    try:
        while line := stream.readline():
            size = int(line, 16)
            piece = stream.read(size)
            body += piece
            if len(piece) < size or not stream.readline():
                break
            if size == 0:
                return body, True
    except OSError:
        pass
    return body, False


def send(url: str, data: bytes) -> Reply:
    """Bytes as they are, over a connection of their own."""
    with connected(url) as link:
        with contextlib.suppress(OSError):  # refused before the end: the answer is there all the same
            link.sendall(data)
        return read_reply(link, bodiless=data.startswith(b"HEAD"))


def chat(url: str, key: str | None, body: bytes | dict[str, Any], *more: tuple[str, str | bytes]) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return send(url, chat_head(key, len(data), *more) + data)


def get(url: str, path: str, *headers: tuple[str, str | bytes], method: str = "GET") -> Reply:
    return send(url, head(method, path, headers))


def asked(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hello there"}], **more}


def eventually(condition: Callable[[], bool], within_s: float, pause_s: float = 0.02) -> float:
    """Seconds until `condition` held; fails when it does not hold in time."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, f"not within {within_s} s"
        time.sleep(pause_s)
    return time.monotonic() - began


@dataclass(frozen=True)
class Process:
    """What /proc says of a process."""

    pid: int

    def rss_bytes(self) -> int:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0

    def files(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def children(self) -> list[int]:
        found = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in found.split()]


def metrics(url: str) -> dict[str, float]:
    """The figures by their full name, labels included."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=PATIENCE_S) as answer:
        lines = answer.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}
