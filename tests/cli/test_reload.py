"""`reload` tells running servers, and only when the settings can be read."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from trunkline.cli.program import app
from trunkline.cli.store import opened


def reload(folder: Path, text: str) -> tuple[int, str]:
    (folder / "t.toml").write_text(text, encoding="utf-8")
    done = CliRunner().invoke(app, ["reload", "--config", str(folder / "t.toml"), "--data-dir", str(folder)])
    return done.exit_code, done.stderr


def version(folder: Path) -> int:
    with opened(None, folder) as (_, store):
        return store.serving_keys.version()


def test_running_servers_are_told(tmp_path: Path) -> None:
    before = version(tmp_path)
    assert reload(tmp_path, "[log]\nlevel = 'debug'")[0] == 0
    assert version(tmp_path) > before


def test_settings_that_are_wrong_stay_here(tmp_path: Path) -> None:
    before = version(tmp_path)
    code, errors = reload(tmp_path, "[log]\nlevle = 'debug'")
    assert code == 1
    assert "`level`" in errors
    assert version(tmp_path) == before


def test_where_no_server_was_nothing_is_made(tmp_path: Path) -> None:
    code, errors = reload(tmp_path, "")
    assert code == 1
    assert "No server" in errors
    assert not (tmp_path / "trunkline.db").exists()
