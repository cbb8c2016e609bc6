from __future__ import annotations

import stat
from pathlib import Path

import pytest

from trunkline.cli.store import opened
from trunkline.errors import SettingsInvalid, StoreUnavailable
from trunkline.storage.keys import Grant


def test_the_first_command_makes_what_it_needs(tmp_path: Path) -> None:
    with opened(None, tmp_path / "data") as (settings, store):
        assert settings.data_dir == tmp_path / "data"
        store.keys.create(Grant())
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    assert files == {"trunkline.db": 0o600, "trunkline.db.write": 0o600, "pepper": 0o600}
    with opened(None, tmp_path / "data") as (_, store):
        assert len(store.keys.list()) == 1


def test_the_settings_file_is_obeyed(tmp_path: Path) -> None:
    file = tmp_path / "trunkline.toml"
    file.write_text('[database]\nurl = "sqlite:///other.db"\n[keys]\nprefix = "sk-sb"\n')
    with opened(file, tmp_path / "data") as (_, store):
        assert store.keys.create(Grant()).key.reveal().startswith("sk-sb-")
    assert (tmp_path / "data" / "other.db").exists()


def test_what_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "trunkline.toml"
    file.write_text('[database]\nurl = "postgresql://db/trunkline"\n')
    with pytest.raises(SettingsInvalid, match="PostgreSQL"), opened(file, tmp_path / "data"):
        pass
    (tmp_path / "data" / "trunkline.db").write_bytes(b"no database, however long this text may be" * 50)
    with pytest.raises(StoreUnavailable), opened(None, tmp_path / "data"):
        pass
