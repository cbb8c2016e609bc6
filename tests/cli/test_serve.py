"""`serve` hands over the settings and tells whoever started it what they need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trunkline import app as parts
from trunkline.app import Started
from trunkline.cli import program
from trunkline.cli.serve import Greeter, command_of
from trunkline.config import Settings, load
from trunkline.errors import StoreUnavailable
from trunkline.observe import Secret

Start = Callable[..., str]
OnStarted = Callable[[Started], None]
ANSWER = b'{"choices":[{"message":{"content":"hello"}}]}'


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def serve(monkeypatch: pytest.MonkeyPatch, *arguments: str, code: int = 0) -> tuple[int, str, Settings | None]:
    given: list[Settings] = []

    def served(settings: Settings, _on_started: OnStarted) -> int:
        given.append(settings)
        return code

    monkeypatch.setattr(parts, "serve", served)
    done = CliRunner().invoke(program.app, ["serve", *arguments])
    return done.exit_code, done.stderr, given[0] if given else None


def test_options_stand_above_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("trunkline.toml").write_text("[server]\nport = 1\nworkers = 2\n", encoding="utf-8")
    _, _, settings = serve(monkeypatch, "--port", "0", "--data-dir", "d")
    assert settings is not None
    assert (settings.server.port, settings.server.workers) == (0, 2)
    assert settings.data_dir == Path("d").absolute()


def test_the_servers_exit_code_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert serve(monkeypatch, code=3)[0] == 3


@pytest.mark.parametrize("arguments", [["--host", "0.0.0.0"], ["--workers", "0"], ["--config", "absent.toml"]])
def test_settings_that_are_wrong_are_one_sentence(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, errors, settings = serve(monkeypatch, *arguments)
    assert code == 1
    assert errors.startswith("trunkline: ")
    assert errors.count("\n") == 1
    assert settings is None


def test_a_port_that_is_no_number_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    assert serve(monkeypatch, "--port", "http")[0] == 2


def test_a_server_that_cannot_start_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_settings: Settings, _on_started: OnStarted) -> int:
        raise StoreUnavailable("The database file x cannot be opened.")

    monkeypatch.setattr(parts, "serve", refuse)
    done = CliRunner().invoke(program.app, ["serve"])
    assert (done.exit_code, done.stderr) == (1, "trunkline: The database file x cannot be opened.\n")


async def greeting(settings: Settings, url: str, key: str | None, *, greet: bool) -> str:
    said: list[str] = []
    greeter = Greeter(settings, greet=greet, say=said.append)
    greeter.start(url, Secret(key) if key else None, Secret("the-token") if key else None)
    if greeter._task is not None:
        await greeter._task
    return "".join(said)


async def test_the_first_start_is_told_with_a_call_that_was_made(gateway_url: Start) -> None:
    heads: list[bytes] = []
    page = await greeting(load(environment={}), gateway_url(200, ANSWER, heads), "sk-tl-first", greet=True)
    assert "sandbox/echo answered: hello" in page
    assert "sk-tl-first" in page
    assert "token=the-token" in page
    assert b"Bearer sk-tl-first" in heads[0]


async def test_a_first_start_shows_its_key_even_unasked(gateway_url: Start) -> None:
    heads: list[bytes] = []
    page = await greeting(load(environment={}), gateway_url(200, ANSWER, heads), "sk-tl-first", greet=False)
    assert "sk-tl-first" in page
    assert heads == []


async def test_a_call_that_fails_hides_no_key() -> None:
    page = await greeting(load(environment={}), "http://127.0.0.1:1", "sk-tl-first", greet=True)
    assert "(no answer)" in page
    assert "sk-tl-first" in page


async def test_a_later_start_speaks_when_asked() -> None:
    settings = load(environment={})
    assert "keys create" in await greeting(settings, "http://127.0.0.1:8080", None, greet=True)
    assert await greeting(settings, "http://127.0.0.1:8080", None, greet=False) == ""


def test_commands_are_those_of_this_installation(tmp_path: Path) -> None:
    assert command_of(load(environment={}), Path("/x/pytest"))("keys create") == ["trunkline", "keys", "create"]
    (tmp_path / "t.toml").write_text("", encoding="utf-8")
    settings = load(Path("t.toml"), Path("d"), environment={})
    assert command_of(settings, Path(".venv/bin/trunkline"))("admin-link") == [
        ".venv/bin/trunkline",
        "admin-link",
        "--config",
        str(tmp_path / "t.toml"),
        "--data-dir",
        str(tmp_path / "d"),
    ]


async def test_the_greeting_does_not_hold_up_the_server(gateway_url: Start) -> None:
    said: list[str] = []
    greeter = Greeter(load(environment={}), greet=True, say=said.append)
    greeter.start(gateway_url(200, ANSWER), Secret("k"), Secret("t"))
    assert said == []
    assert greeter._task is not None
    await asyncio.wait([greeter._task])
    assert len(said) == 1
