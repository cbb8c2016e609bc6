"""A worker takes its seat from the command line and its order from standard input."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import msgspec
import pytest

from trunkline.app import serving as app
from trunkline.app.serving import Order
from trunkline.cli import worker
from trunkline.errors import SettingsInvalid
from trunkline.http.server import FAILED_TO_START, Seat

SEAT = Seat(3, 4, (5, 6))


class Input:
    """Standard input with these bytes and then its end."""

    def __init__(self, sent: bytes) -> None:
        self.buffer = io.BytesIO(sent)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Seat, bytes]]:
    """What the worker was put to."""
    calls: list[tuple[Seat, bytes]] = []

    def record(seat: Seat, order: bytes) -> int:
        calls.append((seat, order))
        return 7

    monkeypatch.setattr(app, "work", record)
    return calls


def test_the_seat_is_the_last_word_and_the_order_all_that_is_read(
    work: list[tuple[Seat, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = b"x" * 200_000
    monkeypatch.setattr(sys, "stdin", Input(order))
    assert worker.run(["-m", str(SEAT)]) == 7
    assert work == [(SEAT, order)]


def test_an_error_of_ours_is_one_sentence_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_seat: Seat, _order: bytes) -> int:
        raise SettingsInvalid("server.port must be a number.")

    monkeypatch.setattr(app, "work", refuse)
    monkeypatch.setattr(sys, "stdin", Input(b""))
    assert worker.run(["-m", str(SEAT)]) == FAILED_TO_START
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "trunkline worker: server.port must be a number.\n")


def test_settings_that_went_wrong_since_the_start_stop_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The supervisor starts another in its place; by then somebody may have broken the file."""
    file = tmp_path / "trunkline.toml"
    file.write_text("[server]\nprot = 1\n")
    order = msgspec.json.encode(Order(str(file), str(tmp_path / "data"), {}))
    monkeypatch.setattr(sys, "stdin", Input(order))
    assert worker.run(["-m", str(SEAT)]) == FAILED_TO_START
    assert "prot" in capsys.readouterr().err
    assert not (tmp_path / "data" / "trunkline.db").exists()
