"""`init` writes a file that loads, and never over another."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from trunkline.cli.program import app
from trunkline.config import load


def test_the_file_loads_and_is_its_owners_alone(tmp_path: Path) -> None:
    made = tmp_path / "trunkline.toml"
    done = CliRunner().invoke(app, ["init", "--config", str(made)])
    assert done.exit_code == 0
    assert made.stat().st_mode & 0o777 == 0o600
    assert load(made, tmp_path / "data", environment={}).path == made


def test_an_existing_file_is_left_as_it_is(tmp_path: Path) -> None:
    there = tmp_path / "trunkline.toml"
    there.write_text("# mine", encoding="utf-8")
    done = CliRunner().invoke(app, ["init", "--config", str(there)])
    assert done.exit_code == 1
    assert "exists" in done.stderr
    assert there.read_text(encoding="utf-8") == "# mine"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link.toml").symlink_to(tmp_path / "elsewhere.toml")
    assert CliRunner().invoke(app, ["init", "--config", str(tmp_path / "link.toml")]).exit_code == 1
    assert not (tmp_path / "elsewhere.toml").exists()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["init", "--config", str(tmp_path / "absent/trunkline.toml")])
    assert done.exit_code == 1
    assert "cannot be written" in done.stderr


def test_the_default_is_where_the_server_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["init", "--json"])
    assert msgspec.json.decode(done.stdout) == {"path": str(tmp_path / "trunkline.toml")}
    assert load(environment={}).path == tmp_path / "trunkline.toml"
