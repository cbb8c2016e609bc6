"""Google's paths: the model and the method in them, streams as events and as one array, errors in Google's envelope."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.driver import Reply, ask, lifespan, scope_of
from trunkline import config
from trunkline.app.application import App
from trunkline.http.server import Serving
from trunkline.storage.keys import Grant

BODY = b'{"contents":[{"role":"user","parts":[{"text":"one two three"}]}]}'
PROVIDERS = ("sandbox", "sandbox-messages", "sandbox-responses", "sandbox-gemini")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[App]:
    (tmp_path / "trunkline.toml").write_text("[discovery]\nlocal = false\n")
    serving = Serving()
    serving.readiness.ready = True
    made = App(config.load(tmp_path / "trunkline.toml", tmp_path / "data", environment={}), serving)
    async with lifespan(made.door):
        yield made


async def post(house: App, path: str, body: bytes = BODY) -> Reply:
    key = house.store.keys.create(Grant(name="test")).key.reveal()
    headers = [(b"host", b"x"), (b"content-type", b"application/json"), (b"x-goog-api-key", key.encode())]
    return await ask(house.door, scope_of("POST", "/v1beta/models/" + path, headers), body)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("slash", ["/", "%2F"])
async def test_an_answer_over_every_upstream(house: App, provider: str, slash: str) -> None:
    reply = await post(house, f"{provider}{slash}echo:generateContent")
    assert reply.status == 200, reply.body
    answer = reply.json()
    assert answer["candidates"][0]["content"]["parts"][0]["text"] == "one two three"
    assert answer["usageMetadata"]["totalTokenCount"] == 6
    assert reply.header("x-trunkline-model") == f"{provider}/echo"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_stream_is_events_or_one_array(house: App, provider: str) -> None:
    def text(chunks: list[dict[str, object]]) -> str:
        parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"].get("parts", [])]  # type: ignore[index]
        return "".join(part.get("text", "") for part in parts)

    events = await post(house, f"{provider}/echo:streamGenerateContent?alt=sse")
    assert events.header("content-type") == "text/event-stream; charset=utf-8"
    assert text(events.events()) == "one two three"
    array = await post(house, f"{provider}/echo:streamGenerateContent")
    assert array.header("content-type") == "application/json; charset=UTF-8"
    assert text(array.json()) == "one two three"
    assert array.json()[-1]["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize("provider", PROVIDERS[1:])
async def test_tokens_are_counted_where_they_can_be(house: App, provider: str) -> None:
    reply = await post(house, f"{provider}/echo:countTokens")
    assert (reply.status, reply.json()["totalTokens"]) == (200, 3)
    assert reply.headers_called("x-trunkline-warning") == []


async def test_an_estimate_says_that_it_is_one(house: App) -> None:
    reply = await post(house, "sandbox/echo:countTokens")
    assert reply.json()["totalTokens"] > 3
    assert reply.headers_called("x-trunkline-warning")


@pytest.mark.parametrize(
    ("path", "body", "status", "named"),
    [
        ("sandbox/echo:generateContent", b"{}", 400, "INVALID_ARGUMENT"),
        ("sandbox/echo:generateContent", b"{", 400, "INVALID_ARGUMENT"),
        ("nobody/none:generateContent", BODY, 404, "NOT_FOUND"),
        ("sandbox/echo:embedContent", BODY, 404, "NOT_FOUND"),
        ("sandbox/echo", BODY, 404, "NOT_FOUND"),
    ],
)
async def test_errors_have_googles_envelope(house: App, path: str, body: bytes, status: int, named: str) -> None:
    reply = await post(house, path, body)
    assert reply.status == status
    assert reply.json()["error"]["code"] == status
    assert reply.json()["error"]["status"] == named


async def test_a_stream_that_breaks_ends_in_an_error_and_the_array_stays_json(house: App) -> None:
    body = b'{"contents":[{"role":"user","parts":[{"text":"[[tokens=9 cut_after=3]] go"}]}]}'
    events = await post(house, "sandbox/faulty:streamGenerateContent?alt=sse", body)
    assert events.events()[-1]["error"]["code"] == 502
    array = await post(house, "sandbox/faulty:streamGenerateContent", body)
    assert json.loads(array.body)[-1]["error"]["code"] == 502
