"""The life of a gateway's processes: started, reloaded, killed in part, stopped under load, reached over TLS."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.acceptance.asking import ASK, CHAT, Process, asked, chat, eventually, get, metrics
from tests.acceptance.certificates import authority
from tests.acceptance.conftest import TRUNKLINE, Gateway, commanded, free_port, running, serving

pytestmark = pytest.mark.acceptance

# Twice what is promised: the tests share their machine, `make bench` does not.
START_WITHIN_S = 3.0
IDLE_BYTES = 120 * 1024 * 1024


def answering(gateway: Gateway) -> set[int]:
    return {
        int(get(gateway.url, "/admin/status", ("x-api-key", gateway.admin_key)).json()["worker_pid"]) for _ in range(16)
    }


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with serving(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("two-workers"), server="workers = 2") as found:
        eventually(lambda: len(answering(found)) == 2, 15)
        yield found


class Load:
    """Callers who stream without a pause until told to stop, each over new connections."""

    def __init__(self, gateway: Gateway, callers: int = 8) -> None:
        self.whole = 0
        self.broken: list[str] = []
        self.refused = 0
        self._gateway = gateway
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        eventually(lambda: self.whole >= len(self._threads), 20)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        ask = asked("sandbox/story", stream=True)
        ask["messages"] = [{"role": "user", "content": "[[tokens=20 delay_ms=10]] a story"}]
        while not self._done.is_set():
            try:
                reply = chat(self._gateway.url, self._gateway.key, ask)
            except (OSError, AssertionError) as error:
                # Nobody accepts any more: this call has not been begun. Everything else is a broken promise.
                if not isinstance(error, ConnectionRefusedError):
                    self.broken.append(repr(error))
                self.refused += 1
                time.sleep(0.02)
                continue
            if reply.status == 200 and reply.whole and reply.body.endswith(b"data: [DONE]\n\n"):
                self.whole += 1
            else:
                self.broken.append(f"{reply.status} {reply.body[-200:]!r}")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_under_load_cuts_nothing(tmp_path: Path, workers: int) -> None:
    with serving(tmp_path, server=f"workers = {workers}") as gateway, Load(gateway) as load:
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(15) == 0
        time.sleep(0.1)
        assert load.refused
        assert not load.broken


def test_a_second_signal_does_not_wait(gateway: Gateway) -> None:
    ask = asked("sandbox/story")
    ask["messages"] = [{"role": "user", "content": "[[tokens=10 first_ms=20000]] a story"}]
    outcome: list[Exception] = []

    def call() -> None:
        try:
            chat(gateway.url, gateway.key, ask)
        except (OSError, AssertionError) as error:
            outcome.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    eventually(lambda: metrics(gateway.url)["trunkline_calls_in_flight"] == 2, 5)
    gateway.process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        gateway.process.wait(1.5)
    gateway.process.send_signal(signal.SIGTERM)
    gateway.process.wait(5)
    caller.join(5)
    assert len(outcome) == 1


ALIAS = '[models."quick"]\ndeployments = ["sandbox/echo"]\n'


def by_signal(gateway: Gateway) -> None:
    gateway.process.send_signal(signal.SIGHUP)


def by_command(gateway: Gateway) -> None:
    subprocess.run([TRUNKLINE, "reload", *gateway.where], capture_output=True, check=False)  # refuses a bad file


def by_api(gateway: Gateway) -> None:
    request = urllib.request.Request(
        f"{gateway.url}/admin/reload", method="POST", headers={"x-api-key": gateway.admin_key}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def by_the_file_alone(_gateway: Gateway) -> None:
    pass


def knows_alias(gateway: Gateway, count: int) -> bool:
    return all(chat(gateway.url, gateway.key, asked("quick")).status == 200 for _ in range(count))


@pytest.mark.parametrize("tell", [by_signal, by_command, by_api, by_the_file_alone])
def test_a_reload_reaches_every_worker(two_workers: Gateway, tell: Callable[[Gateway], None]) -> None:
    gateway = two_workers
    assert chat(gateway.url, gateway.key, asked("quick")).status == 404
    settings = gateway.settings.read_text()
    gateway.settings.write_text(settings + ALIAS)
    tell(gateway)
    eventually(lambda: knows_alias(gateway, 12), 3)
    gateway.settings.write_text(settings + "[models.quick]\ndeployments = 7\n[nonsense]\n")
    if tell is not by_api:
        tell(gateway)
    time.sleep(1.5)
    assert knows_alias(gateway, 12), "a bad file must leave what was"
    assert "reload_refused" in gateway.log.read_text()
    gateway.settings.write_text(settings)
    eventually(lambda: not any(knows_alias(gateway, 1) for _ in range(8)), 5)


def test_a_bad_file_is_told_to_whoever_reloads(gateway: Gateway) -> None:
    gateway.settings.write_text(gateway.settings.read_text() + "[server.nonsense]\na = 1\n")
    request = urllib.request.Request(
        f"{gateway.url}/admin/reload", method="POST", headers={"x-api-key": gateway.admin_key}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    assert caught.value.code == 400
    assert "nonsense" in json.loads(caught.value.read())["error"]["message"]
    refused = subprocess.run([TRUNKLINE, "reload", *gateway.where], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "nonsense" in refused.stderr


def test_a_killed_worker_is_replaced(two_workers: Gateway) -> None:
    gateway = two_workers
    supervisor = Process(gateway.process.pid)
    first = set(supervisor.children())
    assert len(first) == 2
    before = calls(gateway)
    for _ in range(20):
        assert chat(gateway.url, gateway.key, ASK).status == 200
    eventually(lambda: calls(gateway) == before + 20, 3)
    os.kill(min(first), signal.SIGKILL)
    # The other one goes on answering meanwhile.
    assert chat(gateway.url, gateway.key, ASK).status == 200
    eventually(lambda: len(set(supervisor.children()) - {min(first)}) == 2, 10)
    eventually(lambda: len(answering(gateway)) == 2, 15)
    # What the killed one had counted since it last wrote its numbers down is lost; that is no more than a second's.
    eventually(lambda: calls(gateway) >= before, 3)


def calls(gateway: Gateway) -> float:
    return sum(value for name, value in metrics(gateway.url).items() if name.startswith("trunkline_calls_total{"))


def test_metrics_are_of_all_workers(tmp_path: Path) -> None:
    """A gateway of its own: what calls before these had not been told between the workers yet would come on top."""
    with serving(tmp_path, server="workers = 2") as gateway:
        for _ in range(30):
            assert chat(gateway.url, gateway.key, ASK).status == 200
        eventually(lambda: {calls(gateway) for _ in range(10)} == {30}, 5)


def test_workers_end_with_their_supervisor(tmp_path: Path) -> None:
    with serving(tmp_path, server="workers = 2") as gateway:
        children = Process(gateway.process.pid).children()
        gateway.process.kill()
        eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), 5)


def test_two_gateways_on_one_data_directory(gateway: Gateway) -> None:
    """They share keys and count apart; neither is hurt when the other ends."""
    port = free_port()
    command = [TRUNKLINE, "serve", *gateway.where, "--port", str(port)]
    with running(command, f"http://127.0.0.1:{port}/readyz", gateway.folder / "second.log") as second:
        url = f"http://127.0.0.1:{port}"
        made = json.loads(gateway.command("keys", "create", "--json"))
        assert chat(url, made["key"], ASK).status == 200
        assert chat(gateway.url, made["key"], ASK).status == 200
        gateway.command("keys", "revoke", made["id"])
        for place in (url, gateway.url):
            eventually(lambda place=place: chat(place, made["key"], ASK).status == 401, 1)  # type: ignore[misc]
        second.terminate()
        second.wait(10)
    assert chat(gateway.url, gateway.key, ASK).status == 200
    assert metrics(gateway.url)["trunkline_calls_in_flight"] == 1


def refused(*words: str, cwd: Path, environment: dict[str, str] | None = None) -> str:
    """What `serve` says when it does not start."""
    done = subprocess.run(
        [TRUNKLINE, "serve", *words],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    assert done.returncode == 1, done
    assert done.stdout == ""
    said = done.stderr.strip()
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1, said
    assert said.startswith("trunkline: ")
    return said


SETTINGS = {
    "[server": "trunkline.toml",
    "[server]\nprot = 1": "port",
    "[servr]\nport = 1": "server",
    '[server]\nport = "x"': "server.port",
    '[server]\nhost = "0.0.0.0"': "tls_cert",
    '[server]\nhost = "no.such.host.invalid"': "server.host",
    '[server]\nhost = "192.0.2.1"\nbehind_proxy = true\ntrusted_proxies = ["10.0.0.1"]': "server.host",
    "[server]\nbehind_proxy = true": "trusted_proxies",
    '[server]\ntls_cert = "none.pem"\ntls_key = "none.pem"': "tls_cert",
    '[server]\ntls_cert = "trunkline.toml"': "tls_key",
    '[providers.openai]\napi_key = "env:NOT_SET_ANYWHERE"': "NOT_SET_ANYWHERE",
    '[providers.openai]\napi_key = "file:/no/such/file"': "api_key",
    '[providers.mine]\nkind = "nobody"\nbase_url = "http://127.0.0.1/v1"': "kind",
    '[providers.mine]\nkind = "openai"\nbase_url = "ftp://127.0.0.1/v1"': "base_url",
    '[models."a"]\ndeployments = []': "models.a",
    '[database]\nurl = "mysql://root@localhost/x"': "[database] url",
    "[timeouts]\nidle_s = -1": "idle_s",
    '[keys]\npepper = "short"': "pepper",
}


@pytest.mark.parametrize("settings", SETTINGS)
def test_bad_settings_are_one_sentence(tmp_path: Path, settings: str) -> None:
    (tmp_path / "trunkline.toml").write_text(settings + "\n")
    assert SETTINGS[settings] in refused("--data-dir", "data", cwd=tmp_path)


def test_what_else_keeps_it_from_starting(gateway: Gateway, tmp_path: Path) -> None:
    port = gateway.url.rpartition(":")[2]
    for workers in ("1", "2"):
        said = refused("--data-dir", "other", "--port", port, "--workers", workers, cwd=tmp_path)
        assert f"port {port}" in said
    file = tmp_path / "file"
    file.write_text("")
    assert "data" in refused("--data-dir", str(file), cwd=tmp_path)
    assert "data" in refused("--data-dir", "/proc/nowhere", cwd=tmp_path)
    assert "missing.toml" in refused("--config", "missing.toml", cwd=tmp_path)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "trunkline.db").write_bytes(b"this is no database, whatever its name says" * 100)
    assert "database" in refused("--data-dir", str(broken), cwd=tmp_path)
    assert "TRUNKLINE_SERVER__PROT" in refused(cwd=tmp_path, environment={"TRUNKLINE_SERVER__PROT": "1"})


@pytest.mark.parametrize("folder", ["/proc", "/sys/kernel"])
def test_an_unwritable_data_directory(folder: str, tmp_path: Path) -> None:
    """Even root cannot write there."""
    assert "data" in refused("--data-dir", folder, cwd=tmp_path)


def welcome(folder: Path, port: int) -> str:
    """What a start says, until it has said all."""
    output = folder / f"said-{port}.txt"
    command = [TRUNKLINE, "serve", "--data-dir", str(folder / "data"), "--port", str(port), "--welcome"]
    quiet = {"TRUNKLINE_DISCOVERY__LOCAL": "false"}
    with running(command, f"http://127.0.0.1:{port}/readyz", output, quiet):
        eventually(lambda: "keys create" in output.read_text() or "curl" in output.read_text(), 15)
        time.sleep(0.2)
        said = output.read_text()
        curl = re.search(r"curl (?:.*\\\n)*.*", said)
        if curl is not None and "sk-tl-" in curl[0]:
            done = subprocess.run(["sh", "-c", curl[0]], capture_output=True, text=True, timeout=20, check=False)
            assert '"choices"' in done.stdout, done
    return said


def test_the_first_start_and_the_second(tmp_path: Path) -> None:
    first = welcome(tmp_path, free_port())
    key = re.search(r"sk-tl-[A-Za-z0-9-]+", first)
    assert key is not None
    assert "/console" in first
    assert "curl" in first
    second = welcome(tmp_path, free_port())
    assert key[0] not in second
    assert "keys create" in second
    listed = json.loads(commanded("keys", "list", "--json", "--data-dir", str(tmp_path / "data")))
    assert [line["name"] for line in listed if line["state"] == "live" or line["state"] == "active"] == ["first"]


def test_tls_with_an_authority_of_ones_own(tmp_path: Path) -> None:
    from openai import APIConnectionError, OpenAI

    chain = authority(tmp_path)
    (tmp_path / "trunkline.toml").write_text(
        f'[server]\nport = {(port := free_port())}\ntls_cert = "{chain.certificate}"\ntls_key = "{chain.key}"\n'
        "[discovery]\nlocal = false\n"
    )
    where = ["--config", str(tmp_path / "trunkline.toml"), "--data-dir", str(tmp_path / "data")]
    key = commanded("keys", "create", *where)
    log = (tmp_path / "gateway.log").open("wb")
    process = subprocess.Popen([TRUNKLINE, "serve", *where], stdout=log, stderr=log)
    try:
        eventually(lambda: "serves https://" in (tmp_path / "gateway.log").read_text(), 15)
        trusting = ssl.create_default_context(cafile=str(chain.root))
        url = f"https://127.0.0.1:{port}/v1"
        with OpenAI(base_url=url, api_key=key, http_client=httpx2.Client(verify=trusting), max_retries=0) as client:
            answer = client.chat.completions.create(
                model="sandbox/echo", messages=[{"role": "user", "content": "hello there"}]
            )
            assert "hello there" in (answer.choices[0].message.content or "")
            pieces = client.chat.completions.create(
                model="sandbox/echo", messages=[{"role": "user", "content": "hello there"}], stream=True
            )
            assert "hello there" in "".join(piece.choices[0].delta.content or "" for piece in pieces)
        with (
            OpenAI(base_url=url, api_key=key, http_client=httpx2.Client(), max_retries=0) as stranger,
            pytest.raises(APIConnectionError),
        ):
            stranger.models.list()
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
            plain.settimeout(5)
            with_nothing = plain.recv(1000)
        assert not with_nothing.startswith(b"HTTP/1.1 200")
        old = ssl.create_default_context(cafile=str(chain.root))
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with (
            socket.create_connection(("127.0.0.1", port)) as link,
            old.wrap_socket(link, server_hostname="localhost") as tls,
        ):
            assert tls.selected_alpn_protocol() is None
    finally:
        process.terminate()
        process.wait(10)
        log.close()
    assert "Traceback" not in (tmp_path / "gateway.log").read_text()


def test_metrics_from_this_machine_alone(gateway: Gateway) -> None:
    assert get(gateway.url, "/metrics").status == 200
    for name in ("x-forwarded-for", "forwarded", "via", "x-real-ip", "x-forwarded-host"):
        reply = get(gateway.url, "/metrics", (name, "127.0.0.1"))
        assert reply.status == 401
        reply.error()
    forwarded = ("x-forwarded-for", "203.0.113.7")
    assert get(gateway.url, "/metrics", forwarded, ("x-api-key", gateway.key)).status == 403
    assert get(gateway.url, "/metrics", forwarded, ("x-api-key", gateway.admin_key)).status == 200


ORIGIN = "https://app.example.com"


def test_behind_a_proxy_and_for_one_web_page(tmp_path: Path) -> None:
    server = f'behind_proxy = true\ntrusted_proxies = ["127.0.0.1"]\ncors_origins = ["{ORIGIN}"]'
    with serving(tmp_path, server=server) as gateway:
        assert get(gateway.url, "/metrics").status == 401
        assert get(gateway.url, "/metrics", ("x-forwarded-for", "127.0.0.1")).status == 401
        assert get(gateway.url, "/metrics", ("x-api-key", gateway.admin_key)).status == 200
        asks = [
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,x-stainless-os"),
        ]
        preflight = get(gateway.url, CHAT, ("origin", ORIGIN), *asks, method="OPTIONS")
        assert preflight.status == 204
        assert preflight.header("access-control-allow-origin") == ORIGIN
        assert preflight.header("access-control-allow-headers") == "authorization,x-stainless-os"
        assert "POST" in (preflight.header("access-control-allow-methods") or "")
        assert preflight.header("access-control-allow-credentials") is None
        reply = chat(gateway.url, gateway.key, ASK, ("origin", ORIGIN))
        assert reply.header("access-control-allow-origin") == ORIGIN
        assert "x-request-id" in (reply.header("access-control-expose-headers") or "")
        refusal = chat(gateway.url, "wrong", ASK, ("origin", ORIGIN))
        assert refusal.status == 401
        assert refusal.header("access-control-allow-origin") == ORIGIN
        for stranger in ("https://evil.example.com", f"{ORIGIN}.evil.com", "null", "http://app.example.com"):
            other = get(gateway.url, CHAT, ("origin", stranger), *asks, method="OPTIONS")
            assert other.status != 204
            assert other.header("access-control-allow-origin") is None
            assert (
                chat(gateway.url, gateway.key, ASK, ("origin", stranger)).header("access-control-allow-origin") is None
            )


def test_ready_soon_and_small(tmp_path: Path) -> None:
    port = free_port()
    commanded("keys", "create", "--data-dir", str(tmp_path))
    command = [TRUNKLINE, "serve", "--data-dir", str(tmp_path), "--port", str(port)]
    began = time.monotonic()
    quiet = {"TRUNKLINE_DISCOVERY__LOCAL": "false"}
    with running(command, f"http://127.0.0.1:{port}/readyz", tmp_path / "log", quiet) as process:
        assert time.monotonic() - began < START_WITHIN_S
        key = commanded("keys", "create", "--data-dir", str(tmp_path))
        for _ in range(50):
            assert chat(f"http://127.0.0.1:{port}", key, {**ASK, "stream": True}).status == 200
        assert Process(process.pid).rss_bytes() <= IDLE_BYTES
