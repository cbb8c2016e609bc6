"""Counts of tokens over HTTP: by whom they are made, and what is said when they are estimates."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.driver import Reply, ask, json_headers, lifespan, scope_of
from trunkline import config
from trunkline.app.application import App
from trunkline.http.server import Serving
from trunkline.storage.keys import Grant

PATH = "/v1/messages/count_tokens"
TEXT = b'"messages":[{"role":"user","content":"one two three four"}]'


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[App]:
    (tmp_path / "trunkline.toml").write_text("[discovery]\nlocal = false\n")
    serving = Serving()
    serving.readiness.ready = True
    made = App(config.load(tmp_path / "trunkline.toml", tmp_path / "data", environment={}), serving)
    async with lifespan(made.door):
        yield made


async def count(house: App, body: bytes) -> Reply:
    key = house.store.keys.create(Grant(name="test")).key.reveal()
    return await ask(house.door, scope_of("POST", PATH, json_headers(key)), body)


@pytest.mark.parametrize("provider", ["sandbox-messages", "sandbox-responses", "sandbox-gemini"])
async def test_a_provider_that_counts_is_asked(house: App, provider: str) -> None:
    reply = await count(house, b'{"model":"%b/echo",%b}' % (provider.encode(), TEXT))
    assert reply.status == 200
    assert reply.json() == {"input_tokens": 4}
    assert reply.headers_called("x-trunkline-warning") == []
    assert reply.header("x-trunkline-provider") == provider
    assert reply.header("request-id") == reply.header("x-request-id")


async def test_an_estimate_says_that_it_is_one(house: App) -> None:
    reply = await count(house, b'{"model":"sandbox/echo",%b}' % TEXT)
    assert reply.status == 200
    assert reply.json()["input_tokens"] > 4
    (warning,) = reply.headers_called("x-trunkline-warning")
    assert warning.startswith("changed input_tokens: estimated")


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        (b'{"model":"sandbox/echo"}', 400, "messages"),
        (b"{", 400, "JSON"),
        (b'{"model":"nobody/none",%b}' % TEXT, 404, "nobody/none"),
    ],
)
async def test_what_is_wrong_is_told_in_anthropics_envelope(house: App, body: bytes, status: int, named: str) -> None:
    reply = await count(house, body)
    assert reply.status == status
    assert reply.json()["type"] == "error"
    assert named in reply.json()["error"]["message"]
