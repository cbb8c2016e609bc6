"""Streams through a real gateway: every odd but good one arrives whole, and a caller who leaves takes it all along."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.acceptance.asking import (
    Process,
    asked,
    chat,
    chat_head,
    connected,
    eventually,
    metrics,
)
from tests.acceptance.conftest import Gateway, serving
from tests.acceptance.scripted import DONE, HELLO, USAGE, Exchange, Provider, chunk, event, providing

pytestmark = pytest.mark.acceptance

MIB = 1024 * 1024
IDLE_S = 1.0
GONE_WITHIN_S = 1.0
FINISH = chunk({}, "stop")


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with providing() as found:
        found.scripts.update(GOOD)
        found.scripts.update(LEFT_ALONE)
        found.scripts["flood"] = flood
        yield found


@pytest.fixture(scope="module")
def gateway(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = (
        f'[providers.scripted]\nkind = "openai"\nbase_url = "{provider.url}"\napi_key = "k"\n'
        f"[timeouts]\nfirst_byte_s = 20\nidle_s = {IDLE_S}\n"
    )
    with serving(tmp_path_factory.mktemp("streams"), settings) as found:
        yield found


def told(*events: bytes) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.stream(*events)


def in_drops(exchange: Exchange) -> None:
    """A byte at a time: the silence between any two is short, that of the whole is not."""
    data = b"".join((*HELLO, chunk(None, usage=USAGE), DONE))
    exchange.begin_stream()
    for place in range(len(data)):
        exchange.piece(data[place : place + 1])
    exchange.end_stream()


def slowly(exchange: Exchange) -> None:
    """Longer than the idle time in total, alive by comments alone."""
    exchange.begin_stream()
    exchange.piece(HELLO[0] + HELLO[1])
    for _ in range(6):
        time.sleep(IDLE_S / 4)
        exchange.piece(b": alive\n\n")
    exchange.piece(HELLO[2] + chunk(None, usage=USAGE) + DONE)
    exchange.end_stream()


def until_closed(exchange: Exchange) -> None:
    """No length and no chunks: the connection's end is the body's."""
    exchange.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
    exchange.send(b"".join((*HELLO, chunk(None, usage=USAGE), DONE)))
    exchange.cut()


def never_closed(exchange: Exchange) -> None:
    """Everything has been said, and then the connection just stays."""
    exchange.begin_stream()
    exchange.piece(b"".join((*HELLO, chunk(None, usage=USAGE), DONE)))
    exchange.until_gone()


WITH_USAGE = (*HELLO, chunk(None, usage=USAGE), DONE)
GOOD: dict[str, Callable[[Exchange], None]] = {
    "plain": told(*WITH_USAGE),
    "no-done": told(*HELLO, chunk(None, usage=USAGE)),
    "usage-in-finish": told(HELLO[0], HELLO[1], chunk({}, "stop", usage=USAGE), DONE),
    "usage-before-finish": told(HELLO[0], HELLO[1], chunk(None, usage=USAGE), FINISH, DONE),
    "usage-in-every-chunk": told(
        chunk({"role": "assistant", "content": ""}, usage={**USAGE, "completion_tokens": 0, "total_tokens": 3}),
        chunk({"content": "hello"}, usage={**USAGE, "completion_tokens": 1, "total_tokens": 4}),
        chunk({}, "stop", usage=USAGE),
        DONE,
    ),
    "usage-twice": told(*HELLO, chunk(None, usage=USAGE), chunk(None, usage=USAGE), DONE),
    "usage-with-a-hull": told(*HELLO, chunk({}, None, usage=USAGE), DONE),
    "text-in-finish": told(HELLO[0], chunk({"content": "hello"}, "stop"), chunk(None, usage=USAGE), DONE),
    "crlf": told(*(part.replace(b"\n", b"\r\n") for part in WITH_USAGE)),
    "cr": told(*(part.replace(b"\n", b"\r") for part in WITH_USAGE)),
    "comments": told(b": OPENROUTER PROCESSING\n\n", *(b":\n\n" + part for part in WITH_USAGE)),
    "event-names": told(*(b"event: message\nid: 7\nretry: 10\n" + part for part in WITH_USAGE)),
    "no-space": told(*(part.replace(b"data: ", b"data:") for part in WITH_USAGE)),
    "bom": told(b"\xef\xbb\xbf", *WITH_USAGE),
    "role-in-every-chunk": told(
        chunk({"role": "assistant", "content": "hel"}),
        chunk({"role": "assistant", "content": "lo"}),
        chunk({"role": "assistant", "content": ""}, "stop"),
        chunk(None, usage=USAGE),
        DONE,
    ),
    "filter-results-first": told(chunk(None, prompt_filter_results=[{"a": 1}]), *WITH_USAGE),
    "after-done": told(*WITH_USAGE, chunk({"content": "ghost"}), DONE),
    "drops": in_drops,
    "slowly": slowly,
    "until-closed": until_closed,
    "never-closed": never_closed,
}


def text_of(events: list[Any]) -> str:
    return "".join(
        choice["delta"].get("content") or "" for data in events if data != "[DONE]" for choice in data["choices"]
    )


@pytest.mark.parametrize("asked_for_usage", [False, True])
@pytest.mark.parametrize("name", GOOD)
def test_an_odd_stream_arrives_whole(gateway: Gateway, name: str, asked_for_usage: bool) -> None:
    more = {"stream_options": {"include_usage": True}} if asked_for_usage else {}
    reply = chat(gateway.url, gateway.key, asked(f"scripted/{name}", stream=True, **more))
    assert reply.status == 200
    assert reply.whole
    *events, last = reply.events()
    assert last == "[DONE]"
    assert text_of(events) == "hello"
    finishes = [data for data in events if data["choices"] and data["choices"][0]["finish_reason"]]
    assert len(finishes) == 1
    assert finishes[0]["choices"][0]["delta"] == {}
    used = [data for data in events if data.get("usage")]
    assert [data["usage"] for data in used] == [{**USAGE, "cost": 0}]
    assert used == events[-1:]
    if asked_for_usage:
        assert used[0]["choices"] == []
        assert all(data["usage"] is None for data in events[:-1])
    else:
        assert used == finishes
    for line in reply.body.split(b"\n"):
        assert line == b"" or line.startswith((b"data: ", b":"))


@pytest.mark.parametrize("size", [64 * 1024, 5 * MIB])
def test_a_large_event(gateway: Gateway, provider: Provider, size: int) -> None:
    provider.scripts["large"] = told(HELLO[0], chunk({"content": "x" * size}), FINISH, chunk(None, usage=USAGE), DONE)
    reply = chat(gateway.url, gateway.key, asked("scripted/large", stream=True))
    assert reply.status == 200
    if size <= MIB:
        assert len(text_of(reply.events())) == size
        assert reply.events()[-1] == "[DONE]"
    else:
        # Either all of it or an error, never a part that looks whole.
        assert (reply.events()[-1] == "[DONE]") == (len(text_of(reply.events()[:-1])) == size)


@pytest.mark.parametrize(
    "bad",
    [
        b"data: {nonsense\n\n",
        b"data: []\n\n",
        b"data: " + b"[" * 100_000 + b"\n\n",
        b'data: {"choices":[{"index":0,"delta":{"content":"\xff"}}]}\n\n',
        event({"choices": [{"index": 10**9, "delta": {"content": "x"}}]}),
        event({"choices": "many"}),
        event({"error": {"message": "it broke", "code": 500}}),
        event({"error": "it broke"}),
        b"data: " + b"x" * (17 * MIB) + b"\n\n",
    ],
    ids=["cut json", "array", "deep", "utf-8", "index", "choices", "error", "error text", "17 MiB"],
)
def test_a_bad_event_ends_the_stream_with_an_error(gateway: Gateway, provider: Provider, bad: bytes) -> None:
    provider.scripts["bad"] = told(HELLO[0], HELLO[1], bad, FINISH, DONE)
    reply = chat(gateway.url, gateway.key, asked("scripted/bad", stream=True))
    assert reply.status in (200, 502)
    if reply.status == 502:
        reply.error()
        return
    assert reply.whole
    events = reply.events()
    assert "[DONE]" not in events
    assert set(events[-1]) == {"error"}
    assert set(events[-1]["error"]) == {"message", "type", "param", "code"}


def nothing(exchange: Exchange) -> None:
    exchange.until_gone()


def head_only(exchange: Exchange) -> None:
    exchange.begin_stream()
    exchange.until_gone()


def mid_stream(exchange: Exchange) -> None:
    exchange.begin_stream()
    exchange.piece(HELLO[0] + HELLO[1])
    exchange.until_gone()


LEFT_ALONE: dict[str, Callable[[Exchange], None]] = {
    "before-headers": nothing,
    "before-the-first-event": head_only,
    "in-the-middle": mid_stream,
    "whole": nothing,
}


@pytest.mark.parametrize("farewell", ["close", "reset"])
@pytest.mark.parametrize("name", LEFT_ALONE)
def test_a_caller_who_leaves_cancels_the_provider(
    gateway: Gateway, provider: Provider, name: str, farewell: str
) -> None:
    body = json.dumps(asked(f"scripted/{name}", stream=name != "whole")).encode()
    before = len(provider.of(name))
    with connected(gateway.url) as link:
        link.sendall(chat_head(gateway.key, len(body)) + body)
        exchange = provider.wait_for(name, before + 1)
        if name == "in-the-middle":
            received = b""
            while b"hello" not in received:
                received += link.recv(65_536)
        else:
            time.sleep(0.1)
        assert not exchange.gone.is_set()
        if farewell == "reset":
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    eventually(exchange.gone.is_set, GONE_WITHIN_S)


def test_many_who_leave_leave_nothing(gateway: Gateway, provider: Provider) -> None:
    process = Process(gateway.process.pid)
    chat(gateway.url, gateway.key, asked("scripted/good"))
    before = process.files()
    body = json.dumps(asked("scripted/in-the-middle", stream=True)).encode()
    links = []
    seen = len(provider.of("in-the-middle"))
    for _ in range(100):
        link = socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])))
        link.sendall(chat_head(gateway.key, len(body)) + body)
        links.append(link)
    provider.wait_for("in-the-middle", seen + 100)
    for link in links:
        link.close()
    eventually(lambda: all(exchange.gone.is_set() for exchange in provider.of("in-the-middle")), 3)
    eventually(lambda: metrics(gateway.url)['trunkline_upstream_connections{state="in_use"}'] == 0, 3)
    eventually(lambda: process.files() <= before + 4, 5)


def flood(exchange: Exchange) -> None:
    """As much as the other side takes."""
    exchange.begin_stream()
    piece = chunk({"role": "assistant", "content": "y" * 16_000})
    while True:
        exchange.piece(piece)


def unread(gateway: Gateway, provider: Provider, count: int) -> list[socket.socket]:
    """As many callers who read nothing of a flood, once it has come to a stop."""
    body = json.dumps(asked("scripted/flood", stream=True)).encode()
    provider.seen.clear()
    links = []
    for _ in range(count):
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        link.connect(("127.0.0.1", int(gateway.url.rpartition(":")[2])))
        link.sendall(chat_head(gateway.key, len(body)) + body)
        links.append(link)
    provider.wait_for("flood", count)
    last = -1

    def has_settled() -> bool:
        nonlocal last
        before, last = last, sum(exchange.sent_bytes for exchange in provider.seen)
        return before == last

    eventually(has_settled, 15, pause_s=0.5)
    return links


def test_slow_readers_slow_the_provider(gateway: Gateway, provider: Provider) -> None:
    """What is kept for a caller who does not read is less than 1 MiB, it is given back, and nobody else waits."""
    process = Process(gateway.process.pid)
    memory = process.rss_bytes()
    peaks = []
    for _ in range(4):
        links = unread(gateway, provider, 40)
        peaks.append(process.rss_bytes() - memory)
        assert chat(gateway.url, gateway.key, asked("scripted/good")).status == 200
        links[0].settimeout(5)
        received = 0
        while received < 8 * MIB:
            received += len(links[0].recv(1 << 20))
        for link in links:
            link.close()
        eventually(lambda: metrics(gateway.url)['trunkline_upstream_connections{state="in_use"}'] == 0, 5)
    assert max(peaks) < 40 * MIB, peaks


def test_no_defect_was_logged(gateway: Gateway) -> None:
    log = gateway.log.read_text()
    assert '"defect"' not in log
    assert "Traceback" not in log
