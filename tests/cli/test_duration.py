from __future__ import annotations

import pytest
import typer

from trunkline.cli.duration import seconds


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30d", 2_592_000),
        ("24h", 86_400),
        ("90m", 5400),
        ("45s", 45),
        ("2w", 1_209_600),
        ("0", 0),
        ("0s", 0),
        (" 1D ", 86_400),
    ],
)
def test_lengths_of_time(text: str, length: int) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "d", "30", "-1d", "1.5h", "1 d", "1y", "٣d", "999999999999w", "1d2h"])
def test_anything_else_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="write 30d"):
        seconds(text)
