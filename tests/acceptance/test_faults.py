"""A provider that fails in every way one can: what the caller is told, and that nothing of it stays behind."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.acceptance.asking import Process, Reply, asked, chat, connected, eventually, metrics, read_reply
from tests.acceptance.certificates import authority
from tests.acceptance.conftest import Gateway, serving
from tests.acceptance.scripted import DONE, HELLO, WHOLE, Exchange, Provider, event, providing

pytestmark = pytest.mark.acceptance

FIRST_BYTE_S, IDLE_S, TOTAL_S = 1.0, 1.0, 4.0
KEY = "sk-proj-CANARY0123456789abcdefCANARY"
SAID_SECRETS = (KEY, "sk-live-9f8e7d6c5b4a39281706", "Bearer abcdef0123456789", "AIzaSyA1234567890abcdefghij")
LEAK = "Incorrect API key provided: " + " and ".join(SAID_SECRETS)


def refusing_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with providing() as found:
        found.scripts.update({name: script for name, script in SCRIPTS.items() if script is not None})
        yield found


@pytest.fixture(scope="module")
def gateway(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("faults")
    with providing(authority(folder).context) as untrusted:
        places = {
            "scripted": provider.url,
            "second": provider.url,
            "refusing": f"http://127.0.0.1:{refusing_port()}/v1",
            "nowhere": "http://no-such-host.invalid/v1",
            "plain": f"https://127.0.0.1:{provider.port}/v1",
            "untrusted": untrusted.url,
        }
        settings = "".join(
            f'[providers.{name}]\nkind = "openai"\nbase_url = "{url}"\napi_key = "{KEY}"\n'
            for name, url in places.items()
        )
        settings += "".join(
            f'[models."then-{name}"]\ndeployments = ["scripted/{name}", "second/good"]\n' for name in SCRIPTS
        )
        settings += '[models."both"]\ndeployments = ["scripted/429", "scripted/503"]\n'
        settings += (
            f"[timeouts]\nconnect_s = 1\nfirst_byte_s = {FIRST_BYTE_S}\nidle_s = {IDLE_S}\ntotal_s = {TOTAL_S}\n"
        )
        with serving(folder, settings) as found:
            yield found


def says(status: int, error: dict[str, Any] | None = None, *headers: str) -> Callable[[Exchange], None]:
    body = json.dumps({"error": {"message": LEAK, "type": "some_error", "code": None, "param": None, **(error or {})}})
    return lambda exchange: exchange.answer(status, body.encode(), *headers, f"x-leak: {KEY}", f"set-cookie: a={KEY}")


def raw(data: bytes) -> Callable[[Exchange], None]:
    def script(exchange: Exchange) -> None:
        exchange.send(data)
        exchange.cut()

    return script


def silent(exchange: Exchange) -> None:
    exchange.until_gone()


def stall(exchange: Exchange) -> None:
    exchange.begin_stream()
    exchange.piece(HELLO[0] + HELLO[1])
    exchange.until_gone()


def stall_whole(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n" + WHOLE[:50])
    exchange.until_gone()


def cut_mid_stream(exchange: Exchange) -> None:
    exchange.begin_stream()
    exchange.piece(HELLO[0] + HELLO[1])
    exchange.cut()


def reset_mid_stream(exchange: Exchange) -> None:
    exchange.begin_stream()
    exchange.piece(HELLO[0] + HELLO[1])
    time.sleep(0.1)
    exchange.reset()


def cut_before_the_first_event(exchange: Exchange) -> None:
    exchange.begin_stream()
    exchange.piece(b": welcome\n\n")
    exchange.cut()


def cut_in_the_first_event(exchange: Exchange) -> None:
    exchange.begin_stream()
    exchange.piece(HELLO[0][:20])
    exchange.cut()


def interim(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
    exchange.answer(200, WHOLE)


def endless_head(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        exchange.send(b"x-filler: " + b"y" * 1000 + b"\r\n")


def endless_body(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
    while True:
        exchange.send(b" " * 65_536)


def endless_refusal(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 500 Oh\r\ncontent-type: text/html\r\n\r\n")
    while True:
        exchange.send(b"<p>" * 20_000)


def endless_event(exchange: Exchange) -> None:
    exchange.begin_stream()
    while True:
        exchange.piece(b"data: " + b" " * 65_536)


# Answers that end in a refusal: (script, status for the caller, code, retry-after, x-should-retry)
class Fault(NamedTuple):
    script: Callable[[Exchange], None] | None
    status: int
    code: str | None
    falls_back: bool = True
    retry_after: str | None = None
    should_retry: str | None = None


HTML = b"<html><head><title>502 Bad Gateway</title></head><body>" + LEAK.encode() + b"</body></html>"
FAULTS: dict[str, Fault] = {
    **{str(status): Fault(says(status), 502, "provider_account", should_retry="false") for status in (401, 402, 403)},
    "quota": Fault(says(429, {"code": "insufficient_quota"}), 502, "provider_account", should_retry="false"),
    "429": Fault(says(429, None, "retry-after: 7"), 429, "rate_limit_exceeded", retry_after="7"),
    "429-odd": Fault(says(429, None, "retry-after: soon"), 429, "rate_limit_exceeded"),
    **{str(status): Fault(says(status), 503, "provider_overloaded") for status in (409, 425, 503, 529)},
    **{str(status): Fault(says(status), 504, "provider_timeout") for status in (408, 504)},
    **{str(status): Fault(says(status), 502, "provider_error") for status in (500, 502, 501, 405, 418, 599)},
    **{
        str(status): Fault(says(status, None, "location: http://127.0.0.1:1/stolen"), 502, "provider_error")
        for status in (301, 302, 307, 308, 304)
    },
    "204": Fault(raw(b"HTTP/1.1 204 No\r\n\r\n"), 502, "provider_error"),
    **{
        str(status): Fault(
            says(status, {"code": "their_code", "param": "top_k"}), status, "their_code", falls_back=False
        )
        for status in (400, 404, 413, 422)
    },
    "html-502": Fault(lambda exchange: exchange.answer(502, HTML, kind="text/html"), 502, "provider_error"),
    "html-200": Fault(lambda exchange: exchange.answer(200, HTML, kind="text/html"), 502, None),
    "empty": Fault(lambda exchange: exchange.answer(200, b""), 502, None),
    "null": Fault(lambda exchange: exchange.answer(200, b"null"), 502, None),
    "array": Fault(lambda exchange: exchange.answer(200, b"[]"), 502, None),
    "deep": Fault(lambda exchange: exchange.answer(200, b"[" * 200_000), 502, None),
    "deep-error": Fault(lambda exchange: exchange.answer(400, b'{"error":' + b"[" * 200_000), 400, None, False),
    "invalid-utf8": Fault(
        lambda exchange: exchange.answer(200, WHOLE.replace(b"hello", b"\xff")), 502, "provider_error"
    ),
    "error-200": Fault(says(200), 502, "provider_error"),
    "error-200-429": Fault(says(200, {"code": 429}), 429, "rate_limit_exceeded"),
    "error-200-401": Fault(says(200, {"code": 401}), 502, "provider_account", should_retry="false"),
    "garbage": Fault(raw(b"\x16\x03\x01\x02\x00garbage" * 50), 502, "provider_error"),
    "ssh": Fault(raw(b"SSH-2.0-OpenSSH_9.6\r\n"), 502, "provider_error"),
    "http/0.9": Fault(raw(WHOLE), 502, "provider_error"),
    "closed": Fault(raw(b""), 502, "provider_error"),
    "cut-head": Fault(raw(b"HTTP/1.1 200 OK\r\ncontent-ty"), 502, "provider_error"),
    "cut-body": Fault(raw(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{"), 502, None),
    "bad-chunk": Fault(raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), 502, None),
    "two-lengths": Fault(
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"), 502, "provider_error"
    ),
    "gzip": Fault(
        lambda exchange: exchange.answer(200, b"\x1f\x8b\x08", "content-encoding: gzip"), 502, "provider_error"
    ),
    "101": Fault(raw(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"), 502, "provider_error"),
    "huge-header": Fault(raw(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n"), 502, "provider_error"),
    "endless-head": Fault(endless_head, 502, "provider_error"),
    "endless-body": Fault(endless_body, 502, "provider_error"),
    "endless-refusal": Fault(endless_refusal, 502, "provider_error"),
}
# The same for streams alone.
STREAM_FAULTS: dict[str, Fault] = {
    "silent": Fault(silent, 504, "provider_timeout"),
    "cut-early": Fault(cut_before_the_first_event, 502, "stream_cut"),
    "cut-first": Fault(cut_in_the_first_event, 502, "stream_cut"),
    "done-only": Fault(lambda exchange: exchange.stream(DONE), 502, "stream_cut"),
    "nothing": Fault(lambda exchange: exchange.stream(), 502, "stream_cut"),
    "error-first": Fault(
        lambda exchange: exchange.stream(event({"error": {"message": LEAK, "code": 429}})), 429, "rate_limit_exceeded"
    ),
    "not-json": Fault(lambda exchange: exchange.stream(b"data: hello\n\n"), 502, "provider_error"),
    "deep-event": Fault(lambda exchange: exchange.stream(b"data: " + b"[" * 100_000 + b"\n\n"), 502, "provider_error"),
    "endless-event": Fault(endless_event, 502, "provider_error"),
}
SCRIPTS: dict[str, Callable[[Exchange], None] | None] = {
    "good": None,
    **{name: fault.script for name, fault in {**FAULTS, **STREAM_FAULTS}.items()},
    "stall": stall,
    "stall-whole": stall_whole,
    "cut": cut_mid_stream,
    "reset": reset_mid_stream,
    "interim": interim,
}
BOTH = [(name, stream) for name in FAULTS for stream in (False, True)] + [(name, True) for name in STREAM_FAULTS]


def check_refusal(reply: Reply, fault: Fault) -> None:
    assert reply.status == fault.status, (reply.status, reply.body[:500])
    error = reply.error()
    if fault.code is not None:
        assert error["code"] == fault.code
    assert len(error["message"].encode()) <= 1024 + 200
    assert reply.header("retry-after") == fault.retry_after
    assert reply.header("x-should-retry") == fault.should_retry


def check_no_secret(text: str) -> None:
    for secret in SAID_SECRETS:
        assert secret.removeprefix("Bearer ") not in text


@pytest.mark.parametrize(("name", "stream"), BOTH)
def test_what_a_fault_becomes(gateway: Gateway, name: str, stream: bool) -> None:
    fault = {**FAULTS, **STREAM_FAULTS}[name]
    reply = chat(gateway.url, gateway.key, asked(f"scripted/{name}", stream=stream))
    check_refusal(reply, fault)
    check_no_secret(repr(reply))
    assert {key for key, _ in reply.headers} <= {
        "date", "content-type", "content-length", "connection", "retry-after", "x-should-retry", "x-request-id",
        "x-trunkline-call-id", "x-trunkline-model", "x-trunkline-alias", "x-trunkline-provider",
        "x-trunkline-attempts", "x-trunkline-overhead-ms", "x-trunkline-warning",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "stream"), BOTH)
def test_the_next_deployment_answers_instead(gateway: Gateway, name: str, stream: bool) -> None:
    fault = {**FAULTS, **STREAM_FAULTS}[name]
    reply = chat(gateway.url, gateway.key, asked(f"then-{name}", stream=stream))
    if not fault.falls_back:
        check_refusal(reply, fault)
        return
    assert reply.status == 200, reply.body[:300]
    assert b"hello" in reply.body
    assert reply.header("x-trunkline-attempts") == "2"
    assert reply.whole
    if stream:
        assert reply.events()[-1] == "[DONE]"


def test_the_last_refusal_counts(gateway: Gateway) -> None:
    check_refusal(chat(gateway.url, gateway.key, asked("both")), FAULTS["503"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("place", ["refusing", "nowhere", "plain", "untrusted"])
def test_no_connection(gateway: Gateway, place: str, stream: bool) -> None:
    reply = chat(gateway.url, gateway.key, asked(f"{place}/any", stream=stream))
    assert reply.status in (502, 504)
    reply.error()
    check_no_secret(repr(reply))


def test_the_first_byte_timer(gateway: Gateway) -> None:
    began = time.monotonic()
    reply = chat(gateway.url, gateway.key, asked("scripted/silent", stream=True))
    assert reply.status == 504
    assert FIRST_BYTE_S <= time.monotonic() - began < FIRST_BYTE_S + 1


def test_a_whole_answer_has_the_total_time(gateway: Gateway, provider: Provider) -> None:
    began = time.monotonic()
    reply = chat(gateway.url, gateway.key, asked("scripted/silent"))
    assert reply.status == 504
    assert TOTAL_S <= time.monotonic() - began < TOTAL_S + 1
    eventually(provider.wait_for("silent").gone.is_set, 1)


@pytest.mark.parametrize(("name", "code"), [("stall", "provider_timeout"), ("cut", "stream_cut"), ("reset", None)])
def test_a_stream_that_breaks_off_is_an_error(
    gateway: Gateway, provider: Provider, name: str, code: str | None
) -> None:
    began = time.monotonic()
    reply = chat(gateway.url, gateway.key, asked(f"then-{name}", stream=True))
    assert time.monotonic() - began < IDLE_S + 1
    assert reply.status == 200
    assert reply.whole
    events = reply.events()
    assert "hello" in str(events)
    assert "[DONE]" not in events
    assert set(events[-1]) == {"error"}
    assert events[-1]["error"]["type"] == "server_error"
    if code is not None:
        assert events[-1]["error"]["code"] == code
    if name == "stall":
        assert time.monotonic() - began >= IDLE_S
        eventually(provider.wait_for(name).gone.is_set, 1)


def test_a_whole_answer_that_stalls(gateway: Gateway, provider: Provider) -> None:
    reply = chat(gateway.url, gateway.key, asked("scripted/stall-whole"))
    assert reply.status == 504
    eventually(provider.wait_for("stall-whole").gone.is_set, 1)


def test_interim_answers_are_passed_over(gateway: Gateway) -> None:
    reply = chat(gateway.url, gateway.key, asked("scripted/interim"))
    assert reply.status == 200
    assert reply.body == WHOLE.replace(b"5}}", b'5,"cost":0}}')


def test_the_provider_sees_what_it_should_and_no_more(gateway: Gateway, provider: Provider) -> None:
    chat(
        gateway.url,
        gateway.key,
        asked("scripted/good", stream=True),
        ("cookie", "a=b"),
        ("x-forwarded-for", "1.2.3.4"),
        ("openai-organization", "org-mine"),
        ("x-request-id", "mine"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    )
    seen = provider.wait_for("good")
    names = [line.partition(b":")[0] for line in seen.head.split(b"\r\n")[1:]]
    assert sorted(names) == sorted(
        [b"host", b"content-type", b"accept", b"accept-encoding", b"user-agent", b"authorization", b"traceparent",
         b"content-length"]
    )  # fmt: skip
    assert seen.header("authorization") == f"Bearer {KEY}"
    assert seen.header("accept-encoding") == "identity"
    assert json.loads(seen.body)["stream_options"] == {"include_usage": True}
    assert gateway.key.encode() not in seen.head + seen.body


def test_nothing_stays_behind(gateway: Gateway, provider: Provider) -> None:
    """Last in the file: after every fault, no call, no connection and no file is left, and no secret was logged."""
    process = Process(gateway.process.pid)

    def idle() -> bool:
        figures = metrics(gateway.url)
        return (
            not figures['trunkline_upstream_connections{state="in_use"}']
            and figures["trunkline_calls_in_flight"] == 1  # the one that asks
        )

    eventually(idle, 5)
    assert metrics(gateway.url)['trunkline_upstream_connections{state="waiting"}'] == 0
    before = process.files()
    threads = [
        threading.Thread(target=chat, args=(gateway.url, gateway.key, asked(f"scripted/{name}", stream=True)))
        for name in ("500", "cut", "reset", "garbage", "good", "stall", "silent", "endless-event") * 5
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(idle, 5)
    eventually(lambda: process.files() <= before + 8, 10)
    log = gateway.log.read_text()
    check_no_secret(log)
    assert gateway.key not in log
    assert '"defect"' not in log
    assert "Traceback" not in log


def test_secrets_stay_out_of_the_pages(gateway: Gateway, tmp_path: Path) -> None:
    with connected(gateway.url) as link:
        link.sendall(
            b"GET /admin/status HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-api-key: %b\r\n\r\n"
            % gateway.admin_key.encode()
        )
        reply = read_reply(link)
    assert reply.status == 200
    check_no_secret(repr(reply))
