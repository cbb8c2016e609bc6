from __future__ import annotations

import pytest

from trunkline.catalog.provider_row import Dialect, Provider


def test_only_a_repeated_role_makes_ordinary_events_be_rewritten() -> None:
    assert Dialect(role_in_every_chunk=True).rewrites_events
    others = Dialect(
        refuses_stream_options=True, max_tokens_only=True, missing_done=True, usage_with_choices=True, drops=("user",)
    )
    assert not others.rewrites_events


def test_a_row_cannot_be_changed() -> None:
    row = Provider(id="x", name="X", base_url=None)
    with pytest.raises(AttributeError):
        row.base_url = "https://elsewhere.example"  # type: ignore[misc]
