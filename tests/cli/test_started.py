"""What is said once calls are answered: secrets on the first start alone, and a greeting that tried a real call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from trunkline import config
from trunkline.app.serving import Started
from trunkline.cli import started, welcome
from trunkline.cli.store import open_store
from trunkline.config import Settings
from trunkline.observe import Secret
from trunkline.storage.keys import Grant

Start = Callable[..., str]
ANSWER = b'{"choices":[{"message":{"content":"One line, echoed."}}]}'
KEY = Secret("sk-tl-of-the-first-start")
TOKEN = Secret("token-of-the-link")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return config.load(None, tmp_path / "data", environment={})


@pytest.fixture
def told(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Tells, waits for the thread that greets, and gives what was printed."""

    def tell(facts: Started, *, greet: bool) -> str:
        started.tell(settings, facts, greet=greet)
        for thread in threading.enumerate():
            if thread.name == "welcome":
                thread.join(20)
                assert not thread.is_alive()
        return capsys.readouterr().out

    return tell


def first(url: str) -> Started:
    return Started(url=url, first_key=KEY, admin_token=TOKEN)


def test_the_first_start_shows_key_and_link_once(told: Callable[..., str]) -> None:
    said = told(first("http://127.0.0.1:4242"), greet=False)
    assert said.splitlines()[0] == "Trunkline serves http://127.0.0.1:4242"
    assert said.count(KEY.reveal()) == 1
    # The port that was really taken, not the one of the settings.
    assert said.count(f"http://127.0.0.1:4242/console/enter?token={TOKEN.reveal()}") == 1


def test_a_later_start_has_no_secret_to_show(told: Callable[..., str]) -> None:
    assert told(Started(url="http://127.0.0.1:4242"), greet=False) == "Trunkline serves http://127.0.0.1:4242\n"


def test_the_greeting_tries_the_first_key(told: Callable[..., str], gateway_url: Start) -> None:
    heads: list[bytes] = []
    url = gateway_url(200, ANSWER, heads)
    said = told(first(url), greet=True)
    assert f"{welcome.MODEL} answered: One line, echoed.\n" in said
    assert f"{url}/console/enter?token={TOKEN.reveal()}\n" in said
    (head,) = heads
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"authorization: Bearer " + KEY.reveal().encode() in head
    assert welcome.PROMPT.encode() in head


def test_a_later_greeting_makes_a_key_for_a_minute_and_revokes_it(
    told: Callable[..., str], settings: Settings, gateway_url: Start
) -> None:
    heads: list[bytes] = []
    said = told(Started(url=gateway_url(200, ANSWER, heads)), greet=True)
    assert "One line, echoed." in said
    assert "trunkline keys create" in said
    sent = heads[0].partition(b"authorization: Bearer ")[2].partition(b"\r\n")[0].decode()
    assert sent.startswith("sk-tl-")
    assert sent not in said
    store = open_store(settings)
    try:
        (trial,) = store.keys.list()
    finally:
        store.close()
    assert (trial.name, trial.state, trial.models) == ("welcome", "revoked", (welcome.MODEL,))
    assert trial.expires_at is not None
    assert trial.expires_at - trial.created_at <= 61


@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (200, b"<html>", "(no answer: That is not the answer of a gateway; does the URL belong to one?)"),
        (200, b'{"choices":[]}', "(an answer without text)"),
        (401, b'{"error":{"message":"no"}}', "(no answer: 401: no)"),
    ],
)
def test_an_answer_that_is_none_is_shown_in_brackets(
    status: int, body: bytes, shown: str, told: Callable[..., str], gateway_url: Start
) -> None:
    said = told(first(gateway_url(status, body)), greet=True)
    assert f"{welcome.MODEL} answered: {shown}" in said
    assert KEY.reveal() in said


def test_nobody_there_is_said_too_and_leaves_no_key_behind(told: Callable[..., str], settings: Settings) -> None:
    said = told(Started(url="http://127.0.0.1:1"), greet=True)
    assert f"{welcome.MODEL} answered: (no answer: " in said
    store = open_store(settings)
    try:
        assert [key.state for key in store.keys.list()] == ["revoked"]
    finally:
        store.close()


def test_a_store_that_does_not_answer_spoils_no_start(
    told: Callable[..., str], settings: Settings, gateway_url: Start
) -> None:
    store = open_store(settings)
    store.keys.create(Grant(name="first"))
    store.close()
    (settings.data_dir / "pepper").unlink()
    heads: list[bytes] = []
    said = told(Started(url=gateway_url(200, ANSWER, heads)), greet=True)
    assert f"{welcome.MODEL} answered: (not asked: " in said
    assert "until Ctrl-C" in said
    assert heads == []
