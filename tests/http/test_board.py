"""Each worker tells the numbers of all, the dead included, and the loop's lag is measured."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from trunkline.errors import SettingsInvalid
from trunkline.http import board as board_module
from trunkline.http.board import Board, watch
from trunkline.observe import Metrics


def refusals(page: bytes) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
        if sample.name == "trunkline_refusals_total"
    )


def worker(folder: Path, name: str, count: int) -> tuple[Metrics, Board]:
    metrics = Metrics()
    metrics.refusals.of("invalid_api_key").add(count)
    board = Board(metrics, folder, name)
    board.write(board.draft())
    return metrics, board


def test_every_worker_tells_the_same_sum(tmp_path: Path) -> None:
    Board.clear(tmp_path)
    boards = [worker(tmp_path, str(place), count=10**place)[1] for place in range(3)]
    assert [refusals(board.render()) for board in boards] == [111, 111, 111]


def test_a_workers_own_numbers_are_told_as_they_are_now(tmp_path: Path) -> None:
    metrics, board = worker(tmp_path, "0", count=1)
    metrics.refusals.of("invalid_api_key").add()
    assert refusals(board.render()) == 2


def test_the_counts_of_a_dead_worker_stay(tmp_path: Path) -> None:
    _, alive = worker(tmp_path, "0", count=1)
    worker(tmp_path, "1", count=10)
    assert refusals(alive.render()) == 11
    heir = Metrics()
    board = Board(heir, tmp_path, "1")
    board.take_over()
    heir.refusals.of("invalid_api_key").add(100)
    board.write(board.draft())
    assert refusals(alive.render()) == 111
    assert refusals(board.render()) == 111


def test_a_new_start_begins_at_nought(tmp_path: Path) -> None:
    Board.clear(tmp_path / "metrics")
    worker(tmp_path / "metrics", "0", count=1)
    Board.clear(tmp_path / "metrics")
    metrics = Metrics()
    board = Board(metrics, tmp_path / "metrics", "0")
    board.take_over()
    assert refusals(board.render()) == 0


@pytest.mark.parametrize("content", [b"", b"{", b'{"at":1,"numbers":{"trunkline_refusals":3}}'])
def test_rubbish_in_the_folder_does_no_harm(tmp_path: Path, content: bytes) -> None:
    _, board = worker(tmp_path, "0", count=1)
    (tmp_path / "1.json").write_bytes(content)
    assert refusals(board.render()) == 1


async def test_the_lag_of_the_loop_is_measured_and_the_board_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_module, "WATCH_S", 0.001)
    metrics = Metrics()
    board = Board(metrics, tmp_path, "0")
    watching = asyncio.create_task(watch(metrics, board))
    while sum(metrics.loop_lag.counts) < 5 or not (tmp_path / "0.json").exists():
        await asyncio.sleep(0)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    assert metrics.loop_lag_peak.value >= metrics.loop_lag.total / sum(metrics.loop_lag.counts)


async def test_a_blocked_loop_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "WATCH_S", 0.001)
    metrics = Metrics()
    loop = asyncio.get_running_loop()
    watching = asyncio.create_task(watch(metrics))
    await asyncio.sleep(0)
    until = loop.time() + 0.03
    while loop.time() < until:
        pass
    while not sum(metrics.loop_lag.counts):
        await asyncio.sleep(0)
    watching.cancel()
    assert metrics.loop_lag_peak.value > 0.02


def test_a_folder_that_cannot_be_made_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsInvalid, match="--data-dir"):
        Board.clear(tmp_path / "file" / "metrics")
