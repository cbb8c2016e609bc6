from __future__ import annotations

from trunkline.ports.sidecar import MOST_ENTRY_BYTES, SidecarStore
from trunkline.storage.sidecar import SqlSidecarStore


def test_an_entry_holds_what_a_long_turn_of_reasoning_needs() -> None:
    assert MOST_ENTRY_BYTES >= 128 * 1024


def test_the_database_fulfils_the_port() -> None:
    store: type[SidecarStore] = SqlSidecarStore
    assert {"put", "find", "sweep"} <= set(dir(store))
