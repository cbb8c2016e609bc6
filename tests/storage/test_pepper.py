from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from trunkline.errors import SettingsInvalid
from trunkline.storage.database import Database
from trunkline.storage.pepper import confirm_pepper, load_or_create_pepper, strong_pepper


def test_it_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "pepper"
    pepper = load_or_create_pepper(path)
    assert len(pepper) == 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_pepper(path) == pepper
    assert [file.name for file in path.parent.iterdir()] == ["pepper"]


def test_two_installations_have_two(tmp_path: Path) -> None:
    assert load_or_create_pepper(tmp_path / "a") != load_or_create_pepper(tmp_path / "b")


def test_several_that_start_at_once_have_the_same(tmp_path: Path) -> None:
    found: list[bytes] = []
    together = threading.Barrier(8)

    def start() -> None:
        together.wait()
        found.append(load_or_create_pepper(tmp_path / "pepper"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["pepper"]


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"fifteen letters"])
def test_a_weak_one_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pepper").write_bytes(content)
    with pytest.raises(SettingsInvalid, match="fewer than 16 bytes"):
        load_or_create_pepper(tmp_path / "pepper")
    with pytest.raises(SettingsInvalid, match="here has fewer"):
        strong_pepper(content, "here")


def test_one_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "pepper").mkdir()
    with pytest.raises(SettingsInvalid, match=r"pepper file .*pepper cannot be used: Is a directory"):
        load_or_create_pepper(tmp_path / "pepper")


def test_a_database_is_never_served_with_another(database: Database) -> None:
    confirm_pepper(database, b"the first pepper of all")
    confirm_pepper(database, b"the first pepper of all")
    with pytest.raises(SettingsInvalid, match="another pepper") as refused:
        confirm_pepper(database, b"the second pepper of all")
    assert "second" not in refused.value.message
