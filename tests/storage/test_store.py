from __future__ import annotations

from pathlib import Path

import pytest

from tests.storage.stores import ROOT, response
from trunkline.errors import SettingsInvalid, StoreUnavailable
from trunkline.policy.keys import KeysOptions
from trunkline.storage.database import DatabaseOptions
from trunkline.storage.keys import Grant
from trunkline.storage.store import Store


def test_what_one_opening_makes_the_next_one_finds(tmp_path: Path) -> None:
    first = Store(DatabaseOptions(), KeysOptions(), tmp_path)
    issued = first.keys.create(Grant())
    first.close()
    second = Store(DatabaseOptions(), KeysOptions(), tmp_path)
    found = second.serving_keys.find(second.digest(issued.key.reveal()))
    assert found is not None
    assert found.key_id == issued.id
    assert second.pepper == first.pepper
    assert second.admin_links.redeem(second.admin_links.create())
    assert second.accounts.show("acct_root").name == "root"
    assert list(second.tenancy.tenancy().tenants) == ["acct_root"]
    second.close()


def test_a_configured_pepper_makes_no_file(tmp_path: Path) -> None:
    keys = KeysOptions(pepper="a configured pepper, long enough", prefix="sk-sb")
    store = Store(DatabaseOptions(), keys, tmp_path)
    assert store.pepper == b"a configured pepper, long enough"
    assert store.keys.create(Grant()).key.reveal().startswith("sk-sb-")
    assert not (tmp_path / "pepper").exists()
    store.close()


def test_a_lost_pepper_is_an_error_and_not_a_house_without_keys(tmp_path: Path) -> None:
    Store(DatabaseOptions(), KeysOptions(), tmp_path).close()
    (tmp_path / "pepper").unlink()
    with pytest.raises(SettingsInvalid, match="another pepper"):
        Store(DatabaseOptions(), KeysOptions(), tmp_path)
    with pytest.raises(SettingsInvalid, match="fewer than 16 bytes"):
        Store(DatabaseOptions(), KeysOptions(pepper="short"), tmp_path)


async def test_a_sweep_leaves_nothing_that_has_expired(tmp_path: Path) -> None:
    store = Store(DatabaseOptions(), KeysOptions(), tmp_path)
    for number in range(3):
        await store.responses.put(response(id=f"resp_{number}", expires_at=1.0))
    await store.sidecar.put(ROOT, {"call_1": b"state", "call_2": b"state"}, 1.0)
    await store.responses.put(response(id="resp_young", expires_at=1e12))
    assert await store.sweep() == 5
    assert await store.sweep() == 0
    assert await store.responses.get(ROOT, "resp_young") is not None
    store.close()
    with pytest.raises(StoreUnavailable):
        await store.sweep()


async def test_state_is_read_by_whoever_has_the_pepper(tmp_path: Path) -> None:
    first = Store(DatabaseOptions(), KeysOptions(), tmp_path)
    made = response(id="resp_1", expires_at=1e12)
    await first.responses.put(made)
    first.close()
    second = Store(DatabaseOptions(), KeysOptions(), tmp_path)
    assert await second.responses.get(ROOT, "resp_1") == made
    second.close()
