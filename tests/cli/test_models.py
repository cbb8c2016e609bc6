from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from trunkline.catalog.models import Model
from trunkline.catalog.prices import Price
from trunkline.cli.models import models, row
from trunkline.money import NanosPerMillion
from trunkline.routing.table import Listing

app = typer.Typer()
app.command()(models)


@pytest.fixture(autouse=True)
def _without_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, exit_code: int = 0) -> Any:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == exit_code, done.stderr
    return done


def ids(*arguments: str) -> list[str]:
    return [model["id"] for model in msgspec.json.decode(run(*arguments, "--json").stdout)]


def test_a_fresh_machine_has_the_sandbox() -> None:
    table = run().stdout.splitlines()
    assert table[0].split() == ["MODEL", "PROVIDER", "CONTEXT", "INPUT", "$/M", "OUTPUT", "$/M", "MODALITIES"]
    assert table[1].split() == ["sandbox/echo", "sandbox", "1,000,000", "0", "0", "text", ">", "text"]
    assert "sandbox/echo" in ids()
    assert "openai/gpt-4o" not in ids()


def test_a_key_in_the_environment_brings_its_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-openai")
    assert ids("--search", "GPT-4O-MINI")[0] == "openai/gpt-4o-mini"
    done = run("--search", "gpt-4o-mini")
    assert "sk-secret" not in done.stdout + done.stderr
    assert done.stdout.splitlines()[1].split()[:5] == ["openai/gpt-4o-mini", "openai", "128,000", "0.15", "0.6"]
    assert done.stdout.splitlines()[1].endswith("text+image > text")


def test_the_settings_file_counts(tmp_path: Path) -> None:
    file = tmp_path / "here.toml"
    file.write_text('[models.fast]\ndeployments = ["sandbox/echo"]\n[prices."sandbox/echo"]\ninput = 1.5\n')
    assert ids("--config", str(file))[0] == "fast"
    assert run("--config", str(file), "--search", "fast").stdout.splitlines()[1].split()[3:5] == ["1.5", "0"]


def test_all_searches_the_whole_catalog() -> None:
    assert "anthropic/claude-opus-4-5" in ids("--all", "--search", "opus-4-5")
    assert ids("--search", "opus-4-5") == []


def test_nothing_found_is_told_beside_the_answer() -> None:
    done = run("--search", "no-such-model")
    assert done.stdout == ""
    assert "--all searches the whole catalog" in done.stderr


def test_bad_settings_are_a_sentence_and_exit_code_1(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("[providers.nobody]\n")
    done = run("--config", str(file), exit_code=1)
    assert "nobody is no known provider" in done.stderr
    assert done.stdout == ""


def test_what_is_not_known_is_a_dash() -> None:
    assert row(Listing(id="p/m", provider_id="p")) == ("p/m", "p", "-", "no price", "no price", "-")
    price = Price(version="v", input=NanosPerMillion(75_000_000))
    model = Model(id="p/m", provider="p", upstream="m", name="m", price=price)
    assert row(Listing(id="p/m", provider_id="p", model=model))[3:] == ("0.075", "-", "-")


def test_filters() -> None:
    assert ids("--capability", "vision", "--provider", "sandbox") == ["sandbox/vision"]
    assert ids("--modality", "embedding") == ["sandbox/embed"]
    assert all(one.startswith("anthropic/") for one in ids("--all", "--provider", "anthropic", "--search", "opus"))
    done = run("--capability", "fly", exit_code=1)
    assert "there are json_schema, reasoning" in done.stderr
