"""Reloaded, stopped and killed while answers cross from one protocol to another."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.acceptance.asking import asked, chat, eventually, get
from tests.acceptance.conftest import TRUNKLINE, Gateway, running, serving
from tests.acceptance.surfaces import post
from tests.acceptance.told import request, told

pytestmark = pytest.mark.acceptance

CALLERS = ("chat", "messages", "responses", "gemini")
STORY = "[[tokens=20 delay_ms=10]] a story"


class Load:
    """Callers of every protocol who stream without a pause until told to stop, each over new connections."""

    def __init__(self, gateway: Gateway) -> None:
        self.whole = 0
        self.broken: list[str] = []
        self._gateway = gateway
        self._done = threading.Event()
        pairs = [(caller, sandbox) for caller in CALLERS for sandbox in ("sandbox", "sandbox-messages")]
        self._threads = [threading.Thread(target=self._call, args=pair) for pair in pairs]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        eventually(lambda: self.whole >= 2 * len(self._threads), 20)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _call(self, caller: str, sandbox: str) -> None:
        path, body = request(caller, f"{sandbox}/story", stream=True)
        body = json.loads(json.dumps(body).replace('"hi"', json.dumps(STORY)))
        while not self._done.is_set():
            try:
                reply = post(self._gateway.url, self._gateway.key, path, body)
            except (OSError, AssertionError) as error:
                # Nobody accepts any more: this call has not been begun. Everything else is a broken promise.
                if not isinstance(error, ConnectionRefusedError):
                    self.broken.append(repr(error))
                time.sleep(0.02)
                continue
            if reply.status == 200 and told(reply, caller).ended:
                self.whole += 1
            else:
                self.broken.append(f"{caller} {reply.status} {reply.body[-200:]!r}")


def test_a_reload_and_a_stop_cut_no_crossing(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway, Load(gateway) as load:
        for number in range(3):
            alias = f'[models."a{number}"]\ndeployments = ["sandbox/echo"]\n'
            gateway.settings.write_text(gateway.settings.read_text() + alias)
            gateway.process.send_signal(signal.SIGHUP)
            eventually(lambda name=f"a{number}": chat(gateway.url, gateway.key, asked(name)).status == 200, 5)  # type: ignore[misc]
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(15) == 0
        assert not load.broken


def test_what_was_answered_as_stored_is_there_after_a_kill(tmp_path: Path) -> None:
    stored: list[str] = []

    def ask(gateway: Gateway) -> None:
        while True:
            try:
                body = {"model": "sandbox-messages/echo", "input": "keep this", "stream": len(stored) % 2 == 0}
                reply = post(gateway.url, gateway.key, "/v1/responses", body)
            except (OSError, AssertionError, ValueError):
                return
            if not reply.whole:
                return
            found = reply.json() if not body["stream"] else reply.events()[-1]["response"]
            if found["status"] == "completed":
                stored.append(found["id"])

    with serving(tmp_path) as gateway:
        threads = [threading.Thread(target=ask, args=(gateway,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(stored) > 200, 20)
        gateway.process.kill()
        for thread in threads:
            thread.join()
        kept = list(stored)
        with running([TRUNKLINE, "serve", *gateway.where], f"{gateway.url}/readyz", tmp_path / "second.log"):
            for response_id in kept:
                reply = get(gateway.url, f"/v1/responses/{response_id}", ("x-api-key", gateway.key))
                assert reply.status == 200, reply.body
                assert b"keep this" in reply.body
