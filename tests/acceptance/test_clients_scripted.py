"""What goes wrong at a provider, as the callers' own libraries see it, over providers of each protocol on real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest

from tests.acceptance import vendors
from tests.acceptance.conftest import Gateway, serving
from tests.acceptance.scripted import PATIENCE_S, Exchange, Provider, Script, providing
from tests.acceptance.vendors import Vendor

pytestmark = pytest.mark.acceptance

HEARD = threading.Event()
"""Set when all text of a stream that is to break has reached its caller: what breaks at once is no stream yet."""

VENDORS = {"chat": vendors.CHAT, "messages": vendors.MESSAGES, "gemini": vendors.GEMINI}
STATUSES = (400, 401, 429, 503)


def scripts_of(vendor: Vendor) -> dict[str, Script]:
    def answer(exchange: Exchange) -> None:
        if streams(exchange):
            exchange.stream(vendor.noise, *vendor.pieces, vendor.noise, *vendor.end)
        else:
            exchange.answer(200, vendor.whole)

    def refuse(status: int) -> Script:
        more = ("retry-after: 7",) if status in (429, 503) else ()
        return lambda exchange: exchange.answer(status, vendor.refusal(status, f"no, {status}"), *more)

    def spell(exchange: Exchange) -> None:
        """Each byte by itself."""
        exchange.begin_stream()
        for byte in b"".join((*vendor.pieces, *vendor.end)):
            exchange.piece(bytes((byte,)))
        exchange.end_stream()

    def break_off(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.piece(b"".join(vendor.pieces))
        HEARD.wait(PATIENCE_S)
        exchange.cut()

    def fail(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.piece(b"".join(vendor.pieces))
        HEARD.wait(PATIENCE_S)
        exchange.piece(vendor.failure)
        exchange.end_stream()

    return {
        "good": answer,
        "spelt": spell,
        "cut": break_off,
        "failing": fail,
        "html": lambda exchange: exchange.answer(502, b"<html>Bad Gateway</html>", kind="text/html"),
        **{str(status): refuse(status) for status in STATUSES},
    }


def streams(exchange: Exchange) -> bool:
    return b"streamGenerateContent" in exchange.head or bool(json.loads(exchange.body).get("stream"))


@dataclass(frozen=True)
class Fleet:
    gateway: Gateway
    providers: dict[str, Provider]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A gateway before a provider of each protocol, by the protocol's name."""
    with providing() as chat, providing() as messages, providing() as gemini, providing() as responses:
        providers = {"chat": chat, "messages": messages, "gemini": gemini, "responses": responses}
        known = {**VENDORS, "responses": vendors.RESPONSES}
        settings = ""
        for name, provider in providers.items():
            provider.scripts = scripts_of(known[name])
            settings += f'[providers.{name}]\nkind = "{known[name].kind}"\n'
            settings += f'base_url = "{provider.url}"\napi_key = "k"\n'
        with serving(tmp_path_factory.mktemp("fleet"), settings) as gateway:
            yield Fleet(gateway, providers)


def hear(heard: list[str], piece: str) -> None:
    heard.append(piece)
    if "".join(heard) == "hello there":
        HEARD.set()


@dataclass(frozen=True)
class Caller:
    """A library, told what to say to a model: `ask` and `listen` return the text, of a whole and a streamed answer;
    `heard` collects what came of a stream that broke."""

    ask: Callable[[str], str]
    listen: Callable[[str, list[str]], None]
    errors: Any


def openai_chat(gateway: Gateway, retries: int) -> Caller:
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=retries)

    def ask(model: str) -> str:
        said = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
        return said.choices[0].message.content or ""

    def listen(model: str, heard: list[str]) -> None:
        for chunk in client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hi"}], stream=True
        ):
            hear(heard, chunk.choices[0].delta.content or "")

    return Caller(ask, listen, openai)


def openai_responses(gateway: Gateway, retries: int) -> Caller:
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=retries)

    def listen(model: str, heard: list[str]) -> None:
        for event in client.responses.create(model=model, input="hi", stream=True):
            if event.type == "response.output_text.delta":
                hear(heard, event.delta)
            if event.type == "response.failed":
                raise openai.APIError("failed", request=None, body=event.response.error)  # type: ignore[arg-type]

    return Caller(lambda model: client.responses.create(model=model, input="hi").output_text, listen, openai)


def anthropic_messages(gateway: Gateway, retries: int) -> Caller:
    client = anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=retries)

    def ask(model: str) -> str:
        said = client.messages.create(model=model, max_tokens=100, messages=[{"role": "user", "content": "hi"}])
        return "".join(block.text for block in said.content if block.type == "text")

    def listen(model: str, heard: list[str]) -> None:
        with client.messages.stream(
            model=model, max_tokens=100, messages=[{"role": "user", "content": "hi"}]
        ) as stream:
            for piece in stream.text_stream:
                hear(heard, piece)

    return Caller(ask, listen, anthropic)


CALLERS = {"chat": openai_chat, "responses": openai_responses, "messages": anthropic_messages}
# OpenAI speaks two protocols and so does Google: a caller of one of them is answered in it.
PAIRS = [
    ("chat", "chat"), ("chat", "messages"),
    ("responses", "responses"), ("responses", "messages"), ("responses", "gemini"),
    ("messages", "chat"), ("messages", "messages"), ("messages", "gemini"),
]  # fmt: skip

each_pair = pytest.mark.parametrize(("caller", "vendor"), PAIRS, ids=[f"{a}-to-{b}" for a, b in PAIRS])


def called(fleet: Fleet, caller: str, retries: int = 0) -> Caller:
    return CALLERS[caller](fleet.gateway, retries)


@each_pair
def test_what_is_said_arrives(fleet: Fleet, caller: str, vendor: str) -> None:
    asked = called(fleet, caller)
    assert asked.ask(f"{vendor}/good") == "hello there"
    for model in ("good", "spelt"):
        heard: list[str] = []
        asked.listen(f"{vendor}/{model}", heard)
        assert "".join(heard) == "hello there", model


@each_pair
def test_a_refusal_is_of_its_class_and_says_why(fleet: Fleet, caller: str, vendor: str) -> None:
    asked = called(fleet, caller)
    with pytest.raises(asked.errors.BadRequestError, match="no, 400"):
        asked.ask(f"{vendor}/400")
    with pytest.raises(asked.errors.RateLimitError, match="no, 429") as limited:
        asked.ask(f"{vendor}/429")
    assert limited.value.response.headers["retry-after"] == "7"
    with pytest.raises(asked.errors.APIStatusError, match="no, 503") as overloaded:
        asked.ask(f"{vendor}/503")
    assert overloaded.value.status_code == (529 if caller == "messages" else 503)
    assert overloaded.value.response.headers["retry-after"] == "7"
    with pytest.raises(asked.errors.InternalServerError) as failed:
        asked.ask(f"{vendor}/html")
    assert failed.value.status_code == 502
    assert "<html>" not in str(failed.value)


@each_pair
def test_the_gateway_s_own_account_is_not_the_caller_s_and_asking_again_is_no_use(
    fleet: Fleet, caller: str, vendor: str
) -> None:
    before = len(fleet.providers[vendor].seen)
    asked = called(fleet, caller, retries=2)
    with pytest.raises(asked.errors.InternalServerError) as failed:
        asked.ask(f"{vendor}/401")
    assert "Your key is fine" in str(failed.value)
    assert len(fleet.providers[vendor].seen) == before + 1


@each_pair
@pytest.mark.parametrize("model", ["cut", "failing"])
def test_a_stream_that_breaks_is_an_error_after_what_came(fleet: Fleet, caller: str, vendor: str, model: str) -> None:
    HEARD.clear()
    asked = called(fleet, caller)
    heard: list[str] = []
    with pytest.raises(asked.errors.APIError):
        asked.listen(f"{vendor}/{model}", heard)
    assert "".join(heard) == "hello there"


@each_pair
def test_a_provider_hears_its_own_credential_and_not_the_caller_s(fleet: Fleet, caller: str, vendor: str) -> None:
    called(fleet, caller).ask(f"{vendor}/good")
    head = fleet.providers[vendor].seen[-1].head
    assert fleet.gateway.key.encode() not in head
    wanted = {
        "chat": b"Bearer k",
        "responses": b"Bearer k",
        "messages": b"x-api-key: k",
        "gemini": b"x-goog-api-key: k",
    }
    assert wanted[vendor].lower() in head.lower()
