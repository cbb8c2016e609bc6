"""Providers of every protocol that fail in every way, under callers of every other: what the caller is told, in his own
protocol, and that nothing stays behind. tests/acceptance/test_faults.py has the same for chat alone."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.acceptance import vendors
from tests.acceptance.asking import Process, Reply, connected, eventually, get, head, metrics
from tests.acceptance.conftest import Gateway, serving
from tests.acceptance.scripted import DONE, Exchange, Provider, Script, providing
from tests.acceptance.surfaces import post, refusal
from tests.acceptance.told import request, told
from tests.acceptance.vendors import Vendor
from trunkline.translation import envelope
from trunkline.translation.exchange import State

pytestmark = pytest.mark.acceptance

MIB = 1024 * 1024
FIRST_BYTE_S, IDLE_S, TOTAL_S = 1.0, 0.5, 4.0
KEY = "sk-proj-CANARY0123456789abcdefCANARY"
SAID_SECRETS = (KEY, "sk-live-9f8e7d6c5b4a39281706", "AIzaSyA1234567890abcdefghij")
LEAK = "Incorrect API key provided: " + " and ".join(SAID_SECRETS)
CODEX = "gpt-5-codex-"
"""Models of OpenAI whose names begin so are spoken to in Responses alone."""

UPSTREAMS = {
    "chat": ("openai-compatible", vendors.CHAT),
    "messages": ("anthropic", vendors.MESSAGES),
    "responses": ("openai", vendors.RESPONSES),
    "gemini": ("google", vendors.GEMINI),
}
CALLERS = ("chat", "messages", "responses", "gemini")
# Google speaks chat too, to those who do.
PAIRS = [(caller, upstream) for caller in CALLERS for upstream in UPSTREAMS if (caller, upstream) != ("chat", "gemini")]
each_pair = pytest.mark.parametrize(("caller", "upstream"), PAIRS, ids=[f"{a}-to-{b}" for a, b in PAIRS])


def streams(exchange: Exchange) -> bool:
    return b"streamGenerateContent" in exchange.head or bool(json.loads(exchange.body).get("stream"))


def good(vendor: Vendor) -> Script:
    def script(exchange: Exchange) -> None:
        if streams(exchange):
            exchange.stream(*vendor.pieces, *vendor.end)
        else:
            exchange.answer(200, vendor.whole)

    return script


def answers(body: bytes, status: int = 200, kind: str = "application/json") -> Script:
    return lambda exchange: exchange.answer(
        status, body, f"x-leak: {KEY}", f"set-cookie: a={KEY}", "retry-after: 7", kind=kind
    )


def streamed(*events: bytes) -> Script:
    return lambda exchange: exchange.stream(*events)


def broken_off(*events: bytes) -> Script:
    def script(exchange: Exchange) -> None:
        exchange.begin_stream()
        if events:
            exchange.piece(b"".join(events))
            time.sleep(0.05)
        exchange.cut()

    return script


def slow(vendor: Vendor) -> Script:
    """Its text, and then nothing until the other side leaves."""

    def script(exchange: Exchange) -> None:
        if streams(exchange):
            exchange.begin_stream()
            exchange.piece(b"".join(vendor.pieces))
        exchange.until_gone()

    return script


def endless(exchange: Exchange) -> None:
    if not streams(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        while True:
            exchange.send(b" " * 65_536)
    exchange.begin_stream()
    while True:
        exchange.piece(b"data: " + b" " * 65_536)


def other_than(vendor: Vendor) -> Vendor:
    return vendors.CHAT if vendor is not vendors.CHAT else vendors.MESSAGES


# What is wrong before anything of an answer has been told, so that the caller has a status for it: 502 throughout.
EARLY: dict[str, Callable[[Vendor], Script]] = {
    "an HTML page": lambda vendor: answers(b"<html><title>" + LEAK.encode() + b"</title></html>", kind="text/html"),
    "nothing": lambda vendor: answers(b""),
    "null": lambda vendor: answers(b"null"),
    "an array": lambda vendor: answers(b"[]"),
    "a cut answer": lambda vendor: answers(vendor.whole[:-20]),
    "a deep answer": lambda vendor: answers(b'{"choices":' + b"[" * 200_000),
    "bytes that are no text": lambda vendor: answers(vendor.whole.replace(b"hello", b"\xff\xfe")),
    "another protocol": lambda vendor: good(other_than(vendor)),
    "a stream where none was asked for, or none where one was": lambda vendor: (
        lambda exchange: (
            exchange.answer(200, vendor.whole) if streams(exchange) else exchange.stream(*vendor.pieces, *vendor.end)
        )
    ),
    "an end alone": lambda vendor: streamed(DONE),
    "an empty stream": lambda vendor: streamed(),
    "a comment": lambda vendor: broken_off(b": hello\n\n"),
    "no JSON in an event": lambda vendor: streamed(b"data: hello\n\n"),
    "garbage": lambda vendor: streamed(b"data: \x00\xff\xfe\n\n" * 1000),
    "a deep event": lambda vendor: streamed(b"data: " + b"[" * 100_000 + b"\n\n"),
    "the beginning of an event": lambda vendor: broken_off(vendor.pieces[0][:20]),
    "too much": lambda vendor: endless,
}
STATUSES = {400: 400, 401: 502, 429: 429, 503: 503}


@dataclass(frozen=True)
class Fleet:
    gateway: Gateway
    providers: dict[str, Provider]

    def ask(self, caller: str, upstream: str, script: str, *, stream: bool = False, **more: Any) -> Reply:
        return self.call(caller, f"{upstream}/{CODEX}{script}", stream=stream, **more)

    def call(self, caller: str, model: str, *, stream: bool = False, **more: Any) -> Reply:
        path, body = request(caller, model, stream=stream)
        return post(self.gateway.url, self.gateway.key, path, {**body, **more})

    def seen(self, upstream: str, script: str) -> Exchange:
        return self.providers[upstream].wait_for(CODEX + script)


def name_of(text: str) -> str:
    return text.replace(" ", "-").replace(",", "")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A gateway before a provider of each protocol. `then/X-Y` asks X's script Y first, and then one of another
    protocol that answers."""
    with providing() as chat_, providing() as messages, providing() as responses, providing() as gemini:
        providers = {"chat": chat_, "messages": messages, "responses": responses, "gemini": gemini}
        settings = f"[timeouts]\nfirst_byte_s = {FIRST_BYTE_S}\nidle_s = {IDLE_S}\ntotal_s = {TOTAL_S}\n"
        for name, (kind, vendor) in UPSTREAMS.items():
            found = {name_of(fault): make(vendor) for fault, make in EARLY.items()}
            found |= {str(status): answers(vendor.refusal(status, LEAK), status) for status in STATUSES}
            events = (*vendor.pieces, *vendor.end)
            found |= {f"cut-{at}": broken_off(*events[:at]) for at in range(1, len(events))}
            found |= {"good": good(vendor), "slow": slow(vendor), "failing": streamed(*vendor.pieces, vendor.failure)}
            providers[name].scripts = {CODEX + script: does for script, does in found.items()}
            settings += f'[providers.{name}]\nkind = "{kind}"\nbase_url = "{providers[name].url}"\napi_key = "{KEY}"\n'
            spare = "messages" if name == "chat" else "chat"
            for script in found:
                settings += f'[models."then/{name}-{script}"]\n'
                settings += f'deployments = ["{name}/{CODEX}{script}", "{spare}/{CODEX}good"]\n'
        with serving(tmp_path_factory.mktemp("crossings"), settings) as gateway:
            yield Fleet(gateway, providers)


FAMILIES: dict[str, Any] = {"chat": "openai", "responses": "openai", "messages": "anthropic", "gemini": "google"}


def check_no_secret(text: str) -> None:
    assert not [secret for secret in SAID_SECRETS if secret in text]


def check_refused(reply: Reply, caller: str, status: int) -> None:
    assert reply.status == status, (reply.status, reply.body[:500])
    refusal(reply, FAMILIES[caller])
    check_no_secret(repr(reply))
    assert not {"x-leak", "set-cookie"} & {name for name, _ in reply.headers}


@each_pair
def test_what_is_good_arrives(fleet: Fleet, caller: str, upstream: str) -> None:
    assert b"hello there" in fleet.ask(caller, upstream, "good").body
    heard = told(fleet.ask(caller, upstream, "good", stream=True), caller)
    assert (heard.text, heard.error, heard.ended) == ("hello there", None, True)


@each_pair
def test_what_is_no_answer_is_a_status(fleet: Fleet, caller: str, upstream: str) -> None:
    for fault in EARLY:
        for stream in (False, True):
            reply = fleet.ask(caller, upstream, name_of(fault), stream=stream)
            assert reply.status == 502, (fault, stream, reply.status, reply.body[:500])
            check_refused(reply, caller, 502)
            assert b"hello" not in reply.body, (fault, "what was answered is no message of an error")


@each_pair
def test_the_next_deployment_answers_instead(fleet: Fleet, caller: str, upstream: str) -> None:
    """Whatever either of them speaks: nothing of the first one's has been told yet."""
    for script in (*map(name_of, EARLY), "401", "429", "503"):
        reply = fleet.call(caller, f"then/{upstream}-{script}", stream=False)
        assert reply.status == 200, (script, reply.body[:300])
        assert b"hello there" in reply.body
        assert reply.header("x-trunkline-attempts") == "2"
        heard = told(fleet.call(caller, f"then/{upstream}-{script}", stream=True), caller)
        assert (heard.text, heard.error, heard.ended) == ("hello there", None, True), script


@each_pair
def test_a_refusal_is_of_its_class(fleet: Fleet, caller: str, upstream: str) -> None:
    for status, becomes in STATUSES.items():
        expected = 529 if becomes == 503 and caller == "messages" else becomes
        for stream in (False, True):
            reply = fleet.ask(caller, upstream, str(status), stream=stream)
            check_refused(reply, caller, expected)
            assert reply.header("retry-after") == ("7" if status in (429, 503) else None)


@each_pair
def test_a_stream_cut_anywhere_never_looks_complete(fleet: Fleet, caller: str, upstream: str) -> None:
    vendor = UPSTREAMS[upstream][1]
    events = (*vendor.pieces, *vendor.end)
    for at in range(1, len(events)):
        reply = fleet.ask(caller, upstream, f"cut-{at}", stream=True)
        if reply.status != 200:
            check_refused(reply, caller, 502)
            continue
        heard = told(reply, caller)
        if heard.ended:  # all that matters had come; only the provider's goodbye was missing
            assert (heard.text, heard.error) == ("hello there", None), at
            assert at > len(vendor.pieces), at
        else:
            assert heard.error is not None, (at, reply.body[-300:])
            assert "hello there".startswith(heard.text)


@each_pair
def test_an_error_in_a_stream_is_the_callers_own_and_the_last_word(fleet: Fleet, caller: str, upstream: str) -> None:
    began = time.monotonic()
    for script in ("failing", "slow"):
        reply = fleet.ask(caller, upstream, script, stream=True)
        if reply.status != 200:  # it failed in the same breath as it began
            refusal(reply, FAMILIES[caller])
            continue
        heard = told(reply, caller)
        assert heard.text == "hello there"
        assert heard.error is not None
        assert not heard.ended
    assert IDLE_S <= time.monotonic() - began < IDLE_S + 1
    eventually(fleet.seen(upstream, "slow").gone.is_set, 1)


@each_pair
def test_a_caller_who_leaves_ends_it_within_a_second(fleet: Fleet, caller: str, upstream: str) -> None:
    for stream in (False, True):
        count = len(fleet.providers[upstream].of(CODEX + "slow"))
        path, body = request(caller, f"{upstream}/{CODEX}slow", stream=stream)
        data = json.dumps(body).encode()
        headers: list[tuple[str, str | bytes]] = [
            ("content-type", "application/json"),
            ("x-api-key", fleet.gateway.key),
        ]
        with connected(fleet.gateway.url) as link:
            link.sendall(head("POST", path, [*headers, ("content-length", str(len(data)))]) + data)
            exchange = fleet.providers[upstream].wait_for(CODEX + "slow", count + 1)
            if stream:
                assert link.recv(12) == b"HTTP/1.1 200"
        eventually(exchange.gone.is_set, 1)


SECRET = "c3RhdGUtb2Ytc29tZWJvZHktZWxzZQ"
MINE = "bWluZS1hbGwtbWluZS1hbmQtbm8tb25lcw"
ODD_STATES = {
    "another's": envelope.wrap(State("somebody", SECRET)),
    "another's, nested": envelope.wrap(State("somebody", envelope.wrap(State("chat", SECRET)))),
    "broken": envelope.MARK + "!!!!",
    "cut": envelope.wrap(State("somebody", SECRET))[:-3],
    "of nobody": envelope.wrap(State("", SECRET)),
    "not two": envelope.MARK + b64encode(b'["a","b","c"]').decode(),
    "not texts": envelope.MARK + b64encode(b'[1,{"a":2}]').decode(),
    "no ASCII": envelope.MARK + "é" * 50,
    "line breaks": envelope.wrap(State("somebody\r\nx-injected: 1", SECRET)),
    "a mebibyte": envelope.wrap(State("somebody", SECRET * 40_000)),
}


def with_state(caller: str, state: str) -> dict[str, Any]:
    """A conversation with this state wherever the protocol has a place for any."""
    schema = {"type": "object", "properties": {}}
    if caller == "chat":
        details = [{"type": "reasoning.text", "text": "hm", "signature": state, "id": "r", "index": 0},
                   {"type": "reasoning.encrypted", "data": state, "id": "call_1", "index": 1}]  # fmt: skip
        call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        return {"messages": [{"role": "user", "content": "hi"},
                             {"role": "assistant", "content": None, "reasoning_details": details, "tool_calls": [call]},
                             {"role": "tool", "tool_call_id": "call_1", "content": "ok"}]}  # fmt: skip
    if caller == "messages":
        content = [{"type": "thinking", "thinking": "hm", "signature": state},
                   {"type": "redacted_thinking", "data": state},
                   {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]  # fmt: skip
        result = [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]
        return {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000,
                "tools": [{"name": "f", "input_schema": schema}],
                "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": content},
                             {"role": "user", "content": result}]}  # fmt: skip
    if caller == "responses":
        return {"include": ["reasoning.encrypted_content"],
                "input": [{"role": "user", "content": "hi"},
                          {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": state},
                          {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
                          {"type": "function_call_output", "call_id": "call_1", "output": "ok"}]}  # fmt: skip
    signature = b64encode(state.encode()).decode()
    return {"contents": [{"role": "user", "parts": [{"text": "hi"}]},
                         {"role": "model", "parts": [
                             {"text": "hm", "thought": True, "thoughtSignature": signature},
                             {"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": signature}]},
                         {"role": "user", "parts": [
                             {"functionResponse": {"id": "c", "name": "f", "response": {"ok": 1}}}]}]}  # fmt: skip


@each_pair
def test_state_reaches_the_provider_that_it_names_and_no_other(fleet: Fleet, caller: str, upstream: str) -> None:
    """An envelope is not secret and anybody may write one: what he claims is taken to whom he names, and nowhere."""
    for name, state in ODD_STATES.items():
        reply = fleet.ask(caller, upstream, "good", **with_state(caller, state))
        assert reply.status in (200, 400), (name, reply.body[:300])
        if reply.status == 200:
            sent = fleet.seen(upstream, "good").body.decode()
            assert SECRET not in sent, name
            assert b64encode(SECRET.encode()).decode()[:30] not in sent, name
            assert "somebody" not in sent
    reply = fleet.ask(caller, upstream, "good", **with_state(caller, envelope.wrap(State(upstream, MINE))))
    assert reply.status == 200, reply.body[:300]
    exchange = fleet.seen(upstream, "good")
    assert (MINE in exchange.body.decode()) is ((caller, upstream) != ("chat", "chat"))
    assert envelope.MARK not in exchange.body.decode()
    assert exchange.header("x-injected") is None


def idle(gateway: Gateway) -> bool:
    figures = metrics(gateway.url)
    in_use = figures['trunkline_upstream_connections{state="in_use"}']
    return not in_use and figures["trunkline_calls_in_flight"] == 1  # the one that asks


def test_memory_stays_flat(fleet: Fleet) -> None:
    """Thousands of crossings, hundreds of which fail or are left."""
    process = Process(fleet.gateway.process.pid)

    def ask(number: int) -> bool:
        caller, upstream = PAIRS[number % len(PAIRS)]
        script = ("good", "good", "good", "good", ("cut-4", "400", "failing", "garbage")[number // 5 % 4])[number % 5]
        reply = fleet.ask(caller, upstream, script, stream=number % 2 == 0)
        return script != "good" or (reply.status == 200 and b"hello" in reply.body)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(600)))
        eventually(lambda: idle(fleet.gateway), 5)
        before, files = process.rss_bytes(), process.files()
        assert all(pool.map(ask, range(2500)))
    eventually(lambda: idle(fleet.gateway), 5)
    eventually(lambda: process.files() <= files + 8, 10)
    assert process.rss_bytes() - before < 12 * MIB


def test_a_long_conversation_holds_nobody_up(fleet: Fleet) -> None:
    """The best of three rounds counts: a neighbour on this machine spoils one, work on the loop would spoil all."""
    small = [{"role": ("user", "assistant")[at % 2], "content": "a message of a few words"} for at in range(349_999)]
    longest: list[float] = []
    while len(longest) < 3 and min(longest, default=1.0) >= 0.6:
        with pinged(fleet) as waits:
            for upstream in ("chat", "gemini"):
                assert fleet.ask("messages", upstream, "good", messages=small).status == 200
        longest.append(max(waits))
    # Twice what is promised, and more: the tests share their machine. On the loop it was over a second.
    assert min(longest) < 0.6, longest


@contextmanager
def pinged(fleet: Fleet) -> Iterator[list[float]]:
    """How long each of many small requests waits, in seconds, one after the other."""
    waits: list[float] = []
    done = threading.Event()

    def ping() -> None:
        while not done.is_set():
            began = time.monotonic()
            assert get(fleet.gateway.url, "/healthz").status == 200
            waits.append(time.monotonic() - began)
            time.sleep(0.005)

    thread = threading.Thread(target=ping)
    thread.start()
    try:
        yield waits
    finally:
        done.set()
        thread.join()


def test_nothing_stays_behind(fleet: Fleet) -> None:
    """Last of those that share a gateway: no call, no connection, no secret, no defect."""
    eventually(lambda: idle(fleet.gateway), 5)
    log = fleet.gateway.log.read_text()
    check_no_secret(log)
    assert fleet.gateway.key not in log
    assert '"defect"' not in log
    assert "Traceback" not in log
    assert SECRET not in log
    assert "hello there" not in log
