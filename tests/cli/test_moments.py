from __future__ import annotations

import pytest
import typer

from trunkline import clock
from trunkline.cli.moments import moment

NOW_S = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30d", NOW_S - 30 * 86_400),
        (" 90m ", NOW_S - 5400),
        ("0", NOW_S),
        ("2026-04-30", 1_777_507_200.0),
        ("2026-04-30T12:00", 1_777_550_400.0),
        ("2026-04-30T12:00:00+02:00", 1_777_543_200.0),
        ("2026-04-30T12:00:00Z", 1_777_550_400.0),
    ],
)
def test_moments(text: str, expected: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_s", lambda: NOW_S)
    assert moment(text) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "30", "-5d", "0001-01-01", "9999-12-31"])
def test_what_is_no_moment_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        moment(text)
