"""The whole house in one process, on a real database: what no single room can promise."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.driver import Reply, ask, json_headers, lifespan, scope_of
from trunkline import config
from trunkline.app.application import App
from trunkline.http.asgi import Headers
from trunkline.http.server import Serving
from trunkline.providers.credentials import ProviderOptions
from trunkline.storage.keys import Grant

SETTINGS = """
[discovery]
local = false
[models."fast"]
deployments = ["sandbox/echo"]
"""
CHAT = "/v1/chat/completions"
HELLO = b'{"model":"sandbox/echo","messages":[{"role":"user","content":"hello there"}]}'
STREAM = HELLO[:-1] + b',"stream":true}'

PUBLIC = {"/healthz", "/readyz", "/", "/metrics"}  # loopback may scrape; tests/http/test_health.py has the others


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "trunkline.toml").write_text(SETTINGS)
    return tmp_path


@pytest.fixture
async def house(folder: Path) -> AsyncIterator[App]:
    settings = config.load(folder / "trunkline.toml", folder / "data", environment={})
    serving = Serving()
    serving.readiness.ready = True
    made = App(settings, serving)
    async with lifespan(made.door):
        yield made


@pytest.fixture
def key(house: App) -> str:
    return house.store.keys.create(Grant(name="test")).key.reveal()


async def post(house: App, body: bytes, key: str | None, more: Headers | None = None, path: str = CHAT) -> Reply:
    return await ask(house.door, scope_of("POST", path, json_headers(key, more)), body)


async def test_a_call_goes_through(house: App, key: str) -> None:
    reply = await post(house, HELLO, key, [(b"x-request-id", b"mine-7")])
    assert reply.status == 200
    assert reply.json()["choices"][0]["message"]["content"] == "hello there"
    assert reply.header("x-request-id") == "mine-7"
    assert reply.header("x-trunkline-model") == "sandbox/echo"
    assert reply.header("x-trunkline-alias") == "sandbox/echo"
    assert reply.header("x-trunkline-attempts") == "1"


async def test_a_stream_goes_through(house: App, key: str) -> None:
    reply = await post(house, STREAM, key)
    events = reply.events()
    assert events[-1] == "[DONE]"
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in events[:-1]) == "hello there"
    assert events[-2]["usage"]["completion_tokens"] == 2
    assert reply.header("content-type") == "text/event-stream; charset=utf-8"


async def test_no_route_answers_a_stranger(house: App) -> None:
    """Deny by default, enumerated from the live door: with no key, and with a wrong one in each carrier."""
    paths = house.door.paths() | {
        ("GET", "/admin/status"),
        ("POST", "/admin/reload"),
        ("GET", "/v1/none"),
        ("PUT", CHAT),
    }
    wrong = "sk-tl-nobody"
    carriers: list[Headers] = [
        [],
        [(b"authorization", b"Bearer " + wrong.encode())],
        *([(name, wrong.encode())] for name in (b"x-api-key", b"api-key", b"x-goog-api-key")),
    ]
    for method, path in sorted(paths):
        if path in PUBLIC:
            continue
        for headers in carriers:
            reply = await ask(
                house.door, scope_of(method, path.replace("{id}", "x"), [(b"host", b"x"), *headers]), b"{}"
            )
            assert reply.status == 401, (method, path, headers)
            error = reply.json()["error"]
            # OpenAI's, Anthropic's and Google's words for it.
            assert "invalid_api_key" in error.values() or error.get("type", error.get("status")) in (
                "authentication_error",
                "UNAUTHENTICATED",
            )
            assert wrong.encode() not in reply.body


async def test_every_answer_carries_its_id_and_small_letters(house: App, key: str) -> None:
    for method, path, body in (
        ("POST", CHAT, HELLO), ("POST", CHAT, b"{"), ("GET", "/v1/models", b""),
        ("GET", "/v1/models/sandbox/echo", b""), ("GET", "/v1/none", b""), ("DELETE", CHAT, b""),
        ("GET", "/healthz", b""), ("GET", "/openapi.json", b""), ("GET", "/docs", b""), ("GET", "/llms.txt", b""),
        ("GET", "/console", b""), ("GET", "/admin/status", b""),
    ):  # fmt: skip
        reply = await ask(house.door, scope_of(method, path, json_headers(key)), body)
        assert reply.header("x-request-id"), (method, path)
        assert all(name == name.lower() for name, _ in reply.headers), (method, path)


async def test_an_unknown_path_is_told_apart_with_a_key_only(house: App, key: str) -> None:
    assert (await ask(house.door, scope_of("GET", "/v1/none", json_headers(key)))).status == 404
    wrong_method = await ask(house.door, scope_of("GET", CHAT, json_headers(key)))
    assert wrong_method.status == 405
    assert "POST" in wrong_method.json()["error"]["message"]


async def test_a_revoked_key_stops_within_a_second_and_a_new_one_works_at_once(house: App) -> None:
    made = house.store.keys.create(Grant(name="short-lived"))
    assert (await post(house, HELLO, made.key.reveal())).status == 200
    house.store.keys.revoke(made.id)
    async with asyncio.timeout(1.0):
        while (await post(house, HELLO, made.key.reveal())).status != 401:
            await asyncio.sleep(0.01)


async def test_model_globs_hold_on_every_name(house: App) -> None:
    limited = house.store.keys.create(Grant(name="limited", models=("sandbox/story",))).key.reveal()
    for name in (b"sandbox/echo", b"echo", b"fast", b"Sandbox/ECHO"):
        reply = await post(house, HELLO.replace(b"sandbox/echo", name), limited)
        assert (reply.status, reply.json()["error"]["code"]) == (403, "model_not_allowed"), name
    listed = await ask(house.door, scope_of("GET", "/v1/models", json_headers(limited)))
    assert [model["id"] for model in listed.json()["data"]] == ["sandbox/story"]


async def test_a_changed_file_counts_and_a_bad_one_does_not(house: App, folder: Path, key: str) -> None:
    file = folder / "trunkline.toml"
    assert (await post(house, HELLO.replace(b"sandbox/echo", b"new"), key)).status == 404
    file.write_text(SETTINGS + '[models."new"]\ndeployments = ["sandbox/echo"]\n')
    async with asyncio.timeout(5):
        while (await post(house, HELLO.replace(b"sandbox/echo", b"new"), key)).status != 200:
            await asyncio.sleep(0.02)
    file.write_text("[models\n")
    before = house.pipeline.settings
    await house._reload_quietly()
    assert house.pipeline.settings is before
    assert (await post(house, HELLO.replace(b"sandbox/echo", b"new"), key)).status == 200


async def test_an_engine_that_was_found_never_contends_with_the_settings(house: App, folder: Path) -> None:
    """In another case the same name would make two of one provider, and every reload would be refused."""
    house.found = {"ollama": ProviderOptions(kind="ollama", base_url="http://127.0.0.1:11434/v1")}
    written = '[providers.OLLAMA]\nbase_url = "http://127.0.0.1:9/v1"\n'
    (folder / "trunkline.toml").write_text(SETTINGS + written)
    await house._reload()
    assert house.pipeline.settings.upstreams["ollama"].origin.port == 9


async def test_calls_are_counted(house: App, key: str) -> None:
    await post(house, HELLO, key)
    await post(house, STREAM, key)
    await post(house, b"{", key)
    text = house.board.render().decode()
    labels = 'model="sandbox/echo",protocol="openai_chat",provider="sandbox",route="chat",status="200"'
    assert f"trunkline_calls_total{{{labels}}} 2.0" in text
    assert 'trunkline_refusals_total{code="invalid_value"} 1.0' in text
    assert 'trunkline_tokens_total{kind="output",model="sandbox/echo",provider="sandbox"} 4.0' in text


async def test_no_secret_in_any_figure_or_answer(house: App, key: str) -> None:
    await post(house, HELLO.replace(b"sandbox/echo", key.encode()), key)
    replies = [await post(house, HELLO, key), await post(house, b"[]", key)]
    assert key not in house.board.render().decode()
    assert all(key.encode() not in reply.body + str(reply.headers).encode() for reply in replies)


@pytest.fixture
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.mark.usefixtures("_collected")
async def test_a_start_without_a_store_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config.load(folder / "trunkline.toml", folder / "data", environment={})
    made = App(settings, Serving())
    made.store.close()
    (folder / "data" / "trunkline.db").rename(folder / "data" / "moved.db")
    with pytest.raises(AssertionError):
        async with lifespan(made.door):
            pass
