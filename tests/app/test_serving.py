"""How a gateway is started, in this process or in workers."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from trunkline.app import serving
from trunkline.http.server import Seat

SETTINGS = "[discovery]\nlocal = false\n"


def test_a_worker_is_told_where_its_settings_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, object] = {}
    file = tmp_path / "trunkline.toml"
    file.write_text(SETTINGS)

    def run(factory: object, options: object, hooks: object, seat: object) -> int:
        told.update(options=options, seat=seat)
        return 7

    monkeypatch.setattr("trunkline.http.server.run", run)
    order = serving.Order(str(file), str(tmp_path / "data"), {"server.port": 4242})
    seat = Seat(3, 4, (5,))
    assert serving.work(seat, msgspec.json.encode(order)) == 7
    assert getattr(told["options"], "port", None) == 4242
    assert told["seat"] is seat
