"""The ASGI words mean the same to the server, to the applications and to the tests' driver."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.driver import ask, json_headers, lifespan, scope_of
from tests.http import raw
from trunkline import config
from trunkline.app.application import App
from trunkline.http.asgi import Message, Receive, Scope, Send
from trunkline.http.server import Serving
from trunkline.storage.keys import Grant

# RFC 9110 section 5.6.2, without the capitals that ASGI forbids.
NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
VALUE = re.compile(rb"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?|")
BESIDE = [
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/llms.txt"),
    ("GET", "/console"),
    ("GET", "/console/enter"),
    ("GET", "/admin/status"),
    ("POST", "/admin/reload"),
    ("GET", "/admin/none"),
    ("OPTIONS", "/v1/models"),
    ("GET", "/none"),
]
BODY = b'{"model":"sandbox/echo","messages":[{"role":"user","content":"hello"}]%b}'
PAGE = b"https://app.example"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[App]:
    file = tmp_path / "trunkline.toml"
    file.write_text(f'[server]\ncors_origins = ["{PAGE.decode()}"]\n[discovery]\nlocal = false\n')
    made = App(config.load(file, tmp_path / "data", environment={}), Serving())
    async with lifespan(made.door):
        yield made


def check(message: Message, where: object) -> None:
    """What the specification says of an answer's messages, and what HTTP says of headers."""
    if message["type"] == "http.response.start":
        assert type(message["status"]) is int, where
        for name, value in message["headers"]:
            assert (type(name), type(value)) == (bytes, bytes), (where, name)
            assert NAME.fullmatch(name), (where, name)
            assert VALUE.fullmatch(value), (where, name, value)
    else:
        assert message["type"] == "http.response.body", where
        assert isinstance(message.get("body", b""), bytes), where


async def test_every_live_route_answers_in_these_words(house: App) -> None:
    key = house.store.keys.create(Grant(name="test", admin=True)).key.reveal()
    calls = [(method, path.replace("{id}", "sandbox/echo"), b"{}") for method, path in sorted(house.door.paths())]
    calls += [(method, path, b"{}") for method, path in BESIDE]
    calls += [("POST", "/v1/chat/completions", BODY % more) for more in (b"", b',"stream":true', b',"user":"\xc3\xa9"')]
    for method, path, body in calls:
        for headers in (json_headers(None), json_headers(key), json_headers(key, [(b"origin", PAGE)])):
            where = (method, path, headers)
            kinds: list[str] = []

            async def checked(
                scope: Scope,
                receive: Receive,
                send: Send,
                where: object = where,
                kinds: list[str] = kinds,
            ) -> None:
                async def checking(message: Message) -> None:
                    check(message, where)
                    kinds.append(message["type"])
                    await send(message)

                await house.door(scope, receive, checking)

            reply = await ask(checked, scope_of(method, path, headers), body)
            assert reply.status, where
            assert kinds == ["http.response.start"] + ["http.response.body"] * (len(kinds) - 1), where
            assert len(kinds) > 1, where


def test_the_server_hands_names_over_in_small_letters_and_values_as_they_came() -> None:
    with raw.serving() as running, raw.Client(running.port) as client:
        client.send(b"GET /tell HTTP/1.1\r\nHOST: a\r\nX-Api-KEY: Sk-MiXed\r\naccept:\ta , b \r\n\r\n")
        assert client.answer().facts()["headers"] == [["host", "a"], ["x-api-key", "Sk-MiXed"], ["accept", "a , b"]]


async def test_the_drivers_scope_is_like_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that passes with the driver may not fail with the server for want of a key."""
    seen: list[dict[str, Any]] = []

    async def note(_self: raw.Steered, scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(dict(scope))
        await raw.answer(send, b"")

    monkeypatch.setattr(raw.Steered, "_note", note, raising=False)
    with raw.serving() as running, raw.Client(running.port) as client:
        client.get("/note?a=b")
        assert client.answer().status == 200
    (real,) = seen
    driven = scope_of("GET", "/note?a=b", [(b"host", b"a")])
    assert driven.keys() <= real.keys()
    same = ("type", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path")
    assert {name: driven[name] for name in same} == {name: real[name] for name in same}
    for name in ("headers", "client", "server"):
        assert type(driven[name]) is type(real[name]), name
    assert [tuple(map(type, header)) for header in real["headers"]] == [(bytes, bytes)]
    assert hasattr(real["trunkline.connection"], "on_gone")
    assert real["trunkline.connection"].on_gone is None
    assert driven["trunkline.connection"].on_gone is None
