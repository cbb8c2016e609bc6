"""What a hostile client sends: each body is refused in OpenAI's envelope or served, cheaply, and nothing stays hurt."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.acceptance.asking import ASK, CHAT, Process, Reply, asked, chat, chat_head, connected, get, head, read_reply
from tests.acceptance.conftest import Gateway, serving

pytestmark = pytest.mark.acceptance

MIB = 1024 * 1024
CPU_LIMIT_S = 0.2
MESSAGES = b'"messages":[{"role":"user","content":"hi"}]'
MODEL = b'"model":"sandbox/echo"'


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("hostile")) as found:
        assert chat(found.url, found.key, ASK).status == 200  # whatever is loaded by the first call is loaded
        yield found


@pytest.fixture(autouse=True)
def healthy_afterwards(gateway: Gateway) -> Iterator[None]:
    yield
    assert chat(gateway.url, gateway.key, ASK).status == 200
    assert '"defect"' not in gateway.log.read_text()


def nested(depth: int, opening: bytes, closing: bytes) -> bytes:
    return opening * depth + closing * depth


def with_value(value: bytes, name: bytes = b"metadata") -> bytes:
    return b"{" + MODEL + b"," + MESSAGES + b',"' + name + b'":' + value + b"}"


# name: (body, statuses that may answer it, the parameter that is named)
BODIES: dict[str, tuple[bytes, set[int], str | None]] = {
    "empty": (b"", {400}, None),
    "blank": (b" \r\n\t ", {400}, None),
    "no JSON": (b"hello", {400}, None),
    "cut": (b'{"model":"sandbox/echo","messages":[{', {400}, None),
    "two values": (b"{" + MODEL + b"," + MESSAGES + b"}{}", {400}, None),
    "array": (b"[]", {400}, None),
    "null": (b"null", {400}, None),
    "string": (b'"model"', {400}, None),
    "BOM": (b"\xef\xbb\xbf{" + MODEL + b"," + MESSAGES + b"}", {400}, None),
    "UTF-16": (json.dumps(ASK).encode("utf-16"), {400}, None),
    "NUL": (b"{" + MODEL + b"," + MESSAGES + b"}\x00", {400}, None),
    "invalid UTF-8 in a string": (with_value(b'"\xff\xfe"'), {400}, None),
    "invalid UTF-8 in the prompt": (b"{" + MODEL + b',"messages":[{"role":"user","content":"\xc3("}]}', {400}, None),
    "overlong UTF-8": (with_value(b'"\xc0\xaf"'), {400}, None),
    "surrogate in UTF-8": (with_value(b'"\xed\xa0\x80"'), {400}, None),
    "invalid UTF-8 in a key": (b"{" + MODEL + b"," + MESSAGES + b',"\xff":1}', {400}, None),
    "NaN": (with_value(b"NaN", b"temperature"), {400}, None),
    "Infinity": (with_value(b"Infinity", b"temperature"), {400}, None),
    "-Infinity below": (with_value(b'{"a":-Infinity}'), {400}, None),
    "1e400": (with_value(b"1e400", b"temperature"), {400}, "temperature"),
    "-1e400": (with_value(b"-1e400", b"presence_penalty"), {400}, "presence_penalty"),
    "1e400 unread": (with_value(b"1e400", b"unread"), {200, 400}, None),
    "10,000 digits read": (with_value(b"1" * 10_000, b"max_tokens"), {400}, "max_tokens"),
    "10,000 digits in n": (with_value(b"9" * 10_000, b"n"), {400}, "n"),
    "10,000 digits unread": (with_value(b"1" * 10_000, b"seed"), {200, 400}, None),
    "10,000 decimals": (with_value(b"0." + b"1" * 10_000, b"temperature"), {200, 400}, None),
    "a huge exponent": (with_value(b"1e" + b"9" * 10_000, b"temperature"), {400}, "temperature"),
    "lone surrogate in the model": (b'{"model":"\\ud800",' + MESSAGES + b"}", {400}, None),
    "lone surrogate in a key": (with_value(b"1", b"\\udfff"), {200, 400}, None),
    "lone surrogate in the prompt": (
        b"{" + MODEL + b',"messages":[{"role":"user","content":"\\udc00"}]}',
        {200, 400},
        None,
    ),
    "duplicate key": (b'{"model":"sandbox/story",' + MODEL + b"," + MESSAGES + b"}", {400}, "model"),
    "duplicate messages": (b"{" + MODEL + b"," + MESSAGES + b"," + MESSAGES + b"}", {400}, "messages"),
    "duplicate unread key": (b"{" + MODEL + b"," + MESSAGES + b',"user":"a","user":"b"}', {400}, "user"),
    "other case": (b"{" + MODEL + b"," + MESSAGES + b',"Model":"gpt-4"}', {400}, "Model"),
    "other case alone": (b'{"MODEL":"sandbox/echo",' + MESSAGES + b"}", {400}, "MODEL"),
    "escaped": (b"{" + MODEL + b"," + MESSAGES + b',"\\u006dodel":"gpt-4"}', {400}, "model"),
    "escaped, other case": (b"{" + MODEL + b"," + MESSAGES + b',"\\u0053tream":true}', {400}, "Stream"),
    "folded with a Kelvin sign": (with_value(b"1", "max_to\u212aens".encode()), {400}, "max_to\u212aens"),
    "folded with a long s": (with_value(b"true", "\u017ftream".encode()), {400}, "\u017ftream"),
    "duplicate in stream_options": (
        with_value(b'{"include_usage":true,"include_usage":false}', b"stream_options"),
        {400},
        "stream_options.include_usage",
    ),
    "no messages": (b"{" + MODEL + b"}", {400}, "messages"),
    "no model": (b"{" + MESSAGES + b"}", {400}, "model"),
    "a number for a model": (b'{"model":1,' + MESSAGES + b"}", {400}, "model"),
    "a long model": (b'{"model":"' + b"m" * 100_000 + b'",' + MESSAGES + b"}", {400}, "model"),
    "a model of line breaks": (b'{"model":"a\\r\\nx-injected: 1",' + MESSAGES + b"}", {404}, "model"),
    "a model of a path": (b'{"model":"../../etc/passwd",' + MESSAGES + b"}", {404}, "model"),
    "a template for a model": (b'{"model":"{{7*7}}${7*7}",' + MESSAGES + b"}", {404}, "model"),
    **{
        f"{kind} {depth:,} deep {where}": (body, statuses, None)
        for depth in (10_000, 100_000)
        for kind, opening, closing in (("arrays", b"[", b"]"), ("objects", b'{"a":', b"}"))
        for where, body, statuses in (
            ("at the top", nested(depth, opening, closing), {400}),
            ("unread", with_value(nested(depth, opening, closing)), {200, 400}),
            ("as messages", b"{" + MODEL + b',"messages":' + nested(depth, opening, closing) + b"}", {400}),
            ("unclosed", opening * depth, {400}),
        )
    },
}
# Made when they are needed: they are large.
LARGE: dict[str, Callable[[], bytes]] = {
    "a million names": lambda: (
        b"{" + MODEL + b"," + MESSAGES + b"".join(b',"k%d":1' % n for n in range(1_000_000)) + b"}"
    ),
    "one name a million times": lambda: b"{" + MODEL + b"," + MESSAGES + b',"a":1' * 1_000_000 + b"}",
    "a million stream options": lambda: with_value(
        b"{" + b",".join(b'"k%d":1' % n for n in range(1_000_000)) + b"}", b"stream_options"
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_is_cheap_and_never_a_defect(gateway: Gateway, name: str) -> None:
    body, statuses, param = BODIES[name]
    process = Process(gateway.process.pid)
    before = process.cpu_s()
    reply = chat(gateway.url, gateway.key, body)
    assert process.cpu_s() - before < CPU_LIMIT_S
    assert reply.status in statuses, reply.body[:300]
    if reply.status != 200:
        error = reply.error()
        assert error["type"] == "invalid_request_error"
        assert len(reply.body) < 4096
        if param is not None:
            assert error["param"] == param


@pytest.mark.parametrize("name", LARGE)
def test_a_million_of_anything_is_refused_early(gateway: Gateway, name: str) -> None:
    process = Process(gateway.process.pid)
    body = LARGE[name]()
    before, memory = process.cpu_s(), process.rss_bytes()
    reply = chat(gateway.url, gateway.key, body)
    assert process.cpu_s() - before < CPU_LIMIT_S
    assert process.rss_bytes() - memory < 64 * MIB
    assert reply.status == 400
    reply.error()


def test_a_long_name_with_escapes_takes_no_memory(gateway: Gateway) -> None:
    process = Process(gateway.process.pid)
    before = process.rss_bytes()
    assert chat(gateway.url, gateway.key, with_value(b"1", b"a" * 8 * MIB + rb"\\")).status in (200, 400)
    assert process.rss_bytes() - before < 64 * MIB


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ((("content-encoding", "gzip"),), gzip.compress(json.dumps(ASK).encode()), 415, "unsupported_content_encoding"),
        ((("content-encoding", "br"),), b"\x0b\x02\x80", 415, "unsupported_content_encoding"),
        ((("content-type", "text/plain"),), json.dumps(ASK).encode(), 415, "unsupported_media_type"),
        ((("content-type", "application/x-www-form-urlencoded"),), b"model=a", 415, "unsupported_media_type"),
        (
            (("content-type", "multipart/form-data; boundary=" + "-" * 5000),),
            b"--" * 5000,
            415,
            "unsupported_media_type",
        ),
        ((("content-type", "application/json;charset=utf-8"),), json.dumps(ASK).encode(), 200, None),
        ((("content-encoding", "identity"),), json.dumps(ASK).encode(), 200, None),
    ],
)
def test_kinds_of_body(
    gateway: Gateway, headers: tuple[tuple[str, str]], body: bytes, status: int, code: str | None
) -> None:
    whole = head(
        "POST", CHAT, [("authorization", f"Bearer {gateway.key}"), ("content-length", str(len(body))), *headers]
    )
    with connected(gateway.url) as link:
        link.sendall(whole + body)
        reply = read_reply(link)
    assert reply.status == status
    if status != 200:
        assert reply.error()["code"] == code


def test_a_declared_excess_is_refused_before_a_byte_of_it(gateway: Gateway) -> None:
    with connected(gateway.url) as link:
        link.sendall(chat_head(gateway.key, 33 * MIB))
        reply = read_reply(link)
    assert reply.status == 413
    assert reply.error()["code"] == "request_too_large"
    assert reply.header("connection") == "close"


def test_an_expectation_is_refused_instead_of_continued(gateway: Gateway) -> None:
    with connected(gateway.url) as link:
        link.sendall(chat_head(gateway.key, 33 * MIB, ("expect", "100-continue")))
        assert link.recv(12) == b"HTTP/1.1 413"


def upload(gateway: Gateway, mebibytes: int) -> Reply:
    """A chunked body that goes on until it is told to stop."""
    with connected(gateway.url) as link:
        link.sendall(head("POST", CHAT, [("authorization", f"Bearer {gateway.key}"), ("transfer-encoding", "chunked")]))
        chunk = b"%x\r\n%b\r\n" % (MIB, b" " * MIB)
        with contextlib.suppress(OSError):
            for _ in range(mebibytes):
                link.sendall(chunk)
        return read_reply(link)


def test_a_chunked_excess_is_refused(gateway: Gateway) -> None:
    reply = upload(gateway, 40)
    assert reply.status == 413
    assert reply.error()["code"] == "request_too_large"


def test_memory_is_bounded_under_parallel_uploads(gateway: Gateway) -> None:
    """50 clients who declare more than is allowed, and send it, cost no memory."""
    process = Process(gateway.process.pid)
    before, peak = process.rss_bytes(), 0
    statuses: list[int] = []

    def declare() -> None:
        with connected(gateway.url) as link:
            link.sendall(chat_head(gateway.key, 50 * MIB))
            with contextlib.suppress(OSError):
                for _ in range(50):
                    link.sendall(b" " * MIB)
            try:
                statuses.append(read_reply(link).status)
            except (OSError, AssertionError):
                statuses.append(0)

    threads = [threading.Thread(target=declare) for _ in range(50)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        peak = max(peak, process.rss_bytes())
        threads[0].join(0.01)
        threads = [thread for thread in threads if thread.is_alive()] or threads[:1]
    assert set(statuses) == {413}
    assert peak - before < 32 * MIB


def test_an_unauthenticated_upload_is_not_read(gateway: Gateway) -> None:
    with connected(gateway.url) as link:
        link.sendall(chat_head("sk-tl-nobody", 30 * MIB) + b" " * 1000)
        reply = read_reply(link)
        assert reply.status == 401
        link.settimeout(5)
        # The connection ends; nobody waits for the 30 MiB.
        assert link.recv(1) == b""


def test_headers_that_would_inject(gateway: Gateway) -> None:
    """What comes back of the caller's own words can begin no header of its own."""
    reply = chat(gateway.url, gateway.key, ASK, ("x-request-id", "a\tb"))
    assert reply.status == 200
    assert reply.header("x-request-id") != "a\tb"
    reply = chat(gateway.url, gateway.key, ASK, ("x-request-id", b"caf\xe9"))
    assert reply.status == 200
    reply = chat(gateway.url, gateway.key, asked("sandbox/echo\r\nx-evil: 1"))
    assert reply.header("x-evil") is None


def test_unknown_paths_tell_nothing_without_a_key(gateway: Gateway) -> None:
    for path in ("/v1/nothing", "/%2e%2e/etc/passwd", "/v1/chat/completions/", "/admin/keys", "/.env", "//v1/models"):
        for method in ("GET", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"):
            reply = get(gateway.url, path, ("content-length", "0"), method=method)
            assert reply.status == 401, (method, path, reply.status, reply.body[:200])
            reply.error()


def test_slow_and_silent_connections_do_not_matter(gateway: Gateway) -> None:
    """200 half-sent heads and bodies; a caller beside them is served."""
    with_head = chat_head(gateway.key, 1000)
    links: list[socket.socket] = []
    try:
        for n in range(200):
            link = socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])))
            link.sendall(with_head if n % 2 else with_head[: n % 40 + 1])
            links.append(link)
        assert chat(gateway.url, gateway.key, ASK).status == 200
    finally:
        for link in links:
            link.close()
