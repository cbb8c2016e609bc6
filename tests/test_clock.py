"""The one clock, and how tests hold it."""

from __future__ import annotations

import time

import pytest

from trunkline import clock
from trunkline.pipeline.call import Call


def test_the_clocks_run() -> None:
    assert abs(clock.now_s() - time.time()) < 1
    before = clock.monotonic_s()
    assert clock.monotonic_s() >= before


def test_a_held_clock_is_seen_where_time_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "monotonic_s", lambda: 5.0)
    assert Call(1, "openai_chat", "r", []).started_at == 5.0
