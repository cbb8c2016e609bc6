from __future__ import annotations

import pytest

from trunkline.providers.sandbox.naming import bare


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("echo", "echo"),
        ("sandbox/echo", "echo"),
        ("Sandbox-Messages/Think", "think"),
        ("sandbox-gemini/tools", "tools"),
        ("other/echo", None),
        ("sandbox/sandbox/echo", None),
        ("ecko", None),
        ("", None),
    ],
)
def test_names(name: str, model: str | None) -> None:
    assert bare(name) == model
