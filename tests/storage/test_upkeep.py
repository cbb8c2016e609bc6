from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.storage.stores import ROOT, response
from trunkline import clock
from trunkline.errors import StoreUnavailable
from trunkline.policy.keys import KeysOptions
from trunkline.storage import upkeep
from trunkline.storage.database import DatabaseOptions
from trunkline.storage.store import Store


async def no_log(now_s: float) -> int:
    return 0


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    monkeypatch.setattr(upkeep, "LOOK_S", 0.01)
    made = Store(DatabaseOptions(), KeysOptions(), tmp_path)
    yield made
    made.close()


async def tidied(store: Store, response_id: str, status: str | None) -> None:
    """Waits for it; fails when it does not come."""
    task = asyncio.create_task(upkeep.keep_tidy(store, no_log))
    async with asyncio.timeout(5):
        while await store.responses.status(ROOT, response_id) != status:
            await asyncio.sleep(0.005)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_what_nobody_runs_is_ended(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.responses.put(response(id="resp_1", background=True, status="in_progress", expires_at=1e12))
    now_s = clock.now_s()
    monkeypatch.setattr(clock, "now_s", lambda: now_s + upkeep.SILENT_S + 1)
    await store.responses.put(response(id="resp_2", background=True, status="in_progress", expires_at=1e12))
    await tidied(store, "resp_1", "failed")
    assert await store.responses.status(ROOT, "resp_2") == "in_progress"


async def test_what_has_expired_is_deleted_at_once_and_then_hourly(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps, looks = 0, 0
    enough = asyncio.Event()
    sweep, abandon = store.sweep, store.responses.abandon

    async def counted_sweep() -> int:
        nonlocal sweeps
        sweeps += 1
        return await sweep()

    async def counted_abandon(silent_since: float, error: bytes) -> int:
        nonlocal looks
        looks += 1
        if looks == 4:
            enough.set()
        return await abandon(silent_since, error)

    monkeypatch.setattr(store, "sweep", counted_sweep)
    monkeypatch.setattr(store.responses, "abandon", counted_abandon)
    await store.responses.put(response(id="resp_1", expires_at=1.0))
    task = asyncio.create_task(upkeep.keep_tidy(store, no_log))
    await asyncio.wait_for(enough.wait(), 5)
    task.cancel()
    assert sweeps == 1
    assert await store.responses.sweep(1e12) == 0


async def test_a_database_that_does_not_answer_is_asked_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.responses.put(response(id="resp_1", background=True, status="queued", expires_at=1e12))
    now_s = clock.now_s()
    monkeypatch.setattr(clock, "now_s", lambda: now_s + upkeep.SILENT_S + 1)
    abandon, failed = store.responses.abandon, 0

    async def fails_twice(silent_since: float, error: bytes) -> int:
        nonlocal failed
        failed += 1
        if failed < 3:
            raise StoreUnavailable("No.")
        return await abandon(silent_since, error)

    monkeypatch.setattr(store.responses, "abandon", fails_twice)
    await tidied(store, "resp_1", "failed")
    assert failed >= 3
