"""`serve` hands over the settings and tells whoever started it what they need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trunkline.app import serving as parts
from trunkline.app.serving import Started
from trunkline.cli import program, started
from trunkline.config import Settings
from trunkline.errors import StoreUnavailable

OnStarted = Callable[[Started], None]


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


@pytest.mark.parametrize("greet", [True, False])
def test_whoever_started_it_is_told(greet: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, bool]] = []

    def served(_settings: Settings, on_started: OnStarted) -> int:
        on_started(Started(url="http://127.0.0.1:1"))
        return 0

    monkeypatch.setattr(parts, "serve", served)
    monkeypatch.setattr(started, "tell", lambda _settings, facts, *, greet: told.append((facts.url, greet)))
    CliRunner().invoke(program.app, ["serve", *(["--welcome"] if greet else [])])
    assert told == [("http://127.0.0.1:1", greet)]
