"""Who gets in: every carrier on every route, and the life of a key in every worker of a running gateway."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.asking import ASK, CHAT, Reply, chat, eventually, get, head, send
from tests.acceptance.conftest import Gateway, serving

pytestmark = pytest.mark.acceptance

ROUTES = [
    ("POST", CHAT),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/sandbox/echo"),
    ("GET", "/v1/models/sandbox%2Fecho"),
    ("GET", "/v1/nothing"),
    ("GET", "/admin/status"),
    ("POST", "/admin/reload"),
]
CARRIERS = {
    "authorization": "Bearer {}",
    "Authorization": "bearer {}",
    "x-api-key": "{}",
    "api-key": "{}",
    "x-goog-api-key": "{}",
}
HOSTILE: dict[str, bytes] = {
    "SQL": b"' OR '1'='1",
    "SQL comment": b"x'; DROP TABLE keys; --",
    "wildcard": b"sk-tl-%",
    "4,000 characters": b"k" * 4000,
    "60,000 characters": b"k" * 60_000,
    "UTF-8": "sk-tl-ключ-🔑".encode(),
    "latin-1": b"sk-tl-caf\xe9",
    "high bytes": bytes(range(0x80, 0x100)),
    "own shape": b"sk-tl-AAAAAAAAAAAA-" + b"A" * 49,
    "template": b"{{7*7}}${7*7}",
    "comma": b"one, two",
    "percent": b"%00%0a",
}
WORKERS = 2
KNOWN_WITHIN_S = 1.0


def body_of(method: str, path: str) -> bytes:
    return json.dumps(ASK).encode() if path == CHAT else b"{}" if method == "POST" else b""


def ask(gateway: Gateway, method: str, path: str, *headers: tuple[str, str | bytes]) -> Reply:
    body = body_of(method, path)
    given = [("content-type", "application/json"), ("content-length", str(len(body)))] if method == "POST" else []
    return send(gateway.url, head(method, path, [*given, *headers]) + body)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("keys"), server=f"workers = {WORKERS}") as found:
        yield found


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_carrier_opens_every_route_alike(gateway: Gateway, method: str, path: str, carrier: str) -> None:
    value = CARRIERS[carrier]
    reply = ask(gateway, method, path, (carrier, value.format(gateway.admin_key)))
    assert reply.status == (404 if path == "/v1/nothing" else 200), reply.body
    plain = ask(gateway, method, path, (carrier, value.format(gateway.key)))
    if path.startswith("/admin"):
        assert plain.status == 403
        plain.error()
    else:
        assert plain.status == reply.status
    stranger = ask(gateway, method, path, (carrier, value.format(gateway.key[:-1] + "!")))
    assert stranger.status == 401
    assert stranger.error()["code"] == "invalid_api_key"


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_route_takes_two_keys_or_one_in_the_address(gateway: Gateway, method: str, path: str) -> None:
    key, other = gateway.key, gateway.admin_key
    for pair in (
        (("authorization", f"Bearer {key}"), ("x-api-key", other)),
        (("x-api-key", key), ("x-goog-api-key", other)),
        (("authorization", f"Bearer {key}"), ("authorization", f"Bearer {key}")),
        (("x-api-key", key), ("x-api-key", other)),
    ):
        reply = ask(gateway, method, path, *pair)
        assert reply.status == 401
        assert reply.error()["code"] == "ambiguous_credentials"
    same = ask(gateway, method, path, ("authorization", f"Bearer {other}"), ("x-api-key", other))
    assert same.status in (200, 404)
    for name in ("key", "api_key", "KEY", "access_token"):
        for more in ((), (("authorization", f"Bearer {other}"),)):
            reply = ask(gateway, method, f"{path}?{name}={other}", *more)
            assert reply.status == 401
            assert "Authorization" in reply.error()["message"]
            assert other not in reply.body.decode()


@pytest.mark.parametrize("carrier", ["authorization", "x-api-key"])
@pytest.mark.parametrize("name", HOSTILE)
def test_any_string_is_only_an_unknown_key(gateway: Gateway, name: str, carrier: str) -> None:
    value = HOSTILE[name]
    reply = ask(gateway, "GET", "/v1/models", (carrier, b"Bearer " + value if carrier == "authorization" else value))
    assert reply.status == 401
    error = reply.error()
    assert error["code"] == "invalid_api_key"
    assert value.decode("latin-1") not in error["message"]


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Token x", "bearer\tx"])
def test_no_key_is_told_where_to_put_one(gateway: Gateway, value: str) -> None:
    reply = ask(gateway, "GET", "/v1/models", ("authorization", value))
    assert reply.status == 401
    assert "Bearer" in reply.error()["message"]


def statuses(gateway: Gateway, key: str, count: int = 16) -> set[int]:
    """Over as many connections, so that every worker is asked."""
    return {get(gateway.url, "/v1/models", ("x-api-key", key)).status for _ in range(count)}


def test_both_workers_answer(gateway: Gateway) -> None:
    seen: set[int] = set()

    def all_seen() -> bool:
        seen.add(get(gateway.url, "/admin/status", ("x-api-key", gateway.admin_key)).json()["worker_pid"])
        return len(seen) == WORKERS

    eventually(all_seen, 10)


def test_a_key_works_at_once_everywhere_and_ends_everywhere(gateway: Gateway) -> None:
    made = json.loads(gateway.command("keys", "create", "--name", "short", "--json"))
    assert statuses(gateway, made["key"]) == {200}
    gateway.command("keys", "revoke", made["id"])
    eventually(lambda: statuses(gateway, made["key"], 1) == {401}, KNOWN_WITHIN_S)
    time.sleep(KNOWN_WITHIN_S)
    assert statuses(gateway, made["key"]) == {401}


def test_a_key_that_was_asked_for_too_early_works_within_a_second(gateway: Gateway) -> None:
    early = "a-key-from-before-it-was-known"
    assert statuses(gateway, early) == {401}
    gateway.command("keys", "import", "--name", "early", stdin=early + "\n")
    eventually(lambda: statuses(gateway, early) == {200}, 2 * KNOWN_WITHIN_S)


@pytest.mark.parametrize(
    "text", ["wxyz" * 128, "AIzaSyExample", "'OR'1'='1'--", "sk-proj-of.another~kind", "sk-tl-of-mine"]
)
def test_any_printable_string_can_be_taken_over(gateway: Gateway, text: str) -> None:
    gateway.command("keys", "import", "--name", "taken", stdin=text)
    assert statuses(gateway, text) == {200}
    assert ask(gateway, "GET", "/v1/models", ("authorization", f"Bearer {text}")).status == 200


def test_rotation(gateway: Gateway) -> None:
    made = json.loads(gateway.command("keys", "create", "--name", "turning", "--json"))
    second = json.loads(gateway.command("keys", "rotate", made["id"], "--grace", "2s", "--json"))
    assert statuses(gateway, second["key"]) == {200}
    assert statuses(gateway, made["key"], 1) == {200}
    time.sleep(max(0.0, second["old_ends_at"] + 1 - time.time()))
    assert statuses(gateway, made["key"]) == {401}
    third = json.loads(gateway.command("keys", "rotate", made["id"], "--grace", "0", "--json"))
    assert third["id"] == made["id"]
    assert statuses(gateway, third["key"]) == {200}
    eventually(lambda: statuses(gateway, second["key"]) == {401}, 2 * KNOWN_WITHIN_S)


def test_expiry(gateway: Gateway) -> None:
    made = gateway.command("keys", "create", "--name", "brief", "--expires", "2s")
    assert statuses(gateway, made, 4) == {200}
    eventually(lambda: statuses(gateway, made, 1) == {401}, 4)
    assert statuses(gateway, made) == {401}
    assert "expired" in get(gateway.url, "/v1/models", ("x-api-key", made)).error()["message"]


def test_a_key_of_one_model_cannot_use_another(gateway: Gateway) -> None:
    key = gateway.command("keys", "create", "--name", "narrow", "--models", "sandbox/ec*")
    assert chat(gateway.url, key, ASK).status == 200
    reply = chat(gateway.url, key, {**ASK, "model": "sandbox/story"})
    assert reply.status == 403
    listed = get(gateway.url, "/v1/models", ("x-api-key", key)).json()["data"]
    assert [line["id"] for line in listed] == ["sandbox/echo"]


def test_many_strangers_at_once_do_not_lock_out_a_key(gateway: Gateway) -> None:
    answers: list[int] = []

    def knock(number: int) -> None:
        for n in range(20):
            answers.append(get(gateway.url, "/v1/models", ("x-api-key", f"stranger-{number}-{n}")).status)

    threads = [threading.Thread(target=knock, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    assert statuses(gateway, gateway.key, 30) == {200}
    for thread in threads:
        thread.join()
    assert set(answers) <= {401, 503}


def test_no_key_is_ever_written_down(gateway: Gateway) -> None:
    """Neither a key's secret nor a stranger's is in the log or in the database's files."""
    kept = gateway.log.read_bytes() + b"".join(
        path.read_bytes() for path in (gateway.folder / "data").rglob("*") if path.is_file() and path.name != "pepper"
    )
    for key in (gateway.key, gateway.admin_key, "a-key-from-before-it-was-known", "AIzaSyExample", "stranger-3-3"):
        assert key.encode() not in kept
    secret = gateway.key.split("-")[-1][:32]
    assert secret.encode() not in kept


def test_the_files_are_private(gateway: Gateway) -> None:
    data = gateway.folder / "data"
    assert data.stat().st_mode & 0o077 == 0
    for path in (data / "pepper", *data.glob("*.db*")):
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.fixture
def lone_gateway(tmp_path: Path) -> Iterator[Gateway]:
    with serving(tmp_path) as found:
        yield found


def test_known_keys_outlive_the_database_for_a_while(lone_gateway: Gateway) -> None:
    """Known keys go on, an unknown one is told to come again (not that it is wrong), and it heals by itself."""
    gateway = lone_gateway
    data = gateway.folder / "data"
    assert statuses(gateway, gateway.key, 2) == {200}
    names = [path.name for path in data.iterdir() if path.name.startswith("trunkline.db")]
    away = data / "away"
    away.mkdir()
    for name in names:
        (data / name).rename(away / name)
    time.sleep(1.5)  # what was opened before is no longer believed
    assert statuses(gateway, gateway.key, 8) == {200}
    stranger = get(gateway.url, "/v1/models", ("x-api-key", "a-stranger"))
    assert stranger.status == 503
    assert stranger.error()["code"] == "store_unavailable"
    assert stranger.header("retry-after")
    for name in names:
        (away / name).rename(data / name)
    eventually(lambda: get(gateway.url, "/v1/models", ("x-api-key", "a-stranger")).status == 401, 5)
    fresh = gateway.command("keys", "create", "--name", "after")
    assert statuses(gateway, fresh) == {200}
    with sqlite3.connect(data / "trunkline.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_locked_database_does_not_stop_known_keys(lone_gateway: Gateway) -> None:
    gateway = lone_gateway
    database = sqlite3.connect(gateway.folder / "data" / "trunkline.db", isolation_level=None)
    try:
        database.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        assert statuses(gateway, gateway.key, 20) == {200}
        assert time.monotonic() - began < 1
        unknown = get(gateway.url, "/v1/models", ("x-api-key", "a-stranger"))
        assert unknown.status in (401, 503)
        assert time.monotonic() - began < 6
    finally:
        database.close()


def test_a_websocket_is_refused_without_a_crash(gateway: Gateway) -> None:
    handshake = [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ]
    reply = send(gateway.url, head("GET", "/v1/realtime?model=x", handshake))
    assert reply.status in (401, 403, 404)
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2]))):
        assert statuses(gateway, gateway.key, 2) == {200}
